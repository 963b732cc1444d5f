"""Answers that no carrier should send: mutated, and swollen to any size."""

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

import orjson
from lxml import etree

NASTY: list[Any] = [
    *(None, True, 0, -1, 1e300, 2**53, 10**25, "", "\x00", "0001-01-01T00:00:00", "9" * 5000),
    *("9999-12-31T23:59:59-14:00", "\u202e", [], {}, [[]], [None], {"": {}}, ["x"] * 3000),
]


def strings(value: Any) -> Iterator[str]:
    """Every text and number of a JSON document."""
    match value:
        case dict():
            for one in value.values():
                yield from strings(one)
        case list():
            for one in value:
                yield from strings(one)
        case str() | int():
            yield str(value)


def is_xml(body: bytes) -> bool:
    return body.startswith(b"<")


def mutated_body(body: bytes, dice: random.Random, rate: float) -> bytes:
    if is_xml(body):
        return mutated_xml(body, dice, rate)
    document = mutated(orjson.loads(body), dice, rate)
    try:
        return orjson.dumps(document)
    except TypeError:  # an integer beyond 64 bit
        return repr(document).replace("'", '"').replace("None", "null").encode(errors="replace")


def mutated_xml(body: bytes, dice: random.Random, rate: float) -> bytes:
    """Elements lost, told twice or given another text; attributes lost or changed."""
    root = etree.fromstring(body)
    for parent in list(root.iter()):
        for child in list(parent):
            if dice.random() < rate / 4:
                parent.remove(child)
            elif dice.random() < rate / 4:
                parent.append(copy.deepcopy(child))
        for name in list(parent.attrib):
            if dice.random() < rate / 4:
                del parent.attrib[name]
            elif dice.random() < rate:
                parent.set(name, nasty_text(dice))
        if dice.random() < rate:
            parent.text = nasty_text(dice)
    return etree.tostring(root)


def nasty_text(dice: random.Random) -> str:
    text = dice.choice(NASTY)
    return text if isinstance(text, str) and "\x00" not in text else repr(text)


def mutated(value: Any, dice: random.Random, rate: float) -> Any:
    if dice.random() < rate:
        return dice.choice(NASTY)
    match value:
        case dict():
            return {
                name: mutated(one, dice, rate)
                for name, one in value.items()
                if dice.random() > rate / 4
            }
        case list():
            many = [mutated(one, dice, rate) for one in value]
            return many * dice.choice([1, 1, 1, 2]) if dice.random() < rate else many
    return value


def swollen(body: bytes, many: int) -> bytes:
    """An answer with ``many`` events more."""
    if not is_xml(body):
        return orjson.dumps(with_long_lists(orjson.loads(body), many))
    last = re.findall(
        rb"<(\w+)>(?:(?!<\1>).)*?<(?:date|time|eventDate|Date)>.*?</\1>", body, re.DOTALL
    )
    if not last:
        return body
    opened, closed = b"<%s>" % last[-1], b"</%s>" % last[-1]
    start, end = body.rindex(opened), body.rindex(closed) + len(closed)
    return body[:end] + body[start:end] * many + body[end:]


def with_long_lists(value: Any, many: int) -> Any:
    """The innermost lists repeated, and their texts made long."""
    match value:
        case dict():
            return {name: with_long_lists(one, many) for name, one in value.items()}
        case [dict() as first, *_] if not any(isinstance(one, list) for one in first.values()):
            return [{**first, "description": "customs data of the recipient " * 30}] * many
        case list():
            return [with_long_lists(one, many) for one in value]
    return value
