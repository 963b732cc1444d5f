"""CloudEvents 1.0, read back by the specification's own SDK."""

import json
import re
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.exceptions import CloudEventValidationError
from tests.wire.test_answers import JOURNEY, PARCEL
from tests.wire.told import NAMES, golden

from milepost.tracking.parcel import told_event_id
from milepost.wire.cloud_event import CONTENT_TYPE, TYPE, cloud_event
from milepost.wire.v3_event import event_data


def test_the_sdk_reads_every_attribute() -> None:
    body = cloud_event(PARCEL, JOURNEY, JOURNEY.entries[2], "https://track.example.org/")
    event = from_http_event(HTTPMessage({"content-type": CONTENT_TYPE}, body))
    assert event.get_specversion() == "1.0"
    assert event.get_id() == told_event_id(629, 3) == "6290003"
    assert event.get_source() == "https://track.example.org/api/milepost/v1/events"
    assert event.get_type() == TYPE == "milepost.parcels.event.created"
    assert event.get_subject() == "parcels/629"
    assert event.get_time() == datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_dataschema() == "https://track.example.org/schemas/v1/parcel_event.json"
    assert event.get_data() == event_data(PARCEL, JOURNEY, JOURNEY.entries[2])


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_and_every_event_is_valid(name: str) -> None:
    parcel, whole = golden(name)
    bodies = [cloud_event(parcel, whole, one) for one in whole.entries]
    message = {"content-type": CONTENT_TYPE}
    events = [from_http_event(HTTPMessage(message, body)) for body in bodies]
    assert len({(event.get_source(), event.get_id()) for event in events}) == len(bodies)
    # An address of ours makes the schema a URI; a mere reference may not stand there.
    assert all("dataschema" not in json.loads(body) for body in bodies)
    assert all(b"null" not in body.partition(b'"data": ')[0] for body in bodies)


def test_attributes_are_as_the_specification_says() -> None:
    """Of section "Context Attributes": the SDK fills in an id that is missing."""
    attributes = json.loads(cloud_event(PARCEL, JOURNEY, JOURNEY.entries[2], "https://x.example"))
    del attributes["data"]
    assert {"id", "source", "specversion", "type"} <= attributes.keys()
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in attributes)
    assert all(isinstance(value, str) and value for value in attributes.values())


def test_the_sdk_would_notice() -> None:
    body = cloud_event(PARCEL, JOURNEY, JOURNEY.entries[2]).replace(b'"type": "milep', b'"t": "m')
    with pytest.raises(CloudEventValidationError, match="type"):
        from_http_event(HTTPMessage({"content-type": CONTENT_TYPE}, body))
