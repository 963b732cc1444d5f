"""Where a webhook's deliveries go and how they log in there: judged before it is kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from milepost.egress.headers import fault_of
from milepost.egress.outcomes import Forbidden
from milepost.egress.policy import Policy
from milepost.egress.targets import Target, target_of
from milepost.notifications.faults import BAD_URL, REQUIRED, Fault
from milepost.notifications.forms import Form
from milepost.notifications.masking import HIDDEN
from milepost.notifications.sealing import Secrets
from milepost.notifications.webhooks import own_headers

LOGINS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "bearer": ("token",),
    "basic": ("username", "password"),
    "api_key": ("header_name", "api_key"),
}
"""What each ``auth_type`` needs in ``auth_config``."""
ELSEWHERE = "The URL leads to another server: what is sent there is not told to it unasked."
_UNKNOWN = "unknown_field"
_WHERE = ("configuration",)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Of a webhook. ``url`` is "" until one was given."""

    url: str = ""
    auth_type: str = "none"
    form: Form = Form.EVENT
    secrets: Secrets = field(default_factory=Secrets)


@dataclass(frozen=True, slots=True)
class Change:
    """What a client wants of a configuration; None: as it is.

    ``auth_config`` is laid over that of the same ``auth_type``; ``extra_headers`` replace all of
    them, and a value of ``***`` stands for the one that is there. But nothing that is there goes to
    another server: who may change a connection may not read its secrets, and would be sent them.
    """

    url: str | None = None
    auth_type: str | None = None
    auth_config: Mapping[str, str] | None = field(default=None, repr=False)
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)
    form: Form | None = None

    @property
    def reaches_elsewhere(self) -> bool:
        """Whether what failed before may go well now."""
        told = (self.url, self.auth_type, self.auth_config, self.extra_headers)
        return any(part is not None for part in told)


def changed(before: Configuration, change: Change, policy: Policy) -> Configuration:
    """The configuration that is wanted, whether it can be or not."""
    auth_type = before.auth_type if change.auth_type is None else change.auth_type
    there = Secrets() if _leads_elsewhere(before, change, policy) else before.secrets
    kept = there.auth_config if auth_type == before.auth_type else {}
    headers = there.extra_headers
    if change.extra_headers is not None:
        headers = {
            name: headers.get(name, HIDDEN) if value == HIDDEN else value
            for name, value in change.extra_headers.items()
        }
    return replace(
        before,
        url=before.url if change.url is None else change.url,
        auth_type=auth_type,
        form=before.form if change.form is None else change.form,
        secrets=Secrets({**kept, **(change.auth_config or {})}, headers),
    )


def faults(
    before: Configuration, wanted: Configuration, change: Change, policy: Policy
) -> list[Fault]:
    """All that is wrong with it. A URL is judged when it is given: what the operator forbids later
    is refused when it is called."""
    found = list(_of_url(wanted.url, policy)) if change.url is not None or not wanted.url else []
    leads_elsewhere = not found and _leads_elsewhere(before, change, policy)
    if leads_elsewhere and (lost := _lost(before, wanted, change)):
        return lost
    return found + _of_login(wanted) + _of_headers(wanted)


def _lost(before: Configuration, wanted: Configuration, change: Change) -> list[Fault]:
    """What has to be given again, or given up in so many words, for another server."""
    found = []
    if before.secrets.auth_config and change.auth_config is None and wanted.auth_type != "none":
        why = f"{ELSEWHERE} Give auth_config again, or the auth_type none."
        found.append(Fault((*_WHERE, "auth_config"), why, "required"))
    if before.secrets.extra_headers:
        if change.extra_headers is None:
            why = f"{ELSEWHERE} Give extra_headers again, or {{}}."
            found.append(Fault((*_WHERE, "extra_headers"), why, "required"))
        elif HIDDEN in wanted.secrets.extra_headers.values():
            why = f"{ELSEWHERE} Give the values of extra_headers again, {HIDDEN} stands for none."
            found.append(Fault((*_WHERE, "extra_headers"), why))
    return found


def _leads_elsewhere(before: Configuration, change: Change, policy: Policy) -> bool:
    """Whether the URL names another scheme, host or port than before, as they are dialled."""
    return change.url is not None and _server(change.url, policy) != _server(before.url, policy)


def _server(url: str, policy: Policy) -> tuple[str, str, int] | str:
    target = target_of(url, policy)
    if isinstance(target, Target):
        return target.url.scheme, target.host.rstrip("."), target.port
    return url


def _of_url(url: str, policy: Policy) -> tuple[Fault, ...]:
    if not url:
        return (Fault((*_WHERE, "url"), REQUIRED, "required"),)
    target = target_of(url, policy)
    if not isinstance(target, Forbidden):
        return ()
    why = f"It can't be called: {target.reason}."
    return Fault((*_WHERE, "url"), BAD_URL), Fault((*_WHERE, "url"), why)


def _of_login(wanted: Configuration) -> list[Fault]:
    config, needed = wanted.secrets.auth_config, LOGINS[wanted.auth_type]
    where = (*_WHERE, "auth_config")
    found = [
        Fault((*where, name), f"auth_type {wanted.auth_type} has no such field.", _UNKNOWN)
        for name in config
        if name not in needed
    ]
    found += [
        Fault((*where, name), REQUIRED, "required") for name in needed if not config.get(name)
    ]
    if found:
        return found
    if wanted.auth_type == "basic" and ":" in config["username"]:
        return [Fault((*where, "username"), "A user name has no colon (RFC 7617).")]
    why = fault_of(own_headers(wanted.auth_type, Secrets(config)))
    return [Fault(where, f"{why}.")] if why else []


def _of_headers(wanted: Configuration) -> list[Fault]:
    headers = wanted.secrets.extra_headers
    where = (*_WHERE, "extra_headers")
    if HIDDEN in headers.values():
        return [Fault(where, f"{HIDDEN} stands for a value that is there already, and none is.")]
    if why := fault_of(headers):
        return [Fault(where, f"{why}.")]
    login = {"basic": "Authorization", "bearer": "Authorization"}.get(
        wanted.auth_type, wanted.secrets.auth_config.get("header_name", "")
    )
    if login.lower() in {name.lower() for name in headers}:
        return [Fault(where, f"{login} is what auth_config sends.")]
    return []
