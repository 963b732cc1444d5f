"""``milepost carrier``: the catalogue, one question to a carrier, and pauses."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from milepost import observe
from milepost.accounts.keys import find_account
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import Broken, Credential, Found, Item, Outcome, Refused
from milepost.carriers.fetcher import Fetcher, Line
from milepost.carriers.host_routes import host_routes
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.samples import outcome_document
from milepost.carriers.simulator import simulator
from milepost.cli.administer import (
    AsJson,
    administer,
    plain,
    print_facts,
    print_json,
    print_table,
)
from milepost.cli.carrier_checks import check
from milepost.cli.carrier_health import add_health_to
from milepost.cli.carrier_logins import credential_commands, known_carrier
from milepost.cli.carrier_new import new
from milepost.cli.carrier_pushes import push_commands
from milepost.cli.session import Session, open_session
from milepost.db.pool import Pool, open_pool
from milepost.errors import ConfigurationError, NoSlot
from milepost.monitoring.breaker import pause_carrier, resting, resume_carrier, weigh
from milepost.monitoring.database_clock import DatabaseClock
from milepost.monitoring.drift import Drifts
from milepost.monitoring.live import LiveCarriers
from milepost.monitoring.question import credential_of
from milepost.monitoring.slots import Budget, Ledger
from milepost.settings import Settings, load
from milepost.tracking.events import Scan

carrier_commands = typer.Typer(no_args_is_help=True, help="Carriers and their logins.")
carrier_commands.add_typer(credential_commands, name="credentials")
carrier_commands.add_typer(push_commands, name="push")
carrier_commands.command()(new)
carrier_commands.command()(check)
add_health_to(carrier_commands)


def add_to(app: typer.Typer) -> None:
    """Make ``carrier`` a command of ``app``."""
    app.add_typer(carrier_commands, name="carrier")


@carrier_commands.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the carriers Milepost knows."""
    rows = [facts_of(carrier) for carrier in Catalogue.load()]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, "The catalogue is empty.")


