"""Where data, socket and programs are kept, as root and as somebody else."""

import os
import pwd
from pathlib import Path

import psutil
import pytest
from tests.db.clusters import UserOf, data_of, pid_of, query

from milepost.db import cluster, unprivileged
from milepost.db.embedded import EmbeddedPostgres
from milepost.errors import ConfigurationError
from milepost.settings import Settings

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_a_socket_folder_of_somebody_else_is_not_used(used_dir: Path, tmp_path: Path) -> None:
    me = unprivileged.RunAs(None, None)
    tmp_path.chmod(0o755)
    assert not cluster.is_private_folder(tmp_path, me)
    tmp_path.chmod(0o700)
    assert cluster.is_private_folder(tmp_path, me)
    assert not cluster.is_private_folder(tmp_path, unprivileged.RunAs(12345, 12345))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not cluster.is_private_folder(link, me)


def test_a_long_temporary_folder_is_not_used(
    used_dir: Path, user_of: UserOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert query(user_of(used_dir).start(), "SELECT 1") == 1


def test_half_an_initialisation_is_thrown_away(state_dir: Path, user_of: UserOf) -> None:
    half = state_dir / "postgresql" / "data.new-1"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (state_dir / "postgresql").chmod(0o711)
    assert query(user_of(state_dir).start(), "SELECT 1") == 1
    assert not half.exists()


def test_a_state_directory_that_can_not_be_made(tmp_path: Path, user_of: UserOf) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file is not writable: Not a directory"):
        user_of(tmp_path / "file").start()


@needs_root
def test_root_keeps_unreachable_data_elsewhere(
    state_dir: Path, user_of: UserOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = state_dir / "shared"
    monkeypatch.setattr(unprivileged, "SHARED_HOME", shared)
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    user = user_of(private / "state")
    query(user.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    assert data_of(private / "state").is_relative_to(shared)
    assert private.stat().st_mode & 0o777 == 0o700
    user.stop()
    assert query(user_of(private / "state").start(), "SELECT answer FROM kept") == 42


@needs_root
def test_root_copies_an_unreachable_installation_and_leaves_its_path_alone(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = state_dir / "shared"
    monkeypatch.setattr(unprivileged, "SHARED_HOME", shared)
    private = state_dir / "private"
    program = private / "installed" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    private.chmod(0o700)
    monkeypatch.setattr(unprivileged, "bundled_installation", lambda: private / "installed")
    nobody = pwd.getpwnam("nobody")
    user = unprivileged.RunAs(nobody.pw_uid, nobody.pw_gid)
    copied = unprivileged.binaries(user)
    assert copied.is_relative_to(shared)
    assert user.reaches(copied / "postgres")
    assert private.stat().st_mode & 0o777 == 0o700
    assert program.stat().st_mode & 0o777 == 0o700
    assert unprivileged.binaries(user) == copied


@needs_root
def test_somebody_who_is_not_root_needs_no_tricks(state_dir: Path) -> None:
    """In a forked child: this Python itself may be installed where nobody else can read it."""
    nobody = pwd.getpwnam("nobody")
    os.chown(state_dir, nobody.pw_uid, nobody.pw_gid)
    report = state_dir / "report"
    child = os.fork()
    if child == 0:
        try:
            os.chdir("/")
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            user = EmbeddedPostgres(Settings(state_dir=state_dir / "mine"))
            user.start()
            owner = psutil.Process(pid_of(state_dir / "mine")).uids().real
            user.stop()
            report.write_text(f"a server of {owner}")
        except BaseException as error:  # noqa: BLE001 the parent judges
            report.write_text(repr(error))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert report.read_text() == f"a server of {nobody.pw_uid}"
    assert (state_dir / "mine").stat().st_mode & 0o777 == 0o700
