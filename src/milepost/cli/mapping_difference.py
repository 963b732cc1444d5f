"""What other rules of reading change, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict

import typer

from milepost.cli.administer import print_facts, print_json, print_table
from milepost.cli.parcels import printable
from milepost.parcels.remapping import Count, Difference
from milepost.tracking.vocabulary import Reading


def show(difference: Difference, as_json: bool) -> None:
    """Print the sums, what each code was and is read as, and what became of statuses."""
    if as_json:
        print_json(document_of(difference))
        return
    print_facts(
        {
            "parcels read": difference.read,
            "parcels changed": difference.changed,
            "events read otherwise": difference.events,
            "journeys that go on": difference.reopened,
            "journeys that end": difference.ended,
        }
    )
    codes = [
        {
            "carrier": carrier,
            "code": printable(code),
            "before": _words(before),
            "after": _words(after),
            **_columns(count),
        }
        for (carrier, code, before, after), count in sorted(
            difference.codes.items(), key=lambda item: -item[1].events
        )
    ]
    statuses = [
        {"status before": before, "status after": after, **_columns(count)}
        for (before, after), count in sorted(
            difference.statuses.items(), key=lambda item: -item[1].parcels
        )
    ]
    for rows in (codes, statuses):
        if rows:
            typer.echo()
            print_table(rows, "")


def document_of(difference: Difference) -> Mapping[str, object]:
    """The difference as JSON."""
    return {
        "parcels_read": difference.read,
        "parcels_changed": difference.changed,
        "events_changed": difference.events,
        "reopened": difference.reopened,
        "ended": difference.ended,
        "codes": [
            {
                "carrier_code": carrier,
                "code": code,
                "before": asdict(before),
                "after": asdict(after),
                **asdict(count),
            }
            for (carrier, code, before, after), count in difference.codes.items()
        ],
        "statuses": [
            {"before": before, "after": after, "parcels": count.parcels, "examples": count.examples}
            for (before, after), count in difference.statuses.items()
        ],
    }


def _columns(count: Count) -> Mapping[str, object]:
    events = {"events": count.events} if count.events else {}
    return {**events, "parcels": count.parcels, "for example": ", ".join(map(str, count.examples))}


def _words(reading: Reading) -> str:
    said = (reading.phase.value, reading.exception.value, reading.sub_status.value)
    return " ".join([said[0], *(word for word in said[1:] if word not in ("none", said[0]))])
