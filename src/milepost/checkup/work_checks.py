"""What our own tables say of the work: lateness, carriers, jobs, codes nobody maps. Pure."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from milepost.checkup.standing import Contents, Route, Unmapped
from milepost.checkup.verdict import Verdict, fault, graded, warning, well
from milepost.monitoring.queues import WAITS, Job, Queues, Waiting
from milepost.notifications.waiting import WAITS as TELLING_WAITS
from milepost.notifications.waiting import Telling

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def judge_work(contents: Contents) -> Iterator[Verdict]:
    """Every check of the work."""
    yield from lanes(contents.queues)
    yield from subscribers(contents.queues, contents.telling)
    yield from jobs(contents.queues.jobs)
    yield unmapped(contents.unmapped)
    yield from routes(contents.routes)


def lanes(queues: Queues) -> Iterator[Verdict]:
    """How long the first parcel due has been waiting, by what for."""
    turn = queues.waiting["turn"]
    text = f"the first parcel due has waited {turn.oldest_due_seconds:.0f} s for a worker"
    todo = "see that a worker runs; if it does, run more of them"
    yield graded("lanes", text, todo, turn.oldest_due_seconds, warn_over=120, fault_over=600)
    for what, waits in queues.waiting.items():
        if waits.lanes and what != "turn":
            yield _held(what, waits)
    for carrier in queues.stopped:
        todo = f"milepost carrier resume {carrier}, when it is time"
        yield warning("carriers", f"{carrier} is asked by nobody, as the operator wants", todo)
    if queues.unread:
        todo = "none: the first 2000 in order of turn were"
        yield warning("lanes", f"{queues.unread} lanes were not looked into", todo)


def _held(what: str, waits: Waiting) -> Verdict:
    hours = waits.oldest_due_seconds / 3600
    text = f"{waits.lanes} wait, the longest for {hours:.1f} h: {WAITS[what]}"
    match what:
        case "waiting_for_credentials":
            return warning("lanes", text, "milepost carrier credentials set CODE")
        case "credential_refused":
            return fault("lanes", text, "set the login anew: milepost carrier credentials set CODE")
        case "breaker_open":
            return fault("lanes", text, "see the log for what the carrier answers")
        case "not_supported" | "stopped" | "suspended":
            return well("lanes", text)
        case _:
            todo = "nothing while it is short; else ask the carrier for a higher quota"
            return graded(
                "lanes", text, todo, waits.oldest_due_seconds, warn_over=3600, fault_over=86400
            )


def subscribers(queues: Queues, telling: Telling) -> Iterator[Verdict]:
    """What happened is told on, and subscribers take it."""
    text = f"the first event that nobody was told has waited {queues.outbox_seconds:.0f} s"
    todo = "see that a worker runs, and what its log says"
    yield graded("subscribers", text, todo, queues.outbox_seconds, warn_over=60, fault_over=600)
    turn = telling.waiting["turn"]
    text = f"the first delivery due has waited {turn.due_seconds:.0f} s for a worker"
    todo = "see that a worker runs; if it does, run more of them"
    yield graded("subscribers", text, todo, turn.due_seconds, warn_over=120, fault_over=600)
    for what, backlog in telling.waiting.items():
        if backlog.connections and what in ("resting", "paused", "suspended"):
            hours = backlog.due_seconds / 3600
            connections = backlog.connections
            text = f"{connections} hold back, the longest for {hours:.1f} h: {TELLING_WAITS[what]}"
            yield well("subscribers", text)
    if disabled := telling.connections["disabled"]:
        text = f"{disabled} disabled: {TELLING_WAITS['disabled']}"
        todo = "milepost webhook list --account NAME says which and why; resume sends what waits"
        yield warning("subscribers", text, todo)


def jobs(found: tuple[Job, ...]) -> Iterator[Verdict]:
    """Regular work ends well."""
    for job in found:
        if job.failed:
            text = f"{job.name} failed {job.started_seconds:.0f} s ago"
            yield fault("jobs", text, "see the worker's log; it is tried again by itself")
        else:
            yield well("jobs", job.name)


def unmapped(codes: tuple[Unmapped, ...]) -> Verdict:
    """Every code of a carrier means something to us."""
    if not codes:
        return well("unmapped codes", "none within a week")
    most = ", ".join(f"{one.carrier_code} {one.raw_code} ({one.seen})" for one in codes[:5])
    todo = "add them to the carrier's manifest.toml (docs/add-a-carrier.md)"
    return warning("unmapped codes", f"{len(codes)} within a week: {most}", todo)


def routes(found: tuple[Route, ...]) -> Iterator[Verdict]:
    """Where carriers are reached elsewhere, that is meant and is private."""
    for route in found:
        parts = urlsplit(route.base_url)
        text = f"{route.host} is reached at {route.base_url}"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield fault("host routes", f"{text}, which is no web address", "set it anew")
        elif parts.scheme == "http" and parts.hostname not in LOOPBACK:
            yield warning("host routes", f"{text}: logins travel in clear", "use https")
        else:
            yield well("host routes", text)
