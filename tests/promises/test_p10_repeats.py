"""P10: repeat a request as often as you like, whatever dies meanwhile.

``P10_KEYS`` (10) keys with ``P10_AT_ONCE`` (30) identical requests each, ten keys at a time.
"""

import asyncio
import base64
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import pytest
from bench.ports import free_port
from tests.chaos.clients import TRACKING, document
from tests.chaos.installation import Installation, installation
from tests.chaos.supervisor import kill
from tests.promises.figures import keep

KEYS = int(os.environ.get("P10_KEYS", "10"))
AT_ONCE = int(os.environ.get("P10_AT_ONCE", "30"))
KEYS_AT_ONCE = 10
PATIENCE = 60
"""Seconds: whoever gives up sooner asks again what was done meanwhile."""
KILLS = max(3, KEYS // 10)
pytestmark = [
    pytest.mark.promise,
    pytest.mark.beside,
    pytest.mark.timeout(400 + KEYS * AT_ONCE / 20),
]


@dataclass
class Outcome:
    """What came back for one parcel, and how often it is stored."""

    answers: list[tuple[int, bytes]] = field(default_factory=list)
    unknown: int = 0
    stored: int = 0


@pytest.fixture(scope="module")
def house() -> Iterator[Installation]:
    with installation(MILEPOST_API_PROCESSES="2") as made:
        asyncio.run(made.prepare(1, free_port()))
        made.start()
        yield made


async def post(
    house: Installation, session: aiohttp.ClientSession, body: bytes, idempotency_key: str | None
) -> tuple[int, bytes]:
    login = base64.b64encode(house.keys[0].user.encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    url = f"http://127.0.0.1:{house.port}{TRACKING}"
    async with session.post(url, data=body, headers=headers) as got:
        return got.status, await got.read()


async def stampede(
    house: Installation, numbers: Sequence[str], *, keyed: bool, kills: int
) -> dict[str, Outcome]:
    """``AT_ONCE`` identical requests for each number at once, repeated until answered."""
    outcomes = {number: Outcome() for number in numbers}
    timeout, pool = aiohttp.ClientTimeout(total=PATIENCE), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=pool) as session:

        async def one(number: str) -> None:
            body = json.dumps(document(number, "slowpost")).encode()
            outcome = outcomes[number]
            while True:
                try:
                    got = await post(house, session, body, f"key-{number}" if keyed else None)
                except (aiohttp.ClientError, TimeoutError, OSError):
                    outcome.unknown += 1
                else:
                    if got[0] != 503:
                        outcome.answers.append(got)
                        return
                    outcome.unknown += 1
                await asyncio.sleep(0.1)

        async def killer() -> None:
            # From the first answer on, or a fast machine were through before anybody dies.
            while kills and not any(one.answers for one in outcomes.values()):
                await asyncio.sleep(0.01)
            for _ in range(kills):
                kill(house.api_processes())
                await asyncio.sleep(0.15)

        turn = asyncio.Semaphore(KEYS_AT_ONCE)

        async def all_of(number: str) -> None:
            async with turn:
                await asyncio.gather(*(one(number) for _ in range(AT_ONCE)))

        await asyncio.gather(killer(), *map(all_of, numbers))
    await count_stored(house, outcomes)
    return outcomes


async def count_stored(house: Installation, outcomes: dict[str, Outcome]) -> None:
    connection = await house.connect()
    rows = await connection.fetch(
        "SELECT tracking_number, count(*) FROM parcel WHERE tracking_number = ANY ($1) GROUP BY 1",
        list(outcomes),
    )
    await connection.close()
    for row in rows:
        outcomes[row["tracking_number"]].stored = row["count"]


def verdict(outcomes: dict[str, Outcome]) -> list[str]:
    """What is wrong with repeats under one key."""
    wrong = []
    for number, outcome in outcomes.items():
        if outcome.stored != 1:
            wrong.append(f"{number} is stored {outcome.stored} times")
        if len(set(outcome.answers)) != 1:
            wrong.append(f"{number}: {len(set(outcome.answers))} different answers")
        wrong += [f"{number}: {status}" for status, _ in set(outcome.answers) if status != 200]
    return wrong


async def test_one_key_is_one_parcel_and_one_answer(house: Installation) -> None:
    numbers = [f"STAMPEDE{number:04d}" for number in range(KEYS)]
    outcomes = await stampede(house, numbers, keyed=True, kills=KILLS)
    answered = sum(len(one.answers) for one in outcomes.values())
    unknown = sum(one.unknown for one in outcomes.values())
    keep(
        "P10 stampede", keys=KEYS, at_once=AT_ONCE, kills=KILLS, answered=answered, unknown=unknown
    )
    assert verdict(outcomes) == []
    assert unknown > 0, "nothing was killed while it mattered"

    async with aiohttp.ClientSession() as session:
        other = json.dumps(document(numbers[0], "otherpost")).encode()
        assert (await post(house, session, other, f"key-{numbers[0]}"))[0] == 422
        await asyncio.to_thread(house.stop)
        await asyncio.to_thread(house.start)
        same = json.dumps(document(numbers[0], "slowpost")).encode()
        again = await post(house, session, same, f"key-{numbers[0]}")
    assert again == outcomes[numbers[0]].answers[0], "known after a restart"


async def test_without_a_key_one_wins_and_the_others_conflict(house: Installation) -> None:
    outcomes = await stampede(house, ["UNKEYED0001"], keyed=False, kills=0)
    statuses = sorted(status for status, _ in outcomes["UNKEYED0001"].answers)
    assert statuses == [200] + [409] * (AT_ONCE - 1)
    assert outcomes["UNKEYED0001"].stored == 1


async def test_the_check_sees_keys_that_are_ignored(house: Installation) -> None:
    """The planted bug: the header never arrives."""
    outcomes = await stampede(house, ["IGNORED0001"], keyed=False, kills=0)
    assert any("different answers" in line for line in verdict(outcomes))
