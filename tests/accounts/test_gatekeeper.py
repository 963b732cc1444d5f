"""Who gets in, and how soon that changes. Each ``Gatekeeper`` stands for a process."""

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg
import pytest

from milepost.accounts import keys as accounts
from milepost.accounts import tokens
from milepost.accounts.gatekeeper import Caller, Gatekeeper, Limits
from milepost.accounts.references import new_public_key, new_secret, new_token
from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Pool
from milepost.errors import DatabaseUnavailable, NotAllowed, NotAuthenticated

KEYS = SecretKeys((b"k" * 32,))


@pytest.fixture
async def key(admin_pool: Pool, account: int) -> accounts.NewKey:
    return await accounts.create_key(admin_pool, KEYS, account)


@pytest.fixture
def gatekeeper(app_pool: Pool) -> Gatekeeper:
    return Gatekeeper(app_pool, KEYS)


async def let_in_after(enter: Callable[[], Awaitable[Caller]], limit: float = 1) -> float:
    """After how many seconds it was last asked by somebody it let in; not asked on for long when
    that is more than ``limit``. When the answer comes is up to the machine."""
    started, last = time.monotonic(), 0.0
    while last <= limit:
        asked = time.monotonic() - started
        try:
            await enter()
        except (NotAuthenticated, NotAllowed):
            break
        last = asked
        await asyncio.sleep(0.01)
    return last


async def test_the_right_pair_gets_in(
    gatekeeper: Gatekeeper, key: accounts.NewKey, account: int
) -> None:
    caller = await gatekeeper.basic(key.key.public_key, key.secret_key)
    assert (caller.account_id, caller.key_id) == (account, key.key.key_id)
    assert caller.limits == Limits(1000, 100, 15)
    assert (caller.v2_order, caller.render_epoch) == ("newest", 1)


async def test_nobody_else_does(gatekeeper: Gatekeeper, key: accounts.NewKey, account: int) -> None:
    public = key.key.public_key
    for name, secret in (
        (public, key.secret_key + "x"),
        (public, ""),
        (public, new_secret()),
        (new_public_key(account), key.secret_key),
        (new_public_key(account + 1), key.secret_key),
        ("", ""),
        ("nonsense", key.secret_key),
        ("mp_1_\0", key.secret_key),
        (public, "\ud800"),
        ("x" * 100_000, "y"),
    ):
        with pytest.raises(NotAuthenticated, match="Invalid username/password"):
            await gatekeeper.basic(name, secret)
    for token in (new_token(account), "", key.secret_key, "mpt_1_", "eyJhbGciOiJub25lIn0.e30."):
        with pytest.raises(NotAuthenticated):
            await gatekeeper.bearer(token)


async def test_a_token_is_as_good_as_its_key(
    gatekeeper: Gatekeeper, key: accounts.NewKey, app_pool: Pool
) -> None:
    caller = await gatekeeper.basic(key.key.public_key, key.secret_key)
    token = await tokens.issue(app_pool, KEYS, caller)
    assert token.startswith("mpt_")
    assert await gatekeeper.bearer(token) == caller
    assert await gatekeeper.from_header(b"Bearer " + token.encode()) == caller


async def test_an_expired_token_is_no_good_and_is_cleared_away(
    gatekeeper: Gatekeeper, key: accounts.NewKey, app_pool: Pool, dsn: str
) -> None:
    caller = await gatekeeper.basic(key.key.public_key, key.secret_key)
    token = await tokens.issue(app_pool, KEYS, caller)
    owner = await asyncpg.connect(dsn)
    await owner.execute("UPDATE access_token SET expires_at = now() - interval '1 ms'")
    with pytest.raises(NotAuthenticated):
        await gatekeeper.bearer(token)
    await tokens.issue(app_pool, KEYS, caller)
    assert await owner.fetchval("SELECT count(*) FROM access_token") == 1
    await owner.close()


async def test_no_token_from_a_revoked_key(
    gatekeeper: Gatekeeper, key: accounts.NewKey, app_pool: Pool, admin_pool: Pool
) -> None:
    caller = await gatekeeper.basic(key.key.public_key, key.secret_key)
    await accounts.revoke_key(admin_pool, key.key.public_key)
    with pytest.raises(NotAuthenticated):
        await tokens.issue(app_pool, KEYS, caller)


@pytest.mark.promise
async def test_revoking_ends_key_and_tokens_within_a_second_in_every_process(
    key: accounts.NewKey, app_pool: Pool, admin_pool: Pool
) -> None:
    each = [Gatekeeper(app_pool, KEYS) for _ in range(3)]
    public, secret = key.key.public_key, key.secret_key
    token = await tokens.issue(app_pool, KEYS, await each[0].basic(public, secret))
    for gatekeeper in each:
        await gatekeeper.basic(public, secret)
        await gatekeeper.bearer(token)
    await accounts.revoke_key(admin_pool, public)
    lasted = await asyncio.gather(
        *(let_in_after(partial(one.basic, public, secret)) for one in each),
        *(let_in_after(partial(one.bearer, token)) for one in each),
    )
    assert max(lasted) < 1


