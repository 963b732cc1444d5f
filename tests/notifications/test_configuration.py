"""What a changed configuration keeps of its secrets, and what has to be given again."""

from typing import Any

import pytest

from milepost.egress.policy import Policy
from milepost.notifications.configuration import Change, Configuration, changed, faults
from milepost.notifications.sealing import Secrets
from milepost.settings import Settings

POLICY = Policy.of(Settings())
SECRETS = Secrets({"token": "secret"}, {"X-Shop": "secret"})
BEFORE = Configuration("https://shop.example/hook", "bearer", secrets=SECRETS)
AGAIN: dict[str, Any] = {"auth_config": {"token": "again"}, "extra_headers": {"X-Shop": "again"}}


def tried(before: Configuration, change: Change) -> tuple[Secrets, list[tuple[str, str]]]:
    """The secrets it would have, and what is refused of it."""
    wanted = changed(before, change, POLICY)
    wrong = faults(before, wanted, change, POLICY)
    return wanted.secrets, [("/".join(map(str, one.field)), one.kind) for one in wrong]


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/other?a=b",
        "https://SHOP.example:443/hook",
        "https://shop.example./hook",
    ],
)
def test_on_the_same_server_what_is_not_given_stays(url: str) -> None:
    assert tried(BEFORE, Change(url=url)) == (SECRETS, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/hook",
        "https://shop.example.other.example/hook",
        "https://shop.example:8443/hook",
        "http://shop.example/hook",
    ],
)
def test_another_server_is_told_no_secret_that_was_not_given_for_it(url: str) -> None:
    login = ("configuration/auth_config", "required")
    headers = ("configuration/extra_headers", "required")
    nothing = Secrets()
    assert tried(BEFORE, Change(url=url)) == (nothing, [login, headers])
    assert tried(BEFORE, Change(url=url, extra_headers={}))[1] == [login]
    secrets, wrong = tried(BEFORE, Change(url=url, auth_type="none", extra_headers={}))
    assert (secrets, wrong) == (nothing, [])
    assert tried(BEFORE, Change(url=url, **AGAIN)) == (Secrets(**AGAIN), [])
    hidden = Change(url=url, auth_config={"token": "again"}, extra_headers={"X-Shop": "***"})
    secrets, wrong = tried(BEFORE, hidden)
    assert wrong == [("configuration/extra_headers", "invalid")]
    assert "secret" not in str(secrets.extra_headers)


def test_half_a_login_is_not_filled_up_for_another_server() -> None:
    basic = Configuration(
        "https://shop.example/", "basic", secrets=Secrets({"username": "a", "password": "secret"})
    )
    half = Change(url="https://other.example/", auth_config={"username": "b"})
    secrets, wrong = tried(basic, half)
    assert secrets.auth_config == {"username": "b"}
    assert wrong == [("configuration/auth_config/password", "required")]
    assert tried(basic, Change(auth_config={"username": "b"}))[1] == []


def test_without_secrets_a_url_leads_where_it_likes() -> None:
    bare = Configuration("https://shop.example/")
    assert tried(bare, Change(url="http://other.example/")) == (Secrets(), [])
