"""Telling subscribers: what happened is fanned out, and what is due is delivered."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from milepost.db.pool import Pool
from milepost.notifications.deliver import Deliverer
from milepost.notifications.due import asking
from milepost.notifications.fan_out import FanOut
from milepost.notifications.held import Lane

ACCOUNTS_AT_ONCE = 4
LANES_AT_ONCE = 512
"""A lane whose subscriber hangs is in hand for as long as an attempt may take, and costs next to
nothing meanwhile: were there few, those that hang would keep the others waiting."""
FAILING_AT_ONCE = 512
"""Those that failed last have room of their own. One that is dead is tried for 15 s in 5 minutes,
so this is enough for 10,000 of them."""
BEGUN_AT_ONCE = 8
BEGINNING_SECONDS = 0.1
"""Of those that failed last so few are begun at a time: to take a lane, to dial anew and to note
one more failure takes as long as a delivery, and whoever does well would wait for that. While any
of those are in hand it is one with each look."""
LOOK_SECONDS = 0.02
IDLE_LOOK_SECONDS = 0.05
"""How long what another process recorded waits for somebody to look, at most: longer where nothing
has happened for ``AWAKE_SECONDS``, for looking is all that an idle worker costs."""
TIMES_SELDOMER = 10
"""Looks come so many times less often than one takes: while somebody holds a snapshot open, all
that was told stays in their way."""
LOOKS_COMPARED = 8
"""The shortest of so many says how long one takes: the others waited for the machine."""
AWAKE_SECONDS = 1.0
FAULT_SECONDS = 0.5
"""For how long what could not be told, or not even read, is left alone."""
SETTLING_SECONDS = 0.5
"""After the database was away no lane is taken for so long: who has one in hand writes down first
what came back meanwhile. Were it taken from him, his lease being over, that would be sent again."""

Survived = Callable[[str], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class _Hints:
    """That there may be something to fan out, and something to deliver; ``settled``: the database
    is there, and has been for a while if it was away."""

    outbox: asyncio.Event = field(default_factory=asyncio.Event)
    lanes: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Pace:
    """How often to look, by how long that takes."""

    _took: deque[float] = field(default_factory=lambda: deque(maxlen=LOOKS_COMPARED))
    _ended_at: float = 0.0

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Around one look."""
        begun_at = monotonic()
        yield
        self._ended_at = monotonic()
        self._took.append(self._ended_at - begun_at)

    @property
    def rest(self) -> float:
        """Seconds between two looks, at least."""
        return TIMES_SELDOMER * min(self._took, default=0.0)

    @property
    def left(self) -> float:
        """How much of it is left since the last one."""
        return max(0.0, self._ended_at + self.rest - monotonic())


async def tell(
    pool: Pool, fan_out: FanOut, deliverer: Deliverer, stop: asyncio.Event, survived: Survived
) -> None:
    """Fan out and deliver until ``stop``, then finish what is under way.

    ``pool`` acts as milepost_worker; one of its connections is held all the time.
    """
    hints = _Hints()
    await asyncio.gather(
        _look(pool, hints, stop, survived),
        _fan_out(fan_out, hints, stop, survived),
        _deliver(deliverer, hints, stop, survived),
    )


async def _look(pool: Pool, hints: _Hints, stop: asyncio.Event, survived: Survived) -> None:
    """Ask whether there is anything to do; what our own fan-out made is known without."""
    awake_until = settled_at = 0.0
    pace = _Pace()
    hints.settled.set()
    while not stop.is_set():
        with survived("what is to be told could not be asked"):
            async with asking(pool) as ask:
                if not hints.settled.is_set():
                    settled_at = monotonic() + SETTLING_SECONDS
                while not stop.is_set():
                    with pace.measured():
                        due = await ask()
                    if due.outbox:
                        hints.outbox.set()
                    if due.lanes:
                        hints.lanes.set()
                    if due.outbox or due.lanes:
                        awake_until = monotonic() + AWAKE_SECONDS
                    if monotonic() >= settled_at:
                        hints.settled.set()
                    is_awake = monotonic() < awake_until
                    pause = LOOK_SECONDS if is_awake else IDLE_LOOK_SECONDS
                    await asyncio.sleep(max(pause, pace.rest))
        hints.settled.clear()
        await _pause(FAULT_SECONDS, stop)
    hints.settled.set()
    hints.outbox.set()
    hints.lanes.set()


