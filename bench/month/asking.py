"""Two ways to ask about the same parcels: as Milepost plans it, and every two hours."""

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from bench.month.journeys import DAY, END, HOUR, START, Parcel, Service, Told
from milepost.carriers.manifest import Quota
from milepost.tracking.cadence import CadencePolicy, Plan, next_check
from milepost.tracking.expectation import Expectation, next_scan, usual
from milepost.tracking.journey import Journey
from milepost.tracking.lane_statistics import LaneStatistics, Sample, learn
from milepost.tracking.vocabulary import ExceptionCode, Phase, Reading, StatusType, SubStatus

FIXED = 2 * HOUR
SAMPLES = 400
LEARN_EVERY = DAY // 2
"""As ``lane_samples`` and ``look_through`` have it."""
SOON = 0.25
"""As ``claim_due`` has it: of whose wait so little is left is taken along."""
POLICY = CadencePolicy()
_READINGS = {
    phase: Reading(phase, ExceptionCode.NONE, StatusType.SUCCESS, SubStatus.NONE) for phase in Phase
}
Learn = Callable[[LaneStatistics], Expectation | None]


@dataclass(slots=True)
class Figures:
    """What asking brought: by phase the seconds from each scan's publication to the question that
    saw it; how many ``questions`` (numbers asked) in how many ``requests`` that took."""

    delays: dict[Phase, list[float]] = field(default_factory=lambda: defaultdict(list))
    questions: int = 0
    requests: int = 0

    def saw(self, told: Told, parcel: Parcel, now: float) -> None:
        """A scan, by a question at ``now``; nobody is late before a parcel is known."""
        self.delays[told.phase].append(now - max(told.published, parcel.registered))

    def hours(self, share: float, *phases: Phase) -> float:
        """The delay (hours) that this share of the scans, of these phases or all, stayed within."""
        chosen = phases or tuple(self.delays)
        ordered = sorted(delay for phase in chosen for delay in self.delays[phase])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / HOUR

    @property
    def mean_hours(self) -> float:
        """The mean delay (hours): what is seen late weighs more in it than in the median."""
        return sum(map(sum, self.delays.values())) / max(1, self.changes) / HOUR

    @property
    def changes(self) -> int:
        """How many scans were seen."""
        return sum(map(len, self.delays.values()))


def together(parts: Iterable[Figures]) -> Figures:
    """Several lanes' figures as one."""
    whole = Figures()
    for part in parts:
        for phase, delays in part.delays.items():
            whole.delays[phase] += delays
        whole.questions += part.questions
        whole.requests += part.requests
    return whole


