"""What every folder of the catalogue must hold, and what no answer may do to a parser.

``milepost carrier check --rewrite`` rewrites the expected outcomes; read the diff then.
"""

import re
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import orjson
import pytest
from tests.carriers.mutations import is_xml, strings, swollen

from milepost.carriers.connector import Found, Item, Outcome
from milepost.carriers.exchange import Answer
from milepost.carriers.faults import faults_of
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.rereading import by_text
from milepost.carriers.samples import Case, ReadsAnswers, cases, outcome_document, read_case
from milepost.carriers.status_rules import Rules, parted
from milepost.tracking.codec import event_from_fact, event_to_fact
from milepost.tracking.events import Event, Observation
from milepost.tracking.telling import first_told
from milepost.tracking.vocabulary import UNREAD

CATALOGUE = Catalogue.load()
CARRIERS = list(CATALOGUE)
ASKABLE = [one for one in CARRIERS if one.can_be_asked and one.answering is None]
CASES = [(carrier, case) for carrier in ASKABLE for case in cases(carrier)]
RECORDED = Path(__file__).parents[2] / "shared" / "carriers" / "samples"


def name_of(value: object) -> str:
    match value:
        case Carrier():
            return value.manifest.code
        case Case():
            return value.name
    return str(value)


def reader(carrier: Carrier) -> ReadsAnswers:
    connector = carrier.connector()
    assert isinstance(connector, ReadsAnswers)
    return connector


@pytest.mark.parametrize("carrier", CARRIERS, ids=name_of)
def test_a_manifest_is_right(carrier: Carrier) -> None:
    manifest = carrier.manifest
    assert faults_of(carrier) == []
    assert manifest.simulated == (manifest.tier == "simulated") == bool(manifest.stories)
    assert (manifest.tier == "D") == bool(manifest.answered_by)


@pytest.mark.parametrize("carrier", CARRIERS, ids=name_of)
def test_a_manifest_taken_apart_says_what_it_said(carrier: Carrier) -> None:
    text = (carrier.folder / "manifest.toml").read_text()
    rest, rules = map(tomllib.loads, parted(text))
    assert {**rest, **rules} == tomllib.loads(text)
    assert rules.keys() <= {"status", "wording"}
    assert not rest.keys() & rules.keys()


@pytest.mark.parametrize("carrier", ASKABLE, ids=name_of)
def test_who_can_be_asked_says_where_and_has_samples(carrier: Carrier) -> None:
    assert carrier.manifest.api is not None
    assert carrier.manifest.api.base_url.startswith("https://")
    told = {case.expected["kind"] for case in cases(carrier) if case.expected}
    assert {"Found", "NotFound"} <= told, "a sample of a found and of an unknown number is needed"


@pytest.mark.parametrize(("carrier", "case"), CASES, ids=name_of)
def test_a_sample_is_read_as_expected(carrier: Carrier, case: Case) -> None:
    assert read_case(carrier, case) == case.expected


@pytest.mark.parametrize(("carrier", "case"), CASES, ids=name_of)
def test_a_sample_is_lossless_and_ordered(carrier: Carrier, case: Case) -> None:
    outcome = reader(carrier).outcome(case.item, Answer(case.status, {}, case.body))
    if isinstance(outcome, Found):
        assert [scan.position for scan in outcome.scans] == list(range(len(outcome.scans)))
        assert all(scan.scan_class and scan.moment.stated for scan in outcome.scans)
        # Where a carrier tells day and time apart, both are stated.
        stated = {part for scan in outcome.scans for part in scan.moment.stated.split()}
        assert [part for part in stated if part.encode() not in case.body] == []


def kept(carrier: Carrier, found: Outcome) -> list[Event]:
    """What storage makes of the events of an answer."""
    scans = found.scans if isinstance(found, Found) else ()
    told = Observation(carrier.manifest.code, "poll", datetime(2026, 3, 1, tzinfo=UTC), scans)
    events = [first_told(f"{place}", scan, told) for place, scan in enumerate(scans)]
    return [event_from_fact(orjson.loads(orjson.dumps(event_to_fact(one)))) for one in events]


