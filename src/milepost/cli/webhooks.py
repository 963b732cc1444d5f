"""``milepost webhook``: who is told, what was told, and telling it again."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from milepost.api.milepost_deliveries import health_document
from milepost.api.v3_event_subscription_models import SubscriptionGiven, read
from milepost.api.v3_event_subscriptions import trial_document
from milepost.cli import webhook_keys, webhook_log
from milepost.cli.administer import AccountOption, AsJson, print_facts, print_json, print_table
from milepost.cli.webhook_desk import ACTOR, ConnectionId, Desk, run
from milepost.cli.webhook_keys import KEEP_IT, OwnKey, key_facts, key_from_terminal
from milepost.db.pool import Connection
from milepost.errors import ConfigurationError
from milepost.notifications import health, subscriptions
from milepost.notifications.configuration import Change
from milepost.notifications.forms import Form, Kind
from milepost.notifications.shop import Wanted as Shop
from milepost.notifications.signing_keys import ShownKey, made_key
from milepost.notifications.trial import Result
from milepost.wire.v3_event import CREATED

ON_A_PAGE = 100
webhook_commands = typer.Typer(no_args_is_help=True, help="Subscribers, and what they were told.")


class Payload(StrEnum):
    """How events are said to a webhook."""

    EVENT = Form.EVENT.value
    CLASSIC = Form.CLASSIC.value
    CLOUD_EVENT = Form.CLOUD_EVENT.value


def add_to(app: typer.Typer) -> None:
    """Make ``webhook`` a command of ``app``."""
    webhook_log.add_to(webhook_commands)
    webhook_keys.add_to(webhook_commands)
    app.add_typer(webhook_commands, name="webhook")


@webhook_commands.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to send.")],
    classic: Annotated[
        bool,
        typer.Option(
            "--classic", help="Make an integration, which is told by Sendcloud's classic webhooks."
        ),
    ] = False,
    name: Annotated[str, typer.Option(help="With --classic: the shop's name.")] = "",
    form: Annotated[Payload, typer.Option(help="The form of the body.")] = Payload.EVENT,
    phase: Annotated[
        list[str] | None, typer.Option(help="Only events of this phase; may be repeated.")
    ] = None,
    exception: Annotated[
        list[str] | None, typer.Option(help="Only events of this exception; may be repeated.")
    ] = None,
    carrier: Annotated[
        list[str] | None, typer.Option(help="Only events of this carrier; may be repeated.")
    ] = None,
    status_changes: Annotated[
        bool, typer.Option("--status-changes", help="Only events that change a parcel's status.")
    ] = False,
    own_key: OwnKey = False,
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Send events to an address from now on. The key that signs is shown only now."""
    filters = {
        "phases": phase or [],
        "exceptions": exception or [],
        "carriers": carrier or [],
        "status_changes": status_changes,
    }
    if classic and any([form is not Payload.EVENT, *filters.values()]):
        raise ConfigurationError("--classic has one form and no filters")
    key = key_from_terminal() if own_key else None

    async def work(desk: Desk) -> dict[str, Any]:
        if classic:
            return await _add_integration(desk, url, name or url, key)
        return await _add_connection(desk, Change(url=url, form=Form(form)), filters, key)

    facts = run(account, work)
    if as_json:
        print_json(facts)
        return
    print_facts(facts)
    typer.echo(KEEP_IT)


@webhook_commands.command("list")
def list_(account: AccountOption = "", as_json: AsJson = False) -> None:
    """List connections of every kind, and how each does."""

    async def work(desk: Desk) -> list[dict[str, Any]]:
        pool, cursor, found = desk.parts.core.pool, "", []
        while True:
            shown, cursor = await health.page_of_health(pool, desk.account_id, ON_A_PAGE, cursor)
            found += [health_document(one, datetime.now(UTC)) for one in shown]
            if not cursor:
                return found

    found = run(account, work)
    if as_json:
        print_json(found)
    else:
        print_table([_health_row(one) for one in found], "Nobody is told anything.")


