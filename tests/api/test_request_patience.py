"""All that one request asks of the database shares one time; what many requests share does not."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from pydantic import SecretStr
from tests.api.fake_api import Client, started
from tests.api.own_api import BATCH, own_api
from tests.api.samples import POST, registration
from tests.chaos.tcp_proxy import tcp_proxy
from tests.conftest import execute
from tests.parcels.conftest import registration as to_register
from tests.unhurried import IN_USE

from milepost import wiring
from milepost.accounts import keys as accounts
from milepost.accounts.gatekeeper import Gatekeeper
from milepost.accounts.secret_keys import SecretKeys
from milepost.api import bodies, deadlines
from milepost.api.app import Application
from milepost.api.guard import Guard
from milepost.db import patience
from milepost.db.cluster import SOCKET_NAME
from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable
from milepost.parcels.erase import erase
from milepost.settings import Settings
from milepost.wiring import ApiParts, api_parts

T = TypeVar("T")
Ask = Callable[[], Awaitable[Any]]
LONG = 600.0


@pytest.fixture(autouse=True)
def _as_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request has for its database, which other tests do not look at."""
    monkeypatch.setattr(patience, "ANSWER_SECONDS", IN_USE)
    monkeypatch.setattr(deadlines, "ANSWER_SECONDS", IN_USE)


def settings_for(dsn: str) -> Settings:
    return Settings(database_url=SecretStr(dsn), secret_key=SecretStr("0" * 64))


@asynccontextmanager
async def client_of(dsn: str, key: accounts.NewKey) -> AsyncIterator[Client]:
    """A client of the whole API, credentials and budgets included."""
    user = f"{key.key.public_key}:{key.secret_key}".encode()
    async with started(Application(settings_for(dsn), wiring.api_parts)) as app:
        yield Client(app, b"Basic " + base64.b64encode(user))


@pytest.fixture
async def key(admin_pool: Pool, account: int, dsn: str) -> accounts.NewKey:
    keys = SecretKeys.load(settings_for(dsn), embedded=False)
    return await accounts.create_key(admin_pool, keys, account)


