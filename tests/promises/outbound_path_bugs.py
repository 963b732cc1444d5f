"""What the ways out of P14 must see: each way with one thing that goes past the guard."""

import contextlib
import socket
from typing import Any

import aiohttp
from tests.promises.outbound_bugs import AGAIN, NO_GUARD, REDIRECTS, Wrong
from yarl import URL

from milepost.egress import client as egress_client
from milepost.egress import policy
from milepost.egress.outcomes import Answered, Failed, Forbidden, Outcome
from milepost.egress.targets import Target
from milepost.notifications import configuration, mail_client, shop

_refusal = policy.Policy.refusal
_exchange = mail_client.MailClient._exchange


async def with_a_client_of_its_own(self: Any, url: str, body: bytes, *_: Any, **__: Any) -> Outcome:
    try:
        timeout = aiohttp.ClientTimeout(total=2)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=body, allow_redirects=False) as got,
        ):
            return Answered(got.status)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return Failed("connect", "no connection")


def any_target(text: str, policy: Any) -> Target | Forbidden:
    return Target(URL("http://shop.example/"), "shop.example", 80)


def refused_with_its_address(self: Any, host: str, port: int, address: Any) -> Forbidden | None:
    refused = _refusal(self, host, port, address)
    return refused and Forbidden(f"{refused.reason}: {address}", str(address))


def refused_without_the_setting(self: Any, host: str, port: int, address: Any) -> Forbidden | None:
    refused = _refusal(self, host, port, address)
    return refused and Forbidden(refused.reason.replace(policy.ALLOW, "a setting"))


async def to_the_recipients_server(self: Any, envelope: Any) -> Any:
    with contextlib.suppress(OSError):
        socket.create_connection((envelope.recipient.rpartition("@")[2].strip("[]"), 25), 0.2)
    return await _exchange(self, envelope)


LETTERS = "letters to the recipient's server"
BUGS: Wrong = {
    LETTERS: [(mail_client.MailClient, "_exchange", to_the_recipients_server)],
    "a client of its own": [(egress_client.GuardedClient, "send", with_a_client_of_its_own)],
    "looks up again": [AGAIN, NO_GUARD],
    "follows redirects": [REDIRECTS, NO_GUARD],
    "doors that take anything": [
        (configuration, "target_of", any_target),
        (shop, "target_of", any_target),
    ],
    "refusals that tell the address": [(policy.Policy, "refusal", refused_with_its_address)],
    "refusals that name no setting": [(policy.Policy, "refusal", refused_without_the_setting)],
}
