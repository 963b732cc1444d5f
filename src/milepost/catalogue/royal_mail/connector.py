"""Royal Mail's Tracking API: what to ask, and what an answer says."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import partial
from urllib.parse import quote

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Connector,
    Credential,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
    Refused,
    proofs,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.refusals import WAIT_AFTER_REFUSAL
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.rereading import by_code
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD

# No such barcode; and four ways to say that nothing is told about it: not for its product, not yet.
NOTHING_TOLD = frozenset({"E1142", "E1283", "E1284", "E1307", "E1308"})
TOO_MANY = "E0010"
UNKNOWN = frozenset({400, 404})
_NUMBERS = (("mailPieceId",), ("summary", "oneDBarcode"), ("summary", "uniqueItemId"))


def build(manifest: Manifest) -> Connector:
    """Royal Mail's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        unknown_statuses=UNKNOWN,
        reread=by_code(manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One barcode with all its events."""
    base = manifest.api.base_url if manifest.api else ""
    fields = credential.fields
    return Request(
        f"{base}/{quote(number_key(item.number), safe='')}/events",
        headers={
            "X-IBM-Client-Id": fields.get("client_id", ""),
            "X-IBM-Client-Secret": fields.get("client_secret", ""),
            "X-Accept-RMG-Terms": "yes",
            "Accept": "application/json",
        },
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """Royal Mail's own word that it knows, or tells, nothing; any other refusal is a fault."""
    codes = {error.text("errorCode") for error in document.items("errors")}
    return _refusal(codes)


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What Royal Mail knows about ``item``."""
    piece = _piece_of(document, item)
    error = piece.text("error", "errorCode")
    if error:
        return _refusal({error})
    events = list(piece.items("events", at_most=MOST_EVENTS))
    scans = tuple(_scans(manifest, piece.child("summary"), events))
    if not scans:
        return NotFound()
    return Found(
        scans=scans,
        complete=bool(events),
        estimate=_estimate(manifest, piece.child("estimatedDelivery")),
        signed_by=piece.text("signature", "recipientName"),
        service=piece.text("summary", "productName"),
        proofs_of_delivery=proofs(references=[piece.text("signature", "imageId")]),
    )


def _refusal(codes: set[str]) -> Outcome:
    if codes & NOTHING_TOLD:
        return NotFound()
    if TOO_MANY in codes:
        return Refused(WAIT_AFTER_REFUSAL, f"too many questions ({TOO_MANY})")
    raise CarrierParseError(f"refused with {', '.join(sorted(codes)) or 'no code'}")


def _piece_of(document: Tree, item: Item) -> Tree:
    wanted = number_key(item.number)
    for piece in document.items("mailPieces"):
        if wanted in {number_key(piece.text(*names)) for names in _NUMBERS}:
            return piece
    raise CarrierParseError("no mail piece has the number we asked for")


def _scans(manifest: Manifest, summary: Tree, events: Sequence[Tree]) -> Iterator[Scan]:
    """The events from the oldest to the newest.

    Where none is told the summary's last one is; and where nobody knows what the newest says, the
    piece's status is a scan of its own.
    """

    def moment(event: Tree, previous: datetime | None) -> Moment:
        return _moment(manifest, event.needed_text("eventDateTime"), previous)

    timed = in_order(events, moment, newest_first=True)
    scans = [_scan(manifest, event, when, place) for place, (when, event) in enumerate(timed)]
    yield from scans
    stated = summary.text("lastEventDateTime")
    if not stated:
        return
    when = _moment(manifest, stated)
    if not scans and summary.text("lastEventCode"):
        code, name = summary.text("lastEventCode"), summary.text("lastEventName")
        scans = [_made(manifest, code, name, when, summary.text("lastEventLocationName"), 0)]
        yield scans[0]
    category = f"cat:{summary.text('statusCategory')}"
    if category in manifest.by_code and (not scans or scans[-1].reading == UNREAD):
        text = summary.text("statusDescription")
        yield _made(manifest, category, text, when, "", len(scans))


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code, name = event.needed_text("eventCode"), event.text("eventName")
    return _made(manifest, code, name, moment, event.text("locationName"), position)


def _made(
    manifest: Manifest, code: str, name: str, moment: Moment, where: str, position: int
) -> Scan:
    return Scan(
        scan_class=code,
        raw_code=code,
        raw_text=name,
        moment=moment,
        # Most codes are not public; then the event's name tells what it means.
        reading=manifest.classify_by_code(code, name)[1],
        place=Place(depot=where),
        position=position,
        raw_fields={"clamped": "true"} if is_clamped(moment) else {},
        mapping_version=manifest.mapping_version,
    )


def _moment(manifest: Manifest, stated: str, previous: datetime | None = None) -> Moment:
    home = manifest.home_zone
    return read_moment(stated, Zone(home, ZoneSource.ASSUMED), home, previous)


def _estimate(manifest: Manifest, told: Tree) -> DeliveryEstimate | None:
    """The day, and the window where one is told: two times of that day."""
    day = told.text("date")[:10]
    if not day:
        return None
    ends = (told.text(name) for name in ("startOfEstimatedWindow", "endOfEstimatedWindow"))
    earliest, latest = (
        _moment(manifest, end if "T" in end else f"{day}T{end}").instant if end else None
        for end in ends
    )
    return DeliveryEstimate(_day(day), earliest, latest)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CarrierParseError(f"not a day: {text!r}") from error
