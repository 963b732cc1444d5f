"""A process that a test kills: it takes one push, or tells what was taken.

``python -m tests.intake.pushing_child WHAT DSN ACCOUNT PATH VALUE`` prints a status once a carrier
would have it. ``hasty`` is the planted fault: it says so before anything is stored.
"""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass

import tests.unhurried  # noqa: F401
from pydantic import SecretStr
from tests.api.asgi import call
from tests.intake.told import activity

from milepost.api import carrier_pushes
from milepost.api.app import Application
from milepost.api.authentication import Message
from milepost.intake.inbox import Inbox
from milepost.monitoring.drift import Drifts
from milepost.settings import Settings
from milepost.wiring import api_parts, core_parts

KEY = "0" * 64


@dataclass
class Lifespan:
    """Starts an application, and says when it runs."""

    running: asyncio.Event

    async def receive(self) -> Message:
        if self.running.is_set():
            await asyncio.sleep(3600)
        return {"type": "lifespan.startup"}

    async def send(self, message: Message) -> None:
        self.running.set()


async def take(settings: Settings, path: str, value: str) -> None:
    app, lifespan = Application(settings, api_parts), Lifespan(asyncio.Event())
    living = asyncio.ensure_future(app({"type": "lifespan"}, lifespan.receive, lifespan.send))
    await lifespan.running.wait()
    answer = await call(app, "POST", path, activity(), {"credential": value})
    print(answer.status, flush=True)
    living.cancel()


async def tell(settings: Settings, account: int) -> None:
    async with core_parts(settings, "milepost_worker") as core:
        await Inbox(core.pool, core.catalogue, core.teller, Drifts(core.pool)).work(account)


async def hasty(*_: object) -> bool:
    """Says that it has it, and dies before it does."""
    print(200, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return True


def main(what: str, dsn: str, account: str, path: str, value: str) -> None:
    settings = Settings(database_url=SecretStr(dsn), secret_key=SecretStr(KEY))
    if what == "tell":
        asyncio.run(tell(settings, int(account)))
        return
    if what == "hasty":
        vars(carrier_pushes)["keep"] = hasty
    asyncio.run(take(settings, path, value))


if __name__ == "__main__":
    main(*sys.argv[1:])
