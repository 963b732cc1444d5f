"""SEUR, beyond its samples: an answer without a body, and which kind of number is asked about."""

from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from tests.carriers.loopback import ask, connector, serving

from milepost.carriers.connector import Broken, Credential, NotFound, Outcome

LOGIN = Credential("operator", {"client_id": "c", "username": "u", "id_number": "B00000000"})


async def told(number: str, answer: web.Response) -> tuple[Outcome, dict[str, str]]:
    asked: list[str] = []

    async def token(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 3600})

    async def track(request: web.Request) -> web.Response:
        asked.append(request.query_string)
        return answer

    routes = [
        web.post("/pic_token", token),
        web.get("/pic/v1/tracking-services/extended", track),
    ]
    async with serving(routes, "servicios.api.seur.io") as fetcher:
        outcome = await ask(connector("seur"), number, LOGIN, fetcher)
    [question] = asked
    return outcome, dict(parse_qsl(question))


async def test_an_answer_without_a_body_is_about_an_unknown_number() -> None:
    outcome, question = await told("PEDIDO-20417", web.Response(status=204))
    assert outcome == NotFound()
    assert question == {"ref": "PEDIDO-20417", "refType": "REFERENCE", "idNumber": "B00000000"}


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("28280126104417", "ECB"),
        ("07280434104425", "PARCEL_NUMBER"),
        ("028111000201420210716", "REFERENCE"),
        ("1234567", "REFERENCE"),
    ],
)
async def test_a_number_is_asked_about_as_the_kind_it_looks_like(number: str, kind: str) -> None:
    _, question = await told(number, web.Response(status=204))
    assert question["refType"] == kind


@pytest.mark.parametrize("status", [200, 404, 502])
async def test_a_page_is_a_fault_and_no_unknown_number(status: int) -> None:
    outcome, _ = await told("1", web.Response(text="<html>mantenimiento</html>", status=status))
    assert isinstance(outcome, Broken)
    assert outcome.lane_wide
