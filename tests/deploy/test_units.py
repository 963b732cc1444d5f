"""The systemd units: read by systemd itself where that is installed, and closed to the machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")
# 0 is closed, 10 is open; systemd calls anything below 2 fine.
MOST_EXPOSED = 2.0


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    # Our place is not on this machine; a program that is stands in for it.
    placed = tmp_path / unit.name.replace("@.", "@8001.")
    placed.write_text(unit.read_text().replace("/opt/milepost/bin/milepost", "/bin/true"))
    verified = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", str(placed)], capture_output=True, text=True
    )
    ours = [line for line in verified.stderr.splitlines() if placed.name in line]
    assert (verified.returncode, ours) == (0, [])
    judged = subprocess.run(
        [str(ANALYZE), "security", "--no-pager", "--offline=true", str(placed)],
        capture_output=True,
        text=True,
    )
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert exposure, judged.stderr
    assert float(exposure[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_stop_has_time_to_drain(unit: Path) -> None:
    text = unit.read_text()
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert seconds
    # 25 s for the API, as many for the workers; an embedded PostgreSQL may take a minute more.
    assert int(seconds[1]) >= (25 + 25 + 60 if unit.name == "milepost.service" else 50)
    assert "KillMode=mixed" in text
