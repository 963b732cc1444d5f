"""What is said in each form."""

from typing import assert_never

from milepost.notifications.audience import Subject
from milepost.notifications.forms import Form
from milepost.notifications.letter import letter_about
from milepost.tracking.journey import Entry
from milepost.wire.classic import parcel_status_changed
from milepost.wire.cloud_event import cloud_event
from milepost.wire.v3_event import event_created


class Bodies:
    """Makes bodies; ``public_url`` is where clients reach this installation."""

    def __init__(self, public_url: str = "") -> None:
        self._public_url = public_url

    def __call__(self, form: Form, subject: Subject, entry: Entry) -> bytes | None:
        """The body; None where there is nobody to say it to."""
        parcel, journey = subject.parcel, subject.journey
        match form:
            case Form.EVENT:
                return event_created(parcel, journey, entry)
            case Form.CLASSIC:
                return parcel_status_changed(parcel, journey, parcel.updated_at)
            case Form.CLOUD_EVENT:
                return cloud_event(parcel, journey, entry, self._public_url)
            case Form.EMAIL:
                return letter_about(subject, entry)
            case _:
                assert_never(form)
