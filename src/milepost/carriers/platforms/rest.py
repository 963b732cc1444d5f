"""One HTTP request for one parcel, answered with a document: what JSON and XML have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

from milepost.carriers.connector import Broken, Credential, Item, Outcome, Refused
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.platforms.one_by_one import one_by_one
from milepost.carriers.platforms.refusals import refusal_of
from milepost.carriers.tokens import Tokens
from milepost.errors import CarrierParseError

Document = TypeVar("Document")


@dataclass(frozen=True, slots=True)
class Rest(ABC, Generic[Document]):
    """A connector made of two functions: what to ask, and what a document says.

    ``read`` gets the document of a 200 and may raise CarrierParseError. ``not_found`` tells whether
    the document of a 404 is the carrier's own "unknown number" and what to make of it: a proxy
    answers 404 too, and that says nothing about a parcel. With ``tokens`` each request carries one
    as its bearer. ``unknown_statuses`` are those with which the carrier tells an unknown number.
    """

    form: ClassVar[str]
    """What an answer is written in, as the log names it."""

    request: Callable[[Item, Credential], Request]
    read: Callable[[Document, Item], Outcome]
    not_found: Callable[[Document, Item], Outcome]
    tokens: Tokens | None = None
    unknown_statuses: frozenset[int] = frozenset({404})

    @abstractmethod
    def document(self, body: bytes) -> Document:
        """The document in ``body``. Raises CarrierParseError when it is none."""

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask one by one; after a refusal that concerns all, the rest is not asked."""

        async def fetch(item: Item) -> Answer | Refused | Broken:
            if self.tokens is None:
                return await carrier.fetch(self.request(item, credential))
            # Built anew for each try: some carriers want an id with every request.
            return await self.tokens.fetch(
                carrier, credential, lambda token: _bearing(self.request(item, credential), token)
            )

        return await one_by_one(items, fetch, self.outcome)

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``. Pure; no answer makes it raise."""
        if answer.status == 200:
            return self._outcome_of_body(self.read, item, answer)
        if answer.status in self.unknown_statuses:
            return self._outcome_of_body(self.not_found, item, answer)
        return refusal_of(answer)

    def _outcome_of_body(
        self, read: Callable[[Document, Item], Outcome], item: Item, answer: Answer
    ) -> Outcome:
        try:
            document = self.document(answer.body)
        except CarrierParseError:
            # Not even that: a proxy's or a maintenance page, which everybody gets.
            return Broken(f"answered {answer.status} and no {self.form}")
        try:
            return read(document, item)
        except CarrierParseError as error:
            return Broken(f"unreadable: {error}", lane_wide=False)


def _bearing(request: Request, token: str) -> Request:
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})
