"""P15 in small: odd values everywhere, through the real door to a real database: never a 5xx.

Schemathesis does it at random (tests/contract/test_own_openapi.py); this is the list of what has
broken services like this one, and it is put to doors with planted faults.
"""

import base64
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.api.fake_api import Client, started
from tests.api.samples import POST, V2, registration
from tests.promises.figures import keep

from milepost import observe, wiring
from milepost.accounts import keys as accounts
from milepost.accounts.secret_keys import SecretKeys
from milepost.api import bodies, hot_reads
from milepost.api.app import Application
from milepost.db.pool import Pool
from milepost.settings import Settings

pytestmark = [pytest.mark.promise, pytest.mark.beside]
ODD = [
    *('"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"\\u202e"', '""', '" "'),
    *("null", "true", "0", "-1", "1e300", "1e400", "-1e-400", "NaN", "-Infinity"),
    *("9007199254740993", "9" * 25, "9" * 5000, "1.5", "[]", "{}", "[[]]", '{"a\\u0000":1}'),
    *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"', '"2026-02-30T00:00:00Z"'),
    *('{"value":"9' + "9" * 400 + '","currency":"EUR","unit":"kg"}', '"' + "x" * 70_000 + '"'),
    *('"' + "€" * 9_000 + '"', "[" * 5_000 + "]" * 5_000, '{"x":' * 500 + "1" + "}" * 500),
]
ODD_PATHS = ["%00", "a%00b", "%ff", "%ed%a0%80", "%2f", "..", "%", "%zz", "x" * 3000, "%E2%80%AE"]
HERE = "@here@"


@pytest.fixture
async def asked(
    dsn: str, account: int, admin_pool: Pool, tmp_path: Path
) -> AsyncIterator["tuple[Application, bytes]"]:
    """The whole application on a database of its own, and what lets a client in."""
    observe.configure("test", io.StringIO())
    secret = "k" * 40
    chosen = Settings(state_dir=tmp_path, database_url=SecretStr(dsn), secret_key=SecretStr(secret))
    keys = SecretKeys.load(chosen, embedded=False)
    new = await accounts.create_key(admin_pool, keys, account)
    await accounts.set_limits(admin_pool, account, reads=0, writes=0, burst=0)
    user = f"{new.key.public_key}:{new.secret_key}".encode()
    async with started(Application(chosen, wiring.api_parts)) as running:
        yield running, b"Basic " + base64.b64encode(user)


def documents() -> Iterator[bytes]:
    """A registration with each odd value in the place of each of its parts."""
    whole = registration(
        HERE,
        details={"reference": "r", "expected_delivery_date": "2026-01-09", "is_return": False},
        parcel_items=[
            {"description": "d", "quantity": 1, "price": {"value": 1, "currency": "EUR"}}
        ],
    )
    number = 0
    for document in _with_a_hole(whole):
        for odd in ODD:
            number += 1
            told = json.dumps(document).replace(json.dumps(None), odd, 1)
            yield told.replace(HERE, f"ODD{number:06d}").replace("order-1", f"o-{number}").encode()


def _with_a_hole(value: Any) -> Iterator[Any]:
    """``value`` as often as it has parts, with null in the place of one."""
    yield None
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            for holed in _with_a_hole(value[name]):
                changed = value.copy()
                changed[name] = holed
                yield changed


async def broken_by(running: Application, authorization: bytes) -> tuple[int, list[str]]:
    """How many requests were sent, and those that were answered with a 5xx."""
    client, sent, broken = Client(running, authorization), 0, []
    for body in documents():
        sent += 1
        got = await client.ask("POST", POST, body)
        if got.status >= 500:
            broken.append(f"{got.status}: {body[:300]!r}")
    for odd in ODD_PATHS:
        for path in (f"{POST}/{odd}", V2 + odd, f"{V2}X?carrier_code={odd}", f"/api/v3/{odd}"):
            sent += 1
            if (await client.get(path)).status >= 500:
                broken.append(path[:100])
    return sent, broken


async def test_no_odd_value_breaks_anything(asked: "tuple[Application, bytes]") -> None:
    sent, broken = await broken_by(*asked)
    keep("P15 odd values", sent=sent, broken=len(broken))
    assert broken == []
    taken = await Client(*asked).post(POST, registration("SOUND"))
    assert taken.status == 200, "odd values were what was refused"


@pytest.mark.parametrize("fault", ["any JSON", "any number", "any option"])
async def test_the_check_sees_a_door_that_lets_odd_values_in(
    asked: "tuple[Application, bytes]", fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    match fault:
        case "any JSON":
            monkeypatch.setattr(bodies, "read_json", lambda body, _limits: json.loads(body))
        case "any number":
            monkeypatch.setattr(hot_reads, "trimmed_number", str)
        case "any option":
            monkeypatch.setattr(hot_reads, "check_storable", lambda _name, value: value)
    sent, broken = await broken_by(*asked)
    keep(f"P15 odd values, planted: {fault}", sent=sent, broken=len(broken))
    assert broken != []
