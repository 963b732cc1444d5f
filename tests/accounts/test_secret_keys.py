"""Sealing, hashing and the key of the installation."""

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from milepost.accounts.secret_keys import CannotOpen, SecretKeys, check_fingerprint
from milepost.db.pool import Pool
from milepost.errors import ConfigurationError
from milepost.settings import Settings

OLD, NEW = b"o" * 32, b"n" * 40


def test_only_the_right_key_and_place_open() -> None:
    keys = SecretKeys((OLD,))
    sealed = keys.seal(b"canary", "here")
    assert b"canary" not in sealed
    assert keys.open(sealed, "here") == b"canary"
    assert keys.seal(b"canary", "here") != sealed
    for wrong in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", b"\x02" + sealed[1:]):
        with pytest.raises(CannotOpen):
            keys.open(wrong, "here")
    with pytest.raises(CannotOpen):
        keys.open(sealed, "there")
    with pytest.raises(CannotOpen):
        SecretKeys((NEW,)).open(sealed, "here")


def test_the_first_key_seals_and_all_open() -> None:
    old, both = SecretKeys((OLD,)), SecretKeys((NEW, OLD))
    assert both.open(old.seal(b"x", "c"), "c") == b"x"
    with pytest.raises(CannotOpen):
        old.open(both.seal(b"x", "c"), "c")
    assert both.keyed_hash(b"s") == SecretKeys((NEW,)).keyed_hash(b"s")
    assert old.keyed_hash(b"s") in both.keyed_hashes(b"s")


def test_nothing_prints_a_key() -> None:
    keys = SecretKeys((OLD,))
    assert "oooo" not in repr(keys) + repr(vars(keys))


def test_keys_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{NEW.decode()}\n{OLD.decode()}\n")
    settings = Settings(secret_key=None, secret_key_file=file)
    assert SecretKeys.load(settings, embedded=False).fingerprints == (
        SecretKeys((NEW,)).fingerprint,
        SecretKeys((OLD,)).fingerprint,
    )
    two = SecretStr(f"{NEW.decode()},{OLD.decode()}")
    settings = Settings(secret_key=two, secret_key_file=None)
    assert len(SecretKeys.load(settings, embedded=False).fingerprints) == 2
    for wrong in (
        Settings(secret_key=two, secret_key_file=file),
        Settings(secret_key=SecretStr("short")),
        Settings(secret_key=None, secret_key_file=tmp_path / "absent"),
        Settings(secret_key=SecretStr(" "), secret_key_file=None),
    ):
        with pytest.raises(ConfigurationError) as caught:
            SecretKeys.load(wrong, embedded=False)
        assert "\n" not in str(caught.value)


def test_the_embedded_database_makes_one_key_whoever_is_first(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", secret_key=None, secret_key_file=None)
    with ThreadPoolExecutor(8) as threads:
        loads = [threads.submit(SecretKeys.load, settings, embedded=True) for _ in range(16)]
    assert len({load.result().fingerprint for load in loads}) == 1
    made = tmp_path / "state" / "secret.key"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert [path.name for path in made.parent.iterdir()] == ["secret.key"]


async def test_a_database_knows_its_key(app_pool: Pool) -> None:
    await asyncio.gather(*(check_fingerprint(app_pool, SecretKeys((OLD,))) for _ in range(3)))
    await check_fingerprint(app_pool, SecretKeys((NEW, OLD)))
    with pytest.raises(ConfigurationError) as caught:
        await check_fingerprint(app_pool, SecretKeys((NEW,)))
    assert "\n" not in str(caught.value)
