"""What /metrics says that no process counts: the database, the queues, our processes. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from milepost.db.vitals import HOT_TABLES, Vitals
from milepost.monitoring.queues import Queues
from milepost.notifications.waiting import Telling

GAUGES = {
    "milepost_build_info": ("The version that runs", ("version",)),
    "milepost_process_up": ("Whether a process of ours lives", ("process",)),
    "milepost_process_restarts": ("How often it had to be started again", ("process",)),
    "milepost_process_resident_bytes": ("Memory of it and its children", ("process",)),
    "milepost_process_cpu_seconds": ("CPU time of it and its living children", ("process",)),
    "milepost_disk_free_bytes": ("Room left on the disk of the state directory", ()),
    "milepost_disk_free_ratio": ("The part of that disk that is free", ()),
    "milepost_database_up": ("Whether the database answered the last question", ()),
    "milepost_database_bytes": ("Size of the database", ()),
    "milepost_database_wal_bytes": ("Size of the write-ahead log", ()),
    "milepost_database_slot_retained_bytes": ("WAL kept by replication slots, the most", ()),
    "milepost_database_connections": ("Our connections", ("role", "state")),
    "milepost_database_connections_left": ("Connections the server still takes", ()),
    "milepost_oldest_transaction_seconds": ("Age of the oldest open transaction", ()),
    "milepost_oldest_xmin_age": ("Transactions since the oldest snapshot in use", ()),
    "milepost_table_rows": ("Rows, estimated", ("table",)),
    "milepost_table_dead_rows": ("Dead rows, estimated", ("table",)),
    "milepost_lanes": ("Lanes, one per account and carrier", ()),
    "milepost_lanes_unread": ("Lanes not looked into for the ages below", ()),
    "milepost_lanes_waiting": ("Lanes with parcels due", ("waits_for",)),
    "milepost_queue_oldest_due_seconds": (
        "How long the first parcel has been due",
        ("waits_for",),
    ),
    "milepost_outbox_oldest_seconds": ("Age of the oldest event nobody was told", ()),
    "milepost_connections": ("Subscribers' connections", ("state",)),
    "milepost_connections_waiting": ("Connections with deliveries due", ("waits_for",)),
    "milepost_delivery_oldest_seconds": (
        "How long the first delivery due has been due",
        ("waits_for",),
    ),
    "milepost_deadline_oldest_due_seconds": ("How long the first deadline has been over", ()),
    "milepost_pushes_kept": ("What carriers pushed and nobody has told on", ("state",)),
    "milepost_push_oldest_due_seconds": (
        "How long the first of them has been due; one nobody tries again, since it came",
        ("state",),
    ),
    "milepost_carrier_held": ("Credentials a carrier may not be asked with now", ("carrier",)),
    "milepost_carrier_breaker_open": ("Credentials whose breaker is open", ("carrier",)),
    "milepost_job_success_age_seconds": ("Since a regular job last ended well", ("job_name",)),
    "milepost_job_failed": ("Whether it failed since", ("job_name",)),
}
MOST_CARRIERS = 500


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One of our processes, its own children included."""

    name: str
    up: bool
    restarts: int
    resident_bytes: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """What a scrape found; no vitals where the database did not answer."""

    version: str
    processes: tuple[ProcessState, ...]
    disk_free: int
    disk_total: int
    vitals: Vitals | None = None
    queues: Queues | None = None
    telling: Telling | None = None


class Gauges:
    """A collector of one look."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._families: dict[str, GaugeMetricFamily] = {}

    def collect(self) -> Iterator[Metric]:
        """Every gauge that is known."""
        look = self._look
        self._set("milepost_build_info", 1, look.version)
        for one in look.processes:
            self._set("milepost_process_up", one.up, one.name)
            self._set("milepost_process_restarts", one.restarts, one.name)
            self._set("milepost_process_resident_bytes", one.resident_bytes, one.name)
            self._set("milepost_process_cpu_seconds", one.cpu_seconds, one.name)
        self._set("milepost_disk_free_bytes", look.disk_free)
        self._set("milepost_disk_free_ratio", look.disk_free / max(1, look.disk_total))
        self._set("milepost_database_up", look.vitals is not None)
        if look.vitals is not None:
            self._database(look.vitals)
        if look.queues is not None:
            self._queues(look.queues)
        if look.telling is not None:
            self._telling(look.telling)
        yield from self._families.values()

    def _set(self, name: str, value: float, *labels: str) -> None:
        family = self._families.get(name)
        if family is None:
            text, names = GAUGES[name]
            family = self._families[name] = GaugeMetricFamily(name, text, labels=names)
        family.add_metric(labels, float(value))

    def _database(self, vitals: Vitals) -> None:
        self._set("milepost_database_bytes", vitals.database_bytes)
        if vitals.wal_bytes is not None:
            self._set("milepost_database_wal_bytes", vitals.wal_bytes)
        retained = max((slot.retained_bytes for slot in vitals.slots), default=0)
        self._set("milepost_database_slot_retained_bytes", retained)
        for one in vitals.in_use:
            self._set("milepost_database_connections", one.connections, one.role, one.state)
        left = vitals.most_connections - vitals.used_connections
        self._set("milepost_database_connections_left", left)
        self._set("milepost_oldest_transaction_seconds", vitals.oldest_transaction_seconds)
        self._set("milepost_oldest_xmin_age", vitals.oldest_xmin_age)
        for table in vitals.tables:
            if table.name in HOT_TABLES:
                self._set("milepost_table_rows", table.live, table.name)
                self._set("milepost_table_dead_rows", table.dead, table.name)

    def _queues(self, queues: Queues) -> None:
        self._set("milepost_lanes", queues.lanes)
        self._set("milepost_lanes_unread", queues.unread)
        for what, waiting in queues.waiting.items():
            self._set("milepost_lanes_waiting", waiting.lanes, what)
            self._set("milepost_queue_oldest_due_seconds", waiting.oldest_due_seconds, what)
        self._set("milepost_outbox_oldest_seconds", queues.outbox_seconds)
        self._set("milepost_deadline_oldest_due_seconds", queues.deadline_seconds)
        for one in queues.untold:
            self._set("milepost_pushes_kept", one.payloads, one.state)
            self._set("milepost_push_oldest_due_seconds", one.due_seconds, one.state)
        carriers = sorted({one.carrier_code for one in queues.held})[:MOST_CARRIERS]
        for carrier in carriers:
            held = [one for one in queues.held if one.carrier_code == carrier]
            self._set("milepost_carrier_held", len(held), carrier)
            open_now = sum(one.breaker_open for one in held)
            self._set("milepost_carrier_breaker_open", open_now, carrier)
        for job in queues.jobs:
            if job.success_seconds is not None:
                self._set("milepost_job_success_age_seconds", job.success_seconds, job.name)
            self._set("milepost_job_failed", job.failed, job.name)

    def _telling(self, telling: Telling) -> None:
        for state, connections in telling.connections.items():
            self._set("milepost_connections", connections, state)
        for what, backlog in telling.waiting.items():
            self._set("milepost_connections_waiting", backlog.connections, what)
            self._set("milepost_delivery_oldest_seconds", backlog.due_seconds, what)
