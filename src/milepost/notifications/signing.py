"""How a receiver can tell that a delivery is ours: two published signatures. Pure.

Each connection has one key, a text that its owner sees once, and for a day after a rotation the
former one too. Both schemes use it:

- ``Sendcloud-Signature`` is the lower-case hex HMAC-SHA256 of the raw body under the text itself
  (its UTF-8 bytes), as Sendcloud's own is. It has room for one signature: that of the present key.
- ``webhook-signature`` is made as standardwebhooks.com says: base64 HMAC-SHA256 of id, seconds and
  body under the bytes behind ``whsec_``; one for each key that is in force.

A key that we make is ``whsec_`` and 32 random bytes in base64. A key that a merchant brings, an old
Sendcloud secret of 16 characters or more, stays as it is; a Standard Webhooks library is given
``library_key`` of it: ``whsec_`` and the base64 of its UTF-8 bytes.
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from milepost.errors import Conflict, InvalidInput

FORMER_KEY_HOLDS = timedelta(hours=24)
"""How long deliveries are signed with the former key too."""
MOST_FORMER_KEYS = 8
"""Former keys that may sign at a time: each of them makes a header longer."""
SHORTEST_KEY, LONGEST_KEY = 16, 256
"""Characters of a key that is brought; the lower bound is Sendcloud's."""

_PREFIX = "whsec_"
_MADE_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


@dataclass(frozen=True, slots=True)
class FormerKey:
    """A key that was replaced, and until when it signs too (UTC)."""

    text: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of a connection; ``former`` are those it had before, the last of them first."""

    current: str = field(repr=False)
    former: tuple[FormerKey, ...] = ()

    @property
    def former_until(self) -> datetime | None:
        """Until when any of the former keys signs."""
        return max((one.until for one in self.former), default=None)

    def in_force(self, now: datetime) -> tuple[str, ...]:
        """The keys that sign at ``now``, the present one first."""
        return self.current, *(one.text for one in self.former if now < one.until)

    def rotated(self, key: str, now: datetime) -> "SigningKeys":
        """With ``key`` in place of the present one, which counts for 24 hours more.

        So does each that was replaced before, until its own 24 hours are over: the one that
        receivers have need not be the last. The same key again changes nothing. Raises Conflict
        where ``MOST_FORMER_KEYS`` are in force.
        """
        if key == self.current:
            return self
        older = [one for one in self.former if now < one.until and one.text != key]
        if len(older) >= MOST_FORMER_KEYS:
            raise Conflict(
                f"{len(older)} former keys still sign, each for its 24 hours; another key can be"
                f" set from {min(one.until for one in older):%Y-%m-%d %H:%M:%S} UTC on"
            )
        return SigningKeys(key, (FormerKey(self.current, now + FORMER_KEY_HOLDS), *older))


def new_key() -> str:
    """A key that nobody can guess."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_MADE_BYTES)).decode()


def key_of(brought: str | None) -> str:
    """A key to sign with: the one that is brought, or a new one. Raises InvalidInput."""
    return new_key() if brought is None else brought_key(brought)


def brought_key(key: str) -> str:
    """A key as its owner brings it, if it can be one. Raises InvalidInput.

    What begins with ``whsec_`` must be what libraries take for a key: they would decode it, so it
    would never verify as a plain text.
    """
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise InvalidInput(
            f"A signing key has {SHORTEST_KEY} to {LONGEST_KEY} characters", _FIELD, "key_length"
        )
    if not key.isprintable() or key != key.strip():
        raise InvalidInput(
            "A signing key has no control characters and no blanks around it", _FIELD, "key_format"
        )
    if key.startswith(_PREFIX) and _decoded(key) is None:
        raise InvalidInput(
            f"Behind whsec_ stands the base64 of {_FEWEST_BYTES} to {_MOST_BYTES} bytes",
            _FIELD,
            "key_format",
        )
    return key


def library_key(key: str) -> str:
    """What a Standard Webhooks library is given to verify what ``key`` signs."""
    if _decoded(key) is not None:
        return key
    return _PREFIX + base64.b64encode(key.encode()).decode()


def signed_headers(
    keys: SigningKeys, message_id: str, body: bytes, now: datetime
) -> dict[str, str]:
    """The headers that sign one attempt, made at ``now``, to deliver ``body``.

    ``message_id`` stays the same for every attempt and replay; the time is that of the attempt.
    """
    seconds = int(now.timestamp())
    return {
        "Sendcloud-Signature": sendcloud_signature(keys.current, body),
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(
            standard_signature(key, message_id, seconds, body) for key in keys.in_force(now)
        ),
    }


def sendcloud_signature(key: str, body: bytes) -> str:
    """Sendcloud's signature of a body."""
    return hmac.digest(key.encode(), body, "sha256").hex()


def standard_signature(key: str, message_id: str, seconds: int, body: bytes) -> str:
    """Standard Webhooks' signature (version 1) of a message sent at ``seconds`` since 1970."""
    secret = _decoded(key)
    signed = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    digest = hmac.digest(key.encode() if secret is None else secret, signed, "sha256")
    return "v1," + base64.b64encode(digest).decode()


_FIELD = ("body", "key")


def _decoded(key: str) -> bytes | None:
    """The bytes of a key in the form of Standard Webhooks, None for a text of another form."""
    if not key.startswith(_PREFIX):
        return None
    encoded = key.removeprefix(_PREFIX).rstrip("=")
    try:
        # Libraries take it with and without its padding.
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if _FEWEST_BYTES <= len(secret) <= _MOST_BYTES else None
