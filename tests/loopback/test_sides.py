"""Every carrier's protocol over a real socket: asked as documented it answers, else it refuses."""

import dataclasses
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.carriers.loopback import carrier, connector
from tests.loopback.asked import Asked
from tests.loopback.server import CarrierServer, Entry, all_sides, carrier_server
from tests.loopback.side import Side, expectation

from milepost.carriers.connector import (
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    Refused,
)
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import outcome_document
from milepost.carriers.tokens import PAUSES

SIDES = all_sides()
WITH_LOGIN = [code for code, side in SIDES.items() if side.login]
FIELDS = [(code, name) for code in WITH_LOGIN for name in SIDES[code].login]
TIER_A = {one.manifest.code for one in Catalogue.load() if one.manifest.tier == "A"}


@pytest.fixture
async def server() -> AsyncIterator[CarrierServer]:
    async with carrier_server() as running:
        yield running


def login_of(code: str, **changed: str) -> Credential:
    side = SIDES[code]
    return Credential("operator", {**side.login, **side.more, **changed})


async def ask(
    server: CarrierServer, made: Connector, login: Credential, *numbers: str
) -> list[Outcome]:
    """What is found out about some numbers, asked together where the carrier knows batches."""
    items = [Item(str(place), number) for place, number in enumerate(numbers)]
    async with Fetcher(routes=server.routes) as fetcher:
        told = await made.ask(items, login, fetcher)
    return [told[item] for item in items]


def test_every_carrier_of_the_first_tier_is_described() -> None:
    assert SIDES.keys() == TIER_A


@pytest.mark.parametrize("code", SIDES)
async def test_numbers_are_told_as_the_samples_tell_them(code: str, server: CarrierServer) -> None:
    known, made = SIDES[code].known(), connector(code)
    batch = carrier(code).manifest.batch_size > 1
    several = [*known, SIDES[code].nobodys]
    for numbers in [several] if not batch else [several, *([one] for one in several)]:
        outcomes = await ask(server, made, login_of(code), *numbers)
        for number, outcome in zip(numbers, outcomes, strict=True):
            if number == SIDES[code].nobodys:
                assert outcome == NotFound()
                continue
            expected = expectation(code, known[number])["outcome"]
            told = outcome_document(outcome)
            assert told["scans"] == expected["scans"]
            assert told.get("signed_by") == expected.get("signed_by")
    assert server.faults == []
    assert server.sides[code].grants.given <= 1


@pytest.mark.parametrize(("code", "field"), FIELDS)
async def test_a_wrong_login_is_refused(code: str, field: str, server: CarrierServer) -> None:
    wrong = login_of(code, **{field: SIDES[code].login[field] + "x"})
    number = next(iter(SIDES[code].known()))
    [outcome] = await ask(server, connector(code), wrong, number)
    assert isinstance(outcome, Refused)
    # A token that is refused as soon as it was given may be another process's doing, for a while.
    assert outcome.credential_refused or outcome.retry_after == PAUSES[0]
    assert server.ledger != []
    # The signature or token of a wrong login is not taken either.
    assert server.ledger[-1].refused


@pytest.mark.parametrize("code", SIDES)
async def test_a_token_for_one_question_is_followed_by_another(
    code: str, server: CarrierServer
) -> None:
    grants, known = server.sides[code].grants, SIDES[code].known()
    grants.uses = 1
    made, number = connector(code), next(iter(known))
    for _ in range(2):
        [outcome] = await ask(server, made, login_of(code), number)
        assert isinstance(outcome, Found)
    assert server.faults == []
    assert grants.given in (0, 2)


@pytest.mark.parametrize("code", SIDES)
async def test_over_quota_everybody_waits(code: str, server: CarrierServer) -> None:
    server.sides[code].calls_left = 0
    number = next(iter(SIDES[code].known()))
    [outcome] = await ask(server, connector(code), login_of(code), number)
    assert isinstance(outcome, Refused)
    assert not outcome.credential_refused
    assert outcome.retry_after in (7, 60)


# The servers themselves: what they look at matters. ----------------------------------------------


def spoilt(asked: Asked) -> Iterator[tuple[str, Asked]]:
    """The question with one thing wrong in each: everything the server looked at, and more."""
    yield "method", dataclasses.replace(asked, method="PATCH")
    yield "path", dataclasses.replace(asked, path=asked.path + "/x")
    for kind, name in sorted(asked.heeded):
        match kind:
            case "header":
                others = {key: told for key, told in asked.headers.items() if key != name}
                yield f"without header {name}", dataclasses.replace(asked, headers=others)
            case "query":
                left = {key: told for key, told in asked.query.items() if key != name}
                yield f"without parameter {name}", dataclasses.replace(asked, query=left)
            case "body":
                yield "no body", dataclasses.replace(asked, body=b"")
                yield "half a body", dataclasses.replace(asked, body=asked.body[:-9])


def answered(server: CarrierServer, entry: Entry) -> bool:
    """Whether a question that is put once more is answered."""
    before = len(server.ledger)
    told = server.tell(entry.host, entry.asked)
    return len(server.ledger) > before and not server.ledger[-1].refused and told.status < 500


def fresh(asked: Asked) -> Asked:
    """With nothing looked at; what must be another each time is another."""
    more = {"transid": "another"} if "transid" in asked.headers else {}
    return dataclasses.replace(asked, heeded=set(), headers={**asked.headers, **more})


@pytest.mark.parametrize("code", SIDES)
async def test_a_spoilt_question_is_refused(code: str, server: CarrierServer) -> None:
    number = next(iter(SIDES[code].known()))
    await ask(server, connector(code), login_of(code), number)
    asked = list(server.ledger)
    assert asked
    for entry in asked:
        again = dataclasses.replace(entry, asked=fresh(entry.asked))
        assert answered(server, again), "as it was asked, it is answered"
        for what, wrong in spoilt(dataclasses.replace(again.asked, heeded=entry.asked.heeded)):
            assert not answered(server, dataclasses.replace(entry, asked=wrong)), what
        if SIDES[code].login:
            assert entry.asked.heeded, "a carrier with a login looks at something"


@pytest.mark.parametrize("code", ["postnl", "ups"])
async def test_a_server_that_takes_anything_is_noticed(
    code: str, server: CarrierServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: nothing is compared any more."""
    monkeypatch.setattr(Side, "wants", lambda self, condition, refusal: None)
    monkeypatch.setattr(Asked, "must", lambda self, condition, what: None)
    wrong = {name: told + "x" for name, told in SIDES[code].login.items()}
    number = next(iter(SIDES[code].known()))
    [outcome] = await ask(server, connector(code), login_of(code, **wrong), number)
    assert isinstance(outcome, Found)
