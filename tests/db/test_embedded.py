"""The bundled server: shared, killed, confused and still there. All of it with a real one."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest
from tests.db.clusters import UserOf, data_of, kill_now, lives, pid_of, query

from milepost.db import embedded, unprivileged
from milepost.db.cluster import why_it_ended
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.postmaster import is_stopping, running_postmaster, socket_of
from milepost.errors import ConfigurationError
from milepost.settings import Settings


def test_a_new_cluster_is_utf8_durable_and_private(state_dir: Path, user_of: UserOf) -> None:
    dsn = user_of(state_dir).start()
    assert query(dsn, "SELECT pg_encoding_to_char(encoding) FROM pg_database LIMIT 1") == "UTF8"
    provider = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname='milepost'"
    assert query(dsn, provider) == "bC.UTF-8"
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert query(dsn, f"SHOW {name}") == "on"
    assert query(dsn, "SHOW listen_addresses") == ""
    assert psutil.Process(pid_of(state_dir)).uids().real != 0
    folder = socket_of(data_of(state_dir))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(str(folder)) < 80


def test_durable_even_where_the_configuration_file_says_otherwise(
    used_dir: Path, user_of: UserOf
) -> None:
    with (data_of(used_dir) / "postgresql.conf").open("a") as file:
        file.write("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n")
    dsn = user_of(used_dir).start()
    assert query(dsn, "SHOW fsync") == query(dsn, "SHOW synchronous_commit") == "on"
    assert query(dsn, "SHOW full_page_writes") == "on"


def test_the_last_user_out_stops_the_server(used_dir: Path, user_of: UserOf) -> None:
    first, second = user_of(used_dir), user_of(used_dir)
    dsn = first.start()
    assert second.start() == dsn
    pid = pid_of(used_dir)
    folder = socket_of(data_of(used_dir))
    first.stop()
    assert query(dsn, "SELECT 1") == 1
    assert pid_of(used_dir) == pid
    second.stop()
    assert not lives(pid)
    assert not folder.exists()


def test_a_fork_is_no_user(used_dir: Path, user_of: UserOf) -> None:
    """As when a main process is killed and those it had forked live a little longer."""
    first, second = user_of(used_dir), user_of(used_dir)
    first.start()
    second.start()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b"born")
        time.sleep(60)
        os._exit(0)
    assert os.read(told, 4) == b"born"
    first._leave()
    second.stop()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert running_postmaster(data_of(used_dir)) is None


def test_stopping_twice_or_unstarted_is_nothing(used_dir: Path) -> None:
    user = EmbeddedPostgres(Settings(state_dir=used_dir))
    user.stop()
    user.start()
    user.stop()
    user.stop()


def test_committed_rows_survive_a_killed_server(used_dir: Path, user_of: UserOf) -> None:
    user = user_of(used_dir)
    dsn = user.start()
    query(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not user.ensure_running()
    kill_now(pid_of(used_dir))
    # Killed and not reaped by us yet: a zombie is not a running server.
    assert running_postmaster(data_of(used_dir)) is None
    assert user.ensure_running()
    assert user._dsn == dsn, "pools find the restarted server at the old address"
    assert query(dsn, "SELECT answer FROM kept") == 42


def test_a_server_that_was_told_to_stop_and_does_not_is_ended_and_started_again(
    used_dir: Path, user_of: UserOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "STUCK_SECONDS", 0.5)
    user = user_of(used_dir)
    dsn = user.start()
    query(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = pid_of(used_dir)
    (checkpointer,) = [
        one for one in psutil.Process(pid).children() if "checkpointer" in " ".join(one.cmdline())
    ]
    # Without it no server ends in order.
    checkpointer.suspend()
    os.kill(pid, signal.SIGINT)
    while not is_stopping(data_of(used_dir)):
        time.sleep(0.01)
    assert user.ensure_running()
    assert not lives(pid)
    assert query(dsn, "SELECT answer FROM kept") == 42


def test_a_server_whose_users_were_all_killed_is_found_again(
    used_dir: Path, user_of: UserOf
) -> None:
    code = (
        "import os, sys, signal; from pathlib import Path;"
        "from milepost.db.embedded import EmbeddedPostgres; from milepost.settings import Settings;"
        "print(EmbeddedPostgres(Settings(state_dir=Path(sys.argv[1]))).start());"
        "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(used_dir)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    pid = pid_of(used_dir)
    user = user_of(used_dir)
    assert user.start() == killed.stdout.decode().strip()
    assert pid_of(used_dir) == pid
    user.stop()
    assert running_postmaster(data_of(used_dir)) is None


def test_everything_killed_and_started_again(used_dir: Path, user_of: UserOf) -> None:
    first = EmbeddedPostgres(Settings(state_dir=used_dir))
    query(first.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    postmaster = psutil.Process(pid_of(used_dir))
    # Stopped, so that it can't end or restart its children before we kill them.
    postmaster.suspend()
    for process in [*postmaster.children(), postmaster]:
        process.kill()
    first._leave()
    assert query(user_of(used_dir).start(), "SELECT answer FROM kept") == 42


@pytest.mark.parametrize("whose", ["ours", "of the user PostgreSQL runs as", "nobody's"])
def test_a_stale_pid_file_is_removed(used_dir: Path, user_of: UserOf, whose: str) -> None:
    """The pid of a living program that is no server of ours: PostgreSQL alone would refuse."""
    data = data_of(used_dir)
    arguments = unprivileged.run_as(data).popen_arguments()
    other = subprocess.Popen(["/bin/sleep", "60"], **arguments)
    pid = {"ours": os.getpid(), "nobody's": 2**22 + 1}.get(whose, other.pid)
    lines = [str(pid), str(data), "1700000000", "5432", "/tmp", "", "  1 1", "ready   "]
    (data / "postmaster.pid").write_text("\n".join(lines))
    assert query(user_of(used_dir).start(), "SELECT 1") == 1
    other.kill()
    other.wait()


def test_a_memory_block_still_held_is_waited_for(
    used_dir: Path, user_of: UserOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The postmaster is killed while a backend of it is stopped and can't notice."""
    user = user_of(used_dir)
    dsn = user.start()
    monkeypatch.setattr(embedded, "MEMORY_SECONDS", 20)

    async def hold() -> None:
        connection = await asyncpg.connect(dsn)
        backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
        backend.suspend()
        kill_now(pid_of(used_dir))
        restart = asyncio.create_task(asyncio.to_thread(user.ensure_running))
        await asyncio.sleep(1)
        assert not restart.done()
        backend.resume()
        assert await restart
        connection.terminate()

    asyncio.run(hold())
    assert query(dsn, "SELECT 1") == 1


