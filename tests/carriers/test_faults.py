"""What is wrong in a folder is found, each fault planted."""

from pathlib import Path

import pytest

from milepost.carriers.faults import faults_of
from milepost.carriers.registry import Catalogue

LEAST = 'name = "X"\ntier = "A"\nhome_zone = "Europe/Paris"\n'
FORM = "[[formats]]\npattern = '\\d{10}'\ncheck = 'mod7'\n"
FAULTS = [
    ("[[formats]]\npattern = '('", "can't be read"),
    (f"test_numbers = ['3318810026']\n{FORM}", "the test number 3318810026"),
    (f"test_numbers = ['331881002']\n{FORM}", "the test number 331881002"),
    (f"invalid_numbers = ['3318810025']\n{FORM}", "the invalid number 3318810025"),
    (f"invalid_numbers = ['AB']\n{FORM}", "the invalid number AB"),
    ("invalid_numbers = ['AB']", "the invalid number AB"),
    ("tracking_pages = ['http://x.example/{n}']", "is not https"),
    ("tracking_pages = ['https://x.example/']", "must name {n}"),
    ("tracking_pages = ['https://x.example/{n}/{zip}']", "must name {n}"),
    ("ask_with = { service = 'x' }", "no credential field service"),
    ("[[status]]\nraw = 'a'", "status.0.reading"),
    (
        "[[status]]\nraw = 'a'\nreading = ['pup', 'none', 'success', 'pup']\n" * 2,
        "2 rules for a",
    ),
]


def faults(folder: Path, text: str) -> list[str]:
    (folder / "x").mkdir()
    (folder / "x" / "manifest.toml").write_text(f'code = "x"\n{LEAST}{text}\n')
    (carrier,) = Catalogue.load(folder)
    return faults_of(carrier)


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_a_fault_is_found(tmp_path: Path, text: str, said: str) -> None:
    (found,) = faults(tmp_path, text)
    assert said in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "test_numbers = ['AB']",
        f"test_numbers = ['3318810025']\ninvalid_numbers = ['3318810026']\n{FORM}",
        "tracking_pages = [{ url = 'https://x.example/{n}', countries = ['NL'] }]",
    ],
)
def test_what_is_right_has_none(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text) == []


def test_who_is_asked_says_where(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "connector.py").touch()
    assert "api.base_url" in faults_in_existing(tmp_path)


def faults_in_existing(folder: Path) -> str:
    (folder / "x" / "manifest.toml").write_text(f'code = "x"\n{LEAST}')
    (carrier,) = Catalogue.load(folder)
    return " ".join(faults_of(carrier))
