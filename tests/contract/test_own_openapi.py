"""Our own OpenAPI file, held by Schemathesis against a real server process.

``FUZZ_EXAMPLES`` makes it longer, and lets it try every single value of changes and batches too.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.live_server import Client, Server

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
]


EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "4"))
PHASES = "examples,coverage,fuzzing,stateful"
IN_FULL = str("FUZZ_EXAMPLES" in os.environ).lower()

# Checks named on the command line would overrule what is said of an operation below.
# Walks along links are the slow part: short ones.
CONFIG = f"""
[checks]
enabled = false
{"".join(f"{name}.enabled = true{chr(10)}" for name in CHECKS)}
[phases.stateful]
max-steps = 4

# The first that fits an operation counts, and a method alone fits: this has to come before others.
# No schema can say which URLs may be called, what a login needs for its type, or which connections
# and carriers there are; one call has to be refused where there is no Klaviyo. Value by value in
# the long form.
[[operations]]
include-path-regex = "^/api/v3/event-subscriptions/"
phases.coverage.enabled = {IN_FULL}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "429"]

# Nor can it of an integration's, or say what hangs together in one and which keys can sign.
[[operations]]
include-path-regex = "^/api/(v2|v3|milepost/v1)/(integrations|connections)"
phases.coverage.enabled = {IN_FULL}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422", "429"]

# Lists have 22 parameters, and one wrong value at a time is what tests/api tries of each: here
# they alone would take longer than all the rest. They are fuzzed and walked to like the others.
[[operations]]
include-path = "/api/milepost/v1/parcels"
include-method = "GET"
phases.coverage.enabled = false

# What a change leaves out of an object the parcel may have, or not: "required" is about the two
# together.
[[operations]]
include-path = "/api/milepost/v1/parcels/{{parcel_id}}"
include-method = "PATCH"
phases.coverage.enabled = {IN_FULL}
checks.negative_data_rejection.enabled = false
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422", "429"]

# Their rows are what registrations take one of, which are tried value by value: twice is for the
# long form, as are changes above, together they take longer than all others.
[[operations]]
include-path = "/api/milepost/v1/parcels/batch"
phases.coverage.enabled = {IN_FULL}

# No schema can say that an event must not lie in the future. Value by value in the long form.
[[operations]]
include-path = "/api/milepost/v1/parcels/{{parcel_id}}/events"
phases.coverage.enabled = {IN_FULL}
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422", "429"]

# Whoever waits for an event waits; and no schema can say which cursors were given.
[[operations]]
include-path = "/api/milepost/v1/events"
parameters = {{ "query.wait" = 0 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "410", "422", "429"]

# Only a mail server's idea of an address is finer than the format's.
[[operations]]
include-path = "/api/milepost/v1/emails"
include-method = "PUT"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422", "429"]
[[operations]]
include-path = "/api/milepost/v1/emails/unsubscriptions/lift"
checks.positive_data_acceptance.expected-statuses = ["2xx", "422", "429"]
"""


def fuzzed(
    url: str, user: str, folder: Path, examples: int = EXAMPLES, phases: str = PHASES
) -> tuple[int, str]:
    """Run the phases with a fixed seed; its exit code and what it printed."""
    config = folder / "walks.toml"
    config.write_text(CONFIG)
    command = [str(Path(sys.executable).with_name("st")), "--config-file", str(config)]
    command += ["run", f"{url}/openapi.json", "--url", url]
    command += ["--auth", user]
    command += ["--phases", phases]
    command += ["--max-examples", str(examples), "--seed", "20260105", "--request-timeout", "60"]
    command += ["--suppress-health-check", "all", "--no-color"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=840 + 60 * EXAMPLES
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.promise
@pytest.mark.beside
@pytest.mark.slow
@pytest.mark.timeout(900 + 60 * EXAMPLES)
def test_no_input_makes_us_break_our_own_word(server: Server, tmp_path: Path) -> None:
    unlimited = server.account("fuzzed")
    code, said = fuzzed(f"http://127.0.0.1:{server.port}", unlimited.user, tmp_path)
    assert code == 0, said[-20_000:]


def test_the_document_is_ours(server: Server) -> None:
    got = Client(server.port).get("/openapi.json")
    assert got.status == 200
    assert got.document["info"]["title"] == "Milepost"
    page = Client(server.port).get("/docs")
    assert page.status == 200
    assert b"//cdn" not in page.body
    assert b"https://" not in page.body


@pytest.fixture
def faulty(server: Server) -> Iterator[str]:
    """A server that publishes our document and answers every request with a 500."""
    published = Client(server.port).get("/openapi.json").body

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.path == "/openapi.json"
            body = published if asked else json.dumps({"detail": "boom"}).encode()
            self.send_response(200 if asked else 500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.mark.promise
@pytest.mark.beside
@pytest.mark.timeout(900)
def test_a_server_that_breaks_is_noticed(faulty: str, tmp_path: Path) -> None:
    code, said = fuzzed(faulty, "mp_any:thing", tmp_path, examples=1, phases="fuzzing")
    assert code != 0
    assert "Server error" in said or "500" in said
