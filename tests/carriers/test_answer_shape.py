"""What is unknown in an answer is told by its name and never by what stands in it."""

from typing import Any

import pytest
from lxml import etree

from milepost.carriers.answer_shape import MET, MOST_UNKNOWN, Shape, Unknown, name_of

FIELDS = ["parcel/number", "parcel/events/code", "parcel/events/text", "parcel/events/lang"]
ANSWER = {"parcel": {"number": "1", "events": [{"code": "A", "text": "Accepted", "lang": "en"}]}}


def shape(always: tuple[str, ...] = ()) -> Shape:
    return Shape(FIELDS, always, ["en"])


def field(what: str) -> Unknown:
    return Unknown("field", what)


def test_what_is_known_is_not_told() -> None:
    assert shape().in_json(ANSWER) == set()
    assert shape().in_json({"parcel": {"events": {"code": "B"}}}) == set()
    assert shape().in_json([]) == shape().in_json("text") == shape().in_json(None) == set()


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ({"note": "Anna Schmidt"}, "note"),
        ({"parcel": {"signature": {"name": "Anna Schmidt"}}}, "parcel/signature"),
        ({"parcel": {"events": [{"code": "A"}, {"code": "B", "depot": 7}]}}, "parcel/events/depot"),
        ({"parcel": {"number": {"value": "1"}}}, "parcel/number/value"),
        ({"parcel": {"Anna Schmidt": True}}, "parcel/*"),
        ({"parcel": {"00340434161094042557": {}}}, "parcel/*"),
    ],
)
def test_a_new_field_is_told_by_its_path(planted: dict[str, Any], what: str) -> None:
    assert shape().in_json(planted) == {field(what)}


def test_maps_by_number_are_one_field() -> None:
    known = Shape(["parcels/*/state"])
    assert known.in_json({"parcels": {"123": {"state": 1}, "x4567890": {"state": 2}}}) == set()
    assert known.in_json({"parcels": {"123": {"eta": 1}}}) == {field("parcels/*/eta")}
    assert [name_of(name) for name in ("line2", "@id", "3S1", "a b", "JD01460")] == [
        "line2",
        "@id",
        "*",
        "*",
        "*",
    ]


def test_a_new_language_is_told() -> None:
    said = {"parcel": {"events": [{"lang": "EN-gb"}, {"lang": "pt"}, {"lang": "Anna Schmidt"}]}}
    assert shape().in_json(said) == {Unknown("language", "pt")}


def test_what_is_accepted_is_known_and_so_is_what_lies_below() -> None:
    one, more = (
        shape(),
        {"parcel": {"signature": {"name": {"first": 1}}, "events": [{"lang": "pt"}]}},
    )
    unknown = one.in_json(more)
    assert unknown == {field("parcel/signature"), Unknown("language", "pt")}
    assert not any(one.knows(each) for each in unknown)
    for each in unknown:
        one.accept(each)
    assert one.in_json(more) == set()
    assert all(one.knows(each) for each in unknown)


def test_whatever_is_below_a_documented_path_is_known() -> None:
    assert Shape(["parcel/weight/**"]).in_json({"parcel": {"weight": {"a": {"b": 1}}}}) == set()


def with_events(*events: dict[str, str]) -> dict[str, Any]:
    return {"parcel": {"events": list(events)}}


def test_a_field_that_is_gone_is_told() -> None:
    one = shape(("parcel/events/text",))
    for _ in range(MET):
        assert one.in_json(ANSWER) == set()
    gone = Unknown("missing", "parcel/events/text")
    assert one.in_json(with_events({"code": "A"}, {"code": "B"})) == {gone}
    one.accept(gone)
    assert one.in_json(with_events({"code": "A"})) == set()


def test_a_field_that_may_be_left_out_is_not_missed() -> None:
    new = shape(("parcel/events/text",))
    # The samples had it always; real answers don't.
    assert new.in_json(with_events({"code": "A"})) == set()
    met = shape(("parcel/events/text",))
    for _ in range(MET):
        met.in_json(ANSWER)
    assert met.in_json(with_events({"code": "A"}, {"code": "B", "text": "B"})) == set()
    assert met.in_json(with_events({"code": "A"})) == set()


def test_elements_and_attributes_are_fields() -> None:
    known = Shape(["Envelope/parcel/@id", "Envelope/parcel/state/@lang"], languages=["en"])
    text = (
        '<s:Envelope xmlns:s="urn:s" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
        '<parcel id="1"><state lang="{}" i:nil="true"{}>x</state>{}</parcel></s:Envelope>'
    )
    assert known.in_xml(etree.fromstring(text.format("en", "", ""))) == set()
    assert known.in_xml(etree.fromstring(text.format("fr", ' at="Anna"', "<to>Anna</to>"))) == {
        Unknown("language", "fr"),
        field("Envelope/parcel/state/@at"),
        field("Envelope/parcel/to"),
    }


def test_another_form_altogether_makes_no_long_list() -> None:
    assert len(shape().in_json({f"{chr(97 + n % 26)}{n}": 1 for n in range(900)})) <= MOST_UNKNOWN
    assert shape().in_xml(etree.fromstring("<html><body/></html>")) == {field("html")}
