"""P4: webhooks arrive, signed, on the published schedule.

Twenty endpoints, each with a manner of its own, are told of one parcel. A minute of the schedule
takes ``P4_MINUTE`` (0.01) seconds. In the short form nothing may come too early; from half a second
on, nothing may come too late either.
"""

import asyncio
import hmac
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import monotonic

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.notifications.town import Town
from tests.promises.behaviours import (
    EVER,
    Behaviour,
    Endpoints,
    Got,
    answers,
    endpoints,
    fails,
    resets,
    resets_in_body,
    waits,
)
from tests.promises.figures import keep
from tests.promises.telling import KEYS, open_town, telling

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.egress.client import Bounds
from milepost.notifications import schedule
from milepost.notifications.forms import Form
from milepost.notifications.patience import Rules
from milepost.notifications.replay import replay
from milepost.notifications.sealing import Seals
from milepost.notifications.signing import FormerKey, library_key, new_key
from milepost.notifications.terms import Terms

MINUTE = float(os.environ.get("P4_MINUTE", "0.01"))
LONG = MINUTE >= 0.5
CLASSIC = [pause / 60 * MINUTE for pause in schedule.CLASSIC]
EVENTS = [pause / 60 * MINUTE for pause in schedule.EVENTS]
DEADLINE = 2.0
"""Seconds of an attempt, in place of 15."""
WISHED = 1
WAY = DEADLINE / 2
"""Seconds: a deadline begins before its request is seen to arrive, more so where all is busy."""
TOLERANCE = 0.15
LATE = 0.1
"""Seconds: what is due is looked for every 50 ms, however long a minute takes."""
EARLY = 1 - schedule.JITTER
TERMS = Terms(
    classic_pauses=CLASSIC,
    event_pauses=EVENTS,
    patience=Rules(rest=MINUTE / 2, longest_rest=5 * MINUTE),
    lease=timedelta(seconds=20),
)
ALL, ALL_EVENTS = len(CLASSIC) + 1, len(EVENTS) + 1
MANNERS: Mapping[str, tuple[Behaviour, int, str]] = {
    "ok": (answers(200), 1, "delivered"),
    "created": (answers(201), 1, "delivered"),
    "no content": (answers(204), 1, "delivered"),
    "slow": (waits(0.3), 1, "delivered"),
    "every second fails": (fails(*range(1, 99, 2)), 2, "delivered"),
    "three fail": (fails(1, 2, 3), 4, "delivered"),
    "ten fail": (fails(*range(1, 11)), 11, "delivered"),
    "fails": (answers(500), ALL, "failed"),
    "bad gateway": (answers(502), ALL, "failed"),
    "not found": (answers(404), ALL, "failed"),
    "bad request": (answers(400), ALL, "failed"),
    "who are you": (answers(401), ALL, "failed"),
    "moved": (answers(301, Location="/ok"), ALL, "failed"),
    "elsewhere": (answers(307, Location="/ok"), ALL, "failed"),
    "too many": (answers(429, **{"Retry-After": str(WISHED)}), ALL, "failed"),
    "resets": (resets, ALL, "failed"),
    "resets in body": (resets_in_body, ALL, "failed"),
    "gone": (answers(410), 1, "failed"),
}
"""Classic webhooks: how it behaves, how many attempts that makes, and how it ends."""
EVENT_MANNERS: Mapping[str, tuple[Behaviour, int, str]] = {
    "events fail": (answers(503), ALL_EVENTS, "failed"),
    "times out": (waits(EVER), ALL_EVENTS, "failed"),
}
EVERYBODY = {**MANNERS, **EVENT_MANNERS}
PATIENCE = 60 + 11 * DEADLINE + 2 * sum(CLASSIC)
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.timeout(300 + PATIENCE)]


@dataclass(frozen=True, slots=True)
class Keys:
    """With what a connection signs; the former one, where it has been rotated."""

    current: str
    former: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What the database says of a connection's one delivery; ``noted`` counts its log."""

    delivery_id: int
    state: str
    attempts: int
    noted: int
    lane: str


@pytest.fixture
def town(worker_pool: Pool, catalogue: Catalogue, account: int) -> Town:
    return open_town(worker_pool, catalogue, account)


async def test_twenty_manners_of_answering(town: Town, dsn: str, catalogue: Catalogue) -> None:
    behaviours = {name: behaviour for name, (behaviour, _, _) in EVERYBODY.items()}
    async with (
        endpoints(behaviours) as here,
        telling(dsn, catalogue, TERMS, Bounds(total_seconds=DEADLINE)),
    ):
        connections, keys = await connect(town, here)
        bad_signatures: list[str] = []
        here.arrives = lambda name, got: bad_signatures.extend(unsigned(name, got, keys[name]))
        await town.register()
        ended = await end(town, connections)
        wrong = [line for name in EVERYBODY for line in judged(name, here.got[name], ended[name])]
        wrong += bad_signatures
        requests = sum(map(len, here.got.values()))
        keep("P4", minute=MINUTE, endpoints=len(EVERYBODY), requests=requests, wrong=len(wrong))
        assert wrong == [], "\n".join(wrong)
        assert by_openssl(keys["ok"].current, here.got["ok"][0])
        stolen = {**here.got["ok"][0].headers, "webhook-id": "1", "Sendcloud-Signature": "0"}
        assert len(unsigned("ok", replace(here.got["ok"][0], headers=stolen), keys["ok"])) == 2
        await replayed(town, here, ended["fails"], "fails")


async def replayed(town: Town, here: Endpoints, ended: Ended, name: str) -> None:
    """By hand, when the endpoint is well again: the same body under the same id."""
    before = here.got[name][0]
    here.behaviours[name] = answers(200)
    await replay(town.pool, town.account, ended.delivery_id, "test")
    async with asyncio.timeout(PATIENCE):
        while len(here.got[name]) == ended.attempts:
            await asyncio.sleep(0.02)
    again = here.got[name][-1]
    assert again.headers["webhook-id"] == before.headers["webhook-id"]
    assert again.body == before.body


