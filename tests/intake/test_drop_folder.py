"""The drop folder: each file taken by one worker, nothing lost by a crash, no link followed."""

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.parcels.conftest import registration

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, tenant
from milepost.intake import drop_folder, edifact, iftsta
from milepost.intake.drop_folder import DropFolder, Laid
from milepost.intake.drop_round import DropRounds, DropRules
from milepost.intake.edifact import RawSegment
from milepost.intake.tell import Teller
from milepost.intake.verdicts import VerdictFile
from milepost.parcels.register import Registrar

HEADER = "number,time,code\n"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Worker = Callable[[], DropRounds]


@pytest.fixture
def lay(tmp_path: Path) -> Callable[..., Path]:
    """Lays a file into the folder of account 7 and a carrier."""

    def made(name: str, content: str = HEADER, account: int = 7, carrier: str = "slowpost") -> Path:
        path = tmp_path / str(account) / carrier / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    return made


def names(path: Path) -> list[str]:
    """What lies there, without the times put in front."""
    found = sorted(one.name for one in path.iterdir()) if path.is_dir() else []
    return [name.partition("Z-")[2] for name in found]


# The folder alone -----------------------------------------------------------------------------


def test_what_counts_as_laid(tmp_path: Path, lay: Callable[..., Path]) -> None:
    lay("scans.csv")
    lay("names with blanks\n.csv")
    for name in (".hidden", "scans.part", "scans.TMP"):
        lay(name)
    for place in ("007/dhl", "0/dhl", "x/dhl", "7/DHL", "7/../7x", "done/dhl"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "no.csv").write_text(HEADER)
    (tmp_path / "7" / "dhl" / "done").mkdir(parents=True)
    (tmp_path / "7" / "loose.csv").write_text(HEADER)
    os.mkfifo(tmp_path / "7" / "dhl" / "pipe.csv")
    found = DropFolder(tmp_path).laid()
    assert [laid.name for laid in found] == ["names with blanks\n.csv", "scans.csv"]
    assert {(laid.account_id, laid.carrier) for laid in found} == {(7, "slowpost")}


def test_no_link_is_followed(tmp_path: Path, lay: Callable[..., Path]) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    good = lay("scans.csv")
    good.with_name("link.csv").symlink_to(secret / "key")
    (tmp_path / "8").symlink_to(secret)
    (tmp_path / "7" / "dhl").symlink_to(secret)
    good.with_name("done").symlink_to(secret)
    folder = DropFolder(tmp_path)
    assert [laid.name for laid in folder.laid()] == ["scans.csv"]
    for account, carrier, name in ((7, "slowpost", "link.csv"), (8, "x", "key"), (7, "dhl", "key")):
        with folder.taken(Laid(account, carrier, name)) as taken:
            assert taken is None
    with folder.taken(Laid(7, "slowpost", "scans.csv")) as taken:
        assert taken is not None
        with VerdictFile(folder.verdicts(taken)):
            pass
        with pytest.raises(NotADirectoryError):
            folder.shelve(taken, "done", NOW)
    folder.forget(NOW + timedelta(days=99))
    assert sorted(one.name for one in secret.iterdir()) == ["key"]


def test_one_file_is_one_processs(tmp_path: Path, lay: Callable[..., Path]) -> None:
    lay("scans.csv")
    laid = Laid(7, "slowpost", "scans.csv")
    first, second = DropFolder(tmp_path), DropFolder(tmp_path)
    with first.taken(laid) as mine, second.taken(laid) as theirs:
        assert mine is not None
        assert theirs is None
    with second.taken(laid) as theirs:
        assert theirs is not None


@pytest.mark.parametrize("planted", [False, True])
def test_a_file_that_was_put_away_meanwhile_is_not_taken(
    tmp_path: Path, lay: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    """Another worker ends with it between our opening it and our lock."""
    path = lay("scans.csv")
    lock = fcntl.flock

    def late(number: int, how: int) -> None:
        path.rename(path.with_name("away"))
        lay("scans.csv", "the next one")
        lock(number, how)

    monkeypatch.setattr(fcntl, "flock", late)
    if planted:
        # Without the look after the lock the file is taken a second time, under another's name.
        monkeypatch.setattr(drop_folder.State, "is_file_of", lambda *_: True)
    with DropFolder(tmp_path).taken(Laid(7, "slowpost", "scans.csv")) as taken:
        assert (taken is not None) == planted


def test_what_is_laid_under_its_name_meanwhile_stays(
    tmp_path: Path, lay: Callable[..., Path]
) -> None:
    path = lay("scans.csv", "first")
    folder = DropFolder(tmp_path)
    with folder.taken(Laid(7, "slowpost", "scans.csv")) as taken:
        assert taken is not None
        with VerdictFile(folder.verdicts(taken)):
            pass
        path.with_name("new").write_text("second")
        path.with_name("new").rename(path)
        folder.shelve(taken, "done", NOW)
    assert path.read_text() == "second"
    assert names(path.with_name("done")) == ["scans.csv.verdicts.csv"]


def test_long_names_fit_and_old_files_go(tmp_path: Path, lay: Callable[..., Path]) -> None:
    path = lay("é" * 120)
    folder = DropFolder(tmp_path)
    for at in (NOW, NOW + timedelta(days=2)):
        path.write_text(HEADER)
        with folder.taken(Laid(7, "slowpost", path.name)) as taken:
            assert taken is not None
            with VerdictFile(folder.verdicts(taken)):
                pass
            folder.shelve(taken, "done", at)
    theirs = path.with_name("done") / "kept by somebody.csv"
    theirs.write_text("")
    assert folder.forget(NOW + timedelta(days=1)) == 2
    left = sorted(one.name for one in theirs.parent.iterdir())
    assert len(left) == 3
    assert left[0].startswith("20260304T120000.000000Z-")


@pytest.mark.parametrize("denied", ["7", "slowpost"])
def test_a_folder_that_cant_be_read_is_in_nobodys_way(
    tmp_path: Path, lay: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, denied: str
) -> None:
    lay("scans.csv")
    path = lay("scans.csv", account=8, carrier="dhl")
    folder, opened = DropFolder(tmp_path), drop_folder._open_folder
    with folder.taken(Laid(8, "dhl", path.name)) as taken:
        assert taken is not None
        with VerdictFile(folder.verdicts(taken)):
            pass
        folder.shelve(taken, "done", NOW)
    lay("scans.csv", account=8, carrier="dhl")

    def refusing(number: int, name: str) -> int | None:
        if name == denied:
            raise PermissionError(errno.EACCES, "Permission denied", name)
        return opened(number, name)

    monkeypatch.setattr(drop_folder, "_open_folder", refusing)
    assert list(folder.laid()) == [Laid(8, "dhl", "scans.csv")]
    assert folder.forget(NOW + timedelta(days=1)) == 2


# Rounds ---------------------------------------------------------------------------------------


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
    monkeypatch.setattr("milepost.intake.drop_round.time.monotonic", lambda: clock[0])
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
