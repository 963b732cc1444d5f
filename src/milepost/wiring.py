"""The one place that builds the parts and hands them out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from milepost.accounts.budget import Budgets
from milepost.accounts.keys import Gatekeeper
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.host_routes import host_routes
from milepost.carriers.mappings import Mappings
from milepost.carriers.registry import Catalogue
from milepost.carriers.simulator import simulator
from milepost.db.pool import Pool, Role, open_pool
from milepost.db.pool_gauge import watch_pool
from milepost.egress.client import GuardedClient
from milepost.errors import ConfigurationError
from milepost.intake.addresses import Addresses
from milepost.intake.backlog import Backlog
from milepost.intake.drop_folder import DropFolder
from milepost.intake.drop_round import DropRounds, DropRules
from milepost.intake.feeds import Feeds
from milepost.intake.inbox import Inbox
from milepost.intake.tell import Teller
from milepost.intake.turns import Intake
from milepost.monitoring.check import Checker
from milepost.monitoring.deadlines import Deadlines
from milepost.monitoring.plan import Planning, thresholds_of
from milepost.notifications.bodies import Bodies
from milepost.notifications.connections import Connections
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.feed import Feed
from milepost.notifications.forms import Kind
from milepost.notifications.integrations import Integrations
from milepost.notifications.mail import Letters, office_of
from milepost.notifications.terms import Terms
from milepost.notifications.trial import Trials
from milepost.notifications.webhooks import Webhooks
from milepost.parcels.change import Changer
from milepost.parcels.documents import Documents
from milepost.parcels.find import Reader
from milepost.parcels.lane_history import LaneHistories
from milepost.parcels.recognition import Recognitions
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.parcels.unmapped import UnmappedCodes
from milepost.settings import Settings


@dataclass(frozen=True, slots=True)
class CoreParts:
    """What every door needs."""

    settings: Settings
    pool: Pool
    secret_keys: SecretKeys
    catalogue: Catalogue
    mappings: Mappings
    credentials: CredentialStore
    renderer: Renderer
    reader: Reader
    documents: Documents
    registrar: Registrar
    changer: Changer
    recorder: Recorder
    teller: Teller
    histories: LaneHistories
    recognitions: Recognitions


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the API needs."""

    core: CoreParts
    gatekeeper: Gatekeeper
    budgets: Budgets
    addresses: Addresses
    backlog: Backlog
    feed: Feed
    connections: Connections
    integrations: Integrations
    trials: Trials


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What the worker needs."""

    settings: Settings
    pool: Pool
    catalogue: Catalogue
    credentials: CredentialStore
    checker: Checker
    deadlines: Deadlines
    drop_rounds: DropRounds | None
    intake: Intake
    telling: Pool
    fan_out: FanOut
    deliverer: Deliverer
    unmapped: UnmappedCodes = field(default_factory=UnmappedCodes)


def _dsn(settings: Settings) -> str:
    if settings.database_url is None:
        raise ConfigurationError("MILEPOST_DATABASE_URL is not set and no embedded database runs")
    return settings.database_url.get_secret_value()


@asynccontextmanager
async def core_parts(settings: Settings, role: Role) -> AsyncIterator[CoreParts]:
    """The core on one pool that acts as ``role``; closes the pool at the end.

    Raises ConfigurationError when there is no database to use, or it was sealed with another key.
    """
    pool = await open_pool(_dsn(settings), role, settings)
    watching = asyncio.create_task(watch_pool(pool, role)) if settings.metrics_port else None
    try:
        secret_keys = SecretKeys.load(settings, embedded=False)
        catalogue = Catalogue.load()
        mappings = Mappings.load(settings.mappings, catalogue)
        credentials = CredentialStore(pool, secret_keys)
        renderer = Renderer(catalogue, credentials, settings.early_scan_days)
        histories = LaneHistories(pool)
        recorder = Recorder(
            pool,
            renderer,
            late=thresholds_of(settings),
            histories=histories,
            raw_bytes=settings.max_raw_payload_bytes,
            mappings=mappings,
        )
        reregister_after = timedelta(days=settings.reregister_after_days)
        yield CoreParts(
            settings=settings,
            pool=pool,
            secret_keys=secret_keys,
            catalogue=catalogue,
            mappings=mappings,
            credentials=credentials,
            renderer=renderer,
            reader=Reader(pool, renderer),
            documents=Documents(pool, renderer),
            registrar=Registrar(pool, renderer, reregister_after),
            changer=Changer(pool, renderer, reregister_after),
            recorder=recorder,
            teller=Teller(pool, catalogue, recorder, Planning(settings, histories)),
            histories=histories,
            recognitions=Recognitions(pool, catalogue),
        )
    finally:
        if watching is not None:
            watching.cancel()
        await pool.close()


@asynccontextmanager
async def api_parts(settings: Settings) -> AsyncIterator[ApiParts]:
    """The API's parts, acting as milepost_app."""
    async with core_parts(settings, "milepost_app") as core, GuardedClient.of(settings) as client:
        webhooks = Webhooks(client, core.secret_keys)
        yield ApiParts(
            core=core,
            gatekeeper=Gatekeeper(core.pool, core.secret_keys),
            budgets=Budgets(core.pool),
            addresses=Addresses(core.pool, core.secret_keys, core.catalogue),
            backlog=Backlog(core.pool, settings.max_waiting_push_bytes),
            feed=Feed(core.pool),
            connections=Connections(core.secret_keys, client.policy),
            integrations=Integrations(core.secret_keys, client.policy),
            trials=Trials(
                core.pool,
                {Kind.WEBHOOK: webhooks, Kind.INTEGRATION: webhooks},
                Bodies(settings.public_url),
            ),
        )