async def connect(town: Town, here: Endpoints) -> tuple[dict[str, int], dict[str, Keys]]:
    """A connection for each; every second one has been given another key a moment ago."""
    made, keys = {}, {}
    tomorrow = datetime.now(UTC) + timedelta(hours=24)
    for nth, name in enumerate(EVERYBODY):
        if name in MANNERS:
            made[name] = await town.connect("integration", Form.CLASSIC, url=here.url(name))
        else:
            made[name] = await town.connect("webhook", Form.EVENT, {}, url=here.url(name))
        old = "a merchant's old secret" if nth % 4 == 1 else new_key()
        keys[name] = Keys(new_key(), old if nth % 2 else None)
        seals = Seals(KEYS, town.account, made[name])
        await town.run(
            "UPDATE connection SET signing_key = $3, former_key = $4"
            " WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
            made[name],
            seals.seal_key(keys[name].current),
            seals.seal_former([FormerKey(old, tomorrow)] if nth % 2 else []),
        )
    return made, keys


async def end(town: Town, connections: Mapping[str, int]) -> dict[str, Ended]:
    """How it went with each, when all is over or patience is."""
    until = monotonic() + PATIENCE
    while True:
        rows = await town.rows(
            "SELECT d.connection_id, d.delivery_id, d.state, d.attempts, l.state,"
            " (SELECT count(*) FROM delivery_attempt a"
            "  WHERE a.account_id = d.account_id AND a.delivery_id = d.delivery_id)"
            " FROM delivery d JOIN delivery_lane l"
            " ON l.account_id = d.account_id AND l.connection_id = d.connection_id"
            " WHERE d.account_id = $1"
        )
        over = len(rows) == len(connections) and all(row[2] != "pending" for row in rows)
        if over or monotonic() > until:
            found = {row[0]: Ended(row[1], row[2], row[3], row[5], row[4]) for row in rows}
            return {name: found[connection] for name, connection in connections.items()}
        await asyncio.sleep(0.1)


def judged(name: str, got: Sequence[Got], ended: Ended) -> list[str]:
    """What is not as it should be with one endpoint's requests."""
    _, attempts, state = EVERYBODY[name]
    wrong = []
    if len(got) != attempts or ended.attempts != attempts or ended.noted != attempts:
        wrong.append(f"{name}: came {len(got)} times, noted {ended.noted}, not {attempts}")
    if ended.state != state:
        wrong.append(f"{name}: ends {ended.state}")
    if (ended.lane == "disabled") != (name == "gone"):
        wrong.append(f"{name}: its lane is {ended.lane}")
    if len({one.body for one in got}) > 1 or len({one.headers["webhook-id"] for one in got}) > 1:
        wrong.append(f"{name}: another body or id")
    if [one.headers["Milepost-Attempt"] for one in got] != [str(n + 1) for n in range(len(got))]:
        wrong.append(f"{name}: attempts are not numbered")
    pauses = CLASSIC if name in MANNERS else EVENTS
    for nth, (pause, (first, then)) in enumerate(zip(pauses, pairwise(got), strict=False), 1):
        cut, way = (DEADLINE, WAY) if name == "times out" else (0, 0.005)
        waited = then.at - first.at - cut
        least = max(EARLY * pause, WISHED if name == "too many" else 0)
        most = (1 + TOLERANCE) * max(pause, least) + LATE
        if waited < least - way or (LONG and waited > most):
            wrong.append(f"{name}: attempt {nth + 1} after {waited:.3f} s in place of {pause:.3f}")
    return wrong


def unsigned(name: str, got: Got, keys: Keys) -> list[str]:
    """Why a receiver would not take a request for ours, by either scheme and each key."""
    wrong = []
    for key in (keys.current, *([keys.former] if keys.former else [])):
        try:
            Webhook(library_key(key)).verify(got.body, dict(got.headers))
        except WebhookVerificationError as error:
            wrong.append(f"{name}: {error}")
    plain = hmac.digest(keys.current.encode(), got.body, "sha256").hex()
    if got.headers["Sendcloud-Signature"] != plain:
        wrong.append(f"{name}: another Sendcloud-Signature")
    return wrong


def by_openssl(key: str, got: Got) -> bool:
    """Whether ``openssl`` finds the same HMAC of the body."""
    told = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.encode().hex()}"],
        input=got.body,
        capture_output=True,
        check=True,
    )
    return told.stdout.decode().split()[-1] == got.headers["Sendcloud-Signature"]


def test_the_judge_sees_what_it_is_for() -> None:
    """Each request changed in one way."""
    times = [0.0]
    for pause in CLASSIC:
        times.append(times[-1] + pause)
    got = [
        Got(at, {"webhook-id": "1", "Milepost-Attempt": str(nth)}, b"{}")
        for nth, at in enumerate(times, 1)
    ]
    ended = Ended(1, "failed", ALL, ALL, "open")
    assert judged("fails", got, ended) == []
    early = [*got[:5], replace(got[5], at=got[4].at + 0.8 * CLASSIC[4]), *got[6:]]
    for bad, end in (
        (got[:-1], ended),
        (early, ended),
        ([*got[:-1], replace(got[-1], body=b"{ }")], ended),
        ([*got[:-1], replace(got[-1], headers={**got[-1].headers, "webhook-id": "2"})], ended),
        (got, replace(ended, state="delivered")),
        (got, replace(ended, noted=10)),
        (got, replace(ended, lane="disabled")),
    ):
        assert judged("fails", bad, end) != []
