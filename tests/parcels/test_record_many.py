"""Many parcels recorded in one statement: each as if by itself, and none twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.parcels.conftest import registration
from tests.tracking.order_free import START, scan_at

from milepost.db.pool import Pool, retrying, tenant
from milepost.parcels import record_many as many
from milepost.parcels.apply import News
from milepost.parcels.record import Recorder
from milepost.parcels.record_many import Told, record_many
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.parcels.stored import load
from milepost.tracking.events import Observation

NOW = datetime.now(UTC)
SCANS = (scan_at(60, "A", "sorted"), scan_at(900, "D", "delivered"))
PAST = Observation("dhl", "import", NOW - timedelta(minutes=1), SCANS)
SIGNED = News(extra={"signed_by": "Brandt"})


async def rows(pool: Pool, account: int) -> list[dict[str, Any]]:
    """What is kept of each parcel, but for what tells one from another."""
    async with tenant(pool, account) as conn:
        found = await conn.fetch(
            "SELECT p.parcel_id, p.revision, p.status, p.ended_at, p.extra, p.event_count,"
            " w.next_deadline_at, t.delivered_at,"
            " (SELECT array_agg(e.event_key || e.fact::text ORDER BY e.sequence) FROM event e"
            "  WHERE e.account_id = p.account_id AND e.parcel_id = p.parcel_id) AS facts,"
            " (SELECT array_agg(o.sequence || o.kind ORDER BY o.outbox_id) FROM outbox o"
            "  WHERE o.account_id = p.account_id AND o.parcel_id = p.parcel_id) AS told"
            " FROM parcel p JOIN watch w USING (account_id, parcel_id)"
            " LEFT JOIN parcel_timing t USING (account_id, parcel_id) ORDER BY p.parcel_id"
        )
    return [dict(row) for row in found]


async def test_each_is_as_if_recorded_by_itself_and_none_is_written_twice(
    account: int, registrar: Registrar, renderer: Renderer, app_pool: Pool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(many, "MOST", 2)
    recorder = Recorder(app_pool, renderer)
    readies = [await registrar.prepare(account, registration(announced_at=START)) for _ in range(6)]
    await registrar.register_many(account, readies)
    alone, overtaken, *others = [row["parcel_id"] for row in await rows(app_pool, account)]
    stored = await retrying(lambda: load(app_pool, account, [overtaken, *others]))
    told = [Told(parcel, PAST, SIGNED) for _, parcel in sorted(stored.items())]

    def plan(*_: object) -> None:
        return None

    await recorder.record(account, alone, PAST, NOW, plan, news=SIGNED)
    # Somebody tells of one while it is on its way: it has to be read again.
    between = replace(PAST, scans=(scan_at(500, "P", "in_delivery"),))
    await recorder.record(account, overtaken, between, NOW, plan)
    await record_many(app_pool, recorder, account, told, NOW, plan)
    first, second, *rest = await rows(app_pool, account)
    assert (first["status"], first["revision"], len(first["facts"])) == ("DELIVERED", 2, 3)
    # Between the two it was late: the fifth.
    assert (second["status"], second["revision"], len(second["facts"])) == ("DELIVERED", 3, 5)
    same = {name: value for name, value in first.items() if name != "parcel_id"}
    for one in rest:
        assert {name: one[name] for name in same} == same

    before = await rows(app_pool, account)
    again = await retrying(lambda: load(app_pool, account, others))
    later = replace(PAST, observed_at=NOW)
    told = [Told(parcel, later, SIGNED) for parcel in again.values()]
    await record_many(app_pool, recorder, account, told, NOW, plan)
    assert await rows(app_pool, account) == before
