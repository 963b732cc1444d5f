"""What DHL's Unified Push posts to us: shipments, each as the tracking interface tells it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from milepost.carriers.answer_tree import LONGEST_LIST, Tree, read_json
from milepost.carriers.connector import Found, Item
from milepost.carriers.manifest import Manifest
from milepost.catalogue.dhl.connector import read
from milepost.errors import CarrierParseError

SUBSCRIPTION = "subscription"
"""Begins the scope of messages about the subscription itself: the secret to activate it with."""
CHANGED = Found((), complete=False)
"""Something has changed: DHL is asked what."""
MOST_READ = 5_000
"""Events and piece numbers that are gone through for one payload. Every piece is told the events of
its shipment, so a small payload of many pieces could keep a worker busy for hours."""


def read_push(
    manifest: Manifest, body: bytes, headers: Mapping[str, str]
) -> list[tuple[str, Found]]:
    """Each shipment by its number, and by those of its pieces; where that is more than is gone
    through, DHL is asked about the rest."""
    document = read_json(body)
    told: list[tuple[str, Found]] = []
    left = MOST_READ
    for shipment in _shipments(document):
        pieces = [piece.text() for piece in shipment.items("details", "pieceIds")]
        each = len(pieces) + sum(1 for _ in shipment.items("events"))
        for number in dict.fromkeys([shipment.needed_text("id"), *filter(None, pieces)]):
            if len(told) == LONGEST_LIST:
                raise CarrierParseError(f"more than {LONGEST_LIST} numbers")
            left -= each
            told += _told(manifest, shipment, number) if left >= 0 else [(number, CHANGED)]
    if not told and not document.text("scope").startswith(SUBSCRIPTION):
        raise CarrierParseError("no shipment, and nothing about the subscription")
    return told


def _shipments(document: Tree) -> Iterator[Tree]:
    """Nobody has told in which envelope they come: alone, as one, or several."""
    if document.child("id").value is not None:
        yield document
        return
    if document.child("shipment").value is not None:
        yield document.child("shipment")
    yield from document.items("shipments")


def _told(manifest: Manifest, shipment: Tree, number: str) -> Iterator[tuple[str, Found]]:
    found = read(manifest, Tree({"shipments": [shipment.value]}, "push"), Item("push", number))
    if isinstance(found, Found):
        # Whether it is the whole history is not documented, so nothing is missed in it.
        yield number, replace(found, complete=False, raw=shipment.as_json())
