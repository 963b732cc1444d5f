"""Whose number it is: as scanned, typed or pasted, and how far the answer can be trusted."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.carriers import recognition_figures as figures
from tests.carriers.recognition_corpus import of_others, published
from tests.carriers.recognition_folds import log_loss, without_priors

from milepost.carriers.likelihood import Geography, History
from milepost.carriers.pattern_size import LONGEST, size_of
from milepost.carriers.recognise import CLEARLY_AHEAD, MOST_CERTAIN, Recogniser
from milepost.carriers.registry import Catalogue
from milepost.carriers.scanned import forms_of

CATALOGUE = Catalogue.load()
RECOGNISER = Recogniser(CATALOGUE)
UNIT = "00340434161094015902"


def first(scanned: str, **known: Any) -> tuple[str, str]:
    best = RECOGNISER.recognise(scanned, **known).candidates[0]
    return best.carrier_code, best.number


def test_published_numbers_are_recognised() -> None:
    told = figures.figures(figures.answers(RECOGNISER, published()))
    assert told.numbers >= 120
    assert told.top_1 >= 0.95
    assert told.top_3 >= 0.98
    assert told.calibration_error <= 0.14
    assert told.taken >= 0.55
    assert told.falsely_certain == ()
    assert told.taken_wrongly == ()


def test_of_the_number_alone_no_more_is_said_than_is_known() -> None:
    told = figures.figures(figures.answers(RECOGNISER, published(), destination=False))
    assert told.top_1 >= 0.85
    assert told.falsely_certain == ()
    assert told.taken_wrongly == ()


def test_a_number_of_a_carrier_we_do_not_know_is_given_to_nobody() -> None:
    told = figures.answers(RECOGNISER, of_others())
    assert [one for one in told if one.certainty >= CLEARLY_AHEAD] == []


def test_made_up_numbers_of_every_form_are_told_as_sure_as_they_are() -> None:
    made = figures.generated(CATALOGUE)
    told = figures.figures(figures.answers(RECOGNISER, made))
    assert {one.carrier_code for one in made} == {
        carrier.manifest.code
        for carrier in CATALOGUE
        if carrier.manifest.formats and carrier.manifest.countries
    }
    assert told.top_1 >= 0.82
    assert told.top_3 >= 0.97
    assert told.calibration_error <= 0.10
    assert told.falsely_certain == ()
    assert len(told.taken_wrongly) <= told.numbers * told.taken / 100


def test_the_figures_do_not_rest_on_priors_that_were_set_knowing_the_numbers() -> None:
    bare = figures.figures(figures.answers(Recogniser(without_priors(CATALOGUE)), published()))
    assert bare.top_1 >= 0.90
    assert bare.falsely_certain == ()


def test_a_fit_notices_what_surprises() -> None:
    wrong = Geography(abroad=0.9, anywhere=0.9, nobody=9.0)
    assert log_loss(figures.answers(Recogniser(CATALOGUE, wrong), published())) > 1.3 * log_loss(
        figures.answers(RECOGNISER, published())
    )


def test_nobody_is_very_sure_of_a_number_that_two_carriers_may_have() -> None:
    for number in ("EA279783903GB", "745129906", "RR123456785DE"):
        told = RECOGNISER.recognise(number, destination=number[-2:].replace("06", "IT"))
        assert all(one.probability <= 0.95 for one in told.candidates) or len(told.candidates) == 1


def test_the_figures_notice_false_certainty() -> None:
    swapped = [one._replace(carrier_code="nobody") for one in published()]
    told = figures.figures(figures.answers(RECOGNISER, swapped))
    assert (told.top_1, told.top_3) == (0.0, 0.0)
    assert len(told.falsely_certain) > 30
    assert told.calibration_error > 0.5


@pytest.mark.parametrize(
    ("scanned", "postal_code", "country"),
    [
        (UNIT, "", ""),
        (UNIT[2:], "", ""),
        ("0034 0434 1610 9401 5902", "", ""),
        ("003404-3416-1094-0159-02", "", ""),
        ("]C1" + UNIT, "", ""),
        ("(00)340434161094015902", "", ""),
        ("(00) 3 4043416 109401590 2", "", ""),
        ("\x1d" + UNIT, "", ""),
        (f"]C142010115\x1d{UNIT}", "10115", ""),
        (f"42010115<GS>{UNIT}", "10115", ""),
        (f"42010115{UNIT}", "10115", ""),
        (f"(420)10115(00){UNIT[2:]}", "10115", ""),
        (f"]d242127610115\x1d{UNIT}", "10115", "DE"),
        (f"42127610115{UNIT}", "10115", "DE"),
        (
            f"https://www.dhl.de/en/privatkunden/dhl-sendungsverfolgung.html?piececode={UNIT}",
            "",
            "",
        ),
    ],
)
def test_a_logistic_unit_is_found_however_it_was_scanned(
    scanned: str, postal_code: str, country: str
) -> None:
    told = RECOGNISER.recognise(scanned, destination="DE")
    assert told.candidates[0].carrier_code == "dhl_de"
    assert told.candidates[0].number == UNIT
    assert told.candidates[0].check == "holds"
    assert (told.postal_code, told.country) == (postal_code, country)


@pytest.mark.parametrize(
    ("scanned", "code", "number"),
    [
        ("%008182709980000020033350276C", "dpd", "09980000020033"),
        ("00 81827 0998 0000 0200 33 350 276 c", "dpd", "09980000020033"),
        ("1001921334250001000300779017972697", "fedex", "779017972697"),
        ("9622001900000000000000776632517510", "fedex", "776632517510"),
        ("9611020987654312345672", "fedex", "987654312345672"),
        ("12123456780101006623123454", "mondial_relay", "12345678"),
        ("1z 5r8 939 03 5756 7127", "ups", "1Z5R89390357567127"),
        ("3s-devc-302392342", "postnl", "3SDEVC302392342"),
        ("*3SDEVC302392342*", "postnl", "3SDEVC302392342"),
        ("3SDEVC\u2011302392342\u200b", "postnl", "3SDEVC302392342"),
        ("2548/22628641", "nacex", "2548/22628641"),
        ("sbx-happy-0001", "sandbox", "SBX-HAPPY-0001"),
    ],
)
def test_a_label_or_a_hand_writes_it_in_its_own_way(scanned: str, code: str, number: str) -> None:
    assert first(scanned) == (code, number)


def test_a_label_tells_the_country_it_goes_to() -> None:
    assert RECOGNISER.recognise("%008182709980000020033350276C").country == "DE"


@pytest.mark.parametrize("carrier", list(CATALOGUE), ids=lambda carrier: carrier.manifest.code)
def test_each_tracking_page_of_the_catalogue_is_read_backwards(carrier: Any) -> None:
    manifest = carrier.manifest
    number = (manifest.test_numbers or ("AB123456789",))[0].removeprefix("%")
    country = (manifest.countries or ("NL",))[0]
    url = carrier.tracking_url(number, "1234AB", "en", country)
    if not url:
        assert not manifest.tracking_pages
        return
    told = RECOGNISER.recognise(url, destination=country)
    assert manifest.code in {one.carrier_code for one in told.candidates}
    assert "the link is one of its tracking pages" in told.candidates[0].reasons
    assert re.sub(r"\W", "", told.candidates[0].number) in (
        number,
        number + "1234AB",
        number[-21:-7],
    )


def test_a_link_tells_more_than_its_number() -> None:
    link = "https://jouw.postnl.nl/track-and-trace/3SDEVC302392342-BE-2000"
    told = RECOGNISER.recognise(link)
    assert (told.candidates[0].number, told.postal_code, told.country) == (
        "3SDEVC302392342",
        "2000",
        "BE",
    )
    other = RECOGNISER.recognise("www.ups.com/some/page/1Z5R89390357567127?x=1")
    assert other.candidates[0].carrier_code == "ups"
    assert "the link leads to its site" in other.candidates[0].reasons
    # The form of its numbers is not known, but the page is.
    assert first("https://track.budbee.com/ABC12345") == ("budbee", "ABC12345")
    assert first("https://shop.example/orders?t=1Z5R89390357567127")[0] == "ups"


def test_a_wrong_check_digit_is_told() -> None:
    best = RECOGNISER.recognise("1Z5R89390357567128").best
    assert best is not None
    assert (best.carrier_code, best.check, best.check_name) == ("ups", "fails", "ups_1z")
    assert "the check digit is wrong" in best.reasons


def test_what_an_account_had_of_late_decides_where_the_number_does_not() -> None:
    number = "05162815323093"
    alone = RECOGNISER.recognise(number, destination="NL")
    assert alone.best is None
    past = History({("gls_nl", "NL"): 400.0, ("dpd", "DE"): 300.0})
    told = RECOGNISER.recognise(number, destination="NL", history=past)
    assert told.best is not None
    assert told.best.carrier_code == "gls_nl"
    assert "100% of the account's latest parcels to NL went with it" in told.best.reasons
    assert first(number, destination="DE", history=past)[0] == "dpd"
    # A check digit that holds weighs more than a habit.
    assert first("1Z5R89390357567127", destination="NL", history=past)[0] == "ups"


def test_a_code_of_the_account_that_is_in_no_catalogue_may_be_meant() -> None:
    past = History({("own_vans", "NL"): 500.0})
    told = RECOGNISER.recognise("VAN-77-1234", destination="NL", history=past)
    assert told.candidates[0].carrier_code == "own_vans"
    assert told.candidates[0].number == "VAN-77-1234"


def test_some_few_parcels_are_no_habit() -> None:
    past = History({("dpd_at", "NL"): 2.0})
    assert RECOGNISER.recognise("05162815323093", destination="NL", history=past).best is None


@given(st.text(max_size=80), st.sampled_from(["", "NL", "ZZ"]))
def test_any_text_gets_an_answer(scanned: str, destination: str) -> None:
    told = RECOGNISER.recognise(scanned, destination=destination)
    shares = [one.probability for one in told.candidates]
    assert shares == sorted(shares, reverse=True)
    assert all(0 < one <= MOST_CERTAIN for one in shares)
    assert sum(shares) + told.unknown == pytest.approx(1, abs=0.02)
    assert all(one.number and one.reasons for one in told.candidates)


@pytest.mark.parametrize("scanned", ["0" * 2000, "A" * 300, "https://" + "1" * 1990])
def test_what_is_far_too_long_is_nobodys(scanned: str) -> None:
    """Also where the account had parcels of carriers we know no numbers of."""
    for past in (History(), History({("own_fleet", ""): 400.0, ("dhl", "NL"): 5.0})):
        told = RECOGNISER.recognise(scanned, destination="NL", history=past)
        assert told.best is None or told.best.carrier_code == "own_fleet"


@given(st.text(alphabet="]C1(0)42\x1d01<GS>9/-.%ABZ ", max_size=200))
def test_any_scan_becomes_some_numbers(scanned: str) -> None:
    assert len(forms_of(scanned)) <= 60


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        (r"AB\d{2}", 100),
        (r"[AB]|\d", 12),
        (r"(?:A|B)C?", 4),
        (r"A{2,3}", 2),
        (r"(?P<number>[0-2]{2})X?", 18),
        (r"[A-C1]\.", 4),
    ],
)
def test_a_pattern_is_as_large_as_its_numbers_are_many(pattern: str, count: int) -> None:
    assert sum(size_of(pattern).sizes.values()) == count


def test_every_pattern_of_the_catalogue_can_be_sized() -> None:
    everything = size_of("^strange$").sizes
    assert sum(everything.values()) > 36.0**LONGEST
    for carrier in CATALOGUE:
        for form in carrier.manifest.formats:
            assert size_of(form.pattern).sizes is not everything, form.pattern


def test_nothing_outside_the_catalogue_names_a_carrier() -> None:
    room = Path(figures.__file__).parents[2] / "src/milepost/carriers"
    codes = {carrier.manifest.code for carrier in CATALOGUE} - {"sandbox"}
    for name in ("recognise", "likelihood", "scanned", "pasted", "pattern_size"):
        words = set(re.findall(r"\"(\w+)\"", (room / f"{name}.py").read_text()))
        assert not words & codes, name


def test_a_wider_form_says_less() -> None:
    narrow, wide = size_of(r"3S[A-Z]{4}\d{9}"), size_of(r"3S[A-Z0-9]{13}")
    assert narrow.density("3SDEVC302392342") > 1000 * wide.density("3SDEVC302392342")
    # Letters or digits are mostly digits.
    assert size_of(r"[A-Z0-9]{8}").density("12345678") > 1000 * size_of(r"[A-Z0-9]{8}").density(
        "A2345678"
    )
