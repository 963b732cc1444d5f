"""The door: who has no key hears so in the form of the API, before anything is read."""

import base64
import gc
from typing import Any

import pytest

from milepost.accounts import keys as accounts
from milepost.accounts.budget import Budgets
from milepost.accounts.gatekeeper import Gatekeeper
from milepost.accounts.secret_keys import SecretKeys
from milepost.api.authentication import ADMITTED, Door
from milepost.api.guard import Guard
from milepost.api.rate_limits import MOST_REMEMBERED, RecentRequests
from milepost.db.pool import Pool
from milepost.errors import TooManyRequests
from milepost.settings import Settings

from .asgi import App, call

KEYS = SecretKeys((b"k" * 32,))
V3, V2 = "/api/v3/parcels/tracking/A", "/api/v2/tracking/A"


async def behind(scope: Any, _receive: Any, send: Any) -> None:
    """An app that says who is calling."""
    admitted = scope.get(ADMITTED)
    name = admitted.caller.account_name if admitted else "nobody"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": name.encode()})


@pytest.fixture
def app(app_pool: Pool, settings: Settings) -> App:
    door = Door(Gatekeeper(app_pool, KEYS), Budgets(app_pool))
    return Guard(behind, door, settings)


@pytest.fixture
async def basic(admin_pool: Pool, account: int) -> str:
    new = await accounts.create_key(admin_pool, KEYS, account)
    pair = f"{new.key.public_key}:{new.secret_key}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


async def test_callers_come_in_and_hear_of_their_budget(app: App, basic: str) -> None:
    read = await call(app, "GET", V3, headers={"Authorization": basic})
    assert read.status == 200
    assert read.body.startswith(b"account")
    assert read.header("ratelimit-limit") == "1000"
    assert read.header("ratelimit-remaining") == "999"
    assert 58 <= int(read.header("ratelimit-reset") or 0) <= 61
    write = await call(app, "POST", V3, headers={"Authorization": basic})
    assert write.header("ratelimit-limit") == "100"


async def test_open_paths_need_nobody(app: App) -> None:
    assert (await call(app, "GET", "/healthz")).body == b"nobody"


async def test_strangers_hear_so_in_the_form_of_the_api(app: App, basic: str) -> None:
    none = await call(app, "POST", V3)
    assert none.status == 401
    assert none.header("www-authenticate") == 'Basic realm="api"'
    assert none.json["errors"][0]["detail"] == "Authentication credentials were not provided."
    wrong = await call(app, "GET", V2, headers={"Authorization": "Basic YTpi"})
    assert wrong.json["error"]["message"] == "Invalid username/password."
    twice = [("authorization", basic), ("authorization", basic)]
    assert (await call(app, "GET", V3, headers=twice)).status == 401
    head = await call(app, "HEAD", V3)
    assert head.status == 401
    assert (await call(app, "GET", "/api/nowhere")).status == 401


async def test_the_suspended_hear_403(app: App, basic: str, admin_pool: Pool, account: int) -> None:
    await accounts.set_suspended(admin_pool, account, True)
    answer = await call(app, "GET", V3, headers={"Authorization": basic})
    assert answer.status == 403
    assert answer.json["errors"][0]["code"] == "forbidden"


async def test_refusals_leave_nothing_to_the_garbage_collector(
    app: App, basic: str, admin_pool: Pool, account: int
) -> None:
    """It stops everybody while it clears away what one account's flood has left."""
    await accounts.set_limits(admin_pool, account, writes=1)
    headers = {"Authorization": basic}
    for _ in range(3):
        await call(app, "POST", V3, headers=headers)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            assert (await call(app, "POST", V3, headers=headers)).status == 429
            assert (
                await call(app, "GET", V3, headers={"Authorization": "Basic YTpi"})
            ).status == 401
        left = gc.collect()
    finally:
        gc.enable()
    assert left < 10, f"{left} objects of 40 refusals"


async def test_over_budget_is_429_and_empty(
    app: App, basic: str, admin_pool: Pool, account: int
) -> None:
    await accounts.set_limits(admin_pool, account, reads=2)
    answers = [await call(app, "GET", V2, headers={"Authorization": basic}) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].body == b""
    assert 58 <= int(answers[2].header("retry-after") or 0) <= 61
    assert answers[2].header("ratelimit-limit") == "2"
    assert answers[2].header("ratelimit-remaining") == "0"


async def test_no_limit_says_nothing(app: App, basic: str, admin_pool: Pool, account: int) -> None:
    await accounts.set_limits(admin_pool, account, reads=0)
    answer = await call(app, "GET", V2, headers={"Authorization": basic})
    assert answer.status == 200
    assert answer.header("ratelimit-limit") is None


def test_local_limits_slide_and_stay_small() -> None:
    now = 0.0
    recent = RecentRequests(2, 10, clock=lambda: now)
    recent.count("a")
    now = 4.0
    recent.count("a")
    with pytest.raises(TooManyRequests) as caught:
        recent.count("a")
    assert caught.value.retry_after == 6
    recent.count("b")
    now = 10.0
    recent.count("a")
    for number in range(MOST_REMEMBERED + 10):
        recent.count(number)
    assert len(recent._seen) == MOST_REMEMBERED