def test_many_processes_start_one_server(state_dir: Path) -> None:
    code = (
        "import sys, asyncio, asyncpg; from pathlib import Path;"
        "from milepost.db.embedded import EmbeddedPostgres; from milepost.settings import Settings;"
        "user = EmbeddedPostgres(Settings(state_dir=Path(sys.argv[1]))); dsn = user.start();"
        "print('ready', flush=True); sys.stdin.read(); user.stop()"
    )
    command = [sys.executable, "-c", code, str(state_dir)]
    pipe = subprocess.PIPE
    users = [subprocess.Popen(command, stdin=pipe, stdout=pipe) for _ in range(4)]
    for user in users:
        assert user.stdout is not None
        assert user.stdout.readline() == b"ready\n"
    pid = pid_of(state_dir)
    for user in users:
        assert lives(pid)
        user.communicate()
        assert user.returncode == 0
    assert not lives(pid)


def test_a_tidied_socket_folder_is_made_again(used_dir: Path, user_of: UserOf) -> None:
    user_of(used_dir).start()
    shutil.rmtree(socket_of(data_of(used_dir)))
    assert query(user_of(used_dir).start(), "SELECT 1") == 1


def test_data_of_another_version_is_refused(used_dir: Path, user_of: UserOf) -> None:
    (data_of(used_dir) / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigurationError, match="PostgreSQL 17, this Milepost brings 18"):
        user_of(used_dir).start()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [("shared_buffers = banana", "contains errors"), ("hba_file = '/nonexistent'", "nonexistent")],
)
def test_a_server_that_can_not_start_says_why(
    used_dir: Path, user_of: UserOf, setting: str, reason: str
) -> None:
    """Before and after it has opened its own log."""
    (data_of(used_dir) / "postgresql.conf").write_text(f"{setting}\n")
    with pytest.raises(ConfigurationError, match=f"PostgreSQL did not start: .*{reason}"):
        user_of(used_dir).start()


def test_a_watch_that_comes_after_the_stop_starts_nothing(used_dir: Path, user_of: UserOf) -> None:
    user = user_of(used_dir)
    user.start()
    user.stop()
    assert not user.ensure_running()
    assert running_postmaster(used_dir / "postgresql" / "data") is None


def test_why_a_server_ended_is_not_read_in_an_earlier_ones_log(tmp_path: Path) -> None:
    """A restored backup brings the log of the server it was taken from."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "old.log").write_text("now [7] LOG:  checkpoint complete\n")
    start_log = tmp_path / "start.log"
    start_log.write_text('postgres: could not access directory "data": Permission denied\n')
    assert "Permission denied" in why_it_ended(tmp_path, start_log, 8)
