"""P19, restores: what docs/operating.md tells an operator to type, typed, and nothing is missing.

``P19_PARCELS`` (none) more lie in the database; with a million they must be served in five minutes.
How versions live beside each other is in tests/upgrade.
"""

import asyncio
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench.ports import free_port
from tests.chaos.clients import TRACKING, document
from tests.chaos.installation import Installation, installation
from tests.conftest import execute
from tests.live_server import MILEPOST, Client, environment
from tests.promises.figures import keep
from tests.promises.pile import NUMBER, pile_up
from tests.test_schema_rules import catalog_faults

from milepost.cli.session import open_session
from milepost.db.cluster import find_data
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.unprivileged import bundled_installation, run_as
from milepost.errors import ConfigurationError
from milepost.settings import Settings

BEFORE, BETWEEN, AFTER = 12, 12, 4
"""Parcels registered before the base backup, until the archived point, and after it."""
ROLES = tuple(f"CREATE ROLE milepost_{name} NOLOGIN" for name in ("app", "worker", "admin"))
PARCELS = int(os.environ.get("P19_PARCELS", "0"))
SERVED_SECONDS = 300
PATIENCE = 180
pytestmark = [
    pytest.mark.promise,
    pytest.mark.beside,
    pytest.mark.slow,
    pytest.mark.timeout(600 + PARCELS / 500),
]


@contextmanager
def empty_installation() -> Iterator[Installation]:
    """Where something is to be restored to."""
    with installation() as made:
        (made.state_dir / "postgresql").mkdir(mode=0o711)
        yield made


