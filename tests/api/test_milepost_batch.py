"""Batches of registrations: every row has its verdict, in every form and at every fault."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest
from tests.api.fake_api import Answer, Client
from tests.api.own_api import BATCH, own_api
from tests.api.samples import POST, registration
from tests.conftest import execute

from milepost.accounts.budget import UNLIMITED, Spent
from milepost.api import milepost_batch
from milepost.api.bodies import Refused
from milepost.api.streamed_body import StreamedBody
from milepost.db.pool import Pool, tenant
from milepost.errors import DatabaseUnavailable, TooManyRequests
from milepost.parcels.draft import Ready
from milepost.parcels.register import Registrar
from milepost.settings import Settings
from milepost.tracking.parcel import Registration

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    async with own_api(dsn, account) as (one, _):
        yield one


def row(number: str, **changed: Any) -> dict[str, Any]:
    return registration(number, **({"source_id": f"s-{number}"} | changed))


def lines(documents: Sequence[Any]) -> bytes:
    return b"\n".join(orjson.dumps(one) for one in documents) + b"\n"


async def send(client: Client, body: bytes, most: int = 1000, **headers: str) -> Answer:
    """In pieces, as it comes from a socket."""
    form = {"content-type": "application/json"} if body.startswith(b"[") else NDJSON
    named = form | {name.replace("_", "-"): value for name, value in headers.items()}
    pieces = [body[start : start + most] for start in range(0, len(body), most)]
    return await client.ask("POST", BATCH, headers=named, pieces=pieces or [b""])


def statuses(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.body
    results = answer.document["results"]
    assert [one["index"] for one in results] == list(range(len(results)))
    return [one["status"] for one in results]


async def count(pool: Pool, account: int, table: str) -> int:
    async with tenant(pool, account) as conn:
        return int(await conn.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.mark.parametrize("form", ["lines", "array", "packed"])
async def test_good_and_bad_rows_each_get_what_they_deserve(
    client: Client, app_pool: Pool, account: int, form: str
) -> None:
    given = [
        row("A"),
        row("B", to_address={"country_code": "NL"}),
        row("a "),
        row("C", source_id="s-A"),
        5,
        row("D", source_id=""),
    ]
    body = orjson.dumps(given) if form == "array" else lines(given)
    more = {"content_encoding": "gzip"} if form == "packed" else {}
    answer = await send(client, gzip.compress(body) if form == "packed" else body, 300, **more)
    assert statuses(answer) == [200, 422, 409, 409, 422, 200]
    results = answer.document["results"]
    assert (results[0]["parcel"]["tracking_number"], results[5]["parcel"]["source_id"]) == ("A", "")
    assert results[1]["error"]["errors"][0]["loc"] == ["body", "to_address", "postal_code"]
    for place, field in ((2, "tracking_number"), (3, "source_id")):
        assert results[place]["error"]["code"] == "taken"
        assert results[place]["error"]["errors"][0]["loc"][-1] == field
        assert results[place]["parcel_id"] == results[0]["parcel"]["parcel_id"]
    summary = {name: answer.document[name] for name in ("registered", "refused", "complete")}
    assert summary == {"registered": 2, "refused": 4, "complete": True}
    for table in ("parcel", "event", "outbox", "watch", "parcel_search"):
        assert await count(app_pool, account, table) == 2, table


async def test_a_row_is_refused_exactly_as_alone(client: Client) -> None:
    wrong: list[Any] = [
        row("A", announced_at="x"),
        row("A", ship_with={"type": "x"}),
        row("A", parcel_items=[{}]),
        {},
    ]
    answer = await send(client, lines(wrong))
    for one, result in zip(wrong, answer.document["results"], strict=True):
        alone = (await client.post(POST, one)).document["detail"]
        assert result["error"]["errors"] == alone


@pytest.mark.parametrize(
    "odd",
    [
        b'{"a": NaN}',
        b'{"a": 1, "a": 1}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b"[" * 500 + b"]" * 500,
        b"\xff\xfe",
        b"{",
        b"nul",
        b'{"a": ' + b"9" * 30 + b"}",
        b'"' + b"x" * 70_000 + b'"',
    ],
)
async def test_an_odd_line_costs_no_other_row(client: Client, odd: bytes) -> None:
    body = lines([row("A")]) + odd + b"\n" + lines([row("B")])
    assert statuses(await send(client, body)) == [200, 422, 200]


@pytest.mark.parametrize(
    ("body", "code", "made"),
    [
        (b"", "missing", None),
        (b"[", "json_invalid", None),
        (b"[}", "json_invalid", None),
        (b" {}", "list_type", None),
        (b"[1] x", "json_invalid", [422]),
        (b"[" + orjson.dumps(row("A")), "json_invalid", None),
        (b"[" + orjson.dumps(row("A")) + b",", "json_invalid", [200]),
        (lines([row("A")]) + b'"' + b"x" * 1_100_000, "row_too_large", [200]),
    ],
)
async def test_a_body_that_goes_wrong_says_where(
    client: Client, body: bytes, code: str, made: list[int] | None
) -> None:
    form = "application/json" if body[:2] in (b"", b" {") else ""
    answer = await send(client, body, 70_000, **({"content_type": form} if form else {}))
    if made is None:
        assert (answer.status, answer.document["code"]) == (422, code)
        return
    assert statuses(answer) == made
    assert answer.document["complete"] is False
    assert answer.document["error"]["code"] == code


async def test_bounds_of_rows_and_bytes(
    client: Client, dsn: str, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milepost_batch, "MOST_ROWS", 3)
    answer = await send(client, lines([row(f"N{n}") for n in range(5)]))
    assert statuses(answer) == [200] * 3
    assert answer.document["error"]["code"] == "too_many_rows"
    monkeypatch.undo()
    async with own_api(dsn, account, max_batch_bytes=50_000) as (small, _):
        packed = gzip.compress(lines(["x" * 50] * 2_000))
        answer = await send(small, packed, content_encoding="gzip")
        assert answer.document["error"]["status"] == 413


async def test_no_key_no_other_type_no_empty_pieces(client: Client) -> None:
    keyed = await send(client, lines([row("A")]), idempotency_key="k")
    assert (keyed.status, keyed.document["errors"][0]["type"]) == (
        422,
        "idempotency_key_unsupported",
    )
    assert (await send(client, b"x", content_type="text/csv")).status == 415
    assert (await send(client, b"[]")).document["results"] == []


async def test_over_budget_a_batch_waits(
    client: Client, dsn: str, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milepost_batch, "CHUNK", 2)
    monkeypatch.setattr(milepost_batch, "PAID_BY_ONE", 2)
    asked: list[str] = []

    async with own_api(dsn, account) as (other, parts):

        async def spend(caller: object, kind: str) -> Spent:
            asked.append(kind)
            if len(asked) % 2 == 0:
                raise TooManyRequests(0)
            return UNLIMITED

        monkeypatch.setattr(parts.budgets, "spend", spend)
        answer = await send(other, lines([row(f"N{n}") for n in range(7)]))
    assert statuses(answer) == [200] * 7
    assert asked == ["write"] * 7, "three more than the request itself, each refused once"


async def test_the_next_rows_are_judged_while_these_are_stored_and_no_more_of_them(
    dsn: str, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milepost_batch, "CHUNK", 2)
    async with own_api(dsn, account) as (client, parts):
        registrar = parts.core.registrar
        prepare, register_many = registrar.prepare, registrar.register_many
        judged, stored = 0, 0
        more = asyncio.Event()

        async def prepared(account_id: int, given: Registration) -> Ready:
            nonlocal judged
            judged += 1
            assert judged <= stored + 4, "these, the next ones and no more"
            if judged % 2 == 0:
                more.set()
            return await prepare(account_id, given)

        async def storing(account_id: int, readies: Sequence[Ready]) -> Any:
            nonlocal stored
            while judged < min(stored + 4, 8):
                more.clear()
                await asyncio.wait_for(more.wait(), 60)
            done = await register_many(account_id, readies)
            stored += len(readies)
            return done

        monkeypatch.setattr(Registrar, "prepare", staticmethod(prepared))
        monkeypatch.setattr(Registrar, "register_many", staticmethod(storing))
        answer = await send(client, lines([row(f"N{n}") for n in range(8)]))
    assert statuses(answer) == [200] * 8


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_rows_before_an_outage_are_told_and_none_after(
    dsn: str, account: int, app_pool: Pool, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    monkeypatch.setattr(milepost_batch, "CHUNK", 2)
    async with own_api(dsn, account) as (client, parts):
        register_many, calls = parts.core.registrar.register_many, 0

        async def storing(account_id: int, readies: Sequence[Ready]) -> Any:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise DatabaseUnavailable("away")
            return await register_many(account_id, readies)

        monkeypatch.setattr(Registrar, "register_many", staticmethod(storing))
        answer = await send(client, lines([row(f"N{n}") for n in range(6)]))
    told = 2 * (failing - 1)
    assert calls == failing
    assert await count(app_pool, account, "parcel") == told
    if not told:
        assert answer.status == 503
        return
    assert statuses(answer) == [200] * told
    assert (answer.document["complete"], answer.document["error"]["status"]) == (False, 503)


async def test_a_body_that_comes_in_drops_ends_in_time(settings: Settings) -> None:
    """Long before the server would end the request, and tell nothing of its rows."""
    ends_at = time.monotonic() + 0.3
    body = StreamedBody({"type": "http", "headers": []}, drops, settings, 10**6, ends_at)
    with pytest.raises(Refused) as late:
        await asyncio.wait_for(anext(body.pieces()), 60)
    assert late.value.problem.status == 408


async def drops() -> dict[str, Any]:
    await asyncio.sleep(0.01)
    return {"type": "http.request", "body": b"5\n", "more_body": True}


async def test_the_address_of_batches_takes_nothing_but_batches(client: Client) -> None:
    for verb in ("GET", "PUT", "PATCH", "DELETE"):
        answer = await client.ask(verb, BATCH)
        assert (answer.status, answer.headers["allow"]) == (405, "POST"), verb


@pytest.mark.parametrize("guarded", [True, False])
async def test_ten_rounds_of_batches_of_the_same_numbers_have_one_winner_each(
    client: Client, dsn: str, app_pool: Pool, account: int, guarded: bool
) -> None:
    """Without the unique index (the planted bug) the same storm makes more than one."""
    if not guarded:
        await execute(dsn, "DROP INDEX tracked_number_current")
    made = 0
    for turn in range(10):
        given = [row(f"T{turn}N{number}", source_id="") for number in range(12)]
        orders = [given, given[::-1], given[6:] + given[:6]]
        answers = await asyncio.gather(*(send(client, lines(order), 10**6) for order in orders))
        made += sum(statuses(answer).count(200) for answer in answers)
        assert {code for one in answers for code in statuses(one)} <= {200, 409}
    assert (made == 120) is guarded
    assert await count(app_pool, account, "parcel") == made
    assert await count(app_pool, account, "event") == made
