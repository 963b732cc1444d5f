"""The table of carriers is what the catalogue says, and the catalogue has every published code."""

from dataclasses import replace

from tests.contract.official import published_carriers

from milepost.carriers.registry import Catalogue
from milepost.carriers.table import FILE, table

CATALOGUE = Catalogue.load()
FREE = {"sandbox"}
"""Ours, and no carrier."""


def test_the_table_is_fresh() -> None:
    assert FILE.read_text() == table(CATALOGUE), "python -m milepost.carriers.table"


def test_every_published_code_is_in_the_catalogue() -> None:
    assert {carrier.manifest.code for carrier in CATALOGUE} - FREE == published_carriers()


def test_what_nobody_confirmed_is_marked() -> None:
    found = CATALOGUE.get("yodel")
    assert found is not None
    known = table(Catalogue({"yodel": found}))
    (form,) = found.manifest.formats
    doubted = replace(found.manifest, formats=(replace(form, confidence="assumed"),))
    assert known.count("†") == 1, "where the mark is explained"
    assert table(Catalogue({"yodel": replace(found, manifest=doubted)})).count("` †") == 1
    assert r"`JJ?D\d{16}`" in known


def test_a_bar_does_not_end_a_column() -> None:
    found = CATALOGUE.get("parcelforce")
    assert found is not None
    row = table(Catalogue({"parcelforce": found})).splitlines()[-1]
    assert row.replace(r"\|", "").count("|") == 11
