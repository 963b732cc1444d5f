"""The error tree: what can go wrong, said once.

    MilepostError
    ├── ConfigurationError      the operator must change something; exit code 1 and one line
    │   └── ServerNotStarted    the bundled PostgreSQL did not come up, now
    ├── InvalidInput            the caller sent something we can't take (400/422), names the field
    ├── InvalidFields           the same of several fields at once, each as an InvalidInput
    ├── NotAuthenticated        no or wrong credentials (401)
    ├── NotAllowed              known caller, not allowed (403)
    ├── NotFoundError           no such thing in this account (404)
    ├── Conflict                exists already, or the key was used with another body (409/422)
    ├── TooManyRequests         over the account's budget (429), carries retry_after in seconds
    ├── DatabaseUnavailable     the database can't be asked now (503), retryable
    ├── CarrierParseError       a carrier's answer does not have the documented form
    ├── FileUnreadable          a carrier's file can't be read, or no further; says from which line
    ├── CarrierUnreachable      no usable HTTP answer came from a carrier
    ├── NoSlot                  a carrier may not be asked now, carries the seconds to stay away
    └── ClaimLost               another worker has what this one was about to ask for

Outcomes of asking a carrier are values (``carriers.connector``), not errors.
"""


class MilepostError(Exception):
    """Root of the tree. ``code`` is stable, ``http_status`` is what an API door answers."""

    code = "internal_error"
    http_status = 500
    retryable = False


class ConfigurationError(MilepostError):
    """The installation can't run as configured. Its text is the one line the operator sees."""

    code = "configuration"


class ServerNotStarted(ConfigurationError):
    """The bundled PostgreSQL did not come up. Where it ran before it may the next time."""


class InvalidInput(MilepostError):
    """Input that is refused; ``field`` is its path (``("to_address", "postal_code")``)."""

    code = "invalid"
    http_status = 422

    def __init__(
        self, message: str, field: tuple[str | int, ...] = (), kind: str = "value_error"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.kind = kind


class InvalidFields(MilepostError):
    """Input that is refused for all of ``faults``."""

    code = "invalid"
    http_status = 422

    def __init__(self, *faults: InvalidInput) -> None:
        super().__init__("; ".join(one.message for one in faults))
        self.faults = faults


class NotAuthenticated(MilepostError):
    """No credentials, or wrong ones."""

    code = "authentication_failed"
    http_status = 401


class NotAllowed(MilepostError):
    """The caller is known and may not do this (a suspended account, for one)."""

    code = "forbidden"
    http_status = 403


class NotFoundError(MilepostError):
    """Nothing of that name in this account."""

    code = "not_found"
    http_status = 404


class Conflict(MilepostError):
    """The thing exists already.

    ``field`` is the path of what is taken and ``parcel_id`` whose it is, where that is known.
    """

    code = "conflict"
    http_status = 409

    def __init__(
        self, message: str = "", *, field: tuple[str | int, ...] = (), parcel_id: int | None = None
    ) -> None:
        super().__init__(message)
        self.field = field
        self.parcel_id = parcel_id


class TooManyRequests(MilepostError):
    """Over budget; ``retry_after`` is whole seconds after which the next call passes.

    ``limit`` is the budget that is spent, 0 where there is nothing to tell about it.
    """

    code = "throttled"
    http_status = 429
    retryable = True

    def __init__(self, retry_after: int, limit: int = 0) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after
        self.limit = limit


class DatabaseUnavailable(MilepostError):
    """PostgreSQL can't be asked now; nothing was changed."""

    code = "unavailable"
    http_status = 503
    retryable = True


class CarrierParseError(MilepostError):
    """A carrier's answer can't be read; the text says what was expected and where."""

    code = "carrier_answer_unreadable"


class FileUnreadable(MilepostError):
    """A carrier's file can't be read from ``line`` on (0: at all); what came before it stands."""

    code = "file_unreadable"

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}" if line else why)
        self.line = line
        self.why = why


class CarrierUnreachable(MilepostError):
    """No usable HTTP answer came: refused, reset, too slow or too long. Names host and reason."""

    code = "carrier_unreachable"
    retryable = True


class NoSlot(MilepostError):
    """A carrier may not be asked now; stay away for ``wait`` seconds.

    ``why`` is ``quota``, ``open`` (it rests after faults) or ``paused`` (by the operator).
    """

    code = "no_slot"
    retryable = True

    def __init__(self, why: str, wait: float) -> None:
        super().__init__(f"{why}, for {wait:.0f} s")
        self.why = why
        self.wait = wait


class ClaimLost(MilepostError):
    """This worker was away for longer than its lease: it must not ask or write any more."""

    code = "claim_lost"
