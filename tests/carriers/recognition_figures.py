"""How good recognition is, on numbers whose carrier is known. Prints it: ``make recognition``."""

import random
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.carriers.recognition_corpus import Labelled, of_others, published

from milepost.carriers.number_format import NumberFormat
from milepost.carriers.recognise import CLEARLY_AHEAD, Candidate, Recogniser
from milepost.carriers.registry import Catalogue

CERTAIN = 0.95
GENERATED_PER_CARRIER = 40
_BINS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of a number whose carrier is known."""

    of: Labelled
    candidates: tuple[Candidate, ...]

    def within(self, most: int) -> bool:
        """Whether the carrier is among the first candidates."""
        return self.of.carrier_code in {one.carrier_code for one in self.candidates[:most]}

    @property
    def certainty(self) -> float:
        """How sure it was of its first candidate."""
        return self.candidates[0].probability if self.candidates else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of all numbers; ``calibration_error`` is by how much certainty and truth differ."""

    numbers: int
    top_1: float
    top_3: float
    calibration_error: float
    falsely_certain: tuple[Labelled, ...]
    taken: float
    taken_wrongly: tuple[Labelled, ...]


def answers(
    recogniser: Recogniser, numbers: Iterable[Labelled], *, destination: bool = True
) -> list[Answer]:
    """What is said of each number, given the destination or the number alone."""
    return [
        Answer(
            one,
            recogniser.recognise(
                one.number, destination=one.destination if destination else ""
            ).candidates,
        )
        for one in numbers
    ]


def figures(told: Sequence[Answer]) -> Figures:
    """The figures of answers."""
    taken = [one for one in told if one.certainty >= CLEARLY_AHEAD]
    return Figures(
        numbers=len(told),
        top_1=sum(one.within(1) for one in told) / len(told),
        top_3=sum(one.within(3) for one in told) / len(told),
        calibration_error=calibration_error(told),
        falsely_certain=tuple(
            one.of for one in told if one.certainty > CERTAIN and not one.within(1)
        ),
        taken=len(taken) / len(told),
        taken_wrongly=tuple(one.of for one in taken if not one.within(1)),
    )


def calibration_error(told: Sequence[Answer]) -> float:
    """The expected calibration error: how sure it was of the first, against how often rightly."""
    said = [
        (candidate.probability, candidate.carrier_code == one.of.carrier_code)
        for one in told
        for candidate in one.candidates[:1]
    ]
    error = 0.0
    for place in range(_BINS):
        low, high = place / _BINS, (place + 1) / _BINS
        inside = [(p, right) for p, right in said if low < p <= high]
        if inside:
            sure = sum(p for p, _ in inside) / len(inside)
            right = sum(right for _, right in inside) / len(inside)
            error += abs(sure - right) * len(inside) / len(said)
    return error


def generated(catalogue: Catalogue, seed: int = 1) -> list[Labelled]:
    """Made-up numbers of every form in the catalogue whose check holds, to a carrier's country."""
    dice = random.Random(seed)
    return [one for carrier in catalogue for one in _of_carrier(carrier.manifest, dice)]


def _of_carrier(manifest: Any, dice: random.Random) -> Iterator[Labelled]:
    forms: Sequence[NumberFormat] = manifest.formats
    if not forms or not manifest.countries:
        return
    weights = [form.prior for form in forms]
    for form in dice.choices(forms, weights, k=GENERATED_PER_CARRIER):
        country = dice.choice(manifest.countries)
        yield Labelled(manifest.code, _number(form, dice), country, country)


def _number(form: NumberFormat, dice: random.Random) -> str:
    parsed = getattr(re, "_parser").parse(form.pattern)  # noqa: B009 no public way
    while True:
        key = "".join(_made(parsed, dice))
        if form.checks(key):
            return key


def _made(parsed: Any, dice: random.Random) -> Iterator[str]:
    for operation, value in parsed:
        match str(operation):
            case "LITERAL":
                yield chr(value)
            case "IN":
                yield dice.choice([one for part in value for one in _characters(part)])
            case "MAX_REPEAT":
                least, most, what = value
                for _ in range(dice.randint(least, min(most, least + 12))):
                    yield from _made(what, dice)
            case "SUBPATTERN":
                yield from _made(value[-1], dice)
            case "BRANCH":
                yield from _made(dice.choice(value[1]), dice)
            case other:
                raise ValueError(other)


def _characters(part: Any) -> str:
    operation, value = part
    match str(operation):
        case "LITERAL":
            return chr(value)
        case "RANGE":
            return "".join(map(chr, range(value[0], value[1] + 1)))
        case _:
            return "0123456789"


HEADING = f"{'':34}numbers  top-1  top-3  calibration error  taken  wrongly  falsely certain"


def line(name: str, told: Sequence[Answer]) -> str:
    """The figures of answers under the heading."""
    one = figures(told)
    return (
        f"{name:34}{one.numbers:7}  {one.top_1:5.3f}  {one.top_3:5.3f}"
        f"  {one.calibration_error:17.3f}  {one.taken:5.3f}  {len(one.taken_wrongly):7}"
        f"  {len(one.falsely_certain):15}"
    )


def main() -> int:
    """Print the figures."""
    catalogue = Catalogue.load()
    recogniser = Recogniser(catalogue)
    known, others, made = published(), of_others(), generated(catalogue)
    print(HEADING)
    for name, told in (
        ("published, given the destination", answers(recogniser, known)),
        ("published, the number alone", answers(recogniser, known, destination=False)),
        ("of other carriers", answers(recogniser, others)),
        ("generated, given the destination", answers(recogniser, made)),
        ("generated, the number alone", answers(recogniser, made, destination=False)),
    ):
        print(line(name, told))
        if "-v" in sys.argv:
            for answer in told:
                if not answer.within(1) and (name.startswith("pub") or answer.certainty > 0.8):
                    said = [(c.carrier_code, c.probability) for c in answer.candidates[:4]]
                    print("   ", *answer.of, said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
