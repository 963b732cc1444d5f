"""Where the next page of a list begins, as text that only fits the list it came from. Pure.

Not a secret and no permission: whoever makes one up reads their own account from elsewhere. The
checksum is there so that a cursor of another list, or half of one, is refused and not obeyed.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = struct.Struct(">qq")
_CHECKSUM_BYTES = 8


@dataclass(frozen=True, slots=True)
class Place:
    """The last parcel of a page: its value in the sorted column, and its id."""

    at: datetime
    parcel_id: int


def cursor_of(place: Place, bound_to: bytes) -> str:
    """The cursor behind ``place`` of the list that ``bound_to`` identifies."""
    return packed_cursor(
        _PLACE.pack((place.at - _EPOCH) // _MICROSECOND, place.parcel_id), bound_to
    )


def place_of_cursor(cursor: str, bound_to: bytes) -> Place | None:
    """The place behind a cursor, None where it is garbled or belongs to another list."""
    packed = unpacked_cursor(cursor, bound_to)
    if packed is None or len(packed) != _PLACE.size:
        return None
    microseconds, parcel_id = _PLACE.unpack(packed)
    return Place(_EPOCH + microseconds * _MICROSECOND, parcel_id)


def packed_cursor(place: bytes, bound_to: bytes) -> str:
    """A place of any list as text: letters, digits, ``-`` and ``_``."""
    return base64.urlsafe_b64encode(_checksum(place, bound_to) + place).decode().rstrip("=")


def unpacked_cursor(cursor: str, bound_to: bytes) -> bytes | None:
    """What ``packed_cursor`` was given, None where it is garbled or belongs to another list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    checksum, place = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    return place if checksum == _checksum(place, bound_to) else None


def _checksum(packed: bytes, bound_to: bytes) -> bytes:
    return hashlib.blake2b(packed + bound_to, digest_size=_CHECKSUM_BYTES).digest()
