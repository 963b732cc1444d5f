"""Hands letters to the operator's mail server, one at a time.

One connection is kept for all letters of a process: opening one costs more than a letter. It is the
operator's own server, so it is not judged as what customers name is; its certificate is.
"""

import asyncio
import socket
import ssl
from email.headerregistry import Address
from time import monotonic

import aiosmtplib
from aiosmtplib import SMTP, SMTPResponseException

from milepost.notifications.handed import (
    Declined,
    Envelope,
    Handed,
    Misconfigured,
    NeedsUtf8,
    Resting,
    Stage,
    Taken,
    Trouble,
)
from milepost.notifications.mail_server import MailServer

EXCHANGE_SECONDS = 15.0
"""For all of it: look-up, connection, login and letter."""
REST_SECONDS = 5.0
"""How long nobody asks a server that just failed: each would wait in vain for its whole time."""
IDLE_SECONDS = 30.0
"""A connection that was idle for longer is opened anew: servers hang up on idle ones."""
LETTERS = 100
"""After so many letters too; many servers count them."""
_CLOSING = 421


class _Unusable(Exception):
    """What only the operator can change."""


class MailClient:
    """Hands letters over, one after the other, on one connection."""

    def __init__(
        self,
        server: MailServer,
        context: ssl.SSLContext | None = None,
        seconds: float = EXCHANGE_SECONDS,
        rest: float = REST_SECONDS,
    ) -> None:
        """``context`` verifies the certificate; without one the system's authorities do."""
        self._server = server
        self._context = context or ssl.create_default_context()
        self._seconds = seconds
        self._rest = rest
        self._turn = asyncio.Lock()
        self._open: SMTP | None = None
        self._handed = 0
        self._used_at = 0.0
        self._rests_until = 0.0
        self._began = False

    @property
    def sender(self) -> Address:
        """Who writes."""
        return self._server.sender

    async def __aenter__(self) -> "MailClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hang_up()

    async def hand_over(self, envelope: Envelope) -> Handed:
        """Give a letter to the server. Raises nothing that a server can cause.

        The time starts when it is this letter's turn. After trouble in the middle of a letter the
        server may have it or not: whoever tries again does so under the same Message-ID.
        """
        async with self._turn:
            wait = self._rests_until - monotonic()
            if wait > 0:
                return Resting(wait)
            whole = False
            try:
                async with asyncio.timeout(self._seconds):
                    handed = await self._exchange(envelope)
                whole = True
            except TimeoutError:
                handed = Trouble(f"no answer within {self._seconds:g} s")
            except _Unusable as fault:
                handed = Misconfigured(str(fault))
            except (aiosmtplib.SMTPException, OSError) as fault:
                handed = Trouble(_named(fault))
            finally:
                if not whole:
                    self._hang_up()
            if isinstance(handed, Trouble):
                self._rests_until = monotonic() + self._rest
            return handed

    async def _exchange(self, envelope: Envelope) -> Handed:
        client, is_new = await self._connection()
        if envelope.needs_utf8 and not client.supports_extension("smtputf8"):
            return NeedsUtf8()
        try:
            return await self._said(client, envelope)
        except aiosmtplib.SMTPServerDisconnected:
            # It hung up on us between two letters, unless it took this one's beginning.
            if is_new or self._began:
                raise
        self._hang_up()
        client, _ = await self._connection()
        return await self._said(client, envelope)

    async def _said(self, client: SMTP, envelope: Envelope) -> Handed:
        """1. from whom. 2. to whom. 3. the letter. What is declined ends it."""
        options = ["SMTPUTF8", "BODY=8BITMIME"] if envelope.needs_utf8 else []
        stage: Stage = "sender"
        self._began = False
        try:
            await client.mail(self._server.sender.addr_spec, options=options)
            stage, self._began = "recipient", True
            await client.rcpt(envelope.recipient, encoding="utf-8")
            stage = "content"
            taken = await client.data(envelope.content)
        except SMTPResponseException as fault:
            if fault.code == _CLOSING:
                stage = "connection"
            await self._ready_again(client, stage)
            return Declined(stage, fault.code, fault.message)
        self._handed += 1
        self._used_at = monotonic()
        return Taken(taken.code, taken.message)

    async def _ready_again(self, client: SMTP, stage: Stage) -> None:
        """What was begun is called off, or the connection given up."""
        self._used_at = monotonic()
        try:
            if stage == "connection":
                self._hang_up()
            else:
                await client.rset()
        except aiosmtplib.SMTPException:
            self._hang_up()

    async def _connection(self) -> tuple[SMTP, bool]:
        """The one that is open, or a new one, and whether it is new."""
        stale = monotonic() - self._used_at > IDLE_SECONDS or self._handed >= LETTERS
        if self._open is not None and self._open.is_connected and not stale:
            return self._open, False
        self._hang_up()
        client = SMTP(
            hostname=self._server.host,
            port=self._server.port,
            use_tls=self._server.implicit_tls,
            start_tls=False,
            tls_context=self._context,
            timeout=self._seconds,
            local_hostname=socket.gethostname(),
        )
        self._open, self._handed, self._used_at = client, 0, monotonic()
        await client.connect()
        await client.ehlo()
        if not self._server.implicit_tls:
            await self._secure(client)
        if self._server.user:
            await self._log_in(client)
        return client, True

    async def _secure(self, client: SMTP) -> None:
        if self._server.tls == "never":
            return
        if client.supports_extension("starttls"):
            await client.starttls()
            await client.ehlo()
        elif self._server.tls == "required" or self._server.user:
            # A password is told to nobody who might only listen.
            raise _Unusable("the mail server offers no STARTTLS (MILEPOST_SMTP_TLS)")

    async def _log_in(self, client: SMTP) -> None:
        try:
            await client.login(self._server.user, self._server.password)
        except aiosmtplib.SMTPServerDisconnected:
            raise
        except SMTPResponseException as fault:
            if fault.code < 500:
                raise
            raise _Unusable(f"the mail server refuses the login ({fault.code})") from fault
        except aiosmtplib.SMTPException as fault:
            raise _Unusable("the mail server takes no login") from fault

    def _hang_up(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None


def _named(fault: Exception) -> str:
    """What went wrong, without the words of the server, which may hold an address."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {getattr(cause, 'verify_message', '') or cause.reason}"
        cause = cause.__cause__
    if isinstance(fault, SMTPResponseException):
        return f"the mail server answered {fault.code}"
    if isinstance(fault, aiosmtplib.SMTPConnectError):
        return "no connection to the mail server"
    return f"the connection to the mail server broke ({type(fault).__name__})"
