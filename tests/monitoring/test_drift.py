"""An unknown field in one answer is told, counted and kept within that check, until accepted."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import orjson
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tests.monitoring.conftest import House
from tests.monitoring.test_live import SCAN

from milepost.carriers.answer_shape import Unknown
from milepost.carriers.answer_tree import read_json
from milepost.carriers.connector import Credential, Found, Item, NotFound, Outcome
from milepost.carriers.exchange import Asks
from milepost.carriers.registry import Carrier
from milepost.carriers.shapes import shape_of
from milepost.db.pool import Pool
from milepost.monitoring import drift
from milepost.monitoring.drift import Drifts, accept_drift, drift_of, is_pushed
from milepost.parcels.unmapped import UnmappedCodes
from milepost.tracking.events import Event
from milepost.tracking.vocabulary import UNREAD

CODE = "postnl"


@dataclasses.dataclass
class Reads:
    """A connector that takes an answer apart as all do, and makes of it what the test wants."""

    body: bytes
    outcome: Outcome

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        read_json(self.body)
        return dict.fromkeys(items, self.outcome)


def unmapped(_carrier: str, _code: str) -> bool:
    return False


def counted(kind: str) -> float:
    labels = {"carrier": CODE, "kind": kind}
    return REGISTRY.get_sample_value("milepost_carrier_drift_total", labels) or 0.0


def answers(
    monkeypatch: pytest.MonkeyPatch, document: object, outcome: Outcome | None = None
) -> None:
    reads = Reads(orjson.dumps(document), outcome or NotFound())
    monkeypatch.setattr(Carrier, "connector", lambda self: reads)


@pytest.fixture
async def watched(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    await house.credentials.set_for_account(house.account, CODE, {"api_key": "k"})
    await house.register(carrier_code=CODE, tracking_number="3SABCD0000001")
    return house


async def due(house: House) -> None:
    await house.run("UPDATE watch SET due_at = now()")


async def test_an_unknown_field_is_told_within_one_check(
    watched: House, admin_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, {"newField": {"name": "Anna Schmidt"}})
    before = counted("field")
    with capture_logs() as lines:
        assert await watched.check(CODE) == 1
    assert counted("field") == before + 1
    told = [line for line in lines if line["event"] == "carrier drift"]
    assert [(line["carrier_code"], line["reason"]) for line in told] == [
        (CODE, "unknown field newField")
    ]
    assert "Anna" not in repr(lines)
    carrier = watched.catalogue.get(CODE)
    assert carrier is not None
    [one] = await drift_of(watched.pool, carrier, unmapped)
    assert (one.kind, one.what, one.seen) == ("field", "newField", 1)
    # The next answers are counted and kept by and by, and told in the log no more.
    await due(watched)
    with capture_logs() as lines:
        assert await watched.check(CODE) == 1
    assert [line for line in lines if line["event"] == "carrier drift"] == []
    await watched.checker.drifts.keep()
    [one] = await drift_of(watched.pool, carrier, unmapped)
    assert one.seen == 2
    # Accepted: no alarm in this process nor in the next.
    assert await accept_drift(admin_pool, carrier, unmapped) == 1
    assert await drift_of(watched.pool, carrier, unmapped) == []
    await watched.checker.drifts.keep()
    before = counted("field")
    await due(watched)
    await watched.check(CODE)
    async with Drifts(watched.pool).watching(carrier):
        read_json(b'{"newField": 1}')
    assert counted("field") == before


async def test_what_is_known_costs_no_row(watched: House, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {})
    assert await watched.check(CODE) == 1
    carrier = watched.catalogue.get(CODE)
    assert carrier is not None
    assert await drift_of(watched.pool, carrier, unmapped) == []


async def test_an_unknown_code_is_told_within_one_check(
    watched: House, admin_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = dataclasses.replace(SCAN, scan_class="Z9", raw_code="Z9", reading=UNREAD)
    answers(monkeypatch, {}, Found((scan,), complete=True))
    before = counted("code")
    with capture_logs() as lines:
        assert await watched.check(CODE) == 1
    assert counted("code") == before + 1
    assert [line["reason"] for line in lines if line["event"] == "carrier drift"] == [
        "unknown code Z9"
    ]
    carrier = watched.catalogue.get(CODE)
    assert carrier is not None
    [one] = await drift_of(watched.pool, carrier, unmapped)
    assert (one.kind, one.what, one.seen) == ("code", "Z9", 1)
    # An account is not told what others met; a code that has a rule by now is none any more.
    assert await drift_of(watched.pool, carrier, None) == []
    assert await drift_of(watched.pool, carrier, lambda _, code: code == "Z9") == []
    assert await accept_drift(admin_pool, carrier, unmapped, ["other"]) == 0
    assert await accept_drift(admin_pool, carrier, unmapped, ["Z9"]) == 1
    assert await drift_of(watched.pool, carrier, unmapped) == []
    # A worker that begins heeds what was accepted before.
    begun, before = UnmappedCodes(), counted("code")
    await begun.keep(watched.pool)
    begun.note([cast(Event, SimpleNamespace(carrier_code=CODE, wording=scan))])
    assert counted("code") == before


async def test_a_form_of_its_own_fills_no_table(
    watched: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "MOST", 3)
    drifts = Drifts(watched.pool)
    await drifts.note(CODE, {Unknown("field", f"f{n}"): 1 for n in range(9)})
    await Drifts(watched.pool).note(CODE, {Unknown("field", "other"): 1})
    # Nor do pushes use up the room of answers.
    await drifts.note(CODE, {Unknown("field", f"push/f{n}"): 1 for n in range(9)})
    carrier = watched.catalogue.get(CODE)
    assert carrier is not None
    found = await drift_of(watched.pool, carrier, unmapped)
    assert Counter(is_pushed(one) for one in found) == {True: 3, False: 3}


async def test_what_the_catalogue_learnt_since_is_no_drift(watched: House) -> None:
    carrier = watched.catalogue.get(CODE)
    assert carrier is not None
    shape = shape_of(carrier)
    assert shape is not None
    known = "CurrentStatus/Shipment/Barcode"
    assert shape.knows(Unknown("field", known))
    await Drifts(watched.pool).note(CODE, {Unknown("field", known): 1})
    assert await drift_of(watched.pool, carrier, unmapped) == []
