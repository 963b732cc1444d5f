"""The crash test's verdict on deliveries against planted bugs, one installation for all of them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.chaos.fast import Run, running_fast
from tests.chaos.ledger import Ledger
from tests.chaos.readers import not_read, verdict_on_readers
from tests.chaos.supervisor import kill
from tests.chaos.test_broken_twins import about, break_function, change, judge, twin_of
from tests.promises.figures import keep

PLANTED = Path(__file__).with_name("planted")
PATIENCE = 120.0
NOT_TOLD = "0 times in the outbox or the feed"
pytestmark = [pytest.mark.promise, pytest.mark.slow, pytest.mark.timeout(600)]


async def test_it_sees_what_is_noted_too_soon_not_at_all_or_out_of_order() -> None:
    async with running_fast(
        lease=2, asked_every=2, most_on_the_way=20, subscribed=1, PYTHONPATH=str(PLANTED)
    ) as run:
        run.load.pause = 0.2
        for plant in (without_an_order, noted_too_soon, in_the_outbox_a_commit_later, read_by_id):
            started = time.monotonic()
            wrong = await plant(run)
            seconds = round(time.monotonic() - started, 1)
            keep(f"P1 broken twin: {plant.__name__}", lines=len(wrong), seconds=seconds)


async def until(run: Run, seen: Callable[[Sequence[str]], object]) -> None:
    """Until the verdict, in the middle of a run, shows it."""
    async with asyncio.timeout(PATIENCE):
        while not seen(await run.wrong_of_told()):
            await asyncio.sleep(0.2)


async def seen(run: Run, what: str) -> list[str]:
    """Lines of the verdict with these words, as soon as there are any."""
    await until(run, lambda wrong: about(wrong, what))
    return about(await run.wrong_of_told(), what)


async def without_an_order(run: Run) -> list[str]:
    """Every delivery is due at once; a parcel's second event is refused while others come."""
    at_once = (r"THEN 'infinity' ELSE now\(\) END", "THEN now() ELSE now() END")
    in_order = await break_function(run.house, "deliver_to", at_once)
    for _ in range(8):
        run.subscribers.refuses = lambda _, sequence: sequence == 2
        await asyncio.sleep(4)
        run.subscribers.refuses = lambda *_: False
        await asyncio.sleep(1)
        # On a busy machine few events come in such a while.
        if wrong := about(await run.wrong_of_told(), "out of order"):
            break
    else:
        wrong = await seen(run, "out of order")
    await change(run.house, in_order)
    return wrong


async def noted_too_soon(run: Run) -> list[str]:
    """Noted as delivered, and the workers die before they deliver it."""
    what = "noted as delivered and never arrived"
    (run.house.state_dir / "eager").touch()
    await seen(run, what)
    kill(run.house.workers())
    (run.house.state_dir / "eager").unlink()
    return await seen(run, what)


async def in_the_outbox_a_commit_later(run: Run) -> list[str]:
    """What is recorded is committed, and goes into the outbox in a second transaction.

    Nothing shows while nobody dies; then a worker does, between the two.
    """
    await twin_of(
        run.house, "record_observation", "record_untold", (r"INSERT INTO outbox \([^)]*\)", "")
    )
    (run.house.state_dir / "behind").touch()
    await written_behind(run, 5)
    (run.house.state_dir / "behind").unlink()
    async with asyncio.timeout(PATIENCE):
        while await settled(run):
            pass  # With nobody dead it is told, a little later.
    (run.house.state_dir / "behind").touch()
    one = {"MILEPOST_WORKER_PROCESSES": "1", "MILEPOST_FAILPOINT": "planted.between_commits:1"}
    dying = run.house.spawn("worker", 0, **one)
    async with asyncio.timeout(PATIENCE):
        while not about(await judge(run), NOT_TOLD):
            await asyncio.sleep(0.2)
    (run.house.state_dir / "behind").unlink()
    lost = await settled(run)
    while not lost:
        # What was seen was only on its way: let it die once more.
        (run.house.state_dir / "behind").touch()
        await asyncio.sleep(5)
        (run.house.state_dir / "behind").unlink()
        lost = await settled(run)
    run.house.kill(dying)
    return lost


async def written_behind(run: Run, times: int) -> None:
    """Until so many records have gone into the outbox a commit later."""
    done = run.house.state_dir / "behind.done"
    async with asyncio.timeout(PATIENCE):
        while not done.exists() or done.stat().st_size < times:
            await asyncio.sleep(0.1)


async def settled(run: Run) -> list[str]:
    """Events that are told to nobody, now and three seconds later: not only on their way."""
    first = {line.split(" of ")[0] for line in about(await judge(run), NOT_TOLD)}
    await asyncio.sleep(3)
    return [line for line in about(await judge(run), NOT_TOLD) if line.split(" of ")[0] in first]


async def read_by_id(run: Run) -> list[str]:
    """The feed goes by ids that are given while things are recorded, some of which commit late."""
    await break_function(
        run.house,
        "tell",
        (r"before \+ f\.place", "p_outbox[f.place]"),
        (
            r"h\.feed_seq \+ cardinality\(p_feed_parcel\)",
            "greatest(h.feed_seq, p_outbox[array_upper(p_outbox, 1)])",
        ),
    )
    await change(
        run.house,
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(1.5); RETURN new; END'",
        "CREATE TRIGGER dawdle AFTER INSERT ON outbox FOR EACH ROW WHEN (new.sequence = 1)"
        " EXECUTE FUNCTION dawdle()",
    )
    return await seen(run, "its cursor passed over")


def test_the_judge_of_readers_sees_what_it_is_for(tmp_path: Path) -> None:
    feed = [{"account_id": 1, "feed_seq": seq} for seq in (1, 2, 3, 4)]

    def judged(*read: int, refused: int = 0) -> list[str]:
        ledger = Ledger(tmp_path / f"{read}{refused}")
        for seq in read:
            ledger.write("read", account=1, seq=seq)
        if refused:
            ledger.write("refused", account=1, status=refused)
        ledger.close()
        wrong = verdict_on_readers(ledger.path, feed) + not_read(ledger.path, feed, [1])
        return [line.partition(": ")[2] for line in wrong]

    assert judged(1, 2, 3, 4) == []
    assert judged(1, 2, 3) == ["came to 3 of 4"]
    assert judged() == ["came to 0 of 4"]
    assert judged(1, 3, 4) == ["its cursor passed over [2], unread"]
    assert judged(2, 3, 4) == ["its cursor passed over [1], unread"]
    assert judged(1, 2, 2, 3, 4) == ["the feed goes back or repeats itself"]
    assert judged(1, 2, 3, 4, refused=410) == ["refused with 410"]
