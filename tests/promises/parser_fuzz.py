"""What no answer may do to a parser, and what a parser may make of no answer (P15)."""

import gc
import os
import random
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import orjson
from lxml import etree
from tests.carriers.mutations import mutated_body, strings, swollen
from tests.carriers.one_event import OneEvent, events_of, told

from milepost.carriers.connector import Broken, Found, NotFound, Outcome
from milepost.carriers.exchange import Answer
from milepost.carriers.registry import Carrier
from milepost.carriers.samples import Case, ReadsAnswers, cases, outcome_document

SLOWEST_SECONDS = 0.25
LARGEST_ANSWER = 1_048_576
MOST_GROWTH = 64 * 1024 * 1024
_KINDS: tuple[type, ...] = get_args(Outcome)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BETWEEN = re.compile(r"[\W_]+")
_KIND = re.compile(r"^[a-z]+:")
PAGES: tuple[bytes, ...] = (
    *(b"<html><body>Back soon</body></html>", b"<!DOCTYPE html><html><p>502</html>"),
    *(b"", b" ", b"null", b"[]", b"{}", b'""', b"0", b"<a/>", b"OK", b"\x00", b"\xff\xfe"),
    *(b'{"message": "no route"}', b'{"access_token": "t"}', b'{"status": 200}', b"not-found"),
)


@dataclass
class Fuzz:
    """One parser under fire: what it is fed, and what was seen."""

    carrier: Carrier
    reader: ReadsAnswers
    dice: random.Random
    seen: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self.cases = list(cases(self.carrier))
        self.events = [
            (case, event)
            for case in self.cases
            if case.expected and case.expected["kind"] == "Found"
            for event in events_of(case.body, self._reads(case))
        ]

    def feed(self) -> None:
        """One answer more, of a kind the dice choose."""
        kind = self.dice.choice(
            [self.mutated, self.one_event, self.cut, self.damaged, self.encoded]
        )
        kind()

    def mutated(self) -> None:
        """Values of other kinds anywhere, parts lost and told twice."""
        case = self.dice.choice(self.cases)
        body = mutated_body(case.body, self.dice, self.dice.choice([0.01, 0.05, 0.3]))
        self.look(case, self.dice.choice([200, 404, case.status]), body)

    def one_event(self) -> None:
        """One field of one event spoilt: nobody is told less about the others."""
        if not self.events:
            return self.mutated()
        case, event = self.dice.choice(self.events)
        self.spoil(case, event)
        return None

    def spoil(self, case: Case, event: OneEvent) -> None:
        outcome = self.look(case, case.status, event.spoilt(self.dice))
        # Where the answer as a whole is unreadable, it is asked for again: nothing is lost.
        assert isinstance(outcome, Found | Broken), outcome
        # What is told of the parcel as a whole may depend on each event.
        lost = [key for key in event.others - told(outcome) if not _KIND.match(key[0])]
        assert isinstance(outcome, Broken) or not lost, lost

    def cut(self) -> None:
        """An answer that ends early is none."""
        case = self.dice.choice(self.cases)
        body = case.body.rstrip()
        outcome = self.look(case, 200, body[: self.dice.randrange(len(body))])
        assert isinstance(outcome, Broken), outcome

    def damaged(self) -> None:
        """Some bytes lost and others in their place."""
        case = self.dice.choice(self.cases)
        place, gone = self.dice.randrange(len(case.body)), self.dice.randrange(50)
        noise = self.dice.randbytes(self.dice.randrange(20))
        self.look(case, 200, case.body[:place] + noise + case.body[place + gone :])

    def encoded(self) -> None:
        """The same letters in other bytes: read as they are, or not at all."""
        case = self.dice.choice(self.cases)
        name = self.dice.choice(["utf-16", "latin-1", "utf-8-sig", "utf-32", "cp037", "utf-7"])
        body = case.body.decode().encode(name, "replace")
        outcome = self.look(case, case.status, body)
        if isinstance(outcome, Found):
            times = {at for _, at in told(self._reads(case)(case.body))}
            assert {at for _, at in told(outcome)} <= times, (name, outcome)

    def huge(self, many: int) -> None:
        """As long as an answer may be."""
        case = self.dice.choice(self.cases)
        body = swollen(case.body, many)
        if len(body) <= LARGEST_ANSWER:
            self.look(case, 200, body)

    def pages(self) -> None:
        """What comes instead of an answer: never news, and no word about a number with a 200
        unless a sample shows that this carrier says it so."""
        case, its_own = self.cases[0], {json_or_bytes(one.body) for one in self.cases}
        for body in PAGES:
            for status in (200, 302, 401, 403, 404, 429, 500, 503):
                outcome = self.look(case, status, body)
                assert not isinstance(outcome, Found), (status, body, outcome)
                if json_or_bytes(body) not in its_own:
                    assert not isinstance(outcome, NotFound), (status, body)

    def look(self, case: Case, status: int, body: bytes) -> Outcome:
        """Read an answer and judge what every outcome must keep."""
        answer = Answer(status, {}, body)
        outcome = self.reader.outcome(case.item, answer)
        assert isinstance(outcome, _KINDS), outcome
        self.seen[type(outcome).__name__] += 1
        if len(body) > 100_000 or self.seen.total() % 10 == 0:
            self._time(lambda: self.reader.outcome(case.item, answer))
        document = orjson.dumps(outcome_document(outcome)).decode()
        assert "\\u0000" not in document, document
        if isinstance(outcome, Found):
            assert not invented(outcome, body), invented(outcome, body)
        return outcome

    def _reads(self, case: Case) -> Callable[[bytes], Outcome]:
        return lambda body: self.reader.outcome(case.item, Answer(case.status, {}, body))

    def _time(self, read: Callable[[], object]) -> None:
        """The least of a few tries: others work on this machine, too."""
        taken = SLOWEST_SECONDS
        for _ in range(5):
            begun = time.process_time()
            read()
            taken = min(taken, time.process_time() - begun)
            if taken < SLOWEST_SECONDS / 2:
                break
        self.slowest = max(self.slowest, taken)
        assert taken < SLOWEST_SECONDS, taken


def invented(found: Found, body: bytes) -> list[str]:
    """What events claim that is not in the answer: a piece of a time or of a code."""
    answer = squeezed(" ".join(texts(body)))
    pieces = []
    for scan in found.scans:
        pieces += scan.moment.stated.split()
        # A code may be put together from two fields, or turned around.
        # What we say it is the code of stands in front (``status:``).
        pieces += re.findall(r"\d+|[^\W\d_]{2,}", _KIND.sub("", scan.raw_code))
    return [piece for piece in dict.fromkeys(pieces) if squeezed(piece) not in answer]


def json_or_bytes(body: bytes) -> str | bytes:
    """Two answers that differ in blanks only are one; what is empty in any way is one, too."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.strip()
    return repr(document) if document else "nothing"


def squeezed(text: str) -> str:
    """Letters and digits alone, without accents and capitals."""
    return _BETWEEN.sub("", unicodedata.normalize("NFKD", text).casefold())


def texts(body: bytes) -> Iterator[str]:
    """Every text and number of an answer."""
    try:
        if body.lstrip()[:1] in (b"{", b"["):
            yield from strings(orjson.loads(body))
            return
        root = etree.fromstring(body)
    except (etree.XMLSyntaxError, ValueError):
        yield body.decode(errors="replace")
        return
    yield from (str(part) for part in root.itertext())
    for element in root.iter():
        yield from map(str, element.attrib.values())


def resident() -> int:
    """Bytes of memory this process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
