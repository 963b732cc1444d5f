"""The whole API over parcels kept in memory: what is tested is the door, not the rooms behind it.

``create_app`` is a factory for a real server, too.
"""

import asyncio
import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import orjson

from milepost.accounts.budget import Spent
from milepost.accounts.gatekeeper import Caller, Limits
from milepost.api.app import Application
from milepost.errors import (
    Conflict,
    MilepostError,
    NotAllowed,
    NotAuthenticated,
    TooManyRequests,
)
from milepost.parcels import find
from milepost.parcels.register import Registered
from milepost.settings import Settings
from milepost.tracking.events import Event, Moment, Place, Sighting, Wording, ZoneSource
from milepost.tracking.journey import Entry, Journey, Verdict
from milepost.tracking.parcel import (
    Monitoring,
    MonitoringState,
    Registration,
    TrackedParcel,
    number_key,
)
from milepost.tracking.status import status_of
from milepost.tracking.vocabulary import EventType, Phase, Reading
from milepost.wire import v2, v3

USER = "mp_key:secret"
AUTHORIZATION = b"Basic " + base64.b64encode(USER.encode())
OLDEST_FIRST = b"Basic " + base64.b64encode(b"mp_oldest:secret")
SUSPENDED = b"Basic " + base64.b64encode(b"mp_suspended:secret")
SPENT_OUT = b"Basic " + base64.b64encode(b"mp_spent:secret")
CREATED = datetime(2026, 1, 5, 9, tzinfo=UTC)
_NOWHERE = Place()
NOBODY: Mapping[str, str] = {}


def journey_of(registration: Registration) -> Journey:
    at, reading = registration.announced_at, Reading(Phase.ANNOUNCED)
    moment = Moment(at.isoformat(), at, f"{at:%Y-%m-%dT%H:%M}", "UTC", ZoneSource.CARRIER)
    wording = Wording("internal", at, "", "Announced", {}, _NOWHERE, moment, reading, "", 0, 1)
    event = Event(
        "k", "", EventType.INTERNAL, "announced", wording, (Sighting("internal", at, at),), (), 1
    )
    status = status_of(reading)
    entry = Entry(event, at, 1, Verdict.MOVED, reading, status)
    return Journey((entry,), (), reading, status, at, None, None, None, False)


@dataclass
class Parcels:
    """Stands in for Reader and Registrar."""

    kept: dict[str, tuple[TrackedParcel, Journey]] = field(default_factory=dict)
    fail_with: MilepostError | Exception | None = None
    slow_seconds: float = 0.0
    ids: Any = field(default_factory=lambda: itertools.count(1))
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def prepare(self, account_id: int, registration: Registration) -> Registration:
        return registration

    async def store(
        self, account_id: int, registration: Registration, *, conn: Any = None
    ) -> Registered:
        await self._meet_fate()
        key = number_key(registration.tracking_number)
        if key in self.kept:
            raise Conflict
        document = {**registration.document}
        properties = document["ship_with"]["properties"]
        document["ship_with"] = document["ship_with"] | {
            "properties": {"contract_id": 1} | properties
        }
        # What the store would do to it: a document that is no JSON must fail here as well.
        document = orjson.loads(orjson.dumps(document))
        parcel = TrackedParcel(
            parcel_id=next(self.ids),
            carrier_code=registration.carrier_code,
            tracking_number=registration.tracking_number,
            source_id=registration.source_id,
            announced_at=registration.announced_at,
            created_at=CREATED,
            updated_at=CREATED,
            document=document,
            monitoring=Monitoring(MonitoringState.WATCHING, "The carrier is asked regularly."),
            tracking_identifier=registration.tracking_identifier,
            tracking_url=registration.tracking_url,
        )
        journey = journey_of(registration)
        self.kept[key] = parcel, journey
        if registration.tracking_identifier:
            self.kept[number_key(registration.tracking_identifier)] = parcel, journey
        return Registered(parcel.parcel_id, journey, lambda: parcel)

    async def load(
        self, account_id: int, number: str, carrier_code: str | None = None
    ) -> tuple[TrackedParcel, Journey] | None:
        await self._meet_fate()
        self.asked.append(("load", account_id, number, carrier_code))
        found = self.kept.get(number_key(number))
        if found is None or carrier_code not in (None, found[0].carrier_code):
            return None
        return found

    async def read(
        self,
        account_id: int,
        number: str,
        carrier_code: str | None,
        epoch: int,
        form: find.Form = "v3",
    ) -> find.Answer | None:
        found = await self.load(account_id, number, carrier_code)
        if found is None:
            return None
        body = v3.tracking_answer(*found)
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        return find.Answer(v2.tracking_answer(*found) if form == "v2" else body, tag)

    async def _meet_fate(self) -> None:
        await asyncio.sleep(self.slow_seconds)
        if self.fail_with is not None:
            raise self.fail_with


