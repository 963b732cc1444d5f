"""The query of a list: what is taken, and which parameter a refusal names."""

from datetime import UTC, datetime

import pytest

from milepost.api.bodies import Refused
from milepost.api.parcel_filters import PARAMETERS, read_list
from milepost.api.v3_models import MOST_PROBLEMS
from milepost.parcels.listing import Asked, Filters


def wrong(*given: tuple[str, str]) -> list[tuple[str | int, ...]]:
    """Where a refusal says that something is wrong."""
    with pytest.raises(Refused) as refused:
        read_list(given)
    assert refused.value.problem.status == 422
    return [one.loc for one in refused.value.problem.fields]


def test_nothing_asked_is_the_newest_fifty() -> None:
    asked = read_list([])
    assert asked.page == Asked(Filters(), "created_at", descending=True, size=50)
    assert not asked.events


def test_everything_at_once() -> None:
    asked = read_list(
        [
            ("q", "zoë"),
            ("status", "DELIVERED,DELAYED"),
            ("phase", "pup"),
            ("exception", "hold"),
            ("carrier_code", "DHL,ups"),
            ("from_country", "nl"),
            ("to_country", "de,BE"),
            ("active", "true"),
            ("source_id", "7"),
            ("order_number", "#7"),
            ("created_from", "2026-01-02"),
            ("updated_since", "2026-01-02T03:04:05+01:00"),
            ("sort", "updated_at"),
            ("limit", "100"),
            ("cursor", "A" * 32),
            ("include", "events"),
        ]
    )
    assert asked.events
    assert asked.page == Asked(
        Filters(
            statuses=("DELAYED", "DELIVERED"),
            phases=("pup",),
            exceptions=("hold",),
            carriers=("dhl", "ups"),
            from_countries=("NL",),
            to_countries=("BE", "DE"),
            active=True,
            created_from=datetime(2026, 1, 2, tzinfo=UTC),
            updated_from=datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
            source_id="7",
            order_number="#7",
            text="zoë",
        ),
        "updated_at",
        descending=False,
        size=100,
        cursor="A" * 32,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "delivered"),
        ("status", ""),
        ("status", "DELIVERED,"),
        ("phase", "gone"),
        ("exception", "none,oops"),
        ("carrier_code", ","),
        ("carrier_code", ",".join(f"c{n}" for n in range(51))),
        ("from_country", "NLD"),
        ("to_country", "N1"),
        ("to_country", ""),
        ("active", "yes"),
        ("source_id", "x" * 256),
        ("order_number", "a\0b"),
        ("q", ""),
        ("q", "x" * 201),
        ("q", "\0"),
        ("created_from", "yesterday"),
        ("created_to", "1989-12-31"),
        ("updated_since", "2026-13-01"),
        ("ended_to", "9999999999999999999999"),
        ("sort", "status"),
        ("sort", "--created_at"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "5.0"),
        ("limit", "\u0665"),
        ("cursor", ""),
        ("cursor", "A" * 31),
        ("cursor", "é" * 32),
        ("include", "everything"),
        ("offset", "50"),
    ],
)
def test_a_refusal_names_the_parameter(name: str, value: str) -> None:
    assert wrong((name, value)) == [("query", name)]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_given_twice_is_refused(name: str) -> None:
    good = {"limit": "1", "active": "true", "cursor": "A" * 32, "include": "events"}
    good |= {"status": "DELIVERED", "phase": "pup", "exception": "hold", "sort": "created_at"}
    value = good.get(name, "NL" if "country" in name else "2026-01-01")
    read_list([(name, value)])
    assert wrong((name, value), (name, value)) == [("query", name)]


def test_a_refusal_names_every_parameter_that_is_wrong() -> None:
    many = [("limit", "0"), ("page", "2"), ("active", "true"), ("status", "x"), ("active", "false")]
    assert wrong(*many) == [("query", name) for name in ("limit", "page", "status", "active")]
    assert len(wrong(*[(f"x{place}", "") for place in range(1000)])) == MOST_PROBLEMS
