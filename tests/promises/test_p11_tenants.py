"""P11: tenants can't see each other. Every operation of our OpenAPI document is tried."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from tests.chaos.clients import TRACKING, document
from tests.live_server import Answer, Client, Server, running
from tests.promises.figures import keep

from milepost.db.pool import Connection, Pool, open_pool, tenant
from milepost.settings import Settings

OWN, OTHERS, ABSENT = "TENANTOWN0001", "TENANTOTH0001", "TENANTABS0001"
HEADERS_OF_THE_MOMENT = {
    "date",
    "x-request-id",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
}
SUBSCRIBED: Mapping[str, dict[str, object]] = {
    "connection": {"type": "webhook", "configuration": {"url": "https://hook.example/"}},
    "subscription": {"event_type": "parcels.event.created"},
}
NO_IDS: Mapping[str, str] = {}
TENANT_TABLES = """
SELECT table_name FROM information_schema.columns
WHERE table_schema = 'public' AND column_name = 'account_id'
  AND NOT (SELECT relispartition FROM pg_class WHERE oid = table_name::regclass) ORDER BY 1
"""
Tenant = Callable[[Pool, int], AbstractAsyncContextManager[Connection]]
pytestmark = [pytest.mark.promise, pytest.mark.beside]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two accounts, each with a parcel; ``mine`` asks. ``ids`` are the parcels' ids by number, and
    those of the connection and the subscription that go with it, by its number too."""

    mine: Client
    theirs: Client
    document: dict[str, object]
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def pair(server: Server) -> Pair:
    mine, theirs = server.account("mine"), server.account("theirs")
    assert mine.post(TRACKING, document(OWN, "slowpost")).status == 200
    assert theirs.post(TRACKING, document(OTHERS, "slowpost")).status == 200
    (listed,) = theirs.get(f"/api/milepost/v1/parcels?q={OTHERS}").document["data"]
    ids = {OTHERS: listed["parcel_id"], ABSENT: "9" * len(listed["parcel_id"]) + "99"}
    for what, given in SUBSCRIBED.items():
        named = (
            {"connection_id": int(ids[f"connection {OTHERS}"])} if what == "subscription" else {}
        )
        made = theirs.post(f"/api/v3/event-subscriptions/{what}s", given | named)
        assert made.status == 201, made.body
        ids[f"{what} {OTHERS}"] = str(made.document["data"]["id"])
        ids[f"{what} {ABSENT}"] = "9" * 12
    made = theirs.post("/api/milepost/v1/integrations", {"shop_name": "theirs"})
    assert made.status == 200, made.body
    ids[f"integration {OTHERS}"], ids[f"integration {ABSENT}"] = str(made.document["id"]), "9" * 12
    return Pair(mine, theirs, mine.get("/openapi.json").document, ids)


def operations(pair: Pair) -> list[tuple[str, str]]:
    paths = pair.document["paths"]
    assert isinstance(paths, dict)
    verbs = ("get", "post", "put", "patch", "delete", "head")
    return [(verb, path) for path, item in paths.items() for verb in item if verb in verbs]


def ask(
    client: Client, verb: str, path: str, number: str, ids: Mapping[str, str] = NO_IDS
) -> Answer:
    """An operation with ``number``, or the id behind it, wherever it takes a parcel."""
    real = path.replace("{parcel_id}", ids.get(number, number))
    for what in (*SUBSCRIBED, "integration"):
        real = real.replace(f"{{{what}_id}}", ids.get(f"{what} {number}", number))
    real = re.sub(r"\{[^}]*\}", number, real)
    if verb in ("get", "head"):
        return client.ask(verb.upper(), real)
    return client.ask(verb.upper(), real, document(number, "slowpost"))


def told(answer: Answer, number: str) -> tuple[int, dict[str, str], str]:
    """An answer without what differs from request to request anyway."""
    # Some refusals name the path: how long a body is says how long the id was that was asked for.
    differing = HEADERS_OF_THE_MOMENT | ({"content-length"} if answer.body else set())
    headers = {name: value for name, value in answer.headers.items() if name not in differing}
    text = answer.body.decode().replace(number, "NUMBER")
    return answer.status, headers, re.sub(r"\d+", "#", text)


def leaks(others: Answer, absent: Answer) -> bool:
    """Whether the answer about another's parcel differs from that about none."""
    return told(others, OTHERS) != told(absent, ABSENT)


