"""What the figures of recognition are worth for carriers they were not fitted to.

Carriers are parted into folds. For each fold the geography is fitted to the numbers of all other
carriers, and the fold's own numbers are answered with what came of that. Twice: with the forms'
priors as they stand in the manifests, and, as those were written by people who knew the numbers,
with none at all.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from math import log

from tests.carriers import recognition_figures as figures
from tests.carriers.recognition_corpus import Labelled, of_others, published

from milepost.carriers.likelihood import Geography
from milepost.carriers.recognise import FEWEST, Recogniser
from milepost.carriers.registry import Carrier, Catalogue

FOLDS = 5
OF_GENERATED = 16
"""One in so many made-up numbers is fitted to."""
GRID = {
    "abroad": (0.01, 0.02, 0.05),
    "from_home": (0.1, 0.25, 0.5),
    "anywhere": (0.15, 0.25, 0.4),
    "from_abroad": (0.2, 0.4, 0.7),
    "nobody": (0.5, 1.0, 2.0),
}


@dataclass(frozen=True, slots=True)
class Fold:
    """What was fitted without some carriers, and the answers about theirs."""

    counts: Geography
    told: tuple[figures.Answer, ...]
    told_without_priors: tuple[figures.Answer, ...]


def folds(catalogue: Catalogue, seed: int = 1) -> Iterator[Fold]:
    """Each fold in turn; every published number is in one of them."""
    known, made = published(), figures.generated(catalogue)[::OF_GENERATED]
    codes = sorted({one.carrier_code for one in known})
    random.Random(seed).shuffle(codes)
    for place in range(FOLDS):
        held = frozenset(codes[place::FOLDS])
        rest = [[one for one in every if one.carrier_code not in held] for every in (known, made)]
        counts = fitted(catalogue, [*rest, of_others()])
        mine = [one for one in known if one.carrier_code in held]
        bare = Recogniser(without_priors(catalogue), counts)
        yield Fold(
            counts,
            tuple(figures.answers(Recogniser(catalogue, counts), mine)),
            tuple(figures.answers(bare, mine)),
        )


def fitted(catalogue: Catalogue, groups: Sequence[Sequence[Labelled]]) -> Geography:
    """The geography that surprises least over ``groups``, which count alike: each of its figures
    is chosen in turn, once."""
    best = Geography()
    least = _surprise(catalogue, best, groups)
    for one in fields(Geography):
        for value in GRID[one.name]:
            tried = replace(best, **{one.name: value})
            surprise = least if tried == best else _surprise(catalogue, tried, groups)
            if surprise < least:
                best, least = tried, surprise
    return best


def _surprise(
    catalogue: Catalogue, counts: Geography, groups: Sequence[Sequence[Labelled]]
) -> float:
    recogniser = Recogniser(catalogue, counts)
    return sum(log_loss(figures.answers(recogniser, group)) / len(groups) for group in groups)


def log_loss(told: Sequence[figures.Answer]) -> float:
    """By how much the truth surprises, on average; nobody's numbers are to be left to nobody."""
    return -sum(log(max(_given_to_truth(one), FEWEST / 2)) for one in told) / len(told)


def _given_to_truth(one: figures.Answer) -> float:
    shares = {said.carrier_code: said.probability for said in one.candidates}
    return shares.get(one.of.carrier_code, 0.0) if one.of.carrier_code else 1 - sum(shares.values())


def without_priors(catalogue: Catalogue) -> Catalogue:
    """The carriers with their forms alone: how narrow they are, how sure, and their checks."""
    return Catalogue({one.manifest.code: _bare(one) for one in catalogue})


def _bare(carrier: Carrier) -> Carrier:
    manifest = carrier.manifest
    forms = tuple(replace(form, prior=1.0) for form in manifest.formats)
    return replace(carrier, manifest=replace(manifest, formats=forms))


def main() -> None:
    """Print the figures of all folds together, and what each was fitted to."""
    every = list(folds(Catalogue.load()))
    held = [one for fold in every for one in fold.told]
    bare = [one for fold in every for one in fold.told_without_priors]
    print(f"\nCarriers left out of the fit, {FOLDS} folds; given the destination")
    print(figures.HEADING)
    print(figures.line("published, of carriers left out", held))
    print(figures.line("the same without any priors", bare))
    print(f"surprise (log loss): {log_loss(held):.3f}, without any priors {log_loss(bare):.3f}")
    for fold in every:
        wrong = sum(not one.within(1) for one in fold.told)
        print(f"  fold of {len(fold.told):2} numbers, {wrong} wrong, fitted: {fold.counts}")


if __name__ == "__main__":
    main()
