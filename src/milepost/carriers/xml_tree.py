"""A carrier's XML, read with care: no entities, no DTD, no network, bounded depth and size."""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from milepost.carriers.answer_tree import LONGEST_LIST, clean_text
from milepost.carriers.looked_at import show_xml
from milepost.errors import CarrierParseError

MOST_ELEMENTS = 50_000
DEEPEST = 64
"""Levels of elements; no carrier's answer has twenty."""


def read_xml(body: bytes) -> "XmlTree":
    """The document in ``body``. Raises CarrierParseError when it is not XML, or more than XML.

    A DOCTYPE is refused before anything is parsed: no answer needs one, and whatever can be done
    with entities starts there. So is a wide encoding, in which it could hide; one that hid in
    another (UTF-7, ISO-2022) is refused when it shows.
    """
    if b"\0" in body or b"<!doctype" in body.lower():
        raise CarrierParseError("the answer is XML with a DOCTYPE, or in a wide encoding")
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise CarrierParseError("the answer is not XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise CarrierParseError("the answer is XML with a hidden DOCTYPE")
    _bound(root)
    show_xml(root)
    return XmlTree(root, _name(root))


@dataclass(frozen=True, slots=True)
class XmlTree:
    """One element and the path to it; ``element`` is None where there is none.

    Names are without their namespace: carriers change prefixes and versions, not words.
    """

    element: "etree._Element | None"
    path: str

    def child(self, *names: str) -> "XmlTree":
        """The first element under each of ``names`` in turn; missing where a step is missing."""
        here = self
        for name in names:
            found = None if here.element is None else next(_named(here.element, name), None)
            here = XmlTree(found, f"{here.path}.{name}")
        return here

    def children(self) -> Iterator["XmlTree"]:
        """All elements right below, in order."""
        for element in () if self.element is None else self.element:
            yield XmlTree(element, f"{self.path}.{_name(element)}")

    def items(self, *names: str, at_most: int = LONGEST_LIST) -> Iterator["XmlTree"]:
        """The elements of the last name under the path of the others."""
        *path, name = names
        parent = self.child(*path)
        found = [] if parent.element is None else list(_named(parent.element, name))
        if len(found) > at_most:
            raise CarrierParseError(f"{parent.path}.{name} is there more than {at_most} times")
        for place, element in enumerate(found):
            yield XmlTree(element, f"{parent.path}.{name}[{place}]")

    @property
    def name(self) -> str:
        """The element's name without namespace; ``""`` where there is no element."""
        return "" if self.element is None else _name(self.element)

    def text(self, *names: str) -> str:
        """The text of an element and all below it, cleaned; ``""`` where there is none."""
        element = self.child(*names).element
        return "" if element is None else clean_text("".join(map(str, element.itertext())))

    def needed_text(self, *names: str) -> str:
        """Like ``text``, and an empty one is an error."""
        text = self.text(*names)
        if not text:
            raise CarrierParseError(f"{self.child(*names).path} is missing")
        return text

    def attribute(self, name: str) -> str:
        """An attribute's text, cleaned; ``""`` where there is none."""
        return "" if self.element is None else clean_text(str(self.element.get(name, "")))

    def source(self) -> bytes:
        """The element and all below it, as XML."""
        return b"" if self.element is None else etree.tostring(self.element)

    def flag(self, *names: str) -> bool:
        """``true`` or ``1``; False for anything else that is documented, or nothing."""
        text = self.text(*names)
        if text not in ("", "true", "false", "1", "0"):
            raise CarrierParseError(f"{self.child(*names).path} is not true or false")
        return text in ("true", "1")


def _named(element: "etree._Element", name: str) -> Iterator["etree._Element"]:
    return (one for one in element if _name(one) == name)


def _name(element: "etree._Element") -> str:
    return str(element.tag).rpartition("}")[2]


def _bound(root: "etree._Element") -> None:
    level, elements = [root], 0
    for _ in range(DEEPEST):
        elements += len(level)
        if elements > MOST_ELEMENTS:
            raise CarrierParseError(f"the answer has more than {MOST_ELEMENTS} elements")
        level = [child for element in level for child in element]
        if not level:
            return
    raise CarrierParseError(f"the answer is nested deeper than {DEEPEST} levels")
