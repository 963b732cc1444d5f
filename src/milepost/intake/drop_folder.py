"""The folder carriers' files are laid into (``ROOT/ACCOUNT/CARRIER/FILE``): what is there, whose.

Anybody's uploads lie there and several workers look, so:

- A file is taken under a lock of the operating system on the file itself, which ends with the
  process that has it; whoever got it looks whether the name is still that file's.
- Folders and files are opened from the one above, and no link is followed.
- Nothing of ours is written where files are laid: verdicts grow in ``ROOT/.work``.
- A file that was read goes to ``done`` or ``rejected`` in its folder, its verdicts beside it.
"""

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

import structlog

from milepost.intake.told_rows import CODE

Shelf = Literal["done", "rejected"]
WORK = ".work"
MOST_FILES = 10_000
"""Looked at in one folder at a time."""
_SHELVES: tuple[Shelf, ...] = ("done", "rejected")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe would be waited for, and is no file; the lock and the reader come after the look at it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ACCOUNT = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".writing", ".crdownload")
_SHELVED = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-.+", re.DOTALL)
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_LONGEST_NAME = 180
"""Bytes of a name that are kept behind the time, so that it fits with ``.verdicts.csv``."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """By which a file is known to be the same, and unchanged."""

    device: int
    inode: int
    size: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> "State":
        """Of what ``stat`` tells."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def is_file_of(self, other: "State") -> bool:
        """Whether both are of one file, written to or not."""
        return (self.device, self.inode) == (other.device, other.inode)


@dataclass(frozen=True, slots=True)
class Laid:
    """A file that lies in the folder of an account and a carrier."""

    account_id: int
    carrier: str
    name: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A file nobody else has: open, as it was when it was taken."""

    laid: Laid
    folder: int
    file: BinaryIO
    state: State

    def unchanged(self) -> bool:
        """Whether nothing was written to it since."""
        return State.of(os.fstat(self.file.fileno())) == self.state


class DropFolder:
    """``root`` is the operator's; below it, whoever may upload has written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def laid(self) -> dict[Laid, State]:
        """Every file that lies there and is not on a shelf, with its state now."""
        found: dict[Laid, State] = {}
        with _opened(self.root) as root:
            for account, carrier, files in _folders(root):
                with _excused(account):
                    for name, state in _files(files):
                        found[Laid(account, carrier, name)] = state
        return found

    @contextmanager
    def taken(self, laid: Laid) -> Iterator[Taken | None]:
        """The file, for this process alone; None where another has it, or it is gone."""
        with (
            _opened(self.root) as root,
            _below(root, str(laid.account_id)) as account,
            _below(account, laid.carrier) as folder,
        ):
            file = None if folder is None else _locked(folder, laid.name)
            if file is None or folder is None:
                yield None
                return
            with file:
                yield Taken(laid, folder, file, State.of(os.fstat(file.fileno())))

    def verdicts(self, taken: Taken) -> Path:
        """Where the verdicts of a file grow: its own, whatever else is laid under its name."""
        work = self.root / WORK
        work.mkdir(mode=0o700, exist_ok=True)
        laid = taken.laid
        named = hashlib.sha256(os.fsencode(laid.name)).hexdigest()[:24]
        return work / f"{laid.account_id}-{laid.carrier}-{named}-{taken.state.inode}.csv"

    def shelve(self, taken: Taken, shelf: Shelf, now: datetime) -> str:
        """Put a file that was read, and its verdicts, away; the name it has there.

        The verdicts go first: after a kill in between the file is read again.
        """
        name = _shelved_name(taken.laid.name, now)
        with suppress(FileExistsError):
            os.mkdir(shelf, mode=0o750, dir_fd=taken.folder)
        with _below(taken.folder, shelf) as to:
            if to is None:
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", shelf)
            os.rename(self.verdicts(taken), f"{name}.verdicts.csv", dst_dir_fd=to)
            if _is_named(taken, taken.folder, taken.laid.name):
                os.rename(taken.laid.name, name, src_dir_fd=taken.folder, dst_dir_fd=to)
                if not _is_named(taken, to, name):
                    # Laid under that name in between: it is another file, and unread.
                    os.rename(name, taken.laid.name, src_dir_fd=to, dst_dir_fd=taken.folder)
        return name

    def forget(self, before: datetime) -> int:
        """Remove what was put away, or left in ``.work``, before then; how many files."""
        gone = 0
        with _opened(self.root) as root:
            for account, _, files in _folders(root):
                with _excused(account):
                    gone += sum(_forget_shelf(files, shelf, before) for shelf in _SHELVES)
            with _below(root, WORK) as work:
                for name in _names(work):
                    # Another worker may do the same.
                    with suppress(FileNotFoundError):
                        if os.stat(name, dir_fd=work).st_mtime < before.timestamp():
                            os.unlink(name, dir_fd=work)
                            gone += 1
        return gone


