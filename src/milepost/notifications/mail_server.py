"""The operator's mail server: where it is, and how it is spoken to."""

import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Literal
from urllib.parse import unquote, urlsplit

from milepost.errors import ConfigurationError
from milepost.notifications.letter import readable
from milepost.notifications.mail_address import mail_address
from milepost.settings import Settings

_ADDRESS = re.compile(r"https?://[!-~]+")
Tls = Literal["required", "when_offered", "never"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """As the operator set it. ``implicit_tls``: from the first byte, else STARTTLS by ``tls``."""

    host: str
    port: int
    implicit_tls: bool
    tls: Tls
    user: str
    password: str = field(repr=False)
    sender: Address

    @classmethod
    def of(cls, settings: Settings) -> "MailServer | None":
        """None where there is none. Raises ConfigurationError, which never tells the URL: it may
        hold a password."""
        if settings.smtp_url is None:
            return None
        if not _ADDRESS.fullmatch(settings.public_url):
            raise ConfigurationError(
                "with MILEPOST_SMTP_URL set, MILEPOST_PUBLIC_URL must say where recipients reach "
                "this installation: letters hold a link that ends them"
            )
        wrong = ConfigurationError(
            "MILEPOST_SMTP_URL is smtp://host, smtp://user:password@host:587 or smtps://..."
        )
        try:
            url = urlsplit(settings.smtp_url.get_secret_value().strip())
            port = url.port
        except ValueError as error:
            raise wrong from error
        implicit = url.scheme == "smtps"
        extra = url.path.strip("/") or url.query or url.fragment
        if url.scheme not in ("smtp", "smtps") or not url.hostname or extra:
            raise wrong
        return cls(
            host=url.hostname,
            port=port or (465 if implicit else 587),
            implicit_tls=implicit,
            tls=settings.smtp_tls,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            sender=_sender(settings.mail_from),
        )


def _sender(text: str) -> Address:
    """Who writes: an address, or ``Name <address>``."""
    name, given = parseaddr(text)
    address = mail_address(given)
    if address is None or address.needs_utf8:
        raise ConfigurationError(
            "with MILEPOST_SMTP_URL set, MILEPOST_MAIL_FROM must be an address that may send "
            "there: tracking@example.com or Parcels <tracking@example.com>"
        )
    return Address(readable(name), address.local, address.domain)
