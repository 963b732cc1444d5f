"""A request as a span, around the whole API; put there only where traces are sent."""

from milepost import tracing
from milepost.api.authentication import App, Message, Receive, Scope, Send
from milepost.api.routes import template_of
from milepost.metrics import METHODS

_CONTEXT = (b"traceparent", b"tracestate")


class Traced:
    """ASGI: a server span per request, named by its route's template."""

    def __init__(self, app: App) -> None:
        """``app`` reads the path of a scope itself, as the guard does."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _CONTEXT
        }
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        with tracing.server_span(method, caller) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status: int = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        tracing.fail(span, str(status))
                await send(message)

            try:
                await self._app(scope, receive, noting)
            finally:
                route = template_of(scope)
                span.set_attribute("http.route", route)
                span.update_name(f"{method} {route}")