def program(name: str, *words: str) -> str:
    """Runs one of PostgreSQL's programs that Milepost brings along; what it printed."""
    command = [str(bundled_installation() / "bin" / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def register(house: Installation, first: int, count: int) -> list[str]:
    """Acknowledged numbers; every second one travels with the simulated carrier."""
    client, numbers = Client(house.port, house.keys[0].user), []
    for serial in range(first, first + count):
        asked = serial % 2 == 0
        number = f"SBX-HAPPY-40000X-R{serial}" if asked else f"SLOW{serial}"
        sent = document(number, "sandbox" if asked else "slowpost")
        sent |= {"announced_at": datetime.now(UTC).isoformat()}
        assert client.post(TRACKING, sent).status == 200
        numbers.append(number)
    return numbers


def missing(house: Installation, numbers: list[str]) -> list[str]:
    client = Client(house.port, house.keys[0].user)
    return [one for one in numbers if client.get(f"{TRACKING}/{one}").status != 200]


def watched_to_the_end(house: Installation, numbers: list[str]) -> bool:
    """Whether the parcels of the simulated carrier still move, until they are delivered."""
    wanted = [number for number in numbers if number.startswith("SBX")]
    client, give_up = Client(house.port, house.keys[0].user), time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        told = [client.get(f"{TRACKING}/{number}").document["status"] for number in wanted]
        if set(told) == {"DELIVERED"}:
            return True
        house_command(house, "sandbox", "advance", "--days", "3", "--account", "client 0")
        time.sleep(0.5)
    return False


def house_command(house: Installation, *words: str) -> None:
    known = environment(house.state_dir, house.port)
    subprocess.run([MILEPOST, *words], env=known, check=True, stdout=subprocess.DEVNULL)


def archive_into(house: Installation, folder: Path) -> None:
    """What the manual says to add to postgresql.conf."""
    data = find_data(house.state_dir / "postgresql")
    folder.mkdir()
    run_as(data).give(folder)
    kept = shlex.quote(str(folder))
    with (data / "postgresql.conf").open("a") as file:
        file.write("archive_mode = on\n")
        file.write(f"archive_command = 'test ! -f {kept}/%f && cp %p {kept}/%f'\n")


def restore(backup: Path, archive: Path, state_dir: Path, secret_key: Path) -> None:
    """A base backup and the archive become the data of a new state directory."""
    data = state_dir / "postgresql" / "data"
    shutil.copytree(backup, data)
    shutil.copy2(secret_key, state_dir / "secret.key")
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(f"restore_command = 'cp {shlex.quote(str(archive))}/%f %p'\n")
        file.write("archive_mode = off\n")
    (data / "recovery.signal").touch()
    owner = archive.stat()
    for path in [data, *data.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    data.chmod(0o700)


async def test_to_a_point_in_time_nothing_acknowledged_is_lost() -> None:
    with installation() as house, empty_installation() as restored:
        await house.prepare(1, free_port())
        archive = house.state_dir.with_name(house.state_dir.name + "-wal")
        backup = house.state_dir.with_name(house.state_dir.name + "-base")
        try:
            archive_into(house, archive)
            await asyncio.to_thread(house.start)
            numbers = register(house, 0, BEFORE)
            numbers += await piled(house, numbers[1])
            program("pg_basebackup", "-d", house.dsn, "-D", str(backup), "-c", "fast")
            numbers += register(house, BEFORE, BETWEEN)
            point = await switched(house)
            await archived(archive, point)
            register(house, BEFORE + BETWEEN, AFTER)
            for process in house.everything():
                process.kill()
            restored.keys = house.keys
            started = time.monotonic()
            restore(backup, archive, restored.state_dir, house.state_dir / "secret.key")
            await asyncio.to_thread(restored.start)
            seconds = time.monotonic() - started
            lost = missing(restored, numbers)
            assert lost == []
            assert register(restored, 1000, 2), "it takes new ones"
            assert watched_to_the_end(restored, numbers), "it goes on watching"
        finally:
            shutil.rmtree(archive, ignore_errors=True)
            shutil.rmtree(backup, ignore_errors=True)
    keep(
        "P19 restore",
        acknowledged=len(numbers),
        lost=len(lost),
        parcels=PARCELS,
        served_after_seconds=round(seconds, 1),
    )
    assert seconds < SERVED_SECONDS


async def piled(house: Installation, number: str) -> list[str]:
    """``PARCELS`` more like that one; some of their numbers."""
    if not PARCELS:
        return []
    connection = await house.connect()
    try:
        await pile_up(connection, number, PARCELS, "'infinity'")
    finally:
        await connection.close()
    return [NUMBER.format(n) for n in range(1, PARCELS + 1, max(1, PARCELS // 50))]


async def switched(house: Installation) -> str:
    """The file of the log that holds everything until now; the next begins."""
    connection = await house.connect()
    try:
        name: str = await connection.fetchval("SELECT pg_walfile_name(pg_current_wal_lsn())")
        await connection.execute("SELECT pg_switch_wal()")
    finally:
        await connection.close()
    return name


async def archived(folder: Path, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not (folder / name).exists():
            await asyncio.sleep(0.1)


async def test_a_dump_restored_elsewhere_serves_and_keeps_accounts_apart(tmp_path: Path) -> None:
    with installation() as house, empty_installation() as restored:
        await house.prepare(2, free_port())
        await asyncio.to_thread(house.start)
        numbers = register(house, 0, 6)
        dump = tmp_path / "milepost.dump"
        program("pg_dump", "-Fc", "-d", house.dsn, "-f", str(dump))
        house.stop()
        server = EmbeddedPostgres(restored.settings)
        dsn = await asyncio.to_thread(server.start)
        try:
            await execute(dsn, *ROLES)
            program("pg_restore", "--exit-on-error", "-d", dsn, str(dump))
            assert await catalog_faults(dsn) == [], "rights and owners came along"
            owner = "SELECT proowner::regrole FROM pg_proc WHERE proname = 'search_parcels'"
            assert program("psql", "-At", "-d", dsn, "-c", owner).strip() == "milepost_admin"
            await refuses_another_key(dsn, restored.state_dir)
        finally:
            await asyncio.to_thread(server.stop)
        shutil.copy2(house.state_dir / "secret.key", restored.state_dir / "secret.key")
        restored.keys = house.keys
        await asyncio.to_thread(restored.start)
        assert missing(restored, numbers) == []
        stranger = Client(restored.port, restored.keys[1].user)
        assert stranger.get(f"{TRACKING}/{numbers[0]}").status == 404
        assert register(restored, 1000, 2)


async def refuses_another_key(dsn: str, folder: Path) -> None:
    """A database is of no use, and says so, with a key that is not its own."""
    other = Settings(state_dir=folder, database_url=dsn, secret_key="another" * 6)
    with pytest.raises(ConfigurationError, match="key"):
        async with open_session(other):
            pass
