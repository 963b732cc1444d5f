"""What the Event Subscriptions API takes; a mistake is told as published."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from milepost.api.bodies import Refused
from milepost.api.problems import FieldProblem, invalid
from milepost.api.v3_fields import NO_NUL
from milepost.egress import headers, targets
from milepost.notifications.configuration import Change
from milepost.notifications.faults import REQUIRED
from milepost.notifications.filters import Filter
from milepost.notifications.forms import Form, Kind
from milepost.notifications.subscriptions import Wanted
from milepost.tracking.vocabulary import ExceptionCode, Phase

READ_ONLY = ("id", "created_at", "updated_at")
"""What a client that sends back what it got may leave in."""
MOST_CARRIERS = 100
LARGEST_ID = 2**53 - 1

Text = Annotated[str, Field(json_schema_extra={"pattern": NO_NUL})]
Login = Annotated[Text | None, Field(max_length=headers.LONGEST_VALUE)]
Headers = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=headers.LONGEST_NAME)],
        Annotated[Text, Field(max_length=headers.LONGEST_VALUE)],
    ],
    Field(max_length=headers.MOST),
]
Word = Field(strict=False)
T = TypeVar("T", bound=BaseModel)


class Given(BaseModel):
    """Strict: a text is no number, and what nobody reads is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class AuthConfig(Given):
    """What ``auth_type`` needs of it."""

    token: Login = Field(default=None, repr=False)
    username: Login = None
    password: Login = Field(default=None, repr=False)
    header_name: Login = None
    api_key: Login = Field(default=None, repr=False)


class ConfigurationGiven(Given):
    """Of a webhook; ``payload_form`` is ours."""

    url: Annotated[str, Field(json_schema_extra={"maxLength": targets.LONGEST})] = ""
    auth_type: Literal["none", "bearer", "basic", "api_key"] = "none"
    auth_config: AuthConfig | None = None
    extra_headers: Headers | None = Field(default=None, repr=False)
    payload_form: Literal["sendcloud_v3", "sendcloud_classic", "cloudevents"] = "sendcloud_v3"

    def change(self) -> Change:
        """What of it was given."""
        given = self.model_fields_set
        login = {} if self.auth_config is None else self.auth_config.model_dump(exclude_none=True)
        return Change(
            url=self.url if "url" in given else None,
            auth_type=self.auth_type if "auth_type" in given else None,
            auth_config=login if "auth_config" in given else None,
            extra_headers=(self.extra_headers or {}) if "extra_headers" in given else None,
            form=Form(self.payload_form) if "payload_form" in given else None,
        )


class ConnectionGiven(Given):
    """A new connection."""

    type: Literal["webhook", "klaviyo"]
    configuration: ConfigurationGiven

    @property
    def kind(self) -> Kind:
        """Its type."""
        return Kind(self.type)


class ConnectionChange(Given):
    """What is to be changed of one."""

    type: Literal["webhook", "klaviyo"] = "webhook"
    configuration: ConfigurationGiven = Field(default_factory=ConfigurationGiven)

    @property
    def kind(self) -> Kind | None:
        """Its type, where it was given."""
        return Kind(self.type) if "type" in self.model_fields_set else None


class FiltersGiven(Given):
    """Ours: which events of the type are sent; an empty list asks nothing."""

    phases: list[Annotated[Phase, Word]] = Field(default=[], max_length=len(Phase))
    exceptions: list[Annotated[ExceptionCode, Word]] = Field(
        default=[], max_length=len(ExceptionCode)
    )
    carriers: list[Annotated[str, Field(max_length=255)]] = Field(
        default=[], max_length=MOST_CARRIERS
    )
    status_changes: bool = False


class SubscriptionChange(Given):
    """What is to be changed of a subscription."""

    connection_id: int = Field(default=1, ge=1, le=LARGEST_ID)
    event_type: Literal["parcels.event.created"] = "parcels.event.created"
    is_active: bool = True
    filters: FiltersGiven | None = None

    def wanted(self) -> Wanted:
        """What of it was given."""
        given = self.model_fields_set
        return Wanted(
            connection_id=self.connection_id if "connection_id" in given else None,
            event_type=self.event_type if "event_type" in given else None,
            is_active=self.is_active if "is_active" in given else None,
            filters=_filter(self.filters) if "filters" in given else None,
        )


class SubscriptionGiven(SubscriptionChange):
    """A new subscription."""

    connection_id: int = Field(ge=1, le=LARGEST_ID)
    event_type: Literal["parcels.event.created"]


def read(model: type[T], given: Any) -> T:
    """A request body as ``model``. Raises Refused, naming all that is wrong."""
    if isinstance(given, dict):
        given = {name: value for name, value in given.items() if name not in READ_ONLY}
    try:
        return model.model_validate(given)
    except ValidationError as wrong:
        raise Refused(invalid(*map(_problem, wrong.errors()))) from None


def _filter(given: FiltersGiven | None) -> Filter:
    return Filter() if given is None else Filter.of(given.model_dump())


def _problem(error: ErrorDetails) -> FieldProblem:
    message, code = _told(error)
    where = tuple(part for part in error["loc"] if part != "[key]")
    return FieldProblem(("body", *where), message, code)


def _told(error: ErrorDetails) -> tuple[str, str]:
    """Message and published code."""
    context: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return REQUIRED, "required"
        case _ if error["input"] is None:
            return "This field may not be null.", "null"
        case "extra_forbidden":
            return "Unknown field.", "unknown_field"
        case "literal_error" | "enum":
            return f"This is not a valid choice: it is {context['expected']}.", "invalid_choice"
        case "model_type" | "dict_type":
            return "Expected an object.", "invalid"
        case "list_type":
            return "Expected a list of items.", "not_a_list"
        case "greater_than_equal":
            return f"{error['msg']}.", "min_value"
        case _:
            return f"{error['msg']}.", "invalid"
