"""A carrier that tells what has changed, when it is asked for it: its feed of changes.

``changes.py`` in its folder says what to ask and reads what comes (``ReadsChanges``); it is pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

from pydantic import ConfigDict, Field

from milepost.carriers.connector import Credential, Found
from milepost.carriers.exchange import Request
from milepost.carriers.status_rules import STRICT, Confidence

if TYPE_CHECKING:
    from milepost.carriers.manifest import Manifest

Seconds = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Changes:
    """What ``[changes]`` of a manifest says, in seconds.

    It is asked ``every`` so often for what changed in at most ``window``, and tells nothing that is
    older than ``back``. What changed within the last ``lag`` is left to the next question: it may
    not be there yet. ``needs`` are fields of the login without which it can't be asked.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    every: Seconds
    window: Seconds
    back: Seconds
    lag: Seconds = 60
    needs: tuple[str, ...] = ()
    documentation: str = ""
    confidence: Confidence = "documented"


class ReadsChanges(Protocol):
    """``changes.py`` of a carrier's folder."""

    def request(
        self, manifest: "Manifest", credential: Credential, since: datetime, until: datetime
    ) -> Request:
        """The question for what changed between two instants (UTC)."""
        ...

    def entries(self, body: bytes) -> list[tuple[str, bytes]]:
        """Each change by its number, as it is kept. Raises CarrierParseError."""
        ...

    def read_change(
        self, manifest: "Manifest", body: bytes, headers: Mapping[str, str]
    ) -> list[tuple[str, Found]]:
        """What one of them says, as ``push.PushReader``."""
        ...
