"""What a carrier's own ledger says about who asked it: too often, or twice at once."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tests.chaos.ledger import lines

Asked = tuple[float, str]
"""When, in seconds, and about which number."""


def asked(path: Path, since: float = 0) -> list[Asked]:
    """Every question of a carrier's ledger from the instant ``since`` on, in order."""
    found = [(line["at"], line["number"]) for line in lines(path) if line["kind"] == "asked"]
    return sorted(one for one in found if one[0] >= since)


def over_quota(questions: Sequence[Asked], per_second: int, window: float) -> list[str]:
    """Windows of ``window`` seconds with more questions than ``per_second`` allows, one line each.

    A long window: a question may leave up to 0.2 s after its slot, and arrive later still.
    """
    allowed = int(per_second * window)
    return [
        f"{allowed + 1} questions in {last[0] - first[0]:.2f} s, not in {window} s"
        for first, last in zip(questions, questions[allowed:], strict=False)
        if last[0] - first[0] < window
    ]


def asked_at_once(questions: Sequence[Asked], seconds: float) -> list[str]:
    """Numbers that were asked about again within ``seconds``: two workers had them in hand."""
    by_number: dict[str, list[float]] = {}
    for at, number in questions:
        by_number.setdefault(number, []).append(at)
    return [
        f"{number}: asked again after {later - earlier:.3f} s"
        for number, times in by_number.items()
        for earlier, later in pairwise(times)
        if later - earlier < seconds
    ]


def outcomes(path: Path, since: float = 0) -> dict[str, int]:
    """How often a client was answered what from the instant ``since`` on: by status, or by the
    name of what went wrong where there was no answer."""
    told: Counter[str] = Counter()
    for line in lines(path):
        if line["at"] < since:
            continue
        match line["kind"]:
            case "ok":
                told["200"] += 1
            case "fail":
                told[str(line["status"])] += 1
            case "info":
                told[line["why"]] += 1
    return dict(told)
