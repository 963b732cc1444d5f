"""The installation's secret keys: what seals carrier logins and keys the hashes of API secrets.

Each configured key is stretched with HKDF into one key for sealing, one for hashing and an id, so
no key does two jobs. The first seals and hashes; the others still open and recognise, which is how
a key is replaced. The database remembers a fingerprint: starting with another key is refused before
anything is sealed that nobody could open.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from milepost.db.pool import Pool, retrying
from milepost.errors import ConfigurationError
from milepost.settings import Settings

SHORTEST_KEY = 32
_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12


class CannotOpen(ConfigurationError):
    """Sealed by a key that is not configured, altered, or meant for another place."""


@dataclass(frozen=True, slots=True)
class _Key:
    key_id: bytes
    sealing: AESGCM = field(repr=False)
    hashing: bytes = field(repr=False)
    fingerprint: str

    @classmethod
    def stretched(cls, material: bytes) -> "_Key":
        return cls(
            key_id=_derived(material, b"milepost key id", _ID_BYTES),
            sealing=AESGCM(_derived(material, b"milepost sealing", 32)),
            hashing=_derived(material, b"milepost hashing", 32),
            fingerprint=_derived(material, b"milepost fingerprint", 16).hex(),
        )


class SecretKeys:
    """Seals, opens and hashes with the configured keys; prints none of them."""

    def __init__(self, materials: tuple[bytes, ...]) -> None:
        """Take keys in order of preference, each at least ``SHORTEST_KEY`` bytes."""
        if not materials:
            raise ConfigurationError("no secret key is configured")
        if any(len(material) < SHORTEST_KEY for material in materials):
            raise ConfigurationError(f"a secret key must have at least {SHORTEST_KEY} characters")
        self._keys = tuple(_Key.stretched(material) for material in materials)

    @classmethod
    def load(cls, settings: Settings, *, embedded: bool) -> "SecretKeys":
        """The keys of ``MILEPOST_SECRET_KEY`` or ``MILEPOST_SECRET_KEY_FILE``.

        Several are separated by commas or white space. With the embedded database alone a missing
        key is made, once, as STATE_DIR/secret.key (0600).
        """
        value = settings.secret_key.get_secret_value().strip() if settings.secret_key else ""
        if value and settings.secret_key_file:
            raise ConfigurationError(
                "set either MILEPOST_SECRET_KEY or MILEPOST_SECRET_KEY_FILE, not both"
            )
        if not value and settings.secret_key_file:
            value = _read(settings.secret_key_file)
        if not value:
            if not embedded:
                raise ConfigurationError(
                    "with MILEPOST_DATABASE_URL a secret key is needed: set MILEPOST_SECRET_KEY "
                    "or MILEPOST_SECRET_KEY_FILE"
                )
            value = _own_key(settings.state_dir)
        return cls(tuple(part.encode() for part in value.replace(",", " ").split()))

    @property
    def fingerprint(self) -> str:
        """Tells keys apart without telling them: of the first key."""
        return self._keys[0].fingerprint

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of every configured key."""
        return tuple(key.fingerprint for key in self._keys)

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt so that only ``open`` with the same ``context`` gives it back."""
        key, nonce = self._keys[0], os.urandom(_NONCE_BYTES)
        sealed = key.sealing.encrypt(nonce, plain, context.encode())
        return _VERSION + key.key_id + nonce + sealed

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for ``context``; CannotOpen when altered, moved, or the key is gone."""
        version, rest = sealed[:1], sealed[1:]
        key_id, rest = rest[:_ID_BYTES], rest[_ID_BYTES:]
        nonce, body = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        for key in self._keys:
            if version == _VERSION and hmac.compare_digest(key.key_id, key_id):
                try:
                    return key.sealing.decrypt(nonce, body, context.encode())
                except (InvalidTag, ValueError) as error:
                    raise CannotOpen(f"the sealed value of {context} was altered") from error
        raise CannotOpen(f"no configured secret key opens the sealed value of {context}")

    def keyed_hash(self, secret: bytes) -> bytes:
        """HMAC-SHA256 of a random secret: what the database holds instead of it (about 2 us)."""
        return hmac.digest(self._keys[0].hashing, secret, hashlib.sha256)

    def keyed_hashes(self, secret: bytes) -> tuple[bytes, ...]:
        """Under every configured key, the first first: what a presented secret may be stored as."""
        return tuple(hmac.digest(key.hashing, secret, hashlib.sha256) for key in self._keys)


async def check_fingerprint(pool: Pool, keys: SecretKeys) -> None:
    """Refuse a database that was filled under another key; a new database remembers this one."""
    await retrying(
        lambda: pool.execute(
            "UPDATE installation SET key_fingerprint = $1 WHERE only_row AND key_fingerprint = ''",
            keys.fingerprint,
        )
    )
    known = await retrying(
        lambda: pool.fetchval("SELECT key_fingerprint FROM installation WHERE only_row")
    )
    if known not in keys.fingerprints:
        raise ConfigurationError(
            "the secret key is not the one this database was set up with "
            "(MILEPOST_SECRET_KEY, MILEPOST_SECRET_KEY_FILE or STATE_DIR/secret.key)"
        )


def _derived(material: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(material)


def _read(path: Path) -> str:
    try:
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the secret key file {path} can't be read: {error}") from error
    if not value:
        raise ConfigurationError(f"the secret key file {path} is empty")
    return value


def _own_key(state_dir: Path) -> str:
    """The key kept in the state directory, made at the first start."""
    path = state_dir / "secret.key"
    if not path.exists():
        _make_key(path)
    return _read(path)


def _make_key(path: Path) -> None:
    """Write a new key so that two starting processes agree on one and a crash leaves none half."""
    draft = path.with_name(f".secret.key.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise ConfigurationError(f"the secret key {path} can't be written: {error}") from error
