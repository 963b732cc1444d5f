"""What is kept of every request, where that is wanted: the count, and a line of the access log."""

from milepost import metrics
from milepost.api.authentication import ADMITTED, Admitted, Scope
from milepost.api.guard import Ended
from milepost.api.routes import template_of
from milepost.observe import AccessLog
from milepost.settings import Settings


def watch_of(settings: Settings) -> Ended | None:
    """What the guard tells of every request; None where nobody wants to know."""
    counted = metrics.RequestTally() if settings.metrics_port else None
    access = AccessLog("api") if settings.access_log else None

    def ended(scope: Scope, status: int, seconds: float) -> None:
        route, method = template_of(scope), scope["method"]
        if counted is not None:
            counted(route, method, status, seconds)
            if status == 429:
                metrics.rate_limited.labels(route).inc()
        if access is not None:
            admitted: Admitted | None = scope.get(ADMITTED)
            access(
                route=route,
                method=method,
                status=status,
                seconds=round(seconds, 6),
                account_id=admitted.caller.account_id if admitted else None,
            )

    return ended if counted or access else None
