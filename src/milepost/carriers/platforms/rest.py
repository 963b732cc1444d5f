"""One HTTP request for a parcel or several, answered with a document, be it JSON or XML."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

from milepost.carriers.connector import Broken, Credential, Item, Outcome, Refused
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.platforms.all_at_once import all_at_once
from milepost.carriers.platforms.one_by_one import one_by_one
from milepost.carriers.platforms.refusals import refusal_of
from milepost.carriers.rereading import Reread
from milepost.carriers.tokens import Tokens
from milepost.errors import CarrierParseError

Document = TypeVar("Document")


def bearing(request: Request, token: str) -> Request:
    """The request with a token as most want it (RFC 6750)."""
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


@dataclass(frozen=True, slots=True)
class Rest(ABC, Generic[Document]):
    """A connector made of two functions: what to ask, and what a document says.

    ``read`` gets the document of a 200 and may raise CarrierParseError. ``not_found`` tells whether
    the document of a 404 is the carrier's own "unknown number" and what to make of it: a proxy
    answers 404 too, and that says nothing about a parcel. ``unknown_statuses`` are those with which
    the carrier tells an unknown number, ``read_statuses`` those of an answer. A carrier without
    ``not_found`` tells an unknown number in an answer: a 404 is none of its own. With ``tokens``
    each request carries one, as ``carrying`` puts it there. With ``batch`` several are asked about
    in one question, and each reads its own part of the answer; one alone is still asked about with
    ``request``. ``reread`` is for readings that code and text alone don't give.
    """

    form: ClassVar[str]
    """What an answer is written in, as the log names it."""

    request: Callable[[Item, Credential], Request]
    read: Callable[[Document, Item], Outcome]
    not_found: Callable[[Document, Item], Outcome] | None = None
    tokens: Tokens | None = None
    unknown_statuses: frozenset[int] = frozenset({404})
    read_statuses: frozenset[int] = frozenset({200})
    batch: Callable[[Sequence[Item], Credential], Request] | None = None
    carrying: Callable[[Request, str], Request] = bearing
    reread: Reread | None = None

    @abstractmethod
    def document(self, body: bytes) -> Document:
        """The document in ``body``. Raises CarrierParseError when it is none."""

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask in one question where the carrier has one for several, else one by one."""

        async def fetch(make: Callable[[], Request]) -> Answer | Refused | Broken:
            if self.tokens is None:
                return await carrier.fetch(make())
            # Built anew for each try: some carriers want an id with every request.
            return await self.tokens.fetch(
                carrier, credential, lambda token: self.carrying(make(), token)
            )

        batch = self.batch
        if batch is not None and len(items) > 1:
            told = await all_at_once(
                items, lambda several: fetch(lambda: batch(several, credential)), self.outcomes
            )
            if told is not None:
                return told
        return await one_by_one(
            items, lambda item: fetch(lambda: self.request(item, credential)), self.outcome
        )

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``. Pure; no answer makes it raise."""
        return self.outcomes([item], answer)[item]

    def outcomes(self, items: Sequence[Item], answer: Answer) -> Mapping[Item, Outcome]:
        """What one answer, which is taken apart once, says about each of ``items``."""
        answered = answer.status in self.read_statuses
        read = self.read if answered else self.not_found
        if read is None or not (answered or answer.status in self.unknown_statuses):
            return dict.fromkeys(items, refusal_of(answer))
        try:
            document = self.document(answer.body)
        except CarrierParseError:
            return dict.fromkeys(items, self.no_document(answer))
        return {item: _read_with_care(read, document, item) for item in items}

    def no_document(self, answer: Answer) -> Outcome:
        """What another form means: a proxy's or a maintenance page, which everybody gets."""
        return Broken(f"answered {answer.status} and no {self.form}")


def _read_with_care(
    read: Callable[[Document, Item], Outcome], document: Document, item: Item
) -> Outcome:
    try:
        return read(document, item)
    except CarrierParseError as error:
        return Broken(f"unreadable: {error}", lane_wide=False)
