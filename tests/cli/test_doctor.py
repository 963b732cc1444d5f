"""``milepost doctor`` where nothing runs, where nothing is, and where nothing can be reached."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from milepost import settings
from milepost.checkup.verdict import Grade
from milepost.cli.doctor import examine
from milepost.db.postmaster import running_postmaster


def doctor(state_dir: Path, **variables: str) -> tuple[int, dict[str, Any]]:
    clean = {name: value for name, value in os.environ.items() if "MILEPOST_" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "milepost.cli.main", "doctor", "--json"],
        env=clean | {"MILEPOST_STATE_DIR": str(state_dir)} | variables,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.stderr == ""
    assert "hunter2" not in done.stdout
    return done.returncode, json.loads(done.stdout)


def wrong(told: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["text"] for one in told["checks"] if one["grade"] == "fault"}


def test_before_the_first_start_it_makes_nothing(tmp_path: Path) -> None:
    code, told = doctor(tmp_path / "new")
    assert (code, told["well"]) == (0, True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("variables", "check", "text"),
    [
        ({"MILEPOST_TLS_CERT": "/nothing"}, "settings", "set both"),
        ({"MILEPOST_MAPPINGS": "/nothing"}, "mappings", "can't be read"),
        ({"MILEPOST_EVENT_RETRY_SECONDS": "30;60"}, "settings", "MILEPOST_EVENT_RETRY_SECONDS"),
        ({"MILEPOST_CLASSIC_RETRY_SECONDS": "-1"}, "settings", "MILEPOST_CLASSIC_RETRY_SECONDS"),
        ({"MILEPOST_EGRESS_ALLOW": "10.1.2.3/99"}, "settings", "MILEPOST_EGRESS_ALLOW"),
        ({"MILEPOST_SMTP_URL": "mail://x"}, "settings", "MILEPOST_PUBLIC_URL"),
        (
            {"MILEPOST_DATABASE_URL": "postgresql://a:hunter2@127.0.0.1:1/x"},
            "database",
            "unreachable",
        ),
        ({"MILEPOST_DATABASE_URL": "postgresql://a:hunter2/b@x/y"}, "database", "can't be read"),
    ],
)
async def test_what_can_not_work_is_told(
    tmp_path: Path,
    variables: dict[str, str],
    check: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MILEPOST_STATE_DIR", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    verdicts = await examine()
    settings.load.cache_clear()
    found = {one.check: one.text for one in verdicts if one.grade is Grade.FAULT}
    assert text in found[check]
    assert not any("hunter2" in one.text + one.todo for one in verdicts)


def test_a_wrong_setting_is_a_fault_and_no_traceback(tmp_path: Path) -> None:
    code, told = doctor(tmp_path, MILEPOST_PORT="hunter2")
    assert code == 1
    assert wrong(told)["settings"].startswith("MILEPOST_PORT: ")


def test_it_starts_what_does_not_run_and_stops_it(state_dir: Path) -> None:
    variables = {"MILEPOST_STATE_DIR": str(state_dir)}
    clean = {name: value for name, value in os.environ.items() if "MILEPOST_" not in name}
    upgrade = [sys.executable, "-m", "milepost.cli.main", "db", "upgrade"]
    subprocess.run(upgrade, env=clean | variables, check=True, capture_output=True)
    code, told = doctor(state_dir)
    assert (code, wrong(told)) == (0, {})
    assert running_postmaster(state_dir / "postgresql" / "data") is None


async def test_a_setting_that_is_none_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILEPOST_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("MILEPOST_KEEP_PARCEL_DAYS", "hunter2")
    settings.load.cache_clear()
    told = [one for one in await examine() if one.grade is Grade.WARNING]
    assert (
        "MILEPOST_KEEP_PARCEL_DAYS is no setting",
        "set MILEPOST_KEEP_PARCELS_DAYS instead",
    ) in [(one.text, one.todo) for one in told]
