"""The demo's parcels and its client, which is one of the HTTP API like any other."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from milepost.carriers.registry import Carrier, Catalogue

# Stories that begin anew at each start, and slower ones that later starts find going on; each
# with how much faster than life it goes.
AT_EACH_START = (("HAPPY", 3600), ("RETURN", 3600))
ONCE = (("CUSTOMS", 7200), ("REWORDED", 1800), ("UNORDERED", 900), ("HAPPY", 60))
# A simulated parcel's number names its story and its speed.
NUMBER = "SBX-{story}-{speed}X-DEMO{serial}"
ENDED = frozenset({"ended", "stopped", "not_supported"})
# Handed over before the demo began, as a merchant's parcels are.
REAL_AGE = timedelta(hours=6)
ANSWER_SECONDS = 20
RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class DemoParcel:
    """A parcel to show."""

    carrier_code: str
    number: str
    country: str
    announced_at: datetime
    simulated: bool


@dataclass(frozen=True, slots=True)
class Move:
    """An event as the v3 answer tells it."""

    event_id: str
    at: str
    description: str
    status: str
    status_type: str
    city: str


def demo_parcels(catalogue: Catalogue, start: int) -> list[DemoParcel]:
    """What the ``start``-th start registers: one of each carrier that waits for a login of its own,
    and the simulated ones. Who needs none would be asked, and a demo bothers nobody."""
    now = datetime.now(UTC).replace(microsecond=0)
    numbers = [NUMBER.format(story=story, speed=speed, serial="") for story, speed in ONCE]
    numbers += [
        NUMBER.format(story=story, speed=speed, serial=start) for story, speed in AT_EACH_START
    ]
    real = [
        DemoParcel(carrier.manifest.code, number, country_of(carrier), now - REAL_AGE, False)
        for carrier in catalogue
        if carrier.needs_credential and carrier.answering is None
        for number in carrier.manifest.test_numbers[:1]
    ]
    return real + [
        DemoParcel(carrier.manifest.code, number, country_of(carrier), now, True)
        for carrier in catalogue
        if carrier.manifest.simulated
        for number in numbers
    ]


def country_of(carrier: Carrier) -> str:
    """Where its parcels go."""
    return next(iter(carrier.manifest.countries), "NL")


def registration(parcel: DemoParcel) -> dict[str, Any]:
    """The request that registers it."""
    return {
        "announced_at": parcel.announced_at.isoformat(),
        "source_id": f"demo-{parcel.number}",
        "from_address": {"country_code": "NL", "postal_code": "5611EM", "city": "Eindhoven"},
        "to_address": {"country_code": parcel.country, "postal_code": "10115", "name": "A. Demo"},
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": f"{parcel.carrier_code}:standard"},
        },
        "tracking_number": {
            "carrier_code": parcel.carrier_code,
            "tracking_number": parcel.number,
        },
    }


class DemoClient:
    """Registers and looks up, waiting where it is told to wait."""

    def __init__(self, url: str, public_key: str, secret_key: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            auth=aiohttp.BasicAuth(public_key, secret_key),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            # Our own server on this machine: its certificate is made out for another name.
            connector=aiohttp.TCPConnector(ssl=False),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def until_answered(self) -> None:
        """Returns once the API can ask its database."""
        while True:
            status, _ = await self._ask("GET", "/readyz")
            if status == HTTPStatus.OK:
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def register(self, parcel: DemoParcel) -> bool:
        """Registers it; False for one that is registered already and stays as it is."""
        status, _ = await self._ask("POST", "/api/v3/parcels/tracking", registration(parcel))
        return status == HTTPStatus.OK

    async def monitoring(self, parcel: DemoParcel) -> Mapping[str, str]:
        """Whether anybody asks about it, and why not."""
        found = await self._look_up(parcel)
        return found.get("monitoring") or {"state": "unknown", "reason": "no answer"}

    async def moves(self, parcel: DemoParcel) -> tuple[list[Move], bool]:
        """Its events, oldest first, and whether there is nothing more to come."""
        found = await self._look_up(parcel)
        moves = [
            Move(
                event_id=event["event_id"],
                at=event["event_at"],
                description=event["status_description"],
                status=event["status"],
                status_type=event["status_type"],
                city=(event["location_details"] or {}).get("city") or "",
            )
            for event in reversed(found.get("events", []))
        ]
        return moves, found.get("monitoring", {}).get("state") in ENDED

    async def _look_up(self, parcel: DemoParcel) -> dict[str, Any]:
        path = f"/api/v3/parcels/tracking/{quote(parcel.number, safe='')}"
        status, document = await self._ask("GET", f"{path}?carrier_code={parcel.carrier_code}")
        return document if status == HTTPStatus.OK else {}

    async def _ask(
        self, method: str, path: str, document: object = None
    ) -> tuple[int, dict[str, Any]]:
        """One question; asked again while the API restarts, is over its limit or not served."""
        while True:
            try:
                async with self._session.request(method, self._url + path, json=document) as answer:
                    if answer.status not in (429, 503):
                        is_json = answer.content_type == "application/json"
                        return answer.status, await answer.json() if is_json else {}
                    wait = float(answer.headers.get("Retry-After", RETRY_SECONDS))
            except (aiohttp.ClientError, TimeoutError):
                wait = RETRY_SECONDS
            await asyncio.sleep(wait)
