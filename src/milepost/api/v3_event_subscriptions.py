"""``/api/v3/event-subscriptions``: which events go to a connection, and whether they arrive.

Sendcloud's Event Subscriptions API as published; what is ours in it (``filters``) is told in
docs/compatibility.md.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from milepost.api.idempotent import Written, write_again
from milepost.api.in_account import (
    caller_of,
    id_of,
    may_take,
    read_in_account,
    write_in_account,
)
from milepost.api.v3_data import answered, parameter_of, written, wrong_choice
from milepost.api.v3_event_connections import PREFIX
from milepost.api.v3_event_subscription_models import SubscriptionChange, SubscriptionGiven, read
from milepost.api.v3_parcel_tracking import json_of
from milepost.db.pool import Connection
from milepost.notifications import subscriptions
from milepost.notifications.subscriptions import Subscription
from milepost.notifications.trial import Result
from milepost.wire.moments import v3_moment

router = APIRouter(prefix=PREFIX)
BESIDE_TEST_SECONDS = 5.0
"""What a test takes besides the exchange with the subscriber."""
_TRUTHS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


@router.post("/subscriptions", include_in_schema=False)
async def create_subscription(request: Request) -> Response:
    """Send a type of events to a connection."""
    given = read(SubscriptionGiven, await json_of(request))
    account_id, actor = caller_of(request)

    async def create(conn: Connection) -> Written:
        made = await subscriptions.create(conn, account_id, given.wanted(), _knows(request), actor)
        return written(subscription_document(made), 201)

    return await write_in_account(request, create)


@router.get("/subscriptions", include_in_schema=False)
async def list_subscriptions(request: Request) -> Response:
    """All of the account's, those of a type, or those in a state."""
    event_type = parameter_of(request, "event_type")
    said = parameter_of(request, "is_active")
    if said is not None and said not in _TRUTHS:
        raise wrong_choice("is_active", ("true", "false"))
    is_active = None if said is None else _TRUTHS[said]
    found = await read_in_account(
        request, lambda conn, account: subscriptions.listed(conn, account, event_type, is_active)
    )
    return answered([subscription_document(one) for one in found])


@router.get("/subscriptions/{subscription_id}", include_in_schema=False)
async def one_subscription(request: Request, subscription_id: str) -> Response:
    """One of them."""
    which = id_of(subscription_id)
    found = await read_in_account(
        request, lambda conn, account: subscriptions.found(conn, account, which)
    )
    return answered(subscription_document(found))


@router.patch("/subscriptions/{subscription_id}", include_in_schema=False)
async def change_subscription(request: Request, subscription_id: str) -> Response:
    """Change what is given of it."""
    which = id_of(subscription_id)
    given = read(SubscriptionChange, await json_of(request))
    account_id, actor = caller_of(request)

    async def change(conn: Connection) -> Written:
        made = await subscriptions.change(
            conn, account_id, which, given.wanted(), _knows(request), actor
        )
        return written(subscription_document(made))

    return await write_in_account(request, change)


@router.delete("/subscriptions/{subscription_id}", include_in_schema=False)
async def delete_subscription(request: Request, subscription_id: str) -> Response:
    """End it."""
    which = id_of(subscription_id)
    account_id, actor = caller_of(request)

    async def delete(conn: Connection) -> Written:
        await subscriptions.delete(conn, account_id, which, actor)
        return Written(b"", status=204)

    return await write_in_account(request, delete)


@router.post("/broadcast/test/{subscription_id}", include_in_schema=False)
async def broadcast_test(request: Request, subscription_id: str) -> Response:
    """Send an example to a subscription's connection; 200 also where that fails."""
    which = id_of(subscription_id)
    account_id, actor = caller_of(request)
    core, trials = request.app.state.parts.core, request.app.state.parts.trials
    may_take(core.settings.egress_seconds + BESIDE_TEST_SECONDS)

    async def test() -> Written:
        return written(trial_document(await trials.send(account_id, which, actor)))

    return await write_again(request, core.pool, test, keep_hours=core.settings.idempotency_hours)


def trial_document(result: Result) -> dict[str, Any]:
    """What came of a test as it is told."""
    return {
        "success": result.success,
        "status_code": result.status,
        "response_body": result.text,
    }


def subscription_document(one: Subscription) -> dict[str, Any]:
    """A subscription as it is told."""
    filters = one.filters
    return {
        "id": one.subscription_id,
        "connection_id": one.connection_id,
        "event_type": one.event_type,
        "is_active": one.is_active,
        "created_at": v3_moment(one.created_at),
        "updated_at": v3_moment(one.updated_at),
        "filters": {
            "phases": sorted(filters.phases),
            "exceptions": sorted(filters.exceptions),
            "carriers": sorted(filters.carriers),
            "status_changes": filters.status_changes,
        },
    }


def _knows(request: Request) -> Callable[[str], bool]:
    catalogue = request.app.state.parts.core.catalogue
    return lambda code: catalogue.get(code) is not None
