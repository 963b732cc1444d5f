"""The platform most carriers stand on: one HTTP request for one parcel, answered with JSON."""

from dataclasses import dataclass
from typing import ClassVar

from milepost.carriers.answer_tree import Tree, read_json
from milepost.carriers.platforms.rest import Rest


@dataclass(frozen=True, slots=True)
class RestJson(Rest[Tree]):
    """A connector made of two functions: what to ask, and what a JSON document says (see Rest)."""

    form: ClassVar[str] = "JSON"

    def document(self, body: bytes) -> Tree:
        """The document in ``body``. Raises CarrierParseError when it is not JSON."""
        return read_json(body)
