"""Carriers asked with one question and no token: what goes out, and answers that are not theirs."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from aiohttp import web
from tests.carriers.loopback import ask, connector, sample, serving

from milepost.carriers.connector import Broken, Credential, Found, Outcome, Refused

CEX = {"username": "u_WS", "password": "pw", "customer_code": "U54321"}


def correos_express(asked: Mapping[str, Any]) -> bool:
    question = {"codigoCliente": "U54321", "dato": "3230001800123456", "idioma": "ES"}
    return bool(asked["body"] == question and asked["authorization"] == "Basic dV9XUzpwdw==")


def spring(asked: Mapping[str, Any]) -> bool:
    shipment = {"TrackingNumber": "LV900900012NL"}
    wanted = {"Apikey": "k", "Command": "TrackShipment", "Shipment": shipment}
    return bool(asked["body"] == wanted)


def inpost(asked: Mapping[str, Any]) -> bool:
    wanted = "/v1/tracking/630400904100000000000017"
    return bool(asked["path"] == wanted and not asked["authorization"])


Check = Callable[[Mapping[str, Any]], bool]
CARRIERS: dict[str, tuple[str, str, Mapping[str, str], str, Check]] = {
    "correos_express": (
        "www.cexpr.es",
        "3230 0018 0012 3456",
        CEX,
        "delivered-next-morning.json",
        correos_express,
    ),
    "spring": (
        "mtapi.net",
        "lv900900012nl",
        {"api_key": "k"},
        "handed-over-and-delivered.json",
        spring,
    ),
    "inpost_pl": (
        "api-shipx-pl.easypack24.net",
        "630400904100000000000017",
        {},
        "locker-to-locker-fetched.json",
        inpost,
    ),
}


async def told(code: str, answer: web.Response, asked: list[Mapping[str, Any]]) -> Outcome:
    host, number, fields, _, _ = CARRIERS[code]

    async def side(request: web.Request) -> web.Response:
        body = await request.read()
        asked.append(
            {
                "path": request.path,
                "authorization": request.headers.get("Authorization", ""),
                "body": orjson.loads(body) if body else None,
            }
        )
        return answer

    async with serving([web.route("*", "/{path:.*}", side)], host) as fetcher:
        return await ask(connector(code), number, Credential("operator", fields), fetcher)


@pytest.mark.parametrize("code", sorted(CARRIERS))
async def test_one_question_is_asked_as_documented(code: str) -> None:
    *_, name, check = CARRIERS[code]
    asked: list[Mapping[str, Any]] = []
    outcome = await told(code, web.Response(body=sample(code, name)), asked)
    assert isinstance(outcome, Found)
    assert outcome.raw
    assert [check(one) for one in asked] == [True]


@pytest.mark.parametrize("code", sorted(CARRIERS))
@pytest.mark.parametrize("status", [200, 404, 502])
async def test_a_page_is_a_fault_and_no_unknown_number(code: str, status: int) -> None:
    outcome = await told(code, web.Response(text="<html>later</html>", status=status), [])
    assert isinstance(outcome, Broken)
    assert outcome.lane_wide


@pytest.mark.parametrize("code", sorted(CARRIERS))
async def test_over_quota_everybody_waits_as_long_as_the_carrier_says(code: str) -> None:
    outcome = await told(code, web.Response(status=429, headers={"Retry-After": "37"}), [])
    assert isinstance(outcome, Refused)
    assert (outcome.retry_after, outcome.credential_refused) == (37, False)
