"""What transport status codes mean: a carrier's own rules first, then the UN's table."""

import dataclasses
from datetime import UTC, datetime

import pytest

from milepost.carriers.manifest import Manifest
from milepost.carriers.registry import Catalogue
from milepost.carriers.rereading import of_file
from milepost.carriers.status_rules import Rules
from milepost.carriers.transport_status import TABLE, TransportStatus, _table, read_status
from milepost.tracking.events import Moment, Place, Wording, ZoneSource
from milepost.tracking.vocabulary import UNREAD, Phase, Reading

OWN = """status = [
    { raw = "LIV", same_as = "delivery", reading = ["delivered", "none", "success", "none"] },
    { raw = "21", reading = ["cancelled", "cancelled", "warning", "none"] },
    { raw = "022", reading = ["attempted", "none", "success", "none"] },
    { raw = "IFTSTA 31", reading = ["sorted", "none", "success", "none"] },
    { raw = "IFTSTA 31+7", same_as = "hub", reading = ["customs", "none", "success", "none"] },
]
"""


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    whole = Catalogue.load().get("geodis")
    assert whole is not None
    return dataclasses.replace(whole.manifest, rules=Rules(OWN, "a test"))


@pytest.mark.parametrize(
    ("status", "stored"),
    [
        # The carrier's own word: no number of the UN's, or another agency's.
        (TransportStatus("1", "LIV"), ("LIV", "delivery", "delivered")),
        (TransportStatus("1", "022"), ("022", "022", "attempted")),
        (TransportStatus("1", "21", agency="ZZZ"), ("21", "21", "cancelled")),
        (TransportStatus("1", "45", agency="91"), ("45", "45", "unknown")),
        # A number is the UN's, whatever the carrier calls by that number elsewhere.
        (TransportStatus("1", "21"), ("IFTSTA 21", "IFTSTA 21", "delivered")),
        (TransportStatus("1", "21", agency="6"), ("IFTSTA 21", "IFTSTA 21", "delivered")),
        # Its own rule for just this code goes first, the finer before the coarser.
        (TransportStatus("1", "31"), ("IFTSTA 31", "IFTSTA 31", "sorted")),
        (TransportStatus("1", "31", "7"), ("IFTSTA 31+7", "hub", "customs")),
        (TransportStatus("1", "31", "8"), ("IFTSTA 31+8", "IFTSTA 31+8", "sorted")),
    ],
)
def test_whose_code_it_is(
    manifest: Manifest, status: TransportStatus, stored: tuple[str, str, str]
) -> None:
    read = read_status(manifest, status, "")
    assert (read.raw_code, read.scan_class, read.reading.phase.value) == stored


def test_without_a_folder_there_is_the_table() -> None:
    failed = read_status(None, TransportStatus("1", "23", "7"), "")
    assert (failed.reading.phase, failed.reading.sub_status) == ("attempted", "company_closed")
    plain = read_status(None, TransportStatus("1", "23", "62"), "")
    assert (plain.raw_code, plain.reading.sub_status) == ("IFTSTA 23+62", "undeliverable")
    assert read_status(None, TransportStatus("1", "999"), "").reading == UNREAD
    assert read_status(None, TransportStatus("1", "XY"), "").reading == UNREAD


@pytest.mark.parametrize(
    ("release", "known"),
    [("96A", False), ("93A", False), ("90.1", False), ("96B", True), ("01B", True), ("", True)],
)
def test_numbers_that_were_others_once(release: str, known: bool) -> None:
    read = read_status(None, TransportStatus("1", "82", release=release), "")
    assert (read.reading != UNREAD) == known
    assert read_status(None, TransportStatus("1", "21", release=release), "").reading != UNREAD


def test_nothing_in_the_table_claims_to_be_known() -> None:
    assert {rule.confidence for rule in _table().status} == {"assumed"}, TABLE
    assert len(_table().by_code) == len(_table().status)


def test_what_a_file_told_is_read_once_more_by_the_rules_of_files(manifest: Manifest) -> None:
    at = Moment(
        "x", datetime(2026, 3, 2, tzinfo=UTC), "2026-03-02T00:00", "UTC", ZoneSource.CARRIER
    )

    def told(code: str, **fields: str) -> Wording:
        reading = Reading(Phase.SORTED)
        return Wording("file", at.instant, code, "", fields, Place(), at, reading, "", 0, 1)

    status = TransportStatus("1", "23", "7", release="01B")
    assert TransportStatus.of_fields(status.fields()) == status
    assert of_file(manifest, told("IFTSTA 23+7", **status.fields())).phase == "attempted"
    assert of_file(manifest, told("LIV", phase="sorted")).phase == "delivered"
    assert of_file(manifest, told("new", phase="sorted", sub_status="late")).sub_status == "late"
    assert of_file(manifest, told("new")) == UNREAD
