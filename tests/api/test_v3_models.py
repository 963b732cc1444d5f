"""Liberal in: every contradiction of the published contract has a decided answer."""

import copy
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from milepost.api.problems import Problem
from milepost.api.v3_fields import MOMENT_PATTERN, NUMBER_PATTERN
from milepost.api.v3_models import MOST_PROBLEMS, read_registration
from milepost.tracking.parcel import Registration

ADDRESS = {"country_code": "nl", "postal_code": "5611 EM"}
MINIMAL: dict[str, Any] = {
    "announced_at": "2026-01-05T09:00:00Z",
    "source_id": "order-1",
    "from_address": ADDRESS,
    "to_address": ADDRESS,
    "ship_with": {
        "type": "shipping_option_code",
        "properties": {"shipping_option_code": "postnl:standard"},
    },
    "tracking_number": {"carrier_code": "PostNL", "tracking_number": " 3S abc "},
}
ITEM: dict[str, Any] = {
    "description": "T-shirt",
    "weight": {"value": 0.4, "unit": "kg"},
    "price": {"value": "6.15", "currency": "EUR"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The minimal request with one dotted path set, or removed where the value is ``...``."""
    document = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    place: Any = document
    for name in parents:
        place = place.setdefault(name, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def taken(document: Any) -> Registration:
    read = read_registration(document)
    assert isinstance(read, Registration), read
    return read


def refused(document: Any) -> set[tuple[str, str]]:
    read = read_registration(document)
    assert isinstance(read, Problem), read
    assert read.status == 422
    assert all(one.loc[0] == "body" and one.msg for one in read.fields)
    return {(".".join(map(str, one.loc[1:])), one.type) for one in read.fields}


def test_the_least_that_is_taken() -> None:
    registration = taken(MINIMAL)
    assert registration.carrier_code == "postnl"
    assert registration.tracking_number == "3S abc"
    assert registration.announced_at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert registration.document == {
        "from_address": {"country_code": "NL", "postal_code": "5611 EM"},
        "to_address": {"country_code": "NL", "postal_code": "5611 EM"},
        "ship_with": MINIMAL["ship_with"],
        "tracking_number": {"carrier_code": "postnl", "tracking_number": "3S abc"},
    }


@pytest.mark.parametrize("name", sorted(MINIMAL))
def test_what_guide_and_schema_require_is_required(name: str) -> None:
    assert refused(changed(name, ...)) == {(name, "missing")}


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("to_address.postal_code", ..., "to_address.postal_code"),
        ("from_address.country_code", "", "from_address.country_code"),
        ("to_address", None, "to_address"),
        ("ship_with.type", ..., "ship_with.type"),
        ("ship_with.type", "x", "ship_with.type"),
        ("ship_with.type", {}, "ship_with.type"),
        ("ship_with", [], "ship_with"),
        ("ship_with.properties", {}, "ship_with.properties.shipping_option_code"),
        ("ship_with.properties.contract_id", 0, "ship_with.properties.contract_id"),
        ("ship_with", {"type": "contract", "properties": {}}, "ship_with.properties.contract_id"),
        ("tracking_number.carrier_code", ..., "tracking_number.carrier_code"),
        ("tracking_number.carrier_code", "", "tracking_number.carrier_code"),
        ("tracking_number.tracking_number", ..., "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", None, "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "  ", "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "\u3000", "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "x" * 256, "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "a\tb", "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "a\u200bb", "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "\u202eab", "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "a\ufe0fb", "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", "a\U000e0041b", "tracking_number.tracking_number"),
        ("tracking_number.tracking_number", 5, "tracking_number.tracking_number"),
        ("tracking_number.tracking_identifier", "\x7f", "tracking_number.tracking_identifier"),
        ("tracking_number", "3S123", "carrier_code"),
        ("tracking_number", "", "carrier_code"),
        ("announced_at", "0001-01-01T00:00:00Z", "announced_at"),
        ("announced_at", "9999-12-31T23:59:59-14:00", "announced_at"),
        ("announced_at", "2025-02-29T00:00:00Z", "announced_at"),
        ("announced_at", "yesterday", "announced_at"),
        ("announced_at", 1767603600, "announced_at"),
        ("source_id", None, "source_id"),
        ("source_id", "x" * 256, "source_id"),
        ("details.brand_id", "5", "details.brand_id"),
        ("details.is_return", 1, "details.is_return"),
        ("details.expected_delivery_date", "2026-02-30", "details.expected_delivery_date"),
        ("parcel_items", [ITEM | {"weight": {"value": 0}}], "parcel_items.0.weight.value"),
        ("parcel_items", [ITEM | {"quantity": 0}], "parcel_items.0.quantity"),
        ("parcel_items", [ITEM | {"price": {"value": "free"}}], "parcel_items.0.price.value"),
        ("insurance.value", "much", "insurance.value"),
        ("return_price", {"value": True, "currency": "EUR"}, "return_price.value"),
        ("return_price", {"value": "5", "currency": "EURO"}, "return_price.currency"),
    ],
)  # fmt: skip
def test_refused_naming_the_field(path: str, value: Any, field: str) -> None:
    assert field in {name for name, _ in refused(changed(path, value))}


def test_not_an_object() -> None:
    assert refused([MINIMAL]) == {("", "dict_type")}
    for part in ("to_address", "ship_with", "tracking_number", "details"):
        assert refused(changed(part, [])) == {(part, "dict_type")}


def test_a_refusal_names_a_bounded_number_of_fields() -> None:
    read = read_registration(changed("parcel_items", [{}] * 5000))
    assert isinstance(read, Problem)
    assert len(read.fields) == MOST_PROBLEMS


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("shipment", {"shipping_option_code": "x"}),
        ("shipment", {"order": {"order_number": "5"}}),
        ("shipment", None),
        ("details", None),
        ("parcel_items", None),
        ("insurance", None),
        ("insurance.insured_value", None),
        ("insurance.insured_value", {"value": "5"}),
        ("measurements", {"dimension": None, "weight": None, "volume": None}),
        ("return_price", None),
        ("unknown", {"deep": [1]}),
        ("to_address.unknown", 5),
        ("to_address.address_line_1", None),
        ("to_address.email", ""),
        ("to_address.email", "no mail address"),
        ("ship_with.properties.contract_id", None),
        ("ship_with.properties.unknown", {}),
        ("source_id", ""),
        ("carrier_code", ""),
        ("tracking_number.tracking_url", ""),
        ("tracking_number.tracking_identifier", None),
        ("parcel_items", []),
        ("parcel_items", [ITEM | {"dangerous_goods": None, "quantity": None, "hs_code": None}]),
        ("parcel_items", [ITEM | {"dangerous_goods": {"regulation_set": None, "quantity": "1"}}]),
        ("announced_at", "2026-01-05"),
        ("announced_at", "2026-01-05 09:00:00.123456789+0530"),
        ("announced_at", "2028-02-29t09:00z"),
        ("announced_at", "2026-01-05 09:00:00+00"),
    ],
)
def test_what_the_contract_disagrees_on_is_taken(path: str, value: Any) -> None:
    assert taken(changed(path, value))


def test_identifier_stands_in_for_the_number() -> None:
    registration = taken(
        changed("tracking_number", {"carrier_code": "dhl", "tracking_identifier": "aBc"})
    )
    assert registration.tracking_number == registration.tracking_identifier == "aBc"


def test_plain_number_with_carrier_beside_it() -> None:
    registration = taken(changed("tracking_number", "3S1") | {"carrier_code": "DHL"})
    assert (registration.carrier_code, registration.tracking_number) == ("dhl", "3S1")
    assert refused(changed("tracking_number", "\n") | {"carrier_code": "DHL"}) == {
        ("tracking_number", "tracking_number_format")
    }


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ("1990-01-01T00:00:00+14:00", datetime(1990, 1, 1, tzinfo=UTC)),
        ("2100-12-31T23:59:59-14:00", datetime(2100, 12, 31, 23, 59, 59, 999_999, UTC)),
    ],
)
def test_a_moment_that_is_kept_can_be_stated_again(stated: str, kept: datetime) -> None:
    """An offset leads out of the years that may be stated; a change sends the whole again."""
    for sent in (stated, kept.isoformat()):
        registration = read_registration(changed("announced_at", sent))
        assert isinstance(registration, Registration)
        assert registration.announced_at == kept


def test_both_forms_of_insurance() -> None:
    wanted = {"insured_value": {"value": "500", "currency": "EUR"}, "policy_id": "P"}
    flat = {"value": 500, "currency": "EUR", "policy_id": "P"}
    assert taken(changed("insurance", wanted)).document["insurance"] == wanted
    assert taken(changed("insurance", flat)).document["insurance"] == wanted
    assert (
        taken(changed("insurance", flat | {"insured_value": None})).document["insurance"] == wanted
    )


def test_every_field_is_kept() -> None:
    full = MINIMAL | {
        "details": {
            "brand_id": 1,
            "integration_id": 2.0,
            "is_return": True,
            "is_mail_box": False,
            "is_to_service_point": True,
            "expected_delivery_date": "2026-01-07",
        },
        "measurements": {
            "dimension": {"length": 2, "width": 4, "height": 3.5, "unit": "m"},
            "weight": {"value": 82, "unit": "g"},
            "volume": {"value": 35.5, "unit": "cm3"},
        },
        "parcel_items": [
            ITEM
            | {
                "source_id": "i",
                "item_id": "5552",
                "quantity": 3,
                "hs_code": "620520",
                "origin_country": "NL",
                "mid_code": None,
                "dangerous_goods": {"regulation_set": "ADR", "id_number": "UN1"},
                "properties": {"any": [1, {"thing": None}]},
            }
        ],
        "shipment": {
            "external_reference_id": "R",
            "source_id": "s",
            "order": {"order_number": "O", "source_external_id": "E", "source_id": "o"},
        },
    }
    document = taken(full).document
    for name in ("details", "measurements", "parcel_items", "shipment"):
        assert document[name] == full[name], name


def test_item_defaults_make_the_answer_whole() -> None:
    (item,) = taken(changed("parcel_items", [ITEM | {"item_id": "", "sku": None}])).document[
        "parcel_items"
    ]
    assert item == ITEM | {"quantity": 1, "hs_code": ""}


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://x.test/T?a=b", "https://x.test/T?a=b"),
        ("HTTP://x.test", "HTTP://x.test"),
        ("javascript:alert(1)", ""),
        ("https://x.test/ y", ""),
        ("ftp://x.test", ""),
        ("http:///x", ""),
        ("https://x.test\\@evil.test", ""),
        ("https://x.test/\u202ey", ""),
    ],
)
def test_only_web_links_are_kept(link: str, kept: str) -> None:
    assert taken(changed("tracking_number.tracking_url", link)).tracking_url == kept


@pytest.mark.parametrize("year", ["1989", "1990", "2000", "2024", "2025", "2100", "2101"])
def test_the_published_pattern_knows_the_calendar(year: str) -> None:
    for month in range(14):
        for day in range(33):
            text = f"{year}-{month:02}-{day:02}"
            try:
                real = 1990 <= datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).year <= 2100
            except ValueError:
                real = False
            assert bool(re.search(MOMENT_PATTERN, text)) is real, text


def test_the_published_number_pattern_counts_without_outer_blanks() -> None:
    assert re.search(NUMBER_PATTERN, " " * 300 + "x" * 255 + " ")
    assert not re.search(NUMBER_PATTERN, "x" * 256)
