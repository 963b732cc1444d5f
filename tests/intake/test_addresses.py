"""Addresses that carriers push to: whose they are, and what proves who pushes."""

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from milepost.accounts.references import account_digits
from milepost.accounts.secret_keys import SecretKeys
from milepost.carriers.push import OWN, Form, Push
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.errors import InvalidInput, NotFoundError
from milepost.intake import addresses
from milepost.intake.addresses import Addresses

BODY = b'{"trackingNumber": "x"}'


@pytest.fixture
def doors(app_pool: Pool, secret_keys: SecretKeys, catalogue: Catalogue) -> Addresses:
    return Addresses(app_pool, secret_keys, catalogue, keep_seconds=0)


async def test_only_a_living_secret_of_the_carrier_is_known(
    doors: Addresses, admin_pool: Pool, secret_keys: SecretKeys, catalogue: Catalogue, account: int
) -> None:
    new = await addresses.add(admin_pool, secret_keys, catalogue, account, "ups", label="shop")
    secret = new.path.rpartition("/")[2]
    assert secret.startswith(f"mpp_{account_digits(account)}_")
    assert new.given.keys() == {"header", "value"}
    assert new.given["header"] == "credential"
    knock = await doors.find("ups", secret)
    assert (knock.account_id, knock.carrier_code, knock.proof) == (account, "ups", "header")
    assert knock.is_proven({"credential": new.given["value"]}, BODY)
    assert not knock.is_proven({"credential": "x"}, BODY)
    assert not knock.is_proven({}, BODY)
    assert secret not in repr(new) + repr(knock)
    # Another account's number in it, a letter changed, cut, made up, another carrier, no carrier.
    other = secret.replace(f"_{account_digits(account)}_", f"_{account_digits(account + 1)}_")
    wrong = [("ups", one) for one in (other, secret[:-1] + "!", secret[:-9], "mpp_1_x", "", "é")]
    for code, given in [*wrong, ("dhl", secret), ("nobody", secret)]:
        with pytest.raises(NotFoundError):
            await doors.find(code, given)
    (listed,) = await addresses.every(admin_pool, account, "ups")
    assert (listed.label, listed.revoked_at, listed.hint) == ("shop", None, secret[:18])
    await addresses.revoke(admin_pool, account, "ups", listed.address_id)
    with pytest.raises(NotFoundError):
        await doors.find("ups", secret)
    with pytest.raises(NotFoundError):
        await addresses.revoke(admin_pool, account, "dhl", listed.address_id)


async def test_a_suspended_account_is_not_known(
    doors: Addresses, admin_pool: Pool, secret_keys: SecretKeys, catalogue: Catalogue, account: int
) -> None:
    new = await addresses.add(admin_pool, secret_keys, catalogue, account, "dhl", "address")
    await admin_pool.execute("UPDATE account SET status = 'suspended'")
    with pytest.raises(NotFoundError):
        await doors.find("dhl", new.path.rpartition("/")[2])


async def test_a_carrier_that_does_not_push_so_has_no_address(
    admin_pool: Pool, secret_keys: SecretKeys, catalogue: Catalogue, account: int
) -> None:
    for code, proof in (("ups", "hmac"), ("ups", "address"), ("nobody", "rsa")):
        with pytest.raises(InvalidInput):
            await addresses.add(admin_pool, secret_keys, catalogue, account, code, proof)
    for code in ("", "a/b", ".", "x" * 65, "é"):
        with pytest.raises(InvalidInput):
            await addresses.add(admin_pool, secret_keys, catalogue, account, code)
    with pytest.raises(InvalidInput):
        await addresses.add(
            admin_pool, secret_keys, catalogue, account, "postnl", "address", form="carrier"
        )


