"""How a carrier pushes: what proves that it is the carrier, and what it wants to hear.

What it pushes is read by ``push.py`` in its folder, a pure function (``PushReader``).
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from milepost.carriers.connector import Found
from milepost.carriers.rsa_signature import is_signed
from milepost.carriers.status_rules import STRICT, Confidence

if TYPE_CHECKING:
    from milepost.carriers.manifest import Manifest

ProofKind = Literal["address", "header", "basic", "hmac", "rsa"]
Form = Literal["carrier", "milepost"]
"""Whose form payloads have: the carrier's own, which its folder reads, or ours (``OWN``)."""
USER = "milepost"
"""The user name of a carrier that logs in to us (HTTP Basic)."""

PushReader = Callable[["Manifest", bytes, Mapping[str, str]], list[tuple[str, Found]]]
"""``read_push(manifest, body, headers)``: each number a payload is about, and what it says of it.

A ``Found`` without scans says that something has changed, and the carrier is asked. Header names
are in lower case, and only those that the manifest ``keeps`` are there. Raises CarrierParseError.
"""


@dataclass(frozen=True, slots=True)
class Push:
    """What ``[push]`` of a manifest says.

    ``proofs`` are the ways it can show who it is, the best first: ``hmac`` (base64 of HMAC-SHA256
    in the header ``signature``, over the body, or over the header ``timestamp``, a dot and the
    body), ``rsa`` (the same with the carrier's own key, whose certificate it gives), ``basic``
    (HTTP Basic), ``header`` (a value of ours in the header ``header``) and
    ``address`` (nothing but the address, which holds a secret). ``answer`` is the status that it
    takes for "I have it". ``confidence`` is about the payload's form.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    proofs: Annotated[tuple[ProofKind, ...], Field(min_length=1)]
    what: str
    header: str = ""
    signature: str = ""
    timestamp: str = ""
    answer: Literal[200, 201, 202, 204] = 200
    keeps: tuple[str, ...] = ()
    documentation: str = ""
    confidence: Confidence = "documented"

    def is_proven(self, proof: str, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a push shows the proof that was agreed on; names of ``headers`` in lower case.

        Compares without telling by the time it takes how much was right.
        """
        match proof:
            case "address":
                return True
            case "header":
                return _same(headers.get(self.header.lower(), ""), [secret])
            case "basic":
                login = base64.b64encode(f"{USER}:{secret}".encode()).decode()
                scheme, _, given = headers.get("authorization", "").strip().partition(" ")
                return scheme.lower() == "basic" and _same(given.strip(), [login])
            case "hmac":
                wanted = [_signature(secret, one) for one in self._signed(headers, body)]
                return _same(headers.get(self.signature.lower(), ""), wanted)
            case "rsa":
                given = headers.get(self.signature.lower(), "")
                return any(is_signed(secret, given, one) for one in self._signed(headers, body))
        return False

    def _signed(self, headers: Mapping[str, str], body: bytes) -> list[bytes]:
        """What may have been signed: which of them is agreed on between carrier and receiver."""
        told = headers.get(self.timestamp.lower(), "") if self.timestamp else ""
        return [body, f"{told}.".encode() + body] if told else [body]


OWN = Push(
    proofs=("hmac", "basic", "header", "address"),
    what="parcels with their events in Milepost's own form",
    header="x-milepost-push",
    signature="x-milepost-signature",
    timestamp="x-milepost-timestamp",
)
"""For carriers without a form of their own that we know; it is read in ``intake.own_form``."""
OWN_FORM = {"form": "milepost"}
"""What events that came in it keep in their ``raw_fields``."""


def _signature(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()


def _same(given: str, wanted: list[str]) -> bool:
    # A list, so that every comparison is made whatever the first one says.
    same = [hmac.compare_digest(given.encode("utf-8", "replace"), one.encode()) for one in wanted]
    return any(same)
