"""P15: no answer breaks a parser, makes it lose an event or find one that nobody told.

Each parser is fed ``FUZZ_ANSWERS`` (120), or for ``FUZZ_SECONDS`` where that is set: its samples
mutated, cut, damaged, in other encodings, and with one field of one event spoilt.
"""

import dataclasses
import os
import random
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import orjson
import pytest
from tests.promises.figures import keep
from tests.promises.parser_fuzz import MOST_GROWTH, Fuzz, resident

from milepost.carriers.connector import Broken, Credential, Found, Item, Outcome, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.samples import ReadsAnswers
from milepost.errors import CarrierUnreachable

ANSWERS = int(os.environ.get("FUZZ_ANSWERS", "120"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
ASKABLE = [one for one in Catalogue.load() if one.can_be_asked and one.answering is None]
WARMED_UP = 30
LONG = [300, 1_000, 5_000]
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.timeout(300 + 4 * SECONDS)]


def code_of(carrier: Carrier) -> str:
    return carrier.manifest.code


Change = Callable[[Answer, Outcome], Outcome]


def fuzz_of(carrier: Carrier, change: Change | None = None) -> Fuzz:
    made = carrier.connector()
    assert isinstance(made, ReadsAnswers)
    seed = zlib.crc32(code_of(carrier).encode())
    reader = made if change is None else Changed(made, change)
    return Fuzz(carrier, reader, random.Random(seed))


@dataclasses.dataclass
class Changed:
    """The planted fault: the real reader, and what becomes of its outcome."""

    real: ReadsAnswers
    change: Change

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        return self.change(answer, self.real.outcome(item, answer))


@pytest.mark.parametrize("carrier", ASKABLE, ids=code_of)
def test_no_answer_breaks_a_parser(carrier: Carrier) -> None:
    fuzz = fuzz_of(carrier)
    fuzz.pages()
    for _ in range(WARMED_UP):
        fuzz.feed()
    before, end = resident(), time.monotonic() + SECONDS
    fed = 0
    while fed < ANSWERS or time.monotonic() < end:
        fed += 1
        fuzz.feed()
        if SECONDS and fed % 500 == 0:
            fuzz.huge(fuzz.dice.choice(LONG))
    growth = resident() - before
    if SECONDS:
        keep(
            f"P15 parser {code_of(carrier)}",
            answers=fuzz.seen.total(),
            outcomes=dict(fuzz.seen),
            slowest_ms=round(fuzz.slowest * 1000, 1),
            grown_mb=round(growth / 1024 / 1024, 1),
        )
    assert growth <= MOST_GROWTH


def loses(answer: Answer, told: Outcome) -> Outcome:
    """Where one event has no text, the others are gone."""
    if isinstance(told, Found) and not all(scan.raw_text for scan in told.scans):
        return dataclasses.replace(told, scans=told.scans[:1])
    return told


def invents(answer: Answer, told: Outcome) -> Outcome:
    if isinstance(told, Found) and told.scans:
        more = dataclasses.replace(told.scans[-1], raw_code="QX99")
        return dataclasses.replace(told, scans=(*told.scans, more))
    return told


def believes_pages(answer: Answer, told: Outcome) -> Outcome:
    return Found((), complete=True) if isinstance(told, Broken) else told


def believes_json(answer: Answer, told: Outcome) -> Outcome:
    orjson.loads(answer.body)
    return told


def believes_objects(answer: Answer, told: Outcome) -> Outcome:
    with suppress(orjson.JSONDecodeError):
        orjson.loads(answer.body).values()
    return told


def believes_utf8(answer: Answer, told: Outcome) -> Outcome:
    answer.body.decode()
    return told


@pytest.mark.parametrize(
    "change", [loses, invents, believes_pages, believes_json, believes_objects, believes_utf8]
)
def test_a_parser_with_a_fault_is_noticed(change: Change) -> None:
    fuzz = fuzz_of(next(one for one in ASKABLE if code_of(one) == "postnl"), change)

    def feed_it() -> None:
        for _ in range(2_000):
            fuzz.feed()

    with pytest.raises((AssertionError, ValueError, AttributeError)):
        feed_it()


# Whatever a carrier does on the wire, asking gives an outcome for each parcel. -------------------


@dataclasses.dataclass
class Wire:
    """The other end of every question, tokens included; without an answer it can't be reached."""

    answer: Answer | None

    async def fetch(self, request: Request) -> Answer:
        if self.answer is None:
            raise CarrierUnreachable(f"{request.method} did not answer within 20 s")
        return self.answer


TOKEN = b'{"access_token": "t", "idToken": "t", "expires_in": 3600}'
ODD = {
    "slow": None,
    "429": Answer(429, {"retry-after": "9"}),
    "500": Answer(500, {}, b"oops"),
    "403": Answer(403),
    "page": Answer(200, {}, b"<html><body>Back soon</body></html>"),
    "empty": Answer(200),
    "token": Answer(200, {}, TOKEN),
    "deep": Answer(200, {}, b"[" * 100_000),
    "moved": Answer(302, {"location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("carrier", ASKABLE, ids=code_of)
async def test_whatever_is_on_the_wire_each_parcel_has_an_outcome(carrier: Carrier) -> None:
    login = Credential("o", {field.name: "x" for field in carrier.manifest.credential})
    items = [Item(str(place), f"AB{place}23456789") for place in range(3)]
    for name, answer in ODD.items():
        connector = dataclasses.replace(carrier).connector()
        assert connector is not None
        told = await connector.ask(items, login, Wire(answer))
        assert told.keys() == set(items), name
        wanted = Refused if name in ("429", "403") else Broken
        assert all(isinstance(one, wanted) for one in told.values()), (name, told)
