"""What can become of a letter that is handed to a mail server."""

from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["connection", "sender", "recipient", "content"]


@dataclass(frozen=True, slots=True)
class Taken:
    """The server has it, and answers for it from now on."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The server said no, to what, and in which words, which may hold the address."""

    stage: Stage
    code: int
    text: str

    @property
    def for_good(self) -> bool:
        """Whether it would say so again."""
        return self.code >= 500


@dataclass(frozen=True, slots=True)
class Trouble:
    """No answer that says anything; ``reason`` holds nothing of the letter."""

    reason: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Nothing can be sent until the operator has changed something."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resting:
    """It failed a moment ago; nothing was tried."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NeedsUtf8:
    """The address is one that this server can't take."""


Handed = Taken | Declined | Trouble | Misconfigured | Resting | NeedsUtf8


@dataclass(frozen=True, slots=True)
class Envelope:
    """A letter and where it goes."""

    recipient: str = field(repr=False)
    content: bytes = field(repr=False)
    needs_utf8: bool = False
