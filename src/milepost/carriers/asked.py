"""What every request to a carrier leaves behind: its seconds, and a span where traces are sent."""

from time import perf_counter
from types import SimpleNamespace

import aiohttp

from milepost import metrics, tracing
from milepost.errors import MilepostError


def told_of_requests() -> aiohttp.TraceConfig:
    """For a client session whose requests name the documented host as their context.

    Neither path nor query is told: they hold tracking numbers, and some hold postal codes.
    """
    config = aiohttp.TraceConfig()

    async def sent(_: aiohttp.ClientSession, known: SimpleNamespace, __: object) -> None:
        # The connection may have waited for its slot; the carrier's time begins here.
        known.started = perf_counter()

    async def answered(
        _: aiohttp.ClientSession, known: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        status = end.response.status
        _tell(known, "429" if status == 429 else f"{status // 100}xx", "")

    async def failed(
        _: aiohttp.ClientSession,
        known: SimpleNamespace,
        end: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        # Our own quota or a lost lease: the carrier was not asked.
        if not isinstance(end.exception, MilepostError):
            _tell(known, "failed", type(end.exception).__name__)

    config.on_request_headers_sent.append(sent)
    config.on_request_end.append(answered)
    config.on_request_exception.append(failed)
    return config


def _tell(known: SimpleNamespace, outcome: str, failure: str) -> None:
    started: float | None = getattr(known, "started", None)
    host: str = known.trace_request_ctx
    seconds = 0.0 if started is None else perf_counter() - started
    metrics.carrier_seconds.labels(host, outcome).observe(seconds)
    tracing.ended(
        "carrier request", seconds, failure, **{"server.address": host, "milepost.outcome": outcome}
    )
