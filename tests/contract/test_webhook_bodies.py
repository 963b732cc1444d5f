"""What subscribers are sent, against the published files where they lie beside the project.

Every journey of the catalogue's samples and of tests/tracking is told, in every form. Where the
published files are missing, our own schemas are what remains.
"""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from tests.contract import official
from tests.test_every_carrier import CASES, reader
from tests.wire.test_answers import PARCEL
from tests.wire.told import NAMES, golden

from milepost.api import v2_parcel_schemas, webhook_schemas
from milepost.carriers.connector import Found
from milepost.carriers.exchange import Answer
from milepost.carriers.registry import Carrier
from milepost.carriers.samples import Case
from milepost.tracking.events import Observation
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.parcel import TrackedParcel
from milepost.tracking.timeline import internal, merge
from milepost.wire.classic import (
    INTEGRATION_ACTIONS,
    Integration,
    integration_changed,
    parcel_status_changed,
)
from milepost.wire.cloud_event import cloud_event
from milepost.wire.v3_event import event_created

SUBSCRIPTIONS = "sendcloud-v3-event-subscriptions-openapi.yml"
WEBHOOKS = "sendcloud-v3-webhooks-openapi.yml"
COMPONENTS = webhook_schemas.COMPONENTS | v2_parcel_schemas.COMPONENTS
_CHANGES = ("Connected", "Updated", "Deleted")
OBSERVED = datetime(2026, 3, 1, tzinfo=UTC)
SHOP = Integration(7, "Shop", "https://shop.example.org", last_updated_at=OBSERVED)


def checker(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema, format_checker=official.FORMATS)


def own(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return checker({**schema, "components": {"schemas": COMPONENTS}})


OWN_EVENT = own(webhook_schemas.EVENT_CREATED)
OWN_CLOUD_EVENT = own(webhook_schemas.CLOUD_EVENT)
OWN_STATUS = own(webhook_schemas.PARCEL_STATUS_CHANGED)
OWN_INTEGRATION = own(webhook_schemas.INTEGRATION_CHANGED)


@pytest.fixture(scope="module")
def published() -> "dict[str, jsonschema.Draft202012Validator]":
    """A validator by the name of each published body; none where the files are not there."""
    if not (official.FOLDER / SUBSCRIPTIONS).exists():
        return {}
    webhooks = official.document(WEBHOOKS)
    parcel = webhooks["components"]["schemas"]["ParcelStatusChangedWebhook"]["properties"]["parcel"]
    # Recorded answers differ from it: the number of a house is text, a mail address may be "", the
    # id of a shipment null.
    parcel["properties"]["address_divided"]["properties"]["house_number"]["type"] = "string"
    del parcel["properties"]["email"]["format"]
    parcel["properties"]["shipment_uuid"]["type"] = ["string", "null"]
    names = ("ParcelStatusChanged", *(f"Integration{one}" for one in _CHANGES))
    schemas = {name: official.component(webhooks, f"{name}Webhook") for name in names}
    schemas["event"] = official.component(
        official.document(SUBSCRIPTIONS), "ParcelEventCreatedPayload"
    )
    return {name: checker(schema) for name, schema in schemas.items()}


def read(body: bytes) -> Any:
    """What a body says; half of all receivers dump it again to verify its signature."""
    said = json.loads(body)
    assert json.dumps(said).encode() == body
    return said


def told(
    published: "dict[str, jsonschema.Draft202012Validator]", parcel: TrackedParcel, whole: Journey
) -> None:
    for one in whole.entries:
        body = read(event_created(parcel, whole, one))
        OWN_EVENT.validate(body)
        if published:
            published["event"].validate(body)
    body = read(parcel_status_changed(parcel, whole, OBSERVED))
    OWN_STATUS.validate(body)
    if published:
        published["ParcelStatusChanged"].validate(body)


def sampled(carrier: Carrier, case: Case) -> Journey | None:
    """The journey of a sample, as if it had been registered when it was first scanned."""
    found = reader(carrier).outcome(case.item, Answer(case.status, {}, case.body))
    if not isinstance(found, Found) or not found.scans:
        return None
    announced_at = min(scan.moment.instant for scan in found.scans)
    events = merge((), internal(announced_at, announced_at))
    events = merge(events, Observation(carrier.manifest.code, "poll", OBSERVED, found.scans))
    numbered = [event.recorded(place, OBSERVED) for place, event in enumerate(events, start=1)]
    return read_journey(numbered, announced_at)


def test_every_sample_of_the_catalogue_is_told_as_published(
    published: "dict[str, jsonschema.Draft202012Validator]",
) -> None:
    count = 0
    for carrier, case in CASES:
        whole = sampled(carrier, case)
        if whole is not None:
            count += len(whole.entries)
            told(published, PARCEL, whole)
    assert count > 200


@pytest.mark.parametrize("name", NAMES)
def test_every_golden_journey_is_told_as_published(
    published: "dict[str, jsonschema.Draft202012Validator]", name: str
) -> None:
    parcel, whole = golden(name)
    told(published, parcel, whole)
    for one in whole.entries:
        OWN_CLOUD_EVENT.validate(read(cloud_event(parcel, whole, one, "https://x.example")))


@pytest.mark.parametrize("action", INTEGRATION_ACTIONS)
def test_integrations_are_told_as_published(
    published: "dict[str, jsonschema.Draft202012Validator]", action: Any
) -> None:
    body = read(integration_changed(action, SHOP, OBSERVED))
    OWN_INTEGRATION.validate(body)
    if published:
        published["Integration" + action.partition("_")[2].capitalize()].validate(body)


def test_the_published_examples_have_our_keys_and_ours_no_others() -> None:
    webhook = official.document(SUBSCRIPTIONS)["webhooks"]["ParcelEventCreated"]["post"]
    examples = webhook["requestBody"]["content"]["application/json"]["examples"]
    parcel, whole = golden(NAMES[0])
    ours = json.loads(event_created(parcel, whole, whole.entries[-1]))
    for example in examples.values():
        value = example["value"]
        assert list(ours) == list(value)
        assert list(ours["data"]) == list(value["data"])
        for part in ("parcel", "event"):
            assert list(ours["data"][part]) == list(value["data"][part])


def test_a_wrong_body_would_be_noticed(
    published: "dict[str, jsonschema.Draft202012Validator]",
) -> None:
    parcel, whole = golden(NAMES[0])
    body = json.loads(event_created(parcel, whole, whole.entries[-1]))
    body["data"]["event"]["phase"] = "flown"
    for validator in [OWN_EVENT, *([published["event"]] if published else [])]:
        with pytest.raises(jsonschema.ValidationError, match="flown"):
            validator.validate(body)
