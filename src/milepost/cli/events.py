"""``milepost events``: what happened to an account's parcels, an item a line."""

import asyncio
import sys
from typing import Annotated

import typer

from milepost.cli.parcels import Account, open_desk
from milepost.errors import ConfigurationError
from milepost.notifications.feed import MOST, OLDEST, Feed, Forgotten, NoPlaceInFeed

WAIT_SECONDS = 30


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("events")(events)


def events(
    after: Annotated[
        str, typer.Option(help="A cursor: what comes behind it; latest: from now on.")
    ] = OLDEST,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    account: Account = "",
    as_json: Annotated[bool, typer.Option("--json", help="It is JSON anyway.")] = False,
) -> None:
    """Print the event feed, as the API tells it."""
    try:
        asyncio.run(_print(account, after, follow))
    except Forgotten as gone:
        why = f"what came next is kept no longer; what is kept is behind --after {gone.oldest}"
        raise ConfigurationError(why) from gone
    except NoPlaceInFeed as wrong:
        raise ConfigurationError(f"not a place in this account's feed: {wrong}") from wrong
    except KeyboardInterrupt:
        return


async def _print(account: str, after: str, follow: bool) -> None:
    async with open_desk(account) as desk:
        feed = Feed(desk.core.pool)
        while True:
            page = await feed.read(desk.account_id, after, MOST)
            for one in page.items:
                sys.stdout.write(f"{one.document.decode()}\n")
            sys.stdout.flush()
            after = page.cursor
            if page.more:
                continue
            if not follow:
                return
            with feed.watch.beyond(desk.account_id, page.seq) as news:
                await asyncio.wait({news}, timeout=WAIT_SECONDS)
