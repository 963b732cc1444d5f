"""The one way in: who calls, and whether the budget allows it, before any body is read."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from milepost.accounts.budget import Budgets, Kind, Spent
from milepost.accounts.credentials import WRONG_CREDENTIALS
from milepost.accounts.gatekeeper import Caller, Gatekeeper
from milepost.api.problems import Headers
from milepost.errors import NotAuthenticated

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMITTED = "milepost.admitted"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller whose request was counted, and the headers that tell it about its budget."""

    caller: Caller
    headers: Headers


class Door:
    """Lets callers in: the gatekeeper says who, the budgets say whether."""

    def __init__(self, gatekeeper: Gatekeeper, budgets: Budgets) -> None:
        """Both shared by every door of the process."""
        self._gatekeeper = gatekeeper
        self._budgets = budgets

    async def caller_of(self, headers: Iterable[tuple[bytes, bytes]], method: str) -> Admitted:
        """The caller of a request, one unit of its budget spent.

        Raises NotAuthenticated, NotAllowed, TooManyRequests or DatabaseUnavailable.
        """
        caller = await self._gatekeeper.from_header(_authorization(headers))
        kind: Kind = "read" if method in _READING else "write"
        return Admitted(caller, rate_headers(await self._budgets.spend(caller, kind)))


def current_caller(request: Request) -> Caller:
    """The caller that the guard admitted; also a FastAPI dependency."""
    admitted: Admitted = request.scope[ADMITTED]
    return admitted.caller


def rate_headers(spent: Spent) -> Headers:
    """RateLimit headers of an answer; none where the account has no such limit."""
    if not spent.limit:
        return ()
    return (
        (b"ratelimit-limit", str(spent.limit).encode()),
        (b"ratelimit-remaining", str(spent.remaining).encode()),
        (b"ratelimit-reset", str(spent.reset_seconds).encode()),
    )


def _authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The one Authorization header; two would let two readers disagree on who calls."""
    found = [value for name, value in headers if name.lower() == b"authorization"]
    if len(found) > 1:
        raise NotAuthenticated(WRONG_CREDENTIALS)
    return found[0] if found else None