async def in_request(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """``work`` as a request does it that has so long for its database."""
    running = deadlines.Deadlines()
    deadline = running.start(LONG)
    deadline.answer_by += seconds - patience.ANSWER_SECONDS
    patience.of_request.set(deadline)
    try:
        return await work()
    finally:
        running.close(deadline)


# Of a whole request ---------------------------------------------------------------------------


async def test_far_from_its_database_a_request_has_one_time_for_all_it_asks(
    dsn: str, key: accounts.NewKey
) -> None:
    """Who calls, what is left of the budget, the look-up: each in time, all together not."""
    parts = urlsplit(dsn)
    socket = Path(parse_qs(parts.query)["host"][0]) / SOCKET_NAME
    async with tcp_proxy(socket) as proxy:
        far = f"postgresql://milepost@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable"
        async with client_of(far, key) as client:
            assert (await client.get(f"{POST}/3S1")).status == 404
            # Until the caller is forgotten: then all three are asked again.
            await asyncio.sleep(1)
            proxy.delay = patience.ANSWER_SECONDS / 5
            got = await client.get(f"{POST}/3S1")
            proxy.delay = 0
            assert got.status == 503
            assert int(got.headers["retry-after"]) > 0
            assert (await client.get(f"{POST}/3S1")).status == 404


@asynccontextmanager
async def commits_that_wait(dsn: str) -> AsyncIterator[None]:
    """No commit is answered until the end of the block: they wait for a standby that is none.

    The server heeds a setting when it gets to it: both ends are seen at a commit of our own.
    """
    reload = "SELECT pg_reload_conf()"
    waits = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $1"
    one, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await execute(dsn, "ALTER SYSTEM SET synchronous_standby_names = 'gone'", reload)
    try:
        while True:
            write = one.execute("SELECT pg_logical_emit_message(true, 'milepost', '')")
            commit = asyncio.create_task(write)
            while not commit.done() and not await other.fetchval(waits, one.get_server_pid()):
                await asyncio.sleep(0.01)
            if not commit.done():
                break
        yield
    finally:
        await execute(dsn, "ALTER SYSTEM RESET synchronous_standby_names", reload)
    await commit
    await one.close()
    await other.close()


async def test_a_commit_without_an_answer_is_a_503_and_its_key_gives_the_answer_later(
    dsn: str, account: int
) -> None:
    """As if a standby had gone: the commit is sent, and happens, and nobody is told."""
    once = {"idempotency_key": "7"}
    made = "SELECT count(*) FROM idempotency_key"
    connection = await asyncpg.connect(dsn)
    async with own_api(dsn, account) as (client, _):
        # After it nothing but the parcel's own transaction has anything to commit.
        assert (await client.post(POST, registration("3S0", source_id="0"))).status == 200
        async with commits_that_wait(dsn):
            got = await client.post(POST, registration(), **once)
        assert got.status == 503
        assert int(got.headers["retry-after"]) > 0
        while await connection.fetchval(made) == 0:
            await asyncio.sleep(0.05)
        again = await client.post(POST, registration(), **once)
        assert (again.status, again.document["tracking_numbers"][0]["tracking_number"]) == (
            200,
            "3S1",
        )
    await connection.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands still."""
    made = SimpleNamespace(now=1000.0)
    for module in (bodies, deadlines, patience):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


async def left_in(path: str, clock: SimpleNamespace) -> list[float | None]:
    """What a request has left when it was let in (a second later) and when its body is there."""
    found: list[float | None] = []

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        found.append(patience.left())
        await receive()
        found.append(patience.left())
        # In a task, others may wait for it.
        found.append(await asyncio.create_task(_left()))

    async def receive() -> dict[str, Any]:
        clock.now += 20
        return {"type": "http.request", "body": b"{}"}

    class Door:
        def known(self, _scope: Any) -> None:
            return None

        async def admit(self, _scope: Any) -> Any:
            assert patience.left() == patience.ANSWER_SECONDS
            clock.now += 1
            return SimpleNamespace(headers=())

    async def send(_message: Any) -> None:
        raise AssertionError("nothing is answered")

    door: Any = Door()
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    await Guard(app, door, Settings())(scope, receive, send)
    return found


async def _left() -> float | None:
    return patience.left()


async def test_its_time_starts_before_the_door_and_stands_still_while_the_body_comes(
    clock: SimpleNamespace,
) -> None:
    rest = patience.ANSWER_SECONDS - 1
    assert await left_in(POST, clock) == [rest, rest, None]
    assert patience.left() is None, "a request that is over limits nothing"


async def test_a_batch_is_limited_question_by_question(clock: SimpleNamespace) -> None:
    assert await left_in(BATCH, clock) == [None, None, None]


# Of its questions -----------------------------------------------------------------------------


async def test_questions_share_what_is_left_and_none_is_asked_when_nothing_is(
    app_pool: Pool, dsn: str
) -> None:
    asked: list[str] = []

    async def ask(statement: str) -> Any:
        async def once() -> Any:
            asked.append(statement)
            return await app_pool.fetchval(statement)

        return await retrying(once)

    async def several() -> None:
        with pytest.raises(DatabaseUnavailable):
            await ask("SELECT pg_sleep(2)")
        with pytest.raises(DatabaseUnavailable):
            await ask("SELECT 1")

    # Less than 2 s, as every question has, is what this request has.
    await in_request(1, several)
    assert asked == ["SELECT pg_sleep(2)"]
    assert await ask("SELECT 1") == 1
    # PostgreSQL doesn't go on with what nobody waits for.
    connection = await asyncpg.connect(dsn)
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1"
    while await connection.fetchval(running, "SELECT pg_sleep%"):
        await asyncio.sleep(0.05)
    await connection.close()


async def test_erasing_has_a_time_of_its_own(app_pool: Pool, account: int) -> None:
    assert await in_request(-1, lambda: erase(app_pool, account, 1, "cli")) is None


@pytest.mark.parametrize(
    "what", ["credentials", "budget", "look-up", "registration", "recognition"]
)
async def test_a_shared_question_goes_on_when_the_first_who_waits_is_out_of_time(
    what: str, dsn: str, key: accounts.NewKey
) -> None:
    tables = (
        "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE relkind IN ('r', 'p')"
    )
    holder = await asyncpg.connect(dsn)
    async with api_parts(settings_for(dsn)) as parts:
        ask = await question(what, parts, key)
        await holder.execute("BEGIN")
        names = await holder.fetchval(f"{tables} AND relnamespace = 'public'::regnamespace")
        await holder.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        first = asyncio.create_task(in_request(0, ask))
        second = asyncio.create_task(in_request(LONG, ask))
        with pytest.raises(DatabaseUnavailable):
            await first
        await holder.execute("ROLLBACK")
        await second
    await holder.close()


async def question(what: str, parts: ApiParts, key: accounts.NewKey) -> Ask:
    """Something that many requests wait for together."""
    core, account_id = parts.core, key.key.account_id
    caller = await parts.gatekeeper.basic(key.key.public_key, key.secret_key)
    match what:
        case "credentials":
            fresh = Gatekeeper(core.pool, core.secret_keys)
            return lambda: fresh.basic(key.key.public_key, key.secret_key)
        case "budget":
            return lambda: parts.budgets.spend(caller, "read")
        case "look-up":
            return lambda: core.reader.read(account_id, "3S1", None, 1)
        case "recognition":
            return lambda: core.recognitions.of(account_id, "3S1")
    each = [await core.registrar.prepare(account_id, to_register()) for _ in range(2)]
    return lambda: core.registrar.store(account_id, each.pop())
