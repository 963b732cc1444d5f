"""What is mutated, which tests guard it, and which mutants nobody could tell from the original."""

from dataclasses import dataclass, field

from tests.mutants.equivalents import EQUIVALENT

__all__ = ["EQUIVALENT", "SUBJECTS", "Part", "Subject"]


@dataclass(frozen=True, slots=True)
class Part:
    """Database functions, or a module (of which only ``functions``, where some are named), and the
    tests that guard them: the quickest first, for a mutant that is caught is done with."""

    tests: tuple[str, ...]
    sql: tuple[str, ...] = ()
    module: str = ""
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    name: str
    parts: tuple[Part, ...]
    skipped: tuple[str, ...] = field(default=())
    """Tests that take longer than the others together and see no more."""


ROWS = "tests/monitoring/test_claim_rows.py"
CLAIM = "tests/monitoring/test_claim.py"
ONE_TRANSACTION = "tests/monitoring/test_settle.py::test_the_account_is_set_for_one_transaction"
SUBJECTS = (
    Subject(
        "account-limiter",
        (
            Part(
                ("tests/accounts/test_spend_budget.py", "tests/accounts/test_budget.py"),
                sql=("slid_window", "promise_room", "spend_budget"),
            ),
            Part(
                (
                    "tests/accounts/test_budget_leases.py",
                    "tests/accounts/test_budget_waiting.py",
                    "tests/accounts/test_budget.py",
                ),
                module="milepost.accounts.budget",
            ),
        ),
        skipped=("heeds_it",),
    ),
    Subject(
        "carrier-limiter",
        (
            Part(
                (
                    "tests/monitoring/test_take_slots.py",
                    "tests/monitoring/test_slots.py",
                    "tests/monitoring/test_breaker.py",
                ),
                sql=("take_slots", "return_carrier_slots", "hold_carrier"),
            ),
            Part(
                ("tests/monitoring/test_slots.py",),
                module="milepost.monitoring.slots",
            ),
        ),
        skipped=("three_processes", "count_alone"),
    ),
    Subject(
        "fence",
        (
            Part(
                (
                    "tests/monitoring/test_claim_model.py",
                    f"{ROWS}::test_a_claim_tells_what_is_asked_and_closed_lanes_get_no_turn",
                    f"{CLAIM}::test_twenty_claims_at_once_share_the_rows_out",
                    f"{CLAIM}::test_a_row_that_somebody_else_held_during_a_claim_keeps_its_lane_due",
                    # How far the index is read shows in nothing else.
                    "tests/monitoring/test_plans.py",
                    ONE_TRANSACTION,
                ),
                sql=("claim_due",),
            ),
            Part(
                (f"{ROWS}::test_only_what_is_held_under_its_fence_is_renewed", ONE_TRANSACTION),
                sql=("renew_leases",),
            ),
            Part(
                (f"{ROWS}::test_a_fence_is_held_by_its_number_and_parcel", ONE_TRANSACTION),
                sql=("holds_fence",),
            ),
            Part(
                (f"{ROWS}::test_a_finish_writes_what_it_holds_and_plans_the_turn", ONE_TRANSACTION),
                sql=("finish_checks",),
            ),
            Part(
                (
                    f"{ROWS}::test_a_record_that_comes_too_late_changes_nothing",
                    f"{ROWS}::test_a_record_in_time_writes_its_own_parcel_alone",
                    f"{ROWS}::test_a_claim_that_ends_during_a_record_keeps_its_row",
                    ONE_TRANSACTION,
                ),
                sql=("record_observation",),
            ),
            Part(("tests/monitoring/test_leases.py",), module="milepost.monitoring.leases"),
            Part(("tests/monitoring/test_finish.py",), module="milepost.monitoring.finish"),
            Part(
                (
                    "tests/monitoring/test_claim.py",
                    "tests/monitoring/test_settle.py",
                    "tests/monitoring/test_check.py",
                    "tests/monitoring/test_counted_checks.py",
                    "tests/monitoring/test_breaker.py",
                    "tests/monitoring/test_deadlines.py",
                ),
                module="milepost.monitoring.settle",
            ),
            Part(
                ("tests/monitoring/test_claim.py", "tests/monitoring/test_deadlines.py"),
                module="milepost.parcels.record",
                functions=("Recorder.record",),
            ),
        ),
        skipped=("was_stopped",),
    ),
    Subject(
        "egress",
        (
            Part(("tests/egress/test_addresses.py",), module="milepost.egress.addresses"),
            Part(("tests/egress/test_policy.py",), module="milepost.egress.policy"),
            Part(("tests/egress/test_targets.py",), module="milepost.egress.targets"),
            Part(("tests/egress/test_targets.py",), module="milepost.egress.headers"),
        ),
    ),
    Subject(
        "signature",
        (
            Part(
                ("tests/notifications/test_signing.py",),
                module="milepost.notifications.signing",
            ),
        ),
    ),
)
