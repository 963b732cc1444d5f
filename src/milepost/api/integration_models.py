"""What the integrations calls take. The published ones pass over fields they don't know."""

from dataclasses import fields, replace
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from milepost.api.bodies import Refused
from milepost.api.problems import invalid
from milepost.api.unknown_fields import unknown_fields
from milepost.api.v3_fields import limited
from milepost.api.v3_models import MOST_PROBLEMS, refused_fields
from milepost.api.v3_parts import Part
from milepost.egress.targets import LONGEST
from milepost.notifications.shop import FeedbackType, Wanted
from milepost.notifications.signing import LONGEST_KEY, SHORTEST_KEY

MOST_CARRIERS = 100
_CLEARED = ("shop_url", "webhook_url")
_Name = Annotated[str, limited(250, 1)]
_URL = "^([Hh][Tt][Tt][Pp][Ss]?://[^\\u0000]+)?$"
_Address = Annotated[str, Field(max_length=LONGEST, json_schema_extra={"pattern": _URL})]
_Carriers = Annotated[list[Annotated[str, limited(64, 1)]], Field(max_length=MOST_CARRIERS)]
# The room judges keys, wherever they come from; it is only published here.
_Key = Annotated[
    str,
    Field(json_schema_extra={"minLength": SHORTEST_KEY, "maxLength": LONGEST_KEY}),
]
P = TypeVar("P", bound=Part)


class ShopChange(Part):
    """What is to be changed; a null address takes it away, other nulls leave things as they are."""

    shop_name: _Name | None = None
    shop_url: _Address | None = None
    service_point_enabled: bool | None = None
    service_point_carriers: _Carriers | None = None
    webhook_active: bool | None = None
    webhook_url: _Address | None = None
    feedback_type: FeedbackType | None = None

    def wanted(self) -> Wanted:
        """What of it was given."""
        given: dict[str, Any] = self.model_dump(
            include={one.name for one in fields(Wanted)}, exclude_unset=True
        )
        for name in _CLEARED:
            if name in given:
                given[name] = given[name] or ""
        if given.get("service_point_carriers") is not None:
            given["service_point_carriers"] = tuple(dict.fromkeys(given["service_point_carriers"]))
        return Wanted(**given)


class OwnChange(ShopChange):
    """What our own call changes."""

    system: Annotated[str, limited(50, 1)] | None = None


class NewShop(OwnChange):
    """A new one. With a webhook's address it is active, if nothing else is said."""

    shop_name: _Name
    signing_key: _Key | None = Field(default=None, repr=False)

    def wanted(self) -> Wanted:
        """What of it was given."""
        wanted = super().wanted()
        if wanted.webhook_active is not None:
            return wanted
        return replace(wanted, webhook_active=bool(wanted.webhook_url))


class KeyGiven(Part):
    """A key that its owner brings."""

    key: _Key | None = Field(default=None, repr=False)


def read(model: type[P], given: Any) -> P:
    """A body. Raises Refused, naming all that is wrong."""
    try:
        return model.model_validate(given)
    except ValidationError as wrong:
        raise Refused(refused_fields(wrong, given)) from None


def read_own(model: type[P], given: Any) -> P:
    """A body of our own calls, which take no field that they don't know. Raises Refused."""
    if isinstance(given, dict) and (unknown := list(unknown_fields(given, (model,)))):
        raise Refused(invalid(*unknown[:MOST_PROBLEMS]))
    return read(model, given)
