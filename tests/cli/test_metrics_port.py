"""/metrics: the age of all that waits, alarms that go on and off, what dead processes counted."""

import asyncio
import operator
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import yaml
from bench.ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import execute, with_database

from milepost.cli import metrics_port as port
from milepost.cli.metrics_files import FOLDED, fold_the_dead, metrics_folder
from milepost.db.pool import Pool, tenant
from milepost.errors import ConfigurationError
from milepost.settings import Settings

ROOT = Path(__file__).parents[2]
Sample = tuple[str, dict[str, str], float]
COMPARED = {">": operator.gt, "<": operator.lt, "==": operator.eq}
# The alarms whose expression is one metric and a bound; the others need a history.
SIMPLE = re.compile(
    r"(?:(?:max|min)(?: by \(\w+\))? ?)?\(?(?P<name>milepost_\w+)(?:\{(?P<labels>.*)\})?\)?"
    r" (?P<sign>[<>]|==) (?P<bound>[\d.]+)"
)


def samples_of(text: str) -> list[Sample]:
    return [
        (one.name, one.labels, one.value)
        for family in text_string_to_metric_families(text)
        for one in family.samples
    ]


def firing(samples: list[Sample]) -> set[str]:
    """The simple alarms that are true now, their ``for`` apart, and the disk of this machine."""
    found = set()
    for group in yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            wanted = SIMPLE.fullmatch(rule["expr"])
            if wanted and any(is_true(wanted, sample) for sample in samples):
                found.add(rule["alert"])
    return found - {"MilepostDiskFull"}


def is_true(wanted: re.Match[str], sample: Sample) -> bool:
    fits = sample_fits(wanted["name"], wanted["labels"], sample)
    return fits and COMPARED[wanted["sign"]](sample[2], float(wanted["bound"]))


def sample_fits(name: str, labels: str | None, sample: Sample) -> bool:
    """Whether a selector with these ``labels`` (as they are written) takes this sample."""
    pairs = re.findall(r'(\w+)=(~?)"([^"]*)"', labels or "")
    return name == sample[0] and all(
        re.fullmatch(text if like else re.escape(text), sample[1].get(key, ""))
        for key, like, text in pairs
    )


@pytest.fixture
async def scrape(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], Any]]:
    """Serves the metrics of this test's database; gives what one scrape says."""
    monkeypatch.setattr(port, "KEPT_SECONDS", 0.0)
    settings = Settings(metrics_port=free_port(), state_dir=Path("/nonexistent"))
    url = f"http://127.0.0.1:{settings.metrics_port}/metrics"
    async with port.metrics_port(settings, dsn, []), aiohttp.ClientSession() as client:

        async def once() -> list[Sample]:
            async with client.get(url) as answer:
                assert answer.status == 200
                return samples_of(await answer.text())

        yield once


async def lane(pool: Pool, account: int, carrier: str, due: str = "5 minutes") -> None:
    """A lane with one parcel that has been due for so long."""
    async with tenant(pool, account) as connection:
        parcel = await connection.fetchval(
            "INSERT INTO parcel (account_id, carrier_code, tracking_number, request, announced_at,"
            " created_at, updated_at, phase, exception, status_type, sub_status, status, status_at)"
            " VALUES ($1, $2, 'X', '{}', now(), now(), now(), '', '', '', '', '', now())"
            " RETURNING parcel_id",
            account,
            carrier,
        )
        await connection.execute(
            "INSERT INTO watch (account_id, carrier_code, parcel_id, urgency, due_at)"
            " VALUES ($1, $2, $3, 1, now() - $4::text::interval)",
            account,
            carrier,
            parcel,
            due,
        )
        await connection.execute(
            "INSERT INTO lane (account_id, carrier_code, turn_at) VALUES ($1, $2, now())",
            account,
            carrier,
        )


PAUSED = "UPDATE lane SET paused_until = now() + interval '1 h', turn_at = now() + interval '1 h'"
PLANTED = {
    "turn": ("SELECT 1", "MilepostChecksLate"),
    "paused": (PAUSED, "MilepostLanesHeld"),
    "throttled": (
        f"{PAUSED}; INSERT INTO carrier_budget (carrier_code, owner, paused_until)"
        " VALUES ('some', 'account:{account}', now() + interval '1 h')",
        "MilepostLanesHeld",
    ),
    "breaker_open": (
        f"{PAUSED}; INSERT INTO carrier_budget (carrier_code, owner, open_until)"
        " VALUES ('some', 'operator', now() + interval '1 h')",
        "MilepostBreakerOpen",
    ),
    "stopped": ("INSERT INTO carrier_pause (carrier_code) VALUES ('some')", None),
    "credential_refused": (
        "UPDATE lane SET state = 'credential_refused', paused_until = now() + interval '1 h'",
        "MilepostCredentialRefused",
    ),
    "waiting_for_credentials": (
        "UPDATE lane SET state = 'waiting_for_credentials', turn_at = 'infinity'",
        None,
    ),
    "not_supported": ("UPDATE lane SET state = 'not_supported', turn_at = 'infinity'", None),
    "suspended": ("UPDATE account SET status = 'suspended'", None),
}


