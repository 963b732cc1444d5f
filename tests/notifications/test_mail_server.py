"""What mail servers answer, refuse and break, and what becomes of letters then."""

import asyncio
import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.cli.certificates import self_signed
from tests.notifications.mail_town import (
    ADA,
    SOON,
    Mailing,
    Post,
    PostOffice,
    delivered,
    post_office,
    text_of,
    writing,
)
from tests.notifications.town import Town

from milepost.accounts.secret_keys import SecretKeys
from milepost.notifications.deliver import Deliverer
from milepost.notifications.forms import Kind
from milepost.notifications.mail import Letters
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms


async def test_later_means_again_and_no_means_no(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    answers = {"grey@recipient.example": ["451 later", "250 OK"]}

    def says(address: str) -> str:
        if address.startswith("gone"):
            return "550 no such <gone@recipient.example>"
        return answers[address].pop(0) if answers.get(address) else "250 OK"

    office.says = says
    for name in ("gone", "grey", "ada"):
        await delivered(town, to={**ADA, "email": f"{name}@recipient.example"})
    post = mailing()
    await post.go(3)
    assert sorted(to for to, _ in office.got) == ["ada@recipient.example", "grey@recipient.example"]
    assert await post.states() == [("failed", 1), ("delivered", 2), ("delivered", 1)]
    assert await post.log() == [
        ("rejected", 550, "the mail server answered 550 (recipient)"),
        ("refused", 451, "the mail server answered 451 (recipient)"),
        ("delivered", 250, ""),
        ("delivered", 250, ""),
    ]
    assert await post.lane() == ("open", 0, False)


async def test_bad_recipients_do_no_harm_to_the_others(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    office.says = lambda address: "550 no" if address.startswith("x") else "250 OK"
    for nth in range(7):
        await delivered(town, to={**ADA, "email": f"x{nth}@recipient.example"})
    await delivered(town)
    post = mailing(terms=Terms(event_pauses=(0.0,) * 5, patience=Rules(failures=2)))
    await post.go()
    assert [to for to, _ in office.got] == ["ada@recipient.example"]
    assert await post.lane() == ("open", 0, False)


async def test_a_letter_the_server_takes_in_no_form_fails_at_once(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    office.to_content = "554 looks like spam"
    await delivered(town)
    post = mailing()
    await post.go(2)
    assert await post.states() == [("failed", 1)]


async def test_a_connection_that_breaks_in_the_letter_brings_it_twice_under_one_id(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    office.drops = 1
    await delivered(town)
    post = mailing()
    await post.go(2)
    first, second = (letter["Message-ID"] for _, letter in office.got)
    assert first == second
    assert await post.states() == [("delivered", 2)]
    assert (await post.log())[0][0] == "failed"


async def test_a_server_that_hung_up_between_letters_is_called_again(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    post = mailing()
    await delivered(town)
    await post.go()
    open_ = post.client._open
    assert open_ is not None
    assert open_.transport is not None
    open_.transport.close()
    await delivered(town)
    await post.go()
    assert await post.states() == [("delivered", 1)] * 2
    assert office.connections == 2


async def test_nobody_waits_for_a_server_that_says_nothing(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(3600), "127.0.0.1", 0)
    url = SecretStr(f"smtp://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    await writing(town)
    await delivered(town)
    post = mailing(seconds=0.2, smtp_url=url, terms=Terms())
    await post.go()
    ((outcome, status, reason),) = await post.log()
    assert (outcome, status) == ("failed", None)
    assert "no answer within" in reason
    silent.close()


async def test_while_a_server_rests_no_attempt_is_used(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    await delivered(town)
    post = mailing()
    post.client._rests_until = float("inf")
    await post.go()
    assert office.got == []
    assert await post.states() == [("pending", 0)]


@pytest.mark.parametrize("offered", [True, False])
async def test_letters_go_over_tls_or_not_at_all(
    town: Town, mailing: Mailing, office: PostOffice, offered: bool, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate, key)
    await writing(town)
    await delivered(town)
    async with post_office(PostOffice(), theirs if offered else None) as other:
        url = SecretStr(f"smtp://localhost:{other.port}")
        known = ssl.create_default_context(cafile=str(certificate))
        post = mailing(known, smtp_url=url, smtp_tls="required")
        await post.go()
        assert len(other.got) == offered
        if not offered:
            assert await post.lane() == ("open", 1, True), "the operator has to do something"
            assert await post.states() == [("pending", 0)]


async def test_a_certificate_of_nobody_is_not_believed(
    town: Town, mailing: Mailing, tmp_path: Path
) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(*self_signed(tmp_path))
    await writing(town)
    await delivered(town)
    async with post_office(PostOffice(), theirs) as other:
        url = SecretStr(f"smtp://localhost:{other.port}")
        post = mailing(smtp_url=url, smtp_tls="when_offered")
        await post.go()
        assert other.got == []
        assert "TLS failed" in (await post.log())[0][2]


@pytest.mark.parametrize("password", ["right", "wrong"])
async def test_a_login(town: Town, mailing: Mailing, password: str) -> None:
    await writing(town)
    await delivered(town)
    handler = PostOffice()
    more = {"authenticator": handler.authenticate, "auth_require_tls": False}
    async with post_office(handler, None, **more) as other:
        post = mailing(smtp_url=SecretStr(f"smtp://me:{password}@127.0.0.1:{other.port}"))
        await post.go()
        assert other.logins[0] == password.encode()
        assert len(other.got) == (password == "right")
        if password == "wrong":
            assert await post.lane() == ("open", 1, True)
            assert await post.states() == [("pending", 0)]


async def test_an_international_address_goes_where_it_is_taken(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    jose = {**ADA, "name": "José", "email": "josé@bücher.example"}
    await delivered(town, to=jose)
    post = mailing()
    await post.go()
    assert await post.log() == [
        ("rejected", None, "the mail server takes no international addresses (SMTPUTF8)")
    ]
    async with post_office(PostOffice(), enable_SMTPUTF8=True) as other:
        await delivered(town, to=jose)
        await mailing(smtp_url=SecretStr(f"smtp://127.0.0.1:{other.port}")).go()
        ((to, letter),) = other.got
        assert to == "josé@xn--bcher-kva.example"
        assert "Hello José," in text_of(letter)
    # A domain alone needs nothing of the server.
    await delivered(town, to={**ADA, "email": "ada@bücher.example"})
    await mailing().go()
    assert [to for to, _ in office.got] == ["ada@xn--bcher-kva.example"]


async def test_without_a_mail_server_letters_wait(town: Town, secret_keys: SecretKeys) -> None:
    await writing(town)
    await delivered(town)
    await Post(town, secret_keys, None, None, SOON).fan_out()  # type: ignore[arg-type]
    worker = Deliverer(town.pool, {Kind.EMAIL: Letters(town.pool, secret_keys, None)}, SOON)
    for lane in await worker.due(10):
        await worker.work(lane)
    found = await town.rows("SELECT state, reason FROM delivery_lane WHERE account_id = $1")
    assert found == [("open", "no mail server is set: MILEPOST_SMTP_URL")]
