"""A letter to the recipient of a parcel: what fan-out keeps of it, and what it will say. Pure.

It says what is known and who says so: the phase or the trouble in our words, when and where as the
carrier told it, and for what we worked out ourselves that nobody told us.
"""

import unicodedata
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from milepost.notifications.audience import Subject
from milepost.notifications.mail_address import mail_address
from milepost.tracking.descriptions import describe
from milepost.tracking.events import Precision
from milepost.tracking.journey import Entry
from milepost.tracking.vocabulary import EventType

LONGEST_TEXT = 100
_LONGEST_LINK = 2000


@dataclass(frozen=True, slots=True)
class Letter:
    """What there is to say, and to whom; empty where it is not known.

    ``happened_at`` is UTC; ``said_at`` that time as a reader takes it. ``by_carrier``: the carrier
    told it.
    """

    to: str
    name: str
    sentence: str
    happened_at: datetime
    said_at: str
    place: str
    by_carrier: bool
    carrier: str
    tracking_number: str
    tracking_url: str
    is_return: bool

    @classmethod
    def of(cls, body: bytes) -> "Letter":
        """As a message keeps it."""
        kept = orjson.loads(body)
        return cls(**{**kept, "happened_at": datetime.fromisoformat(kept["happened_at"])})

    def kept(self) -> bytes:
        """For the body of a message."""
        return orjson.dumps(asdict(self))


def letter_about(subject: Subject, entry: Entry) -> bytes | None:
    """The letter about what moved a parcel; None where there is no address to write to.

    A return's customer is its sender: what is addressed to the shop is not news for the shop.
    """
    parcel = subject.parcel
    document = parcel.document
    is_return = bool((document.get("details") or {}).get("is_return"))
    address: Any = document.get("from_address" if is_return else "to_address") or {}
    to = mail_address(address.get("email"))
    if to is None:
        return None
    by_carrier = entry.event.event_type is EventType.CARRIER
    return Letter(
        to=str(to),
        name=readable(address.get("name") or ""),
        sentence=describe(entry.shown),
        happened_at=entry.effective_at,
        said_at=_said(entry) if by_carrier else "",
        place=_place(entry) if by_carrier else "",
        by_carrier=by_carrier,
        carrier=readable(parcel.carrier_name or parcel.carrier_code),
        tracking_number=readable(parcel.tracking_number),
        tracking_url=_link(parcel.tracking_url),
        is_return=is_return,
    ).kept()


def readable(text: str, most: int = LONGEST_TEXT) -> str:
    """A stranger's text on one line: nothing that breaks a header, hides, or turns the writing."""
    shown = "".join(
        " " if one.isspace() else one
        for one in text[: most * 4]
        if one.isspace() or unicodedata.category(one)[0] != "C"
    )
    return " ".join(shown.split())[:most].rstrip()


def _said(entry: Entry) -> str:
    """The time on the clock it was told by; of a day that was told without a time, the day."""
    moment = entry.event.wording.moment
    at = entry.effective_at.astimezone(_clock(moment.zone))
    day = f"{at.day} {at:%B %Y}"
    if moment.precision is Precision.DAY:
        return day
    offset = f"{at:%z}"
    return f"{day}, {at:%H:%M} (UTC{'' if offset == '+0000' else f'{offset[:3]}:{offset[3:]}'})"


def _clock(zone: str) -> tzinfo:
    try:
        return ZoneInfo(zone)
    except (ValueError, ZoneInfoNotFoundError):
        return UTC


def _place(entry: Entry) -> str:
    place = entry.event.wording.place
    return readable(", ".join(part for part in (place.city, place.country_code) if part))


def _link(url: str) -> str:
    """A URL that can stand in a letter; "" for anything else."""
    safe = url.isprintable() and " " not in url and len(url) <= _LONGEST_LINK
    return url if safe and url.lower().startswith(("https://", "http://")) else ""
