"""``milepost demo`` and README's tour, typed as it stands."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from bench.ports import free_port
from tests.live_server import MILEPOST, STOP_SECONDS, Client, environment
from tests.ready_cluster import make_state_dir

README = Path(__file__).parents[2] / "README.md"
PATIENCE = 180
"""Seconds for anything: a first start makes a database and all its tables."""


class Lines:
    """What the demo printed so far, as JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[dict[str, Any]]:
        lines = self._path.read_text().splitlines(keepends=True)
        # The last one may be half written.
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def wait(self, **wanted: str) -> dict[str, Any]:
        """The first line with these values."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in self.all():
                if wanted.items() <= line.items():
                    return line
            time.sleep(0.1)
        raise AssertionError(f"{wanted} was not told: {self._path.read_text()}")


@pytest.fixture
def home() -> Iterator[Path]:
    """A working directory as a clean clone is one, with ./.state in it."""
    made = make_state_dir()
    (made / ".state").mkdir(mode=0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextmanager
def demo(home: Path, port: int) -> Iterator[Lines]:
    """The demo, stopped as Ctrl-C stops it."""
    output: IO[bytes]
    told = home / "told"
    with told.open("wb") as output:
        process = subprocess.Popen(
            [MILEPOST, "demo", "--json"],
            cwd=home,
            env=environment(home / ".state", port),
            stdout=output,
            start_new_session=True,
        )
    try:
        yield Lines(told)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_moves_its_parcels_and_a_second_start_goes_on(home: Path) -> None:
    port, kept = free_port(), home / ".state" / "demo.json"
    with demo(home, port) as lines:
        first = lines.wait(url=f"http://127.0.0.1:{port}")
        assert kept.stat().st_mode & 0o777 == 0o600
        lines.wait(number="SBX-HAPPY-3600X-DEMO1", status="DELIVERED")
        waiting = lines.wait(carrier="dhl")
        assert waiting["state"] == "waiting_for_credentials"
        assert waiting["reason"]
    assert not list((home / ".state").rglob("postmaster.pid"))
    with demo(home, port) as lines:
        second = lines.wait(url=f"http://127.0.0.1:{port}")
        assert (second["user"], second["starts"]) == (first["user"], 2)
        lines.wait(number="SBX-HAPPY-3600X-DEMO2", status="ANNOUNCED")
        mine = Client(port, second["user"])
        earlier = mine.get("/api/v3/parcels/tracking/SBX-HAPPY-3600X-DEMO1")
        assert earlier.document["events"][0]["status"] == "DELIVERED"
        # What the first start told is not told again.
        assert not any(line.get("number", "").endswith("DEMO1") for line in lines.all())
    kept.unlink()
    with demo(home, port) as lines:
        third = lines.wait(url=f"http://127.0.0.1:{port}")
        assert third["account_id"] == first["account_id"]
        assert third["user"] != first["user"]


def tour() -> list[str]:
    """The shell blocks of README's tour."""
    section = README.read_text().split("## Five minutes with curl")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_readmes_tour_works_as_it_stands(home: Path) -> None:
    port = free_port()
    setting, register, read, wrong = (block.replace("8000", str(port)) for block in tour())

    def typed(*blocks: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", "\n".join([setting, *blocks])],
            cwd=home,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with demo(home, port) as lines:
        # Told when all are registered; the demo itself registers as many as a second allows.
        lines.wait(number="SBX-HAPPY-3600X-DEMO1", status="ANNOUNCED")
        time.sleep(1)
        made = json.loads(typed(register))
        assert made["tracking_numbers"][0]["carrier_code"] == "sandbox"
        assert json.loads(typed(register)) == {"detail": "Parcel or tracking number already exists"}
        deadline = time.monotonic() + PATIENCE
        while "DELIVERED" not in (told := typed(read)) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert '"status":"DELIVERED"' in told
        assert '"parent_status":"delivered"' in told
        refused = typed(wrong)
        assert refused.startswith("HTTP/1.1 422")
        assert '{"loc":["body","from_address"],"msg":"Field required","type":"missing"}' in refused
