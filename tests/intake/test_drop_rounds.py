"""Rounds through the drop folder: files are fed and put away, and nothing is lost by a crash."""

import asyncio
import contextlib
import fcntl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.intake.shelves import names
from tests.parcels.conftest import registration

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, tenant
from milepost.intake import edifact, iftsta
from milepost.intake.drop_folder import DropFolder
from milepost.intake.drop_round import DropRounds, DropRules
from milepost.intake.edifact import RawSegment
from milepost.intake.tell import Teller
from milepost.parcels.register import Registrar

HEADER = "number,time,code\n"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Worker = Callable[[], DropRounds]


@pytest.fixture
def worker(tmp_path: Path, worker_pool: Pool, catalogue: Catalogue, teller: Teller) -> Worker:
    rules = DropRules(settle_seconds=0, most_bytes=100_000, keep_days=7)
    return lambda: DropRounds(DropFolder(tmp_path), rules, worker_pool, catalogue, teller)


async def codes(pool: Pool, account: int) -> list[str]:
    async with tenant(pool, account) as conn:
        rows = await conn.fetch("SELECT raw_code FROM event WHERE event_type = 'carrier'")
    return sorted(row["raw_code"] for row in rows)


@pytest.fixture
async def known(registrar: Registrar, account: int) -> int:
    """An account with the parcel A1."""
    await registrar.register(account, registration(tracking_number="A1", carrier_code="slowpost"))
    return account


async def test_files_are_fed_and_put_away(
    worker: Worker, lay: Callable[..., Path], worker_pool: Pool, known: int
) -> None:
    good = lay("good.csv", f"{HEADER}A1,2026-03-02T09:00,X\nB2,2026-03-02T09:00,X\n", known)
    lay("half.edi", "UNB+UNOC:3+A+B'UNH+1+IFTSTA:D:01B:UN'", known)
    lay("packed.csv", "PK\x03\x04", known)
    lay("large.csv", "x" * 100_001, known)
    await worker().look()
    folder = good.parent
    assert sorted(one.name for one in folder.iterdir()) == ["done", "rejected"]
    assert names(folder / "done") == ["good.csv", "good.csv.verdicts.csv"]
    assert names(folder / "rejected") == [
        one for name in ("half.edi", "large.csv", "packed.csv")
        for one in (name, f"{name}.verdicts.csv")
    ]  # fmt: skip
    assert await codes(worker_pool, known) == ["X"]
    (told,) = (folder / "done").glob("*good.csv.verdicts.csv")
    assert [line.split(",")[:3] for line in told.read_text().splitlines()[1:]] == [
        ["2", "A1", "told"],
        ["3", "B2", "refused"],
    ]


