"""On which terms it is delivered, as the operator set them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from milepost.notifications import schedule
from milepost.notifications.forms import Form
from milepost.notifications.patience import Rules
from milepost.settings import Settings


@dataclass(frozen=True, slots=True)
class Terms:
    """How it is delivered. ``pauses`` are those between the attempts, in seconds."""

    classic_pauses: Sequence[float] = schedule.CLASSIC
    event_pauses: Sequence[float] = schedule.EVENTS
    patience: Rules = field(default_factory=Rules)
    lease: timedelta = timedelta(seconds=60)

    @classmethod
    def of(cls, settings: Settings) -> "Terms":
        """As the operator set them. Raises ConfigurationError, which names the setting."""
        return cls(
            schedule.pauses(settings.classic_retry_seconds, "MILEPOST_CLASSIC_RETRY_SECONDS"),
            schedule.pauses(settings.event_retry_seconds, "MILEPOST_EVENT_RETRY_SECONDS"),
            Rules(
                rest=settings.subscriber_rest_seconds,
                longest_rest=settings.subscriber_longest_rest_seconds,
                give_up=timedelta(days=settings.subscriber_give_up_days),
            ),
            timedelta(seconds=settings.lease_seconds),
        )

    def pauses(self, form: Form) -> Sequence[float]:
        """Those of a form."""
        return self.classic_pauses if form is Form.CLASSIC else self.event_pauses
