"""The whole program as processes: started, killed in parts, stopped, refused."""

import base64
import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.certificates import self_signed
from tests.cli.program import command_of, started
from tests.live_server import STOP_SECONDS
from tests.ready_cluster import make_state_dir

from milepost.db.embedded import EmbeddedPostgres
from milepost.db.postmaster import running_postmaster
from milepost.settings import Settings

KEY = "k" * 40
NOBODY = "postgresql://a:hunter2@127.0.0.1:1/x"


@pytest.fixture(scope="module")
def used_dir() -> Iterator[Path]:
    """A state directory shared by the tests that do not care, so that initdb runs once."""
    made = make_state_dir()
    yield made
    subprocess.run(["rm", "-rf", str(made)], check=True)


def status_of(url: str, context: ssl.SSLContext | None = None) -> int:
    """The HTTP status, 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=30, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


def eventually(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_answers_and_stops_all_it_started(used_dir: Path, number: int) -> None:
    with started(used_dir, "run --json") as program:
        url = program.wait_ready()
        assert status_of(f"{url}/healthz") == 200
        assert status_of(f"{url}/readyz") == 200
        assert len(program.find("worker_process")) == 1
        assert program.stop(number) == 0
        assert program.left() == []
        assert running_postmaster(used_dir / "postgresql" / "data") is None


def test_a_stop_during_the_start_is_quick(used_dir: Path) -> None:
    with started(used_dir) as program:
        eventually(lambda: len(program.find("api_process")) >= 2)
        begun = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - begun < 45
        assert program.left() == []


def test_a_request_in_hand_is_answered_before_the_end(used_dir: Path) -> None:
    with started(used_dir, "run --json") as program:
        host, port = program.wait_ready().removeprefix("http://").split(":")
        with started(used_dir, "account create drained --json") as creation:
            made = json.loads(creation.process.communicate()[0])
        secret = f"{made['public_key']}:{made['secret_key']}".encode()
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(
                b"POST /api/v3/parcels/tracking HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                b"Content-Type: application/json\r\nExpect: 100-continue\r\n"
                b"Authorization: Basic " + base64.b64encode(secret) + b"\r\n\r\n"
            )
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 "), "it is in hand"
            program.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(b"{}")
            assert connection.recv(65536).startswith(b"HTTP/1.1 422 ")
        assert program.process.wait(STOP_SECONDS) == 0


def test_a_later_start_keeps_key_and_data(used_dir: Path) -> None:
    with started(used_dir, port="0") as program:
        assert not program.wait_ready().endswith(":0")
    key = (used_dir / "secret.key").read_text()
    assert (used_dir / "secret.key").stat().st_mode & 0o777 == 0o600
    with started(used_dir) as program:
        program.wait_ready()
    assert (used_dir / "secret.key").read_text() == key


@pytest.mark.parametrize("which", ["api main", "api process", "worker", "postgres"])
def test_who_is_killed_comes_back(used_dir: Path, which: str) -> None:
    with started(used_dir, "run --json") as program:
        url = program.wait_ready()
        name = {"worker": "worker_process", "postgres": "postgres -D"}.get(which, "api_process")
        eventually(lambda: len(program.find(name)) >= (2 if which.startswith("api") else 1))
        victim = program.find(name)[1 if which == "api process" else 0]
        victim.kill()
        eventually(lambda: not command_of(victim))
        eventually(lambda: any(one.pid != victim.pid for one in program.find(name)))
        eventually(lambda: status_of(f"{url}/readyz") == 200)
        assert program.stop() == 0
        eventually(lambda: program.left() == [])


def test_all_drain_when_the_parent_is_killed(used_dir: Path) -> None:
    """The last child out stops the database, as nobody else is there to do it."""
    with started(used_dir, "run --json", api_processes="2") as program:
        program.wait_ready()
        eventually(lambda: len(program.find("api_process")) >= 3)
        program.process.kill()
        eventually(lambda: program.left() == [])
        assert running_postmaster(used_dir / "postgresql" / "data") is None


def test_readiness_tells_an_outage_and_liveness_does_not(state_dir: Path, used_dir: Path) -> None:
    outside = EmbeddedPostgres(Settings(state_dir=state_dir))
    dsn = outside.start()
    variables = {"database_url": dsn, "secret_key": KEY}
    with started(used_dir / "nothing", **variables) as program:
        url = program.wait_ready()
        assert status_of(f"{url}/readyz") == 200
        outside.stop()
        for _ in range(3):
            begun = time.monotonic()
            assert status_of(f"{url}/readyz") == 503
            assert status_of(f"{url}/healthz") == 200
            assert time.monotonic() - begun < 20
        # A process that starts during the outage lives, too.
        program.find("api_process")[0].kill()
        eventually(lambda: status_of(f"{url}/healthz") == 200)
        assert outside.start().split("host")[0] == dsn.split("host")[0]
        outside.stop()
    assert not (used_dir / "nothing").exists()


def test_migrations_run_on_an_external_server(state_dir: Path, used_dir: Path) -> None:
    outside = EmbeddedPostgres(Settings(state_dir=state_dir))
    dsn = outside.start()
    variables = {"database_url": dsn, "secret_key": KEY}
    try:
        with started(used_dir, "db upgrade --json", **variables) as program:
            said, _ = program.process.communicate()
            assert re.fullmatch(r"\d{4}", json.loads(said)["revision"])
            assert program.process.returncode == 0
        refused(
            used_dir, "is not the one", database_url=variables["database_url"], secret_key="z" * 40
        )
        refused(used_dir, "secret key is needed", database_url=variables["database_url"])
    finally:
        outside.stop()


def refused(state_dir: Path, why: str, command: str = "api", **variables: str) -> None:
    with started(state_dir, command, **variables) as program:
        said, _ = program.process.communicate(timeout=240)
        complained = program.complaints()
        assert program.process.returncode == 1, complained
    assert said == ""
    assert complained.count("\n") == 1, complained
    assert complained.startswith("milepost: ")
    assert why in complained
    assert "hunter2" not in complained


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"database_url": NOBODY, "secret_key": KEY}, "unreachable"),
        ({"port": "banana"}, "MILEPOST_PORT"),
        ({"host": "no.such.host.invalid"}, "can't listen on no.such.host.invalid"),
        ({"host": "203.0.113.1"}, "can't listen on 203.0.113.1"),
        ({"tls_cert": "/nothing"}, "set both MILEPOST_TLS_CERT and MILEPOST_TLS_KEY"),
        ({"tls_cert": "/nothing", "tls_key": "/nothing"}, "no TLS file /nothing"),
        ({"tls_cert": __file__, "tls_key": __file__}, "no certificate and its key"),
        ({"trusted_proxies": "hunter"}, "MILEPOST_TRUSTED_PROXIES"),
        ({"secret_key": "short"}, "secret key must have at least"),
    ],
)
def test_what_can_not_start_says_so_in_one_line(
    used_dir: Path, variables: dict[str, str], why: str
) -> None:
    refused(used_dir, why, **variables)


def test_a_state_directory_that_can_not_be_made_is_told() -> None:
    refused(Path("/proc/nothing"), "the state directory /proc/nothing is not writable")


def test_a_taken_port_is_told(used_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(used_dir, f"can't listen on 127.0.0.1:{port}: address already in use", port=port)


def test_a_port_taken_by_another_of_us_is_told(used_dir: Path) -> None:
    with started(used_dir) as program:
        port = program.wait_ready().rpartition(":")[2]
        refused(used_dir, "address already in use", port=port)


def test_tls(used_dir: Path, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    variables = {"tls_cert": str(certificate), "tls_key": str(key), "host": "localhost"}
    with started(used_dir, **variables) as program:
        url = program.wait_ready()
        assert status_of(f"{url}/healthz", trusting) == 200
        assert status_of(url.replace("https", "http") + "/healthz") == 0
