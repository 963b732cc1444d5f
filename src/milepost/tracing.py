"""Traces over OTLP, where an endpoint is set and the extra ``otel`` is installed; else nothing.

Off, nothing is imported and ``span`` is one look at a variable. Attributes are route templates,
hosts, carriers, statuses and statements without their values: nobody's number, name or address.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.metadata import version
from typing import Any

import structlog

from milepost.settings import Settings

log = structlog.get_logger(__name__)

LONGEST_STATEMENT = 300
# Statements are parameterised; the little that is written into one is an id.
_LITERAL = re.compile(r"'[^']*'")

_tracer: Any = None
_provider: Any = None
_api: Any = None


def start(process: str, settings: Settings) -> bool:
    """Send this process's spans from now on, if the settings name an endpoint; whether it does."""
    global _tracer, _provider, _api
    if not settings.otlp_endpoint:
        return False
    try:
        _api = import_module("opentelemetry.trace")
        sdk = import_module("opentelemetry.sdk.trace")
        exporting = import_module("opentelemetry.sdk.trace.export")
        resources = import_module("opentelemetry.sdk.resources")
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        log.warning("no traces: the extra otel is not installed")
        return False
    known = {
        "service.name": "milepost",
        "service.version": version("milepost"),
        "milepost.process": process,
    }
    endpoint = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
    _provider = sdk.TracerProvider(resource=resources.Resource.create(known))
    _provider.add_span_processor(
        exporting.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=endpoint))
    )
    _tracer = _provider.get_tracer("milepost")
    return True


def on() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def stop() -> None:
    """Send what is left; nothing is traced afterwards."""
    global _tracer, _provider
    provider, _tracer, _provider = _provider, None, None
    if provider is not None:
        provider.shutdown()


_NOTHING: AbstractContextManager[None] = nullcontext()


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """A span around a piece of our work; what is told meanwhile becomes its children."""
    if _tracer is None:
        return _NOTHING
    context: AbstractContextManager[Any] = _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    )
    return context


def ended(name: str, seconds: float, failure: str = "", **attributes: str | int) -> None:
    """A span of a question to somebody else that just ended; nothing where nothing is traced.

    ``failure`` is a kind, never a text: what an exception says may quote anything.
    """
    if _tracer is None:
        return
    now = time.time_ns()
    current = _tracer.start_span(
        name,
        kind=_api.SpanKind.CLIENT,
        start_time=now - int(seconds * 1e9),
        attributes=attributes,
    )
    if failure:
        fail(current, failure)
    current.end(end_time=now)


@contextmanager
def server_span(method: str, carrier: Mapping[str, str]) -> Iterator[Any]:
    """The span of a request; ``carrier`` is its headers, which may name the caller's trace."""
    propagation = import_module("opentelemetry.trace.propagation.tracecontext")
    parent = propagation.TraceContextTextMapPropagator().extract(carrier)
    with _tracer.start_as_current_span(
        method,
        context=parent,
        kind=_api.SpanKind.SERVER,
        attributes={"http.request.method": method},
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        yield current


def fail(current: Any, kind: str) -> None:
    """Mark a span as failed, by the kind of its failure alone."""
    current.set_attribute("error.type", kind)
    current.set_status(_api.Status(_api.StatusCode.ERROR))


def statement_ended(record: Any) -> None:
    """A span for one SQL statement that just ended; a query logger of asyncpg's."""
    text = _LITERAL.sub("'?'", " ".join(record.query.split()))[:LONGEST_STATEMENT]
    failure = "" if record.exception is None else type(record.exception).__name__
    told = {"db.system.name": "postgresql", "db.query.text": text}
    ended(text.partition(" ")[0].rstrip(";").upper() or "SQL", record.elapsed, failure, **told)
