"""Deaths in what an operator starts: erasing and retention, killed in the middle, done again."""

import asyncio
import json
import signal
import subprocess
from typing import Any

from tests.chaos.clients import TRACKING, document
from tests.chaos.installation import Installation
from tests.live_server import MILEPOST, Client, environment

PAST = 450
"""Rows past their time: more than two pieces of 200."""


def command(house: Installation, *words: str, dies_at: str = "") -> Any:
    """What ``milepost`` prints with --json; with ``dies_at`` it must die there instead."""
    point = {"MILEPOST_FAILPOINT": dies_at} if dies_at else {}
    done = subprocess.run(
        [MILEPOST, *words, "--json"],
        env=environment(house.state_dir, house.port) | point,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == (-signal.SIGKILL if dies_at else 0), done.stderr
    return None if dies_at else json.loads(done.stdout)


async def die_in_housekeeping(house: Installation, deaths: int) -> dict[str, int]:
    """How often each of the two died. Parcels of the ledger are not touched."""
    # Erasing leaves young rows in the audit; retention goes by number, and would stop at them.
    for _ in range(deaths):
        await _retain(house)
    for number in range(deaths):
        await _erase(house, f"GONE{number:06d}")
    return {"erase.mid": deaths, "retention.mid_delete": deaths}


async def _erase(house: Installation, number: str) -> None:
    """Killed, nothing of it is gone; done again, all of it is."""
    key = house.keys[0]
    client = Client(house.port, key.user)
    assert (
        await asyncio.to_thread(client.post, TRACKING, document(number, "slowpost"))
    ).status == 200
    parcel_id = await _value(
        house, "SELECT parcel_id FROM parcel WHERE tracking_number = $1", number
    )
    words = ("erase", "--parcel", str(parcel_id), "--account", "client 0", "--yes")
    await asyncio.to_thread(command, house, *words, dies_at="erase.mid")
    kept = "SELECT count(*) FROM event WHERE parcel_id = $1"
    assert await _value(house, kept, parcel_id) == 1
    await asyncio.to_thread(command, house, *words)
    assert await _value(house, kept, parcel_id) == 0


async def _retain(house: Installation) -> None:
    """Killed after a piece, a later run takes the rest and nothing else."""
    account_id = house.keys[0].account_id
    await _value(
        house,
        "INSERT INTO audit (account_id, at, actor, action, parcel_id, detail)"
        " SELECT $1, now() - interval '3 years', 'somebody', 'old', n, '{}'"
        " FROM generate_series(1, $2::bigint) AS n",
        account_id,
        PAST,
    )
    left = "SELECT count(*) FROM audit WHERE account_id = $1 AND action = 'old'"
    await asyncio.to_thread(command, house, "db", "retention", dies_at="retention.mid_delete")
    assert 0 < await _value(house, left, account_id) < PAST
    # A worker may be at it as well, and then has the last piece in hand.
    for _ in range(3):
        await asyncio.to_thread(command, house, "db", "retention")
        if await _value(house, left, account_id) == 0:
            return
    raise AssertionError("what is past its time does not go")


async def _value(house: Installation, statement: str, *arguments: object) -> int:
    connection = await house.connect()
    try:
        return int(await connection.fetchval(statement, *arguments) or 0)
    finally:
        await connection.close()
