"""What an answer of FedEx's Track API says."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.zones import zone_of
from milepost.catalogue.fedex.beside import documents_of, held_at, related_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Precision, Scan, Wording
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD, ExceptionCode, Reading

UNKNOWN_NUMBER = frozenset(
    {
        "TRACKING.TRACKINGNUMBER.NOTFOUND",
        "TRACKING.TRACKINGNUMBER.INVALID",
        "TRACKING.DATA.NOTFOUND",
    }
)
_SHIPPED = frozenset({"SHIP", "ACTUAL_PICKUP", "ACTUAL_TENDER"})
_EXPECTED = "ESTIMATED_DELIVERY"


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What FedEx knows about ``item``, one of the numbers asked about."""
    results = _results_of(document, item)
    told = [result for result in results if any(result.items("scanEvents"))]
    if not told:
        return _without_scans(results)
    result = _meant(manifest, told, item)
    delivery = result.child("deliveryDetails")
    return Found(
        scans=tuple(_scans(manifest, result)),
        complete=True,
        estimate=_estimate(manifest, result),
        signed_by=delivery.text("receivedByName") or delivery.text("signedByName"),
        service=result.text("serviceDetail", "description"),
        related_numbers=tuple(related_of(result, item)),
        service_point=held_at(result),
        proofs_of_delivery=documents_of(result),
        raw=result.as_json(),
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """FedEx's own "no such number" about the whole question; any other refusal is a fault."""
    codes = {error.text("code") for error in document.items("errors")}
    if codes and codes <= UNKNOWN_NUMBER:
        return NotFound()
    raise CarrierParseError(f"refused with {', '.join(sorted(codes)) or 'no code'}")


def _results_of(document: Tree, item: Item) -> list[Tree]:
    wanted = number_key(item.number)
    for complete in document.items("output", "completeTrackResults"):
        if number_key(complete.text("trackingNumber")) == wanted:
            return list(complete.items("trackResults"))
    raise CarrierParseError("no result is about the number we asked for")


def _without_scans(results: list[Tree]) -> Outcome:
    """Unknown or not scanned yet, unless FedEx says that something else is wrong."""
    codes = {result.text("error", "code") for result in results} - {"", *UNKNOWN_NUMBER}
    if codes:
        return Broken(f"FedEx's error: {', '.join(sorted(codes))}", lane_wide=False)
    return NotFound()


def _meant(manifest: Manifest, results: list[Tree], item: Item) -> Tree:
    """The one result that is meant: FedEx uses a number again, and then tells of both parcels.

    It is the one shipped nearest to when ours was announced, else the last one shipped.
    """
    if len(results) == 1:
        return results[0]
    shipped = [(_shipped_at(manifest, result), result) for result in results]
    if item.shipped_at is None:
        return max(shipped, key=lambda pair: pair[0])[1]
    announced = item.shipped_at
    return min(shipped, key=lambda pair: abs(pair[0] - announced))[1]


def _shipped_at(manifest: Manifest, result: Tree) -> datetime:
    told = [
        one.text("dateTime") for one in result.items("dateAndTimes") if one.text("type") in _SHIPPED
    ]
    told = list(filter(None, told)) or [one.text("date") for one in _events(result)]
    moments = [_read(manifest, text, Place()).instant for text in told if text]
    if not moments:
        raise CarrierParseError(f"{result.path} says nowhere when it was shipped")
    return min(moments)


def _scans(manifest: Manifest, result: Tree) -> Iterator[Scan]:
    """The scans, which come newest first, from the oldest to the newest."""

    def moment(event: Tree, previous: datetime | None) -> Moment:
        return _read(manifest, event.needed_text("date"), _place(event), previous)

    timed = in_order(_events(result), moment, newest_first=True)
    for position, (when, event) in enumerate(timed):
        yield _scan(manifest, event, when, position)


def _events(result: Tree) -> Sequence[Tree]:
    return list(result.items("scanEvents", at_most=MOST_EVENTS))


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code, reason = event.text("eventType"), event.text("exceptionCode")
    what, why = event.text("eventDescription"), event.text("exceptionDescription")
    fields = {
        "exception": reason,
        "exception_text": why,
        "state": event.text("derivedStatusCode"),
        "delay": event.text("delayDetail", "subType") or event.text("delayDetail", "type"),
        "location_type": event.text("locationType"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    coarse, reading = _reading(manifest, code, reason, fields["state"], (why, what))
    return Scan(
        # Two exceptions of one minute are told apart by their reasons only.
        scan_class="-".join(filter(None, (code or "uncoded", reason if coarse else ""))),
        raw_code=code,
        raw_text=f"{what}: {why}" if why and why != what else what,
        moment=moment,
        reading=reading,
        place=_place(event),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    names = ("exception", "exception_text", "state")
    reason, why, state = (told.raw_fields.get(name, "") for name in names)
    what = told.raw_text.removesuffix(f": {why}") if why else told.raw_text
    return _reading(manifest, told.raw_code, reason, state, (why, what))[1]


def _reading(
    manifest: Manifest, code: str, reason: str, state: str, words: tuple[str, str]
) -> tuple[bool, Reading]:
    """Whether the event's own code says only that something is the matter, and the meaning.

    Then the reason tells what; a normal event keeps its meaning, whatever reason is beside it.
    FedEx's own summing up of the event is heeded where its code is new.
    """
    known = manifest.by_code.get(code)
    coarse = known is None or known.reading.exception is not ExceptionCode.NONE
    finer = manifest.by_code.get(f"exc:{reason}") if coarse and reason else None
    if finer:
        return coarse, finer.reading
    if known:
        return coarse, manifest.classify(code, *words)[1]
    summed_up = manifest.by_code.get(state)
    return coarse, summed_up.reading if summed_up else UNREAD


def _place(event: Tree) -> Place:
    address = event.child("scanLocation")
    return Place(
        city=address.text("city"),
        country_code=address.text("countryCode").upper()[:2],
        postal_code=address.text("postalCode"),
        depot=event.text("locationId"),
    )


def _read(
    manifest: Manifest, stated: str, place: Place, previous: datetime | None = None
) -> Moment:
    zone = zone_of(place.country_code, place.postal_code, manifest.home_zone, place.city)
    return read_moment(stated, zone, manifest.home_zone, previous)


def _estimate(manifest: Manifest, result: Tree) -> DeliveryEstimate | None:
    """The window FedEx expects to deliver in, or the day; local time of the destination."""
    address = result.child("destinationLocation", "locationContactAndAddress", "address")
    target = Place(
        country_code=address.text("countryCode").upper()[:2],
        postal_code=address.text("postalCode"),
    )
    window = result.child("estimatedDeliveryTimeWindow", "window")
    expected = next(
        (
            one.text("dateTime")
            for one in result.items("dateAndTimes")
            if one.text("type") == _EXPECTED
        ),
        "",
    )
    begin, end = (
        _day_or_time(manifest, text, target)
        for text in (window.text("begins"), window.text("ends"))
    )
    last = end or begin or _day_or_time(manifest, expected, target)
    if last is None:
        return None
    if not (begin or end):
        end = last
    return DeliveryEstimate(
        day=datetime.fromisoformat(last.stated.strip()[:10]).date(),
        earliest=_instant(begin),
        latest=_instant(end),
    )


def _day_or_time(manifest: Manifest, stated: str, target: Place) -> Moment | None:
    """A time; midnight stands for a day of which FedEx does not know the time."""
    if not stated:
        return None
    return _read(manifest, stated.partition("T00:00:00")[0], target)


def _instant(moment: Moment | None) -> datetime | None:
    timed = moment is not None and moment.precision is Precision.INSTANT
    return moment.instant if moment and timed else None
