"""Reading an Authorization header, strictly: what is odd is wrong, and nothing is guessed. Pure."""

import base64
import binascii
from dataclasses import dataclass, field

from milepost.errors import NotAuthenticated

NOT_PROVIDED = "Authentication credentials were not provided."
WRONG_CREDENTIALS = "Invalid username/password."
LONGEST_HEADER = 2048


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """A public key and its secret."""

    public_key: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerCredentials:
    """An access token."""

    token: str = field(repr=False)


def read_authorization(header: bytes | None) -> BasicCredentials | BearerCredentials:
    """What the header presents. NotAuthenticated when it is absent, odd or of another scheme."""
    if not header or not header.strip():
        raise NotAuthenticated(NOT_PROVIDED)
    scheme, _, value = header.strip().partition(b" ")
    if len(header) > LONGEST_HEADER or not _is_plain(value):
        raise NotAuthenticated(WRONG_CREDENTIALS)
    match scheme.lower():
        case b"basic":
            return _basic(value.strip())
        case b"bearer":
            return BearerCredentials(value.strip().decode("ascii"))
        case _:
            raise NotAuthenticated(NOT_PROVIDED)


def is_plain(text: str) -> bool:
    """Whether every character is printable ASCII; ours are, and PostgreSQL refuses NUL."""
    return text.isascii() and text.isprintable()


def _is_plain(value: bytes) -> bool:
    return value.isascii() and value.decode("ascii").isprintable()


def _basic(value: bytes) -> BasicCredentials:
    try:
        public_key, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise NotAuthenticated(WRONG_CREDENTIALS) from error
    if not colon or not is_plain(public_key) or not is_plain(secret):
        raise NotAuthenticated(WRONG_CREDENTIALS)
    return BasicCredentials(public_key, secret)
