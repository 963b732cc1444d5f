"""XML from strangers: what is read, and what is refused before it can do harm."""

import time

import pytest

from milepost.carriers.xml_tree import DEEPEST, MOST_ELEMENTS, read_xml
from milepost.errors import CarrierParseError

ENVELOPE = b"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">
  <s:Body><answer xmlns="urn:x"><!-- none of our business -->
    <step><name> At the\tdepot </name><reached>true</reached></step>
    <step><name>On its <b>way</b></name><reached>0</reached></step>
  </answer></s:Body>
</s:Envelope>"""

BILLION = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>
<answer>&b;</answer>"""


def test_names_are_read_without_their_namespaces() -> None:
    answer = read_xml(ENVELOPE).child("Body", "answer")
    steps = list(answer.items("step"))
    assert [step.text("name") for step in steps] == ["At the depot", "On its way"]
    assert [step.flag("reached") for step in steps] == [True, False]
    assert [child.name for child in answer.children()] == ["step", "step"]


def test_what_is_missing_is_empty_and_says_where_it_should_be() -> None:
    root = read_xml(ENVELOPE)
    assert root.child("Body", "nothing", "below").element is None
    assert root.text("Body", "nothing") == ""
    with pytest.raises(CarrierParseError, match=r"Envelope\.Body\.nothing is missing"):
        root.needed_text("Body", "nothing")


def test_a_number_of_repeats_is_bounded() -> None:
    with pytest.raises(CarrierParseError, match="more than 1 times"):
        list(read_xml(ENVELOPE).items("Body", "answer", "step", at_most=1))


def test_attributes_and_the_source_of_a_part() -> None:
    part = read_xml(b'<a xmlns="urn:x"><b c=" d&#10;e "><f/></b></a>').child("b")
    assert (part.attribute("c"), part.attribute("g")) == ("d e", "")
    assert read_xml(part.source()).attribute("c") == "d e"
    missing = part.child("nowhere")
    assert (missing.attribute("c"), missing.source()) == ("", b"")


def test_neither_true_nor_false_is_no_flag() -> None:
    with pytest.raises(CarrierParseError, match="not true or false"):
        read_xml(b"<a><b>perhaps</b></a>").flag("b")


@pytest.mark.parametrize(
    "body",
    [
        BILLION,
        b'<!DOCTYPE answer SYSTEM "file:///etc/hostname"><answer/>',
        b"<!DocType answer><answer/>",
        '<?xml version="1.0" encoding="UTF-16"?><answer/>'.encode("utf-16"),
        b"",
        b"<answer>",
        b"not XML",
        b"<answer>&undefined;</answer>",
        b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1),
        b"<a>" * 100_000,
        b"<a>" + b"<b/>" * (MOST_ELEMENTS + 1) + b"</a>",
        b"\xff\xfe<answer/>",
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a +AFs- +ADwAIQ-ENTITY x "ha"+AD4-'
        b' +AF0-+AD4-<a b="+ACY-x+ADs-"/>',
        b'<?xml version="1.0" encoding="ISO-2022-JP"?><!\x1b(BDOCTYPE answer><answer/>',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_refused(body: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(CarrierParseError):
        read_xml(body)
    assert time.process_time() - begun < 1
