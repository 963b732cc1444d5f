"""Faults of a worker, each planted only while a file of its name is in the state directory.

``eager``: a delivery is noted as made, and made much later. ``behind``: what is recorded goes
into the outbox one commit later; ``planted.between_commits`` is the failpoint between the two.

Python imports this module by its name wherever the folder is on its path; nothing else is changed.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BEHIND = 60.0
"""Seconds between the note and the delivery: longer than the worker lives."""
HERE = Path(os.environ["MILEPOST_STATE_DIR"])
TO_OUTBOX = """
INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)
SELECT account_id, parcel_id, sequence, 'event', recorded_at FROM event
WHERE account_id = $1 AND parcel_id = $2 AND sequence > $3
"""


def plant_eager() -> None:
    from milepost.notifications import webhooks
    from milepost.notifications.held import Connected, Delivery, Send, Sent
    from milepost.notifications.verdict import Judged, Verdict

    sender: Any = webhooks.Webhooks
    to = sender.to
    later: set[asyncio.Task[Sent]] = set()

    def hasty_to(self: object, connected: Connected) -> Send:
        send: Send = to(self, connected)

        async def behind(delivery: Delivery) -> Sent:
            await asyncio.sleep(BEHIND)
            return await send(delivery)

        async def early(delivery: Delivery) -> Sent:
            if not (HERE / "eager").exists():
                return await send(delivery)
            task = asyncio.create_task(behind(delivery))
            later.add(task)
            task.add_done_callback(later.discard)
            return Sent(Judged(Verdict.DELIVERED), datetime.now(UTC), 0, 200)

        return early

    sender.to = hasty_to


def plant_behind() -> None:
    from milepost import failpoints
    from milepost.db.pool import retrying, tenant
    from milepost.parcels import record

    recorder: Any = record.Recorder
    write = recorder._write

    async def behind(self: Any, statement: str, kept: Any, *told: Any) -> bool:
        if not (HERE / "behind").exists():
            return bool(await write(self, statement, kept, *told))
        before = kept.before

        async def second() -> None:
            async with tenant(self._pool, before.account_id) as conn:
                await conn.execute(
                    TO_OUTBOX, before.account_id, before.parcel_id, before.event_count
                )

        # A twin of the function that leaves the outbox alone, made by the test.
        untold = statement.replace("record_observation", "record_untold")
        if not await write(self, untold, kept, *told):
            return False
        if kept.after.changes.new:
            failpoints.reach("planted.between_commits")
            await retrying(second, seconds=None)
            with (HERE / "behind.done").open("ab") as done:
                done.write(b".")
        return True

    recorder._write = behind


if "milepost.cli.worker_process" in sys.orig_argv:
    plant_eager()
    plant_behind()
