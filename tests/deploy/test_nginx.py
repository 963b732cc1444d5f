"""deploy/nginx/milepost.conf in a real nginx: what reaches Milepost, and what comes back."""

import base64
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bench.ports import free_port
from tests.cli.certificates import self_signed
from tests.flows.test_instruments import parcel
from tests.live_server import Server, running

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

AROUND = """
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
daemon off;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    {site}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[int]:
    """Our configuration on a free port, before ``upstream``; only names and places are replaced."""
    certificate, key = self_signed(folder)
    port = free_port()
    site = (ROOT / "deploy" / "nginx" / "milepost.conf").read_text()
    for ours, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("server 127.0.0.1:8000", f"server 127.0.0.1:{upstream}"),
        ("/etc/milepost/fullchain.pem", str(certificate)),
        ("/etc/milepost/key.pem", str(key)),
    ):
        assert site.count(ours) == 1, ours
        site = site.replace(ours, here)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, site=site, user=user))
    command = [str(NGINX), "-p", str(folder), "-e", str(folder / "error.log")]
    command += ["-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait(port, process)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait(port: int, process: "subprocess.Popen[str]") -> None:
    for _ in range(1000):
        assert process.poll() is None, process.communicate()[1]
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("nginx does not listen")


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


class _Echoes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        told = {"path": self.path, "headers": [list(pair) for pair in self.headers.items()]}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_what_reaches_the_upstream(tmp_path: Path) -> None:
    echo = ThreadingHTTPServer(("127.0.0.1", 0), _Echoes)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    try:
        with nginx(tmp_path, echo.server_port) as port:
            path = "/api/v2/tracking/A%2FB%20%C3%A9%252F//x?carrier_code=a%26b"
            sent = {
                "X-Forwarded-For": "6.6.6.6",
                "X-Request-Id": "mine-1",
                "Host": "tracking.example.org",
                "Authorization": "Basic abc",
            }
            told = json.loads(ask(port, "GET", path, headers=sent)[2])
    finally:
        echo.shutdown()
    assert told["path"] == path
    headers = {name.lower(): value for name, value in told["headers"]}
    assert headers["x-forwarded-for"] == "127.0.0.1", "what the client claims is replaced"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == "tracking.example.org"
    assert headers["x-request-id"] == "mine-1"
    assert headers["authorization"] == "Basic abc"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(MILEPOST_TRUSTED_PROXIES="127.0.0.1") as started:
        yield started


def test_milepost_behind_it(server: Server, tmp_path: Path) -> None:
    client = server.account("proxied")
    sent = {
        "Authorization": "Basic " + base64.b64encode(client.user.encode()).decode(),
        "Content-Type": "application/json",
        "X-Request-Id": "through-nginx",
    }
    with nginx(tmp_path, server.port) as port:
        document = parcel()
        document["tracking_number"]["tracking_number"] = "SBX-HAPPY/1 2"
        path = "/api/v3/parcels/tracking"
        made = ask(port, "POST", path, json.dumps(document).encode(), sent)
        assert made[0] == 200, made
        found = ask(port, "GET", f"{path}/SBX-HAPPY%2F1%202", headers=sent)
        assert found[0] == 200
        assert found[1]["x-request-id"] == "through-nginx"
        assert "server" not in found[1] or "/" not in found[1]["server"]
        large = json.dumps({"source_id": "x" * 1_100_000}).encode()
        refused = ask(port, "POST", path, large, sent)
        assert refused[0] == 413
        assert json.loads(refused[2]), "Milepost says it, in the form of its API"
        assert ask(port, "GET", "/healthz")[0] == 200
    with nginx(tmp_path, free_port()) as port:
        assert ask(port, "GET", "/healthz")[0] == 502, "nobody is behind it"
