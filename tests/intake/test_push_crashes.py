"""Killed anywhere between taking a push and telling it: what was acknowledged is told, once."""

import os
import signal
import subprocess
import sys

from tests.intake.pushing_child import KEY
from tests.intake.told import Told

from milepost.accounts.secret_keys import SecretKeys
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.intake import addresses
from milepost.intake.addresses import NewAddress

CHILD = (sys.executable, "-m", "tests.intake.pushing_child")


def child(what: str, dsn: str, account: int, new: NewAddress, dies_at: str = "") -> tuple[int, str]:
    """How it ended, and what it had acknowledged by then."""
    environment = {**os.environ, "MILEPOST_FAILPOINT": dies_at, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [*CHILD, what, dsn, str(account), new.path, new.given["value"]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip()


async def lost(told: Told, acknowledged: list[str]) -> int:
    """How many acknowledged pushes are not there."""
    there: int = await told.run("SELECT count(*) FROM push_payload")
    return max(0, acknowledged.count("200") - there)


async def test_what_was_acknowledged_is_told_once_whoever_dies(
    told: Told, dsn: str, admin_pool: Pool, catalogue: Catalogue
) -> None:
    keys = SecretKeys((KEY.encode(),))
    new = await addresses.add(admin_pool, keys, catalogue, told.account, "ups")

    parcel_id = await told.register()

    # The door dies when it has stored and not said so: the carrier pushes once more.
    ended, said = child("take", dsn, told.account, new, "push.after_store:1")
    assert (ended, said) == (-signal.SIGKILL, "")
    ended, said = child("take", dsn, told.account, new)
    assert (ended, said) == (0, "200")
    assert await lost(told, [said]) == 0
    assert await told.run("SELECT count(*) FROM push_payload") == 2

    # The worker dies with both in hand; the next one has them when the lease is over.
    ended, _ = child("tell", dsn, told.account, new, "push.before_record:1")
    assert ended == -signal.SIGKILL
    assert await told.run("SELECT count(*) FROM push_payload") == 2
    await told.make_due()
    assert await told.work() == 2
    assert len(await told.events(parcel_id)) == 1
    assert await told.states() == []

    # The planted fault: a door that says so before it has stored anything is found out.
    ended, said = child("hasty", dsn, told.account, new)
    assert (ended, said) == (-signal.SIGKILL, "200")
    assert await lost(told, [said]) == 1
