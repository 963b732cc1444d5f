"""What the tools may be called with; the published input schemas are made from these classes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from milepost.tracking.vocabulary import ExceptionCode, Phase

MOST_LISTED = 50
MOST_EVENTS = 100

Country = Annotated[str, Field(min_length=2, max_length=2, description="ISO 3166 code: NL")]
PostalCode = Annotated[str, Field(min_length=1, max_length=12)]
Name = Annotated[str, Field(max_length=75)]
Id = Annotated[str, Field(max_length=255)]
Events = Annotated[
    int, Field(ge=0, le=MOST_EVENTS, description="At most so many events, the newest.")
]


class Arguments(BaseModel):
    """Of a tool. Unknown ones are refused: a misspelt filter would find too much."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterParcel(Arguments):
    """Arguments of ``register_parcel``."""

    carrier_code: Annotated[
        str,
        Field(
            max_length=64,
            description="Such as dhl, postnl, ups, sandbox. Left out: recognised by the number, "
            "and refused with the candidates where no carrier is clearly ahead.",
        ),
    ] = ""
    tracking_number: Annotated[str, Field(min_length=1, max_length=255)]
    from_country_code: Country
    from_postal_code: PostalCode
    to_country_code: Country
    to_postal_code: PostalCode
    source_id: Annotated[
        Id, Field(description="Your own id of the parcel, unique in the account.")
    ] = ""
    order_number: Id = ""
    recipient_name: Name = ""
    sender_name: Name = ""
    announced_at: Annotated[
        str,
        Field(max_length=40, description="When it was announced, ISO 8601; default: now."),
    ] = ""
    shipping_option_code: Annotated[
        Id,
        Field(
            description="What it was shipped with, where known; "
            "default: '<carrier_code>:registered', which says no more than that."
        ),
    ] = ""


class RecogniseNumber(Arguments):
    """Arguments of ``recognise_number``."""

    number: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2000,
            description="As typed, scanned or pasted: a bar code or a link, too.",
        ),
    ]
    to_country_code: Annotated[str, Field(max_length=2, description="Recipient's, if known.")] = ""
    from_country_code: Annotated[str, Field(max_length=2, description="Sender's, if known.")] = ""


class OneParcel(Arguments):
    """Which parcel: by its id, or by number and, where several carriers know it, carrier."""

    tracking_number: Annotated[
        str,
        Field(max_length=255, description="Blanks and case don't count. This or parcel_id."),
    ] = ""
    carrier_code: Annotated[str, Field(max_length=64)] = ""
    parcel_id: Annotated[str, Field(pattern="^([1-9][0-9]{0,17})?$")] = ""
    events: Events = 20

    @model_validator(mode="after")
    def _one_of_two(self) -> "OneParcel":
        if bool(self.tracking_number.strip()) is bool(self.parcel_id):
            raise ValueError("give either tracking_number or parcel_id")
        if self.parcel_id and self.carrier_code:
            raise ValueError("carrier_code goes with tracking_number only")
        return self


class ListParcels(Arguments):
    """Arguments of ``list_parcels``; lists are any of their values, everything given must hold."""

    query: Annotated[
        str,
        Field(
            max_length=200,
            description="Beginnings of words of number, source_id, order number, or the "
            "recipient's name, company, postal code or city.",
        ),
    ] = ""
    status: Annotated[
        list[Annotated[str, Field(max_length=64, pattern="^[^,]+$")]],
        Field(max_length=50, description="Status codes, such as DELIVERED or EXCEPTION."),
    ] = []
    phase: Annotated[list[Phase], Field(max_length=50)] = []
    exception: Annotated[list[ExceptionCode], Field(max_length=50)] = []
    carrier_code: Annotated[
        list[Annotated[str, Field(max_length=64, pattern="^[^,]+$")]], Field(max_length=50)
    ] = []
    active: Annotated[
        bool | None, Field(description="true: under way; false: the journey is over.")
    ] = None
    source_id: Id = ""
    order_number: Id = ""
    updated_since: Annotated[str, Field(max_length=40, description="ISO 8601.")] = ""
    sort: Literal[
        "-created_at", "created_at", "-updated_at", "updated_at", "-ended_at", "ended_at"
    ] = "-created_at"
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 10
    cursor: Annotated[str, Field(max_length=32, description="next_cursor of the page before.")] = ""
