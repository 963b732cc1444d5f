"""P3: whatever happens to a parcel, in any order, what is stored is what a small model says.

``MODEL_RUNS`` and ``MODEL_STEPS`` make it longer (the full bar: 2000 runs of 50 steps).
"""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as chosen
from hypothesis.stateful import run_state_machine_as_test
from tests.promises.figures import keep
from tests.promises.house import House, break_guard, open_house
from tests.promises.parcel_machine import Parcels
from tests.tracking.order_free import START

from milepost.parcels.render import Renderer
from milepost.parcels.stored import StoredParcel
from milepost.settings import Settings
from milepost.tracking import timeline
from milepost.tracking.events import Event
from milepost.tracking.journey import Journey
from milepost.tracking.telling import key_of

RUNS = int(os.environ.get("MODEL_RUNS", "25"))
STEPS = int(os.environ.get("MODEL_STEPS", "25"))
pytestmark = [
    pytest.mark.promise,
    pytest.mark.beside,
    pytest.mark.slow,
    pytest.mark.timeout(300 + 4 * RUNS),
]


async def explore(house: House, runs: int = RUNS) -> list[str]:
    """Let Hypothesis play; what was wrong first."""
    loop, wrong = asyncio.get_running_loop(), list[str]()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    profile = chosen(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def play() -> None:
        run_state_machine_as_test(lambda: Parcels(house, run, wrong), settings=profile)  # type: ignore[arg-type]

    try:
        await asyncio.to_thread(play)
    except Exception:
        if not wrong:  # a fault, and not a difference
            raise
    return wrong


async def test_what_is_stored_is_what_the_model_says(
    dsn: str, account: int, settings: Settings
) -> None:
    async with open_house(dsn, account, settings, recorders=2) as house:
        wrong = await explore(house)
        keep("P3 model", runs=RUNS, steps=STEPS, differences=len(wrong))
        assert wrong == []


class InOrderOfArrival(Renderer):
    """The planted fault: what was told last is what counts."""

    def journey(self, parcel: StoredParcel) -> Journey:
        return super().journey(
            replace(parcel, events=tuple(_as_it_came(event) for event in parcel.events))
        )


def _as_it_came(event: Event) -> Event:
    moment = replace(event.wording.moment, instant=START + timedelta(seconds=event.sequence))
    return replace(event, wording=replace(event.wording, moment=moment))


@pytest.mark.parametrize("fault", ["no guard", "order of arrival", "corrections", "words"])
async def test_the_model_sees(
    fault: str, dsn: str, account: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    renders = Renderer
    match fault:
        case "no guard":
            await break_guard(dsn)
        case "order of arrival":
            renders = InOrderOfArrival
        case "corrections":
            monkeypatch.setattr(timeline, "replacements", lambda _events: {})
        case "words":
            monkeypatch.setattr(
                timeline, "key_of", lambda carrier, scan: f"{key_of(carrier, scan)}{scan.raw_text}"
            )
    async with open_house(dsn, account, settings, recorders=2, renders=renders) as house:
        wrong = await explore(house, max(RUNS, 40))
        keep(f"P3 model, planted: {fault}", first=wrong[:1])
        assert wrong
