"""What is counted and measured: every metric of ours by name, with labels from bounded sets only.

Labels are route templates, statuses, carriers of the catalogue, roles and states: never an account,
a number or a path as it was asked for. Each process counts into files of its own that the parent
adds up (``cli.metrics_port``); what is asked of the database is asked there, at scrape time.
"""

import asyncio
from bisect import bisect_left

from prometheus_client import Counter, Gauge, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of a request's seconds."""
CARRIER_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
LAG_BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)
CLAIM_BUCKETS = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0),
)
"""Close to each other: what matters is how much slower claims get."""
FLUSH_SECONDS = 1.0
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

request_seconds = Histogram(
    "milepost_request_seconds",
    "Requests, from the first byte read to the last byte written",
    ["route", "method", "status"],
    buckets=BUCKETS,
)
rate_limited = Counter(
    "milepost_rate_limited", "Requests refused because a budget was spent", ["route"]
)
registrations = Counter("milepost_registrations", "Parcels registered, or refused", ["outcome"])
records = Counter("milepost_records", "Observations recorded", ["source"])
told = Counter("milepost_told", "Numbers that a push, feed or file spoke of", ["source", "verdict"])
pushes = Counter("milepost_pushes", "What carriers pushed to us", ["carrier", "outcome"])
events = Counter("milepost_events", "Events that were new in a record", ["type"])
claim_seconds = Histogram(
    "milepost_claim_seconds",
    "Claims of a lane's due parcels, from the question to the database to its answer",
    buckets=CLAIM_BUCKETS,
)
checks = Counter("milepost_checks", "Parcels a carrier was asked about", ["carrier", "outcome"])
carrier_seconds = Histogram(
    "milepost_carrier_seconds",
    "Requests to a carrier's documented host, from sending to the first byte of the answer",
    ["host", "outcome"],
    buckets=CARRIER_BUCKETS,
)
carrier_events = Counter("milepost_carrier_events", "New events that carriers told", ["carrier"])
unmapped_events = Counter(
    "milepost_unmapped_events", "New events whose code no rule of the carrier maps", ["carrier"]
)
carrier_drift = Counter(
    "milepost_carrier_drift",
    "Answers with a field, a language or a code nobody knows, or without a field all had",
    ["carrier", "kind"],
)
event_lag_seconds = Histogram(
    "milepost_event_lag_seconds",
    "From a scan to our first sight of it, of parcels that were watched by then",
    ["carrier"],
    buckets=LAG_BUCKETS,
)
deliveries = Counter(
    "milepost_deliveries", "What was to be told to subscribers, each try", ["form", "outcome"]
)
delivery_seconds = Histogram(
    "milepost_delivery_seconds",
    "Tries to tell a subscriber, from dialling to the end of its answer",
    ["outcome"],
    buckets=CARRIER_BUCKETS,
)
forgotten = Counter("milepost_forgotten", "Removed by retention", ["kind"])
pool_connections = Gauge(
    "milepost_pool_connections",
    "Connections in the pools of our processes, and those in use, as of the last second",
    ["role", "state"],
    multiprocess_mode="livesum",
)


class RequestTally:
    """Counts requests in plain lists and hands them to the histogram once a second.

    Straight into the histogram's shared file each request would cost 3.5 us, more than a twentieth
    of a look-up; this costs about one. A killed process loses its last second.
    """

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str, int], list[float]] = {}

    def __call__(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; on the event loop only."""
        key = (route, method, status)
        counts = self._pending.get(key)
        if counts is None:
            if not self._pending:
                asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
            counts = self._pending[key] = [0.0] * (len(BUCKETS) + 2)
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def flush(self) -> None:
        """Hand on what is pending."""
        pending, self._pending = self._pending, {}
        for (route, method, status), counts in pending.items():
            known = method if method in METHODS else "OTHER"
            series = request_seconds.labels(route, known, str(status))
            # The library observes one by one only; these are the values it adds to itself.
            series._sum.inc(counts[-1])
            for place, count in enumerate(counts[:-1]):
                if count:
                    series._buckets[place].inc(count)
