"""``milepost carrier health`` and ``drift``: how a carrier does, and what its answers hold anew."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from milepost.carriers.mappings import Mappings
from milepost.carriers.registry import Catalogue
from milepost.cli.administer import AsJson, administer, print_facts, print_json, print_table
from milepost.cli.carrier_logins import known_carrier
from milepost.monitoring.drift import Drift, accept_drift, drift_of
from milepost.monitoring.health import document, health_for_all
from milepost.parcels.carrier_hours import Counts
from milepost.settings import load

Code = Annotated[str, typer.Argument(help="Carrier code, such as dhl.")]


def add_health_to(commands: typer.Typer) -> None:
    """Make ``health`` and ``drift`` commands of ``commands``."""
    commands.command()(health)
    commands.command()(drift)


def health(code: Code, as_json: AsJson = False) -> None:
    """Show how asking a carrier went for all accounts, within the last hour and day."""
    carrier = known_carrier(code)
    maps = Mappings.load(load().mappings, Catalogue.load()).maps
    told = administer(lambda pool, _: health_for_all(pool, carrier, datetime.now(UTC), maps))
    if as_json:
        print_json(document(told, datetime.isoformat))
        return
    print_facts({"carrier": code, "state": told.state, "until": told.until})
    rows = [{"": name.replace("_", " "), **_row(one)} for name, one in told.spans.items()]
    print_table(rows, "")
    print_table(_drift_rows(told.drift), "Its answers hold nothing unknown.")


def drift(
    code: Code,
    what: Annotated[
        list[str] | None, typer.Argument(help="Only these fields, languages or codes.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take them for known: no alarm any more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a carrier's answers held that Milepost doesn't know, or accept it."""
    carrier, only = known_carrier(code), what or []
    maps = Mappings.load(load().mappings, Catalogue.load()).maps
    if accept:
        count = administer(lambda pool, _: accept_drift(pool, carrier, maps, only))
        facts = {"carrier": code, "accepted": count}
        print_json(facts) if as_json else print_facts(facts)
        return
    found = administer(lambda pool, _: drift_of(pool, carrier, maps))
    found = [one for one in found if not only or one.what in only]
    if as_json:
        print_json(found)
    else:
        print_table(_drift_rows(found), "Its answers hold nothing unknown.")


def _row(counts: Counts) -> dict[str, object]:
    lag, late = counts.lag(0.5), counts.lag(0.95)
    return {
        "checks": counts.checks,
        "answered": _percent(counts.success_rate),
        "broken": counts.broken,
        "refused": counts.refused,
        "events": counts.events,
        "unmapped": _percent(counts.unmapped_rate),
        "late by (half)": "" if lag is None else f"{lag / 60:.0f} min",
        "late by (95 %)": "" if late is None else f"{late / 60:.0f} min",
    }


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.1f} %"


def _drift_rows(drift: "tuple[Drift, ...] | list[Drift]") -> list[dict[str, object]]:
    return [
        {
            "unknown": one.kind,
            "what": one.what,
            "seen": one.seen,
            "first": one.first_seen_at,
            "last": one.last_seen_at,
        }
        for one in drift
    ]
