"""Signatures of carriers that sign with a key of their own: RSA, PKCS #1 v1.5, SHA-256, base64.

InPost's Group API signs so (``SHA256withRSA``) and gives its receivers the certificate.
"""

import base64
import binascii
import re
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from milepost.errors import InvalidInput

FEWEST_BITS = 2048
MOST_KEYS = 4
"""The key in use and those that follow it; each costs a try where a signature is wrong."""
LONGEST = 32 * 1024
_BLOCK = re.compile(r"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----.+?-----END \1-----", re.DOTALL)


@lru_cache(maxsize=64)
def public_keys(pem: str) -> tuple[RSAPublicKey, ...]:
    """The RSA keys in ``pem``: certificates or bare public keys, several of them while one is to
    follow another. A certificate's dates are not looked at: whoever laid it here trusts the key.

    Raises InvalidInput where there is none, or one that is weak or of another kind.
    """
    blocks = list(_BLOCK.finditer(pem)) if len(pem) <= LONGEST else []
    if not 1 <= len(blocks) <= MOST_KEYS:
        raise InvalidInput(f"it holds no PEM of 1 to {MOST_KEYS} certificates", ("certificate",))
    return tuple(_key(block[1], block[0].encode()) for block in blocks)


def is_signed(pem: str, signature: str, signed: bytes) -> bool:
    """Whether ``signature`` (base64) was made over ``signed`` with the key of one in ``pem``."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return any(_fits(key, given, signed) for key in public_keys(pem))


def _fits(key: RSAPublicKey, given: bytes, signed: bytes) -> bool:
    try:
        key.verify(given, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _key(kind: str, pem: bytes) -> RSAPublicKey:
    try:
        found = (
            x509.load_pem_x509_certificate(pem).public_key()
            if kind == "CERTIFICATE"
            else load_pem_public_key(pem)
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("a certificate can't be read", ("certificate",)) from error
    if not isinstance(found, RSAPublicKey) or found.key_size < FEWEST_BITS:
        raise InvalidInput(f"it is no RSA key of {FEWEST_BITS} bits or more", ("certificate",))
    return found
