"""What a letter says, whatever a stranger has typed, and to which addresses it may go."""

import email
import email.policy
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.errors import ConfigurationError, InvalidInput
from milepost.notifications.emails import choice_of
from milepost.notifications.letter import Letter, readable
from milepost.notifications.mail_address import mail_address
from milepost.notifications.mail_server import MailServer
from milepost.notifications.patience import Health, Rules, after
from milepost.notifications.rendering import Stationery, write
from milepost.notifications.schedule import after as state_after
from milepost.notifications.verdict import Judged, Verdict
from milepost.settings import Settings

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LINK = "https://parcels.example/unsubscribe/mpu_1_" + "0a" * 48
STATIONERY = Stationery(Address("", "tracking", "shop.example"), "Bakery Ada", None)
HOSTILE = (
    "Ada\r\nBcc: evil@attacker.example",
    "Ada\n\nA body of my own",
    "Ada\u202e\u2066evil",
    "Ada\x00\x1b[31m",
    "=?utf-8?q?=0D=0ABcc:_evil@attacker.example?=",
    "<script>alert(1)</script>\"'&",
    "$sentence ${shop}",
    "x" * 5000,
    "Ada\u2028Bcc: evil@attacker.example\x0bBcc: x",
    "Ada <evil@attacker.example>, other@attacker.example",
    "\ud800lone",
)


def letter(**more: object) -> Letter:
    told: dict[str, object] = {
        "to": "ada@recipient.example",
        "name": "Ada",
        "sentence": "Parcel has been delivered",
        "happened_at": NOW,
        "said_at": "2 March 2026, 12:00 (UTC)",
        "place": "Utrecht, NL",
        "by_carrier": True,
        "carrier": "DHL",
        "tracking_number": "JVGL1",
        "tracking_url": "https://www.dhl.com/track?a=1&b=2",
        "is_return": False,
    }
    return Letter(**told | more)  # type: ignore[arg-type]


def sent(one: Letter, stationery: Stationery = STATIONERY) -> tuple[EmailMessage, bytes]:
    to = mail_address(one.to)
    assert to is not None
    content = write(one, to, stationery, "<1.1-letter@shop.example>", LINK, NOW).content
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message, content


def parts(message: EmailMessage) -> tuple[str, str]:
    plain, page = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert page is not None
    return plain.get_content(), page.get_content()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_stranger_makes_a_header_or_a_tag(text: str) -> None:
    words = readable(text)
    one = letter(name=words, carrier=words, tracking_number=words, place=words)
    message, content = sent(one, Stationery(STATIONERY.sender, words, None))
    expected = ["Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "From", "To", "Subject"]
    expected += ["Date", "Auto-Submitted", "MIME-Version", "Content-Type"]
    assert message.keys() == expected
    assert message["To"] == "ada@recipient.example"
    assert message["From"].addresses[0].addr_spec == "tracking@shop.example"
    assert len(message["From"].addresses) == 1
    assert not message.defects
    plain, page = parts(message)
    assert "<script" not in page
    for shown in (plain, page, str(message["Subject"])):
        assert not {"\u202e", "\u2066", "\x00", "\x1b", "\u2028", "\ud800"} & set(shown)
    assert b"\nBcc:" not in content
    assert max(map(len, content.split(b"\r\n"))) < 998


@given(st.text(max_size=300))
def test_readable_text_is_one_short_line(text: str) -> None:
    shown = readable(text)
    assert len(shown) <= 100
    assert shown.isprintable()
    assert shown == shown.strip()
    assert readable(shown) == shown


def test_a_letter_says_whose_word_it_is() -> None:
    plain, page = parts(sent(letter())[0])
    assert "This is what DHL has told us." in plain
    assert "2 March 2026, 12:00 (UTC)" in page
    assert 'href="https://www.dhl.com/track?a=1&amp;b=2"' in page
    guessed = letter(by_carrier=False, said_at="", place="", sentence="Parcel is delayed", name="")
    plain, page = parts(sent(guessed)[0])
    assert "This is not a message of DHL" in plain
    assert "When" not in plain + page
    assert "Hello," in plain


def test_a_letter_is_kept_as_it_is() -> None:
    assert Letter.of(letter().kept()) == letter()


def test_nothing_is_fetched_when_a_letter_is_read() -> None:
    _, page = parts(sent(letter(tracking_url=""))[0])
    assert LINK in page
    for word in ("<img", "<link", "<script", "@import", "url(", "src="):
        assert word not in page
    assert "Follow" not in page


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ada@recipient.example", "ada@recipient.example"),
        (" Ada.Lovelace+shop@Recipient.Example ", "Ada.Lovelace+shop@recipient.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@faß.example", "ada@xn--fa-hia.example"),
        ("josé@recipient.example", "josé@recipient.example"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    ],
)
def test_addresses(text: str, read: str) -> None:
    assert str(mail_address(text)) == read


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "ada", "@", "ada@", "@recipient.example", "root@localhost", "a@b@", "ada@.x"),
        *("ada@[127.0.0.1]", "ada@127.0.0.1", "ada@recipient..example", "ada@-x.example"),
        *("ada @recipient.example", '"a b"@recipient.example', "a..b@x.example", ".a@x.example"),
        *("ada@recipient.example, b@x.example", "Ada <ada@recipient.example>", "a@x.example>"),
        *("ada@recipient.example\r\nBcc: b@x.example", "ada\r\n@x.example", "ada@x.example\n.y"),
        *(
            "ada\u202e@recipient.example",
            "ada@ｅxample.com",
            "ada@x\u200b.example",
            "a\x00@x.example",
        ),
        *("a" * 65 + "@x.example", "a@" + "b" * 64 + ".example", "a@" + "b." * 130 + "example"),
        *("ada@x。example", "ada@x.example/path", "a(b)@x.example", "a@x_y.example", "ada@x.1"),
    ],
)
def test_what_is_no_address(text: str | None) -> None:
    assert mail_address(text) is None


