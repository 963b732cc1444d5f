"""Whose number it is, for one account: what it had of late weighs, too."""

from functools import cached_property

from milepost.accounts.recent import Recent
from milepost.carriers.likelihood import History
from milepost.carriers.recognise import Recogniser, Recognition
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying, tenant
from milepost.parcels.find import QUERIES

PARCELS = 400
"""So many of the account's parcels are looked at, those registered last."""
BELIEVED_SECONDS = 60.0
UNSCANNED = 0.25
"""What a parcel counts that no carrier told a scan of: its code may itself have been recognised."""


class Recognitions:
    """Recognises numbers for any account."""

    def __init__(self, pool: Pool, catalogue: Catalogue) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._recent: Recent[History] = Recent(BELIEVED_SECONDS)

    async def of(
        self, account_id: int, scanned: str, *, origin: str = "", destination: str = ""
    ) -> Recognition:
        """Every carrier that ``scanned`` may be of, between two countries (``""``: not known)."""
        history = await self._recent.find(
            str(account_id).encode(), lambda: retrying(lambda: self._read(account_id))
        )
        return self._recogniser.recognise(
            scanned, origin=origin, destination=destination, history=history
        )

    @cached_property
    def _recogniser(self) -> Recogniser:
        # When first needed: reading every pattern takes longer than most commands' own work.
        return Recogniser(self._catalogue)

    async def _read(self, account_id: int) -> History:
        async with tenant(self._pool, account_id) as conn:
            rows = QUERIES.carriers_of_late(conn, account_id=account_id, most=PARCELS)
            return History(
                {
                    (row["carrier_code"], row["country"] or ""): row["scanned"]
                    + UNSCANNED * (row["parcels"] - row["scanned"])
                    async for row in rows
                }
            )
