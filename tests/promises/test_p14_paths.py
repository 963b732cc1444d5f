"""P14 on every way out: webhooks given, changed, tried and delivered, letters, carriers."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.promises.figures import keep
from tests.promises.outbound_letters import DOMAINS
from tests.promises.outbound_path_bugs import BUGS

from milepost.db.pool import Pool

pytestmark = [pytest.mark.promise, pytest.mark.beside]
ROOT = Path(__file__).parents[2]


async def ways_out(dsn: str, *bugs: str) -> dict[str, Any]:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.promises.outbound_paths", dsn, *bugs),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, trouble = await running.communicate()
    finally:
        # A test that is out of time leaves nobody behind.
        with contextlib.suppress(ProcessLookupError):
            running.kill()
    assert running.returncode == 0, trouble.decode()[-3000:]
    told: dict[str, Any] = json.loads(said.splitlines()[-1])
    return told


@pytest.mark.timeout(400)
async def test_no_way_out_leads_inside(dsn: str) -> None:
    told = (await ways_out(dsn, ""))[""]
    keep("P14 ways out", **{name: told[name] for name in ("vectors", "refused", "letters")})
    assert told["vectors"] >= 150
    for wrong in ("dialled", "let_in", "told", "unnamed", "elsewhere"):
        assert told[wrong] == [], wrong
    assert told["delivered"] == 0
    assert told["refused"] >= 2 * 150
    assert len(told["letters"]) >= len(DOMAINS) // 2


SEEN_BY = {
    "a client of its own": "dialled",
    "looks up again": "dialled",
    "follows redirects": "dialled",
    "doors that take anything": "let_in",
    "refusals that tell the address": "told",
    "refusals that name no setting": "unnamed",
    "letters to the recipient's server": "elsewhere",
}


@pytest.mark.timeout(480)
async def test_each_way_past_the_guard_is_seen(dsn: str) -> None:
    report = await ways_out(dsn, *BUGS)
    for bug in BUGS:
        assert report[bug][SEEN_BY[bug]], bug


async def test_nobody_but_the_operator_says_where_a_carrier_is(
    app_pool: Pool, worker_pool: Pool
) -> None:
    for pool in (app_pool, worker_pool):
        for right in ("INSERT", "UPDATE", "DELETE"):
            may = "SELECT has_table_privilege(current_user, 'host_route', $1)"
            assert not await pool.fetchval(may, right)
