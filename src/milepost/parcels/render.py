"""From a stored parcel to its finished answers: the snapshot that every door reads."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.parcels.stored import StoredParcel
from milepost.tracking.expectation import CARRIER, SENDER, Expected
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.parcel import Monitoring, MonitoringState, Notice, TrackedParcel
from milepost.wire import v2, v3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The finished answers (newest event first) and the v3 answer's ETag."""

    parcel_id: int
    v3: bytes
    v2: bytes
    etag: str


class Renderer:
    """Reads a journey and renders it; knows the catalogue and whose credentials there are."""

    def __init__(
        self, catalogue: Catalogue, credentials: CredentialStore, early_scan_days: int
    ) -> None:
        self._catalogue = catalogue
        self._credentials = credentials
        self.early = timedelta(days=early_scan_days)

    def journey(self, parcel: StoredParcel) -> Journey:
        """The timeline of a stored parcel."""
        return read_journey(parcel.events, parcel.announced_at, self.early)

    async def snapshot(
        self, parcel: StoredParcel, journey: Journey, *, credential_missing: bool | None = None
    ) -> Snapshot:
        """Both answers of a parcel as it is; ``credential_missing`` as ``tracked`` takes it."""
        tracked = await self.tracked(parcel, journey, credential_missing=credential_missing)
        v3_answer = v3.tracking_answer(tracked, journey)
        return Snapshot(
            parcel_id=parcel.parcel_id,
            v3=v3_answer,
            v2=v2.tracking_answer(tracked, journey, oldest_first=False),
            etag=f'"{hashlib.blake2b(v3_answer, digest_size=12).hexdigest()}"',
        )

    async def tracked(
        self, parcel: StoredParcel, journey: Journey, *, credential_missing: bool | None = None
    ) -> TrackedParcel:
        """What the wire needs of a parcel besides its journey.

        ``credential_missing`` is what the caller knows about it already; None looks it up.
        """
        if credential_missing is None:
            credential_missing = await self.lacks_credential(parcel.account_id, parcel.carrier_code)
        return self.described(parcel, journey, credential_missing=credential_missing)

    def described(
        self, parcel: StoredParcel, journey: Journey, *, credential_missing: bool
    ) -> TrackedParcel:
        """``tracked`` for who knows about the credential."""
        carrier = self._catalogue.get(parcel.carrier_code)
        monitoring = monitoring_of(
            carrier_known=carrier is not None,
            carrier_asked=self._asks(parcel.carrier_code),
            # A closed lane counts: what the login's cache believes may be a moment old.
            credential_missing=credential_missing or parcel.lane_state == "waiting_for_credentials",
            credential_refused=parcel.lane_state == "credential_refused",
            ended_at=journey.ended_at,
            stopped_at=parcel.stopped_at,
            stop_reason=parcel.stop_reason,
        )
        return TrackedParcel(
            parcel_id=parcel.parcel_id,
            carrier_code=parcel.carrier_code,
            tracking_number=parcel.tracking_number,
            source_id=parcel.source_id,
            announced_at=parcel.announced_at,
            created_at=parcel.created_at,
            updated_at=parcel.updated_at,
            document=parcel.document,
            monitoring=monitoring,
            tracking_identifier=_given(parcel, "tracking_identifier"),
            tracking_url=self._tracking_url(parcel),
            warnings=self.warnings(parcel.carrier_code, parcel.tracking_number),
            expected_delivery_date=expected_day(parcel),
            expected=expected_delivery(parcel),
            extra=parcel.extra,
            carrier_name=carrier.manifest.name if carrier else "",
        )

    def warnings(self, carrier_code: str, number: str) -> tuple[Notice, ...]:
        """What is odd about a number; never a reason to refuse it."""
        carrier = self._catalogue.get(carrier_code)
        notice = carrier.number_notice(number) if carrier else None
        return (notice,) if notice else ()

    async def lacks_credential(self, account_id: int, carrier_code: str) -> bool:
        """True when the carrier wants a credential and neither account nor operator gave one."""
        carrier = self._catalogue.get(carrier_code)
        if carrier is None or not carrier.needs_credential:
            return False
        return not await self._credentials.has(account_id, carrier.asked.manifest.code)

    def _asks(self, carrier_code: str) -> bool:
        carrier = self._catalogue.get(carrier_code)
        return carrier is not None and carrier.can_be_asked

    def _tracking_url(self, parcel: StoredParcel) -> str:
        given = _given(parcel, "tracking_url")
        carrier = self._catalogue.get(parcel.carrier_code)
        if given or carrier is None:
            return given
        address: dict[str, Any] = parcel.document.get("to_address", {})
        return carrier.tracking_url(
            parcel.tracking_number,
            postal_code=address.get("postal_code") or "",
            language="en",
            country=address.get("country_code") or "",
        )


def monitoring_of(
    *,
    carrier_known: bool,
    carrier_asked: bool,
    credential_missing: bool,
    credential_refused: bool,
    ended_at: datetime | None,
    stopped_at: datetime | None,
    stop_reason: str,
) -> Monitoring:
    """The monitoring state and its reason, the most telling first."""
    if ended_at is not None:
        return Monitoring(MonitoringState.ENDED, "The parcel's journey is over.")
    if stopped_at is not None:
        return Monitoring(MonitoringState.STOPPED, stop_reason)
    if not carrier_known:
        return Monitoring(
            MonitoringState.NOT_SUPPORTED, "Milepost does not know this carrier code."
        )
    if not carrier_asked:
        return Monitoring(
            MonitoringState.NOT_SUPPORTED, "Milepost has no connector for this carrier."
        )
    if credential_missing:
        return Monitoring(
            MonitoringState.WAITING_FOR_CREDENTIALS,
            "The carrier is asked as soon as its credentials are set.",
        )
    if credential_refused:
        return Monitoring(
            MonitoringState.WAITING_FOR_CREDENTIALS, "The carrier refused the credentials."
        )
    return Monitoring(MonitoringState.WATCHING, "The carrier is asked regularly.")


def expected_day(parcel: StoredParcel) -> date | None:
    """The carrier's expected delivery day, else the one given at registration."""
    if parcel.estimate is not None and parcel.estimate.day is not None:
        return parcel.estimate.day
    return given_day(parcel)


def expected_delivery(parcel: StoredParcel) -> Expected | None:
    """What the carrier expects, else what the sender said at registration, else our estimate."""
    told = parcel.estimate
    if told is not None and (told.day or told.earliest or told.latest):
        return Expected(CARRIER, told.day, told.earliest, told.latest)
    day = given_day(parcel)
    return parcel.own_estimate if day is None else Expected(SENDER, day)


def given_day(parcel: StoredParcel) -> date | None:
    """The expected delivery day given at registration."""
    given = (parcel.document.get("details") or {}).get("expected_delivery_date")
    return date.fromisoformat(given) if given else None


def _given(parcel: StoredParcel, name: str) -> str:
    number = parcel.document.get("tracking_number") or {}
    return str(number.get(name) or "")
