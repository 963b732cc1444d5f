"""The mutator itself: what it changes, what it leaves alone, and that a planted wrong is seen."""

import pytest
from tests.mutants import python_mutants, sql_mutants

from milepost.accounts import budget
from milepost.accounts.gatekeeper import Limits

FUNCTION = """
CREATE OR REPLACE FUNCTION public.held(p_account bigint, p_fence bigint)
 RETURNS boolean LANGUAGE plpgsql AS $function$
BEGIN -- a = b
    UPDATE watch w SET due_at = greatest(now(), w.due_at + interval '5 s')
    WHERE w.account_id = p_account AND w.fence = p_fence AND w.due_at <= now()
      AND w.urgency BETWEEN 1 AND 3 FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END
$function$
"""


def test_each_small_wrong_is_planted_once() -> None:
    said = [one.name.split(" | ")[1] for one in sql_mutants.mutants_of("held", FUNCTION)]
    assert said == [
        "= -> <>",
        "greatest -> least",
        "+ -> -",
        "'5 s' -> '11 s'",
        "AND -> OR",
        "AND w.fence = p_fence -> nothing",
        "= -> <>",
        "AND -> OR #2",
        "AND w.due_at <= now() -> nothing",
        "<= -> <",
        "AND -> OR",
        "AND w.urgency BETWEEN 1 AND 3 -> nothing",
        "1 -> 2",
        "3 -> 4",
        "FOR UPDATE SKIP LOCKED -> nothing",
    ]


def test_names_stay_and_differ() -> None:
    mutants = sql_mutants.mutants_of("held", FUNCTION)
    moved = sql_mutants.mutants_of("held", FUNCTION.replace("BEGIN", "BEGIN\n\n"))
    assert [one.name for one in mutants] == [one.name for one in moved]
    assert len({one.name for one in mutants}) == len(mutants)
    assert len({one.source for one in mutants}) == len(mutants)


def test_a_planted_function_does_the_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(1, 2, 3)
    (mutant,) = (
        one for one in python_mutants.mutants_of(budget, ["_limits"]) if one.name.endswith("0 -> 1")
    )
    original = budget._limits.__code__
    mutant.plant()
    try:
        assert budget._limits(limits, "read") == (1, 1)
    finally:
        budget._limits.__code__ = original
    assert budget._limits(limits, "read") == (1, 0)


def test_every_part_has_mutants_and_tests() -> None:
    names = [one.name for one in python_mutants.mutants_of(budget)]
    assert len(set(names)) == len(names) > 100
