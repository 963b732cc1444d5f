"""The event feed in the OpenAPI document."""

from milepost.api.event_stream import MEDIA_TYPE
from milepost.api.milepost_events import CURSOR, LONGEST_WAIT, PAGE_SIZE, PATH
from milepost.api.milepost_parcel_schemas import reading
from milepost.api.v3_schemas import MOMENT, TEXT, Schema, closed, listed, one_of_words
from milepost.notifications.feed import LATEST, MOST
from milepost.wire.feed_event import FeedType

_CURSOR: Schema = {"type": "string", "pattern": f"^{CURSOR}$"}
_ERASED = closed({"parcel": closed({"parcel_id": {"type": "integer"}})})
FEED_EVENT = closed(
    {
        "cursor": _CURSOR,
        "id": TEXT,
        "type": one_of_words(FeedType),
        "sequence": {"type": "integer"},
        "recorded_at": MOMENT,
        "data": {"anyOf": [{"$ref": "#/components/schemas/ParcelEvent"}, _ERASED]},
    }
)
COMPONENTS: Schema = {"FeedEvent": FEED_EVENT}
_PAGE = closed(
    {
        "data": listed({"$ref": "#/components/schemas/FeedEvent"}),
        "next_cursor": _CURSOR,
        "has_more": {"type": "boolean"},
    }
)


def _whole(name: str, least: int, most: int, usual: int, description: str) -> Schema:
    schema = {"type": "integer", "minimum": least, "maximum": most, "default": usual}
    return {"name": name, "in": "query", "description": description, "schema": schema}


_AFTER: Schema = {
    "name": "after",
    "in": "query",
    "description": f"`next_cursor` of the page before, or `cursor` of an event; `{LATEST}`: from "
    "now on. Without it everything that is kept.",
    "schema": {"type": "string", "pattern": f"^({CURSOR}|{LATEST})$"},
}
_LAST_ID: Schema = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "As clients of Server-Sent Events send it; goes before `after`.",
    "schema": {"type": "string", "pattern": f"^({CURSOR}|{LATEST})?$"},
}
_FORGOTTEN: Schema = {
    "410": {
        "description": "What came next is kept no longer; names the oldest cursor, in `Link` too",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
}


def _described() -> Schema:
    described = reading(
        "What happened, in one order and without a gap; waits for more, or goes on as a stream",
        _PAGE,
        _AFTER,
        _whole("limit", 1, MOST, PAGE_SIZE, "Events on a page; not for a stream."),
        _whole("wait", 0, LONGEST_WAIT, 0, "Seconds to wait for an event; not for a stream."),
        _LAST_ID,
        tag="Events",
        refusals=_FORGOTTEN,
    )
    streamed: Schema = {
        "type": "string",
        "description": "`id` is the cursor, `event` the type, `data` a FeedEvent on one line.",
    }
    described["get"]["responses"]["200"]["content"][MEDIA_TYPE] = {"schema": streamed}
    return described


PATHS: Schema = {PATH: _described()}
