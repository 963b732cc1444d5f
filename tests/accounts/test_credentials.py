"""Authorization headers: the plain ones are read, the odd ones are wrong."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.accounts.credentials import (
    NOT_PROVIDED,
    WRONG_CREDENTIALS,
    BasicCredentials,
    BearerCredentials,
    read_authorization,
)
from milepost.errors import NotAuthenticated


def basic(pair: bytes) -> bytes:
    return b"Basic " + base64.b64encode(pair)


def test_plain_headers_are_read() -> None:
    assert read_authorization(basic(b"mp_1_a:s:t")) == BasicCredentials("mp_1_a", "s:t")
    assert read_authorization(b"bAsIc  " + base64.b64encode(b"a:b")) == BasicCredentials("a", "b")
    assert read_authorization(b"Bearer mpt_1_x") == BearerCredentials("mpt_1_x")


def test_secrets_are_not_printed() -> None:
    assert "hidden" not in repr(read_authorization(basic(b"a:hidden")))
    assert "hidden" not in repr(read_authorization(b"Bearer hidden"))


@pytest.mark.parametrize("header", [None, b"", b"  ", b"Negotiate abc", b"Basic64 x"])
def test_absent_ones_are_said_to_be_absent(header: bytes | None) -> None:
    with pytest.raises(NotAuthenticated, match=NOT_PROVIDED):
        read_authorization(header)


@pytest.mark.parametrize(
    "header",
    [
        b"Basic",
        basic(b"no colon"),
        basic(b"\xff\xfe:x"),
        basic(b"a\0b:x"),
        basic(b"a:x\r\n"),
        basic("é:x".encode()),
        b"Basic !!!!",
        b"Basic YTpi*",
        b"Basic " + b"A" * 65536,
        b"Bearer a\0b",
        b"Bearer \xff",
    ],
)
def test_odd_ones_are_wrong(header: bytes) -> None:
    with pytest.raises(NotAuthenticated, match=WRONG_CREDENTIALS):
        read_authorization(header)


@given(st.binary(max_size=300), st.sampled_from([b"", b"Basic ", b"Bearer "]))
def test_no_header_raises_anything_else(tail: bytes, scheme: bytes) -> None:
    with contextlib.suppress(NotAuthenticated):
        read_authorization(scheme + tail)