@pytest.mark.promise
async def test_a_gatekeeper_that_believes_too_long_is_seen(
    key: accounts.NewKey, app_pool: Pool, admin_pool: Pool
) -> None:
    """The planted bug of the test above."""
    gatekeeper = Gatekeeper(app_pool, KEYS, keep_seconds=60)
    public, secret = key.key.public_key, key.secret_key
    await gatekeeper.basic(public, secret)
    await accounts.revoke_key(admin_pool, public)
    assert await let_in_after(lambda: gatekeeper.basic(public, secret)) > 1


async def test_suspending_limits_and_epochs_act_within_a_second(
    key: accounts.NewKey, gatekeeper: Gatekeeper, admin_pool: Pool, account: int
) -> None:
    public, secret = key.key.public_key, key.secret_key
    await gatekeeper.basic(public, secret)
    await accounts.set_limits(admin_pool, account, reads=5, burst=0)
    await accounts.set_v2_order(admin_pool, public, "oldest")
    await admin_pool.execute("UPDATE account SET render_epoch = render_epoch + 1")
    await asyncio.sleep(0.9)
    changed = await gatekeeper.basic(public, secret)
    assert changed.limits == Limits(5, 100, 0)
    assert (changed.v2_order, changed.render_epoch) == ("oldest", 2)
    await accounts.set_suspended(admin_pool, account, True)
    assert await let_in_after(lambda: gatekeeper.basic(public, secret)) < 1
    with pytest.raises(NotAllowed, match="suspended"):
        await gatekeeper.basic(public, secret)
    with pytest.raises(NotAuthenticated):
        await gatekeeper.basic(public, secret + "x")
    await accounts.set_suspended(admin_pool, account, False)
    await asyncio.sleep(0.9)
    await gatekeeper.basic(public, secret)


async def test_many_at_once_ask_once(key: accounts.NewKey, gatekeeper: Gatekeeper) -> None:
    asked = 0
    by_key = gatekeeper._by_key

    async def counted(public: str, secret: str) -> Caller:
        nonlocal asked
        asked += 1
        return await by_key(public, secret)

    gatekeeper._by_key = counted  # type: ignore[method-assign, assignment]
    enter = [gatekeeper.basic(key.key.public_key, key.secret_key) for _ in range(50)]
    waiting = [asyncio.ensure_future(one) for one in enter]
    await asyncio.sleep(0)
    waiting[0].cancel()
    callers = await asyncio.gather(*waiting, return_exceptions=True)
    assert asked == 1
    assert sum(isinstance(one, Caller) for one in callers) == 49
    await gatekeeper.basic(key.key.public_key, key.secret_key)
    assert asked == 1


async def test_an_outage_is_not_a_wrong_password(key: accounts.NewKey, app_pool: Pool) -> None:
    gatekeeper = Gatekeeper(app_pool, KEYS)
    await app_pool.close()
    with pytest.raises(DatabaseUnavailable):
        await gatekeeper.basic(key.key.public_key, key.secret_key)


async def test_keys_of_before_the_replaced_key_still_work(
    key: accounts.NewKey, app_pool: Pool
) -> None:
    replaced = Gatekeeper(app_pool, SecretKeys((b"n" * 32, b"k" * 32)))
    assert await replaced.basic(key.key.public_key, key.secret_key)
    with pytest.raises(NotAuthenticated):
        await Gatekeeper(app_pool, SecretKeys((b"n" * 32,))).basic(
            key.key.public_key, key.secret_key
        )


Attempt = Callable[[], Awaitable[Caller]]


async def seconds_of(attempt: Attempt) -> float:
    started = time.perf_counter()
    with pytest.raises(NotAuthenticated):
        await attempt()
    return time.perf_counter() - started


async def difference(one: Attempt, other: Attempt, alike: float = math.inf) -> float:
    """Median seconds that one takes longer than the other right beside it, each first in turn, so
    that noise hits both alike. The more noise, the more rounds: what differs stays different.
    """
    longer: list[float] = []
    for _ in range(10):
        for _ in range(50):
            longer.append(await seconds_of(one) - await seconds_of(other))
            longer.append(-await seconds_of(other) + await seconds_of(one))
        if abs(statistics.median(longer)) < alike:
            break
    return statistics.median(longer)


async def hasty() -> Caller:
    """The planted bug: an unknown key is refused before the database is asked."""
    raise NotAuthenticated


@pytest.mark.promise
@pytest.mark.parametrize("planted", [False, True])
async def test_unknown_and_wrong_cost_the_same(
    key: accounts.NewKey, gatekeeper: Gatekeeper, account: int, planted: bool
) -> None:
    """P12: an answer's time does not tell whether a key exists. They differ by less than half of
    what one question to the database takes, however quick a machine is with that."""

    def wrong() -> Awaitable[Caller]:
        return gatekeeper.basic(key.key.public_key, new_secret())

    def unknown() -> Awaitable[Caller]:
        return gatekeeper.basic(new_public_key(account), new_secret())

    alike = await difference(wrong, hasty) / 2
    assert alike > 0
    longer = await difference(hasty if planted else unknown, wrong, alike)
    assert (abs(longer) < alike) is not planted


@pytest.mark.promise
def test_a_secret_check_is_cheap() -> None:
    secret = new_secret().encode()
    started = time.process_time()
    for _ in range(2000):
        KEYS.keyed_hashes(secret)
    assert (time.process_time() - started) / 2000 < 50e-6
