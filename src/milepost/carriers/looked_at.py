"""Somebody may look at every document that is taken apart, whoever takes it apart.

Connectors know nothing of it: ``read_json`` and ``read_xml`` show what they have read to whoever is
looking at that moment, in that task. Logins are not shown.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from lxml import etree


class Looks(Protocol):
    """Who looks. It changes nothing and raises nothing."""

    def at_json(self, document: Any) -> None:
        """A JSON document was read."""
        ...

    def at_xml(self, root: "etree._Element") -> None:
        """A document of elements was read."""
        ...


_looking: ContextVar[Looks | None] = ContextVar("looking", default=None)


@contextmanager
def looking(looks: Looks | None) -> Iterator[None]:
    """Show ``looks`` what is read within; None: nobody."""
    token = _looking.set(looks)
    try:
        yield
    finally:
        _looking.reset(token)


def show_json(document: Any) -> None:
    """Show a JSON document to who is looking."""
    looks = _looking.get()
    if looks is not None:
        looks.at_json(document)


def show_xml(root: "etree._Element") -> None:
    """Show a document of elements to who is looking."""
    looks = _looking.get()
    if looks is not None:
        looks.at_xml(root)
