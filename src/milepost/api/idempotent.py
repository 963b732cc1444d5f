"""Idempotency-Key for any write: the same key and request get the first answer, byte for byte.

Key, write and answer are one transaction of the account. A refusal that depends on what is stored
(409) is kept as well; one that depends on the request alone (422) comes out the same by itself.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from milepost import failpoints
from milepost.accounts.idempotency import StoredAnswer, begin, finish
from milepost.api.authentication import current_caller
from milepost.api.guard import refusal
from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.errors import Conflict, InvalidInput


@dataclass(frozen=True, slots=True)
class Written:
    """What a write answers, as JSON; nothing where ``body`` is empty. ``parcel_id``: the parcel it
    tells about, whose erasure takes a kept answer along."""

    body: bytes
    parcel_id: int | None = None
    status: int = 200

    def kept(self) -> StoredAnswer:
        """As it is given, and given again."""
        headers = JSON_HEADERS if self.body else {}
        return StoredAnswer(self.status, headers, self.body, self.parcel_id)


Work = Callable[["Connection | None"], Awaitable[Written]]
"""A write; in the transaction of the connection, where there is one."""

KEY_HEADER = "idempotency-key"
JSON_HEADERS = {"content-type": "application/json"}


async def write_once(
    request: Request,
    pool: Pool,
    work: Work,
    *,
    keep_hours: int,
) -> Response:
    """Answer a write with the JSON that ``work`` gives.

    With an Idempotency-Key ``work`` gets the connection of the transaction it must write in;
    without one it gets None and writes for itself. Conflict from ``work`` becomes the 409 answer.
    """
    key = _key(request)
    if key is None:
        return _given((await work(None)).kept())
    account_id = current_caller(request).account_id
    fingerprint = await _fingerprint(request)

    async def attempt() -> StoredAnswer:
        async with tenant(pool, account_id) as connection:
            held = await begin(connection, account_id, key, fingerprint, keep_hours=keep_hours)
            if held is not None:
                return held
            answer = await _answer(request, connection, work)
            await finish(connection, account_id, key, answer)
            failpoints.reach("api.before_commit")
            return answer

    answer = await retrying(attempt)
    failpoints.reach("api.after_commit_before_reply")
    return _given(answer)


async def write_again(
    request: Request,
    pool: Pool,
    work: Callable[[], Awaitable[Written]],
    *,
    keep_hours: int,
) -> Response:
    """Answer a write that may be done twice without harm, as it comes to the same.

    It uses connections of its own, so nothing is held meanwhile; the first answer that was kept is
    everybody's. A refusal is not kept: it comes out the same while nothing changes.
    """
    key = _key(request)
    if key is None:
        return _given((await work()).kept())
    account_id = current_caller(request).account_id
    fingerprint = await _fingerprint(request)

    async def keep(answer: StoredAnswer | None) -> StoredAnswer | None:
        async with tenant(pool, account_id) as connection:
            held = await begin(connection, account_id, key, fingerprint, keep_hours=keep_hours)
            if held is None and answer is not None:
                await finish(connection, account_id, key, answer)
            return held

    held = await retrying(lambda: keep(None))
    if held is None:
        answer = (await work()).kept()
        held = await retrying(lambda: keep(answer)) or answer
    return _given(held)


def _given(answer: StoredAnswer) -> Response:
    return Response(answer.body, answer.status, headers=dict(answer.headers))


async def _answer(
    request: Request,
    connection: Connection,
    work: Work,
) -> StoredAnswer:
    """What ``work`` answers; its conflict is undone without losing the key."""
    await connection.execute("SAVEPOINT work")
    try:
        return (await work(connection)).kept()
    except Conflict as conflict:
        await connection.execute("ROLLBACK TO SAVEPOINT work")
        refused = refusal(request.scope, conflict)
        headers = {name.decode(): value.decode() for name, value in refused.headers}
        return StoredAnswer(refused.status, headers, refused.body)


def _key(request: Request) -> str | None:
    given = request.headers.getlist(KEY_HEADER)
    if len(given) > 1:
        raise InvalidInput("must be given once", ("header", "Idempotency-Key"))
    return given[0] if given else None


async def _fingerprint(request: Request) -> bytes:
    """Stands for the request: what is asked, and of whom."""
    digest = hashlib.blake2b(digest_size=32)
    for part in (request.method.encode(), request.scope["raw_path"], request.scope["query_string"]):
        digest.update(len(part).to_bytes(4, "big") + part)
    digest.update(await request.body())
    return digest.digest()
