"""A feed of changes: asked in the carrier's slots, from where it was left; kept with its place."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from tests.carriers.loopback import serving
from tests.intake.told import Told

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import Credential
from milepost.carriers.fetcher import Line
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.errors import NoSlot
from milepost.intake.feeds import Feeds
from milepost.intake.turns import Intake, Turn

NUMBER = "3SMLPT100000017"
LOGIN = {"api_key": "k", "customer_number": "11223344", "calls_per_second": "1000"}


@dataclass
class PostNl:
    """Its host: what it is asked, and what it answers."""

    answer: Any = field(default_factory=list)
    status: int = 200
    asked: list[list[str]] = field(default_factory=list)

    async def changed(self, request: web.Request) -> web.Response:
        assert request.headers["apikey"] == "k"
        assert request.match_info["customer"] == "11223344"
        self.asked.append(request.query.getall("period"))
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
def postnl() -> PostNl:
    return PostNl()


@pytest.fixture
async def intake(
    told: Told, postnl: PostNl, catalogue: Catalogue, secret_keys: SecretKeys, worker_pool: Pool
) -> AsyncIterator[Intake]:
    route = web.get("/shipment/v2/status/{customer}/updatedshipments", postnl.changed)
    credentials = CredentialStore(worker_pool, secret_keys, keep_seconds=0)
    async with serving([route], "api.postnl.nl") as fetcher:
        asked = Feeds(worker_pool, catalogue, credentials, fetcher)
        yield Intake(worker_pool, told.inbox, asked)


@pytest.fixture
async def logged_in(told: Told, admin_pool: Pool, secret_keys: SecretKeys) -> None:
    await CredentialStore(admin_pool, secret_keys).set_for_account(told.account, "postnl", LOGIN)


def changed(number: str) -> dict[str, Any]:
    return {"Barcode": number, "Status": {"Timestamp": "2026-11-19T02:17:49", "StatusCode": "5"}}


@pytest.mark.usefixtures("logged_in")
async def test_what_changed_has_the_parcel_asked_and_nobody_elses_is_kept(
    told: Told, intake: Intake, postnl: PostNl
) -> None:
    await told.register(NUMBER, "postnl_large")
    await told.run("UPDATE watch SET due_at = now() + interval '9 hours'")
    assert await intake.plan_feeds() == 1
    feed = Turn(told.account, "feed:postnl")
    assert await intake.due(9) == [feed]
    postnl.answer = [changed(NUMBER), changed("3SMLPT100000099"), {}]
    assert await intake.take(feed) == 1
    assert await told.run("SELECT count(*) FROM push_payload") == 1
    assert await intake.due(9) == [Turn(told.account, "push")]
    assert await intake.take(Turn(told.account, "push")) == 1
    assert await told.run("SELECT due_at <= now() FROM watch")
    assert await told.run("SELECT count(*) FROM push_payload") == 0
    # Not its turn: nobody else asks, and nothing is told twice.
    assert await intake.take(feed) == 0
    assert len(postnl.asked) == 1


@pytest.mark.usefixtures("logged_in")
async def test_it_goes_on_from_where_it_was_left_without_a_gap(
    told: Told, intake: Intake, postnl: PostNl
) -> None:
    await told.register(NUMBER, "postnl")
    await intake.plan_feeds()
    feed = Turn(told.account, "feed:postnl")
    await intake.take(feed)
    await told.run("UPDATE feed SET told_until = now() - interval '150 minutes'")
    for status in (200, 503, 200, 200):
        postnl.status = status
        await told.run("UPDATE intake_turn SET turn_at = now() WHERE queue <> 'push'")
        await intake.take(feed)
        assert await told.run("SELECT misses FROM feed") == (status == 503)
    first, failed, again, last = postnl.asked[1:]
    assert failed == again
    assert [first[1], again[1]] == [again[0], last[0]]
    until = await told.run("SELECT told_until FROM feed")
    assert timedelta(0) < datetime.now(UTC) - until < timedelta(minutes=3)
    assert await told.run("SELECT turn_at > now() + interval '5 minutes' FROM intake_turn")


async def test_without_a_login_of_its_own_an_account_has_no_feed(
    told: Told, intake: Intake, postnl: PostNl, admin_pool: Pool, secret_keys: SecretKeys
) -> None:
    await told.register(NUMBER, "postnl")
    store = CredentialStore(admin_pool, secret_keys)
    await store.set_for_operator("postnl", LOGIN)
    assert await intake.plan_feeds() == 0
    await store.set_for_account(told.account, "postnl", {"api_key": "k"})
    assert await intake.plan_feeds() == 0
    await store.set_for_account(told.account, "postnl", LOGIN)
    assert await intake.plan_feeds() == 1
    await store.set_for_account(told.account, "postnl", None)
    assert await intake.take(Turn(told.account, "feed:postnl")) == 0
    assert await intake.due(9) == []
    assert postnl.asked == []
    await store.set_for_account(told.account, "postnl", LOGIN)
    await intake.plan_feeds()
    assert await intake.due(9) == [Turn(told.account, "feed:postnl")]


@pytest.mark.usefixtures("logged_in")
async def test_a_probe_that_was_not_asked_is_anothers_at_once(
    told: Told, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.register(NUMBER, "postnl")
    await intake.plan_feeds()
    owner = f"account:{told.account}"
    await told.pool.execute(
        "INSERT INTO carrier_budget (carrier_code, owner, open_until, opened)"
        " VALUES ('postnl', $1, now() - interval '1 s', 1)",
        owner,
    )

    async def too_late(*_: object) -> None:
        raise NoSlot("quota", 3)

    monkeypatch.setattr(Line, "fetch", too_late)
    assert await intake.take(Turn(told.account, "feed:postnl")) == 0
    probes = await told.pool.fetch("SELECT probe, probe_until, open_until FROM carrier_budget")
    ((probe, taken_until, open_until),) = probes
    assert probe > 0
    assert taken_until is None
    assert open_until is not None


@pytest.mark.parametrize(
    ("since", "until", "period"),
    [
        ((7, 1, 10, 0), (7, 1, 10, 30), ["2026-07-01T12:00:00", "2026-07-01T12:30:00"]),
        # 25 October 2026, 3:00 becomes 2:00: both hours are asked for.
        ((10, 25, 0, 50), (10, 25, 1, 20), ["2026-10-25T01:50:00", "2026-10-25T03:20:00"]),
        ((3, 29, 0, 50), (3, 29, 1, 20), ["2026-03-29T01:50:00", "2026-03-29T03:20:00"]),
    ],
)
def test_a_period_holds_every_moment_that_is_meant(
    catalogue: Catalogue, since: tuple[int, ...], until: tuple[int, ...], period: list[str]
) -> None:
    carrier = catalogue.get("postnl")
    assert carrier is not None
    month, day, hour, minute = since
    first = datetime(2026, month, day, hour, minute, tzinfo=UTC)
    month, day, hour, minute = until
    last = datetime(2026, month, day, hour, minute, tzinfo=UTC)
    asked = carrier.changes_reader.request(
        carrier.manifest, Credential("account:1", LOGIN), first, last
    )
    assert [value for _, value in asked.query] == period
