"""Logs hold what happened and nobody's data, whoever writes them."""

import ast
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from milepost import observe
from milepost.errors import DatabaseUnavailable, InvalidInput

CANARY = "Jane Canary, Canary Lane 1, 3SCANARY"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    before = logging.getLogger().handlers[:]
    stream = io.StringIO()
    observe.configure("test", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = before


Lines = Callable[[], list[dict[str, Any]]]


def test_only_fields_of_the_list_are_written(lines: Lines) -> None:
    log = structlog.get_logger(__name__)
    log.info(
        "parcel recorded", account_id=7, carrier_code="dhl", tracking_number=CANARY, name=CANARY
    )
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "parcel recorded",
        "level": "info",
        "process": "test",
        "account_id": 7,
        "carrier_code": "dhl",
        "dropped_fields": "name,tracking_number",
    }


def test_an_exception_is_its_type_and_place(lines: Lines) -> None:
    def inner() -> None:
        raise InvalidInput(f"{CANARY} is no date")

    try:
        inner()
    except InvalidInput:
        structlog.get_logger().exception("failed")
    (line,) = lines()
    assert line["error_type"] == "InvalidInput"
    assert line["where"].startswith("test_observe.py:")
    assert "inner" in line["where"]
    assert "Canary" not in json.dumps(line)


def test_our_own_reasons_are_told(lines: Lines) -> None:
    structlog.get_logger().warning("late", exc_info=DatabaseUnavailable("no answer within 2.5 s"))
    assert lines()[0]["error"] == "no answer within 2.5 s"


def test_other_libraries_are_cut_to_their_template(lines: Lines) -> None:
    foreign = logging.getLogger("somebody")
    foreign.warning("user %s asked\nfor <Task %r>", CANARY, CANARY)
    foreign.info("unheard")
    try:
        raise ValueError(CANARY)
    except ValueError:
        foreign.exception("broken")
    first, second = lines()
    assert first["event"] == "user %s asked"
    assert first["logger"] == "somebody"
    assert second["error_type"] == "ValueError"
    assert "Canary" not in json.dumps([first, second])


@pytest.mark.parametrize(
    "nasty", ["\n", "\r", "\x1b[2J", "\x7f", "\x9b", "\u2028", "\u202e", "\u200b"]
)
def test_nothing_a_terminal_acts_upon_is_written(nasty: str) -> None:
    stream = io.StringIO()
    observe.configure("test", stream)
    structlog.get_logger().warning(f"a{nasty}b", reason=f"c{nasty}d")
    structlog.reset_defaults()
    text = stream.getvalue()
    assert text.isascii()
    assert text.isprintable() or text[:-1].isprintable()
    assert text.count("\n") == 1
    assert nasty not in json.loads(text)["reason"]


def test_long_texts_are_cut(lines: Lines) -> None:
    structlog.get_logger().warning("x" * 10_000, reason="y" * 10_000)
    assert len(json.dumps(lines()[0])) < 1000


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def pass_through(throttle: observe.Throttle, **event: Any) -> dict[str, Any] | None:
    try:
        return dict(throttle(None, "", dict(event)))
    except structlog.DropEvent:
        return None


def test_repeats_are_counted_instead_of_written() -> None:
    clock = Clock()
    throttle = observe.Throttle(clock)
    written = [pass_through(throttle, event="down", level="error") for _ in range(1000)]
    assert sum(line is not None for line in written) == observe.LINES_PER_KIND
    assert pass_through(throttle, event="other", level="error") is not None
    clock.now += observe.WINDOW_SECONDS
    line = pass_through(throttle, event="down", level="error")
    assert line is not None
    assert line["suppressed"] == 1000 - observe.LINES_PER_KIND


def test_a_storm_of_different_lines_stays_under_a_megabyte_a_minute() -> None:
    clock = Clock()
    throttle = observe.Throttle(clock)
    written = sum(300 for _ in range(10_000) if throttle.room_for("x" * 300))
    assert 500_000 < written < 1_000_000
    clock.now += 60
    assert throttle.room_for("x")


def test_a_closed_stream_is_no_reason_to_fail() -> None:
    stream = io.StringIO()
    observe.configure("test", stream)
    stream.close()
    structlog.get_logger().warning("unheard")
    structlog.reset_defaults()
    observe.configure("test", sys.stderr)
    structlog.reset_defaults()


def test_lines_of_a_request_carry_its_id(lines: Lines) -> None:
    token = observe.request_id.set(b"abc-1")
    structlog.get_logger().warning("inside")
    observe.request_id.reset(token)
    structlog.get_logger().warning("outside")
    inside, outside = lines()
    assert inside["request_id"] == "abc-1"
    assert "request_id" not in outside


def test_the_level_is_the_least_that_is_written() -> None:
    stream = io.StringIO()
    observe.configure("test", stream, "error")
    structlog.get_logger().warning("unheard")
    logging.getLogger("somebody").warning("unheard")
    structlog.get_logger().error("heard")
    structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["heard"]


def test_every_request_has_its_line_and_nothing_but_listed_fields() -> None:
    stream = io.StringIO()
    access = observe.AccessLog("api", stream)
    for _ in range(20):
        access(route="/x", status=200, path=CANARY, reason="a\nb")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(told) == 20
    assert told[0]["dropped_fields"] == "path"
    assert "Canary" not in stream.getvalue()
    stream.close()
    access(route="/x", status=200)


def test_what_we_log_is_on_the_list() -> None:
    """What is not would be left out of the line, and nobody would read it."""
    source = Path(observe.__file__).parent
    says = {f"log.{level}" for level in ("debug", "info", "warning", "error", "exception")}
    calls = [
        call
        for path in source.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in says
    ]
    told = {word.arg for call in calls for word in call.keywords}
    assert {"account_id", "new_events"} <= told
    assert told <= observe.FIELDS | {"exc_info", None}
