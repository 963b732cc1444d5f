"""What a check says: well, to be looked at, or a fault; with what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How it is. Only a fault makes ``milepost doctor`` fail."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the doctor's. ``todo`` is one sentence, empty where nothing is to be done."""

    check: str
    grade: Grade
    text: str
    todo: str = ""


def well(check: str, text: str) -> Verdict:
    """Nothing to do."""
    return Verdict(check, Grade.OK, text)


def warning(check: str, text: str, todo: str) -> Verdict:
    """Works, and should be looked at."""
    return Verdict(check, Grade.WARNING, text, todo)


def fault(check: str, text: str, todo: str) -> Verdict:
    """Does not work, or may lose or leak something."""
    return Verdict(check, Grade.FAULT, text, todo)


def graded(
    check: str, text: str, todo: str, value: float, *, warn_over: float, fault_over: float
) -> Verdict:
    """By two bounds: well up to the first, a fault over the second."""
    if value > fault_over:
        return fault(check, text, todo)
    return warning(check, text, todo) if value > warn_over else well(check, text)
