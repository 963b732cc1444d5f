"""How the published APIs refuse, in our OpenAPI document."""

from milepost.api.v3_schemas import TEXT, Schema, closed, listed

DETAIL = closed({"detail": TEXT})
FIELDS = closed(
    {
        "detail": listed(
            closed(
                {
                    "loc": listed({"anyOf": [TEXT, {"type": "integer"}]}),
                    "msg": TEXT,
                    "type": TEXT,
                }
            )
        )
    }
)
ERRORS = closed(
    {
        "errors": listed(
            closed({"status": TEXT, "code": TEXT, "detail": TEXT}, {"source": {"type": "object"}})
        )
    }
)
V2_ERROR = closed(
    {"error": closed({"code": {"type": "integer"}, "request": TEXT, "message": TEXT})}
)
MEANINGS = {
    400: "The request can't be understood",
    401: "No credentials, or wrong ones",
    403: "The account is suspended",
    404: "Parcel does not exist",
    408: "The body did not come in time",
    409: "Parcel or tracking number already exists",
    413: "The body is over 1 MiB",
    414: "The address is over 8 KB",
    415: "The body is not JSON",
    422: "Something in the request is wrong; names the fields",
    429: "Over the account's budget; empty, with Retry-After",
    431: "The headers are over 32 KB",
    500: "A fault of ours",
    503: "The database can't be asked now",
}


def json_answer(schema: Schema, description: str = "OK") -> Schema:
    """A JSON body."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def refused(schema: Schema, *statuses: int) -> Schema:
    """These refusals, by status."""
    return {str(status): json_answer(schema, MEANINGS[status]) for status in statuses}


def everywhere(errors: Schema, details: Schema) -> Schema:
    """What any operation may answer: refusals of the guard and outages."""
    return {
        **refused(details, 400, 414, 431),
        **refused(errors, 401, 403, 500, 503),
        "429": {"description": MEANINGS[429]},
    }