@pytest.mark.promise
@pytest.mark.parametrize("what", PLANTED)
async def test_a_parcel_due_has_an_age_whatever_its_lane_waits_for(
    what: str, dsn: str, worker_pool: Pool, account: int, scrape: Callable[[], Any]
) -> None:
    statement, alarm = PLANTED[what]
    await lane(worker_pool, account, "some", "2 h")
    await execute(dsn, statement.format(account=account))
    samples = await scrape()
    ages = {
        labels["waits_for"]: value
        for name, labels, value in samples
        if name == "milepost_queue_oldest_due_seconds"
    }
    assert 7200 <= ages.pop(what) < 7300
    assert set(ages.values()) == {0.0}
    assert set(ages) | {what} == set(PLANTED)
    if alarm:
        assert alarm in firing(samples)
    await execute(
        dsn,
        "UPDATE watch SET due_at = now() + interval '1 h'",
        "UPDATE carrier_budget SET paused_until = NULL, open_until = NULL",
    )
    assert firing(await scrape()) == set()


async def test_a_breaker_nobody_has_a_question_for_raises_no_alarm(
    dsn: str, scrape: Callable[[], Any]
) -> None:
    await execute(
        dsn,
        "INSERT INTO carrier_budget (carrier_code, owner, open_until)"
        " VALUES ('some', 'account:1', now() - interval '1 s')",
    )
    assert firing(await scrape()) == {"MilepostBreakerOpen"}
    await execute(dsn, "UPDATE carrier_budget SET open_until = now() - interval '61 min'")
    assert firing(await scrape()) == set()


async def test_the_dead_are_folded_by_one_scrape_at_a_time(
    scrape: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once would add the same counts twice."""
    at_once = most = 0

    def slow(folder: Path) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.05)
        at_once -= 1

    monkeypatch.setattr(port, "fold_the_dead", slow)
    await asyncio.gather(scrape(), scrape(), scrape())
    assert most == 1


@pytest.mark.promise
async def test_a_deadline_nobody_looks_at_has_an_age(
    dsn: str, worker_pool: Pool, account: int, scrape: Callable[[], Any]
) -> None:
    await lane(worker_pool, account, "some", "0 s")
    await execute(dsn, "UPDATE lane SET deadline_at = now() - interval '10 min'")
    assert firing(await scrape()) == {"MilepostDeadlinesLate"}
    await execute(dsn, "UPDATE lane SET deadline_at = now() + interval '10 min'")
    assert firing(await scrape()) == set()


@pytest.mark.promise
async def test_an_open_transaction_and_a_failed_job_raise_their_alarms(
    dsn: str, scrape: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert firing(await scrape()) == set()
    await execute(
        dsn,
        "INSERT INTO job (name, holder, lease_until, started_at, finished_at) VALUES"
        " ('sweep', 'x', now(), now() - interval '11 min', now() - interval '12 min')",
    )
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction(isolation="repeatable_read")
    await transaction.start()
    await connection.execute("SELECT txid_current()")
    await asyncio.sleep(0.3)
    # Nobody waits a minute here: the bound is lowered to what the planted transaction reaches.
    with monkeypatch.context() as patched:
        patched.setitem(COMPARED, ">", lambda value, bound: value > (bound, 0.2)[bound == 60])
        found = firing(await scrape())
    assert found == {"MilepostOldestTransaction", "MilepostJobFailed", "MilepostSweepLate"}
    await transaction.rollback()
    await connection.close()
    await execute(dsn, "UPDATE job SET started_at = now(), finished_at = now()")
    assert firing(await scrape()) == set()


@pytest.mark.promise
async def test_a_database_that_does_not_answer_is_told(postgres: str) -> None:
    settings = Settings(metrics_port=free_port(), state_dir=Path("/nonexistent"))
    async with (
        port.metrics_port(settings, with_database(postgres, "none"), []),
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{settings.metrics_port}/metrics") as answer,
    ):
        samples = samples_of(await answer.text())
    assert "MilepostDatabaseDown" in firing(samples)
    assert not any(name.startswith("milepost_queue") for name, _, _ in samples)


async def test_a_taken_port_is_told(dsn: str) -> None:
    settings = Settings(metrics_port=free_port(), state_dir=Path("/nonexistent"))
    async with port.metrics_port(settings, dsn, []):
        with pytest.raises(ConfigurationError, match=r"can't serve metrics on 127\.0\.0\.1:"):
            async with port.metrics_port(settings, dsn, []):
                pass


COUNTING = """
from milepost import metrics
metrics.registrations.labels("stored").inc(5)
metrics.pool_connections.labels("milepost_app", "open").set(3)
metrics.carrier_seconds.labels("host", "2xx").observe(0.2)
"""


def test_what_dead_processes_counted_is_kept_and_their_files_are_not() -> None:
    with metrics_folder() as folder:
        environment = os.environ | {port.ENVIRONMENT: str(folder)}
        for round_ in range(1, 4):
            subprocess.run([sys.executable, "-c", COUNTING], env=environment, check=True)
            fold_the_dead(folder)
            names = {path.stem for path in folder.iterdir()}
            assert names == {f"counter_{FOLDED}", f"histogram_{FOLDED}"}
            assert counted(folder)["milepost_registrations_total"] == 5 * round_
            assert counted(folder)["milepost_carrier_seconds_count"] == round_
    assert not folder.exists()


def counted(folder: Path) -> dict[str, float]:
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return {sample.name: sample.value for family in registry.collect() for sample in family.samples}


def test_a_folder_of_a_dead_parent_is_removed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "milepost-metrics-999999999-x").mkdir()
    (tmp_path / f"milepost-metrics-{os.getpid()}-x").mkdir()
    with metrics_folder() as folder:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [folder.name, f"milepost-metrics-{os.getpid()}-x"]
        )
