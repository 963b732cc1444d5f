"""Mail addresses of recipients: which we write to, and how they are told apart. Pure.

Narrower than RFC 5321 on purpose: no quoted names, no comments, no addresses of machines, and a
domain with a dot, so that nothing a customer types reaches a mailbox of the operator's own host.
"""

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 254
_LONGEST_LOCAL = 64
_LONGEST_LABEL = 63
_ASCII_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")


@dataclass(frozen=True, slots=True)
class MailAddress:
    """``domain`` is in the form that is looked up (ASCII, lower case)."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) can take it."""
        return not self.local.isascii()

    @property
    def compared(self) -> str:
        """The same for every spelling that leads to one mailbox nearly everywhere."""
        return unicodedata.normalize("NFC", str(self).casefold())


def mail_address(text: str | None) -> MailAddress | None:
    """An address that can be written to; None for anything else."""
    if not text or len(text) > LONGEST:
        return None
    local, _, domain = unicodedata.normalize("NFC", text.strip()).rpartition("@")
    name = _domain(domain)
    if name is None or not _is_local(local):
        return None
    made = MailAddress(local, name)
    return made if len(str(made).encode()) <= LONGEST else None


def _is_local(local: str) -> bool:
    if not 0 < len(local.encode()) <= _LONGEST_LOCAL or ".." in local or local.strip(".") != local:
        return False
    # What is not ASCII may be any letter; what shows nothing, or turns the writing, is none.
    plain = "".join(one for one in local if one.isascii())
    others = [one for one in local if not one.isascii()]
    return bool(_ASCII_LOCAL.fullmatch(plain or "a")) and all(map(_is_letter, others))


def _domain(text: str) -> str | None:
    # Full-width letters and the like would be looked up as something else than they look.
    if text != unicodedata.normalize("NFKC", text):
        return None
    labels = [_label(one) for one in text.lower().split(".")]
    found = [one for one in labels if one is not None]
    if len(found) < 2 or len(found) < len(labels) or found[-1].isdigit():
        return None
    name = ".".join(found)
    return name if len(name) <= 253 else None


def _label(label: str) -> str | None:
    """A label as IDNA 2008 writes it. None where it is none."""
    if not label or label[0] == "-" or label[-1] == "-":
        return None
    if not all(one == "-" or _is_letter(one) for one in label):
        return None
    made = label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
    return made if len(made) <= _LONGEST_LABEL else None


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
