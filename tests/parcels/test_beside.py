"""What carriers say beside their scans: kept, merged, and told as the published schema says."""

import dataclasses
import json
from datetime import UTC, datetime

from tests.wire.test_answers import PARCEL
from tests.wire.test_own import DESCRIBED, NOW, check

from milepost.carriers.connector import (
    Found,
    ProofOfDelivery,
    RelatedNumber,
    ServicePoint,
    related,
)
from milepost.monitoring.question import hash_of
from milepost.parcels.beside import extra_of, held_until
from milepost.tracking.events import Place
from milepost.wire.own import CARRIER_EXTRA, parcel_document

UNTIL = datetime(2026, 1, 12, 22, 59, 59, tzinfo=UTC)
WHOLE = Found(
    (),
    complete=True,
    signed_by="Jansen",
    service="Parcel",
    related_numbers=related("last_mile", ["ab 1", "AB1", "", "own 1"], "OWN1", "Correos"),
    service_point=ServicePoint(
        "Primera", Place("Eindhoven", "NL", service_point_id="P-1"), ("Mon 9-18",)
    ),
    held_until=UNTIL,
    proofs_of_delivery=(
        ProofOfDelivery("https://example.org/pod"),
        ProofOfDelivery("javascript:1"),
    ),
)


def test_all_that_was_said_is_told_in_the_published_form() -> None:
    extra = extra_of(WHOLE)
    assert set(extra) == set(CARRIER_EXTRA)
    told = parcel_document(
        dataclasses.replace(
            DESCRIBED, parcel=dataclasses.replace(PARCEL, extra={**extra, "formerly": 1})
        ),
        NOW,
    )
    check(told, "Parcel")
    assert told["carrier_extra"] == extra
    assert extra["related_numbers"] == [
        {"number": "AB1", "kind": "last_mile", "carrier": "Correos"}
    ]
    assert extra["service_point"]["id"] == "P-1"
    # A link that is none would be offered as one.
    assert extra["proofs_of_delivery"] == [{"url": "https://example.org/pod", "reference": ""}]
    assert held_until(extra) == UNTIL


def test_silence_says_nothing() -> None:
    assert extra_of(Found((), complete=True)) == {}
    assert held_until({}) is None


def test_news_beside_the_scans_is_news() -> None:
    plain = Found((), complete=True)
    changed = [
        dataclasses.replace(plain, **{one.name: getattr(WHOLE, one.name)})
        for one in dataclasses.fields(Found)
        if getattr(WHOLE, one.name) != getattr(plain, one.name)
    ]
    assert len({hash_of(one) for one in [plain, *changed]}) == len(changed) + 1 == 7
    assert hash_of(dataclasses.replace(plain, as_of=UNTIL, raw=b"x")) == hash_of(plain)
    assert related("return", ["1"], "2") == (RelatedNumber("1", "return"),)


def test_what_no_database_holds_is_replaced() -> None:
    point = ServicePoint("Pri\0mera", Place("Eind\ud800hoven"), ("Mon\0",))
    said = extra_of(Found((), complete=True, signed_by="Jan\0sen", service_point=point))
    told = json.dumps(said, ensure_ascii=False)
    assert (told.encode().count("\N{REPLACEMENT CHARACTER}".encode()), "\\u0000" in told) == (
        3,
        False,
    )
