"""Signatures with a carrier's own key, as InPost's Group API documents them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from milepost.carriers.push import Push
from milepost.carriers.rsa_signature import is_signed, public_keys
from milepost.errors import InvalidInput

BODY = b'{"trackingNumber": "x"}'
AT = "2026-11-20T10:00:00Z"
SIGNING = Push(("rsa",), "", signature="X-Sign", timestamp="X-Time")


@pytest.fixture(scope="module")
def keys() -> list[RSAPrivateKey]:
    return [generate_private_key(65_537, 2048) for _ in range(2)]


def certificate(key: RSAPrivateKey) -> str:
    """One that has run out: the key in it is what was trusted."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "carrier")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=1))
        .sign(key, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def public(key: RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.PEM, form).decode()


def signed(key: RSAPrivateKey, text: bytes, hashed: HashAlgorithm | None = None) -> str:
    return base64.b64encode(key.sign(text, PKCS1v15(), hashed or SHA256())).decode()


def test_a_signature_is_over_the_body_or_the_time_and_the_body(keys: list[RSAPrivateKey]) -> None:
    mine, other = keys
    pem = certificate(mine)

    def proven(signature: str, time: str = "", body: bytes = BODY) -> bool:
        headers = {"x-sign": signature} | ({"x-time": time} if time else {})
        return SIGNING.is_proven("rsa", pem, headers, body)

    assert proven(signed(mine, BODY))
    assert proven(signed(mine, BODY), AT)
    timed = signed(mine, AT.encode() + b"." + BODY)
    assert proven(timed, AT)
    assert not proven(timed)
    assert not proven(timed, "2026-11-20T10:00:01Z")
    assert not proven(signed(mine, BODY), body=BODY + b" ")
    assert not proven(signed(other, BODY))
    assert not proven(signed(mine, BODY, SHA1()))
    probabilistic = mine.sign(BODY, PSS(MGF1(SHA256()), 32), SHA256())
    assert not proven(base64.b64encode(probabilistic).decode())
    for odd in ("", "é", "%%%", signed(mine, BODY)[:-4], signed(mine, BODY) + "AAAA"):
        assert not proven(odd)


def test_a_key_and_the_one_that_follows_it_are_both_good(keys: list[RSAPrivateKey]) -> None:
    both = f"old\n{certificate(keys[0])}\nnew\n{public(keys[1])}"
    assert [is_signed(both, signed(key, BODY), BODY) for key in keys] == [True, True]


def test_only_rsa_keys_of_today_are_taken() -> None:
    weak = generate_private_key(65_537, 1024)
    curve = ec.generate_private_key(ec.SECP256R1())
    block = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----"
    broken = [block.format(kind) for kind in ("CERTIFICATE", "PUBLIC KEY", "PRIVATE KEY")]
    for pem in ("", "x", public(weak), public(curve), *broken, public(curve) * 5, "x" * 50_000):
        with pytest.raises(InvalidInput):
            public_keys(pem)
