"""What of a connection nobody may read in the database: its logins, its headers, its keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from milepost.accounts.secret_keys import CannotOpen, SecretKeys
from milepost.notifications.signing import FormerKey, SigningKeys


@dataclass(frozen=True, slots=True)
class Secrets:
    """``auth_config`` as the Event Subscriptions API takes it, and what is sent besides."""

    auth_config: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Seals:
    """Seals for one connection: moved to another one, nothing opens."""

    def __init__(self, keys: SecretKeys, account_id: int, connection_id: int) -> None:
        self._keys = keys
        self._place = f"connection {account_id} {connection_id}"

    def seal(self, secrets: Secrets) -> bytes:
        """For the column ``sealed``."""
        plain = {"auth": dict(secrets.auth_config), "headers": dict(secrets.extra_headers)}
        return self._keys.seal(orjson.dumps(plain), f"{self._place} secrets")

    def open(self, sealed: bytes | None) -> Secrets:
        """What was sealed. Raises CannotOpen."""
        if sealed is None:
            return Secrets()
        plain: dict[str, Any] = orjson.loads(
            self._keys.open(bytes(sealed), f"{self._place} secrets")
        )
        return Secrets(plain["auth"], plain["headers"])

    def seal_key(self, key: str) -> bytes:
        """For the column ``signing_key``."""
        return self._keys.seal(key.encode(), f"{self._place} key")

    def seal_former(self, former: Sequence[FormerKey]) -> bytes | None:
        """For the column ``former_key``; None where there is none."""
        if not former:
            return None
        plain = [[one.text, one.until.isoformat()] for one in former]
        return self._keys.seal(orjson.dumps(plain), f"{self._place} former keys")

    def open_keys(self, current: bytes | None, former: bytes | None) -> SigningKeys | None:
        """The keys that sign; None where there is none. Raises CannotOpen for the present one."""
        if current is None:
            return None
        key = self._keys.open(bytes(current), f"{self._place} key").decode()
        return SigningKeys(key, () if former is None else self._open_former(former))

    def _open_former(self, former: bytes) -> tuple[FormerKey, ...]:
        try:
            opened = self._keys.open(bytes(former), f"{self._place} former keys")
        except CannotOpen:
            # What the present key signs goes out all the same.
            return ()
        plain: list[tuple[str, str]] = orjson.loads(opened)
        return tuple(FormerKey(text, datetime.fromisoformat(until)) for text, until in plain)
