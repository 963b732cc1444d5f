"""Pushes of a carrier as the tests write them, and what becomes of them."""

import json
from dataclasses import dataclass
from typing import Any

from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying, tenant
from milepost.intake import addresses, inbox
from milepost.intake.addresses import Addresses, Knock
from milepost.intake.inbox import Inbox
from milepost.parcels.register import Registrar
from milepost.parcels.stored import load
from milepost.tracking.events import Event

NUMBER = "1Z999AA10123456784"


def activity(code: str = "OT", at: str = "064411", number: str = NUMBER) -> bytes:
    """An activity of UPS's in Hamburg."""
    told = {
        "trackingNumber": number,
        "localActivityDate": "20261104",
        "localActivityTime": at,
        "activityLocation": {"city": "Hamburg", "country": "DE"},
        "activityStatus": {"type": "I", "code": code, "description": "told"},
    }
    return json.dumps(told).encode()


@dataclass
class Told:
    """One account with an address of UPS's, and a worker that tells what comes."""

    pool: Pool
    account: int
    knock: Knock
    registrar: Registrar
    inbox: Inbox

    async def push(self, payload: bytes) -> bool:
        return await inbox.keep(self.pool, self.knock, {}, payload)

    async def register(self, number: str = NUMBER, carrier_code: str = "ups") -> int:
        wanted = registration(tracking_number=number, carrier_code=carrier_code)
        ready = await self.registrar.prepare(self.account, wanted)
        return (await self.registrar.store(self.account, ready)).parcel_id

    async def work(self) -> int:
        return await self.inbox.work(self.account)

    async def events(self, parcel_id: int) -> list[Event]:
        parcel = (await retrying(lambda: load(self.pool, self.account, [parcel_id])))[parcel_id]
        return [event for event in parcel.events if event.event_type == "carrier"]

    async def states(self) -> list[str]:
        return [one.state for one in await inbox.kept(self.pool, self.account, "ups", 50)]

    async def run(self, statement: str, *arguments: Any) -> Any:
        async with tenant(self.pool, self.account) as conn:
            return await conn.fetchval(statement, *arguments)

    async def make_due(self) -> None:
        await self.run("UPDATE push_payload SET due_at = now() WHERE due_at < 'infinity'")


async def knock_of(
    pool: Pool, admins: Pool, keys: SecretKeys, catalogue: Catalogue, account: int
) -> Knock:
    """A new address of UPS's, knocked at."""
    new = await addresses.add(admins, keys, catalogue, account, "ups")
    return await Addresses(pool, keys, catalogue).find("ups", new.path.rpartition("/")[2])
