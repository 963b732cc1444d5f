"""``milepost webhook log`` and ``replay``: what was told, and telling it again."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from milepost.api.milepost_deliveries import attempt_document, delivery_document
from milepost.cli.administer import AccountOption, AsJson, print_facts, print_json, print_table
from milepost.cli.exports import moment_of
from milepost.cli.webhook_desk import ACTOR, Desk, run
from milepost.errors import ConfigurationError
from milepost.notifications import log, replay
from milepost.notifications.replay import FINISHED

DeliveryId = Annotated[int, typer.Option(help="One delivery, as log gives it.", min=0)]


class Over(StrEnum):
    """What of the finished ones is sent again."""

    DELIVERED = "delivered"
    FAILED = "failed"


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("log")(log_)
    app.command("replay")(replay_)


def log_(
    connection: Annotated[int, typer.Argument(help="As list gives it.", min=0)] = 0,
    delivery: DeliveryId = 0,
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(log.STATES)}.")] = None,
    parcel: Annotated[int | None, typer.Option(help="Only of this parcel id.", min=1)] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601: made then or later.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 50,
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Show what was told to a connection, the newest first, or one delivery with its attempts."""
    if (connection > 0) == (delivery > 0):
        raise ConfigurationError("say which connection, or --delivery")
    if state is not None and state not in log.STATES:
        raise ConfigurationError(f"--state is one of {', '.join(log.STATES)}")
    wanted = log.Wanted(state, parcel, moment_of("--since", since), limit)

    async def one(desk: Desk) -> dict[str, Any]:
        found, body, attempts = await log.one(desk.parts.core.pool, desk.account_id, delivery)
        tries = [attempt_document(each) for each in attempts]
        return delivery_document(found) | {
            "request_body": body.decode(errors="replace"),
            "tries": tries,
        }

    async def every(desk: Desk) -> list[dict[str, Any]]:
        page = await log.page(desk.parts.core.pool, desk.account_id, connection, wanted)
        return [delivery_document(each) for each in page.deliveries]

    if delivery:
        _print_delivery(run(account, one), as_json)
        return
    found = run(account, every)
    if as_json:
        print_json(found)
    else:
        print_table([_delivery_row(each) for each in found], "Nothing was told.")


def replay_(
    connection: Annotated[int, typer.Argument(help="As list gives it.", min=0)] = 0,
    since: Annotated[str | None, typer.Option(help="ISO 8601: made then or later.")] = None,
    state: Annotated[Over | None, typer.Option(help="Only those; both when left out.")] = None,
    delivery: DeliveryId = 0,
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Send again, in order: a connection's deliveries since a time, or one --delivery."""
    start = moment_of("--since", since)
    if (start is not None and connection > 0) == (delivery > 0):
        raise ConfigurationError("say which connection and --since, or --delivery")
    states = FINISHED if state is None else (state.value,)

    async def work(desk: Desk) -> int:
        pool = desk.parts.core.pool
        if delivery or start is None:
            await replay.replay(pool, desk.account_id, delivery, ACTOR)
            return 1
        count, cursor = 0, ""
        while True:
            some = await replay.replay_since(
                pool, desk.account_id, connection, start, ACTOR, states, cursor
            )
            count, cursor = count + some.deliveries, some.next_cursor
            if not cursor:
                return count

    count = run(account, work)
    if as_json:
        print_json({"replayed": count})
    else:
        typer.echo(f"{count} on their way again")


def _delivery_row(one: Mapping[str, Any]) -> dict[str, object]:
    last = one["last_try"] or {}
    names = ("delivery_id", "created_at", "parcel_id", "event_id", "action", "state", "attempts")
    return {name: one[name] for name in names} | {
        "status": last.get("status"),
        "error": last.get("error"),
        "next": one["next_attempt_at"],
    }


def _print_delivery(one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    tries: Sequence[Mapping[str, Any]] = one["tries"]
    print_facts(_delivery_row(one) | {"body": one["request_body"]})
    names = ("started_at", "attempt", "milliseconds", "outcome", "status", "error", "answer")
    print_table([{name: each[name] for name in names} for each in tries], "Nothing was sent yet.")
