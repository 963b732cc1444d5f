"""The checks of slow and huge requests fail on servers with the faults they look for."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.api import test_limits as limits
from tests.live_server import Client, running

Check = Callable[[Client], None]
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.timeout(300)]

NO_BOUNDS = (
    *("HEADER_SECONDS", "BODY_SECONDS", "REQUEST_SECONDS", "MAX_JSON_DEPTH"),
    *("MAX_HEADER_BYTES", "MAX_HEADER_FIELDS", "MAX_URL_BYTES", "MAX_BODY_BYTES"),
)
BOUNDS: list[Check] = [
    limits.test_nothing_said,
    limits.test_idle_after_an_answer,
    limits.test_dribbled_headers,
    partial(limits.test_dribbled_bodies, framing=b"Content-Length: 1000"),
    partial(limits.test_dribbled_bodies, framing=b"Transfer-Encoding: chunked"),
    limits.test_a_body_that_stops_is_told,
    partial(limits.test_a_body_over_one_mebibyte, chunked=False),
    partial(limits.test_a_body_over_one_mebibyte, chunked=True),
    limits.test_exactly_one_mebibyte_is_read,
    partial(limits.test_a_client_that_sends_everything_before_it_reads_is_told, framing="at once"),
    partial(
        limits.test_a_client_that_sends_everything_before_it_reads_is_told, framing="in chunks"
    ),
    limits.test_a_client_that_waits_for_leave_to_send_is_refused_at_once,
    limits.test_long_headers,
    limits.test_long_addresses,
    limits.test_deep_json,
]
FRAMING: list[Check] = [
    partial(limits.test_chunks_that_are_none, path=limits.POST),
    limits.test_a_second_request_can_not_hide,
    limits.test_two_lengths,
    limits.test_a_length_that_is_none,
]


def unseen(checks: list[Check], twin: Client) -> list[str]:
    """The checks that the twin passes."""

    def passes(check: Check) -> bool:
        try:
            check(twin)
        except (AssertionError, LookupError, OSError):
            return False
        return True

    with ThreadPoolExecutor(len(checks)) as threads:
        passed = list(threads.map(passes, checks))
    return [str(check) for check, well in zip(checks, passed, strict=True) if well]


def test_the_checks_see_a_server_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own, with every bound set so high that there is none."""
    monkeypatch.setattr(limits, "PATIENCE", limits.BODY_SECONDS + limits.MARGIN + 1)
    with running(**{f"MILEPOST_{name}": "100000000" for name in NO_BOUNDS}) as started:
        twin = started.account("unbounded")
        assert limits.still_serves(twin)
        assert unseen(BOUNDS, twin) == []
        assert limits.still_serves(twin), "it failed at what was checked, and not at everything"


class Trusting(BaseHTTPRequestHandler):
    """Believes the first Content-Length and knows no chunks: a second request can hide from it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(max(0, int(self.headers.get("Content-Length") or 0) % 1000))
        self._answer(200)

    def do_GET(self) -> None:
        self._answer(404)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_the_checks_see_a_server_that_trusts_every_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE", 1.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Trusting) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        twin = Client(listening.server_port, "any:thing")
        assert limits.still_serves(twin)
        assert unseen(FRAMING, twin) == []
        listening.shutdown()
