"""Tokens of a login that has one at a time: another process may have taken it."""

import asyncio

from milepost.carriers.connector import Credential, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.oauth2 import client_tokens
from milepost.carriers.tokens import FAILURE_SECONDS, PAUSES, Tokens

LOGIN = Credential("account:1", {"client_id": "shop"})


class OneAtATime:
    """A carrier whose newest token is the only good one; another process takes one before each of
    our next ``taken`` questions."""

    def __init__(self) -> None:
        self.tokens = 0
        self.taken = 0
        self.asked = 0

    async def fetch(self, request: Request) -> Answer:
        if request.url == "token":
            self.tokens += 1
            given = self.tokens
            await asyncio.sleep(0)
            return Answer(200, body=b'{"access_token": "%d", "expires_in": "600"}' % given)
        self.asked += 1
        if self.taken:
            self.taken -= 1
            self.tokens += 1
        return Answer(200 if request.url == str(self.tokens) else 401)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def tokens(clock: Clock) -> Tokens:
    return client_tokens(lambda _: Request("token"), clock)


async def test_a_token_that_another_has_taken_is_replaced_once() -> None:
    carrier, kept = OneAtATime(), tokens(Clock())
    carrier.taken = 1
    answer = await kept.fetch(carrier, LOGIN, Request)
    assert isinstance(answer, Answer)
    assert (answer.status, carrier.tokens, carrier.asked) == (200, 3, 2)
    # A kept one as well.
    carrier.taken = 1
    answer = await kept.fetch(carrier, LOGIN, Request)
    assert isinstance(answer, Answer)
    assert (answer.status, carrier.tokens, carrier.asked) == (200, 5, 4)


async def test_who_takes_no_token_is_left_alone_ever_longer_and_believed_in_the_end() -> None:
    clock, carrier = Clock(), OneAtATime()
    kept = tokens(clock)
    for pause in PAUSES:
        carrier.taken = 9
        # Those that ask at once are one refusal.
        for told in await asyncio.gather(*(kept.fetch(carrier, LOGIN, Request) for _ in range(3))):
            assert isinstance(told, Refused)
            assert (told.retry_after, told.credential_refused) == (pause, False)
        clock.now += FAILURE_SECONDS + 1
    for _ in range(2):
        carrier.taken = 9
        answer = await kept.fetch(carrier, LOGIN, Request)
        assert isinstance(answer, Answer)
        assert answer.status == 401
    # Once it takes one, all is forgotten.
    carrier.taken = 0
    assert isinstance(await kept.fetch(carrier, LOGIN, Request), Answer)
    carrier.taken = 9
    told = await kept.fetch(carrier, LOGIN, Request)
    assert isinstance(told, Refused)
    assert told.retry_after == PAUSES[0]