@carrier_commands.command("try")
def try_(
    code: Annotated[str, typer.Argument(help="Carrier code, such as dhl.")],
    number: Annotated[str, typer.Argument(help="The tracking number.")],
    postal_code: Annotated[str, typer.Option(help="Postal code of the recipient.")] = "",
    country: Annotated[str, typer.Option(help="Country of the recipient.")] = "",
    days_ago: Annotated[
        float, typer.Option(help="When it was announced; a simulated story begins then.")
    ] = 7,
    account: Annotated[
        str, typer.Option("--account", help="Whose login to use; the common one when left out.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask a carrier about one number now and keep nothing; exit code 1 when it can't tell."""
    chosen = load()
    # To stderr: what a command prints is the answer alone.
    observe.configure("carrier try", level=chosen.log_level)
    carrier = known_carrier(code)
    item = Item(
        key="try",
        number=number,
        postal_code=postal_code,
        destination_country=country.upper(),
        shipped_at=datetime.now(UTC) - timedelta(days=days_ago),
    )
    outcome = asyncio.run(ask_once(carrier, item, account, chosen))
    if as_json:
        print_json(outcome_document(outcome))
    else:
        show(outcome)
    if isinstance(outcome, Refused | Broken):
        raise typer.Exit(1)


async def ask_once(carrier: Carrier, item: Item, account: str, settings: Settings) -> Outcome:
    """One question, with the login the worker would take and slots of its quota."""
    connector = carrier.connector()
    if connector is None:
        raise ConfigurationError(f"Milepost can't ask {carrier.manifest.name} yet")
    async with AsyncExitStack() as stack:
        routes = await stack.enter_async_context(simulator(Catalogue.load()))
        credential, ledger = Credential(owner="operator"), None
        if account or not carrier.asked.manifest.simulated:
            session = await stack.enter_async_context(open_session(settings))
            pool = await stack.enter_async_context(
                await open_pool(session.dsn, "milepost_worker", session.settings, max_size=2)
            )
            credential = await _credential(session, pool, carrier, account)
            asked = carrier.asked.manifest
            budget = Budget(asked.code, credential.owner, asked.quota_for(credential))
            ledger = Ledger(pool, DatabaseClock(), budget)
            taken = await ledger.take(1)
            if not taken.granted:
                raise ConfigurationError(_not_now(carrier, taken.why, taken.wait.total_seconds()))
            routes = {**routes, **await host_routes(pool)}
        fetcher = Fetcher(
            total_seconds=settings.carrier_seconds,
            connect_seconds=settings.connect_seconds,
            max_bytes=settings.max_carrier_answer_bytes,
            routes=routes,
        )
        await stack.enter_async_context(fetcher)
        try:
            if ledger is None:
                return (await connector.ask([item], credential, fetcher))[item]
            async with Drifts(pool).watching(carrier.asked):
                line = Line(fetcher, ledger.slot)
                outcome = (await connector.ask([item], credential, line))[item]
        except NoSlot as late:
            raise ConfigurationError(_not_now(carrier, late.why, late.wait)) from late
        failed = isinstance(outcome, Broken) and outcome.lane_wide
        # It may have been the one question that a carrier left alone is asked.
        await weigh(pool, ledger, answered=not failed, failed=failed, why="carrier try")
        await LiveCarriers(pool).note(carrier.manifest.code, [outcome])
        return outcome


async def _credential(session: Session, pool: Pool, carrier: Carrier, account: str) -> Credential:
    account_id = 0  # nobody's: the common login
    if account:
        async with await open_pool(session.dsn, "milepost_admin", session.settings) as admins:
            account_id = (await find_account(admins, account)).account_id
    code = carrier.asked.manifest.code
    login = await CredentialStore(pool, session.secret_keys).get(account_id, code)
    if login is None and carrier.needs_credential:
        raise ConfigurationError(f"no login: milepost carrier credentials set {code}")
    return credential_of(carrier, login, account_id)


def _not_now(carrier: Carrier, why: str, seconds: float) -> str:
    name, wait = carrier.manifest.name, f"{seconds:.0f} s"
    match why:
        case "paused":
            return f"{name} is paused: milepost carrier resume {carrier.asked.manifest.code}"
        case "open":
            return f"{name} failed and is left alone for {wait}"
    return f"the quota at {name} allows the next question in {wait}"


@carrier_commands.command()
def pause(
    code: Annotated[str, typer.Argument(help="Carrier code, such as dhl.")],
    as_json: AsJson = False,
) -> None:
    """Have nobody ask a carrier, for any account, until it is resumed."""
    asked = Catalogue.load().asked_code(known_carrier(code).manifest.code)
    administer(lambda pool, _: pause_carrier(pool, asked))
    _show_state(asked, "paused", as_json)


@carrier_commands.command()
def resume(
    code: Annotated[str, typer.Argument(help="Carrier code, such as dhl.")],
    as_json: AsJson = False,
) -> None:
    """Let a paused carrier be asked again, starting with what waited."""
    catalogue = Catalogue.load()
    asked = catalogue.asked_code(known_carrier(code).manifest.code)
    lanes = catalogue.codes_asked_as(asked)
    administer(lambda pool, _: resume_carrier(pool, asked, lanes))
    _show_state(asked, "asked", as_json)


@carrier_commands.command()
def state(as_json: AsJson = False) -> None:
    """Show the carriers that are not asked now: paused, or left alone after faults."""
    rows = [plain(one) for one in administer(lambda pool, _: resting(pool))]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, "Every carrier is asked.")


def _show_state(code: str, now: str, as_json: bool) -> None:
    facts = {"carrier": code, "state": now}
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def facts_of(carrier: Carrier) -> dict[str, object]:
    """A carrier as it is listed."""
    manifest = carrier.manifest
    through = f"as {manifest.answered_by}" if manifest.answered_by else "yes"
    return {
        "code": manifest.code,
        "name": manifest.name,
        "quality": carrier.quality,
        "asked": through if carrier.can_be_asked else "not yet",
        "login": "needed" if carrier.needs_credential else "",
        "example": manifest.test_numbers[0] if manifest.test_numbers else "",
    }


def show(outcome: Outcome) -> None:
    """An outcome for people."""
    match outcome:
        case Found():
            facts = {
                "events": len(outcome.scans),
                "service": outcome.service,
                "expected": outcome.estimate.day if outcome.estimate else None,
                "signed by": outcome.signed_by,
                "related numbers": ", ".join(
                    f"{one.number} ({one.kind})" for one in outcome.related_numbers
                ),
                "to be fetched at": outcome.service_point.name,
                "held until": outcome.held_until,
            }
            print_facts({name: value for name, value in facts.items() if value})
            print_table([_row(scan) for scan in outcome.scans], "The carrier tells no events.")
        case Refused() | Broken():
            typer.echo(f"{type(outcome).__name__}: {outcome.why}")
        case _:
            typer.echo("Not found: not scanned yet, or unknown to the carrier.")


def _row(scan: Scan) -> dict[str, object]:
    reading = scan.reading
    said = (reading.phase.value, reading.exception.value, reading.sub_status.value)
    return {
        "time (UTC)": f"{scan.moment.instant:%Y-%m-%d %H:%M}",
        "read as": " ".join([said[0], *(word for word in said[1:] if word != "none")]),
        "code": scan.raw_code,
        "text": scan.raw_text,
        "place": " ".join(filter(None, (scan.place.city, scan.place.country_code))),
    }
