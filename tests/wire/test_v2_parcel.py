"""The v2 parcel object: the recorded keys in their order, filled with what was registered."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.registered import FULL, TO
from tests.wire.test_answers import JOURNEY, PARCEL

from milepost.api.v2_parcel_schemas import PARCEL as SCHEMA
from milepost.api.v3_models import read_registration
from milepost.tracking.parcel import Registration
from milepost.tracking.status import STATUSES
from milepost.wire.v2_parcel import list_answer, parcel_answer, parcel_object

VALID = jsonschema.Draft202012Validator(SCHEMA)
RECORDED = """
id address address_2 address_divided city company_name country data date_created date_announced
date_updated email name postal_code reference shipment status to_service_point telephone
tracking_number weight label customs_declaration order_number insured_value total_insured_value
to_state customs_invoice_nr customs_shipment_type parcel_items documents type shipment_uuid
shipping_method external_order_id external_shipment_id external_reference is_return note
to_post_number total_order_value total_order_value_currency colli_tracking_number colli_uuid
collo_nr collo_count awb_tracking_number box_number length width height
shipping_method_checkout_name carrier tracking_url
"""


def told(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The object of a parcel registered with ``document``, which matches our own schema."""
    registration = read_registration(document)
    assert isinstance(registration, Registration), registration
    parcel = dataclasses.replace(
        PARCEL, document=registration.document, source_id=registration.source_id, **changes
    )
    made = parcel_object(parcel, JOURNEY)
    assert [error.message for error in VALID.iter_errors(made)] == []
    return made


def test_the_recorded_keys_in_their_order() -> None:
    assert " ".join(told(FULL)) == " ".join(RECORDED.split()) + " to_address"


def test_what_was_registered() -> None:
    assert told(FULL, carrier_name="DHL") == {
        "id": 629,
        "address": "Reduitlaan 45",
        "address_2": "3rd floor",
        "address_divided": {"street": "Reduitlaan", "house_number": "45"},
        "city": "Breda",
        "company_name": "Vos BV",
        "country": {"iso_2": "NL", "iso_3": "NLD", "name": "Netherlands"},
        "data": {},
        "date_created": "05-01-2026 09:00:03",
        "date_announced": "05-01-2026 09:00:00",
        "date_updated": "05-01-2026 11:00:00",
        "email": "mira@example.org",
        "name": "Mira Vos",
        "postal_code": "4814 DC",
        "reference": "0",
        "shipment": {"id": 1602, "name": "Drop off"},
        "status": {"id": 91, "message": "Parcel en route"},
        "to_service_point": None,
        "telephone": "+31200000000",
        "tracking_number": "3SYZXG132912330",
        "weight": "0.907",
        "label": {},
        "customs_declaration": {},
        "order_number": "#77",
        "insured_value": 73,
        "total_insured_value": 73,
        "to_state": "NB",
        "customs_invoice_nr": "",
        "customs_shipment_type": None,
        "parcel_items": [
            {
                "description": "Pen",
                "quantity": 3,
                "weight": "0.010",
                "value": "0.50",
                "hs_code": "9608",
                "origin_country": "CN",
                "product_id": "p1",
                "properties": {"colour": "blue"},
                "sku": "PEN",
                "return_reason": None,
                "return_message": None,
            }
        ],
        "documents": [],
        "type": "parcel",
        "shipment_uuid": None,
        "shipping_method": 1602,
        "external_order_id": "o-7",
        "external_shipment_id": "s-9",
        "external_reference": "order-1",
        "is_return": True,
        "note": None,
        "to_post_number": "77",
        "total_order_value": "99.99",
        "total_order_value_currency": "EUR",
        "colli_tracking_number": "",
        "colli_uuid": None,
        "collo_nr": 0,
        "collo_count": 1,
        "awb_tracking_number": None,
        "box_number": None,
        "length": "50",
        "width": "12.3",
        "height": "48",
        "shipping_method_checkout_name": None,
        "carrier": {"code": "postnl", "name": "DHL"},
        "tracking_url": "https://example.com/T",
        "to_address": {
            "address_line_1": "Reduitlaan 45",
            "address_line_2": "3rd floor",
            "city": "Breda",
            "postal_code": "4814 DC",
            "country_code": "NL",
        },
    }


