"""A parcel as the terminal shows it."""

import dataclasses
import io
from datetime import UTC, date, datetime

from rich.console import Console
from tests.wire.test_answers import JOURNEY, PARCEL

from milepost.cli.parcels import draw
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import TrackedParcel


def drawn(parcel: TrackedParcel, journey: Journey) -> str:
    shown = io.StringIO()
    draw(Console(file=shown, width=120), parcel, journey)
    return shown.getvalue()


def test_what_has_arrived_is_expected_no_more() -> None:
    parcel = dataclasses.replace(PARCEL, expected_delivery_date=date(2026, 1, 7))
    under_way = dataclasses.replace(JOURNEY, ended_at=None)
    arrived = dataclasses.replace(JOURNEY, ended_at=datetime(2026, 1, 6, tzinfo=UTC))
    assert "expected Wed 07 Jan 2026" in drawn(parcel, under_way)
    assert "expected" not in drawn(parcel, arrived)
    assert parcel.tracking_number in drawn(parcel, arrived)
