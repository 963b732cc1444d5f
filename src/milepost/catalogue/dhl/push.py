"""What DHL's Unified Push posts to us: shipments, each as the tracking interface tells it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from milepost.carriers.answer_tree import Tree, read_json
from milepost.carriers.connector import Found, Item
from milepost.carriers.manifest import Manifest
from milepost.catalogue.dhl.connector import read
from milepost.errors import CarrierParseError

SUBSCRIPTION = "subscription"
"""Begins the scope of messages about the subscription itself: the secret to activate it with."""


def read_push(
    manifest: Manifest, body: bytes, headers: Mapping[str, str]
) -> list[tuple[str, Found]]:
    """Each shipment by its number, and by those of its pieces."""
    document = read_json(body)
    told = [each for shipment in _shipments(document) for each in _told(manifest, shipment)]
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


def _told(manifest: Manifest, shipment: Tree) -> Iterator[tuple[str, Found]]:
    pieces = [piece.text() for piece in shipment.items("details", "pieceIds")]
    answer = Tree({"shipments": [shipment.value]}, "push")
    for number in dict.fromkeys([shipment.needed_text("id"), *filter(None, pieces)]):
        found = read(manifest, answer, Item("push", number))
        if isinstance(found, Found):
            # Whether it is the whole history is not documented, so nothing is missed in it.
            yield number, replace(found, complete=False, raw=shipment.as_json())