@webhook_commands.command("test")
def try_(connection: ConnectionId, account: AccountOption = "", as_json: AsJson = False) -> None:
    """Send an example at once; exit code 1 where it does not arrive."""

    async def work(desk: Desk) -> Result:
        trials = desk.parts.trials
        known = await health.health_of(desk.parts.core.pool, desk.account_id, connection)
        if known.kind == Kind.INTEGRATION:
            return await trials.send_to_integration(desk.account_id, connection, ACTOR)
        every = await desk.write(
            lambda conn: subscriptions.listed(conn, desk.account_id, None, None)
        )
        for one in every:
            if one.connection_id == connection:
                return await trials.send(desk.account_id, one.subscription_id, ACTOR)
        raise ConfigurationError(
            f"connection {connection} has no subscription, so nothing is sent there"
        )

    result = run(account, work, f"connection {connection}")
    if as_json:
        print_json(trial_document(result))
    else:
        arrived = "arrived" if result.success else "did not arrive"
        print_facts({"result": arrived, "status": result.status or None, "answer": result.text})
    if not result.success:
        raise typer.Exit(1)


@webhook_commands.command()
def pause(connection: ConnectionId, account: AccountOption = "", as_json: AsJson = False) -> None:
    """Send nothing there until it is resumed; what happens meanwhile is kept for it."""
    _steer(account, connection, health.pause, as_json)


@webhook_commands.command()
def resume(connection: ConnectionId, account: AccountOption = "", as_json: AsJson = False) -> None:
    """Send there again, whatever stopped it: all that waits, the oldest first."""
    _steer(account, connection, health.resume, as_json)


async def _add_connection(
    desk: Desk, wanted: Change, filters: dict[str, Any], brought: str | None
) -> dict[str, Any]:
    catalogue = desk.parts.core.catalogue
    given = {"connection_id": 1, "event_type": CREATED, "filters": filters}
    asked = read(SubscriptionGiven, given).wanted()

    async def make(conn: Connection) -> dict[str, Any]:
        made = await desk.parts.connections.create(
            conn, desk.account_id, Kind.WEBHOOK, wanted, ACTOR, brought
        )
        subscribed = await subscriptions.create(
            conn,
            desk.account_id,
            subscriptions.Wanted(made.connection_id, asked.event_type, True, asked.filters),
            lambda code: catalogue.get(code) is not None,
            ACTOR,
        )
        key = await made_key(conn, desk.parts.core.secret_keys, desk.account_id, made.connection_id)
        ids = {"subscription_id": subscribed.subscription_id}
        return _facts(made.connection_id, made.url, key) | ids

    return await desk.write(make)


async def _add_integration(desk: Desk, url: str, name: str, brought: str | None) -> dict[str, Any]:
    wanted = Shop(shop_name=name, webhook_url=url, webhook_active=True)

    async def make(conn: Connection) -> dict[str, Any]:
        kept, key = await desk.parts.integrations.create(
            conn, desk.account_id, wanted, brought, ACTOR
        )
        return _facts(kept.integration_id, url, key)

    return await desk.write(make)


def _facts(connection_id: int, url: str, key: ShownKey) -> dict[str, Any]:
    return {"connection_id": connection_id, "url": url} | key_facts(key)


def _steer(
    account: str, connection: int, steer: Callable[..., Awaitable[None]], as_json: bool
) -> None:
    async def work(desk: Desk) -> dict[str, Any]:
        pool = desk.parts.core.pool
        await steer(pool, desk.account_id, connection, ACTOR)
        found = await health.health_of(pool, desk.account_id, connection)
        return health_document(found, datetime.now(UTC))

    found = run(account, work, f"connection {connection}")
    if as_json:
        print_json(found)
    else:
        print_facts(_health_row(found))


def _health_row(one: Mapping[str, Any]) -> dict[str, object]:
    names = ("connection_id", "kind", "payload_form", "url", "state", "reason")
    rate = one["recent"]["success_rate"]
    return {name: one[name] for name in names} | {
        "failing_since": one["failing_since"],
        "pending": f"{one['pending']['deliveries']}{'+' if one['pending']['is_cut'] else ''}",
        "oldest": one["pending"]["oldest_at"],
        "next": one["next_attempt_at"],
        "arrived": None if rate is None else f"{rate:.0%}",
    }
