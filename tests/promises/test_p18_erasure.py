"""P18 in small: what was erased, or is past its time, is nowhere; no log line ever held it.

One canary in every input, no other word twice. Secrets in dumps are P12's (tests/accounts).
"""

import asyncio
import json
import signal
import subprocess
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from bench.ports import free_port
from tests.accounts.test_dump import dump
from tests.chaos.clients import TRACKING
from tests.chaos.installation import Installation, installation
from tests.live_server import MILEPOST, Client, environment
from tests.promises.canaries import Person, found
from tests.promises.figures import keep
from tests.promises.listening import (
    ANSWERS,
    HEADER,
    OWN,
    PASSWORD,
    QUERY,
    SENDER,
    SHOP,
    SIGNING,
    TOKEN,
    delivered,
    leave,
    listening,
    mail_server,
    shown,
    subscribe,
)

V2 = "/api/v2/tracking"
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.slow, pytest.mark.timeout(900)]


async def put_in(house: Installation, client: Client, person: Person) -> int:
    """The canaries through every door there is; the parcel's id."""
    answer = client.post(TRACKING, person.registration(), {"Idempotency-Key": person["key"]})
    assert answer.status == 200, answer.body
    parcel_id = int(client.get(f"{V2}/{person['number']}").document["parcel_id"])
    place = f"{OWN}/parcels/{parcel_id}"
    changed = client.ask("PATCH", place, {"to_address": {"company_name": person["patched"]}})
    assert changed.status == 200, changed.body
    # News, for nobody is written to about what is old.
    event = {
        "event_at": datetime.now(UTC).isoformat(),
        "phase": "in_delivery",
        "text": person["event"],
        "location": {"city": person["place"]},
    }
    told = client.post(f"{place}/events", {"events": [event]})
    assert told.status == 200, told.body
    connection = await house.connect()
    try:
        # What a carrier answered; the simulated one knows no names.
        await connection.execute(
            "INSERT INTO raw_payload (account_id, parcel_id, fetched_at, carrier_code,"
            " content_type, payload) VALUES ($1, $2, now(), 'sandbox', 'text/plain', $3)",
            house.keys[0].account_id,
            parcel_id,
            person["raw"].encode(),
        )
        # What a carrier pushed before it had a parcel to tell it of.
        await connection.execute(
            "INSERT INTO push_payload (account_id, carrier_code, source, headers, payload, state,"
            " due_at) VALUES ($1, 'ups', 'push', '{}', $2, 'unknown_number', 'infinity')",
            house.keys[0].account_id,
            f'{{"trackingNumber": "{person["number"]}", "name": "{person["pushed"]}"}}'.encode(),
        )
    finally:
        await connection.close()
    return parcel_id


def wrong_requests(house: Installation, client: Client, person: Person) -> None:
    """Input that is refused, and look-ups: words in paths, queries, headers, bad documents."""
    bad = person.registration() | {"announced_at": person["name"]}
    assert client.post(TRACKING, bad).status == 422
    assert client.post(TRACKING, person.registration()).status == 409
    assert client.post(TRACKING, f'{{"x": "{person["name"]}'.encode()).status in (400, 422)
    assert client.get(f"{OWN}/parcels?search={person['postal']}").status in (200, 400, 422)
    assert client.get(f"/{person['name']}?x={person['email']}").status == 404
    assert Client(house.port, f"{person['name']}:{person['email']}").get(TRACKING).status in (
        401,
        405,
    )
    for version in (V2, TRACKING):
        assert client.get(f"{version}/{person['number']}").status == 200


def exported(house: Installation) -> str:
    forms = (["--format", "csv"], ["--format", "ndjson", "--events"])
    return "\n".join(run(house, "export", "--account", "client 0", *form) for form in forms)


