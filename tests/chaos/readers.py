"""Readers of event feeds: each follows its account's from the beginning, cursor by cursor."""

import asyncio
import base64
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
from tests.chaos.installation import Key
from tests.chaos.ledger import Ledger, lines

from milepost.notifications.feed import _seq_of

FEED = "/api/milepost/v1/events"
WAIT = 1
"""Seconds for which an empty page is held back."""
ASK_SECONDS = 8.0


@dataclass
class Reader:
    """``up_to_date`` is when it last asked and there was nothing more, monotonic."""

    key: Key
    ports: Sequence[int]
    ledger: Ledger
    cursor: str = ""
    up_to_date: float = 0

    async def run(self) -> None:
        """For ever; what was asked in vain is asked again with the same cursor."""
        login = base64.b64encode(self.key.user.encode()).decode()
        headers = {"Authorization": f"Basic {login}"}
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            while True:
                try:
                    await self._ask(session)
                except (aiohttp.ClientError, TimeoutError, OSError):
                    await asyncio.sleep(random.uniform(0.02, 0.15))

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        asked_at = time.monotonic()
        behind = {"after": self.cursor} if self.cursor else {}
        url = f"http://127.0.0.1:{random.choice(self.ports)}{FEED}"
        async with session.get(url, params=behind | {"wait": str(WAIT)}) as got:
            page = await got.json(content_type=None)
        if got.status == 503:
            await asyncio.sleep(random.uniform(0.02, 0.15))
            return
        if got.status != 200:
            self.ledger.write("refused", account=self.key.account_id, status=got.status)
            await asyncio.sleep(WAIT)
            return
        for item in page["data"]:
            seq = _seq_of(self.key.account_id, item["cursor"])
            self.ledger.write("read", account=self.key.account_id, seq=seq)
        self.cursor = page["next_cursor"]
        if not page["data"] and not page["has_more"]:
            self.up_to_date = asked_at


class Readers:
    """One for each of some accounts."""

    def __init__(self, path: Path, keys: Sequence[Key], ports: Sequence[int]) -> None:
        self.ledger = Ledger(path)
        self.all = [Reader(key, ports, self.ledger) for key in keys]

    async def catch_up(self, seconds: float) -> None:
        """Until each has seen the end of its feed once more; who has not, fails in the verdict."""
        now = time.monotonic()
        while any(one.up_to_date < now for one in self.all) and time.monotonic() < now + seconds:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def reading(path: Path, keys: Sequence[Key], ports: Sequence[int]) -> AsyncIterator[Readers]:
    """Reading, with their ledger at ``path``; ``ports`` may change meanwhile."""
    made = Readers(path, keys, ports)
    tasks = [asyncio.create_task(one.run()) for one in made.all]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        made.ledger.close()


def verdict_on_readers(path: Path, feed: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader should have read by now and has not: all up to where it is, in order, once."""
    wrong, read = [], defaultdict(list)
    for line in lines(path):
        if line["kind"] == "refused":
            wrong.append(f"reader of {line['account']}: refused with {line['status']}")
        else:
            read[line["account"]].append(line["seq"])
    for account, seen in read.items():
        told = {row["feed_seq"] for row in feed if row["account_id"] == account}
        if any(first >= second for first, second in pairwise(seen)):
            wrong.append(f"reader of {account}: the feed goes back or repeats itself")
        if passed := sorted(seq for seq in told - set(seen) if seq < seen[-1]):
            wrong.append(f"reader of {account}: its cursor passed over {passed[:5]}, unread")
    return wrong


def not_read(path: Path, feed: Sequence[Mapping[str, Any]], accounts: Sequence[int]) -> list[str]:
    """Which of these accounts' readers have not come to the end of what is told."""
    ends = dict.fromkeys(accounts, 0)
    for line in lines(path):
        if line["kind"] == "read":
            ends[line["account"]] = line["seq"]
    heads = {row["account_id"]: row["feed_seq"] for row in feed}
    return [
        f"reader of {account}: came to {end} of {heads[account]}"
        for account, end in ends.items()
        if end < heads.get(account, 0)
    ]