def reread_otherwise(carrier: Carrier, found: Outcome) -> list[str]:
    """The codes of events that are read otherwise from what is kept of them."""
    return [
        event.wording.raw_code
        for event in kept(carrier, found)
        if carrier.reread(event.wording) != event.wording.reading
    ]


def with_another_map(carrier: Carrier, keep: int) -> Carrier:
    """Half of its codes unknown, and the others meaning what half of them meant before."""
    rules = carrier.manifest.rules
    readings = [rule.reading for rule in rules.status]
    # Only the exceptions move: whose phase is which decides what is told beside an event.
    status = [
        replace(rule, reading=replace(rule.reading, sub_status=other.sub_status))
        for rule, other in zip(rules.status, reversed(readings), strict=True)
    ]
    changed = Rules.of(status[keep::2], rules.wording[keep::2])
    return replace(carrier, manifest=replace(carrier.manifest, rules=changed))


@pytest.mark.parametrize(("carrier", "case"), CASES, ids=name_of)
def test_what_is_kept_of_a_sample_is_read_as_it_was_told(carrier: Carrier, case: Case) -> None:
    answer = Answer(case.status, {}, case.body)
    assert reread_otherwise(carrier, reader(carrier).outcome(case.item, answer)) == []
    for keep in (0, 1):
        changed = with_another_map(carrier, keep)
        assert reread_otherwise(changed, reader(changed).outcome(case.item, answer)) == []


def test_a_reading_that_needs_more_than_is_kept_is_noticed() -> None:
    carrier = CATALOGUE.get("ups")
    assert carrier is not None
    forgetful = replace(carrier)
    forgetful.__dict__["_reread"] = by_text(carrier.manifest)
    noticed = [
        reread_otherwise(forgetful, reader(carrier).outcome(case.item, Answer(200, {}, case.body)))
        for case in cases(carrier)
    ]
    assert any(noticed)


def test_a_changed_reading_is_noticed() -> None:
    carrier, case = CASES[0]
    for carrier, case in CASES:
        changed = case.body.replace(b'"delivered"', b'"transit"')
        if changed != case.body and case.expected and case.expected["kind"] == "Found":
            answer = Answer(case.status, {}, changed)
            assert outcome_document(reader(carrier).outcome(case.item, answer)) != case.expected
            return
    pytest.fail("no sample holds a delivery")


# Recordings that are not part of the project, where they lie beside it. --------------------------


# Answers to other questions than the ones we ask, or in another form than the carrier documents.
NOT_FOR_US = {
    "status-v2-official-updatedshipments.json": "a feed of changed parcels",
    "group-tracking-v1.json": "a program's own test, whose events have other names than documented",
}
WITHOUT_EVENTS = re.compile(
    r"-error\b|-fault|not-found|no-data|nocurrent|invalid-number|exception|created-2|envios-2"
)
EVENTS = {
    "amazon": {"karrio-fixture": 3, "sp-api-sandbox-1": 1, "sp-api-sandbox-2": 1},
    "bpost": {"tracking-info-delivered": 3},
    "chronopost": {"track-skybill-v2-delivered": 9},
    "colissimo": {"suivi-v2-international-delivered": 9},
    "correos": {"tracking-search-preregistered": 1},
    "correos_express": {"seguimiento-envios": 1},
    "dhl": {"unified-shipments": 1},
    "dhl_de": {"parcel-de-piece-detail": 7},
    "dhl_express": {"mydhl-tracking": 2, "xmlpi-delivered": 16},
    "dhl_parcel_iberia": {"cimapi-track-events": 1},
    "dpd": {"parcel-life-cycle-v2": 15},
    "fedex": {"track-v1-doc-example": 1},
    "geodis": {"zoomsuivis": 7},
    "gls_eu": {
        "group-tracking-in-transit": 2,
        "group-tracking-reference-two-parcels-intransit": 1,
        "group-tracking-without-errors": 2,
    },
    "hermes_de": {"hsi-shipmentinfo-delivered": 4},
    "inpost_pl": {"shipx-tracking": 3},
    "mondial_relay": {"tracing-colis-detaille": 2},
    "poste_italiane": {"parcel-tracking-documented": 1},
    "postnl": {
        "status-v2-completestatus": 3,
        "status-v2-completestatus2": 1,
        "status-v2-currentstatus": 1,
        "status-v2-currentstatus2": 1,
        "status-v2-official-current": 1,
    },
    "postnord": {"v5-shipment-details": 1},
    "royal_mail": {"tracking-v2-events": 1},
    "seur": {"tracking-services-extended-partial": 1},
    "spring": {"xbs-track-delivered": 2, "xbs-track-stub-created": 1},
    "tipsa": {"dinapaq-envialia": 4},
    "tnt_it": {"expressconnect-track-v3": 1},
    "ups": {"track-v1-doc-example": 1},
}
"""How many the answer has of its parcel, or of the one with the most, as counted in the file."""
STATUSES = (200, 400, 401, 404, 500)


