"""Webhooks: one attempt as one signed POST through the guarded client."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

from milepost.accounts.secret_keys import SecretKeys
from milepost.egress.client import GuardedClient
from milepost.egress.outcomes import Answered, Failed, Forbidden
from milepost.notifications.forms import Form
from milepost.notifications.held import Connected, Delivery, Send, Sent
from milepost.notifications.masking import HIDDEN, masked, spellings
from milepost.notifications.sealing import Seals, Secrets
from milepost.notifications.signing import SigningKeys, signed_headers
from milepost.notifications.verdict import judge
from milepost.wire.cloud_event import CONTENT_TYPE

KEPT_OF_ANSWER = 2000
"""Bytes of an answer that are kept for the log."""
_USER_AGENT = f"Milepost/{version('milepost')}"
_CONTENT_TYPE = {Form.CLOUD_EVENT: CONTENT_TYPE}
_JSON = "application/json"


class Webhooks:
    """Delivers to webhooks and integrations."""

    def __init__(
        self,
        client: GuardedClient,
        keys: SecretKeys,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock

    def to(self, connected: Connected) -> Send:
        """To one of them. Raises CannotOpen."""
        lane = connected.lane
        seals = Seals(self._keys, lane.account_id, lane.connection_id)
        secrets = seals.open(connected.sealed)
        own = own_headers(connected.settings.get("auth_type", "none"), secrets)
        hidden = dict.fromkeys(own, HIDDEN)
        keys = seals.open_keys(connected.signing_key, connected.former_key)
        # Most answers are empty: what an answer may tell back is spelled out when one is not.
        told_back = cache(lambda: spellings(secrets, own.get("Authorization", ""), keys))

        async def send(delivery: Delivery) -> Sent:
            now = self._clock()
            shown = _headers(connected.form, delivery, keys, now)
            outcome = await self._client.send(
                connected.url, delivery.body, own | shown, key=connected.lane
            )
            judged = judge(outcome, now)
            match outcome:
                case Answered(status, _, body, cut, ms):
                    kept = body and masked(body, told_back(), KEPT_OF_ANSWER, cut=cut)
                    return Sent(judged, now, ms, status, shown | hidden, kept)
                case Failed(_, _, status, ms):
                    return Sent(judged, now, ms, status or None, shown | hidden)
                case Forbidden():
                    return Sent(judged, now)

        return send


def _headers(
    form: Form, delivery: Delivery, keys: SigningKeys | None, now: datetime
) -> dict[str, str]:
    """Those of ours, which may be shown."""
    headers = {
        "Content-Type": _CONTENT_TYPE.get(form, _JSON),
        "User-Agent": _USER_AGENT,
        "Milepost-Sequence": str(delivery.sequence),
        "Milepost-Attempt": str(delivery.attempts + 1),
    }
    if delivery.is_test:
        headers["Milepost-Test"] = "true"
    if keys is None:
        return headers | {"webhook-id": delivery.event_id}
    return headers | signed_headers(keys, delivery.event_id, delivery.body, now)


def own_headers(auth_type: str, secrets: Secrets) -> dict[str, str]:
    """What a connection's owner wants to be sent besides: a login, and headers of its own."""
    config = secrets.auth_config
    headers = dict(secrets.extra_headers)
    match auth_type:
        case "bearer":
            headers["Authorization"] = f"Bearer {config['token']}"
        case "basic":
            login = f"{config['username']}:{config['password']}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        case "api_key":
            headers[config["header_name"]] = config["api_key"]
        case _:
            pass
    return headers
