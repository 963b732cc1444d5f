"""This machine: settings, the secret key, files and disk; what is read, and how it is judged."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from milepost.accounts.secret_keys import SecretKeys
from milepost.checkup.verdict import Verdict, fault, warning, well
from milepost.errors import ConfigurationError
from milepost.settings import Settings

GIB = 1024**3
KEY_FILE = "secret.key"


@dataclass(frozen=True, slots=True)
class FileMode:
    """A file of ours: its permission bits, and whether we or root own it."""

    path: str
    mode: int
    secret: bool
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes where ``path`` is."""

    path: str
    free: int
    total: int


def settings_faults(error: ValidationError) -> Iterator[Verdict]:
    """Each wrong setting in a line, never with its value, which may be a secret."""
    for one in error.errors(include_input=False, include_url=False):
        name = "MILEPOST_" + ".".join(str(part) for part in one["loc"]).upper()
        name = name.replace("MILEPOST_MILEPOST_", "MILEPOST_")
        yield fault("settings", f"{name}: {one['msg']}", "see the table of settings in the README")


def unknown_settings(unknown: Mapping[str, str]) -> Iterator[Verdict]:
    """Each variable that sets nothing in a line, with the setting that was meant."""
    for name, nearest in unknown.items():
        todo = f"set {nearest} instead" if nearest else "see the table of settings in the README"
        yield warning("settings", f"{name} is no setting", todo)


def read_keys(settings: Settings) -> SecretKeys | None:
    """The configured keys; None where the first start will make one. Raises ConfigurationError."""
    configured = settings.secret_key or settings.secret_key_file
    embedded = settings.database_url is None
    if embedded and not configured and not (settings.state_dir / KEY_FILE).exists():
        return None
    return SecretKeys.load(settings, embedded=embedded)


def judge_key(settings: Settings, fingerprint: str | None) -> Verdict:
    """There is a key, and it is the database's; ``fingerprint`` is None where that is unknown."""
    try:
        keys = read_keys(settings)
    except ConfigurationError as error:
        todo = "set MILEPOST_SECRET_KEY_FILE to a file with the key this database was set up with"
        return fault("secret key", str(error), todo)
    if keys is None and not fingerprint:
        return well("secret key", "the first start makes one")
    if keys is None:
        todo = f"put {KEY_FILE} back from the backup into the state directory"
        return fault("secret key", "it is gone, and the database was set up with one", todo)
    if fingerprint and fingerprint not in keys.fingerprints:
        todo = "put the old key behind the new one, or restore the right one"
        return fault("secret key", "it is not the one this database was set up with", todo)
    return well("secret key", "present and matching" if fingerprint else "present")


def read_files(settings: Settings) -> Iterator[FileMode]:
    """What of ours lies in the file system now."""
    secret = [settings.state_dir / KEY_FILE, settings.secret_key_file, settings.tls_key]
    for path in (settings.state_dir, settings.state_dir / "postgresql", *secret):
        if path is not None and path.exists():
            found = path.stat()
            ours = found.st_uid in (os.geteuid(), 0)
            yield FileMode(str(path), stat.S_IMODE(found.st_mode), path in secret, ours)


def judge_file(file: FileMode) -> Verdict:
    """Secrets are for their owner (and a group that may read); nobody else writes anything."""
    text = f"{file.path} has mode {file.mode:04o}"
    if not file.ours:
        return warning("files", f"{file.path} belongs to another user", "run this as its owner")
    if file.secret and file.mode & 0o037:
        return fault("files", text, f"chmod 600 {file.path}")
    if file.mode & 0o022:
        return fault("files", text, f"chmod go-w {file.path}")
    return well("files", text)


def read_disk(folder: Path) -> Disk:
    """Of the disk where ``folder`` is, or would be."""
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return Disk(str(folder), usage.free, usage.total)


def judge_disk(disk: Disk) -> Verdict:
    """PostgreSQL stops when the disk is full."""
    part = disk.free / max(1, disk.total)
    text = f"{disk.free / GIB:.1f} GiB ({part:.0%}) free at {disk.path}"
    if disk.free < GIB or part < 0.02:
        return fault("disk", text, "make room before PostgreSQL stops")
    if disk.free < 5 * GIB or part < 0.1:
        return warning("disk", text, "make room")
    return well("disk", text)
