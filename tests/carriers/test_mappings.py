"""The operator's own mappings: over the manifest's, for new and for stored events."""

from dataclasses import replace

import pytest
from tests.tracking.order_free import poll, scan_at

from milepost.carriers.mappings import OWN, Mappings
from milepost.carriers.registry import Catalogue
from milepost.tracking.events import Observation, Wording
from milepost.tracking.telling import first_told
from milepost.tracking.vocabulary import UNREAD, Phase, Reading

CATALOGUE = Catalogue.load()
VERSION = 4
MAPPING = f"""
[postnl]
mapping_version = {VERSION}
status = [{{ raw = "X7", reading = ["sorted", "none", "success", "none"] }}]

[[postnl.wording]]
id = "lost"
match = ['\\blost\\b']
codes = ["X7"]
reading = ["in_transit", "none", "warning", "none"]
"""


@pytest.fixture(scope="module")
def mappings(tmp_path_factory: pytest.TempPathFactory) -> Mappings:
    file = tmp_path_factory.mktemp("own") / "mappings.toml"
    file.write_text(MAPPING)
    return Mappings.load(file, CATALOGUE)


def told(carrier: str, code: str, source: str = "poll", text: str = "") -> Observation:
    scan = replace(scan_at(60, code, "unknown unknown warning unknown"), raw_text=text)
    return replace(poll(2, scan), carrier_code=carrier, source=source)


def wording(observation: Observation) -> Wording:
    return first_told("key", observation.scans[0], observation).wording


def test_what_is_told_from_now_on_is_read_by_them(mappings: Mappings) -> None:
    (scan,) = mappings.over(told("postnl", "X7")).scans
    manifest = CATALOGUE.get("postnl")
    assert manifest is not None
    assert scan.reading == Reading(Phase.SORTED)
    assert scan.mapping_version == OWN * VERSION + manifest.manifest.mapping_version
    assert scan.scan_class == "X7", "which scan it is never changes"
    (lost,) = mappings.over(told("postnl_large", "X7", text="Parcel  LOST")).scans
    assert lost.reading.status_type == "warning"
    for other in (told("dpd", "X7"), told("postnl", "X8"), told("postnl", "X7", "own")):
        assert mappings.over(other).scans == other.scans


def test_what_is_stored_is_read_by_them(mappings: Mappings) -> None:
    kept = wording(told("postnl_large", "X7"))
    assert mappings.read("postnl_large", kept) == (
        Reading(Phase.SORTED),
        mappings.over(told("postnl", "X7")).scans[0].mapping_version,
    )
    without = Mappings(CATALOGUE)
    assert without.read("postnl", kept) is not None
    assert (without.read("postnl", kept) or (None,))[0] == UNREAD
    own = replace(kept, source="own")
    assert mappings.read("postnl", own) is None
    assert mappings.read("nobody", kept) is None
    assert mappings.only(frozenset({"dpd"}))("postnl", kept) is None


def test_what_was_pushed_stays_where_only_its_own_reader_can_tell(mappings: Mappings) -> None:
    pushed = replace(wording(told("dpd", "P21", "push")), reading=Reading(Phase.DELIVERED))
    assert mappings.read("dpd", pushed) is None
    assert mappings.read("dpd", replace(pushed, reading=UNREAD)) is not None
    assert mappings.read("dpd", replace(pushed, source="file")) is not None


def test_rules_are_known_by_the_code_alone(mappings: Mappings) -> None:
    assert mappings.maps("postnl", "X7")
    assert mappings.maps("postnl_large", "X7")
    assert not mappings.maps("dpd", "X7")
