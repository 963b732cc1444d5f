"""Words that stand nowhere else: of a person, one in each place where something personal may be."""

from dataclasses import dataclass, field
from typing import Any

from tests.chaos.clients import document

INPUTS = (
    *("number", "source", "identifier", "name", "company", "street", "house", "postal", "city"),
    *("phone", "email", "order", "item", "event", "place", "patched", "raw", "key", "pushed"),
    *("answered", "mailed"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Canaries of one parcel: a word for every input."""

    tag: str
    words: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.words.setdefault(name, f"zq{self.tag}{name}")

    @property
    def canaries(self) -> list[str]:
        return [self[name] for name in INPUTS]

    def registration(self) -> dict[str, Any]:
        given = document(self["number"], "sandbox")
        address = {
            "name": self["name"],
            "company_name": self["company"],
            "address_line_1": self["street"],
            "house_number": self["house"],
            "postal_code": self["postal"],
            "city": self["city"],
            "country_code": "NL",
            "phone_number": self["phone"],
            "email": f"{self['email']}@example.org",
        }
        item = {
            "description": self["item"],
            "weight": {"value": 1, "unit": "kg"},
            "price": {"value": "1.00", "currency": "EUR"},
        }
        numbers = given["tracking_number"]
        assert isinstance(numbers, dict)
        return given | {
            "source_id": self["source"],
            "tracking_number": numbers | {"tracking_identifier": self["identifier"]},
            "to_address": address,
            "parcel_items": [item],
            "shipment": {"order": {"order_number": self["order"]}},
        }


def found(canaries: list[str], text: str) -> list[str]:
    """Canaries that can be read in ``text``, in any case and as bytes."""
    lower = text.lower()
    return [
        one
        for one in canaries
        if one in lower or one.encode().hex() in lower or one.upper().encode().hex() in lower
    ]
