"""The catalogue: found by folder, honest about numbers, links only where they can be made."""

import subprocess
import sys
from pathlib import Path

import pytest

from milepost.carriers.connector import Credential
from milepost.carriers.registry import Catalogue
from milepost.errors import ConfigurationError

MANIFEST = """
code = "{code}"
name = "Test"
tier = "C"
home_zone = "Europe/Paris"
tracking_pages = ["https://t.example/{{cc}}/{{n}}?p={{pc}}", "https://t.example/{{lang}}/{{n}}"]

[[formats]]
pattern = 'AA\\d{{4}}'

[[formats]]
pattern = '\\d{{10}}'
check = "mod7"
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    (tmp_path / "test_one").mkdir()
    (tmp_path / "test_one" / "manifest.toml").write_text(MANIFEST.format(code="test_one"))
    (tmp_path / "not_a_carrier").mkdir()
    return Catalogue.load(tmp_path)


def test_a_carrier_is_found_by_its_code(catalogue: Catalogue) -> None:
    assert [carrier.manifest.code for carrier in catalogue] == ["test_one"]
    assert catalogue.get("nobody") is None
    assert catalogue.asked_code("nobody") == "nobody"


def test_a_carrier_without_a_connector_is_only_recognised(catalogue: Catalogue) -> None:
    carrier = catalogue.get("test_one")
    assert carrier is not None
    assert not carrier.can_be_asked
    assert carrier.connector() is None
    assert not carrier.needs_credential
    assert carrier.quality == "linked"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("aa 12 34", None),
        ("3318810025", None),
        ("3318810026", "check_digit"),
        ("AA12345", "number_format"),
        ("", "number_format"),
        ("x" * 255, "number_format"),
    ],
)
def test_an_odd_number_is_warned_about(catalogue: Catalogue, number: str, code: str | None) -> None:
    carrier = catalogue.get("test_one")
    assert carrier is not None
    notice = carrier.number_notice(number)
    assert (notice.code if notice else None) == code


@pytest.mark.parametrize(
    ("doubted", "number", "code"),
    [
        ("AA", "AA1234", None),
        ("AA", "3318810025", None),
        ("AA", "3318810026", "check_digit"),
        ("AA", "BB1234", None),
        ("mod7", "3318810026", None),
        ("mod7", "BB1234", None),
    ],
)
def test_a_form_nobody_confirmed_warns_of_nothing(
    tmp_path: Path, doubted: str, number: str, code: str | None
) -> None:
    text = MANIFEST.format(code="test_one")
    end = {"AA": "'AA\\d{4}'\n", "mod7": 'check = "mod7"\n'}[doubted]
    (tmp_path / "test_one").mkdir()
    marked = text.replace(end, f'{end}confidence = "assumed"\n')
    assert marked != text
    (tmp_path / "test_one" / "manifest.toml").write_text(marked)
    (carrier,) = Catalogue.load(tmp_path)
    notice = carrier.number_notice(number)
    assert (notice.code if notice else None) == code


def test_a_link_needs_all_its_parts_and_escapes_them(catalogue: Catalogue) -> None:
    carrier = catalogue.get("test_one")
    assert carrier is not None
    assert carrier.tracking_url("a/b&c", "12 34", "FR", "NL") == (
        "https://t.example/nl/A%2FB%26C?p=1234"
    )
    assert carrier.tracking_url("a{n}") == "https://t.example/en/A%7BN%7D"


ALIAS = """
code = "test_two"
name = "Second"
tier = "D"
home_zone = "Europe/Vienna"
answered_by = "{answers}"
ask_with = {{ service = "two" }}
"""


def with_alias(folder: Path, answers: str) -> Catalogue:
    for code, text in (
        ("test_one", MANIFEST.format(code="test_one")),
        ("test_two", ALIAS.format(answers=answers)),
    ):
        (folder / code).mkdir()
        (folder / code / "manifest.toml").write_text(text)
    return Catalogue.load(folder)


def test_a_carrier_that_another_answers_for_keeps_its_name(tmp_path: Path) -> None:
    catalogue = with_alias(tmp_path, "test_one")
    first, second = catalogue
    assert second.asked is first
    assert first.asked is first
    assert (second.manifest.name, second.manifest.home_zone) == ("Second", "Europe/Vienna")
    assert second.number_notice("no format of its own") is None
    assert catalogue.asked_code("test_two") == "test_one"
    assert catalogue.codes_asked_as("test_one") == ("test_one", "test_two")
    login = Credential("operator", {"key": "k", "service": "one"})
    assert second.asking_with(login) == Credential("operator", {"key": "k", "service": "two"})
    assert first.asking_with(login) is login


@pytest.mark.parametrize("answers", ["nobody", "test_two"])
def test_who_answers_is_a_carrier_of_its_own(tmp_path: Path, answers: str) -> None:
    with pytest.raises(ConfigurationError, match=f"test_two.*answered_by.*{answers}"):
        with_alias(tmp_path, answers)


def test_loading_imports_no_connector_and_reads_no_rules() -> None:
    # In a process of its own: here other tests have asked already.
    code = (
        "import sys\n"
        "from milepost.carriers import status_rules\n"
        "from milepost.carriers.registry import Catalogue\n"
        "carriers = list(Catalogue.load())\n"
        "assert len(carriers) > 5\n"
        "assert not [name for name in sys.modules if name.endswith('.connector')\n"
        "            and name.startswith('milepost.catalogue')]\n"
        "assert not [one for one in carriers if '_tables' in vars(one.manifest.rules)]\n"
        "assert carriers[0].manifest.rules.status is not None\n"
        "assert '_tables' in vars(carriers[0].manifest.rules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_folder_is_the_code(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "manifest.toml").write_text(MANIFEST.format(code="two"))
    with pytest.raises(ConfigurationError, match="two"):
        Catalogue.load(tmp_path)


def test_our_own_catalogue_knows_a_real_and_a_simulated_carrier() -> None:
    catalogue = Catalogue.load()
    askable = {carrier.manifest.code for carrier in catalogue if carrier.connector()}
    assert {"dhl", "sandbox"} <= askable
    assert len(catalogue) > len(askable)
    for carrier in catalogue:
        assert carrier.connector() is carrier.asked.connector()
