"""What the bundled PostgreSQL keeps on disk: data directory, socket folder, their places."""

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from milepost.db.unprivileged import MAJOR_VERSION, RunAs, run_as, shared_home
from milepost.errors import ConfigurationError

SOCKET_NAME = ".s.PGSQL.5432"
MAX_SOCKET_PATH = 100


def make_folder(state_dir: Path, folder: Path) -> None:
    """Makes the state directory and ours in it; as root both can be entered, not read, by all."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for path in (state_dir, folder):
            if not path.exists():
                path.mkdir(parents=True)
                path.chmod(mode)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"the state directory {state_dir} is not writable: {error.strerror}"
        ) from error


def has_database(state_dir: Path) -> bool:
    """Whether an embedded database was made here already. ConfigurationError where we can't see."""
    folder = state_dir / "postgresql"
    pointer = folder / "data.location"
    try:
        data = Path(pointer.read_text().strip()) if pointer.exists() else folder / "data"
        return (data / "PG_VERSION").exists()
    except PermissionError as error:
        raise ConfigurationError(
            f"{error.filename}: {error.strerror}; run this as the user that Milepost runs as"
        ) from error


def find_data(folder: Path) -> Path:
    """The data directory: in our folder, or, where PostgreSQL's user can't go, at the pointer."""
    pointer = folder / "data.location"
    if pointer.exists():
        return Path(pointer.read_text().strip())
    data = folder / "data"
    if data.exists() or run_as(data).reaches(folder):
        return data
    elsewhere = Path(tempfile.mkdtemp(prefix="data-", dir=shared_home()))
    elsewhere.chmod(0o711)
    (elsewhere / "belongs-to").write_text(f"{folder}\n")
    pointer.write_text(f"{elsewhere / 'data'}\n")
    return elsewhere / "data"


def initialise(data: Path, programs: Path, user: RunAs) -> None:
    """``initdb`` and our database, made beside and renamed: half a cluster is never used."""
    for leftover in data.parent.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished = data.with_name(f"data.new-{os.getpid()}")
    unfinished.mkdir()
    user.give(unfinished)
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = ["--username=milepost", "--auth=trust", "--encoding=UTF8"]
    memory = ["-c", f"shared_buffers={shared_buffers()}MB"]
    run([str(programs / "initdb"), "-D", str(unfinished), *access, *locale, *memory], user)
    single = [str(programs / "postgres"), "--single", "-D", str(unfinished), "postgres"]
    run(single, user, b"CREATE DATABASE milepost;\n")
    unfinished.rename(data)


def shared_buffers() -> int:
    """What a new cluster keeps of its data in memory of its own, in MB: an eighth of the machine's.

    PostgreSQL's 128 MB hold some 30,000 parcels; what is read past them is copied from the kernel's
    cache. It stands in ``postgresql.conf``, where an operator may change it.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return max(128, min(1024, machine // 8))


def run(command: list[str], user: RunAs, said: bytes = b"") -> None:
    """Runs a PostgreSQL program to its end; its last line is the error."""
    done = subprocess.run(  # noqa: S603 our own programs
        command, input=said, capture_output=True, check=False, **user.popen_arguments()
    )
    if done.returncode != 0:
        text = last_line(done.stderr.decode(errors="replace"))
        raise ConfigurationError(f"{Path(command[0]).name} failed: {text}")


def check_version(data: Path) -> None:
    """Data of another major version needs an upgrade, which nobody should do unasked."""
    version = (data / "PG_VERSION").read_text().strip()
    if version != str(MAJOR_VERSION):
        raise ConfigurationError(
            f"the data in {data} is of PostgreSQL {version}, this Milepost brings {MAJOR_VERSION}"
        )


def socket_folder_for(folder: Path, user: RunAs) -> Path:
    """A short private folder for the socket (a path may have 107 bytes), kept over starts."""
    note = folder / "socket.location"
    if note.exists():
        known = Path(note.read_text().strip())
        if is_private_folder(known, user):
            return known
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 sticky, 0700 below it
        length = len(os.fsencode(base / "milepost-12345678" / SOCKET_NAME))
        if length <= MAX_SOCKET_PATH and user.reaches(base):
            made = Path(tempfile.mkdtemp(prefix="milepost-", dir=base))
            user.give(made)
            note.write_text(f"{made}\n")
            return made
    raise ConfigurationError("there is no short temporary folder for PostgreSQL's socket")


def forget_socket_folder(folder: Path) -> None:
    """After a clean stop nothing is left in the temporary folder."""
    note = folder / "socket.location"
    with suppress(OSError):
        Path(note.read_text().strip()).rmdir()
        note.unlink()


def is_private_folder(path: Path, user: RunAs) -> bool:
    """Ours alone; a folder somebody else made under the old name would hand them our queries."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return path.is_dir() and found.st_uid == user.owner and found.st_mode & 0o777 == 0o700


def why_it_ended(data: Path, start_log: Path, pid: int) -> str:
    """What the server said last: its FATAL line, from before or after it opened its own log."""
    started = start_log.read_text(errors="replace").splitlines()
    logs = sorted((data / "log").glob("*.log"), key=lambda log: log.stat().st_mtime)
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    # Its own lines only: a log may be an earlier server's, or came with a restored backup.
    own = started + [line for line in lines if f"[{pid}]" in line]
    fatal = [line for line in own if f"[{pid}]" in line and "FATAL:" in line]
    return fatal[-1].partition("FATAL:")[2].strip() if fatal else last_line("\n".join(own))


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
