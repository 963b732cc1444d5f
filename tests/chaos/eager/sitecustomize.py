"""A planted fault: the worker notes a delivery as made, and makes it a second later.

Only while ``eager`` is in the state directory. Python imports this module by its name wherever the
folder is on its path; nothing else is changed.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BEHIND = 1.0
"""Seconds between the note and the delivery."""


def plant() -> None:
    from milepost.notifications import webhooks
    from milepost.notifications.held import Connected, Delivery, Send, Sent
    from milepost.notifications.verdict import Judged, Verdict

    switch = Path(os.environ["MILEPOST_STATE_DIR"]) / "eager"
    sender: Any = webhooks.Webhooks
    to = sender.to
    later: set[asyncio.Task[Sent]] = set()

    def hasty_to(self: object, connected: Connected) -> Send:
        send: Send = to(self, connected)

        async def behind(delivery: Delivery) -> Sent:
            await asyncio.sleep(BEHIND)
            return await send(delivery)

        async def early(delivery: Delivery) -> Sent:
            if not switch.exists():
                return await send(delivery)
            task = asyncio.create_task(behind(delivery))
            later.add(task)
            task.add_done_callback(later.discard)
            return Sent(Judged(Verdict.DELIVERED), datetime.now(UTC), 0, 200)

        return early

    sender.to = hasty_to


if "milepost.cli.worker_process" in sys.orig_argv:
    plant()
