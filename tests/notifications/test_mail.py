"""Letters to recipients: who is told what, and when, up to a real SMTP server on loopback."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.notifications.mail_town import (
    ADA,
    PUBLIC,
    Mailing,
    PostOffice,
    delivered,
    text_of,
    writing,
)
from tests.notifications.town import Town, scan

from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Pool
from milepost.notifications.forget import forget
from milepost.notifications.unsubscribing import read, refuse
from milepost.parcels.erase import erase


async def test_the_recipient_is_told_once_with_all_that_is_known(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town, reply_to="help@bakery.example")
    parcel = await delivered(town, tracking_number="JVGL00000000000000000777")
    post = mailing()
    await post.go()
    ((to, letter),) = office.got
    assert to == "ada@recipient.example"
    assert letter["To"] == "ada@recipient.example"
    assert letter["From"] == "Bakery Ada <tracking@shop.example>"
    assert letter["Reply-To"] == "help@bakery.example"
    assert letter["Subject"] == "Bakery Ada: Parcel has been delivered"
    name = rf"<{town.account}\.{parcel}0002-letter\.\d+@shop\.example>"
    assert re.fullmatch(name, letter["Message-ID"])
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = letter["List-Unsubscribe"].strip("<>")
    assert link.startswith(f"{PUBLIC}/unsubscribe/mpu_")
    for part in (text_of(letter), text_of(letter, "html")):
        assert "Hello Ada," in part
        assert "Parcel has been delivered" in part
        assert "JVGL00000000000000000777" in part
        assert "https://www.dhl.com/" in part
        assert link in part
        assert "(UTC)" in part
    assert await post.states() == [("delivered", 1)]
    assert await post.log() == [("delivered", 250, "")]
    # Nothing is told of a status twice, whatever else is scanned.
    await town.observe(parcel, scan(1, "delivered", "again"))
    await post.go()
    assert len(office.got) == 1


async def test_from_hub_to_hub_a_parcel_is_on_its_way_once(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town, "in_transit", "in_delivery", "attempted")
    parcel = await town.register(to_address=ADA)
    post = mailing()
    for hours, says in enumerate(
        ("in_transit", "sorted", "in_transit", "in_delivery", "attempted", "in_delivery"), 1
    ):
        await town.observe(parcel, scan(20 - hours, says, f"{says}{hours}"))
        await post.go()
    assert [letter["Subject"].split(": ")[1] for _, letter in office.got] == [
        "Parcel is on its way",
        "Parcel in delivery process",
        "Delivery attempt failed",
        "Parcel in delivery process",
    ]
    assert office.connections == 1, "one connection for all letters"


async def test_too_many_letters(town: Town, mailing: Mailing, office: PostOffice) -> None:
    await no_hour_ends(town)
    await writing(town)
    for _ in range(3):
        await delivered(town)
    post = mailing(mail_recipient_daily=2)
    await post.go()
    assert len(office.got) == 2
    assert sorted(await post.states())[0][0] == "cancelled"
    assert "has had enough" in str(await post.log())
    await delivered(town, to={**ADA, "email": "other@recipient.example"})
    full = mailing(mail_account_hourly=2)
    await full.go()
    assert len(office.got) == 2
    assert (await full.states())[-1] == ("pending", 0), "it goes out when the hour is over"
    assert await full.lane() == ("open", 0, True)


async def no_hour_ends(town: Town) -> None:
    """Where one is about to, wait: with the next, counting begins anew."""
    over = "SELECT date_trunc('hour', now(), 'UTC') + interval '1 hour' - now() WHERE $1 > 0"
    left: timedelta = await town.run(over)
    if left < timedelta(seconds=30):
        await asyncio.sleep(left.total_seconds())


async def test_old_news_is_not_sent_however_long_it_waited(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    await delivered(town)
    post = mailing()
    await post.fan_out()
    later = datetime.now(UTC) + timedelta(hours=47)
    await post.go(clock=lambda: later)
    assert office.got == []
    assert await post.log() == [("withheld", None, "what it tells is older than 48 hours")]


async def test_without_an_address_nothing_is_said(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    for address in (None, "", "ada", "ada@localhost", "a b@x.example", "a@x.example\r\nBcc: b@x.y"):
        await delivered(town, to={**ADA, "email": address})
    await mailing().go()
    assert office.got == []
    assert await mailing().states() == []


async def test_a_return_is_news_for_its_sender(
    town: Town, mailing: Mailing, office: PostOffice
) -> None:
    await writing(town)
    shop = {"name": "Bakery", "country_code": "NL", "email": "desk@bakery.example"}
    await delivered(town, to=shop, from_address=ADA, details={"is_return": True})
    await mailing().go()
    ((to, letter),) = office.got
    assert to == "ada@recipient.example"
    assert "your return parcel" in text_of(letter)


async def test_erasing_takes_the_letter_and_what_came_back(
    town: Town, mailing: Mailing, office: PostOffice, capsys: pytest.CaptureFixture[str]
) -> None:
    await writing(town)
    office.says = lambda address: f"550 <{address}> unknown"
    parcel = await delivered(town)
    post = mailing()
    await post.go()
    everything = (
        "SELECT (SELECT string_agg(convert_from(body, 'UTF8'), '') FROM message"
        " WHERE account_id = $1 AND form = 'email')"
        " || (SELECT string_agg(convert_from(answer, 'UTF8') || error || request_headers, '')"
        " FROM delivery_attempt WHERE account_id = $1)"
    )
    assert "ada@recipient.example" in await town.run(everything)
    lane = await town.run("SELECT reason FROM delivery_lane WHERE account_id = $1")
    assert "recipient.example" not in lane
    await erase(town.pool, town.account, parcel, "test")
    assert await town.run(everything) is None
    told = capsys.readouterr()
    assert "ada@" not in told.out + told.err, "no log line holds an address"


async def test_counts_are_forgotten_and_refusals_are_not(
    town: Town, mailing: Mailing, office: PostOffice, secret_keys: SecretKeys, app_pool: Pool
) -> None:
    await writing(town)
    await delivered(town)
    await mailing().go()
    link = office.got[0][1]["List-Unsubscribe"].strip("<>")
    unwanted = read(secret_keys, link.rpartition("/")[2])
    assert unwanted is not None
    await refuse(app_pool, unwanted)
    await delivered(town)
    post = mailing()
    await post.go()
    assert len(office.got) == 1
    assert (await post.log())[-1] == ("withheld", None, "its recipient wants no e-mails")
    assert (await post.states())[-1] == ("cancelled", 0), "nothing was sent"
    rows = (
        "SELECT (SELECT count(*) FROM mail_count WHERE account_id = $1),"
        " (SELECT count(*) FROM mail_refusal WHERE account_id = $1)"
    )
    assert await town.rows(rows) == [(2, 1)]
    await town.run(
        "UPDATE mail_count SET counted_from = counted_from - interval '3 days'"
        " WHERE account_id = $1 RETURNING 1"
    )
    await forget(town.pool, town.account, datetime.now(UTC), 10)
    assert await town.rows(rows) == [(0, 1)]
