"""``milepost email``: choosing, showing and ending letters to recipients from a terminal."""

from pathlib import Path

import pytest
from tests.cli.typed import Terminal, terminal

from milepost.cli import emails
from milepost.errors import ConfigurationError

SERVER = {
    "MILEPOST_SMTP_URL": "smtp://127.0.0.1:1",
    "MILEPOST_MAIL_FROM": "tracking@shop.example",
    "MILEPOST_PUBLIC_URL": "https://parcels.example",
}


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: int) -> Terminal:
    assert account
    for name, value in SERVER.items():
        monkeypatch.setenv(name, value)
    return terminal(monkeypatch, dsn, tmp_path, [emails])


async def test_what_is_chosen_is_shown_until_it_ends(typed: Terminal) -> None:
    assert await typed.told("email", "show") == {"is_active": False}
    assert await typed.told("email", "off") == {"is_active": False}
    asked = ("--phase", "delivered", "--phase", "pup", "--sender-name", "Bakery Ada")
    made = await typed.told("email", "set", *asked)
    assert (made["is_active"], made["phases"]) == (True, ["pup", "delivered"])
    assert await typed.told("email", "show") == made
    # Its letters are looked up by this id: milepost webhook log ID.
    assert f"connection_id  {made['connection_id']}" in (await typed.result("email", "show")).output
    assert await typed.told("email", "off") == made | {"is_active": False}
    assert "False" in (await typed.result("email", "off")).output


async def test_whoever_never_unsubscribed_is_not_written_to_anew(typed: Terminal) -> None:
    assert await typed.told("email", "resubscribe", "ada@x.example") == {"lifted": False}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--phase", "flying"), "^--phase: One of ready_to_send, "),
        (("--phase", "pup", "--sender-name", "a@b"), "^--sender-name: A name, no"),
        (("--phase", "pup", "--reply-to", "nobody"), "^--reply-to: No e-mail address"),
    ],
)
async def test_a_wrong_choice_names_the_option(
    typed: Terminal, words: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        await typed.result("email", "set", *words)
