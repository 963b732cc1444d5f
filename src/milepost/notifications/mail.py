"""Letters to recipients: one attempt as one letter handed to the operator's mail server."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import assert_never

from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Pool, retrying
from milepost.notifications.audience import STALE
from milepost.notifications.handed import (
    Declined,
    Envelope,
    Handed,
    Misconfigured,
    NeedsUtf8,
    Resting,
    Taken,
    Trouble,
)
from milepost.notifications.held import Connected, Delivery, Send, Sent
from milepost.notifications.letter import Letter
from milepost.notifications.mail_address import MailAddress, mail_address
from milepost.notifications.mail_client import MailClient
from milepost.notifications.mail_server import MailServer
from milepost.notifications.rendering import Stationery, Written, write
from milepost.notifications.unsubscribing import Links, address_hashes
from milepost.notifications.verdict import Judged, Verdict
from milepost.settings import Settings

KEPT_OF_ANSWER = 500
NO_SERVER = "no mail server is set: MILEPOST_SMTP_URL"
_REFUSED, _OVER_DAILY = -1, -2


@dataclass(frozen=True, slots=True)
class Limits:
    """Letters at most; 0 is no limit."""

    of_recipient_daily: int
    of_account_hourly: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """As the operator set them."""
        return cls(settings.mail_recipient_daily, settings.mail_account_hourly)


@dataclass(frozen=True, slots=True)
class Office:
    """What letters go out with; there is none where the operator has set no mail server."""

    client: MailClient
    links: Links
    limits: Limits


@asynccontextmanager
async def office_of(settings: Settings, keys: SecretKeys) -> AsyncIterator[Office | None]:
    """What the operator's settings give; hangs up at the end. Raises ConfigurationError."""
    server = MailServer.of(settings)
    if server is None:
        yield None
        return
    async with MailClient(server) as client:
        yield Office(client, Links(keys, settings.public_url), Limits.of(settings))


class Letters:
    """Delivers to recipients."""

    def __init__(
        self,
        pool: Pool,
        keys: SecretKeys,
        office: Office | None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``pool`` acts as milepost_worker."""
        self._pool = pool
        self._keys = keys
        self._office = office
        self._clock = clock

    def to(self, connected: Connected) -> Send:
        """To the recipients of an account."""

        async def send(delivery: Delivery) -> Sent:
            now = self._clock()
            if self._office is None:
                return Sent(Judged(Verdict.FORBIDDEN, NO_SERVER), now)
            letter = Letter.of(delivery.body)
            to = mail_address(letter.to)
            if to is None:
                return Sent(Judged(Verdict.REJECTED, "the address is none"), now)
            withheld = await self._withheld(self._office, connected, delivery, letter, to)
            if withheld is not None:
                return Sent(withheld, now)
            return await self._send(self._office, connected, delivery, letter, to)

        return send

    async def _withheld(
        self,
        office: Office,
        connected: Connected,
        delivery: Delivery,
        letter: Letter,
        to: MailAddress,
    ) -> Judged | None:
        """Why it is not sent, or not now: it is old news, unwanted, or too much."""
        limits = office.limits
        if self._clock() - letter.happened_at > STALE:
            return Judged(Verdict.WITHHELD, "what it tells is older than 48 hours")
        account_id = connected.lane.account_id
        hashes = address_hashes(self._keys, account_id, to)
        # A letter is counted once, however often it is tried.
        admitted = await retrying(
            lambda: self._pool.fetchval(
                "SELECT admit_letter($1, $2, $3, $4, $5)",
                account_id,
                list(hashes),
                delivery.attempts > 0,
                limits.of_recipient_daily,
                limits.of_account_hourly,
            )
        )
        if admitted == _REFUSED:
            return Judged(Verdict.WITHHELD, "its recipient wants no e-mails")
        if admitted == _OVER_DAILY:
            return Judged(Verdict.WITHHELD, "its recipient has had enough e-mails today")
        if admitted > 0:
            why = f"{limits.of_account_hourly} e-mails were sent within this hour"
            return Judged(Verdict.PUT_OFF, why, admitted)
        return None

    async def _send(
        self,
        office: Office,
        connected: Connected,
        delivery: Delivery,
        letter: Letter,
        to: MailAddress,
    ) -> Sent:
        now = self._clock()
        lane = connected.lane
        sender = office.client.sender
        written: Written = write(
            letter,
            to,
            Stationery(
                sender,
                connected.settings.get("sender_name") or sender.display_name,
                mail_address(connected.settings.get("reply_to")),
            ),
            # The delivery's too: an event that is told anew, corrected, is another letter.
            f"<{lane.account_id}.{delivery.event_id}.{delivery.delivery_id}@{sender.domain}>",
            office.links.to(lane.account_id, to),
            now,
        )
        began = perf_counter()
        handed = await office.client.hand_over(Envelope(str(to), written.content, to.needs_utf8))
        milliseconds = round((perf_counter() - began) * 1000)
        if isinstance(handed, Taken | Declined):
            answer = f"{handed.code} {handed.text}".encode()[:KEPT_OF_ANSWER]
            return Sent(judge(handed), now, milliseconds, handed.code, written.shown, answer)
        return Sent(judge(handed), now, milliseconds, None, written.shown)


def judge(handed: Handed) -> Judged:
    """What it means for the letter, and for the mail server.

    A reason holds none of the server's words, which may hold the address: reasons outlive parcels.
    """
    match handed:
        case Taken():
            return Judged(Verdict.DELIVERED)
        case Declined("sender", code) if handed.for_good:
            return Judged(Verdict.FORBIDDEN, f"the mail server refuses the sender ({code})")
        case Declined("recipient" | "content" as stage, code):
            verdict = Verdict.REJECTED if handed.for_good else Verdict.REFUSED
            return Judged(verdict, f"the mail server answered {code} ({stage})", of_message=True)
        case Declined(stage, code):
            return Judged(Verdict.REFUSED, f"the mail server answered {code} ({stage})")
        case Trouble(reason):
            return Judged(Verdict.FAILED, reason)
        case Misconfigured(reason):
            return Judged(Verdict.FORBIDDEN, reason)
        case Resting(seconds):
            return Judged(Verdict.PUT_OFF, "the mail server failed a moment ago", seconds)
        case NeedsUtf8():
            why = "the mail server takes no international addresses (SMTPUTF8)"
            return Judged(Verdict.REJECTED, why)
        case _:
            assert_never(handed)
