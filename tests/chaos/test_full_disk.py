"""P1 and P8 on a disk that is full: said with 503, nothing lost, and no repair by hand afterwards.

The database lives on a small tmpfs, which only root may mount. ``FULL_DISK_SECONDS`` (4) is how
long it stays full.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.chaos.fast import Run, running_fast
from tests.chaos.questions import outcomes
from tests.promises.figures import keep
from tests.promises.watching import Watch, watching

SECONDS = float(os.environ.get("FULL_DISK_SECONDS", "4"))
MEGABYTES = 256
ANSWER_SECONDS = 30.0
"""Who gives up waiting was told nothing; how soon one is told on a quiet machine P8 says."""
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.slow]


@contextmanager
def small_disk(state_dir: Path) -> Iterator[Path]:
    """Where the database of ``state_dir`` will live; unmounted afterwards."""
    place = state_dir / "postgresql"
    place.mkdir(mode=0o711)
    options = f"size={MEGABYTES}m,mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(place: Path) -> Path:
    """Takes all the room there is."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 65536):
            pass
    return ballast


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk needs root to mount it")
@pytest.mark.timeout(400 + 2 * SECONDS)
async def test_a_full_disk_is_said_and_loses_nothing() -> None:
    async with running_fast(2, asked_every=3, disk=small_disk, ask_seconds=ANSWER_SECONDS) as run:
        await run.answered_again(50)
        async with watching(run.house.port) as watch:
            ballast = fill(run.house.state_dir / "postgresql")
            await let_the_log_run_out(run)
            await asyncio.sleep(SECONDS)
            acknowledged = len(run.load.acknowledged)
            await asyncio.sleep(1)
            stopped = len(run.load.acknowledged) - acknowledged
            ballast.unlink()
            await run.answered_again(50)
        wrong = await run.finish()
        refused = judge(run, watch)
        keep(
            "P1 and P8 full disk",
            answers=outcomes(run.load.ledger.path),
            acknowledged_in_a_second_while_full=stopped,
            drain_seconds=round(run.drain_seconds, 1),
            violations=len(wrong),
        )
        assert wrong == [], "\n".join(wrong[:8])
        assert refused > 0, "it was never full"


async def let_the_log_run_out(run: Run) -> None:
    """The log of writes can't grow any more either; the server dies of that, which is its way."""
    connection = await run.house.connect()
    with suppress(Exception):
        for _ in range(20):
            await connection.execute("SELECT pg_switch_wal(), txid_current()")


def judge(run: Run, watch: Watch) -> int:
    """How many were told 503; no other trouble was told, and the process was said to live."""
    told = outcomes(run.load.ledger.path)
    assert set(told) <= {"200", "503"}, told
    assert set(watch.health) == {200}
    return told.get("503", 0)