def every_two_hours(parcels: Sequence[Parcel]) -> Figures:
    """Each parcel every two hours from its registration until it is seen delivered."""
    found = Figures()
    for parcel in parcels:
        end = END
        for told in parcel.scans:
            if told.published >= END:
                break
            steps = max(0, -(-(told.published - parcel.registered) // FIXED))
            seen = parcel.registered + steps * FIXED
            found.saw(told, parcel, min(seen, END))
            if told.phase is Phase.DELIVERED:
                end = min(end, seen + 1)
        found.questions += max(0, -(-(end - parcel.registered) // FIXED))
    found.requests = found.questions
    return found


@dataclass(slots=True)
class _Watched:
    parcel: Parcel
    journey: Journey
    seen: int = 0


class Month:
    """One lane's month: due parcels are asked in the slots of its quota, and planned anew."""

    def __init__(
        self,
        service: Service,
        learn_from: Learn | None = next_scan,
        ended: Sequence[Sample] = (),
        soon: float = SOON,
        learn_every: float = LEARN_EVERY,
    ) -> None:
        """``learn_from`` None: the lane never learns. ``ended``: parcels of the months before."""
        self.figures = Figures()
        self.ended = list(ended)
        self._dice = random.Random(f"asking {service.name}")
        self._service = service
        self._learn_from = learn_from
        self._soon = soon
        self._gap = Quota(per_second=service.per_second).spacing_seconds
        self._expectation = usual(service.zone)
        self._learn_every = learn_every
        self._learn_at = 0.0
        self._due: list[tuple[float, int, float]] = []
        self._watched: list[_Watched] = []

    def run(self, parcels: Sequence[Parcel]) -> Figures:
        """The whole month."""
        self._watched = [_Watched(parcel, _announced(parcel)) for parcel in parcels]
        self._due = [
            (parcel.registered, number, parcel.registered) for number, parcel in enumerate(parcels)
        ]
        heapq.heapify(self._due)
        slot = 0.0
        while self._due and (now := max(slot, self._due[0][0])) < END:
            slot = now + self._gap
            if now >= self._learn_at:
                self._learn(now)
            self.figures.requests += 1
            for number in self._claim(now):
                self._ask(number, now)
        for watched in self._watched:
            self._tell(watched, END)
        return self.figures

    def _claim(self, now: float) -> list[int]:
        """As ``claim_due``: what is due, and what is due soon where the request has room."""
        taken = [heapq.heappop(self._due)[1]]
        left: list[tuple[float, int, float]] = []
        while self._due and len(taken) + len(left) < self._service.batch_size:
            due, number, asked = heapq.heappop(self._due)
            if due <= now or due - now <= (due - asked) * self._soon:
                taken.append(number)
            else:
                left.append((due, number, asked))
        for one in left:
            heapq.heappush(self._due, one)
        return taken

    def _ask(self, number: int, now: float) -> None:
        watched = self._watched[number]
        self.figures.questions += 1
        if self._tell(watched, now):
            watched.journey = self._read(watched)
        at = START + timedelta(seconds=now)
        plan = next_check(
            watched.journey,
            at,
            POLICY,
            registered_at=START + timedelta(seconds=watched.parcel.registered),
            checked_at=at,
            jitter=self._dice.random(),
            expectation=self._expectation,
        )
        if isinstance(plan, Plan):
            due = (plan.due_at - START).total_seconds()
            heapq.heappush(self._due, (due, number, now))

    def _tell(self, watched: _Watched, now: float) -> bool:
        before = watched.seen
        for told in watched.parcel.scans[before:]:
            if told.published > now or told.published >= END:
                break
            watched.seen += 1
            self.figures.saw(told, watched.parcel, now)
        return watched.seen > before

    def _read(self, watched: _Watched) -> Journey:
        scans = sorted(watched.parcel.scans[: watched.seen], key=_happened)
        first, last = scans[0], scans[-1]
        last_at = START + timedelta(seconds=last.happened)
        journey = Journey(
            entries=(),
            hidden=(),
            reading=_READINGS[last.phase],
            status="",
            status_at=last_at,
            first_scan_at=START + timedelta(seconds=first.happened),
            last_scan_at=last_at,
            ended_at=last_at if last.phase is Phase.DELIVERED else None,
            is_return=False,
        )
        if journey.ended_at is not None and watched.journey.ended_at is None:
            self.ended.append(_sample(watched.parcel.registered, scans))
        return journey

    def _learn(self, now: float) -> None:
        """As ``lane_samples``: some of four weeks' parcels."""
        self._learn_at = now + self._learn_every
        if self._learn_from is not None and self.ended:
            every = -(-len(self.ended) // SAMPLES)
            learnt = self._learn_from(learn(self.ended[::every], self._service.zone))
            self._expectation = learnt or usual(self._service.zone)


def _happened(told: Told) -> int:
    return told.happened


def _announced(parcel: Parcel) -> Journey:
    at = START + timedelta(seconds=parcel.registered)
    return Journey((), (), _READINGS[Phase.ANNOUNCED], "", at, None, None, None, False)


def past(parcels: Sequence[Parcel]) -> list[Sample]:
    """What of these is learnt from: those that were delivered."""
    return [
        _sample(parcel.registered, sorted(parcel.scans, key=_happened))
        for parcel in parcels
        if any(told.phase is Phase.DELIVERED for told in parcel.scans)
    ]


def _sample(registered: int, scans: Sequence[Told]) -> Sample:
    told = [(START + timedelta(seconds=scan.happened), scan.phase) for scan in scans]
    return Sample(START + timedelta(seconds=registered), told[0][0], told[-1][0], told)
