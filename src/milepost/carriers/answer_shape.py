"""The fields a carrier's answers are known to have, and what else one holds.

A field is told by its path: the names that lead to it, without the places in lists and with ``*``
for names that are no names but somebody's data (numbers, ids). What stands in it is looked at for
one thing only: the language that a text is said to be in.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from lxml import etree

Kind = Literal["field", "missing", "language"]

STEP = "/"
DATA = "*"
"""In place of a name that is data; at the end of a documented path, whatever is below it."""
MOST_VALUES = 20_000
"""Looked at in one answer; what goes beyond is no parcel's."""
MOST_UNKNOWN = 50
"""Told of one answer: one in another form altogether needs no longer list."""
MET = 50
"""Objects of a carrier that had a field, before its lack is told."""
_NAME = re.compile(r"@?[A-Za-z_$][A-Za-z0-9_$:.\-]{0,63}")
_MOST_DIGITS = 4
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z]{2,4})?")
_TELLS_LANGUAGE = re.compile(
    r"@?(?:\w*_)?(?:lang|locale|language|languagecode|languageid|languageiso\w*)", re.IGNORECASE
)
_FORMAL = "{http://www.w3.org/2001/XMLSchema-instance}"


class Unknown(NamedTuple):
    """What an answer holds and nobody knows, or (``missing``) has no longer."""

    kind: Kind
    what: str


class _Node:
    """An object: its names and what is below each; ``open`` where whatever is below is known."""

    __slots__ = ("always", "met", "names", "open", "path", "tongues")

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: dict[str, _Node] = {}
        self.always: frozenset[str] = frozenset()
        self.met = 0
        self.tongues: tuple[str, ...] = ()
        self.open = False

    def below(self, name: str) -> "_Node":
        child = self.names.get(name)
        if child is None:
            child = self.names[name] = _Node(_below(self.path, name))
            if _TELLS_LANGUAGE.fullmatch(name):
                self.tongues += (name,)
        return child


