"""An account with parcels and subscribers, and what it tells them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from tests.parcels.conftest import registration
from tests.tracking import journey_files
from tests.tracking.order_free import scan_at

from milepost.db.pool import Pool, tenant
from milepost.notifications.audience import Subject
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Form
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.tracking.events import Moment, Observation, Scan, ZoneSource
from milepost.tracking.journey import Entry
from milepost.tracking.parcel import Registration

CARRIER = "dhl"


def say(form: Form, subject: Subject, entry: Entry) -> bytes | None:
    """A body that says what it is about; the published ones are tested where they are made."""
    return orjson.dumps([form, entry.event.sequence, entry.shown.phase, subject.journey.status])


def scan(hours_ago: float, says: str, code: str = "", **more: Any) -> Scan:
    """A scan of a carrier, so many hours before now."""
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    stated = at.isoformat(timespec="minutes")
    moment = Moment(stated, at, stated[:16], "UTC", ZoneSource.CARRIER)
    scan_class = code or says.split()[0]
    reading = journey_files.reading(says)
    return Scan(scan_class, scan_class, f"Text {scan_class}", moment, reading, **more)


@dataclass
class Town:
    """One account; ``fan_out`` and ``recorder`` work as the worker does."""

    pool: Pool
    account: int
    registrar: Registrar
    recorder: Recorder
    fan_out: FanOut
    told: list[int] = field(default_factory=list)

    async def connect(
        self,
        kind: str = "webhook",
        form: str = Form.EVENT,
        *filters: dict[str, Any],
        url: str = "http://127.0.0.1:9/",
        active: bool = True,
        **settings: Any,
    ) -> int:
        """A connection with a subscription for each filter."""
        connection_id: int = await self.run(
            "INSERT INTO connection (account_id, kind, form, url, is_active, settings)"
            " VALUES ($1, $2, $3, $4, $5, $6) RETURNING connection_id",
            *(kind, form, url, active, settings),
        )
        await self.run(
            "INSERT INTO delivery_lane (account_id, connection_id) VALUES ($1, $2)", connection_id
        )
        for one in filters:
            await self.run(
                "INSERT INTO subscription (account_id, connection_id, event_type, filters)"
                " VALUES ($1, $2, 'parcels.event.created', $3)",
                *(connection_id, one),
            )
        return connection_id

    async def register(self, **changes: Any) -> int:
        ready = await self.registrar.prepare(self.account, self.request(**changes))
        return (await self.registrar.store(self.account, ready)).parcel_id

    def request(self, **changes: Any) -> Registration:
        """A registration of four days ago, with a number of its own."""
        changes.setdefault("announced_at", datetime.now(UTC) - timedelta(hours=100))
        return registration(**changes)

    async def observe(self, parcel_id: int, *scans: Scan, quiet: bool = False) -> None:
        now = datetime.now(UTC)
        told = Observation(CARRIER, "poll", now, scans)
        await self.recorder.record(self.account, parcel_id, told, now, lambda *_: None, quiet=quiet)

    async def tell(self) -> int:
        """Fan out until nothing is left; how much there was."""
        taken = 0
        while more := await self.fan_out.tell(self.account):
            taken += more
        return taken

    async def run(self, statement: str, *arguments: Any) -> Any:
        async with tenant(self.pool, self.account) as conn:
            return await conn.fetchval(statement, self.account, *arguments)

    async def rows(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with tenant(self.pool, self.account) as conn:
            found = await conn.fetch(statement, self.account, *arguments)
            return [tuple(row) for row in found]

    async def feed(self) -> list[tuple[Any, ...]]:
        return await self.rows(
            "SELECT feed_seq, parcel_id, sequence, kind FROM feed_event"
            " WHERE account_id = $1 ORDER BY feed_seq"
        )

    async def deliveries(self, connection_id: int) -> list[tuple[int, int, str, bool]]:
        """(parcel, sequence, action, whether it has a time) of each, in order."""
        return await self.rows(
            "SELECT d.parcel_id, m.sequence, m.action, d.due_at < 'infinity' FROM delivery d"
            " JOIN message m ON m.account_id = d.account_id AND m.message_id = d.message_id"
            " WHERE d.account_id = $1 AND d.connection_id = $2 ORDER BY d.delivery_id",
            connection_id,
        )


__all__ = ["CARRIER", "Town", "say", "scan", "scan_at"]