class Keys:
    """Stands in for Gatekeeper and Budgets."""

    async def from_header(self, authorization: bytes | None) -> Caller:
        if authorization is None:
            raise NotAuthenticated("Authentication credentials were not provided.")
        if authorization == SUSPENDED:
            raise NotAllowed("The account is suspended.")
        if authorization not in (AUTHORIZATION, OLDEST_FIRST, SPENT_OUT):
            raise NotAuthenticated
        order = "oldest" if authorization == OLDEST_FIRST else "newest"
        limit = 1 if authorization == SPENT_OUT else 1000
        return Caller(7, 1, "acme", order, Limits(limit, limit, 15), 1)

    async def basic(self, public_key: str, secret: str) -> Caller:
        if (public_key, secret) != tuple(USER.split(":")):
            raise NotAuthenticated
        return await self.from_header(AUTHORIZATION)

    def known(self, authorization: bytes | None) -> Caller | None:
        return None

    async def spend(self, caller: Caller, kind: str) -> Spent:
        if caller.limits.reads_per_minute == 1:
            raise TooManyRequests(9, 1)
        return Spent(1000, 999, 60)


class NoDatabase:
    """A pool that answers health's question and nothing else."""

    async def fetchval(self, query: str, *arguments: object) -> int:
        return 1


def application(parcels: Parcels, **settings: Any) -> Application:
    chosen = Settings(**settings)
    core = SimpleNamespace(
        settings=chosen, pool=NoDatabase(), secret_keys=None, reader=parcels, registrar=parcels
    )

    feed = SimpleNamespace(watch=SimpleNamespace(close=lambda: None))

    @asynccontextmanager
    async def parts_of(_: Settings) -> AsyncIterator[Any]:
        yield cast(Any, SimpleNamespace(core=core, gatekeeper=Keys(), budgets=Keys(), feed=feed))

    return Application(chosen, parts_of)


def create_app() -> Application:
    """For a server: settings come from the environment."""
    return application(Parcels())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return orjson.loads(self.body)


class Client:
    """Speaks ASGI to an app that has started."""

    def __init__(self, app: Application, authorization: bytes | None = AUTHORIZATION) -> None:
        self._app = app
        self._authorization = authorization

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = NOBODY,
        pieces: list[bytes] | None = None,
    ) -> Answer:
        raw, _, query = path.encode("latin-1").partition(b"?")
        sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        if self._authorization is not None:
            sent.append((b"authorization", self._authorization))
        if body and "content-length" not in headers:
            sent.append((b"content-length", str(len(body)).encode()))
        if body and "content-type" not in headers:
            sent.append((b"content-type", b"application/json"))
        scope = {
            "type": "http",
            "method": method,
            "path": raw.decode("latin-1"),
            "raw_path": raw,
            "query_string": query,
            "headers": sent,
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        left = [body] if pieces is None else list(pieces)
        got = Answer(0, {}, b"")

        async def receive() -> dict[str, Any]:
            if not left:
                await asyncio.Event().wait()
            piece = left.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(left)}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert not got.status, "two answers"
                got.status = message["status"]
                got.headers = {
                    name.decode().lower(): value.decode("latin-1")
                    for name, value in message["headers"]
                }
            else:
                got.body += message.get("body", b"")

        await self._app(scope, receive, send)
        return got

    async def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", path, headers=named)

    async def post(self, path: str, document: object, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", path, orjson.dumps(document), named)


@asynccontextmanager
async def started(app: Application) -> AsyncIterator[Application]:
    """The app between its lifespan's start and end."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    inbox.put_nowait({"type": "lifespan.startup"})
    task = asyncio.ensure_future(app({"type": "lifespan"}, inbox.get, outbox.put))
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        yield app
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await task
