"""One running installation and everything that watches it: metrics, logs, request ids, traces."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from bench.ports import free_port
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.live_server import Client, Server, running

CANARY = "CANARY47117Q"
NUMBER = f"SBX-HAPPY-8640X-{CANARY}"
PERSON = "Jane Canaryman"


class Collector(ThreadingHTTPServer):
    """Takes spans over OTLP/HTTP."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), _Takes)

    def spans(self) -> list[Any]:
        return [
            span
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def raw(self) -> bytes:
        return b"".join(request.SerializeToString() for request in self.requests)


class _Takes(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Watched:
    server: Server
    collector: Collector
    metrics_port: int
    client: Client
    registered: dict[str, str] = field(default_factory=dict)

    def metrics(self) -> str:
        return Client(self.metrics_port).get("/metrics").body.decode()

    def log(self) -> str:
        return (self.server.state_dir / "log").read_text()


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    collector, metrics_port = Collector(), free_port()
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    settings = {
        "MILEPOST_METRICS_PORT": str(metrics_port),
        "MILEPOST_ACCESS_LOG": "true",
        "MILEPOST_LOG_LEVEL": "debug",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with running(**settings) as server:
        client = server.account("watched")
        assert client.post("/api/v3/parcels/tracking", parcel()).status == 200
        yield Watched(server, collector, metrics_port, client)
    collector.shutdown()


def parcel() -> dict[str, Any]:
    address = {"country_code": "NL", "postal_code": "5611EM", "city": "Eindhoven"}
    return {
        "announced_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "source_id": "order-1",
        "from_address": address,
        "to_address": address | {"name": PERSON},
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": "sandbox:standard"},
        },
        "tracking_number": {"carrier_code": "sandbox", "tracking_number": NUMBER},
    }


def eventually(condition: Any) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.2)


def missing(text: str, expected: list[str]) -> list[str]:
    return [line for line in expected if line not in text]


def test_what_a_client_does_is_counted(watched: Watched) -> None:
    client = watched.client
    for _ in range(3):
        assert client.get(f"/api/v3/parcels/tracking/{NUMBER}").status == 200
    assert client.get(f"/api/v2/tracking/{CANARY}-absent").status == 404
    assert client.get(f"/nowhere/{CANARY}").status == 404
    expected = [
        'request_seconds_count{method="GET",route="/api/v3/parcels/tracking/{tracking_number}"'
        ',status="200"} 3.0',
        'request_seconds_count{method="GET",route="/api/v2/tracking/{tracking_number}"'
        ',status="404"} 1.0',
        'request_seconds_count{method="GET",route="unmatched",status="404"} 1.0',
        'milepost_registrations_total{outcome="stored"} 1.0',
        'milepost_checks_total{carrier="sandbox",outcome="found"}',
        'milepost_records_total{source="poll"}',
        'milepost_pool_connections{role="milepost_app",state="open"}',
        'milepost_process_up{process="worker-1"} 1.0',
        "milepost_lanes 1.0",
    ]
    eventually(lambda: not missing(watched.metrics(), expected))
    assert CANARY not in watched.metrics()


def test_ids_are_echoed_and_found_in_the_log(watched: Watched) -> None:
    client = watched.client
    given = {"X-Request-Id": "seen-in.log:7"}
    answer = client.get(f"/api/v3/parcels/tracking/{NUMBER}", given)
    assert answer.headers["x-request-id"] == "seen-in.log:7"
    assert client.get("/api/v2/tracking/none", given).headers["x-request-id"] == "seen-in.log:7"
    assert Client(client.port).get("/api/v3/x", given).headers["x-request-id"] == "seen-in.log:7"
    for odd in ("x" * 129, "a b", "<script>"):
        made = client.get("/healthz", {"X-Request-Id": odd}).headers["x-request-id"]
        assert made != odd
        assert len(made) == 16
    # A line is written when its answer has gone.
    eventually(lambda: len(logged(watched, "seen-in.log:7")) >= 3)
    assert [(line["route"], line["status"]) for line in logged(watched, "seen-in.log:7")] == [
        ("/api/v3/parcels/tracking/{tracking_number}", 200),
        ("/api/v2/tracking/{tracking_number}", 404),
        ("unmatched", 401),
    ]


def logged(watched: Watched, request_id: str) -> list[dict[str, Any]]:
    """Lines of the log about one request, as far as they are whole."""
    whole = watched.log().rpartition("\n")[0].splitlines()
    lines = [json.loads(line) for line in whole if line.startswith("{")]
    return [line for line in lines if line.get("request_id") == request_id]


def test_spans_arrive_with_statements_and_carriers_below_them(watched: Watched) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    watched.client.get(
        f"/api/v3/parcels/tracking/{NUMBER}?order=asc",
        {"traceparent": f"00-{trace}-b7ad6b7169203331-01"},
    )
    # They come in parcels, what is below before what it is below of.
    eventually(
        lambda: any(s.trace_id.hex() == trace and s.kind == 2 for s in watched.collector.spans())
    )
    eventually(lambda: "SELECT" in {span.name for span in watched.collector.spans()})
    eventually(lambda: above("carrier request", watched.collector.spans()) == {"check lane"})
    spans = watched.collector.spans()
    asked = next(s for s in spans if s.trace_id.hex() == trace and s.kind == 2)
    assert asked.name == "GET /api/v3/parcels/tracking/{tracking_number}"
    assert asked.parent_span_id.hex() == "b7ad6b7169203331"
    statements = [s for s in spans if s.parent_span_id == asked.span_id]
    # A commit that PostgreSQL refuses is tried again, after its rollback.
    assert {"BEGIN", "SELECT", "COMMIT"} == {s.name for s in statements} - {"ROLLBACK"}
    texts = [one.value.string_value for s in statements for one in s.attributes]
    assert "BEGIN; SET LOCAL milepost.account_id = '?'" in texts


def above(name: str, spans: list[Any]) -> set[str]:
    """What the spans of that name are below of, as far as that has come."""
    by_id = {span.span_id: span.name for span in spans}
    return {
        by_id[span.parent_span_id]
        for span in spans
        if span.name == name and span.parent_span_id in by_id
    }


def test_neither_logs_nor_traces_hold_anybody_s_data(watched: Watched) -> None:
    eventually(lambda: watched.collector.spans())
    secret = watched.client.user.partition(":")[2]
    for text in (watched.log().encode(), watched.metrics().encode(), watched.collector.raw()):
        for word in (CANARY, PERSON, "Canaryman", secret, "order-1", "5611EM", "127.0.0.1,"):
            assert word.encode() not in text, word


def test_the_doctor_beside_it_finds_it_well(watched: Watched) -> None:
    told = watched.server.command("doctor")
    assert told["well"]
    assert {"schema", "roles", "row security", "lanes"} <= {one["check"] for one in told["checks"]}
