"""The drop folder: each file taken by one process, no link followed, old files gone."""

import errno
import fcntl
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.intake.shelves import names

from milepost.intake import drop_folder
from milepost.intake.drop_folder import DropFolder, Laid
from milepost.intake.verdicts import VerdictFile

HEADER = "number,time,code\n"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


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
