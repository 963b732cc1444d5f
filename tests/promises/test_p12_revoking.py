"""P12 over HTTP: a revoked key and its tokens are out within a second, in every process.

How wrong credentials are told and timed, what a dump holds and the planted bugs (a gatekeeper that
believes too long, plain secrets) are in tests/accounts.
"""

import asyncio
import base64
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from bench.ports import free_port
from tests.chaos.installation import Installation, installation
from tests.live_server import Client, wait_until_ready
from tests.promises.figures import keep

from milepost.accounts.keys import revoke_key
from milepost.db.pool import open_pool

PATH = "/api/v3/parcels/statuses"
ALLOWED_SECONDS = 1.0
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.timeout(240)]


def token_of(client: Client) -> str:
    form = urlencode({"grant_type": "client_credentials"}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.ask("POST", "/oauth2/token", form, headers)
    assert answer.status == 200, answer.body
    return str(answer.document["access_token"])


@dataclass
class Asker:
    """``last`` is when it last asked and was let in. When the answer came is up to the machine."""

    port: int
    authorization: str
    last: float = 0.0

    def ask(self, stop: threading.Event) -> None:
        """On and on until ``stop``."""
        while not stop.is_set():
            asked = time.monotonic()
            answer = Client(self.port).get(PATH, {"Authorization": self.authorization})
            assert answer.status in (200, 401), answer.body
            if answer.status == 200:
                self.last = asked
            time.sleep(0.01)


async def test_revoked_is_out_in_every_process() -> None:
    with installation() as house:
        await house.prepare(1, free_port())
        await asyncio.to_thread(house.start)
        other = free_port()
        wait_until_ready(house.spawn("api", other), other, house.log)
        ports, key = (house.port, other), house.keys[0]
        assert_same_words(house, key.public_key)
        token = await asyncio.to_thread(token_of, Client(house.port, key.user))
        basic = "Basic " + base64.b64encode(key.user.encode()).decode()
        stop = threading.Event()
        askers = [Asker(port, each) for port in ports for each in (basic, f"Bearer {token}")]
        asking = [asyncio.create_task(asyncio.to_thread(one.ask, stop)) for one in askers]
        try:
            async with asyncio.timeout(60):
                while not all(one.last for one in askers):
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            async with await open_pool(house.dsn, "milepost_admin", house.settings) as pool:
                await revoke_key(pool, key.public_key)
            revoked = time.monotonic()
            await asyncio.sleep(2 * ALLOWED_SECONDS)
        finally:
            stop.set()
        await asyncio.gather(*asking)
        lasted = [one.last - revoked for one in askers]
        keep("P12 revoking", seconds=[round(each, 2) for each in lasted], processes=len(ports))
        assert all(each < ALLOWED_SECONDS for each in lasted), lasted


def assert_same_words(house: Installation, public_key: str) -> None:
    """An unknown key and a wrong secret get the same bytes."""
    unknown = public_key[:-1] + ("a" if public_key[-1] != "a" else "b")
    answers = [
        Client(house.port, user).get(PATH) for user in (f"{unknown}:wrong", f"{public_key}:wrong")
    ]
    told = [
        (
            answer.status,
            answer.body,
            sorted(set(answer.headers.items()) - _of_the_moment(answer.headers)),
        )
        for answer in answers
    ]
    assert told[0] == told[1]
    assert told[0][0] == 401


def _of_the_moment(headers: "dict[str, str] | object") -> set[tuple[str, str]]:
    assert isinstance(headers, dict)
    return {(name, headers[name]) for name in ("date", "x-request-id") if name in headers}