def recordings() -> Iterator[tuple[Carrier, Path]]:
    for carrier in ASKABLE:
        for path in sorted((RECORDED / carrier.manifest.code).glob("*.*")):
            if path.suffix in (".json", ".xml") and path.name not in NOT_FOR_US:
                yield carrier, path


@pytest.mark.parametrize(("carrier", "path"), list(recordings()), ids=name_of)
def test_a_recording_is_read(carrier: Carrier, path: Path) -> None:
    """Each of its events and no unknown code; of a refusal nothing, whatever its status is."""
    body = path.read_bytes()
    words = [word for text in _texts(path) for word in (text, *text.split())]
    events = EVENTS.get(carrier.manifest.code, {}).get(path.stem, 0)
    outcomes = [
        reader(carrier).outcome(Item("x", number), Answer(status, {}, body))
        for number in {word for word in words if 2 < len(word) < 40}
        for status in ((200,) if events else STATUSES)
    ]
    found = [one for one in outcomes if isinstance(one, Found)]
    assert (events == 0) == bool(WITHOUT_EVENTS.search(path.stem)), "counted, or a refusal"
    assert max((len(one.scans) for one in found), default=0) == events
    for one in found:
        assert [scan.raw_code for scan in one.scans if scan.reading == UNREAD] == []
        assert reread_otherwise(carrier, one) == []


def _texts(path: Path) -> list[str]:
    if path.suffix == ".json":
        return list(strings(orjson.loads(path.read_bytes())))
    told = re.findall(r'>([^<>]+)<|="([^"<>]+)"', path.read_text())
    return [text or attribute for text, attribute in told]


# The largest answers: a parser gives an outcome, soon. What else may come: promises/parser_fuzz.py.


def check(carrier: Carrier, case: Case, status: int, body: bytes) -> None:
    begun = time.process_time()
    outcome = reader(carrier).outcome(case.item, Answer(status, {}, body))
    assert isinstance(outcome, get_args(Outcome))
    # The bar is 0.25 s on a quiet machine; this one is shared.
    assert time.process_time() - begun < 1
    orjson.dumps(outcome_document(outcome))
    assert "\\u0000" not in orjson.dumps(outcome_document(outcome)).decode()


@pytest.mark.parametrize("carrier", ASKABLE, ids=name_of)
def test_a_megabyte_is_read_in_time(carrier: Carrier) -> None:
    for case in cases(carrier):
        for filler in (b"[" * 1_000_000, b'{"a":' * 200_000, b" " * 999_999 + b"1"):
            check(carrier, case, 200, filler)
        for many in (50, 300, 5_000):
            body = swollen(case.body, many)
            if len(body) <= 1_048_576:
                check(carrier, case, 200, body)


@pytest.mark.parametrize("carrier", ASKABLE, ids=name_of)
def test_depth_that_can_be_read_and_not_written_gives_an_outcome(carrier: Carrier) -> None:
    deep = b'{"deep":' + b"[" * 600 + b"]" * 600 + b","
    for case in cases(carrier):
        if not is_xml(case.body):
            body = orjson.dumps(orjson.loads(case.body)).replace(b'{"', deep + b'"')
            for status in {200, case.status}:
                check(carrier, case, status, body)
