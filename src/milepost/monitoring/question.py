"""What is asked about a claimed parcel, and whether the answer says anything new."""

import hashlib
from dataclasses import fields
from datetime import datetime

import orjson

from milepost.accounts.vault import OPERATOR, StoredCredential
from milepost.carriers.connector import Credential, Found, Item, Outcome
from milepost.carriers.registry import Carrier
from milepost.monitoring.claim import Claimed

_SAID = tuple(one.name for one in fields(Found) if one.name not in ("as_of", "raw", "raw_type"))


def hash_of(found: Found) -> str:
    """Tells whether an answer says anything new; the carrier's clock does not count."""
    said = [getattr(found, name) for name in _SAID]
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def carrier_now(carrier: Carrier, outcome: Outcome) -> datetime | None:
    """A simulated carrier lives on its own clock; nobody else's clock is believed."""
    if not carrier.asked.manifest.simulated:
        return None
    return getattr(outcome, "as_of", None)


def item_of(row: Claimed) -> Item:
    """What a connector is told about a parcel."""
    return Item(
        key=str(row.parcel_id),
        number=row.tracking_number,
        postal_code=row.postal_code,
        origin_country=row.origin_country,
        destination_country=row.destination_country,
        shipped_at=row.announced_at,
    )


def credential_of(carrier: Carrier, login: StoredCredential | None, account_id: int) -> Credential:
    """What the carrier is asked with. Its owner shares one quota: without a login a real carrier
    counts what comes from us, a simulated one each account by itself."""
    if login is not None:
        return carrier.asking_with(Credential(login.owner, login.fields))
    counted = carrier.asked.manifest.simulated
    return carrier.asking_with(Credential(f"account:{account_id}" if counted else OPERATOR))
