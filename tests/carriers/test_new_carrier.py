"""A new folder is right from the start, and its cost is what it is said to be."""

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import milepost.catalogue
from milepost.carriers import registry
from milepost.carriers.faults import faults_of
from milepost.carriers.new_carrier import form_of
from milepost.carriers.registry import Catalogue
from milepost.cli import carriers

PAGE = "https://acme.example/{n}?pc={pc}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty catalogue that can be imported from."""
    monkeypatch.setattr(registry, "catalogue_folder", lambda: tmp_path)
    monkeypatch.setattr("milepost.carriers.new_carrier.catalogue_folder", lambda: tmp_path)
    monkeypatch.setattr(milepost.catalogue, "__path__", [str(tmp_path)])
    return tmp_path


def typed(*words: str) -> Result:
    app = typer.Typer()
    carriers.add_to(app)
    return CliRunner().invoke(app, ("carrier", *words))


def test_a_carrier_to_recognise_is_one_short_file(folder: Path) -> None:
    told = ("--country", "nl", "--name", 'A "C"me', "--page", PAGE)
    result = typed("new", "acme", *told, "--number", "ab 123456789 nl", "--number", "CD123456789NL")
    assert result.exit_code == 0, result.output
    (file,) = [path for path in folder.rglob("*") if path.is_file()]
    assert len(file.read_text().splitlines()) <= 30
    (acme,) = Catalogue.load(folder)
    assert acme.manifest.name == 'A "C"me'
    assert acme.manifest.home_zone == "Europe/Amsterdam"
    assert [form.pattern for form in acme.manifest.formats] == [r"[A-Z]{2}\d{9}[A-Z]{2}"]
    assert acme.quality == "linked"
    assert acme.tracking_url("1", "2") == "https://acme.example/1?pc=2"
    assert typed("check", "acme").exit_code == 0


def test_a_carrier_to_ask_reads_its_samples_at_once(folder: Path) -> None:
    code = f"acme_{os.getpid()}"  # its connector stays imported
    result = typed("new", code, "--country", "FR", "--asked", "--json")
    assert result.exit_code == 0, result.output
    files = [Path(name) for name in json.loads(result.stdout)["files"]]
    written = [path for path in files if path.suffix in (".py", ".toml")]
    assert sorted(path.name for path in written) == ["__init__.py", "connector.py", "manifest.toml"]
    assert sum(len(path.read_text().splitlines()) for path in written) < 3 * 60
    (acme,) = Catalogue.load(folder)
    assert faults_of(acme) == []
    assert acme.quality == "sampled"
    checked = json.loads(typed("check", code, "--json").stdout)
    assert {row["checked"]: row["result"] for row in checked} == {
        "manifest": "right",
        "delivered": "right",
        "not-found": "right",
        "shape of answers": "right",
    }
    expected = json.loads((folder / code / "samples" / "delivered.expected.json").read_text())
    scans = expected["outcome"]["scans"]
    assert [scan["raw_code"] for scan in scans] == ["ANNOUNCED", "SORTED", "DELIVERED"]
    assert [scan["moment"]["zone_source"] for scan in scans] == ["carrier", "place", "place"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Acme", "--country", "NL"), "no code"),
        (("../acme", "--country", "NL"), "no code"),
        (("acme", "--country", "XX"), "no country"),
        (("known", "--country", "NL"), "there already"),
    ],
)
def test_a_mistake_writes_nothing(folder: Path, words: tuple[str, ...], said: str) -> None:
    (folder / "known").mkdir()
    result = typed("new", *words)
    assert result.exit_code == 1
    assert said in str(result.exception)
    assert list(folder.rglob("*")) == [folder / "known"]


def test_what_is_not_right_yet_is_said(folder: Path) -> None:
    result = typed("new", "acme", "--country", "NL", "--page", "http://acme.example/{number}")
    assert result.exit_code == 1
    assert "not right yet: the page" in result.output
    assert typed("check", "acme").exit_code == 1


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("3s abc 12345678901", r"\d[A-Z]{4}\d{11}"),
        ("1234/12345678", r"\d{4}/\d{8}"),
        ("A.1", r"[A-Z]\.\d"),
    ],
)
def test_a_form_is_made_of_an_example(number: str, form: str) -> None:
    assert form_of(number) == form
