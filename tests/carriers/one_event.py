"""Samples in which one event is not as it should be: all others must be told as before."""

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from lxml import etree
from tests.carriers.mutations import NASTY, is_xml, nasty_text

from milepost.carriers.connector import Found, Outcome

Key = tuple[str, str]
Path = tuple[str | int, ...]
_LONG = ("x" * 5_000, "9" * 20, "€" * 999)


def told(outcome: Outcome) -> Counter[Key]:
    """Each event's code and time as the carrier prints them."""
    scans = outcome.scans if isinstance(outcome, Found) else ()
    return Counter((scan.raw_code, scan.moment.stated) for scan in scans)


@dataclass(frozen=True, slots=True)
class OneEvent:
    """Where one event is in a sample, and what the others tell."""

    body: bytes
    path: Path
    others: Counter[Key]

    def spoilt(self, dice: random.Random) -> bytes:
        """The sample with one field of the event lost or of another kind."""
        return _spoilt_xml(self, dice) if is_xml(self.body) else _spoilt_json(self, dice)


def events_of(body: bytes, read: Callable[[bytes], Outcome]) -> list[OneEvent]:
    """The parts of a sample without which it tells one event less, and all others as before."""
    whole = told(read(body))
    without = _without_xml(body) if is_xml(body) else _without_json(body)
    found = []
    for path, shorter in without if whole.total() > 1 else ():
        left = told(read(shorter))
        if (whole - left).total() == 1 and left.total() == whole.total() - 1:
            found.append(OneEvent(body, path, left))
    return found


def _without_json(body: bytes) -> Iterator[tuple[Path, bytes]]:
    document = orjson.loads(body)
    for path in _members(document, ()):
        shorter = copy.deepcopy(document)
        del _at(shorter, path[:-1])[path[-1]]
        yield path, orjson.dumps(shorter)


def _members(value: Any, path: Path) -> Iterator[Path]:
    """Where objects stand in lists of several."""
    if isinstance(value, list) and len(value) > 1:
        yield from ((*path, place) for place, one in enumerate(value) if isinstance(one, dict))
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from _members(value[name], (*path, name))


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _spoilt_json(one: OneEvent, dice: random.Random) -> bytes:
    document = orjson.loads(one.body)
    fields = [path for path in _fields(_at(document, one.path), one.path) if path != one.path]
    path = dice.choice(fields)
    holder = _at(document, path[:-1])
    if dice.random() < 0.1:
        del holder[path[-1]]
    else:
        odd = [told for told in (*NASTY, *_LONG) if told != 10**25]
        holder[path[-1]] = dice.choice(odd)
    return orjson.dumps(document)


def _fields(value: Any, path: Path) -> Iterator[Path]:
    yield path
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from _fields(value[name], (*path, name))


def _without_xml(body: bytes) -> Iterator[tuple[Path, bytes]]:
    root = etree.fromstring(body)
    for place, element in enumerate(root.iter()):
        parent = element.getparent()
        if parent is None or len(parent.findall(str(element.tag))) < 2:
            continue
        shorter = copy.deepcopy(root)
        gone = list(shorter.iter())[place]
        holder = gone.getparent()
        if holder is not None:
            holder.remove(gone)
            yield (place,), etree.tostring(shorter)


def _spoilt_xml(one: OneEvent, dice: random.Random) -> bytes:
    root = etree.fromstring(one.body)
    event = list(root.iter())[int(one.path[0])]
    element = dice.choice(list(event.iter()))
    odd = dice.choice(_LONG) if dice.random() < 0.2 else nasty_text(dice)
    holder = element.getparent()
    if element.attrib and dice.random() < 0.7:
        element.set(dice.choice(list(element.attrib)), odd)
    elif element is not event and holder is not None and dice.random() < 0.2:
        holder.remove(element)
    elif dice.random() < 0.2:
        etree.SubElement(element, "within").text = odd
    else:
        element.text = odd
    return etree.tostring(root)