def test_nothing_is_made_up() -> None:
    bare = {
        name: FULL[name]
        for name in ("announced_at", "from_address", "ship_with", "tracking_number")
    }
    bare |= {"source_id": "", "to_address": {"country_code": "xx", "postal_code": "1"}}
    bare["ship_with"] = {"type": "contract", "properties": {"contract_id": 5}}
    made = told(bare, tracking_url="")
    said = {name: value for name, value in made.items() if value not in ("", None, {}, [], False)}
    assert said == {
        "id": 629,
        "address_divided": {"street": "", "house_number": ""},
        "country": {"iso_2": "XX", "iso_3": "", "name": ""},
        "date_created": "05-01-2026 09:00:03",
        "date_announced": "05-01-2026 09:00:00",
        "date_updated": "05-01-2026 11:00:00",
        "postal_code": "1",
        "reference": "0",
        "shipment": {"id": 0, "name": ""},
        "status": {"id": 91, "message": "Parcel en route"},
        "tracking_number": "3SYZXG132912330",
        "weight": "0.000",
        "type": "parcel",
        "collo_count": 1,
        "carrier": {"code": "postnl", "name": "postnl"},
        "to_address": dict.fromkeys(("address_line_1", "address_line_2", "city"), "")
        | {"postal_code": "1", "country_code": "XX"},
    }


@pytest.mark.parametrize(
    ("line", "number", "address", "street"),
    [
        ("Reduitlaan", "45", "Reduitlaan 45", "Reduitlaan"),
        ("Reduitlaan 45", "45", "Reduitlaan 45", "Reduitlaan"),
        ("Reduitlaan 145", "45", "Reduitlaan 145 45", "Reduitlaan 145"),
        ("Reduitlaan 45", None, "Reduitlaan 45", "Reduitlaan 45"),
        (None, "45", "45", ""),
    ],
)
def test_the_house_number_is_told_once(
    line: str | None, number: str | None, address: str, street: str
) -> None:
    made = told(FULL | {"to_address": TO | {"address_line_1": line, "house_number": number}})
    assert made["address"] == address
    assert made["address_divided"] == {"street": street, "house_number": number or ""}


@pytest.mark.parametrize(
    ("value", "unit", "kilograms"),
    [
        (2.5, "kg", "2.500"),
        (0.5, "g", "0.001"),
        (1, "oz", "0.028"),
        (10**15, "kg", f"{10**15}.000"),
    ],
)
def test_weights_are_kilograms(value: float, unit: str, kilograms: str) -> None:
    weight = {"weight": {"value": value, "unit": unit}}
    assert told(FULL | {"measurements": weight})["weight"] == kilograms


@pytest.mark.parametrize(
    ("value", "text"), [("6.15", "6.15"), (5, "5.00"), ("0.125", "0.125"), ("-1", "-1.00")]
)
def test_prices_lose_no_digit(value: object, text: str) -> None:
    item = FULL["parcel_items"][0] | {"price": {"value": value, "currency": "EUR"}}
    assert told(FULL | {"parcel_items": [item]})["parcel_items"][0]["value"] == text


def test_every_status_has_its_v2_id() -> None:
    for code, status in STATUSES.items():
        made = parcel_object(PARCEL, dataclasses.replace(JOURNEY, status=code))
        assert made["status"] == {"id": status.v2_id, "message": status.message}


def test_answers_hold_the_object() -> None:
    one = parcel_object(PARCEL, JOURNEY)
    assert json.loads(parcel_answer(PARCEL, JOURNEY)) == {"parcel": one}
    assert json.loads(list_answer([(PARCEL, JOURNEY)] * 2, "https://x.example/?cursor=1")) == {
        "next": "https://x.example/?cursor=1",
        "previous": None,
        "parcels": [one, one],
    }


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.floats(min_value=0, max_value=1e15) | st.integers(0, 10**15)
ANY_PARCEL = st.fixed_dictionaries(
    {
        "to_address": st.fixed_dictionaries(
            {"country_code": ANY_TEXT.filter(bool), "postal_code": ANY_TEXT.filter(bool)},
            optional={name: st.none() | ANY_TEXT for name in TO if name[:2] not in ("co", "po")},
        )
    },
    optional={
        "measurements": st.fixed_dictionaries(
            {
                "dimension": st.fixed_dictionaries(
                    {"unit": st.sampled_from(["cm", "mm", "m", "yd", "ft", "in"])}
                    | dict.fromkeys(("length", "width", "height"), NUMBERS)
                )
            }
        ),
        "insurance": st.fixed_dictionaries(
            {"value": st.floats(-1e15, 1e15), "currency": st.just("EUR")}
        ),
        "source_id": ANY_TEXT,
    },
)


@given(ANY_PARCEL)
@settings(max_examples=60, deadline=None)
def test_whatever_is_registered_has_an_object_that_survives(changes: dict[str, Any]) -> None:
    told(FULL | changes)
    registration = read_registration(FULL | changes)
    assert isinstance(registration, Registration)
    body = parcel_answer(dataclasses.replace(PARCEL, document=registration.document), JOURNEY)
    assert json.dumps(json.loads(body)).encode() == body


def test_dates_are_those_of_utc() -> None:
    late = datetime.fromisoformat("2026-01-01T00:30:00+02:00")
    made = parcel_object(dataclasses.replace(PARCEL, created_at=late), JOURNEY)
    assert made["date_created"] == "31-12-2025 22:30:00"
    assert late.astimezone(UTC).year == 2025
