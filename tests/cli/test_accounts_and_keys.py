"""``milepost account`` and ``milepost key`` as an operator types them."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from milepost import settings as settings_module
from milepost.accounts.gatekeeper import Gatekeeper, Limits
from milepost.accounts.secret_keys import SecretKeys
from milepost.cli import accounts, keys
from milepost.db.pool import Pool, tenant
from milepost.egress.policy import Policy
from milepost.errors import ConfigurationError
from milepost.notifications.integrations import Integrations
from milepost.notifications.shop import Wanted
from milepost.settings import Settings

KEY = "k" * 32
Run = Callable[..., Any]


@pytest.fixture
def run(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command on this test's database; gives the JSON it printed, or the text."""
    monkeypatch.setenv("MILEPOST_DATABASE_URL", dsn)
    monkeypatch.setenv("MILEPOST_SECRET_KEY", KEY)
    monkeypatch.setenv("MILEPOST_STATE_DIR", str(tmp_path))
    settings_module.load.cache_clear()
    app = typer.Typer()
    accounts.add_to(app)
    keys.add_to(app)

    async def run_command(*words: str) -> Any:
        def command() -> Result:
            return CliRunner().invoke(app, list(words), catch_exceptions=False)

        result = await asyncio.to_thread(command)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout) if "--json" in words else result.stdout

    return run_command


async def test_an_account_comes_with_a_key_that_works(run: Run, app_pool: Pool) -> None:
    made = await run("account", "create", "Acme [red]", "--json")
    assert set(made) == {"account_id", "name", "public_key", "secret_key"}
    gatekeeper = Gatekeeper(app_pool, SecretKeys((KEY.encode(),)))
    caller = await gatekeeper.basic(made["public_key"], made["secret_key"])
    assert caller.account_id == made["account_id"]
    table = await run("account", "list")
    assert "Acme [red]" in table
    assert made["secret_key"] not in table


async def test_limits_and_suspension_are_shown_as_set(run: Run) -> None:
    await run("account", "create", "acme")
    limited = await run(
        "account", "limit", "acme", "--reads", "0", "--writes", "5", "--burst", "2", "--json"
    )
    names = ("reads_per_minute", "writes_per_minute", "writes_per_second")
    assert [limited[name] for name in names] == [0, 5, 2]
    assert (await run("account", "suspend", "acme", "--json"))["status"] == "suspended"
    assert (await run("account", "suspend", "acme", "--lift", "--json"))["status"] == "active"
    [listed] = await run("account", "list", "--json")
    assert listed["name"] == "acme"


async def test_keys_are_made_listed_set_and_revoked(run: Run, app_pool: Pool) -> None:
    account = await run("account", "create", "acme", "--json")
    second = await run("key", "create", "--label", "shop", "--json")
    public = second["public_key"]
    changed = await run("key", "set", public, "--v2-order", "oldest", "--json")
    assert changed["v2_order"] == "oldest"
    gatekeeper = Gatekeeper(app_pool, SecretKeys((KEY.encode(),)))
    caller = await gatekeeper.basic(public, second["secret_key"])
    assert (caller.v2_order, caller.limits) == ("oldest", Limits(1000, 100, 15))
    assert (await run("key", "revoke", public, "--json"))["revoked_at"]
    listed = await run("key", "list", "--account", "acme", "--json")
    assert [key["public_key"] for key in listed] == [account["public_key"], public]
    assert "secret" not in json.dumps(listed)
    assert public in (await run("key", "list")).replace("\n", "")


async def test_a_key_is_bound_to_an_integration_of_its_account(run: Run, app_pool: Pool) -> None:
    secret_keys = SecretKeys((KEY.encode(),))
    made = {}
    for name in ("acme", "other"):
        account_id = (await run("account", "create", name, "--json"))["account_id"]
        shops = Integrations(secret_keys, Policy.of(Settings()))
        async with tenant(app_pool, account_id) as conn:
            kept, _ = await shops.create(conn, account_id, Wanted(shop_name="x"), None, "test")
        made[name] = str(kept.integration_id)
    mine, theirs = made["acme"], made["other"]
    bound = ("--integration", mine)
    key = await run("key", "create", "--account", "acme", *bound, "--json")
    public = key["public_key"]
    caller = await Gatekeeper(app_pool, secret_keys).basic(public, key["secret_key"])
    assert caller.integration_id == key["integration_id"] == int(mine)
    for words in (("create", "--account", "acme"), ("set", public)):
        with pytest.raises(ConfigurationError, match=f"the account has no integration {theirs}"):
            await run("key", *words, "--integration", theirs)
    for number, shown in (("0", None), (mine, int(mine))):
        changed = await run("key", "set", public, "--integration", number, "--json")
        assert changed["integration_id"] == shown


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("key", "list"), "there is no account yet"),
        (("key", "list", "--account", "nobody"), "there is no account nobody"),
        (("key", "revoke", "mp_1_x"), "there is no key mp_1_x"),
        (("account", "create", "42"), "not only digits"),
        (("account", "limit", "nobody", "--reads", "1"), "there is no account nobody"),
    ],
)
async def test_mistakes_are_one_line(run: Run, words: tuple[str, ...], line: str) -> None:
    with pytest.raises(ConfigurationError, match=line) as caught:
        await run(*words)
    assert "\n" not in str(caught.value)


async def test_which_account_must_be_said_when_there_are_two(run: Run) -> None:
    await run("account", "create", "a")
    await run("account", "create", "b")
    with pytest.raises(ConfigurationError, match="--account"):
        await run("key", "list")
    assert len(await run("key", "list", "--account", "b", "--json")) == 1
