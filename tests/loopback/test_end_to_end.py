"""Parcels of every carrier of the first tier, from their registration over HTTP to their timeline:
one worker, one database, and on the other side servers that speak each carrier's protocol."""

import asyncio
import base64
import io
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from pydantic import SecretStr
from tests.api.fake_api import Client, started
from tests.api.samples import POST, registration
from tests.carriers.loopback import carrier
from tests.loopback.server import CarrierServer, all_sides, carrier_server
from tests.loopback.side import expectation

from milepost import observe, wiring
from milepost.accounts import keys as accounts
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.api.app import Application
from milepost.db.pool import Pool
from milepost.monitoring.claim import Lane, wake
from milepost.settings import Settings
from milepost.worker.main import run_worker

SIDES = all_sides()
NUMBERS = [
    (code, number) for code in SIDES for number in (*SIDES[code].known(), SIDES[code].nobodys)
]
PATIENCE_SECONDS = 300
ASKED = """
SELECT (SELECT coalesce(min(asked_at), 'epoch')
        FROM (SELECT coalesce(last_checked_at, 'epoch') AS asked_at FROM watch
              WHERE account_id = $1 AND due_at < 'infinity') AS asked) > $3
   AND NOT EXISTS (SELECT FROM lane WHERE account_id = $2 AND state = 'open')
"""


@pytest.fixture
def chosen(dsn: str, tmp_path: Path) -> Settings:
    observe.configure("test", io.StringIO())
    return Settings(state_dir=tmp_path, database_url=SecretStr(dsn), secret_key=SecretStr("k" * 40))


@pytest.fixture
async def application(chosen: Settings) -> AsyncIterator[Application]:
    async with started(Application(chosen, wiring.api_parts)) as running:
        yield running


async def client_of(application: Application, chosen: Settings, pool: Pool, account: int) -> Client:
    new = await accounts.create_key(pool, keys(chosen), account)
    await accounts.set_limits(pool, account, reads=0, writes=0, burst=0)
    user = f"{new.key.public_key}:{new.secret_key}".encode()
    return Client(application, b"Basic " + base64.b64encode(user))


def keys(chosen: Settings) -> SecretKeys:
    return SecretKeys.load(chosen, embedded=False)


def wanted(code: str, number: str, place: int) -> bytes:
    """A registration from shortly before the first scan the carrier knows."""
    name = SIDES[code].known().get(number)
    announced = datetime.now(UTC) - timedelta(days=1)
    if name is not None:
        scans = expectation(code, name)["outcome"]["scans"]
        announced = datetime.fromisoformat(scans[0]["moment"]["instant"]) - timedelta(hours=1)
    return orjson.dumps(
        registration(
            announced_at=f"{announced:%Y-%m-%dT%H:%M:%SZ}",
            source_id=f"order-{place}",
            tracking_number={"carrier_code": code, "tracking_number": number},
        )
    )


async def log_in(store: CredentialStore, account: int, mistyped: str = "") -> None:
    """Each carrier's login as an operator types it in, with an end it has not."""
    for code, side in SIDES.items():
        form = {field.name for field in carrier(code).manifest.credential}
        granted = dict.fromkeys(form & {"calls_per_second", "calls_per_day"}, "100000000")
        login = {name: told + mistyped for name, told in side.login.items()}
        if login:
            await store.set_for_account(account, code, {**login, **side.more, **granted})


async def work(
    server: CarrierServer, chosen: Settings, pool: Pool, dsn: str, account: int, wrong: int
) -> None:
    """The worker asks about everything, and once more about what has not arrived, when the tokens
    it knows are no good any more."""
    stop, watcher = asyncio.Event(), await asyncpg.connect(dsn)
    worker = asyncio.create_task(run_worker(chosen, stop))

    async def asked_since(moment: datetime) -> None:
        while not worker.done() and not await watcher.fetchval(ASKED, account, wrong, moment):
            await asyncio.sleep(0.1)

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asked_since(datetime(1970, 1, 2, tzinfo=UTC))
            for side in server.sides.values():
                side.grants.revoke()
            revoked = await watcher.fetchval("SELECT now()")
            for code in SIDES:
                await wake(pool, Lane(account, code))
            await asked_since(revoked)
    finally:
        await watcher.close()
        stop.set()
        await worker


Told = tuple[str, datetime, str]


def stated(document: Any) -> Counter[Told]:
    """The carrier's events as they are told to a client: what it printed, instant and phase."""
    return Counter(
        (one["stated_at"], datetime.fromisoformat(one["event_at"]), one["phase"])
        for one in document["events"]
        if one["event_type"] == "carrier"
    )


def expected(code: str, number: str) -> Counter[Told]:
    """What the sample holds, as the golden file has it."""
    name = SIDES[code].known().get(number)
    return Counter(
        (
            scan["moment"]["stated"],
            datetime.fromisoformat(scan["moment"]["instant"]).replace(microsecond=0),
            scan["reading"]["phase"],
        )
        for scan in (expectation(code, name)["outcome"]["scans"] if name else ())
    )


def but_notices(told: Counter[Told]) -> Counter[Told]:
    """An event that moves nothing is served with the phase in force."""
    return Counter({one: many for one, many in told.items() if one[2] != "none"})


def without_phase(told: Counter[Told]) -> list[tuple[str, datetime]]:
    return sorted(one[:2] for one in told.elements())


@pytest.mark.timeout(PATIENCE_SECONDS + 60)
async def test_every_carrier_is_asked_and_its_timeline_told(
    chosen: Settings,
    application: Application,
    admin_pool: Pool,
    worker_pool: Pool,
    dsn: str,
    account: int,
) -> None:
    """A second account has mistyped its logins: it is told nothing, and told why."""
    statement = "INSERT INTO account (name) VALUES ('mistyped') RETURNING account_id"
    wrong = await admin_pool.fetchval(statement)
    store = CredentialStore(admin_pool, keys(chosen))
    await log_in(store, account)
    await log_in(store, wrong, mistyped="x")
    right_one, wrong_one = [
        await client_of(application, chosen, admin_pool, one) for one in (account, wrong)
    ]
    mistyped = [(code, next(iter(side.known()))) for code, side in SIDES.items() if side.login]
    async with carrier_server() as server:
        for host, base_url in server.routes.items():
            await admin_pool.execute("INSERT INTO host_route VALUES ($1, $2)", host, base_url)
        for place, (code, number) in enumerate(NUMBERS):
            body = wanted(code, number, place)
            for asking in (right_one, wrong_one) if (code, number) in mistyped else (right_one,):
                made = await asking.ask("POST", POST, body)
                assert made.status == 200, (code, made.body)
        await work(server, chosen, worker_pool, dsn, account, wrong)
        assert server.faults == []
        given = {code: side.grants.given for code, side in server.sides.items()}
        assert set(given.values()) == {0, 2}, given
    for code, number in NUMBERS:
        document = await read(right_one, code, number)
        told, wanted_of_it = stated(document), expected(code, number)
        assert but_notices(wanted_of_it) <= told, code
        assert without_phase(told) == without_phase(wanted_of_it), code
        assert document["monitoring"]["state"] in ("watching", "ended", "stopped"), code
    for code, number in mistyped:
        document = await read(wrong_one, code, number)
        assert not stated(document)
        assert document["monitoring"]["state"] == "waiting_for_credentials", code


async def read(client: Client, code: str, number: str) -> Any:
    got = await client.get(f"{POST}/{number}?carrier_code={code}")
    assert got.status == 200, code
    return orjson.loads(got.body)
