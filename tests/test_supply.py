"""What we are made of: no secret in the tree; with SUPPLY=1 (make supply) the bill of materials."""

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tests.test_settings_and_words import told_files

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

SECRETS = re.compile(
    "|".join(
        [
            "-----BEGIN [A-Z ]*" + "PRIVATE KEY-----",
            r"\bAKIA[0-9A-Z]{16}\b",
            r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
            r"\bxox[abpr]-[0-9A-Za-z-]{20,}",
            r"\bsk_live_[0-9a-zA-Z]{20,}",
            r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
            # Our own: an API secret, and the key that seals everything.
            r"\bmps_[0-9a-f]{64,}\b",
            r"\b(?i:password|passwd|api_?key|secret_?key)\s*[=:]\s*[\"'][A-Za-z0-9+/_-]{24,}[\"']",
        ]
    )
)
REPEATED = re.compile(r"(.{1,3}?)\1{6,}")
"""Placeholders such as kkkkkkkk or 0123 over and over are nobody's secret."""


def secrets_in(text: str) -> list[str]:
    return [found[0] for found in SECRETS.finditer(text) if not REPEATED.search(found[0])]


def test_no_secret_is_in_the_tree() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {found[:12]}..."
        for path in told_files()
        for found in secrets_in(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert named == []


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN EC " + "PRIVATE KEY-----",
        "aws = AKIA" + "Z7QX4M2P9KD3W8RT",
        "token: ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
        "mps_" + "af1554b3a91e7071e64061f4e84765ba3cb92dac13de7e1c7d7f19603bdf05b7",
        'api_key = "' + 'q8Zr2Lx7Vn4Tb9Wm1Kc6Jd3F"',
    ],
)
def test_a_planted_secret_is_seen(planted: str) -> None:
    assert secrets_in(f"x\n{planted}\ny")
    assert not secrets_in('api_key = "' + "k" * 40 + '"')


heavy = pytest.mark.skipif(not os.environ.get("SUPPLY"), reason="make supply runs it")


def installed() -> set[tuple[str, str]]:
    return {(canonical(one.name), one.version) for one in metadata.distributions()}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def listed(bill: Path) -> set[tuple[str, str]]:
    return {
        (canonical(one["name"]), one["version"])
        for one in json.loads(bill.read_text())["components"]
    }


@heavy
@pytest.mark.timeout(600)
def test_the_bill_of_materials_is_what_is_installed() -> None:
    """Written to build/sbom.json (CycloneDX), for whoever runs what we ship."""
    bill = ROOT / "build" / "sbom.json"
    bill.parent.mkdir(exist_ok=True)
    command = [str(BIN / "cyclonedx-py"), "environment", "--of", "JSON", "-o", str(bill)]
    subprocess.run([*command, sys.executable], check=True, capture_output=True)
    assert listed(bill) == installed()
    assert listed(bill) != installed() - {("asyncpg", metadata.version("asyncpg"))}


@heavy
@pytest.mark.timeout(600)
def test_bandit_finds_nothing_of_high_severity(tmp_path: Path) -> None:
    assert bandit(ROOT / "src") == []
    (tmp_path / "bad.py").write_text("import subprocess\nsubprocess.call('ls ' + x, shell=True)\n")
    assert bandit(tmp_path) == ["B602"], "a planted one is found"


def bandit(folder: Path) -> list[str]:
    command = [str(BIN / "bandit"), "-q", "-r", str(folder), "-f", "json", "-lll"]
    done = subprocess.run(command, capture_output=True, text=True)
    return [one["test_id"] for one in json.loads(done.stdout)["results"]]
