"""``milepost webhook log`` and ``replay``: what was told, and telling it again."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from milepost.api.milepost_deliveries import attempt_document, delivery_document
from milepost.cli.administer import AccountOption, AsJson, print_facts, print_json, print_table
from milepost.cli.exports import moment_of
from milepost.cli.webhook_desk import ACTOR, LARGEST_ID, WHICH, Desk, run
from milepost.errors import ConfigurationError
from milepost.notifications import log, replay
from milepost.notifications.replay import FINISHED

OneConnection = Annotated[
    int | None, typer.Argument(metavar="ID", help=WHICH, min=1, max=LARGEST_ID)
]
OneDelivery = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        help="One delivery: the delivery_id that `milepost webhook log` shows.",
        min=1,
        max=LARGEST_ID,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only what was made then or later (ISO 8601)."),
]


class Over(StrEnum):
    """What of the finished ones is sent again."""

    DELIVERED = "delivered"
    FAILED = "failed"


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("log")(log_)
    app.command("replay")(replay_)


def log_(
    connection: OneConnection = None,
    delivery: OneDelivery = None,
    state: Annotated[
        str | None, typer.Option(help=f"Only those in this state: {', '.join(log.STATES)}.")
    ] = None,
    parcel: Annotated[
        int | None, typer.Option(metavar="ID", help="Only of this parcel.", min=1, max=LARGEST_ID)
    ] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Show what was told to a connection, the newest first, or one delivery with its attempts."""
    if (connection is None) == (delivery is None):
        raise ConfigurationError("say either which connection or which --delivery")
    if state is not None and state not in log.STATES:
        raise ConfigurationError(f"--state is one of {', '.join(log.STATES)}")
    wanted = log.Wanted(state, parcel, moment_of("--since", since), limit)

    async def one(desk: Desk, delivery_id: int) -> dict[str, Any]:
        found, body, attempts = await log.one(desk.parts.core.pool, desk.account_id, delivery_id)
        tries = [attempt_document(each) for each in attempts]
        return delivery_document(found) | {
            "request_body": body.decode(errors="replace"),
            "tries": tries,
        }

    async def every(desk: Desk, connection_id: int) -> list[dict[str, Any]]:
        page = await log.page(desk.parts.core.pool, desk.account_id, connection_id, wanted)
        return [delivery_document(each) for each in page.deliveries]

    if delivery is not None:
        shown = run(account, lambda desk: one(desk, delivery), f"delivery {delivery}")
        _print_delivery(shown, as_json)
        return
    assert connection is not None  # noqa: S101 one of both was given
    found = run(account, lambda desk: every(desk, connection), f"connection {connection}")
    if as_json:
        print_json(found)
    else:
        print_table([_delivery_row(each) for each in found], "Nothing was told.")


def replay_(
    connection: OneConnection = None,
    since: Since = None,
    state: Annotated[
        Over | None, typer.Option(help="Only those that were delivered, or have failed.")
    ] = None,
    delivery: OneDelivery = None,
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Send again, in order: a connection's deliveries since a time, or one --delivery."""
    start = moment_of("--since", since)
    of_connection = connection is not None and start is not None
    if of_connection == (delivery is not None):
        raise ConfigurationError("say either which connection and --since or which --delivery")
    states = FINISHED if state is None else (state.value,)

    async def work(desk: Desk) -> int:
        pool = desk.parts.core.pool
        if delivery is not None:
            await replay.replay(pool, desk.account_id, delivery, ACTOR)
            return 1
        assert connection is not None and start is not None  # noqa: S101, PT018 see above
        count, cursor = 0, ""
        while True:
            some = await replay.replay_since(
                pool, desk.account_id, connection, start, ACTOR, states, cursor
            )
            count, cursor = count + some.deliveries, some.next_cursor
            if not cursor:
                return count

    about = f"connection {connection}" if delivery is None else f"delivery {delivery}"
    count = run(account, work, about)
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
    headers = tries[0]["request_headers"] if tries else {}
    sent = "\n".join(f"{name}: {value}" for name, value in headers.items())
    print_facts({"connection_id": one["connection_id"]} | _delivery_row(one))
    if sent:
        typer.echo(f"\nThe last request:\n{sent}")
    typer.echo(f"\n{one['request_body']}\n")
    names = ("started_at", "attempt", "milliseconds", "outcome", "status", "error", "answer")
    print_table([{name: each[name] for name in names} for each in tries], "Nothing was sent yet.")
