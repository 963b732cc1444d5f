"""The one way to ask a carrier: ``ask(items, credential, carrier) -> {item: Outcome}``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Literal, Protocol

from milepost.carriers.exchange import Asks
from milepost.tracking.events import Place, Scan
from milepost.tracking.parcel import number_key


@dataclass(frozen=True, slots=True)
class Item:
    """One parcel to ask about. ``key`` is ours and goes back unread; the rest is the carrier's."""

    key: str
    number: str
    postal_code: str = ""
    origin_country: str = ""
    destination_country: str = ""
    shipped_at: datetime | None = None
    language: str = "en"

    def __hash__(self) -> int:
        """Of the key alone: outcomes are kept by item, and it is looked for several times."""
        return hash(self.key)


@dataclass(frozen=True, slots=True)
class Credential:
    """An unsealed credential: ``fields`` by the names the manifest gives; prints no values."""

    owner: str
    """Whose it is: ``account:<id>`` or ``operator``; one owner shares one quota per carrier."""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryEstimate:
    """When the carrier says it will deliver (a day, and a window in UTC where it gives one)."""

    day: date | None = None
    earliest: datetime | None = None
    latest: datetime | None = None


NumberKind = Literal["last_mile", "return", "parent", "piece", "other"]
"""What another number is: the one under which another carrier brings the parcel, the one under
which it comes back, its shipment's, or that of another piece of the shipment."""


MOST_RELATED = 100
"""Further numbers of a shipment of more pieces are left out."""


@dataclass(frozen=True, slots=True)
class RelatedNumber:
    """Another number of the parcel. ``carrier`` is whose it is, in the words of who tells it."""

    number: str
    kind: NumberKind
    carrier: str = ""


def related(
    kind: NumberKind, numbers: Iterable[str], own: str, carrier: str = ""
) -> tuple[RelatedNumber, ...]:
    """Those of ``numbers`` that are others than ``own``, each once, in their compared form."""
    keys = dict.fromkeys(number_key(number) for number in islice(numbers, MOST_RELATED))
    known = ("", number_key(own))
    return tuple(RelatedNumber(key, kind, carrier) for key in keys if key not in known)


def of_shipment(shipment: str, pieces: Iterable[str], own: str) -> tuple[RelatedNumber, ...]:
    """The number of the shipment that ``own`` is a piece of, and those of its other pieces."""
    others = (number for number in pieces if number_key(number) != number_key(shipment))
    return related("parent", [shipment], own) + related("piece", others, own)


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class ServicePoint:
    """A shop, locker or depot where the parcel is, or will be, for its recipient to fetch it.

    Its id is ``place.service_point_id``; ``opening_hours`` are lines as the carrier words them.
    """

    name: str = ""
    place: Place = NOWHERE
    opening_hours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProofOfDelivery:
    """A document that shows the delivery: an http(s) link, the reference to ask for it with."""

    url: str = ""
    reference: str = ""


def proofs(
    *, links: Iterable[str] = (), references: Iterable[str] = ()
) -> tuple[ProofOfDelivery, ...]:
    """The documents of which there is something to say."""
    told = [ProofOfDelivery(url=link) for link in links if link]
    return (*told, *(ProofOfDelivery(reference=one) for one in references if one))


@dataclass(frozen=True, slots=True)
class Found:
    """The carrier knows the parcel. ``complete`` means ``scans`` is its whole history.

    ``held_until`` (UTC) is when a parcel that waits to be fetched goes back, as the carrier says.
    ``as_of`` is the carrier's own clock; it is heeded for simulated carriers only. ``raw`` is what
    the carrier answered about this parcel alone (it is erased with it), in the form ``raw_type``
    says; both are empty where an answer is about several at once.
    """

    scans: tuple[Scan, ...]
    complete: bool
    estimate: DeliveryEstimate | None = None
    signed_by: str = ""
    service: str = ""
    related_numbers: tuple[RelatedNumber, ...] = ()
    service_point: ServicePoint = ServicePoint()
    held_until: datetime | None = None
    proofs_of_delivery: tuple[ProofOfDelivery, ...] = ()
    as_of: datetime | None = None
    raw: bytes = field(default=b"", repr=False)
    raw_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing new since the last answer (304)."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """Not scanned yet, or unknown to the carrier: a state, not an error."""

    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier won't answer now: over quota (429), or the credential is refused (401, 403).

    ``retry_after`` is seconds. It concerns every parcel asked with this credential.
    """

    retry_after: float
    why: str
    credential_refused: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """The carrier failed, or its answer is not what it documents; ``why`` is for the log.

    ``lane_wide`` is False where only this one parcel's answer is bad.
    """

    why: str
    lane_wide: bool = True


Outcome = Found | Unchanged | NotFound | Refused | Broken


class Connector(Protocol):
    """What a carrier's connector, or the platform it stands on, can do."""

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask about ``items``, at most the manifest's ``batch_size``; no answer makes it raise.

        Every request goes through ``carrier``, which keeps the quota.
        """
        ...
