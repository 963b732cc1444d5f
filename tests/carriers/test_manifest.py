"""Manifests: strict when read, careful when they classify."""

from pathlib import Path

import pytest

from milepost.carriers.connector import Credential
from milepost.carriers.manifest import Manifest, read_manifest
from milepost.carriers.status_rules import parted
from milepost.errors import ConfigurationError
from milepost.tracking.vocabulary import UNREAD, Phase

LEAST = 'code = "x"\nname = "X"\ntier = "A"\nhome_zone = "Europe/Paris"\n'
RULES = """
[quota]
per_second = 0.5
per_day = 1000

[[status]]
raw = "A1"
same_as = "arrived"
reading = ["in_transit", "none", "success", "none"]

[[status]]
raw = "go"
reading = ["in_transit", "none", "success", "none"]

[[wording]]
id = "shop"
codes = ["go"]
match = ['waiting at']
unless = ['not waiting']
reading = ["pup", "none", "success", "pup"]
"""


def manifest(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "manifest.toml"
    path.write_text(LEAST + text)
    return read_manifest(path)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("colour = 1", "colour"),
        ("batch_size = 0", "batch_size"),
        ("[[formats]]\npattern = 'a'\ncheck = 'mod11'", "formats.0.check"),
        ("[[status]]\nraw = 'a'\nreading = ['lost', 'none', 'success', 'none']", "status.0"),
        ("[[status]]\nraw = 'a'\nreading = ['pup', 'none', 'success']", "status.0.reading"),
        ("[cadence]\nin_transit = 0", "cadence.in_transit"),
        ("= 1", "manifest.toml"),
    ],
)
def test_a_wrong_manifest_names_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        assert manifest(tmp_path, text).rules.status


def test_an_unknown_zone_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(LEAST.replace("Paris", "Atlantis"))
    with pytest.raises(ConfigurationError, match="Atlantis"):
        read_manifest(tmp_path / "manifest.toml")


def test_a_carrier_may_have_the_rules_of_another(tmp_path: Path) -> None:
    other, own = tmp_path / "other", tmp_path / "own"
    other.mkdir()
    own.mkdir()
    rules = manifest(other, f"mapping_version = 3\n{RULES}").rules
    told = manifest(own, 'rules_of = "other"')
    assert told.rules.status == rules.status
    assert (told.mapping_version, told.by_code["A1"].same_as) == (3, "arrived")
    for wrong in ('rules_of = "nobody"', f'rules_of = "other"\n{RULES}'):
        with pytest.raises(ConfigurationError, match="rules_of"):
            manifest(own, wrong)


def test_a_wording_refines_only_the_codes_it_names(tmp_path: Path) -> None:
    rules = manifest(tmp_path, RULES)
    assert rules.classify("go", "Waiting  AT the shop")[0] == "shop"
    assert rules.classify("go", "Not waiting at the shop")[1].phase is Phase.IN_TRANSIT
    assert rules.classify("A1", "waiting at the shop")[0] == "arrived"
    assert rules.classify("go", "on its way", "waiting at")[0] == "shop"


def test_an_unmapped_code_is_never_guessed(tmp_path: Path) -> None:
    rules = manifest(tmp_path, RULES)
    assert rules.classify("Z9", "delivered") == ("Z9:delivered", UNREAD)
    assert rules.classify("", "") == ("uncoded", UNREAD)


def test_two_scans_told_apart_by_words_alone_stay_two(tmp_path: Path) -> None:
    rules = manifest(tmp_path, RULES)
    left, arrived = (rules.classify("go", text)[0] for text in ("Left 12:01", "Arrived 12:01"))
    assert left != arrived
    assert rules.classify("go", "LEFT 12:07")[0] == left


def test_where_the_code_is_finer_words_are_read_only_for_a_new_one(tmp_path: Path) -> None:
    rules = manifest(tmp_path, RULES.replace('codes = ["go"]', ""))
    assert rules.classify_by_code("go", "waiting at the shop")[1].phase is Phase.IN_TRANSIT
    assert rules.classify_by_code("A1", "waiting at the shop")[0] == "arrived"
    new_class, new = rules.classify_by_code("Z9", "", "waiting at the shop")
    assert (new_class, new.phase) == ("Z9", Phase.PUP)
    assert rules.classify_by_code("", "waiting at the shop")[0] == "shop"
    assert rules.classify_by_code("Z9", "words nobody knows") == ("Z9", UNREAD)


def test_the_quota_is_kept_with_a_margin_and_can_be_granted(tmp_path: Path) -> None:
    rules = manifest(tmp_path, RULES)
    assert rules.quota.spacing_seconds == pytest.approx(86_400 / 950)
    granted = Credential("operator", {"calls_per_day": "86400000", "calls_per_second": "2"})
    assert rules.quota_for(granted).spacing_seconds == pytest.approx(1.1 / 2)
    for day, second in (("many", "-1"), ("nan", "1e-300"), ("inf", "0")):
        odd = Credential("operator", {"calls_per_day": day, "calls_per_second": second})
        assert rules.quota_for(odd) == rules.quota


MIXED = """
colour = "red"
status = [
    { raw = "a", reading = ["pup", "none", "success", "pup"] },
]
size = 1
wording = []
[api]
host = "x"

[[status]]
raw = "b"
[status.more]
[[wording]]
match = [
    'a',
]
[[formats]]
pattern = 'x'
"""


def test_rules_are_taken_out_line_by_line() -> None:
    rest, rules = parted(MIXED)
    kept = [line for line in rest.splitlines() if line]
    assert kept == [
        'colour = "red"',
        "size = 1",
        "[api]",
        'host = "x"',
        "[status.more]",
        "[[formats]]",
        "pattern = 'x'",
    ]
    lines = MIXED.splitlines()
    for place, (one, other) in enumerate(
        zip(rest.splitlines(), (rules + "\n").splitlines(), strict=False)
    ):
        assert one + other == lines[place], "each line stays where it was"


def test_rules_that_are_wrong_are_told_by_who_reads_them(tmp_path: Path) -> None:
    rules = manifest(tmp_path, "[[status]]\nraw = 'a'").rules
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"manifest.toml: status.0.reading"):
            rules.classify("a")
    with pytest.raises(ConfigurationError, match=r"line 6"):
        assert manifest(tmp_path, "[[status]]\nraw = oops").rules.status
