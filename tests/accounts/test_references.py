"""References name their account and nothing else gets one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.accounts.references import (
    NO_ACCOUNT,
    account_of,
    new_public_key,
    new_secret,
    new_token,
)


@given(st.integers(1, 2**63 - 1))
def test_the_account_is_read_back(account_id: int) -> None:
    assert account_of(new_public_key(account_id), "mp") == account_id
    assert account_of(new_token(account_id), "mpt") == account_id
    assert account_of(new_token(account_id), "mp") == NO_ACCOUNT


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "mp_1",
        "mp_1_",
        "mp__x",
        "mp_1_a_b",
        "mp_u_x",
        "mp_I_x",
        "mp_-1_x",
        "mp_" + "z" * 14 + "_x",
        "mp_zzzzzzzzzzzzz_x",
        "mp_١_x",
    ],
)
def test_odd_references_name_no_account(odd: str) -> None:
    assert account_of(odd, "mp") == NO_ACCOUNT


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert 0 <= account_of(text, "mp") < 2**63


def test_every_secret_is_new_and_long() -> None:
    made = {new_secret() for _ in range(100)} | {new_token(1) for _ in range(100)}
    assert len(made) == 200
    assert all(len(secret) > 64 for secret in made)
