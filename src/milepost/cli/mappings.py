"""``milepost mapping``: codes that no rule reads, and stored events read by other rules."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from milepost.accounts.keys import find_account, list_accounts
from milepost.cli.administer import AsJson, administer, print_json, print_table
from milepost.cli.carrier_logins import known_carrier
from milepost.cli.mapping_difference import show
from milepost.cli.parcels import printable
from milepost.cli.session import open_session
from milepost.db.pool import Pool, open_pool
from milepost.errors import ConfigurationError
from milepost.monitoring.plan import Planning
from milepost.parcels.record import WatchPlan
from milepost.parcels.remapping import Difference, Remapping, Scope
from milepost.parcels.stored import StoredParcel
from milepost.parcels.unmapped import accept_codes
from milepost.parcels.unmapped_inbox import Unmapped, UnmappedInbox
from milepost.settings import load
from milepost.tracking.journey import Journey
from milepost.wiring import CoreParts, core_parts

ACTOR = "cli"
mapping_commands = typer.Typer(no_args_is_help=True, help="What carriers' codes mean here.")

CarrierOption = Annotated[str, typer.Option("--carrier", help="Of this carrier; all if left out.")]
AccountOption = Annotated[
    str, typer.Option("--account", help="Name or id of the account; all when left out.")
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        help="Only parcels that changed since then (UTC).",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
    ),
]


def add_to(app: typer.Typer) -> None:
    """Make ``mapping`` a command of ``app``."""
    app.add_typer(mapping_commands, name="mapping")


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts, and the accounts a command is about."""

    core: CoreParts
    accounts: Sequence[int]

    def remapping(self, carrier: str) -> Remapping:
        """What reads once more, by today's rules."""
        core = self.core
        planning = Planning(core.settings, core.histories)

        def plan(journey: Journey, parcel: StoredParcel) -> WatchPlan | None:
            known = core.catalogue.get(parcel.carrier_code)
            if known is None or not known.can_be_asked:
                return None
            return planning.after_rereading(known.manifest, journey, parcel, datetime.now(UTC))

        codes = _codes(core, carrier)
        read = core.mappings.read if codes is None else core.mappings.only(frozenset(codes))
        return Remapping(core.pool, core.renderer, core.recorder, read, plan)

    def scope(self, carrier: str, since: datetime | None) -> Scope:
        """The parcels that are read."""
        return Scope(_codes(self.core, carrier), since.replace(tzinfo=UTC) if since else None)

    async def preview(self, carrier: str, since: datetime | None) -> Difference:
        """What today's rules change."""
        difference, remapping = Difference(), self.remapping(carrier)
        for account_id in self.accounts:
            await remapping.preview(account_id, self.scope(carrier, since), difference)
        return difference

    async def apply(self, carrier: str, since: datetime | None, *, tell: bool) -> Difference:
        """Change it; what was changed."""
        done, remapping = Difference(), self.remapping(carrier)
        scope = self.scope(carrier, since)
        for account_id in self.accounts:
            await remapping.apply(account_id, scope, done, ACTOR, tell=tell)
        return done


@mapping_commands.command()
def inbox(
    carrier: CarrierOption = "",
    account: Annotated[
        str, typer.Option("--account", help="Only this account's events, with examples of them.")
    ] = "",
    all_states: Annotated[
        bool, typer.Option("--all", help="Those that were dismissed or mapped as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the codes that no rule reads."""
    told = asyncio.run(_inbox(carrier, account))
    rows = [one for one in told if all_states or one.state == "open"]
    if as_json:
        print_json([asdict(one) for one in rows])
    else:
        print_table([_line(one) for one in rows], "Every code that came is read.")


@mapping_commands.command()
def dismiss(
    carrier: Annotated[str, typer.Argument(help="Carrier code, such as dhl.")],
    codes: Annotated[list[str], typer.Argument(help="Codes as the inbox shows them.")],
) -> None:
    """Take codes out of the inbox that mean nothing for a parcel."""
    asked = known_carrier(carrier).asked.manifest.code
    missing = administer(lambda pool, _: accept_codes(pool, [(asked, code) for code in codes]))
    if missing:
        raise ConfigurationError(f"not in the inbox of {asked}: {', '.join(missing)}")


@mapping_commands.command()
def preview(
    carrier: CarrierOption = "",
    account: AccountOption = "",
    since: SinceOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what today's rules would change in what is stored. Writes nothing, asks nobody."""
    show(_run(account, lambda desk: desk.preview(carrier, since)), as_json)


@mapping_commands.command()
def apply(
    carrier: CarrierOption = "",
    account: AccountOption = "",
    since: SinceOption = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell subscribers of parcels with another status now.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Don't show the difference, don't ask.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read what is stored by today's rules. Asks no carrier; run it again if it was stopped."""

    if as_json and not yes:
        raise ConfigurationError("--json needs --yes: what it prints is what was changed")

    async def work(desk: Desk) -> Difference:
        if not yes:
            difference = await desk.preview(carrier, since)
            show(difference, as_json=False)
            if not difference.changed:
                return difference
            typer.confirm(f"Change {difference.changed} parcels?", abort=True)
        return await desk.apply(carrier, since, tell=notify)

    show(_run(account, work), as_json)


async def _inbox(carrier: str, account: str) -> list[Unmapped]:
    async with _open_desk(account) as desk:
        codes = _codes(desk.core, carrier)
        box = UnmappedInbox(desk.core.pool, desk.core.mappings)
        if account:
            return await box.of_account(desk.accounts[0], codes)
        return await box.of_installation(codes)


def _run(account: str, work: Callable[[Desk], Awaitable[Difference]]) -> Difference:
    async def run() -> Difference:
        async with _open_desk(account) as desk:
            return await work(desk)

    return asyncio.run(run())


@asynccontextmanager
async def _open_desk(account: str) -> AsyncIterator[Desk]:
    settings = load()
    async with open_session(settings) as session:
        async with await open_pool(session.dsn, "milepost_admin", settings, max_size=2) as admin:
            accounts = await _accounts(admin, account)
        async with core_parts(session.settings, "milepost_worker") as core:
            yield Desk(core, accounts)


async def _accounts(admin: Pool, account: str) -> list[int]:
    if account:
        return [(await find_account(admin, account)).account_id]
    return [one.account_id for one in await list_accounts(admin)]


def _codes(core: CoreParts, carrier: str) -> tuple[str, ...] | None:
    """Every code the carrier answers for; None for all carriers."""
    if not carrier:
        return None
    known = core.catalogue.get(carrier)
    if known is None:
        raise ConfigurationError(f"no carrier has the code {carrier}")
    return core.catalogue.codes_asked_as(known.asked.manifest.code)


def _line(one: Unmapped) -> Mapping[str, object]:
    latest = one.examples[0] if one.examples else None
    return {
        "carrier": one.carrier_code,
        "code": printable(one.raw_code),
        "state": one.state,
        "events": one.events,
        "first seen": f"{one.first_seen_at:%Y-%m-%d}",
        "last seen": f"{one.last_seen_at:%Y-%m-%d}",
        "latest": f"parcel {latest.parcel_id}: {printable(latest.raw_text)}" if latest else "",
    }
