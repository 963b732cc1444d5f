"""GLS's Track and Trace: what to ask about up to ten numbers, and what an answer says."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from urllib.parse import quote

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    related,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.oauth2 import client_tokens, token_form
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD

TOKEN_URL = "https://api.gls-group.net/oauth2/v2/token"  # noqa: S105 - an address
UNKNOWN_NUMBER = "E_404_01"
NO_RECORD = "NORECORD"


def build(manifest: Manifest) -> Connector:
    """GLS's connector."""
    about = partial(read, manifest)
    return RestJson(
        request=lambda item, credential: request(manifest, [item], credential),
        batch=partial(request, manifest),
        read=about,
        not_found=about,
        tokens=client_tokens(ask_token),
    )


def ask_token(credential: Credential) -> Request:
    """The question for an access token."""
    fields = credential.fields
    return token_form(TOKEN_URL, fields.get("client_id", ""), fields.get("client_secret", ""))


def request(manifest: Manifest, items: Sequence[Item], credential: Credential) -> Request:
    """Up to ten numbers with all their events, told in English."""
    base = manifest.api.base_url if manifest.api else ""
    numbers = ",".join(quote(number_key(item.number), safe="") for item in items)
    return Request(
        f"{base}/tracking/simple/trackids/{numbers}",
        headers={"Accept": "application/json", "Accept-Language": "en"},
    )


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What GLS knows about ``item``, one of the numbers asked about."""
    parcel = _parcel_of(document, item)
    error = parcel.text("errorCode")
    if error == UNKNOWN_NUMBER:
        return NotFound()
    if error:
        return Broken(f"GLS's error: {error}", lane_wide=False)
    events = list(parcel.items("events", at_most=MOST_EVENTS))
    if not events and parcel.text("status") in ("", NO_RECORD):
        return NotFound()
    scans = tuple(_scans(manifest, parcel, events))
    return Found(
        scans=scans,
        complete=bool(events),
        related_numbers=related("other", [parcel.text("unitno")], item.number),
        raw=parcel.as_json(),
    )


def _parcel_of(document: Tree, item: Item) -> Tree:
    """The parcel that is meant: a number that is another's reference may bring several."""
    wanted = number_key(item.number)
    told = [
        parcel
        for parcel in document.items("parcels")
        if wanted in {number_key(parcel.text(name)) for name in ("requested", "unitno")}
    ]
    exact = [parcel for parcel in told if number_key(parcel.text("unitno")) == wanted]
    found = exact or told
    if len(found) != 1:
        raise CarrierParseError(f"{len(found)} parcels for the number we asked for")
    return found[0]


def _scans(manifest: Manifest, parcel: Tree, events: Sequence[Tree]) -> Iterator[Scan]:
    """The events, which come newest first, from the oldest to the newest.

    The parcel's status is one of thirteen words and coarser than any event; it is a scan of its own
    where no event is told, or nobody knows what the newest says.
    """

    def moment(event: Tree, previous: datetime | None) -> Moment:
        stated, country = event.needed_text("eventDateTime"), event.text("country")
        zone = zone_of(country, event.text("postalCode"), manifest.home_zone)
        return read_moment(stated, zone, manifest.home_zone, previous)

    scans = [
        _scan(manifest, event, when, position)
        for position, (when, event) in enumerate(in_order(events, moment, newest_first=True))
    ]
    yield from scans
    if not scans or scans[-1].reading == UNREAD:
        yield from _status(manifest, parcel, len(scans))


def _status(manifest: Manifest, parcel: Tree, position: int) -> Iterator[Scan]:
    stated, status = parcel.text("statusDateTime"), parcel.text("status")
    code = f"status:{status}"
    _, reading = manifest.classify(code)
    if stated and status and (reading != UNREAD or not position):
        home = manifest.home_zone
        when = read_moment(stated, zone_of("", "", home), home)
        yield Scan(
            scan_class=code,
            raw_code=code,
            raw_text=status,
            moment=when,
            reading=reading,
            position=position,
            mapping_version=manifest.mapping_version,
        )


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code = event.needed_text("code")
    scan_class, reading = manifest.classify(code)
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=event.text("description"),
        moment=moment,
        reading=reading,
        place=Place(
            city=event.text("city"),
            country_code=event.text("country").upper()[:2],
            postal_code=event.text("postalCode"),
        ),
        position=position,
        raw_fields={"clamped": "true"} if is_clamped(moment) else {},
        mapping_version=manifest.mapping_version,
    )