@pytest.mark.parametrize(
    ("code", "form", "used"),
    [
        ("slow-post.de", None, "milepost"),
        ("postnl", None, "milepost"),
        ("dhl", None, "carrier"),
        ("dhl", "milepost", "milepost"),
    ],
)
async def test_whoever_has_no_form_of_his_own_pushes_in_ours(
    doors: Addresses,
    admin_pool: Pool,
    secret_keys: SecretKeys,
    catalogue: Catalogue,
    account: int,
    code: str,
    form: Form | None,
    used: str,
) -> None:
    new = await addresses.add(admin_pool, secret_keys, catalogue, account, code.upper(), form=form)
    assert new.path.split("/")[5] == code
    knock = await doors.find(code, new.path.rpartition("/")[2])
    assert (new.address.form, knock.carrier_code) == (used, code)
    assert (knock.push == OWN) == (used == "milepost")
    if knock.proof == "hmac":
        key = new.given["signing key"]
        assert knock.is_proven({"x-milepost-signature": signed(key, BODY)}, BODY)
        assert not knock.is_proven({"x-milepost-signature": signed(key, BODY)}, BODY + b" ")


async def test_a_carrier_with_a_key_of_its_own_signs_with_that(
    doors: Addresses, admin_pool: Pool, secret_keys: SecretKeys, catalogue: Catalogue, account: int
) -> None:
    theirs = generate_private_key(65_537, 2048)
    pem = theirs.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = admin_pool, secret_keys, catalogue, account
    for certificate in ("", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"):
        with pytest.raises(InvalidInput):
            await addresses.add(*parts, "inpost_it", "rsa", certificate=certificate)
    with pytest.raises(InvalidInput):
        await addresses.add(*parts, "inpost_it", "hmac", certificate=pem.decode())
    new = await addresses.add(*parts, "inpost_it", "rsa", certificate=pem.decode())
    assert new.given == {"signature in": "x-inpost-signature"}
    knock = await doors.find("inpost_it", new.path.rpartition("/")[2])
    made = base64.b64encode(theirs.sign(BODY, PKCS1v15(), SHA256())).decode()
    assert knock.is_proven({"x-inpost-signature": made}, BODY)
    assert not knock.is_proven({"x-inpost-signature": made}, BODY + b" ")
    assert not knock.is_proven({}, BODY)


def signed(secret: str, text: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()


SIGNING = Push(("hmac",), "", signature="X-Sign", timestamp="X-Time")
AT = "2026-11-20T10:00:00Z"


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ({"x-sign": signed("k", BODY)}, True),
        ({"x-sign": signed("k", BODY), "x-time": AT}, True),
        ({"x-sign": signed("k", AT.encode() + b"." + BODY), "x-time": AT}, True),
        (
            {"x-sign": signed("k", AT.encode() + b"." + BODY), "x-time": "2026-11-20T10:00:01Z"},
            False,
        ),
        ({"x-sign": signed("k", AT.encode() + b"." + BODY)}, False),
        ({"x-sign": signed("other", BODY)}, False),
        ({"x-sign": signed("k", BODY + b" ")}, False),
        ({"x-sign": signed("k", BODY)[:-1]}, False),
        ({"x-sign": ""}, False),
        ({}, False),
    ],
)
def test_a_signature_is_over_the_body_or_the_time_and_the_body(
    headers: dict[str, str], right: bool
) -> None:
    assert SIGNING.is_proven("hmac", "k", headers, BODY) is right


def test_a_login_is_ours_and_an_unknown_proof_proves_nothing() -> None:
    push = Push(("basic",), "")
    login = "Basic " + base64.b64encode(b"milepost:pass").decode()
    assert push.is_proven("basic", "pass", {"authorization": login}, BODY)
    for wrong in ("", "Basic", login[:-2], login.replace("Basic", "Bearer"), "Basic bWlsZXBvc3Q6"):
        assert not push.is_proven("basic", "pass", {"authorization": wrong}, BODY)
    assert not push.is_proven("telepathy", "pass", {}, BODY)
