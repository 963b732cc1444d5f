"""Small wrongs in a database function, read token by token.

Whose rows a statement sees is left alone: row-level security and P11's tests hold that, and a
condition on the account beside them changes nothing that could be seen.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from pglast.parser import scan

SWAPPED = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "=": "<>",
    "<>": "=",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "AND": "OR",
    "OR": "AND",
    "LEAST": "greatest",
    "GREATEST": "least",
    "MIN": "max",
    "MAX": "min",
    "TRUE": "false",
    "FALSE": "true",
}
ENDS: tuple[str, ...] = (
    "AND",
    "OR",
    "THEN",
    "LOOP",
    ";",
    "RETURNING",
    "ORDER",
    "GROUP",
    "FOR",
    "LIMIT",
)
ENDS += ("ON", "UNION", "WHEN", "ELSE", "END")
QUANTITY = re.compile(r"'(\d+) (s|ms|hours|days)'")


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        return self.text.upper()


@dataclass(frozen=True, slots=True)
class Mutant:
    """``name`` says what was changed where, and stays when lines move."""

    name: str
    source: str


def mutants_of(function: str, definition: str) -> list[Mutant]:
    """All mutants of a function, from its ``pg_get_functiondef``."""
    opening = re.search(r"AS (\$\w*\$)", definition)
    assert opening is not None, function
    first, last = opening.end(), definition.rindex(opening[1])
    body = definition[first:last]
    seen: dict[str, Iterator[int]] = {}
    made = []
    for start, end, instead in _edits(body, _tokens(body)):
        line = _line_of(body, start)
        name = f"{function}: {line} | {_short(body[start:end])} -> {_short(instead) or 'nothing'}"
        number = next(seen.setdefault(name, count(1)))
        source = definition[:first] + body[:start] + instead + body[end:] + definition[last:]
        made.append(Mutant(name if number == 1 else f"{name} #{number}", source))
    return made


def _short(text: str) -> str:
    return " ".join(text.split())


def _line_of(body: str, at: int) -> str:
    return _short(body[body.rfind("\n", 0, at) + 1 :].split("\n", 1)[0])


def _tokens(body: str) -> list[Token]:
    tokens, depth = [], 0
    data = body.encode()
    assert len(data) == len(body), "positions are those of ASCII"
    for token in scan(body):
        if "COMMENT" in token.name:
            continue
        text = body[token.start : token.end + 1]
        depth -= text in (")", "]")
        tokens.append(Token(text, token.start, token.end + 1, depth))
        depth += text in ("(", "[")
    return tokens


def _edits(body: str, tokens: Sequence[Token]) -> Iterator[tuple[int, int, str]]:
    between = -1
    for place, token in enumerate(tokens):
        if _about_the_account(tokens, place):
            continue
        if token.word == "BETWEEN":
            between = token.depth
        if token.word == "AND" and token.depth == between:
            between = -1
            continue
        yield from _edits_of_one(tokens, place)
        if token.word in ("AND", "WHERE"):
            yield from _dropped_condition(tokens, place)
        if token.word == "FOR" and tokens[place + 1].word == "UPDATE":
            locked = tokens[place + 2].word == "SKIP"
            yield token.start, tokens[place + (3 if locked else 1)].end, ""


def _edits_of_one(tokens: Sequence[Token], place: int) -> Iterator[tuple[int, int, str]]:
    token = tokens[place]
    if token.word in SWAPPED:
        yield token.start, token.end, SWAPPED[token.word]
    elif token.text.isdigit():
        yield token.start, token.end, str(int(token.text) + 1)
    elif token.word == "IS" and tokens[place + 1].word in ("NULL", "DISTINCT"):
        yield token.start, token.end, "IS NOT"
    elif token.word == "NOT" and (tokens[place - 1].word == "IS" or tokens[place + 1].word == "IN"):
        yield token.start, token.end, ""
    elif quantity := QUANTITY.fullmatch(token.text):
        yield token.start, token.end, f"'{int(quantity[1]) * 2 + 1} {quantity[2]}'"


def _dropped_condition(tokens: Sequence[Token], place: int) -> Iterator[tuple[int, int, str]]:
    """The condition behind an AND or a WHERE is not asked."""
    opening = tokens[place]
    last, between = place, False
    for token in tokens[place + 1 :]:
        if token.depth == opening.depth and token.word in ("BETWEEN", "AND"):
            # The AND of a BETWEEN ends no condition.
            between, was = token.word == "BETWEEN", between
            if was:
                last += 1
                continue
        if token.depth < opening.depth or (token.depth == opening.depth and token.word in ENDS):
            break
        last += 1
    if any(_about_the_account(tokens, at) for at in range(place + 1, last + 1)):
        return
    if opening.word == "WHERE":
        yield tokens[place + 1].start, tokens[last].end, "true"
    else:
        yield opening.start, tokens[last].end, ""


def _about_the_account(tokens: Sequence[Token], place: int) -> bool:
    near: list[Any] = [token.word for token in tokens[max(0, place - 1) : place + 5]]
    return "=" in near[:3] and any(
        word in ("ACCOUNT_ID", "P_ACCOUNT", "P_ACCOUNT_ID") for word in near
    )
