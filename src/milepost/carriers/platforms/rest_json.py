"""The platform most carriers stand on: one HTTP request for one parcel, answered with JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from milepost.carriers.answer_tree import Tree, read_json
from milepost.carriers.connector import Broken, Credential, Found, Item, Outcome, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.errors import CarrierParseError, CarrierUnreachable

if TYPE_CHECKING:
    from milepost.carriers.fetcher import Fetcher

WAIT_AFTER_REFUSAL = 60.0
WAIT_AFTER_WRONG_CREDENTIAL = 3600.0


@dataclass(frozen=True, slots=True)
class RestJson:
    """A connector made of two functions: what to ask, and what a JSON document says.

    ``read`` gets the document of a 200 and may raise CarrierParseError. ``not_found`` tells whether
    the document of a 404 is the carrier's own "unknown number" and what to make of it: a proxy
    answers 404 too, and that says nothing about a parcel.
    """

    request: Callable[[Item, Credential], Request]
    read: Callable[[Tree, Item], Outcome]
    not_found: Callable[[Tree, Item], Outcome]

    async def ask(
        self, items: Sequence[Item], credential: Credential, fetcher: "Fetcher"
    ) -> Mapping[Item, Outcome]:
        """Ask one by one; after a refusal that concerns all, the rest is not asked."""
        outcomes: dict[Item, Outcome] = {}
        for item in items:
            outcomes[item] = outcome = await self._ask_one(item, credential, fetcher)
            if isinstance(outcome, Refused) or (isinstance(outcome, Broken) and outcome.lane_wide):
                return {one: outcomes.get(one, outcome) for one in items}
        return outcomes

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``. Pure; no answer makes it raise."""
        match answer.status:
            case 200:
                return self._outcome_of_body(self.read, item, answer)
            case 404:
                return self._outcome_of_body(self.not_found, item, answer)
            case 400 | 422:
                return Broken(f"the question was refused with {answer.status}", lane_wide=False)
            case 401 | 403:
                why = f"the credential was refused with {answer.status}"
                return Refused(WAIT_AFTER_WRONG_CREDENTIAL, why, credential_refused=True)
            case 429:
                return Refused(answer.retry_after(WAIT_AFTER_REFUSAL), "too many questions (429)")
        return Broken(f"answered {answer.status}")

    async def _ask_one(self, item: Item, credential: Credential, fetcher: "Fetcher") -> Outcome:
        try:
            answer = await fetcher.fetch(self.request(item, credential))
        except CarrierUnreachable as error:
            return Broken(str(error))
        outcome = self.outcome(item, answer)
        return replace(outcome, raw=answer.body) if isinstance(outcome, Found) else outcome

    def _outcome_of_body(
        self, read: Callable[[Tree, Item], Outcome], item: Item, answer: Answer
    ) -> Outcome:
        try:
            document = read_json(answer.body)
        except CarrierParseError:
            # Not even JSON: a proxy's or a maintenance page, which everybody gets.
            return Broken(f"answered {answer.status} and no JSON")
        try:
            return read(document, item)
        except CarrierParseError as error:
            return Broken(f"unreadable: {error}", lane_wide=False)
