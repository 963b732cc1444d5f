"""Settings, key, files and disk: each fault in one line that names no secret."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from milepost.accounts.secret_keys import SecretKeys
from milepost.checkup import machine
from milepost.checkup.verdict import Grade
from milepost.settings import Settings, unknown_variables

KEY = "k" * 40


def test_each_wrong_setting_is_a_line_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_PORT", "hunter2")
    monkeypatch.setenv("MILEPOST_LOG_LEVEL", "hunter2")
    with pytest.raises(ValidationError) as raised:
        Settings()
    lines = list(machine.settings_faults(raised.value))
    assert [one.text.partition(":")[0] for one in lines] == ["MILEPOST_PORT", "MILEPOST_LOG_LEVEL"]
    assert not any("hunter2" in one.text for one in lines)


def test_the_key_is_there_and_the_right_one(tmp_path: Path) -> None:
    fingerprint = SecretKeys((KEY.encode(),)).fingerprint
    empty = Settings(state_dir=tmp_path)
    assert machine.judge_key(empty, None).grade is Grade.OK
    assert not (tmp_path / "secret.key").exists(), "looking makes nothing"
    assert "it is gone" in machine.judge_key(empty, fingerprint).text
    right = Settings(state_dir=tmp_path, secret_key=KEY)
    assert machine.judge_key(right, fingerprint).grade is Grade.OK
    assert "not the one" in machine.judge_key(right, "other").text
    short = Settings(state_dir=tmp_path, secret_key="short")
    assert "at least 32" in machine.judge_key(short, fingerprint).text
    outside = Settings(state_dir=tmp_path, database_url="postgresql:///x")
    assert "a secret key is needed" in machine.judge_key(outside, None).text


@pytest.mark.parametrize(
    ("mode", "secret", "grade"),
    [
        (0o600, True, Grade.OK),
        (0o640, True, Grade.OK),
        (0o644, True, Grade.FAULT),
        (0o660, True, Grade.FAULT),
        (0o711, False, Grade.OK),
        (0o755, False, Grade.OK),
        (0o770, False, Grade.FAULT),
        (0o777, False, Grade.FAULT),
    ],
)
def test_modes(mode: int, secret: bool, grade: Grade) -> None:
    assert machine.judge_file(machine.FileMode("x", mode, secret)).grade is grade


def test_files_are_read_as_they_are(tmp_path: Path) -> None:
    key = tmp_path / "secret.key"
    key.write_text(KEY)
    key.chmod(0o644)
    found = {one.path: one for one in machine.read_files(Settings(state_dir=tmp_path))}
    assert machine.judge_file(found[str(key)]).todo == f"chmod 600 {key}"


def test_a_full_disk(tmp_path: Path) -> None:
    gib = machine.GIB
    assert machine.read_disk(tmp_path / "not" / "yet").total > 0
    assert machine.judge_disk(machine.Disk("x", 50 * gib, 100 * gib)).grade is Grade.OK
    assert machine.judge_disk(machine.Disk("x", 4 * gib, 100 * gib)).grade is Grade.WARNING
    assert machine.judge_disk(machine.Disk("x", gib // 2, 100 * gib)).grade is Grade.FAULT


def test_a_mistyped_setting_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("MILEPOST_STATE_DRI", "MILEPOST_WORKERPROCESSES", "MILEPOST_ZZZ", "milepost_prot")
    for name in (*names, "milepost_host", "MILEPOST_FAILPOINT", "MILEPOST_TEST_CITUS_URL"):
        monkeypatch.setenv(name, "hunter2")
    told = list(machine.unknown_settings(unknown_variables()))
    assert {one.grade for one in told} == {Grade.WARNING}
    assert {one.text.partition(" ")[0]: one.todo for one in told} == {
        "MILEPOST_STATE_DRI": "set MILEPOST_STATE_DIR instead",
        "MILEPOST_WORKERPROCESSES": "set MILEPOST_WORKER_PROCESSES instead",
        "MILEPOST_ZZZ": "see the table of settings in the README",
        "milepost_prot": "set MILEPOST_PORT instead",
    }
