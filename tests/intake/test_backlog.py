"""What was pushed may wait, but not without end."""

from tests.intake.told import Told

from milepost.intake.backlog import BELIEVED_SECONDS, LOOK_SECONDS, Backlog


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_there_is_room_until_too_much_waits_and_again_once_it_is_told(told: Told) -> None:
    clock = Clock()
    backlog, unlimited = Backlog(told.pool, 100, clock), Backlog(told.pool, 0)
    account = told.account
    assert await backlog.has_room(account, 200)  # one may always
    await told.push(b"x" * 60)
    assert await unlimited.has_room(account, 10**9)
    # Believed for a while, with what came since.
    assert not await backlog.has_room(account, 50)
    clock.now += LOOK_SECONDS
    assert await backlog.has_room(account, 40)
    assert not await backlog.has_room(account, 1)
    clock.now += LOOK_SECONDS
    assert await backlog.has_room(account, 40), "what was counted and not kept is forgotten"
    assert await backlog.has_room(account + 1, 100)
    # What is kept for people is no reason to turn anybody away.
    await told.run("UPDATE push_payload SET state = 'unreadable', due_at = 'infinity'")
    clock.now += BELIEVED_SECONDS
    assert await backlog.has_room(account, 100)
