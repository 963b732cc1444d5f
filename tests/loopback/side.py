"""One carrier's side of the conversation: what it is asked, what it wants to see, what it says."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tests.loopback.asked import Asked, Refusing, Told

import milepost.catalogue

SAMPLES = Path(milepost.catalogue.__file__).parent
Handler = Callable[[Any, Asked], Told]
AnyHandler = TypeVar("AnyHandler", bound=Handler)


def door(method: str, host: str, path: str) -> Callable[[AnyHandler], AnyHandler]:
    """Under which method, host and path a question is taken; ``{name}`` stands for a part."""

    def mark(handler: AnyHandler) -> AnyHandler:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        vars(handler)["door"] = (method, host, re.compile(pattern))
        return handler

    return mark


@dataclass
class Grants:
    """The tokens a carrier has given: each good for some seconds, and for some questions."""

    seconds: float = 3600
    uses: int = 1_000_000
    given: int = 0
    _good: dict[str, list[float]] = field(default_factory=dict)

    def give(self, form: str = "token-{}") -> str:
        self.given += 1
        token = form.format(self.given)
        self._good[token] = [time.monotonic() + self.seconds, self.uses]
        return token

    def takes(self, token: str) -> bool:
        until, left = self._good.get(token, (0.0, 0))
        if time.monotonic() >= until or left < 1:
            return False
        self._good[token][1] -= 1
        return True

    def revoke(self) -> None:
        """All that were given are no good any more."""
        self._good.clear()


class Side:
    """A carrier. A folder module of ``sides`` describes one in a subclass; it is found there.

    It is written after what is publicly known of the carrier and never after our connector.
    """

    code: ClassVar[str]
    login: ClassVar[Mapping[str, str]] = {}
    """What an operator types in; a change in any of it must be refused."""
    more: ClassVar[Mapping[str, str]] = {}
    """What else an operator types in, that is no login."""
    parcels: ClassVar[Sequence[str]]
    """Samples, each of one parcel this carrier knows."""
    nobodys: ClassVar[str]
    """A number it does not know."""

    def __init__(self) -> None:
        self.grants = Grants()
        self.calls_left = 1_000_000
        self.ids: set[str] = set()
        self.asked_about: Counter[str] = Counter()

    def about(self, number: str, unknown: Told) -> Told:
        """The sample of that number, else what the carrier says of a number it does not know."""
        name = self.name_of(number)
        return unknown if name is None else self.sample(name)

    def name_of(self, number: str) -> str | None:
        """The sample of that number, which is asked about now."""
        self.asked_about[number] += 1
        return self.known().get(number)

    @classmethod
    def known(cls) -> Mapping[str, str]:
        """Samples' names by their parcels' numbers, as a carrier prints them."""
        return {plain(expectation(cls.code, one)["item"]["number"]): one for one in cls.parcels}

    def sample(self, name: str, number: str = "") -> Told:
        """A golden sample with the status it came with, about another number if one is given."""
        body, asked = sample_path(self.code, name).read_bytes(), expectation(self.code, name)
        if number:
            body = body.replace(plain(asked["item"]["number"]).encode(), number.encode())
        return Told(asked["status"], body)

    def wants(self, condition: bool, refusal: Told) -> None:
        """Refuse in the carrier's words unless ``condition`` holds."""
        if not condition:
            raise Refusing(refusal)

    def spend(self) -> None:
        """One of the calls a customer has; without any the carrier says so."""
        self.wants(self.calls_left > 0, self.over_quota())
        self.calls_left -= 1

    def over_quota(self) -> Told:
        """429 with the seconds to wait, where the carrier has no other form."""
        return Told(429, b"", {"Retry-After": "7"})

    def fresh(self, name: str, told: str) -> bool:
        """Whether an id that must be another each time was not seen before."""
        seen = f"{name} {told}" in self.ids
        self.ids.add(f"{name} {told}")
        return bool(told) and not seen

    def doors(self) -> "list[tuple[str, str, re.Pattern[str], Callable[[Asked], Told]]]":
        marked = [getattr(self, name) for name in dir(type(self))]
        return [(*vars(one.__func__)["door"], one) for one in marked if _is_door(one)]


def plain(number: str) -> str:
    """A number as carriers want it: no blanks, capitals."""
    return number.replace(" ", "").upper()


@cache
def sample_path(code: str, name: str) -> Path:
    (path,) = (
        one
        for one in (SAMPLES / code / "samples").glob(f"{name}.*")
        if not one.name.endswith(".expected.json")
    )
    return path


@cache
def expectation(code: str, name: str) -> Any:
    """What was asked about in a sample, and what it holds."""
    return json.loads((SAMPLES / code / "samples" / f"{name}.expected.json").read_bytes())


def text(status: int, told: object) -> Told:
    """An answer in JSON."""
    return Told(status, json.dumps(told).encode())


def bearer_token(token: str, **more: object) -> Told:
    """An access token as RFC 6749 has it."""
    told = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **more}
    return text(200, told)


def oauth_error(status: int, error: str) -> Told:
    return text(status, {"error": error, "error_description": "no"})


def in_batches(numbers: Sequence[str], most: int) -> bool:
    return 0 < len(numbers) <= most and len(set(numbers)) == len(numbers)


def _is_door(one: object) -> bool:
    return "door" in vars(getattr(one, "__func__", object)) if callable(one) else False
