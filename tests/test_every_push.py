"""What carriers push: each sample is read as expected, and nothing that comes breaks a reader."""

import random

import orjson
import pytest
from tests.carriers.mutations import mutated_body
from tests.test_every_carrier import CARRIERS, name_of

from milepost.carriers.pushed_samples import PushCase, push_cases, read_push_case
from milepost.carriers.registry import Carrier

TELLING = [one for one in CARRIERS if one.manifest.push or one.manifest.changes]
CASES = [(carrier, case) for carrier in TELLING for case in push_cases(carrier)]


def case_name(value: object) -> str:
    return value.name if isinstance(value, PushCase) else name_of(value)


@pytest.mark.parametrize(("carrier", "case"), CASES, ids=case_name)
def test_a_push_is_read_as_expected(carrier: Carrier, case: PushCase) -> None:
    assert read_push_case(carrier, case) == case.expected


@pytest.mark.parametrize("carrier", TELLING, ids=name_of)
def test_who_pushes_has_samples_and_says_how_it_shows_itself(carrier: Carrier) -> None:
    assert any("told" in case.expected for case in push_cases(carrier))
    push = carrier.manifest.push
    if push is not None:
        assert "header" not in push.proofs or push.header
        assert "hmac" not in push.proofs or push.signature
        assert push.documentation.startswith("https://")


@pytest.mark.parametrize(("carrier", "case"), CASES, ids=case_name)
def test_whatever_comes_is_read_or_unreadable(carrier: Carrier, case: PushCase) -> None:
    dice = random.Random(case.name)
    bodies = [mutated_body(case.body, dice, rate) for rate in (0.02, 0.1, 0.4) for _ in range(20)]
    bodies += [case.body[:place] for place in range(0, len(case.body), 97)]
    bodies += [b"", b"[]", b"0", b'"x"', b"null", b"[" * 5_000, b'{"a":' * 2_000, b"\xff\x00"]
    for body in bodies:
        told = read_push_case(carrier, PushCase("x", case.path, case.headers, body, {}))
        assert told.keys() <= {"told", "unreadable"}
        assert "\\u0000" not in orjson.dumps(told).decode()
