"""Random secrets and the ids that name their account in clear.

``mp_<account>_<random>`` is a public key, ``mpt_<account>_<random>`` an access token and
``mpp_<account>_<random>`` the secret part of an address that a carrier pushes to: the account
is known before anything is looked up, so a look-up asks one account's rows and no others. Secrets
end in a checksum, which lets secret scanners tell a real one from a look-alike.
"""

import secrets
import zlib

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_MOST_DIGITS = 13
_LARGEST_ACCOUNT = 2**63 - 1
NO_ACCOUNT = 0
"""An account id that no account has: what a reference that names none is looked up under."""


def new_public_key(account_id: int) -> str:
    """A key id: not secret, 80 random bits so that it can't be guessed either."""
    return f"mp_{account_digits(account_id)}_{_random_digits(16)}"


def new_secret() -> str:
    """An API secret of 256 random bits and a checksum; shown once, stored as a keyed hash."""
    body = "mps_" + secrets.token_hex(32)
    return body + _checksum(body)


def new_token(account_id: int) -> str:
    """An opaque access token of 256 random bits."""
    body = f"mpt_{account_digits(account_id)}_{secrets.token_hex(32)}"
    return body + _checksum(body)


def new_push_secret(account_id: int) -> str:
    """The secret part of an address that a carrier pushes to; 256 random bits."""
    body = f"mpp_{account_digits(account_id)}_{secrets.token_hex(32)}"
    return body + _checksum(body)


def is_whole(reference: str) -> bool:
    """Whether a reference that ends in a checksum is as it was given out: no look-up tells more
    about one that is mistyped or made up."""
    return reference[-8:] == _checksum(reference[:-8])


def account_of(reference: str, prefix: str) -> int:
    """The account that ``<prefix>_<account>_<random>`` names, ``NO_ACCOUNT`` where malformed."""
    parts = reference.split("_")
    if len(parts) != 3 or parts[0] != prefix or not parts[2]:
        return NO_ACCOUNT
    return _number(parts[1])


def account_digits(account_id: int) -> str:
    """An account id in base 32 (Crockford's digits, lower case)."""
    digits = ""
    while account_id:
        account_id, digit = divmod(account_id, 32)
        digits = _DIGITS[digit] + digits
    return digits or _DIGITS[0]


def _number(digits: str) -> int:
    if not 0 < len(digits) <= _MOST_DIGITS or any(digit not in _VALUES for digit in digits):
        return NO_ACCOUNT
    value = 0
    for digit in digits:
        value = value * 32 + _VALUES[digit]
    return value if value <= _LARGEST_ACCOUNT else NO_ACCOUNT


def _random_digits(count: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(count))


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
