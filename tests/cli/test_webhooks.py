"""``milepost webhook``: adding, trying, the log, replays, pause and resume from a terminal."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.typed import Terminal, terminal
from tests.notifications.conftest import renderer, secret_keys, town
from tests.notifications.receiver import Receiver, receiving
from tests.notifications.subscriber import Subscriber, broken
from tests.notifications.test_deliver import deliverer, drain, journeys
from tests.notifications.town import Town

from milepost.cli import webhooks
from milepost.db.pool import Pool
from milepost.errors import ConfigurationError
from milepost.notifications import trial

FIXTURES = (renderer, secret_keys, town)


@pytest.fixture
async def shop() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: int) -> Terminal:
    assert account
    monkeypatch.setenv("MILEPOST_EGRESS_ALLOW", "127.0.0.0/8:*")
    return terminal(monkeypatch, dsn, tmp_path, [webhooks])


def signature(key: str, body: bytes) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("more", [(), ("--classic", "--name", "Blue shop")])
async def test_what_is_added_is_tried_and_signed_with_the_key_that_was_shown(
    typed: Terminal, shop: Receiver, admin_pool: Pool, more: tuple[str, ...]
) -> None:
    made = await typed.told("webhook", "add", shop.url, *more)
    which = str(made["connection_id"])
    tried = await typed.result("webhook", "test", which)
    assert "thanks" in tried.output
    ((headers, body),) = shop.got
    assert headers["Sendcloud-Signature"] == signature(made["signing_key"], body)
    (listed,) = await typed.told("webhook", "list")
    assert listed["kind"] == ("integration" if more else "webhook")
    assert (listed["connection_id"], listed["state"]) == (which, "open")
    audit = await admin_pool.fetch("SELECT detail::text FROM audit")
    for told in (tried.output, (await typed.result("webhook", "list")).output, str(audit)):
        assert made["signing_key"] not in told
    with pytest.raises(ConfigurationError, match="only one test at a time"):
        await typed.result("webhook", "test", which)


@pytest.mark.parametrize("more", [(), ("--classic",)])
async def test_a_key_of_ones_own_is_read_and_never_typed(
    typed: Terminal, shop: Receiver, more: tuple[str, ...]
) -> None:
    own = b"the old secret of 16 or more\n"
    made = await typed.told("webhook", "add", shop.url, *more, "--own-key", typed=own)
    which = str(made["connection_id"])
    assert made["signing_key"] == own.decode().strip()
    await typed.result("webhook", "test", which)
    headers, body = shop.got[-1]
    assert headers["Sendcloud-Signature"] == signature(made["signing_key"], body)
    after = await typed.told("webhook", "key", which)
    assert after["signing_key"] != made["signing_key"]
    assert after["former_key_until"]
    back = await typed.told("webhook", "key", which, "--own-key", typed=own)
    assert back["signing_key"] == made["signing_key"]
    with pytest.raises(ConfigurationError, match="16 to 256 characters"):
        await typed.result("webhook", "add", shop.url, "--own-key", typed=b"short\n")
    with pytest.raises(ConfigurationError, match="no connection 77"):
        await typed.result("webhook", "key", "77")
    assert len(await typed.told("webhook", "list")) == 1


async def test_a_test_that_does_not_arrive_says_so(
    typed: Terminal, shop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.status, shop.answer = 500, "no room"
    made = await typed.told("webhook", "add", shop.url)
    which = str(made["connection_id"])
    tried = await typed.result("webhook", "test", which)
    assert tried.exit_code == 1
    assert "did not arrive" in tried.output
    assert "no room" in tried.output
    monkeypatch.setattr(trial, "EVERY_SECONDS", 0)
    told = await typed.told("webhook", "test", which, code=1)
    assert told == {"success": False, "status_code": 500, "response_body": "no room"}


async def test_every_filter_of_the_api_can_be_typed(
    typed: Terminal, shop: Receiver, town: Town
) -> None:
    asked = ("--phase", "sorted", "--phase", "pup", "--exception", "damaged")
    carriers = ("--carrier", "postnl", "--status-changes")
    await typed.told("webhook", "add", shop.url, *asked, *carriers)
    ((kept,),) = await town.rows("SELECT filters::text FROM subscription WHERE account_id = $1")
    assert json.loads(kept) == {
        "phases": ["pup", "sorted"],
        "exceptions": ["damaged"],
        "carriers": ["postnl"],
        "status_changes": True,
    }


async def test_the_log_is_shown_and_told_again(typed: Terminal, town: Town, shop: Receiver) -> None:
    made = await typed.told("webhook", "add", shop.url)
    which = str(made["connection_id"])
    assert "Nothing was told." in (await typed.result("webhook", "log", which)).output
    parcels = await journeys(town, 2)
    await drain(town, deliverer(town, Subscriber(broken)))
    rows: list[dict[str, Any]] = await typed.told("webhook", "log", which, "--state", "failed")
    assert len(rows) == 8
    table = (await typed.result("webhook", "log", which, "--parcel", str(parcels[0]))).output
    assert table.count("it answered 500") == 4
    one = (await typed.result("webhook", "log", "--delivery", rows[0]["delivery_id"])).output
    assert one.count("refused") == 6
    assert f"webhook-id: {rows[0]['event_id']}\n" in one
    paused = await typed.told("webhook", "pause", which)
    assert paused["state"] == "paused"
    again = ("webhook", "replay", which, "--since", "2026-01-01", "--state", "failed")
    assert await typed.told(*again) == {"replayed": 8}
    subscriber = Subscriber()
    worker = deliverer(town, subscriber)
    assert await drain(town, worker) == 0
    assert "open" in (await typed.result("webhook", "resume", which)).output
    await drain(town, worker)
    assert all(subscriber.of(parcel) == [1, 2, 3, 4] for parcel in parcels)
    last = ("webhook", "replay", "--delivery", rows[0]["delivery_id"])
    assert await typed.told(*last) == {"replayed": 1}
    assert await drain(town, worker) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "ftp://x.example"), "Enter a valid URL"),
        (("add", "http://10.0.0.1/"), "Enter a valid URL"),
        (("add", "https://93.184.216.34/", "--phase", "flying"), "^phases: .*not a valid choice"),
        (("add", "https://93.184.216.34/", "--exception", "bored"), "^exceptions: "),
        (("add", "https://93.184.216.34/", "--carrier", "nobody"), "no carrier"),
        (("add", "https://93.184.216.34/", "--classic", "--phase", "sorted"), "no filters"),
        (("pause", "77"), "no connection 77 in this account"),
        (("test", "77"), "no connection 77 in this account"),
        (("log", "77"), "no connection 77 in this account"),
        (("log", "--delivery", "77"), "no delivery 77 in this account"),
        (("replay", "77", "--since", "2026-01-01"), "no connection 77 in this account"),
        (("list", "--account", "nobody"), "no account nobody"),
        (("log",), "which connection"),
        (("log", "1", "--state", "gone"), "--state is one of"),
        (("replay", "1"), "--since"),
        (("replay", "1", "--since", "today"), "--since: Not an ISO"),
        (("replay", "--delivery", "77"), "no delivery 77 in this account"),
    ],
)
async def test_what_is_asked_wrongly_is_one_line(
    typed: Terminal, words: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        await typed.result("webhook", *words)