async def test_a_file_is_left_alone_until_it_has_settled(
    tmp_path: Path, lay: Callable[..., Path], worker_pool: Pool, catalogue: Catalogue,
    teller: Teller, known: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clock = [100.0]
    monkeypatch.setattr("milepost.intake.drop_round.monotonic", lambda: clock[0])
    rules = DropRules(settle_seconds=5, most_bytes=100_000, keep_days=7)
    rounds = DropRounds(DropFolder(tmp_path), rules, worker_pool, catalogue, teller)
    path = lay("scans.csv", HEADER, known)
    for more in ("A1,2026-03-02T09:00,X\n", "A1,2026-03-02T09:01,Y\n", ""):
        await rounds.look()
        clock[0] += 4
        path.write_text(path.read_text() + more) if more else None
    await rounds.look()
    assert path.exists(), "it grew four seconds before"
    clock[0] += 4
    await rounds.look()
    assert not path.exists()
    assert await codes(worker_pool, known) == ["X", "Y"]


async def test_a_file_of_no_account_stays(
    worker: Worker, lay: Callable[..., Path], known: int
) -> None:
    path = lay("scans.csv", f"{HEADER}A1,2026-03-02T09:00,X\n", known + 1000)
    rounds = worker()
    await rounds.look()
    await rounds.look()
    assert path.exists()


async def test_a_file_of_a_suspended_account_stays(
    worker: Worker, lay: Callable[..., Path], known: int, admin_pool: Pool
) -> None:
    await admin_pool.execute("UPDATE account SET status = 'suspended'")
    path = lay("scans.csv", f"{HEADER}A1,2026-03-02T09:00,X\n", known)
    await worker().look()
    assert path.exists()
    await admin_pool.execute("UPDATE account SET status = 'active'")
    await worker().look()
    assert not path.exists()


async def test_a_file_that_we_fail_at_is_not_in_the_way_of_others(
    worker: Worker, lay: Callable[..., Path], worker_pool: Pool, known: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    bad = lay("1.csv", f"{HEADER}B2,2026-03-02T09:00,X\n", known)
    lay("2.csv", f"{HEADER}A1,2026-03-02T09:00,X\n", known)
    holders = Teller.holders

    async def failing(teller: Teller, account: int, code: str | None, number: str) -> object:
        if number == "B2":
            raise ValueError(number)
        return await holders(teller, account, code, number)

    monkeypatch.setattr(Teller, "holders", failing)
    await worker().look()
    assert bad.exists()
    assert names(bad.with_name("done")) == ["2.csv", "2.csv.verdicts.csv"]
    assert await codes(worker_pool, known) == ["X"]


async def test_files_are_read_beside_what_else_the_worker_does(
    worker: Worker, lay: Callable[..., Path], known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looks at a file of IFTSTA: half a minute for one of a hundred megabytes."""
    read_by: list[int] = []

    def watched(file: BinaryIO) -> Iterator[RawSegment]:
        for segment in edifact.segments(file):
            read_by.append(threading.get_ident())
            yield segment

    monkeypatch.setattr(iftsta, "segments", watched)
    path = lay("scans.edi", "UNB+UNOC:3+A+B'UNH+1+IFTSTA:D:01B:UN'UNT+2+1'UNZ+1+1'", known)
    await worker().look()
    assert not path.exists()
    assert len(read_by) == 8
    assert threading.get_ident() not in read_by


class Holding:
    """A teller that is in the middle of something until it is let go."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self.begun: list[str] = []
        self.busy = asyncio.Event()
        self.go = asyncio.Event()

    async def tell(self, account: int, carrier: str, number: str, *rest: object) -> object:
        self.begun.append(number)
        self.busy.set()
        await self.go.wait()
        return await self._teller.tell(account, carrier, number, *rest)  # type: ignore[arg-type]


@contextlib.contextmanager
def without_locks(monkeypatch: pytest.MonkeyPatch, planted: bool) -> Iterator[None]:
    with monkeypatch.context() as patched:
        if planted:
            patched.setattr(fcntl, "flock", lambda *_: None)
        yield


@pytest.mark.parametrize("planted", [False, True])
async def test_two_workers_never_take_one_file_twice(
    tmp_path: Path, lay: Callable[..., Path], worker_pool: Pool, catalogue: Catalogue,
    teller: Teller, known: int, monkeypatch: pytest.MonkeyPatch, planted: bool,
) -> None:  # fmt: skip
    """Planted: without the lock both read it; the timeline has each scan once all the same."""
    lay("scans.csv", f"{HEADER}A1,2026-03-02T09:00,X\n", known)
    rules = DropRules(settle_seconds=0, most_bytes=100_000, keep_days=7)
    folder, holding = DropFolder(tmp_path), Holding(teller)
    first, second = (
        DropRounds(folder, rules, worker_pool, catalogue, holding)  # type: ignore[arg-type]
        for _ in range(2)
    )
    with without_locks(monkeypatch, planted):
        slow = asyncio.create_task(first.look())
        await holding.busy.wait()
        other = asyncio.create_task(second.look())
        while not other.done() and len(holding.begun) < 2:
            await asyncio.sleep(0.01)
        holding.go.set()
        await asyncio.gather(slow, other)
    assert len(holding.begun) == (2 if planted else 1)
    assert await codes(worker_pool, known) == ["X"]


async def test_what_a_stopped_worker_left_another_takes_up(
    tmp_path: Path, lay: Callable[..., Path], worker_pool: Pool, catalogue: Catalogue,
    teller: Teller, worker: Worker, known: int,
) -> None:  # fmt: skip
    path = lay("scans.csv", f"{HEADER}A1,2026-03-02T09:00,X\n", known)
    rules = DropRules(settle_seconds=0, most_bytes=100_000, keep_days=7)
    holding = Holding(teller)
    rounds = DropRounds(
        DropFolder(tmp_path), rules, worker_pool, catalogue, holding  # type: ignore[arg-type]
    )  # fmt: skip
    look = asyncio.create_task(rounds.look())
    await holding.busy.wait()
    look.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await look
    assert path.exists()
    await worker().look()
    assert names(path.with_name("done")) == ["scans.csv", "scans.csv.verdicts.csv"]
    assert await codes(worker_pool, known) == ["X"]
