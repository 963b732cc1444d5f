"""Logs as JSON lines, and counters: what happened, never whose parcel or which secret.

Only fields on the allow-list are written. What other libraries log is cut to its unfilled template,
and of an exception we write its type and where it was raised: messages and values of strangers may
hold addresses, numbers or passwords.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from prometheus_client import Counter

from milepost.errors import CarrierParseError, ConfigurationError, DatabaseUnavailable

FIELDS = frozenset(
    (
        "event",
        "level",
        "timestamp",
        "logger",
        "process",
        "pid",
        "error",
        "error_type",
        "where",
        "account_id",
        "parcel_id",
        "push_id",
        "connection_id",
        "key_id",
        "carrier_code",
        "state",
        "reason",
        "status",
        "method",
        "route",
        "seconds",
        "attempt",
        "retry_after",
        "count",
        "suppressed",
        "dropped_fields",
        "signal",
        "exit_code",
        "listening",
        "version",
        "revision",
        "lanes",
        "parcels",
        "rows",
        "told",
        "refused",
        "new_events",
        "request_id",
    )
)
MAX_TEXT = 300
MAX_FRAMES = 12
# One kind of line: so many per window; the rest is counted and told with the next one.
WINDOW_SECONDS = 10.0
LINES_PER_KIND = 5
KINDS_KEPT = 500
# All lines of this process together, in bytes a minute.
BYTES_PER_MINUTE = 600_000
# What a terminal or a log viewer may act upon, inside a JSON string too.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]")

lines_dropped = Counter("milepost_log_lines_dropped", "Log lines not written, by limit", ["limit"])

Event = MutableMapping[str, Any]

request_id: ContextVar[bytes] = ContextVar("request_id", default=b"")
"""The request this is done for; every line written meanwhile carries it."""


def clean(value: object) -> object:
    """A value fit for a line: numbers as they are, text short and without control characters."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def describe(error: BaseException) -> dict[str, object]:
    """Type, place and, for errors whose text is ours and names no person, the text."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    told: dict[str, object] = {
        "error_type": type(error).__name__,
        "where": " < ".join(
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in reversed(frames)
        )[: MAX_TEXT * 2],
    }
    if isinstance(error, ConfigurationError | DatabaseUnavailable | CarrierParseError):
        told["error"] = str(error)
    return told


def tell_error(_: object, __: str, event: Event) -> Event:
    """Turns ``exc_info`` into fields; a structlog processor."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event.update(describe(error))
    return event


def tell_request(_: object, __: str, event: Event) -> Event:
    """Adds the id of the request in hand; a structlog processor."""
    known = request_id.get()
    if known:
        event.setdefault("request_id", known.decode("ascii", "replace"))
    return event


def keep_allowed(_: object, __: str, event: Event) -> Event:
    """Leaves out what is not on the list, and says that it did; a structlog processor."""
    kept: Event = {name: clean(event[name]) for name in event if name in FIELDS}
    dropped = sorted(str(clean(name)) for name in event if name not in FIELDS)
    if dropped:
        kept["dropped_fields"] = ",".join(dropped)
    return kept


class Throttle:
    """The first few lines of a kind pass; the next window's first tells how many did not."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kinds: dict[tuple[object, ...], tuple[float, int]] = {}
        self._minute = (now(), 0)

    def __call__(self, _: object, __: str, event: Event) -> Event:
        """A structlog processor; drops the line by raising DropEvent."""
        kind = (event.get("level"), event.get("event"), event.get("error_type"))
        since, seen = self._kinds.pop(kind, (self._now(), 0))
        if self._now() - since >= WINDOW_SECONDS:
            if seen > LINES_PER_KIND:
                event["suppressed"] = seen - LINES_PER_KIND
            since, seen = self._now(), 0
        self._kinds[kind] = (since, seen + 1)
        if len(self._kinds) > KINDS_KEPT:
            self._kinds.pop(next(iter(self._kinds)))
        if seen >= LINES_PER_KIND:
            lines_dropped.labels("repeats").inc()
            raise structlog.DropEvent
        return event

    def room_for(self, line: str) -> bool:
        """Whether this minute has room for one more line."""
        started, written = self._minute
        if self._now() - started >= 60:
            started, written = self._now(), 0
        fits = written + len(line) <= BYTES_PER_MINUTE
        self._minute = (started, written + (len(line) if fits else 0))
        if not fits:
            lines_dropped.labels("bytes").inc()
        return fits


class Lines:
    """Renders and writes one line per event; structlog's last processor hands it text."""

    def __init__(self, stream: TextIO, throttle: Throttle) -> None:
        self._stream = stream
        self._throttle = throttle

    def msg(self, line: str) -> None:
        """Writes; a stream nobody reads any more is no reason to fail."""
        if self._throttle.room_for(line):
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                lines_dropped.labels("stream").inc()

    log = debug = info = warning = warn = error = critical = exception = fatal = msg


class Foreign(logging.Handler):
    """Logs of other libraries, through the same limits."""

    def emit(self, record: logging.LogRecord) -> None:
        """Only the first line of the template: arguments and object reprs may hold anything."""
        template = str(record.msg).splitlines() or [""]
        log = structlog.get_logger()
        say = getattr(log, record.levelname.lower(), log.warning)
        say(template[0], logger=record.name, exc_info=record.exc_info)


def to_json(_: object, __: str, event: Event) -> str:
    """ASCII only, so that no terminal finds anything to act upon."""
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"))


class AccessLog:
    """One line per request. The operator asked for every one: no limit of the others holds here."""

    def __init__(self, process: str, stream: TextIO | None = None) -> None:
        self._process = process
        self._stream = stream or sys.stderr

    def __call__(self, **fields: object) -> None:
        """Writes the fields that are on the list, with the id of the request in hand."""
        event: Event = {"event": "request", "level": "info", "process": self._process, **fields}
        line = keep_allowed(None, "", tell_request(None, "", event))
        line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        try:
            self._stream.write(to_json(None, "", line) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            lines_dropped.labels("stream").inc()


def configure(process: str, stream: TextIO | None = None, level: str = "info") -> None:
    """Sends structlog's and the standard library's logs of this process to ``stream`` (stderr).

    ``level`` is the least that is written; other libraries are never heard below a warning.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    throttle = Throttle()
    lines = Lines(stream or sys.stderr, throttle)

    def name_process(_: object, __: str, event: Event) -> Event:
        return {**event, "process": process}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            tell_error,
            tell_request,
            name_process,
            keep_allowed,
            throttle,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[Foreign()], force=True)