def test_anothers_parcel_looks_like_none(pair: Pair) -> None:
    tried = operations(pair)
    by_id = "/api/milepost/v1/parcels/{parcel_id}"
    assert {("get", f"{TRACKING}/{{tracking_number}}"), ("get", by_id)} <= set(tried)
    for verb, path in tried:
        # The write last: afterwards we have parcels of our own by these numbers.
        if verb in ("get", "head"):
            # A worker may be at a parcel of ours meanwhile: compared is what holds still.
            for _ in range(20):
                others, absent, again = (
                    ask(pair.mine, verb, path, each, pair.ids) for each in (OTHERS, ABSENT, OTHERS)
                )
                if told(others, OTHERS) == told(again, OTHERS):
                    break
            assert not leaks(others, absent), (verb, path)
    for verb, path in tried:
        if verb not in ("get", "head"):
            others, absent = (
                ask(pair.mine, verb, path, each, pair.ids) for each in (OTHERS, ABSENT)
            )
            assert not leaks(others, absent), (verb, path)
    assert OTHERS in pair.theirs.get(f"{TRACKING}/{OTHERS}").body.decode()
    subscription = pair.ids[f"subscription {OTHERS}"]
    assert (
        pair.theirs.get(f"/api/v3/event-subscriptions/subscriptions/{subscription}").status == 200
    )
    shop = pair.ids[f"integration {OTHERS}"]
    assert pair.theirs.get(f"/api/v3/integrations/{shop}").status == 200
    theirs = f"/api/milepost/v1/parcels/{pair.ids[OTHERS]}"
    assert OTHERS in pair.theirs.get(theirs).body.decode(), "untouched by all that was tried"
    keep("P11 matrix", operations=len(tried), leaks=0)


def test_the_matrix_sees_an_answer_of_the_others(pair: Pair) -> None:
    """The planted bug: the other account's own answer comes out."""
    path = f"{TRACKING}/{{tracking_number}}"
    theirs = ask(pair.theirs, "get", path, OTHERS)
    assert theirs.status == 200
    assert leaks(theirs, ask(pair.mine, "get", path, "TENANTABS0002"))
    assert json.loads(theirs.body)


async def test_no_setting_no_rows_wrong_account_no_insert(dsn: str, app_pool: Pool) -> None:
    """For every tenant table, with rows of another account in it."""
    owner = await asyncpg.connect(dsn)
    tables = [row[0] for row in await owner.fetch(TENANT_TABLES)]
    assert len(tables) >= 13
    await owner.execute("SET session_replication_role = replica")
    for table in tables:
        await fill(owner, table)
        assert await owner.fetchval(f"SELECT count(*) FROM {table}") > 0, table
    for table in tables:
        assert await app_pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        async with tenant(app_pool, 1) as connection:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant(app_pool, 1) as connection:
                await fill(connection, table)
    await owner.close()


async def fill(connection: "asyncpg.Connection[asyncpg.Record] | Connection", table: str) -> None:
    """One row of account 77 with something in each column that wants it."""
    columns = await connection.fetch(
        "SELECT a.attname, format_type(a.atttypid, NULL) AS type FROM pg_attribute a "
        "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND a.attnotnull "
        "AND (a.attname = 'account_id' OR NOT a.atthasdef)",
        table,
    )
    values = {"bytea": "'\\x00'", "jsonb": "'{}'", "timestamp with time zone": "now()"}
    values |= {"text": "'number'", "boolean": "true", "tsvector": "''", "date": "now()"}
    names = ", ".join(row["attname"] for row in columns)
    chosen = {"account_id": "77"} | ({"kind": "'webhook'"} if table == "connection" else {})
    filled = ", ".join(
        chosen[row["attname"]]
        if row["attname"] in chosen
        else values.get(row["type"], "'{}'" if row["type"].endswith("[]") else "1")
        for row in columns
    )
    await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({filled})")


async def crossings(pool: Pool, accounts: list[int], each: int, as_tenant: Tenant) -> int:
    """Interleaved looks of many tenants, some given up: how many saw what is not theirs."""
    dice = random.Random(5)
    wrong = 0

    async def look(account_id: int, patience: float) -> None:
        nonlocal wrong
        async with asyncio.timeout(patience), as_tenant(pool, account_id) as connection:
            rows = await connection.fetch("SELECT account_id, pg_sleep(0.0005) FROM account")
            wrong += [row["account_id"] for row in rows] != [account_id]

    async def look_without_account() -> None:
        nonlocal wrong
        seen = await pool.fetchval("SELECT count(*) FROM account")
        wrong += seen != 0

    looks = [
        look_without_account() if dice.random() < 0.1 else look(one, dice.choice((0.003, 5, 5)))
        for _ in range(each)
        for one in accounts
    ]
    results = await asyncio.gather(*looks, return_exceptions=True)
    assert {type(each) for each in results} <= {type(None), TimeoutError}
    return wrong


@asynccontextmanager
async def session_wide(pool: Pool, account_id: int) -> AsyncIterator[Connection]:
    """The planted bug: the account stays set when the connection goes back."""
    async with pool.acquire() as connection:
        await connection.execute(f"SET milepost.account_id = '{account_id}'")
        yield connection


@pytest.mark.parametrize(("as_tenant", "sound"), [(tenant, True), (session_wide, False)])
async def test_no_crossing_over_one_pool(
    dsn: str, settings: Settings, admin_pool: Pool, as_tenant: Tenant, sound: bool
) -> None:
    rows = await admin_pool.fetch(
        "INSERT INTO account (name) SELECT 't' || n FROM generate_series(1, 50) n "
        "RETURNING account_id"
    )
    async with await open_pool(dsn, "milepost_app", settings, max_size=6) as pool:
        wrong = await crossings(pool, [row["account_id"] for row in rows], 30, as_tenant)
    keep(f"P11 crossings, {as_tenant.__name__}", requests=1500, crossings=wrong)
    assert (wrong == 0) is sound
