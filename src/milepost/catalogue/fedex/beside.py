"""What FedEx tells of a package beside its scans: numbers, the place it is held at, documents."""

from collections.abc import Iterator, Mapping

from milepost.carriers.answer_tree import Tree
from milepost.carriers.connector import (
    Item,
    NumberKind,
    ProofOfDelivery,
    RelatedNumber,
    ServicePoint,
    proofs,
    related,
)
from milepost.tracking.events import Place

_KINDS: Mapping[str, NumberKind] = {
    "PARTNER_CARRIER_NUMBER": "last_mile",
    "RETURNED_TO_SHIPPER_TRACKING_NUMBER": "return",
}
_PROOFS = frozenset({"SIGNATURE_PROOF_OF_DELIVERY", "PICTURE_PROOF_OF_DELIVERY"})


def related_of(result: Tree, item: Item) -> Iterator[RelatedNumber]:
    """The numbers under which others have it, or it comes back."""
    answered = result.text("trackingNumberInfo", "trackingNumber")
    yield from related("other", [answered], item.number)
    for identifier in result.items("additionalTrackingInfo", "packageIdentifiers"):
        if kind := _KINDS.get(identifier.text("type")):
            values = (one.text() for one in identifier.items("values"))
            yield from related(kind, [identifier.text("value"), *values], item.number)


def held_at(result: Tree) -> ServicePoint:
    """The place where its recipient is to fetch it."""
    hold = result.child("holdAtLocation")
    told = hold.child("locationContactAndAddress")
    address = told.child("address")
    return ServicePoint(
        told.text("contact", "companyName"),
        Place(
            city=address.text("city"),
            country_code=address.text("countryCode").upper()[:2],
            postal_code=address.text("postalCode"),
            street=", ".join(filter(None, (line.text() for line in address.items("streetLines")))),
            service_point_id=hold.text("locationId"),
        ),
    )


def documents_of(result: Tree) -> tuple[ProofOfDelivery, ...]:
    """The kinds of proof that FedEx gives out when it is asked for them."""
    kinds = (image.text("type") for image in result.items("availableImages"))
    return proofs(references=[kind for kind in kinds if kind in _PROOFS])
