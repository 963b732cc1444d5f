"""Making integrations over the API, and a worker's part in telling them."""

import json
from typing import Any

import jsonschema
import orjson
from tests.api.fake_api import Answer, Client
from tests.notifications.receiver import Receiver

from milepost.db.pool import Pool
from milepost.egress.client import GuardedClient
from milepost.egress.policy import Policy
from milepost.notifications.bodies import Bodies
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Kind
from milepost.notifications.webhooks import Webhooks
from milepost.settings import Settings
from milepost.wiring import ApiParts

OWN_PATH = "/api/milepost/v1/integrations"
V2_PATH, V3_PATH = "/api/v2/integrations", "/api/v3/integrations"
ALLOW = "127.0.0.0/8:*"


async def made(client: Client, **more: Any) -> Any:
    got = await client.post(OWN_PATH, {"shop_name": "Blue shop"} | more)
    assert got.status == 200, got.body
    return got.document


async def patch(client: Client, path: str, **change: Any) -> Answer:
    return await client.ask("PATCH", path, orjson.dumps(change))


async def deliver(worker_pool: Pool, parts: ApiParts, account: int) -> None:
    """What a worker does once."""
    core = parts.core
    await FanOut(worker_pool, core.renderer, Bodies()).tell(account)
    async with GuardedClient(Policy.of(Settings(egress_allow=ALLOW))) as guarded:
        sender = Webhooks(guarded, core.secret_keys)
        worker = Deliverer(worker_pool, {Kind.INTEGRATION: sender})
        for lane in await worker.due(10):
            await worker.work(lane)


def heard(shop: Receiver) -> list[str]:
    """The actions that arrived, in order; forgotten then."""
    actions = [json.loads(body)["action"] for _, body in shop.got]
    shop.got.clear()
    return actions


def conforms(schema: Any, document: Any) -> bool:
    return not list(jsonschema.Draft202012Validator(schema).iter_errors(document))
