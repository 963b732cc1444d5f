"""One account and what the API does for it, for commands about its subscribers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from milepost.api.bodies import Refused
from milepost.cli.administer import chosen_account
from milepost.cli.session import open_session
from milepost.db.pool import Connection, open_pool, retrying, tenant
from milepost.errors import ConfigurationError, InvalidFields, NotFoundError, TooManyRequests
from milepost.settings import load
from milepost.wiring import ApiParts, api_parts

ACTOR = "cli"
LARGEST_ID = 2**63 - 1
WHICH = "The connection_id that `milepost webhook list` shows."
ConnectionId = Annotated[int, typer.Argument(metavar="ID", help=WHICH, min=1, max=LARGEST_ID)]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """An account, and the parts that work for it."""

    account_id: int
    parts: ApiParts

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """In one transaction of the account."""

        async def once() -> T:
            async with tenant(self.parts.core.pool, self.account_id) as conn:
                return await work(conn)

        return await retrying(once)


def run(account: str, work: Callable[[Desk], Awaitable[T]], about: str = "such thing") -> T:
    """What was asked wrongly becomes one line; ``about`` is what was asked for by its id."""

    async def opened() -> T:
        async with _open_desk(account) as desk:
            return await work(desk)

    try:
        return asyncio.run(opened())
    except Refused as refused:
        fields = "; ".join(f"{_name(one.loc)}: {one.msg}" for one in refused.problem.fields)
        raise ConfigurationError(fields or refused.problem.detail) from refused
    except InvalidFields as refused:
        raise ConfigurationError(" ".join(one.message for one in refused.faults)) from refused
    except NotFoundError as missing:
        # A wrong account says so itself.
        told = str(missing) or f"there is no {about} in this account"
        raise ConfigurationError(told) from missing
    except TooManyRequests as soon:
        raise ConfigurationError(f"only one test at a time: {soon}") from soon


def _name(where: tuple[str | int, ...]) -> str | int:
    """Of a field: the list it is in, and no place in it."""
    return next((part for part in reversed(where) if isinstance(part, str)), where[-1])


@asynccontextmanager
async def _open_desk(account: str) -> AsyncIterator[Desk]:
    settings = load()
    async with open_session(settings) as session:
        async with await open_pool(session.dsn, "milepost_admin", settings, max_size=2) as admin:
            account_id = (await chosen_account(admin, account)).account_id
        async with api_parts(session.settings) as parts:
            yield Desk(account_id, parts)
