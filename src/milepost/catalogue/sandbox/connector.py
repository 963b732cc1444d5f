"""Asking the sandbox: the parcel's beginning goes with the question, the answer has a clock."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import read_moment
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import Zone, zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key


def build(manifest: Manifest) -> Connector:
    """The sandbox's connector."""
    return Sandbox(
        RestJson(
            request=partial(request, manifest),
            read=partial(read, manifest),
            not_found=not_found,
        )
    )


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The platform, except that an outage concerns the one parcel whose story has it."""

    platform: RestJson

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask one by one."""
        outcomes: dict[Item, Outcome] = {}
        for item in items:
            told = await self.platform.ask([item], credential, carrier)
            outcomes[item] = _of_one_parcel(told[item])
        return outcomes

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``."""
        return _of_one_parcel(self.platform.outcome(item, answer))


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """The number, when its story began, and the clock of the account."""
    base_url = manifest.api.base_url if manifest.api else ""
    begin = item.shipped_at or datetime.now(UTC)
    headers = {
        "Sandbox-Clock-Offset": credential.fields.get("clock_offset_seconds", ""),
        "Sandbox-Speed": credential.fields.get("speed", ""),
    }
    return Request(
        f"{base_url}/{_path_segment(item.number)}",
        query=(("announced_at", begin.astimezone(UTC).isoformat()),),
        headers={name: value for name, value in headers.items() if value},
        remember=False,
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """Not scanned yet, or no such story."""
    return NotFound(as_of=_clock(document))


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """The story as far as it is told."""
    if number_key(document.text("number")) != number_key(item.number):
        raise CarrierParseError("the answer is about another number")
    expected = document.text("estimated_delivery")
    return Found(
        scans=tuple(_scans(manifest, document)),
        complete=True,
        estimate=DeliveryEstimate(day=_day(expected)) if expected else None,
        signed_by=document.text("signed_by"),
        service="Simulated",
        as_of=_clock(document),
    )


def _scans(manifest: Manifest, document: Tree) -> Iterator[Scan]:
    previous: datetime | None = None
    for position, event in enumerate(document.items("events", at_most=MOST_EVENTS)):
        place = Place(
            city=event.text("city"),
            country_code=event.text("country"),
            postal_code=event.text("postal_code"),
            service_point_id=event.text("service_point"),
        )
        zone = zone_of(place.country_code, place.postal_code, manifest.home_zone, place.city)
        moment = read_moment(event.needed_text("time"), zone, manifest.home_zone, previous)
        previous = moment.instant
        scan_class, reading = manifest.classify(event.text("code"), event.text("text"))
        yield Scan(
            scan_class=scan_class,
            raw_code=event.text("code"),
            raw_text=event.text("text"),
            moment=moment,
            reading=reading,
            place=place,
            position=position,
            mapping_version=manifest.mapping_version,
        )


def _of_one_parcel(outcome: Outcome) -> Outcome:
    return replace(outcome, lane_wide=False) if isinstance(outcome, Broken) else outcome


def _clock(document: Tree) -> datetime:
    utc = Zone("UTC", ZoneSource.CARRIER)
    return read_moment(document.needed_text("now"), utc, "UTC").instant


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CarrierParseError("estimated_delivery is not a day") from error


def _path_segment(number: str) -> str:
    # Sandbox numbers hold nothing else; anything else names no story anyway.
    return _ODD.sub("", number_key(number)) or "-"


_ODD = re.compile("[^A-Z0-9-]+")
