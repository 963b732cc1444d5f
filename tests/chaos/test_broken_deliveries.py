"""The crash test's verdict on deliveries against planted bugs, one installation for all of them."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.chaos.fast import Run, running_fast
from tests.chaos.supervisor import kill
from tests.chaos.test_broken_twins import about, break_function, change, judge
from tests.promises.figures import keep

EAGER = Path(__file__).with_name("eager")
pytestmark = [pytest.mark.promise, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_it_sees_what_is_noted_too_soon_not_at_all_or_out_of_order() -> None:
    async with running_fast(
        lease=2, asked_every=2, most_on_the_way=20, subscribed=1, PYTHONPATH=str(EAGER)
    ) as run:
        run.load.pause = 0.2
        out_of_order = await without_an_order(run)
        noted = await noted_too_soon(run)
        dropped = await without_the_outbox(run)
        by_id = await numbered_by_the_outbox(run)
        keep(
            "P1 broken twins of deliveries",
            out_of_order=len(out_of_order),
            noted_before_sending=len(noted),
            without_the_outbox=len(dropped),
            feed_by_id=len(by_id),
        )


async def until(run: Run, seen: Callable[[Sequence[str]], object], seconds: float = 40) -> None:
    """Until the verdict, in the middle of a run, shows it."""
    async with asyncio.timeout(seconds):
        while not seen(await run.wrong_of_told()):
            await asyncio.sleep(0.2)


async def seen(run: Run, what: str) -> list[str]:
    """Lines of the verdict with these words, as soon as there are any."""
    await until(run, lambda wrong: about(wrong, what))
    return about(await run.wrong_of_told(), what)


async def without_an_order(run: Run) -> list[str]:
    """Every delivery is due at once; a parcel's second event is refused while others come."""
    at_once = (r"THEN 'infinity' ELSE now\(\) END", "THEN now() ELSE now() END")
    await break_function(run.house, "deliver_to", at_once)
    for _ in range(8):
        run.subscribers.refuses = lambda _, sequence: sequence == 2
        await asyncio.sleep(4)
        run.subscribers.refuses = lambda *_: False
        await asyncio.sleep(1)
        # On a busy machine few events come in such a while.
        if wrong := about(await run.wrong_of_told(), "out of order"):
            return wrong
    return await seen(run, "out of order")


async def noted_too_soon(run: Run) -> list[str]:
    """Noted as delivered, and the workers die before they deliver it."""
    (run.house.state_dir / "eager").touch()
    await asyncio.sleep(2)
    kill(run.house.workers())
    (run.house.state_dir / "eager").unlink()
    await asyncio.sleep(2)
    return await seen(run, "noted as delivered and never arrived")


async def without_the_outbox(run: Run) -> list[str]:
    """What is recorded is not in the outbox with it, and who would add it later is dead."""
    await change(
        run.house,
        "CREATE FUNCTION forget_it() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN CASE WHEN new.sequence <> 2 THEN new END; END'",
        "CREATE TRIGGER forget_it BEFORE INSERT ON outbox"
        " FOR EACH ROW EXECUTE FUNCTION forget_it()",
    )
    async with asyncio.timeout(40):
        while not (lost := about(await judge(run), "0 times in the outbox or the feed")):
            await asyncio.sleep(0.2)
    return lost


async def numbered_by_the_outbox(run: Run) -> list[str]:
    """The feed goes by the ids that things got while they were recorded, all accounts together."""
    await break_function(run.house, "tell", (r"before \+ f\.place", "p_outbox[f.place]"))
    return await seen(run, "has a gap")
