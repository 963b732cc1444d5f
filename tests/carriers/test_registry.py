"""The catalogue: found by folder, honest about numbers, links only where they can be made."""

from pathlib import Path

import pytest

from milepost.carriers.registry import Catalogue
from milepost.errors import ConfigurationError

MANIFEST = """
code = "{code}"
name = "Test"
tier = "C"
home_zone = "Europe/Paris"
aliases = ["other_name"]
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


def test_a_carrier_is_found_by_code_and_alias(catalogue: Catalogue) -> None:
    assert [carrier.manifest.code for carrier in catalogue] == ["test_one"]
    assert catalogue.get("other_name") is catalogue.get("test_one")
    assert catalogue.get("nobody") is None


def test_a_carrier_without_a_connector_is_only_recognised(catalogue: Catalogue) -> None:
    carrier = catalogue.get("test_one")
    assert carrier is not None
    assert not carrier.can_be_asked
    assert carrier.connector() is None
    assert not carrier.manifest.needs_credential


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


def test_a_link_needs_all_its_parts_and_escapes_them(catalogue: Catalogue) -> None:
    carrier = catalogue.get("test_one")
    assert carrier is not None
    assert carrier.tracking_url("a/b&c", "12 34", "FR", "NL") == (
        "https://t.example/nl/A%2FB%26C?p=1234"
    )
    assert carrier.tracking_url("a{n}") == "https://t.example/en/A%7BN%7D"


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
        assert carrier.connector() is carrier.connector()