async def _fan_out(fan_out: FanOut, hints: _Hints, stop: asyncio.Event, survived: Survived) -> None:
    """A few accounts side by side, in turns: one that has very much to tell holds up nobody."""
    in_hand: dict[int, asyncio.Task[None]] = {}
    rests: dict[int, float] = {}

    async def work(account: int) -> None:
        # A fault is its own: it must not slow the others down, nor fill the log.
        rests[account] = monotonic() + FAULT_SECONDS
        try:
            with survived("what happened could not be told"):
                told = await fan_out.tell(account)
                del rests[account]
                if told:
                    hints.lanes.set()
                    hints.outbox.set()
        finally:
            del in_hand[account]

    beyond = 0
    pace = _Pace()
    while not stop.is_set():
        await _pause(pace.left, stop)
        hints.outbox.clear()
        accounts = None
        with survived("who has something to tell could not be read"), pace.measured():
            accounts = await fan_out.waiting(beyond, ACCOUNTS_AT_ONCE)
        if accounts is None:
            await _pause(FAULT_SECONDS, stop)
            continue
        is_first, is_last = beyond == 0, len(accounts) < ACCOUNTS_AT_ONCE
        for account in accounts:
            if len(in_hand) == ACCOUNTS_AT_ONCE:
                break
            beyond = account
            if account not in in_hand and rests.get(account, 0) <= monotonic():
                in_hand[account] = asyncio.create_task(work(account))
        else:
            beyond = 0 if is_last else beyond
            if not (is_first and is_last):
                continue
        await hints.outbox.wait()
    await asyncio.gather(*in_hand.values(), return_exceptions=True)


async def _deliver(
    deliverer: Deliverer, hints: _Hints, stop: asyncio.Event, survived: Survived
) -> None:
    """Work on the lanes that are due, each in its own task; one is in hand once per process."""
    in_hand = _InHand()

    async def work(lane: Lane) -> None:
        try:
            with survived("a subscriber could not be told"):
                await deliverer.work(lane, stop)
        finally:
            in_hand.put_down(lane)

    while not stop.is_set():
        hints.lanes.clear()
        await hints.settled.wait()
        well, failing = in_hand.room()
        lanes: Sequence[Lane] | None = ()
        if well or failing:
            lanes = None
            with survived("lanes could not be read"):
                # Some of these are in hand, and not taken yet.
                lanes = await deliverer.due(LANES_AT_ONCE + well, failing and 2 * BEGUN_AT_ONCE)
        if lanes is None:
            await _pause(FAULT_SECONDS, stop)
            continue
        for lane in in_hand.begin(lanes, well, failing):
            in_hand.tasks[lane] = asyncio.create_task(work(lane))
        await hints.lanes.wait()
    await asyncio.gather(*in_hand.tasks.values(), return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _InHand:
    """The lanes that are worked on; ``failing`` are those that failed last, and since when."""

    tasks: dict[Lane, asyncio.Task[None]] = field(default_factory=dict)
    failing: dict[Lane, float] = field(default_factory=dict)

    def room(self) -> tuple[int, int]:
        """How many may be begun now of those that do well, and of those that failed last."""
        begun = monotonic() - BEGINNING_SECONDS
        beginning = sum(since > begun for since in self.failing.values())
        failing = min(BEGUN_AT_ONCE - beginning, FAILING_AT_ONCE - len(self.failing))
        return max(0, LANES_AT_ONCE - self._well()), max(0, failing)

    def _well(self) -> int:
        return len(self.tasks) - len(self.failing)

    def begin(self, lanes: Sequence[Lane], well: int, failing: int) -> list[Lane]:
        """Those of ``lanes`` that are begun now, so many of each at most."""
        new = [lane for lane in lanes if lane not in self.tasks]
        do_well = [lane for lane in new if not lane.fails][:well]
        most = min(failing, 1) if do_well or self._well() else failing
        failed = [lane for lane in new if lane.fails][:most]
        self.failing.update(dict.fromkeys(failed, monotonic()))
        return do_well + failed

    def put_down(self, lane: Lane) -> None:
        del self.tasks[lane]
        self.failing.pop(lane, None)


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
