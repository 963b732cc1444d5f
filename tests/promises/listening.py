"""Those who are told: subscribers and a mail server that answer with what they were told, and what
the log shows of that.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.smtp import SMTP, Envelope, Session
from tests.live_server import Client
from tests.notifications.mail_town import PostOffice, post_office, text_of

OWN = "/api/milepost/v1"
# What subscribers are sent besides, and nobody is shown.
TOKEN, HEADER, SIGNING = "zqsectoken", "zqsecheader", "zqsecsigningkey0"
QUERY, POSTMAN, PASSWORD = "zqsecquery", "zqsecpostman", "zqsecpassword"
SHOP, SENDER, ANSWERS = "zqowngreenshop", "zqownsender", "zqownanswers"
"""What an account calls itself: gone when it has deleted what was called so."""


@dataclass(slots=True)
class Listener:
    """A subscriber whose answer says whom it was told of; ``told`` are tags of persons."""

    url: str = ""
    told: list[str] = field(default_factory=list)
    logins: set[str] = field(default_factory=set)
    refused: int = 0


@contextmanager
def listening() -> Iterator[Listener]:
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            if self.path.startswith("/gone"):
                heard.refused += 1
                self.send_response(410)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())
                return
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


class Answering(PostOffice):
    """A server whose answer says who it is that is written to."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await super().handle_DATA(server, session, envelope)
        return f"250 noted {envelope.rcpt_tos[0][:5]}mailed"


@dataclass(slots=True)
class Mail:
    """What a mail server was given: recipients, and the links that end their letters."""

    links: dict[str, str] = field(default_factory=dict)
    office: PostOffice = field(default_factory=Answering)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "MILEPOST_SMTP_URL": f"smtp://{POSTMAN}:{PASSWORD}@127.0.0.1:{self.office.port}",
            "MILEPOST_SMTP_TLS": "never",
            "MILEPOST_MAIL_FROM": "tracking@shop.example",
            "MILEPOST_PUBLIC_URL": "https://parcels.example",
        }

    def read(self) -> None:
        for recipient, letter in list(self.office.got):
            tag = recipient[2:5]
            found = re.search(r"/unsubscribe/\S+", text_of(letter))
            assert found is not None
            self.links[tag] = found.group()


@contextmanager
def mail_server() -> Iterator[Mail]:
    """One that lets our login in."""
    made, ready, end = Mail(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        office = made.office
        office.password = PASSWORD.encode()
        async with post_office(office, authenticator=office.authenticate, auth_require_tls=False):
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(30)


def subscribe(client: Client, heard: Listener) -> str:
    """A webhook with a login and a header of its own, one that wants nothing more, an integration
    with a key of its own, and letters."""
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
    leaving = {"url": f"{heard.url}gone?key={QUERY}"}
    made = client.post(f"{events}/connections", {"type": "webhook", "configuration": leaving})
    wanted["connection_id"] = int(made.document["data"]["id"])
    assert client.post(f"{events}/subscriptions", wanted).status == 201
    shop = {"shop_name": SHOP, "webhook_url": heard.url, "signing_key": SIGNING}
    assert client.post(f"{OWN}/integrations", shop).status == 200
    letters = {
        "phases": ["in_delivery"],
        "sender_name": SENDER,
        "reply_to": f"{ANSWERS}@shop.example",
    }
    assert client.ask("PUT", f"{OWN}/emails", letters).status == 200
    return str(connection_id)


def delivered(client: Client, heard: Listener, mail: Mail) -> str:
    """Wait until everybody was told of, and nothing waits; all that the log shows."""
    until = time.monotonic() + 120
    while True:
        mail.read()
        page = client.get(f"{OWN}/connections").document["data"]
        waiting = sum(one["pending"]["deliveries"] for one in page if one["state"] != "disabled")
        everybody = {"era", "exp", "kep"}
        told = everybody <= set(heard.told) and everybody <= set(mail.links) and heard.refused
        if told and not waiting:
            return shown(client)
        assert time.monotonic() < until, (page, heard.told, mail.links)
        time.sleep(0.2)


def shown(client: Client) -> str:
    """All that the log, the feed and the settings show."""
    pages = [client.get(f"{OWN}/connections")]
    for connection in pages[0].document["data"]:
        place = f"{OWN}/connections/{connection['connection_id']}/deliveries"
        pages.append(client.get(place))
        listed = pages[-1].document["data"]
        pages += [client.get(f"{OWN}/deliveries/{one['delivery_id']}") for one in listed]
    pages.append(client.get("/api/v3/event-subscriptions/connections"))
    pages += [client.get(f"{OWN}/{one}") for one in ("integrations", "emails")]
    pages.append(client.get(f"{OWN}/events?limit=500"))
    assert {one.status for one in pages} == {200}
    return "".join(one.body.decode() for one in pages)


def leave(client: Client) -> None:
    """Delete whoever is told."""
    events = "/api/v3/event-subscriptions/connections"
    for one in client.get(events).document["data"]:
        assert client.ask("DELETE", f"{events}/{one['id']}").status == 204
    for one in client.get(f"{OWN}/integrations").document["data"]:
        assert client.ask("DELETE", f"/api/v3/integrations/{one['id']}").status == 204
    assert client.ask("DELETE", f"{OWN}/emails").status in (200, 204)
