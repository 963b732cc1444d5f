"""A letter as bytes for a mail server: English, plain text and HTML, nothing is fetched."""

import html
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from string import Template

from milepost.notifications.letter import Letter
from milepost.notifications.mail_address import MailAddress

_PAGE = Template(Path(__file__).with_name("letter.html").read_text())
_ROW = Template(
    '<tr><td style="padding:4px 16px 4px 0;color:#5b6472;white-space:nowrap">$name</td>'
    '<td style="padding:4px 0"><bdi>$value</bdi></td></tr>'
)
_BUTTON = Template(
    '<p style="margin:24px 0 0"><a href="$url" style="display:inline-block;padding:12px 20px;'
    'border-radius:6px;background:#1f4fd8;color:#ffffff;font-weight:600;text-decoration:none">'
    "Follow your $thing</a></p>"
)


@dataclass(frozen=True, slots=True)
class Stationery:
    """What is the same in all letters of an account. ``reply_to`` may be None."""

    sender: Address
    shop: str
    reply_to: MailAddress | None


@dataclass(frozen=True, slots=True)
class Written:
    """A letter ready to be sent; ``shown`` are its headers that name nobody."""

    content: bytes
    shown: dict[str, str]


def write(
    letter: Letter,
    to: MailAddress,
    stationery: Stationery,
    message_id: str,
    unsubscribe: str,
    now: datetime,
) -> Written:
    """The letter as it goes out. ``unsubscribe`` is the link that ends all further ones.

    ``message_id`` is the same whenever it is sent again, so that a reader sees it once.
    """
    message = EmailMessage(policy=SMTPUTF8 if to.needs_utf8 else SMTP)
    shop = _in_header(stationery.shop)
    subject = f"{shop}: {letter.sentence}"
    message["From"] = Address(shop, stationery.sender.username, stationery.sender.domain)
    message["To"] = Address("", to.local, to.domain)
    if stationery.reply_to is not None:
        message["Reply-To"] = Address("", stationery.reply_to.local, stationery.reply_to.domain)
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(letter, stationery.shop, unsubscribe), cte="quoted-printable")
    message.add_alternative(
        _html(letter, stationery.shop, unsubscribe), subtype="html", cte="quoted-printable"
    )
    # By hand, for the library folds a long word without blanks into one that nobody can read.
    own = {"Message-ID": message_id, "List-Unsubscribe": f"<{unsubscribe}>"}
    if unsubscribe.startswith("https:"):
        # RFC 8058 knows no other.
        own["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    ahead = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    return Written(
        ahead.encode("ascii") + message.as_bytes(),
        {"Message-ID": message_id, "Subject": subject},
    )


def _in_header(text: str) -> str:
    """Without what readers decode (RFC 2047): the library would, too, and write what comes out."""
    return text.replace("=?", "= ?")


def _thing(letter: Letter) -> str:
    return "return parcel" if letter.is_return else "parcel"


def _facts(letter: Letter) -> list[tuple[str, str]]:
    told = (
        ("When", letter.said_at),
        ("Where", letter.place),
        ("Carrier", letter.carrier),
        ("Tracking number", letter.tracking_number),
    )
    return [(name, value) for name, value in told if value]


def _whose_word(letter: Letter) -> str:
    """Who says so: a carrier's word and our arithmetic are not the same."""
    if letter.by_carrier:
        return f"This is what {letter.carrier} has told us."
    return f"This is not a message of {letter.carrier}: it follows from what we know so far."


def _reason(shop: str) -> str:
    return f"You get this e-mail because {shop} tells you how your parcel is doing."


def _text(letter: Letter, shop: str, unsubscribe: str) -> str:
    greeting = f"Hello {letter.name}," if letter.name else "Hello,"
    lines = [greeting, "", f"There is news of your {_thing(letter)} ({shop}):", ""]
    lines += [f"    {letter.sentence}", ""]
    lines += [f"{name}: {value}" for name, value in _facts(letter)]
    lines += ["", _whose_word(letter)]
    if letter.tracking_url:
        lines += ["", f"Follow your {_thing(letter)}:", letter.tracking_url]
    # "-- " and what is below it is a signature to mail programs.
    lines += ["", "-- ", _reason(shop), "No more e-mails about your parcels:", unsubscribe, ""]
    return "\n".join(lines)


def _html(letter: Letter, shop: str, unsubscribe: str) -> str:
    told = {
        "shop": shop,
        "greeting": f"Hello {letter.name}," if letter.name else "Hello,",
        "thing": _thing(letter),
        "sentence": letter.sentence,
        "whose_word": _whose_word(letter),
        "reason": _reason(shop),
        "unsubscribe": unsubscribe,
    }
    button = ""
    if letter.tracking_url:
        button = _filled(_BUTTON, url=letter.tracking_url, thing=_thing(letter))
    rows = "".join(_filled(_ROW, name=name, value=value) for name, value in _facts(letter))
    escaped = {name: html.escape(value) for name, value in told.items()}
    return _PAGE.substitute(escaped, rows=rows, button=button)


def _filled(template: Template, **values: str) -> str:
    """Each value escaped."""
    return template.substitute({name: html.escape(value) for name, value in values.items()})