def run(house: Installation, *words: str, fails: int = 0, **more: str) -> str:
    done = subprocess.run(
        [MILEPOST, *words],
        env=environment(house.state_dir, house.port) | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == fails, done.stderr
    return done.stdout


def logs(house: Installation) -> str:
    """Everything any process of it ever logged, PostgreSQL's included."""
    files = [house.log, *house.state_dir.rglob("*.log")]
    return "\n".join(path.read_text(errors="replace") for path in files)


def metrics(port: int) -> str:
    answer = Client(port).get("/metrics")
    assert answer.status == 200
    return answer.body.decode()


async def test_erased_and_expired_parcels_are_nowhere() -> None:
    port = free_port()
    erased, expired, kept = Person("era"), Person("exp"), Person("kep")
    told = {"MILEPOST_METRICS_PORT": str(port), "MILEPOST_LOG_LEVEL": "debug"}
    told |= {"MILEPOST_EGRESS_ALLOW": "127.0.0.0/8:*", "MILEPOST_ACCESS_LOG": "true"}
    with (
        listening() as heard,
        mail_server() as mail,
        installation(MILEPOST_API_PROCESSES="2", **told, **mail.settings) as house,
    ):
        await house.prepare(1, free_port())
        await asyncio.to_thread(house.start)
        client = Client(house.port, house.keys[0].user)
        subscribe(client, heard)
        ids = {
            person.tag: await put_in(house, client, person) for person in (erased, expired, kept)
        }
        wrong_requests(house, client, erased)
        log = await asyncio.to_thread(delivered, client, heard, mail)
        for link in mail.links.values():
            assert client.get(link).status == client.post(link, {}).status == 200
        assert {f"Bearer {TOKEN}", HEADER} <= heard.logins
        assert PASSWORD.encode() in mail.office.logins
        assert found(["zqeraanswered", "zqeramailed", "zqeraname"], log) != [], "it shows them"
        links = [link.rpartition("/")[2] for link in mail.links.values()]
        sealed = [TOKEN, HEADER, SIGNING, PASSWORD, *links]
        whole = await dump(house.dsn) + exported(house)
        assert found(sealed, whole + log) == []
        seen = found(erased.canaries + expired.canaries, whole)
        assert sorted(seen) == sorted(erased.canaries + expired.canaries), "the check can see them"
        before = client.get(f"{OWN}/usage").document["registered"]["parcels"]
        receipt = await erase(house, ids[erased.tag])
        await expire(house, ids[expired.tag])
        gone = erased.canaries + expired.canaries
        left = {
            "dump": found(gone, await dump(house.dsn)),
            "exports": found(gone, exported(house)),
            "metrics": found([*gone, *kept.canaries, QUERY], metrics(port)),
            "reads": [word for word in gone for _ in range(2) if readable(client, word)],
            "log and feed": found(gone, shown(client) + shown(client)),
        }
        after = client.get(f"{OWN}/usage").document["registered"]["parcels"]
        assert found(kept.canaries, await dump(house.dsn)) == kept.canaries, "others stay whole"
        assert client.get(f"{OWN}/erasures/{ids[erased.tag]}").document["parcel_id"]
        own = [SHOP, SENDER, ANSWERS, QUERY]
        assert found(own, await dump(house.dsn)) == own
        await asyncio.to_thread(leave, client)
        left["settings"] = await forgotten(house, [SHOP, QUERY])
        house.stop()
        secrets = [*(key.secret for key in house.keys), *sealed, QUERY]
        said = logs(house)
        assert "connection disabled" in said, "a subscriber that fails is in the log"
        left["logs"] = found([*gone, *kept.canaries, *secrets, ANSWERS], said)
    keep("P18", canaries=len(gone), left={name: len(words) for name, words in left.items()})
    assert {name: words for name, words in left.items() if words} == {}
    assert receipt["counts"]["raw_payloads"] == 1
    assert receipt["counts"]["kept_answers"] >= 1
    assert receipt["counts"]["told"] >= 3
    assert after == before == 3


async def forgotten(house: Installation, words: list[str]) -> list[str]:
    """What is left of these; an integration is first told that it was deleted."""
    for _ in range(30):
        run(house, "db", "retention")
        if not (left := found(words, await dump(house.dsn))):
            break
        await asyncio.sleep(1)
    return left


def readable(client: Client, number: str) -> bool:
    """Whether any process still answers for it."""
    paths = (f"{TRACKING}/{number}", f"{V2}/{number}")
    return any(client.get(path).status != 404 for path in paths)


async def erase(house: Installation, parcel_id: int) -> dict[str, Any]:
    """Killed at four points first: then nothing is gone. Killed at the fifth, after the commit, it
    is all gone, and who asks again gets the receipt."""
    words = ("erase", "--parcel", str(parcel_id), "--account", "client 0", "--yes", "--json")
    for point in (*(f"erase.mid:{nth}" for nth in range(1, 5)), "erase.after_commit"):
        assert await rows_of(house, parcel_id) > 0, point
        run(house, *words, fails=-signal.SIGKILL, MILEPOST_FAILPOINT=point)
    assert await rows_of(house, parcel_id) == 0
    told = json.loads(run(house, *words))
    receipt: dict[str, Any] = told["erased"][0]
    return receipt


async def expire(house: Installation, parcel_id: int) -> None:
    """Nothing has changed on it for longer than parcels are kept."""
    connection = await house.connect()
    try:
        await connection.execute(
            "UPDATE parcel SET updated_at = now() - interval '2 years', revision = revision + 1"
            " WHERE parcel_id = $1",
            parcel_id,
        )
    finally:
        await connection.close()
    assert json.loads(run(house, "db", "retention", "--json"))["parcels"] == 1


async def rows_of(house: Installation, parcel_id: int) -> int:
    connection: asyncpg.Connection[asyncpg.Record] = await house.connect()
    try:
        statement = (
            "SELECT (SELECT count(*) FROM parcel WHERE parcel_id = $1)"
            " + (SELECT count(*) FROM event WHERE parcel_id = $1)"
            " + (SELECT count(*) FROM raw_payload WHERE parcel_id = $1)"
            " + (SELECT count(*) FROM message WHERE parcel_id = $1)"
            " + (SELECT count(*) FROM delivery WHERE parcel_id = $1)"
            " + (SELECT count(*) FROM delivery_attempt WHERE parcel_id = $1)"
        )
        return int(await connection.fetchval(statement, parcel_id))
    finally:
        await connection.close()
