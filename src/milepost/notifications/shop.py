"""What can be set of an integration, and what is wrong with it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from milepost.egress.outcomes import Forbidden
from milepost.egress.policy import Policy
from milepost.egress.targets import LONGEST, target_of
from milepost.notifications.faults import BAD_URL, Fault

FeedbackType = Literal["eager", "delayed", "none"]
FEEDBACK_TYPES: tuple[str, ...] = get_args(FeedbackType)
"""When a shop hears that its order was sent. We feed nothing back into shops: it is kept only."""
_ADDRESS = re.compile(r"https?://[^\s/?#\\]+[^\s\\]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shop:
    """An integration as its owner sets it; ``""`` for an address it has not.

    ``system`` is the kind of shop. While ``webhook_active`` it is told of parcels.
    """

    shop_name: str = ""
    shop_url: str = ""
    system: str = "api"
    service_point_enabled: bool = False
    service_point_carriers: tuple[str, ...] = ()
    webhook_active: bool = False
    webhook_url: str = ""
    feedback_type: str = "none"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be set; None: as it is."""

    shop_name: str | None = None
    shop_url: str | None = None
    system: str | None = None
    service_point_enabled: bool | None = None
    service_point_carriers: tuple[str, ...] | None = None
    webhook_active: bool | None = None
    webhook_url: str | None = None
    feedback_type: str | None = None


def changed(before: Shop, wanted: Wanted) -> Shop:
    """The shop that is wanted, whether it can be or not."""
    told = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
    return replace(before, **{name: value for name, value in told.items() if value is not None})


def faults(shop: Shop, wanted: Wanted, policy: Policy) -> list[Fault]:
    """All that is wrong with it. An address is judged when it is given: what the operator forbids
    later is refused when it is called."""
    found = []
    if wanted.webhook_url:
        target = target_of(wanted.webhook_url, policy)
        if isinstance(target, Forbidden):
            why = f"It can't be called: {target.reason}."
            found += [Fault(("webhook_url",), BAD_URL), Fault(("webhook_url",), why)]
    if wanted.shop_url and not _is_address(wanted.shop_url):
        found.append(Fault(("shop_url",), BAD_URL))
    if shop.webhook_active and not shop.webhook_url:
        why = "Webhook URL required when enable webhook is set to true"
        found.append(Fault(("webhook_url",), why))
    if shop.service_point_enabled and not shop.service_point_carriers:
        why = "Service points that are enabled need at least one carrier."
        found.append(Fault(("service_point_carriers",), why))
    return found


def columns(shop: Shop) -> dict[str, Any]:
    """As it is kept."""
    return {
        "name": shop.shop_name,
        "url": shop.webhook_url,
        "is_active": shop.webhook_active,
        "settings": {
            "shop_url": shop.shop_url,
            "system": shop.system,
            "service_point_enabled": shop.service_point_enabled,
            "service_point_carriers": list(shop.service_point_carriers),
            "feedback_type": shop.feedback_type,
        },
    }


def shop_of(row: Mapping[str, Any]) -> Shop:
    """As it was kept."""
    settings = row["settings"]
    return Shop(
        shop_name=row["name"],
        shop_url=settings.get("shop_url", ""),
        system=settings.get("system", "api"),
        service_point_enabled=settings.get("service_point_enabled", False),
        service_point_carriers=tuple(settings.get("service_point_carriers", ())),
        webhook_active=row["is_active"],
        webhook_url=row["url"],
        feedback_type=settings.get("feedback_type", "none"),
    )


def _is_address(text: str) -> bool:
    return len(text) <= LONGEST and _ADDRESS.fullmatch(text) is not None and text.isprintable()
