"""What the carriers cost: reading all manifests, and reading the largest answer there is."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

from bench.rows import Row
from bench.run import Run
from milepost.carriers.exchange import Answer
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import Case, ReadsAnswers, cases

_TURNS = 15


async def rows(run: Run) -> list[Row]:
    """Both in CPU time of this process: what else the machine does counts for nothing."""
    run.say("reading the catalogue, and its largest sample")
    loading = _milliseconds(Catalogue.load)
    catalogue = Catalogue.load()
    samples: list[tuple[Case, ReadsAnswers]] = []
    for carrier in catalogue:
        connector = carrier.connector()
        if isinstance(connector, ReadsAnswers):
            samples += [(case, connector) for case in cases(carrier)]
    case, reader = max(samples, key=lambda pair: len(pair[0].body))
    reading = _milliseconds(partial(_read, case, reader))
    about = f"{case.path.parent.parent.name}, {len(case.body):,} bytes"
    return [
        Row("all manifests are read", loading, 50, "ms", True, f"{len(catalogue)} carriers"),
        Row("the largest sample is parsed", reading, 5, "ms", True, about),
    ]


def _read(case: Case, reader: ReadsAnswers) -> object:
    return reader.outcome(case.item, Answer(case.status, {}, case.body))


def _milliseconds(work: Callable[[], object]) -> float:
    """The middle one of several turns; the first warms up."""
    taken = []
    for _ in range(_TURNS + 1):
        started = time.process_time()
        work()
        taken.append(1000 * (time.process_time() - started))
    return median(taken[1:])
