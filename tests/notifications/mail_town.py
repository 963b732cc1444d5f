"""A mail server on loopback that answers as a test wants, and what goes to it."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr
from tests.notifications.town import Town, scan

from milepost.accounts.secret_keys import SecretKeys
from milepost.notifications.bodies import Bodies
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Form, Kind
from milepost.notifications.mail import Letters, Limits, Office
from milepost.notifications.mail_client import MailClient
from milepost.notifications.mail_server import MailServer
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms
from milepost.notifications.unsubscribing import Links
from milepost.settings import Settings

PUBLIC = "https://parcels.example"
OK = "250 OK"


@dataclass
class PostOffice:
    """A handler of aiosmtpd. ``says`` and ``to_content`` are its answers; ``drops`` counts down
    letters whose connection breaks when all of it was read."""

    says: Callable[[str], str] = lambda _: OK
    to_content: str = OK
    drops: int = 0
    port: int = 0
    connections: int = 0
    got: list[tuple[str, EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    password: bytes = b"right"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.says(address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw.append(content)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append((envelope.rcpt_tos[0], message))
        if self.drops:
            self.drops -= 1
            transport = server.transport
            assert transport is not None
            transport.close()
        return self.to_content

    def authenticate(self, *given: Any) -> AuthResult:
        login = given[-1]
        assert isinstance(login, LoginPassword)
        self.logins.append(login.password)
        return AuthResult(success=login.password == self.password, handled=False)


@asynccontextmanager
async def post_office(
    office: PostOffice, context: ssl.SSLContext | None = None, **more: Any
) -> AsyncIterator[PostOffice]:
    """The server, listening; ``context`` lets it offer STARTTLS."""

    def made() -> SMTP:
        office.connections += 1
        return SMTP(office, tls_context=context, hostname="mail.example", **more)

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    office.port = server.sockets[0].getsockname()[1]
    yield office
    server.close()


def settings_for(office: PostOffice, **more: Any) -> Settings:
    user = more.pop("user", "")
    given: dict[str, Any] = {
        "smtp_url": SecretStr(f"smtp://{user}127.0.0.1:{office.port}"),
        "smtp_tls": "never",
        "mail_from": "Parcels <tracking@shop.example>",
        "public_url": PUBLIC,
    }
    return Settings(**given | more)


@dataclass
class Post:
    """The worker's half: fans out and delivers letters of a town."""

    town: Town
    keys: SecretKeys
    client: MailClient
    settings: Settings
    terms: Terms

    async def fan_out(self) -> None:
        fan_out = FanOut(self.town.pool, self.town.fan_out._renderer, Bodies())
        while await fan_out.tell(self.town.account):
            pass

    async def go(self, rounds: int = 1, **more: Any) -> None:
        """Fan out, then work on lanes that are due, some times over."""
        await self.fan_out()
        office = Office(self.client, Links(self.keys, PUBLIC), Limits.of(self.settings))
        letters = Letters(self.town.pool, self.keys, office, **more)
        worker = Deliverer(self.town.pool, {Kind.EMAIL: letters}, self.terms)
        for _ in range(rounds):
            for lane in await worker.due(10):
                await worker.work(lane)

    async def states(self) -> list[tuple[str, int]]:
        return await self.town.rows(
            "SELECT state, attempts FROM delivery WHERE account_id = $1 ORDER BY delivery_id"
        )

    async def log(self) -> list[tuple[Any, ...]]:
        return await self.town.rows(
            "SELECT outcome, status, error FROM delivery_attempt WHERE account_id = $1"
            " ORDER BY delivery_id, attempt"
        )

    async def lane(self) -> tuple[str, int, bool]:
        (found,) = await self.town.rows(
            "SELECT state, failures, coalesce(rests_until > now(), false) FROM delivery_lane"
            " WHERE account_id = $1"
        )
        return found[0], found[1], found[2]


async def writing(town: Town, *phases: str, **settings: Any) -> int:
    """The account writes to its recipients."""
    chosen = {"sender_name": "Bakery Ada", "reply_to": "", "phases": list(phases) or ["delivered"]}
    return await town.connect("email", Form.EMAIL, url="", **chosen | settings)


def server_of(office: PostOffice, **more: Any) -> MailServer:
    made = MailServer.of(settings_for(office, **more))
    assert made is not None
    return made


Mailing = Callable[..., "Post"]
ADA = {"name": "Ada", "country_code": "NL", "email": "ada@recipient.example"}
SOON = Terms(event_pauses=(0.0,) * 5, patience=Rules(failures=1000), lease=timedelta(seconds=60))


async def delivered(town: Town, *, to: Any = ADA, **more: Any) -> int:
    """A parcel that has arrived."""
    parcel = await town.register(to_address=to, **more)
    await town.observe(parcel, scan(2, "delivered"))
    return parcel


def text_of(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text