def _drop_rounds(core: CoreParts) -> DropRounds | None:
    settings = core.settings
    if settings.drop_folder is None:
        return None
    rules = DropRules(
        settings.drop_settle_seconds, settings.max_feed_bytes, settings.keep_feed_files_days
    )
    folder = DropFolder(settings.drop_folder)
    return DropRounds(folder, rules, core.pool, core.catalogue, core.teller)


@asynccontextmanager
async def _telling_pool(settings: Settings) -> AsyncIterator[Pool]:
    """Connections of their own: who is told does not wait for who is asked."""
    pool = await open_pool(_dsn(settings), "milepost_worker", settings, max_size=6)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def worker_parts(settings: Settings) -> AsyncIterator[WorkerParts]:
    """The worker's parts, acting as milepost_worker, with the simulated carrier started."""
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(core_parts(settings, "milepost_worker"))
        simulated = await stack.enter_async_context(simulator(core.catalogue))
        fetcher = await stack.enter_async_context(
            Fetcher(
                total_seconds=settings.carrier_seconds,
                connect_seconds=settings.connect_seconds,
                max_bytes=settings.max_carrier_answer_bytes,
                routes={**simulated, **await host_routes(core.pool)},
            )
        )
        checker = Checker(
            pool=core.pool,
            catalogue=core.catalogue,
            credentials=core.credentials,
            recorder=core.recorder,
            fetcher=fetcher,
            planning=Planning(settings, core.histories),
            lease=timedelta(seconds=settings.lease_seconds),
        )
        telling = await stack.enter_async_context(_telling_pool(settings))
        client = await stack.enter_async_context(GuardedClient.of(settings))
        webhooks = Webhooks(client, core.secret_keys)
        office = await stack.enter_async_context(office_of(settings, core.secret_keys))
        letters = Letters(telling, core.secret_keys, office)
        yield WorkerParts(
            settings=settings,
            pool=core.pool,
            catalogue=core.catalogue,
            credentials=core.credentials,
            checker=checker,
            deadlines=Deadlines(core.pool, core.catalogue, core.recorder),
            drop_rounds=_drop_rounds(core),
            intake=Intake(
                core.pool,
                Inbox(core.pool, core.catalogue, core.teller, checker.drifts),
                Feeds(core.pool, core.catalogue, core.credentials, fetcher),
            ),
            telling=telling,
            fan_out=FanOut(telling, core.renderer, Bodies(settings.public_url)),
            deliverer=Deliverer(
                telling,
                {Kind.WEBHOOK: webhooks, Kind.INTEGRATION: webhooks, Kind.EMAIL: letters},
                Terms.of(settings),
            ),
            unmapped=core.recorder.unmapped,
        )
