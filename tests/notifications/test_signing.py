"""Both signatures, verified by others: the published vector, a library, openssl, either habit."""

import base64
import hmac
import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.wire.test_answers import JOURNEY, PARCEL

from milepost.errors import Conflict, InvalidInput
from milepost.notifications.signing import (
    MOST_FORMER_KEYS,
    SigningKeys,
    brought_key,
    library_key,
    new_key,
    sendcloud_signature,
    signed_headers,
    standard_signature,
)
from milepost.wire.classic import parcel_status_changed
from milepost.wire.v3_event import event_created

DAY = timedelta(hours=24)
OLD = "an old Sendcloud secret, ünïcode"
MADE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"key": "value"}'


def verified(key: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(library_key(key)).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_sendclouds_published_vector() -> None:
    expected = "1eed4b3d41f4653ac64fd56f1bf1cbfd349e4482cbc11dff7134bd93e5da4b0a"
    assert sendcloud_signature("secretkey", BODY) == expected


def test_standard_webhooks_published_vector() -> None:
    body = b'{"test": 2432232314}'
    signature = standard_signature(MADE, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("key", [OLD, MADE, "sixteen letters!", MADE[6:], new_key()], ids=range(5))
@pytest.mark.parametrize("body", [BODY, b"", b"\xf0\x9f\x93\xa6 raw"])
def test_the_library_verifies_every_key(key: str, body: bytes) -> None:
    now = datetime.now(UTC)
    headers = signed_headers(SigningKeys(key), "6290003", body, now)
    assert Webhook(library_key(key)).verify(body, headers, json_parse=False) is None
    assert not verified(key, headers, body + b" ")
    assert not verified(key, headers | {"webhook-id": "6290004"}, body)
    assert not verified(key, {**headers, "webhook-timestamp": str(int(now.timestamp()) + 1)}, body)
    assert not verified("another key of them", headers, body)


def test_the_headers_of_an_attempt() -> None:
    at = datetime(2026, 1, 5, 9, 0, 0, 999_999, tzinfo=UTC)
    headers = signed_headers(SigningKeys(OLD), "6290003", BODY, at)
    assert headers == {
        "Sendcloud-Signature": sendcloud_signature(OLD, BODY),
        "webhook-id": "6290003",
        "webhook-timestamp": "1767603600",
        "webhook-signature": standard_signature(OLD, "6290003", 1767603600, BODY),
    }
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_openssl_verifies_both() -> None:
    now = datetime.now(UTC)
    key = "a plain secret of mine"
    headers = signed_headers(SigningKeys(key), "6290003", BODY, now)
    signed = b"6290003." + headers["webhook-timestamp"].encode() + b"." + BODY
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"key:{key}"]
    of_body = subprocess.run([*command, "-hex"], input=BODY, capture_output=True, check=True)
    assert of_body.stdout.decode().split()[-1] == headers["Sendcloud-Signature"]
    of_all = subprocess.run([*command, "-binary"], input=signed, capture_output=True, check=True)
    digest = base64.b64encode(of_all.stdout).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"


def both_habits(secret: str, body: bytes, signature: str) -> tuple[bool, bool]:
    """As PHP's sample and as Python's: over the raw body, and over the body dumped again."""
    anew = json.dumps(json.loads(body)).encode()
    made = [hmac.new(secret.encode(), one, "sha256").hexdigest() for one in (body, anew)]
    return made[0] == signature, made[1] == signature


@pytest.mark.parametrize("key", [OLD, new_key()], ids=["brought", "made"])
def test_receivers_of_either_habit_verify(key: str) -> None:
    now = datetime.now(UTC)
    for body in (
        parcel_status_changed(PARCEL, JOURNEY, now),
        event_created(PARCEL, JOURNEY, JOURNEY.entries[2]),
    ):
        signature = signed_headers(SigningKeys(key), "1", body, now)["Sendcloud-Signature"]
        assert both_habits(key, body, signature) == (True, True)
        compact = json.dumps(json.loads(body), separators=(",", ":")).encode()
        assert both_habits(key, compact, sendcloud_signature(key, compact)) == (True, False)


def test_for_a_day_two_keys_sign() -> None:
    now = datetime.now(UTC)
    keys = SigningKeys(OLD).rotated(MADE, now)
    for later, olds in ((timedelta(), True), (DAY - timedelta(seconds=1), True), (DAY, False)):
        headers = signed_headers(keys, "1", BODY, now + later)
        seconds = int((now + later).timestamp())
        signatures = headers["webhook-signature"].split(" ")
        wanted = [MADE, OLD] if olds else [MADE]
        assert signatures == [standard_signature(key, "1", seconds, BODY) for key in wanted]
        assert headers["Sendcloud-Signature"] == sendcloud_signature(MADE, BODY)
    headers = signed_headers(keys, "1", BODY, now)
    assert verified(MADE, headers, BODY)
    assert verified(OLD, headers, BODY)
    assert not verified("a third key that is none", headers, BODY)


def test_each_key_signs_for_its_day_however_often_another_is_set() -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    newest = "the newest of them all"
    keys = SigningKeys(OLD).rotated(MADE, now).rotated(newest, now + hour)
    assert keys.in_force(now + 2 * hour) == (newest, MADE, OLD)
    headers = signed_headers(keys, "1", BODY, now)
    assert all(verified(key, headers, BODY) for key in (newest, MADE, OLD))
    assert keys.in_force(now + DAY) == (newest, MADE)
    assert keys.in_force(now + DAY + hour) == (newest,)
    assert keys.former_until == now + 25 * hour
    assert keys.rotated(newest, now + 9 * hour) is keys
    back = keys.rotated(OLD, now + 2 * hour)
    assert back.in_force(now + 3 * hour) == (OLD, newest, MADE), "one of before, taken again"
    assert len(back.rotated(MADE, now + 2 * DAY).former) == 1, "what is over is not kept"


def test_so_many_keys_at_a_time_and_none_is_dropped_for_another() -> None:
    now = datetime.now(UTC)
    keys = SigningKeys(OLD)
    for nth in range(MOST_FORMER_KEYS):
        keys = keys.rotated(f"key number {nth} of them all", now + timedelta(minutes=nth))
    assert keys.in_force(now + timedelta(hours=1))[-1] == OLD
    with pytest.raises(Conflict, match=f"{now + DAY:%Y-%m-%d %H:%M:%S}"):
        keys.rotated(MADE, now + timedelta(hours=1))
    assert keys.rotated(OLD, now + timedelta(hours=1)).current == OLD
    assert keys.rotated(MADE, now + DAY).current == MADE


def test_no_key_is_shown_by_accident() -> None:
    keys = SigningKeys(OLD).rotated(MADE, datetime.now(UTC))
    assert OLD not in repr(keys)
    assert MADE not in repr(keys)


def test_keys_of_ours_are_random_and_fit_everywhere() -> None:
    made = {new_key() for _ in range(50)}
    assert len(made) == 50
    for key in made:
        assert key.startswith("whsec_")
        assert len(base64.b64decode(key[6:], validate=True)) == 32
        assert brought_key(key) == library_key(key) == key


def whsec(size: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * size).decode()


@pytest.mark.parametrize(
    "key",
    ["x" * 16, "x" * 256, OLD, whsec(24), whsec(64), whsec(25).rstrip("="), "whsec" * 4],
    ids=range(7),
)
def test_a_key_that_may_be_brought(key: str) -> None:
    now = datetime.now(UTC)
    assert brought_key(key) == key
    assert verified(key, signed_headers(SigningKeys(key), "1", BODY, now), BODY)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("", "key_length"),
        ("x" * 15, "key_length"),
        ("x" * 257, "key_length"),
        (" " + "x" * 16, "key_format"),
        ("x" * 16 + "\n", "key_format"),
        ("x" * 16 + "\0", "key_format"),
        ("x" * 16 + "\ud800", "key_format"),
        ("whsec_not base64 at all", "key_format"),
        (whsec(23), "key_format"),
        (whsec(65), "key_format"),
        (whsec(24) + "A", "key_format"),
        # A reader that passes over what is no base64 would find a key in it.
        (whsec(24) + "!!!!", "key_format"),
    ],
)
def test_a_key_that_may_not(key: str, kind: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        brought_key(key)
    assert (refused.value.kind, refused.value.field) == (kind, ("body", "key"))


@given(st.text(min_size=16, max_size=256), st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_whatever_may_be_brought_verifies(key: str, body: bytes) -> None:
    try:
        brought = brought_key(key)
    except InvalidInput:
        return
    headers = signed_headers(SigningKeys(brought), "1", b"{}" + body, datetime.now(UTC))
    mac = hmac.new(base64.b64decode(library_key(brought)[6:] + "=="), digestmod="sha256")
    mac.update(b"1." + headers["webhook-timestamp"].encode() + b".{}" + body)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(mac.digest()).decode()
