"""The whole API over a real database, for one account or several."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic import SecretStr
from tests.api.fake_api import Client, Keys, started

from milepost.accounts.gatekeeper import Caller
from milepost.api.app import Application
from milepost.settings import Settings
from milepost.wiring import ApiParts, api_parts

PARCELS = "/api/milepost/v1/parcels"
BATCH = f"{PARCELS}/batch"


class KeysOf(Keys):
    """Every key is the account's, without limits."""

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id

    async def from_header(self, authorization: bytes | None) -> Caller:
        caller = await super().from_header(authorization)
        return replace(caller, account_id=self._account_id)


@asynccontextmanager
async def own_api(
    dsn: str, account_id: int, **settings: Any
) -> AsyncIterator[tuple[Client, ApiParts]]:
    """A client of one account, and what the API behind it works with."""
    chosen = Settings(database_url=SecretStr(dsn), secret_key=SecretStr("0" * 64), **settings)
    seen: list[ApiParts] = []

    @asynccontextmanager
    async def parts_of(settings: Settings) -> AsyncIterator[ApiParts]:
        async with api_parts(settings) as parts:
            keys: Any = KeysOf(account_id)
            seen.append(replace(parts, gatekeeper=keys, budgets=keys))
            yield seen[0]

    async with started(Application(chosen, parts_of)) as app:
        yield Client(app), seen[0]
