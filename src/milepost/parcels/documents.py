"""Parcels as our own API says them: loads what ``wire.own.parcel_document`` tells."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.parcels.find import QUERIES
from milepost.parcels.render import Renderer
from milepost.parcels.stored import load
from milepost.wire.own import CheckTimes, Described


class Documents:
    """Describes parcels of any account by their ids."""

    def __init__(self, pool: Pool, renderer: Renderer) -> None:
        self._pool = pool
        self._renderer = renderer

    async def describe(
        self,
        account_id: int,
        parcel_ids: Sequence[int],
        *,
        conn: "Connection | None" = None,
        lacking: frozenset[str] | None = None,
    ) -> dict[int, Described]:
        """The named parcels by id; unknown ids are absent.

        Inside the tenant transaction of ``conn``, where one is given. Whoever holds one asks for
        ``lacking`` beforehand, as it takes a second connection.
        """
        if not parcel_ids:
            return {}
        # In a caller's transaction one statement can't be repeated by itself.
        if conn is not None:
            stored = await load(conn, account_id, parcel_ids)
            checks = await self._checks(conn, account_id, parcel_ids)
        else:
            stored = await retrying(lambda: load(self._pool, account_id, parcel_ids))
            checks = await retrying(lambda: self._checks(None, account_id, parcel_ids))
        if lacking is None:
            lacking = await self.lacking(account_id, {one.carrier_code for one in stored.values()})
        found = {}
        for parcel_id, parcel in stored.items():
            journey = self._renderer.journey(parcel)
            tracked = await self._renderer.tracked(
                parcel, journey, credential_missing=parcel.carrier_code in lacking
            )
            times = checks.get(parcel_id, CheckTimes())
            found[parcel_id] = Described(tracked, journey, times)
        return found

    async def lacking(self, account_id: int, carrier_codes: Iterable[str]) -> frozenset[str]:
        """Those of the carriers that want a credential nobody has given."""
        return frozenset(
            [
                code
                for code in sorted(set(carrier_codes))
                if await self._renderer.lacks_credential(account_id, code)
            ]
        )

    async def _checks(
        self, conn: "Connection | None", account_id: int, parcel_ids: Sequence[int]
    ) -> dict[int, CheckTimes]:
        opened: AbstractAsyncContextManager[Connection] = (
            nullcontext(conn) if conn is not None else tenant(self._pool, account_id)
        )
        async with opened as connection:
            rows = QUERIES.check_times(
                connection, account_id=account_id, parcel_ids=list(parcel_ids)
            )
            return {
                row["parcel_id"]: CheckTimes(row["last_checked_at"], row["next_check_at"])
                async for row in rows
            }
