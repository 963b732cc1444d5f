"""Royal Mail's connector: what it asks, and what event names say where codes are not public."""

from typing import Any

import orjson
import pytest

from milepost.carriers.connector import Broken, Credential, Found, Item, NotFound, Outcome
from milepost.carriers.exchange import Answer
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import ReadsAnswers
from milepost.catalogue.royal_mail.connector import request

CARRIER = Catalogue.load().get("royal_mail")
assert CARRIER is not None
CONNECTOR = CARRIER.connector()
NUMBER = "WQ200000010GB"


def read(document: Any, status: int = 200) -> Outcome:
    assert isinstance(CONNECTOR, ReadsAnswers)
    return CONNECTOR.outcome(Item("1", NUMBER), Answer(status, {}, orjson.dumps(document)))


def piece(**more: Any) -> dict[str, Any]:
    return {"mailPieces": {"mailPieceId": NUMBER, "summary": {}, **more}}


def event(name: str, code: str = "EVXXX") -> dict[str, str]:
    return {"eventCode": code, "eventName": name, "eventDateTime": "2026-02-11T07:44:00+00:00"}


def test_the_question_names_the_barcode_and_carries_the_login_in_headers() -> None:
    assert CARRIER is not None
    login = Credential("operator", {"client_id": "id", "client_secret": "s3cret"})
    asked = request(CARRIER.manifest, Item("1", "wq 2000 00010 gb"), login)
    assert asked.url == f"https://api.royalmail.net/mailpieces/v2/{NUMBER}/events"
    assert asked.headers["X-IBM-Client-Id"] == "id"
    assert asked.headers["X-IBM-Client-Secret"] == "s3cret"
    assert asked.headers["X-Accept-RMG-Terms"] == "yes"


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("Sender preparing item", "announced none none"),
        ("Accepted at Post Office", "accepted none none"),
        ("Leaving the UK", "in_transit none none"),
        ("Item received at Delivery Office", "sorted none none"),
        ("Due to be delivered today", "in_delivery none none"),
        ("Delivered to your neighbour", "delivered none neighbour"),
        ("Delivered to your safe place", "delivered none safeplace"),
        ("Delivered by postie", "delivered none none"),
        ("Delivery attempted - no answer", "attempted delivery_delay not_home"),
        ("Returned to sender", "in_transit returned_sender in_progress"),
        ("Held by customs", "customs customs_issue delay"),
        ("Basking in the sun", "unknown unknown unknown"),
    ],
)
def test_a_name_is_read_where_the_code_is_new(name: str, meaning: str) -> None:
    found = read(piece(events=event(name)))
    assert isinstance(found, Found)
    reading = found.scans[0].reading
    assert f"{reading.phase} {reading.exception} {reading.sub_status}" == meaning


def test_a_known_code_goes_before_any_name() -> None:
    found = read(piece(events=[event("Delivered", "EVNMI")]))
    assert isinstance(found, Found)
    assert found.scans[0].reading.sub_status == "missort"


@pytest.mark.parametrize("code", ["E1142", "E1307", "E1308"])
def test_nothing_to_tell_is_a_state(code: str) -> None:
    errors = {"httpCode": "404", "errors": [{"errorCode": code}]}
    assert read(errors, 404) == NotFound()
    assert read(piece(events=[])) == NotFound()


@pytest.mark.parametrize("status", [400, 404])
def test_another_refusal_is_a_fault_of_this_question(status: int) -> None:
    told = read({"httpCode": str(status), "errors": [{"errorCode": "E0004"}]}, status)
    assert isinstance(told, Broken)
    assert not told.lane_wide