def _folders(root: int) -> Iterator[tuple[int, str, int | None]]:
    """Every account's folder of every carrier, open."""
    for account in filter(_ACCOUNT.fullmatch, os.listdir(root)):
        with _excused(int(account)), _below(root, account) as folder:
            for carrier in filter(CODE.fullmatch, _names(folder)):
                with _excused(int(account)), _below(folder, carrier) as files:
                    yield int(account), carrier, files


@contextmanager
def _excused(account_id: int) -> Iterator[None]:
    """A folder of one account that can't be read is no reason not to look into the others'."""
    try:
        yield
    except OSError as error:
        log.warning("a folder can't be read", account_id=account_id, error=error.strerror)


def _is_named(taken: Taken, folder: int, name: str) -> bool:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return State.of(found).is_file_of(taken.state)


def _locked(folder: int, name: str) -> BinaryIO | None:
    try:
        number = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        # Gone, or a link.
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise
    ours = False
    try:
        ours = _is_ours(number, folder, name)
    finally:
        if not ours:
            os.close(number)
    return os.fdopen(number, "rb") if ours else None


def _is_ours(number: int, folder: int, name: str) -> bool:
    """Whether the file is locked for us, and still the one of that name."""
    if not stat.S_ISREG(os.fstat(number).st_mode):
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        named = State.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except (BlockingIOError, FileNotFoundError):
        return False
    # Whoever had it before may have put it away between our opening it and the lock.
    return named.is_file_of(State.of(os.fstat(number)))


def _files(folder: int | None) -> Iterator[tuple[str, State]]:
    for name in _names(folder)[:MOST_FILES]:
        if name.startswith(".") or name.lower().endswith(_UNFINISHED):
            continue
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(found.st_mode):
            yield name, State.of(found)


def _names(folder: int | None) -> list[str]:
    return [] if folder is None else sorted(os.listdir(folder))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # The root itself may well be a link: it is the operator's word.
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield number
    finally:
        os.close(number)


@contextmanager
def _below(folder: int | None, name: str) -> Iterator[int | None]:
    """A folder in a folder; None where it is none, or a link to one."""
    number = None
    if folder is not None:
        with suppress(FileNotFoundError, NotADirectoryError):
            number = _open_folder(folder, name)
    try:
        yield number
    finally:
        if number is not None:
            os.close(number)


def _open_folder(folder: int, name: str) -> int | None:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        # What macOS says of a link; Linux says that it is no folder.
        if error.errno == errno.ELOOP:
            return None
        raise


def _shelved_name(name: str, now: datetime) -> str:
    kept = os.fsdecode(os.fsencode(name)[-_LONGEST_NAME:])
    return f"{now.astimezone(UTC).strftime(_STAMP)}-{kept}"


def _forget_shelf(folder: int | None, shelf: str, before: datetime) -> int:
    gone = 0
    with _below(folder, shelf) as files:
        for name in _names(files):
            if (stamped := _SHELVED.fullmatch(name)) is None:
                continue
            at = datetime.strptime(stamped[1], _STAMP).replace(tzinfo=UTC)
            if at < before:
                # Another worker may do the same.
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=files)
                    gone += 1
    return gone
