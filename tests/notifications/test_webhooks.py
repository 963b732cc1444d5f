"""A delivery on the wire: what a real receiver gets, and what is kept of the exchange."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook
from tests.notifications.receiver import Receiver
from tests.notifications.town import Town, scan

from milepost.accounts.secret_keys import SecretKeys
from milepost.egress.client import GuardedClient
from milepost.egress.policy import Policy
from milepost.notifications.bodies import Bodies
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Form, Kind
from milepost.notifications.held import Connected, Delivery, Lane
from milepost.notifications.masking import HIDDEN
from milepost.notifications.sealing import Seals, Secrets
from milepost.notifications.signing import FormerKey, new_key, sendcloud_signature
from milepost.notifications.terms import Terms
from milepost.notifications.webhooks import KEPT_OF_ANSWER, Webhooks, own_headers
from milepost.parcels.render import Renderer
from milepost.settings import Settings


async def deliver(town: Town, renderer: Renderer, keys: SecretKeys, allow: str) -> None:
    await FanOut(town.pool, renderer, Bodies()).tell(town.account)
    policy = Policy.of(Settings(egress_allow=allow))
    async with GuardedClient(policy) as client:
        sender = Webhooks(client, keys)
        worker = Deliverer(town.pool, {Kind.WEBHOOK: sender, Kind.INTEGRATION: sender}, Terms())
        for lane in await worker.due(10):
            await worker.work(lane)


async def lock(town: Town, keys: SecretKeys, connection: int, key: str, secrets: Secrets) -> None:
    seals = Seals(keys, town.account, connection)
    await town.run(
        "UPDATE connection SET signing_key = $3, sealed = $4"
        " WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
        *(connection, seals.seal_key(key), seals.seal(secrets)),
    )


async def test_a_delivery_is_signed_and_carries_what_its_owner_wants(
    town: Town, renderer: Renderer, secret_keys: SecretKeys, receiver: Receiver
) -> None:
    connection = await town.connect("webhook", Form.EVENT, {}, url=receiver.url, auth_type="bearer")
    key = new_key()
    secrets = Secrets({"token": "s3cret-token"}, {"X-Shop": "blue"})
    await lock(town, secret_keys, connection, key, secrets)
    parcel = await town.register()
    await town.observe(parcel, scan(3, "in_delivery"))
    await deliver(town, renderer, secret_keys, "127.0.0.0/8:*")

    assert len(receiver.got) == 2
    for nth, (headers, body) in enumerate(receiver.got, start=1):
        Webhook(key).verify(body, headers)
        assert headers["Sendcloud-Signature"] == sendcloud_signature(key, body)
        assert headers["Sendcloud-Signature"] == sendcloud_signature(
            key, json.dumps(json.loads(body)).encode()
        )
        assert (headers["Authorization"], headers["X-Shop"]) == ("Bearer s3cret-token", "blue")
        assert (headers["Milepost-Sequence"], headers["Milepost-Attempt"]) == (str(nth), "1")
    assert json.loads(receiver.got[1][1])["data"]["event"]["phase"] == "in_delivery"

    kept = await town.rows(
        "SELECT outcome, status, request_headers, answer FROM delivery_attempt"
        " WHERE account_id = $1 ORDER BY delivery_id"
    )
    assert [(outcome, status, answer) for outcome, status, _, answer in kept] == [
        ("delivered", 200, b"thanks")
    ] * 2
    assert "s3cret" not in str(kept)
    assert kept[0][2]["Authorization"] == "***"


@pytest.mark.parametrize(
    ("auth_type", "config"),
    [
        ("bearer", {"token": 'tok"\\é'}),
        ("basic", {"username": "shop", "password": "pw-é"}),
        ("api_key", {"header_name": "X-Key", "api_key": "k-1"}),
    ],
)
async def test_a_receiver_that_answers_with_what_it_was_sent_gives_no_secret_away(
    secret_keys: SecretKeys, receiver: Receiver, auth_type: str, config: dict[str, str]
) -> None:
    """What is kept is what the log and a test's answer show."""
    seals = Seals(secret_keys, 1, 2)
    secrets = Secrets(config, {"X-Shop": "blue", "X-Own": "not-for-all"})
    key, former = new_key(), "a former key of the shop's"
    connected = Connected(
        *(Lane(1, 2), Kind.WEBHOOK, Form.EVENT, receiver.url, {"auth_type": auth_type}),
        *(seals.seal(secrets), seals.seal_key(key)),
        seals.seal_former([FormerKey(former, datetime.now(UTC) + timedelta(hours=1))]),
    )
    own = own_headers(auth_type, secrets)
    for said in (
        json.dumps({"headers": own, "keys": [key, former]}),
        json.dumps({"headers": own, "keys": [key, former]}, ensure_ascii=False),
        "\n".join([*own.values(), key, former, config.get("password", "")]),
        # A secret across the end of what is kept.
        "x" * (KEPT_OF_ANSWER - 3) + key,
    ):
        receiver.answer = said
        async with GuardedClient(Policy.of(Settings(egress_allow="127.0.0.0/8:*"))) as client:
            send = Webhooks(client, secret_keys).to(connected)
            sent = await send(Delivery(1, 3, 0, "evt", 1, "parcels.event.created", b"{}"))
        answer = sent.answer.decode()
        assert len(answer) <= KEPT_OF_ANSWER
        for secret in (key, former, "not-for-all", "tok", "pw-", "k-1", key[:3]):
            assert secret not in answer
        login = own.get("Authorization", "none: nothing").partition(" ")[2]
        assert login not in answer
        assert not said.startswith("{") or ("blue" in answer and HIDDEN in answer)


async def test_what_is_not_allowed_is_refused_and_the_setting_is_named(
    town: Town, renderer: Renderer, secret_keys: SecretKeys, receiver: Receiver
) -> None:
    connection = await town.connect("integration", Form.CLASSIC, url=receiver.url)
    await town.register()
    await deliver(town, renderer, secret_keys, "")
    assert receiver.got == []
    reason = await town.run(
        "SELECT reason FROM delivery_lane WHERE account_id = $1 AND connection_id = $2", connection
    )
    assert "MILEPOST_EGRESS" in reason


async def test_secrets_that_cannot_be_opened_rest_the_lane(
    town: Town, renderer: Renderer, secret_keys: SecretKeys, receiver: Receiver
) -> None:
    connection = await town.connect("webhook", Form.EVENT, {}, url=receiver.url)
    await lock(town, SecretKeys((b"another" * 8,)), connection, new_key(), Secrets())
    await town.register()
    await deliver(town, renderer, secret_keys, "127.0.0.0/8:*")
    assert receiver.got == []
    state = await town.rows(
        "SELECT state, failures, rests_until > now() FROM delivery_lane WHERE account_id = $1"
    )
    assert state == [("open", 1, True)]
