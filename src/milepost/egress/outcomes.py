"""What became of a request to a customer's address: ``Answered | Forbidden | Failed``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FailureKind = Literal["dns", "connect", "tls", "timeout", "reset", "protocol"]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer came whole, or as far as it is read; ``cut`` says that there was more.

    ``headers`` are a few, in lower case (``client.KEPT_HEADERS``). ``body`` is as it was on the
    wire: packed, where the receiver packed it although it was asked not to.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Nothing was sent, nor will be to this address; ``reason`` is for the account and the log.

    ``address`` is what the name led to: for the operator alone, as names inside his network would
    else be looked up through us.
    """

    reason: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """No whole answer came; ``reason`` tells nothing of URL, headers and body.

    ``status`` is what the answer began with, 0 where none did.
    """

    kind: FailureKind
    reason: str
    status: int = 0
    milliseconds: int = 0


Outcome = Answered | Forbidden | Failed
