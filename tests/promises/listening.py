"""A subscriber that answers with what it was told, and what the log shows of that."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.live_server import Client

OWN = "/api/milepost/v1"
# What subscribers are sent besides, and nobody is shown.
TOKEN, HEADER, SIGNING = "zqsectoken", "zqsecheader", "zqsecsigningkey0"


@dataclass(slots=True)
class Listener:
    """A subscriber whose answer says whom it was told of; ``told`` are tags of persons."""

    url: str = ""
    told: list[str] = field(default_factory=list)
    logins: set[str] = field(default_factory=set)


@contextmanager
def listening() -> Iterator[Listener]:
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            # An integration hears of itself, too.
            tags = re.findall("zq([a-z]{3})number", body.lower())[:1]
            heard.logins |= {self.headers["authorization"] or "", self.headers["x-shop"] or ""}
            answer = "".join(f"noted zq{tag}answered" for tag in tags).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            heard.told += tags

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


def subscribe(client: Client, heard: Listener) -> str:
    """A webhook with a login and a header of its own, and an integration with a key of its own."""
    configuration = {
        "url": heard.url,
        "auth_type": "bearer",
        "auth_config": {"token": TOKEN},
        "extra_headers": {"X-Shop": HEADER},
    }
    events = "/api/v3/event-subscriptions"
    made = client.post(f"{events}/connections", {"type": "webhook", "configuration": configuration})
    assert made.status == 201, made.body
    connection_id = int(made.document["data"]["id"])
    wanted = {"connection_id": connection_id, "event_type": "parcels.event.created"}
    assert client.post(f"{events}/subscriptions", wanted).status == 201
    shop = {"shop_name": "Shop", "webhook_url": heard.url, "signing_key": SIGNING}
    assert client.post(f"{OWN}/integrations", shop).status == 200
    return str(connection_id)


def delivered(client: Client, connection_id: str, heard: Listener) -> str:
    """Wait until everybody was told of, and nothing waits; all that the log shows."""
    until = time.monotonic() + 60
    while True:
        page = client.get(f"{OWN}/connections").document["data"]
        waiting = sum(one["pending"]["deliveries"] for one in page)
        if {"era", "exp", "kep"} <= set(heard.told) and not waiting:
            break
        assert time.monotonic() < until, page
        time.sleep(0.2)
    listed = client.get(f"{OWN}/connections/{connection_id}/deliveries").document["data"]
    shown = [client.get(f"{OWN}/deliveries/{one['delivery_id']}") for one in listed]
    published = client.get(f"/api/v3/event-subscriptions/connections/{connection_id}")
    whole = [*shown, published, client.get(f"{OWN}/integrations")]
    return json.dumps([page, listed]) + "".join(one.body.decode() for one in whole)
