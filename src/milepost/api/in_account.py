"""A request to read or write in one transaction of its account."""

import math
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request, Response

from milepost.api.authentication import current_caller
from milepost.api.deadlines import Deadline
from milepost.api.idempotent import Written, write_once
from milepost.db import patience
from milepost.db.pool import Connection, retrying, tenant
from milepost.errors import NotFoundError

_ID = re.compile(r"[1-9][0-9]{0,17}")
T = TypeVar("T")


def caller_of(request: Request) -> tuple[int, str]:
    """The account that asks, and who of it: as the audit writes it down."""
    caller = current_caller(request)
    return caller.account_id, f"key:{caller.key_id}"


def id_of(text: str) -> int:
    """An id as a path has it. Raises NotFoundError for what can't be one."""
    if not _ID.fullmatch(text):
        raise NotFoundError
    return int(text)


async def write_in_account(
    request: Request, work: Callable[[Connection], Awaitable[Written]]
) -> Response:
    """Answer with what ``work`` wrote in a transaction: that of the Idempotency-Key, if any."""
    core = request.app.state.parts.core
    account_id = current_caller(request).account_id

    async def alone() -> Written:
        async with tenant(core.pool, account_id) as own:
            return await work(own)

    async def write(conn: "Connection | None") -> Written:
        return await (retrying(alone) if conn is None else work(conn))

    return await write_once(request, core.pool, write, keep_hours=core.settings.idempotency_hours)


async def read_in_account(request: Request, ask: Callable[[Connection, int], Awaitable[T]]) -> T:
    """What ``ask`` finds in a transaction of the account, which it is told."""
    core = request.app.state.parts.core
    account_id = current_caller(request).account_id

    async def once() -> T:
        async with tenant(core.pool, account_id) as conn:
            return await ask(conn, account_id)

    return await retrying(once)


def may_take(seconds: float) -> None:
    """A request in which a subscriber answers may take longer than the others."""
    deadline = patience.of_request.get()
    if isinstance(deadline, Deadline):
        deadline.answer_by = math.inf
        deadline.move(seconds)