@given(st.text(max_size=80))
def test_no_address_holds_what_ends_a_command(text: str) -> None:
    for given_ in (text, f"{text}@x.example", f"a@{text}.example"):
        made = mail_address(given_)
        if made is not None:
            assert not set("\r\n\t <>\x00") & set(str(made))
            assert made.domain.isascii()


def test_spellings_of_one_mailbox_are_one() -> None:
    one, other = mail_address("ADA@Bücher.example"), mail_address("ada@BÜCHER.example")
    assert one is not None
    assert other is not None
    assert one.compared == other.compared


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("smtp://mail.example", ("mail.example", 587, False, "", "")),
        ("smtps://mail.example", ("mail.example", 465, True, "", "")),
        ("smtp://me%40x:p%3Aw%2F@mail.example:25/", ("mail.example", 25, False, "me@x", "p:w/")),
        ("smtp://[::1]:2525", ("::1", 2525, False, "", "")),
    ],
)
def test_mail_servers(url: str, read: tuple[object, ...]) -> None:
    made = MailServer.of(_settings(smtp_url=url))
    assert made is not None
    assert (made.host, made.port, made.implicit_tls, made.user, made.password) == read
    assert "p:w/" not in repr(made)


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_url": "http://mail.example"},
        {"smtp_url": "mail.example:25"},
        {"smtp_url": "smtp://me:s3cret@"},
        {"smtp_url": "smtp://me:s3cret@mail.example:port"},
        {"smtp_url": "smtp://me:s3cret@mail.example/path"},
        {"mail_from": ""},
        {"mail_from": "Shop"},
        {"mail_from": "josé@shop.example"},
        {"public_url": ""},
        {"public_url": "parcels.example"},
    ],
)
def test_a_mail_server_that_can_be_none_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as told:
        MailServer.of(_settings(**wrong))
    assert "MILEPOST_" in str(told.value)
    assert "s3cret" not in str(told.value)


def _settings(**more: str) -> Settings:
    whole = {
        "smtp_url": "smtp://mail.example",
        "mail_from": "Parcels <tracking@shop.example>",
        "public_url": "https://parcels.example",
    }
    return Settings(**whole | more)  # type: ignore[arg-type]


def test_without_a_mail_server_there_is_none() -> None:
    assert MailServer.of(Settings()) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"phases": []},
        {"phases": ["unknown"]},
        {"phases": ["delivered", 7]},
        {"phases": ["delivered"], "sender_name": "x" * 65},
        {"phases": ["delivered"], "sender_name": "security@bank.example"},
        {"phases": ["delivered"], "sender_name": "security\uff20bank.example"},
        {"phases": ["delivered"], "reply_to": "nobody"},
    ],
)
def test_choices_that_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        choice_of(**wrong)  # type: ignore[arg-type]


def test_a_name_is_one_line() -> None:
    assert choice_of(["pup"], " Bakery\r\n\u202eBcc: x ").sender_name == "Bakery Bcc: x"
    assert choice_of(["pup"], reply_to=" a@b\xfc.example\r\n").reply_to == "a@xn--b-eha.example"


def test_what_is_about_one_message_says_nothing_of_the_subscriber() -> None:
    ill = Health(failures=3, failing_since=NOW)
    for one in (
        Judged(Verdict.REJECTED, "no"),
        Judged(Verdict.WITHHELD, "no"),
        Judged(Verdict.REFUSED, "later", of_message=True),
    ):
        assert after(ill, [one], NOW, Rules()) == ill
    assert after(ill, [Judged(Verdict.REFUSED, "later")], NOW, Rules()).failures == 4
    resting = after(ill, [Judged(Verdict.PUT_OFF, "full", 900)], NOW, Rules())
    assert (resting.failures, resting.rest, resting.given_up) == (3, 900, False)


def test_what_becomes_of_a_delivery() -> None:
    pauses = (30.0,)
    assert state_after(Judged(Verdict.REJECTED), 1, pauses, 0.5) == ("failed", None)
    assert state_after(Judged(Verdict.WITHHELD), 1, pauses, 0.5) == ("cancelled", None)
    assert state_after(Judged(Verdict.PUT_OFF, "", 7.0), 1, pauses, 0.5) == ("pending", 7.0)
    assert state_after(Judged(Verdict.REFUSED), 1, pauses, 0.5) == ("pending", 30.0)
    assert state_after(Judged(Verdict.REFUSED), 2, pauses, 0.5) == ("failed", None)
    assert not Judged(Verdict.PUT_OFF).was_sent
    assert not Judged(Verdict.WITHHELD).was_sent
