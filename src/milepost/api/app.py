"""The API as one ASGI app: guard in front, hot look-ups in it, health plain, FastAPI behind."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from http import HTTPStatus
from importlib.metadata import version

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from milepost import settings, tracing, wiring
from milepost.api import (
    carrier_pushes,
    docs,
    health,
    integration_logs,
    json_schemas,
    milepost_batch,
    milepost_carriers,
    milepost_changes,
    milepost_deliveries,
    milepost_emails,
    milepost_events,
    milepost_integrations,
    milepost_parcels,
    milepost_recognise,
    milepost_unmapped,
    milepost_v1,
    oauth2,
    statuses,
    unsubscribe,
    v2_integrations,
    v2_parcels,
    v3_event_connections,
    v3_event_subscriptions,
    v3_integrations,
    v3_parcel_tracking,
)
from milepost.api.authentication import App, Door, Receive, Scope, Send
from milepost.api.bodies import Refused
from milepost.api.client_address import TrustedProxies
from milepost.api.ending import told_to_end
from milepost.api.event_readers import Readers
from milepost.api.guard import Guard, refusal
from milepost.api.hot_reads import HotReads
from milepost.api.json_input import storable
from milepost.api.problems import status_problem
from milepost.api.traced import Traced
from milepost.api.watching import watch_of
from milepost.errors import MilepostError, NotFoundError
from milepost.settings import Settings
from milepost.wiring import ApiParts

log = structlog.get_logger()
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

PartsOf = Callable[[Settings], AbstractAsyncContextManager[ApiParts]]


def create_app() -> "Application":
    """The factory that the server calls, once in each of its processes."""
    return Application(settings.load(), wiring.api_parts)


class Application:
    """Builds its parts when the server starts it and closes them when the server stops."""

    def __init__(self, chosen: Settings, parts_of: PartsOf) -> None:
        """``parts_of`` builds what the endpoints work with; tests hand in their own."""
        self._settings = chosen
        self._parts_of = parts_of
        self._guard: App | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """ASGI."""
        if self._guard is None or scope["type"] == "lifespan":
            return self._live(scope, receive, send)
        return self._guard(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return
        await receive()
        async with AsyncExitStack() as stack:
            try:
                parts = await stack.enter_async_context(self._parts_of(self._settings))
                inside: App = guarded(parts, self._settings)
            except Exception as error:
                log.error("the API can't start", exc_info=error)
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            self._guard = Traced(inside) if tracing.on() else inside
            stack.enter_context(told_to_end(parts.feed.watch.close))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            tracing.stop()
        await send({"type": "lifespan.shutdown.complete"})


def guarded(parts: ApiParts, chosen: Settings) -> Guard:
    """Everything behind the guard, on these parts."""
    door = Door(parts.gatekeeper, parts.budgets)
    quick = HotReads(parts.core.reader)
    return Guard(Doors(parts, chosen), door, chosen, watch_of(chosen), quick)


class Doors:
    """Leads a request that was let in to what answers it."""

    def __init__(self, parts: ApiParts, chosen: Settings) -> None:
        self._health = health.Health(parts.core.pool)
        self._api = build_api(parts, chosen)
        (self._registering,) = v3_parcel_tracking.router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, for requests only."""
        if scope["method"] == "POST" and scope["path"] == v3_parcel_tracking.PATH:
            # Straight to the endpoint: FastAPI's way there costs as much as judging the body.
            scope.update(app=self._api, route=self._registering)
            answer = await v3_parcel_tracking.register_parcel(Request(scope, receive))
            await answer(scope, receive, send)
        elif scope["path"] in health.PATHS:
            await self._health(scope, receive, send)
        elif not storable(scope["path"]):
            raise NotFoundError
        else:
            await self._api(scope, receive, send)


def build_api(parts: ApiParts, chosen: Settings) -> FastAPI:
    """What is not hot: routes, their errors, the docs."""
    api = FastAPI(
        title="Milepost",
        version=version("milepost"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        strict_content_type=False,
    )
    api.state.parts = parts
    api.state.readers = Readers(chosen)
    for kind in (MilepostError, HTTPException, RequestValidationError, Exception):
        api.add_exception_handler(kind, _refuse)
    # Reached with other methods only, to be told 405 and what is allowed.
    for path in ("/api/v3/parcels/tracking/{number:path}", "/api/v2/tracking/{number:path}"):
        api.router.routes.append(Route(path, _spelled_otherwise, methods=["GET"]))
    api.include_router(v3_parcel_tracking.router)
    api.include_router(statuses.router)
    api.include_router(v2_parcels.router)
    # Before those in whose paths "logs" would be an id.
    api.include_router(integration_logs.router)
    api.include_router(v2_integrations.router)
    api.include_router(v3_integrations.router)
    api.include_router(milepost_integrations.router)
    api.include_router(v3_event_connections.router)
    api.include_router(v3_event_subscriptions.router)
    api.include_router(milepost_v1.router)
    api.include_router(milepost_batch.router)
    api.include_router(milepost_carriers.router)
    api.include_router(carrier_pushes.router)
    api.include_router(milepost_changes.router)
    api.include_router(milepost_deliveries.router)
    api.include_router(milepost_emails.router)
    api.include_router(unsubscribe.router)
    api.include_router(milepost_events.router)
    api.include_router(milepost_parcels.router)
    api.include_router(milepost_recognise.router)
    api.include_router(milepost_unmapped.router)
    api.include_router(oauth2.token_router(_token_parts(parts, chosen)))
    json_schemas.add_to(api)
    docs.greet(api, described=chosen.docs)
    if chosen.docs:
        docs.add_to(api, chosen.public_url)
    return api


def _token_parts(parts: ApiParts, chosen: Settings) -> Callable[[Request], oauth2.TokenParts]:
    found = oauth2.TokenParts(
        pool=parts.core.pool,
        secret_keys=parts.core.secret_keys,
        gatekeeper=parts.gatekeeper,
        budgets=parts.budgets,
        proxies=TrustedProxies(chosen.trusted_proxies),
    )
    return lambda _request: found


def _allowed(request: Request) -> str:
    """Every method that the path takes: the router's own answer names those of one route."""
    routes = request.app.router.routes
    return ", ".join(
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    )


async def _spelled_otherwise(_request: Request) -> Response:
    """The path of a look-up with letters of its beginning escaped: nobody's."""
    raise NotFoundError


async def _refuse(request: Request, error: Exception) -> Response:
    by_router = isinstance(error, HTTPException) and not isinstance(error, Refused)
    refused = refusal(request.scope, error)
    if by_router and refused.status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ((b"allow", _allowed(request).encode()),)
        refused = refusal(request.scope, status_problem(refused.status, headers=allowed))
    response = Response(refused.body, refused.status)
    response.raw_headers = list(refused.headers)
    return response