class Shape:
    """The shape of one carrier's answers. What is unknown is told each time, until accepted."""

    def __init__(
        self, fields: Iterable[str], always: Iterable[str] = (), languages: Iterable[str] = ()
    ) -> None:
        """``fields`` are paths, ``always`` those that every object has where they belong."""
        self._root = _Node("")
        self._languages = {one.casefold() for one in languages}
        for path in fields:
            self._add(path)
        for path in always:
            parent, _, name = path.rpartition(STEP)
            node = self._at(parent)
            node.always |= {name}

    def knows(self, unknown: Unknown) -> bool:
        """Whether this would not be told any more."""
        if unknown.kind == "language":
            return unknown.what in self._languages
        path, _, name = unknown.what.rpartition(STEP)
        node = self._root
        for step in path.split(STEP) if path else ():
            if node.open or step not in node.names:
                return node.open
            node = node.names[step]
        if unknown.kind == "missing":
            return name not in node.always
        return node.open or name in node.names

    def accept(self, unknown: Unknown) -> None:
        """Take what was unknown for known, and all below it."""
        match unknown.kind:
            case "language":
                self._languages.add(unknown.what)
            case "missing" if not self.knows(unknown):
                parent, _, name = unknown.what.rpartition(STEP)
                self._at(parent).always -= {name}
            case "field":
                self._add(unknown.what)
                self._at(unknown.what).open = True

    def in_json(self, document: Any, below: str = "") -> set[Unknown]:
        """What a JSON document holds that is not known, and what it lacks. ``below`` is the path
        that all of its own begin with."""
        found: set[Unknown] = set()
        lacking: list[tuple[_Node, frozenset[str]]] = []
        waiting, left = [(self._at(below), document)], MOST_VALUES
        while waiting and left > 0:
            node, value = waiting.pop()
            left -= 1
            if type(value) is list:
                waiting += [(node, one) for one in reversed(value) if type(one) in _DEEPER]
                continue
            if type(value) is not dict or node.open:
                continue
            names = node.names
            left -= len(value)
            for name, one in value.items():
                child = names.get(name) or self._named(node, name, found)
                if child is not None and type(one) in _DEEPER:
                    waiting.append((child, one))
            if node.tongues:
                self._languages_of(node, value, found)
            if node.always:
                if node.always <= value.keys():
                    node.met += 1
                else:
                    lacking.append((node, node.always - value.keys()))
        if lacking:
            self._lacking(lacking, objects_in_json(document), found)
        return found

    def in_xml(self, root: "etree._Element") -> set[Unknown]:
        """The same for the document below an element."""
        found: set[Unknown] = set()
        lacking: list[tuple[_Node, frozenset[str]]] = []
        first = self._named(self._root, _local(root.tag), found)
        waiting = [] if first is None else [(first, root)]
        left = MOST_VALUES
        if first is not None:
            self._attributes(first, root, found)
        while waiting and left > 0:
            node, element = waiting.pop()
            if node.open:
                continue
            names = node.names
            told = set()
            for one in element:
                name = one.tag
                if name[0] == "{":
                    name = name[name.find("}") + 1 :]
                told.add(name)
                child = names.get(name) or self._named(node, name, found)
                if child is not None:
                    if one.keys():
                        self._attributes(child, one, found)
                    if len(one):
                        waiting.append((child, one))
            left -= 1 + len(element)
            if node.tongues:
                said = {_local(one.tag): one.text for one in element}
                self._languages_of(node, said, found)
            if node.always and told:
                if node.always <= told:
                    node.met += 1
                else:
                    lacking.append((node, node.always - told))
        if lacking:
            self._lacking(lacking, objects_in_xml(root), found)
        return found

    def _at(self, path: str) -> _Node:
        node = self._root
        for name in path.split(STEP) if path else ():
            node = node.below(name)
        return node

    def _add(self, path: str) -> None:
        """A path that ends in ``/**`` stands for whatever is below."""
        if path.endswith(STEP + DATA * 2):
            self._at(path[: -len(STEP + DATA * 2)]).open = True
        else:
            self._at(path)

    def _named(self, node: _Node, name: str, found: set[Unknown]) -> _Node | None:
        """What is below a name that is none of the known; noted where nobody knows it."""
        known = name_of(name)
        child = node.names.get(known)
        if child is None and len(found) < MOST_UNKNOWN:
            found.add(Unknown("field", _below(node.path, known)))
        return child

    def _attributes(self, node: _Node, element: "etree._Element", found: set[Unknown]) -> None:
        for name, said in element.items():
            local = _attribute(name)
            if local not in node.names:
                if local:
                    self._named(node, local, found)
            elif local in node.tongues:
                self._languages_of(node, {local: said}, found)

    def _languages_of(self, node: _Node, told: Mapping[str, Any], found: set[Unknown]) -> None:
        for name in node.tongues:
            language = language_in(told.get(name))
            if language and language not in self._languages:
                found.add(Unknown("language", language))

    def _lacking(
        self,
        lacking: list[tuple[_Node, frozenset[str]]],
        objects: Iterator[tuple[str, Mapping[str, Any]]],
        found: set[Unknown],
    ) -> None:
        """Missing is what all objects of a place lack, after many that had it. What lacks before
        that, or in some of them, may be left out: samples can't know, and nobody expects it on."""
        have: dict[str, set[str]] = {}
        for path, told in objects:
            have.setdefault(path, set()).update(told)
        for node, names in lacking:
            gone = names - have.get(node.path, set()) if node.met >= MET else frozenset()
            node.always -= names - gone
            found.update(Unknown("missing", _below(node.path, name)) for name in gone)


_DEEPER = frozenset((dict, list))


def name_of(name: str) -> str:
    """A field's name, ``*`` where it is data: a number, an id, a word no program would use."""
    digits = sum(one.isdigit() for one in name)
    return name if digits <= _MOST_DIGITS and _NAME.fullmatch(name) else DATA


def language_in(told: object) -> str:
    """The language that a field names (ISO 639, lower case), ``""`` where it names none."""
    found = _LANGUAGE.fullmatch(told) if isinstance(told, str) else None
    return found[1].casefold() if found else ""


def objects_in_json(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object of a document by its path, with what stands in it by name."""
    waiting = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(path, one) for one in value]
        elif isinstance(value, dict):
            yield path, {name_of(name): one for name, one in value.items()}
            waiting += [(_below(path, name_of(name)), one) for name, one in value.items()]


def objects_in_xml(root: "etree._Element") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The same for a document of elements; a text alone is no object."""
    yield "", {_local(root.tag): root.text}
    waiting = [(_local(root.tag), root)]
    while waiting:
        path, element = waiting.pop()
        told = {_local(one.tag): one.text for one in element}
        for name, said in element.items():
            if local := _attribute(name):
                told[local] = str(said)
        if told:
            yield path, told
        waiting += [(_below(path, _local(one.tag)), one) for one in element]


def languages_in(objects: Mapping[str, Any]) -> set[str]:
    """The languages that the fields of an object name."""
    told = {language_in(one) for name, one in objects.items() if _TELLS_LANGUAGE.fullmatch(name)}
    return told - {""}


def _below(path: str, name: str) -> str:
    return f"{path}{STEP}{name}" if path else name


# A document has few, and each of them often.
@lru_cache(maxsize=4096)
def _attribute(name: str) -> str:
    return "" if name.startswith(_FORMAL) else "@" + _local(name)


def _local(tag: object) -> str:
    name = str(tag)
    return name[name.find("}") + 1 :]
