"""Late lanes, failed jobs, unmapped codes and odd routes, each planted in a real database."""

import pytest
from tests.cli.test_metrics_port import PLANTED, lane
from tests.conftest import execute

from milepost.checkup.standing import read_standing
from milepost.checkup.verdict import Grade
from milepost.checkup.work_checks import judge_work
from milepost.db.pool import Pool
from milepost.settings import Settings


async def told(dsn: str) -> dict[str, tuple[Grade, str]]:
    standing = await read_standing(dsn, Settings())
    assert standing.contents is not None
    lines = [one for one in judge_work(standing.contents) if one.grade is not Grade.OK]
    return {one.check: (one.grade, f"{one.text} -> {one.todo}") for one in lines}


async def test_nothing_is_wrong_with_an_empty_one(dsn: str) -> None:
    assert await told(dsn) == {}


@pytest.mark.parametrize(
    ("what", "grade", "text"),
    [
        ("turn", Grade.FAULT, "for a worker -> see that a worker runs"),
        ("paused", Grade.WARNING, "our own quota"),
        ("throttled", Grade.WARNING, "the carrier asked for a rest"),
        ("breaker_open", Grade.FAULT, "fails too often"),
        ("credential_refused", Grade.FAULT, "milepost carrier credentials set"),
        ("waiting_for_credentials", Grade.WARNING, "closed until a login is set"),
    ],
)
async def test_late_lanes_are_told_by_what_they_wait_for(
    what: str, grade: Grade, text: str, dsn: str, worker_pool: Pool, account: int
) -> None:
    await lane(worker_pool, account, "some", "2 h")
    await execute(dsn, PLANTED[what][0].format(account=account))
    found = await told(dsn)
    assert found.keys() == {"lanes"}
    assert found["lanes"][0] is grade
    assert text in found["lanes"][1]


@pytest.mark.parametrize(
    ("statement", "check", "grade", "text"),
    [
        (
            "INSERT INTO job (name, holder, lease_until, started_at) VALUES"
            " ('sweep', 'x', now(), now() - interval '5 min')",
            "jobs",
            Grade.FAULT,
            # 300 s, and as long as it takes to look.
            "sweep failed 3",
        ),
        (
            "INSERT INTO unmapped_code (carrier_code, raw_code, seen) VALUES ('some', 'ZZ9', 12)",
            "unmapped codes",
            Grade.WARNING,
            "1 within a week: some ZZ9 (12)",
        ),
        (
            "INSERT INTO host_route (host, base_url) VALUES ('a.example', 'http://10.0.0.1')",
            "host routes",
            Grade.WARNING,
            "logins travel in clear",
        ),
        (
            "INSERT INTO host_route (host, base_url) VALUES ('a.example', 'gopher')",
            "host routes",
            Grade.FAULT,
            "no web address",
        ),
        (
            "INSERT INTO carrier_pause (carrier_code) VALUES ('some')",
            "carriers",
            Grade.WARNING,
            "some is asked by nobody",
        ),
    ],
)
async def test_other_faults(statement: str, check: str, grade: Grade, text: str, dsn: str) -> None:
    await execute(dsn, statement)
    found = await told(dsn)
    assert found.keys() == {check}
    assert found[check][0] is grade
    assert text in found[check][1]
