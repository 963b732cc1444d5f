"""Carriers whose interfaces are known from public programs alone: what goes out to them, over a
real socket, and what a refusal that comes with it means for everybody."""

from urllib.parse import parse_qs

import pytest
from aiohttp import web
from tests.carriers.loopback import ask, connector, sample, serving

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Broken, Credential, Found, NotFound, Refused
from milepost.carriers.xml_tree import XmlTree, read_xml

CTT = "0082800012345678901234"
CTT_LOGIN = Credential("operator", {"client_id": "c", "client_secret": "s"})
BRT_LOGIN = Credential("operator", {"user_id": "1020100", "password": "pw"})
GLS_LOGIN = Credential("operator", {"uid": "15f9a8b5"})
CEX = "3230001800654321"
CEX_LOGIN = Credential(
    "operator",
    {"username": "u_WS", "password": "pw", "customer_code": "3", "interface": "xml"},
)
MRW_LOGIN = Credential("operator", {"login": "l&m", "password": "p"})


def parts(asked: XmlTree) -> list[tuple[str, str]]:
    return [(part.name, part.text()) for part in asked.children()]


async def test_brt_has_the_login_in_two_headers() -> None:
    async def side(request: web.Request) -> web.Response:
        assert request.path == "/rest/v1/tracking/parcelID/08459003017180"
        known = (request.headers["userID"], request.headers["password"]) == ("1020100", "pw")
        name = "delivered.json" if known else "login-refused.json"
        return web.Response(body=sample("brt", name))

    async with serving([web.get("/{path:.*}", side)], "api.brt.it") as fetcher:
        made = connector("brt")
        found = await ask(made, "0845 9003 0171 80", BRT_LOGIN, fetcher)
        refused = await ask(made, "08459003017180", Credential("operator", {}), fetcher)
    assert isinstance(found, Found)
    assert found.signed_by == "G. BELLINI"
    assert found.raw == sample("brt", "delivered.json")
    assert isinstance(refused, Refused)
    assert refused.credential_refused


async def test_gls_spain_has_the_number_and_the_uid_in_one_namespace() -> None:
    async def side(request: web.Request) -> web.Response:
        assert request.headers["SOAPAction"] == '"http://www.asmred.com/GetExpCli"'
        asked = read_xml(await request.read()).child("Body", "GetExpCli")
        assert asked.element is not None
        assert {str(one.tag).partition("}")[0] for one in asked.element.iter()} == {
            "{http://www.asmred.com/"
        }
        assert parts(asked)[1:] == [("uid", "15f9a8b5")]
        name = "delivered" if asked.text("codigo") == "61771041379752" else "not-found"
        return web.Response(body=sample("gls_es", f"{name}.xml"))

    async with serving([web.post("/b2b.asmx", side)], "wsclientes.asmred.com") as fetcher:
        made = connector("gls_es")
        assert isinstance(await ask(made, "61771041379752", GLS_LOGIN, fetcher), Found)
        assert await ask(made, "61771041379753", GLS_LOGIN, fetcher) == NotFound()


async def test_mrw_has_its_parts_in_the_order_of_the_service() -> None:
    seen: list[list[tuple[str, str]]] = []

    async def side(request: web.Request) -> web.Response:
        assert request.headers["SOAPAction"] == '"http://tempuri.org/ITrackingService/GetEnvios"'
        seen.append(parts(read_xml(await request.read()).child("Body", "GetEnvios")))
        return web.Response(body=sample("mrw", "delivered.xml"))

    path = "/TrackingService.svc/TrackingServices"
    async with serving([web.post(path, side)], "trackingservice.mrw.es") as fetcher:
        assert isinstance(await ask(connector("mrw"), "08203a456789", MRW_LOGIN, fetcher), Found)
    always = [
        ("login", "l&m"),
        ("pass", "p"),
        ("codigoIdioma", "3082"),
        ("tipoFiltro", "0"),
        ("valorFiltroDesde", "08203A456789"),
        ("valorFiltroHasta", "08203A456789"),
        ("fechaDesde", ""),
        ("fechaHasta", ""),
        ("tipoInformacion", "1"),
    ]
    assert seen == [always]


async def test_ctt_express_is_asked_with_a_token_and_gets_a_new_one_for_a_refused_one() -> None:
    tokens: list[str] = []
    good = "t0"

    async def grant(request: web.Request) -> web.Response:
        form = parse_qs((await request.read()).decode())
        assert form["client_id"] + form["client_secret"] == ["c", "s"]
        assert form["scope"] == ["urn:com:ctt-express:integration-clients:scopes:common/ALL"]
        tokens.append(f"t{len(tokens)}")
        return web.json_response({"access_token": tokens[-1], "expires_in": 86400})

    async def side(request: web.Request) -> web.Response:
        assert dict(request.query) == {"view": "APITRACK", "showItems": "false"}
        if request.headers["Authorization"] != f"Bearer {good}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        name = "delivered" if request.match_info["number"] == CTT else "not-found"
        status = 201 if name == "delivered" else 404
        return web.Response(body=sample("ctt_express", f"{name}.json"), status=status)

    routes = [
        web.post("/integrations/oauth2/token", grant),
        web.get("/integrations/trf/item-history-api/history/{number}", side),
    ]
    async with serving(routes, "api.cttexpress.com") as fetcher:
        made = connector("ctt_express")
        assert isinstance(await ask(made, f"{CTT}001", CTT_LOGIN, fetcher), Found)
        good = "t1"
        assert await ask(made, "0082800012345678901235", CTT_LOGIN, fetcher) == NotFound()
    assert tokens == ["t0", "t1"]


@pytest.mark.parametrize(
    ("code", "host", "number", "login"),
    [
        ("brt", "api.brt.it", "08459003017180", BRT_LOGIN),
        ("gls_es", "wsclientes.asmred.com", "61771041379752", GLS_LOGIN),
        ("mrw", "trackingservice.mrw.es", "08203A456789", MRW_LOGIN),
        ("ctt_express", "api.cttexpress.com", CTT, CTT_LOGIN),
    ],
)
async def test_pages_are_faults_and_over_quota_everybody_waits(
    code: str, host: str, number: str, login: Credential
) -> None:
    now = web.Response(status=429, headers={"Retry-After": "37"})

    async def side(request: web.Request) -> web.Response:
        if request.path.endswith("/token"):
            return web.json_response({"access_token": "t", "expires_in": 86400})
        return now

    async with serving([web.route("*", "/{path:.*}", side)], host) as fetcher:
        made = connector(code)
        waiting = await ask(made, number, login, fetcher)
        assert isinstance(waiting, Refused)
        assert (waiting.retry_after, waiting.credential_refused) == (37, False)
        for status in (200, 404, 502):
            now = web.Response(text="<html>later</html>", status=status)
            broken = await ask(made, number, login, fetcher)
            assert isinstance(broken, Broken)
            assert broken.lane_wide


async def test_correos_express_is_asked_in_xml_where_the_login_is_for_that() -> None:
    async def side(request: web.Request) -> web.Response:
        assert request.path == "/wpsc/apiRestSeguimientoEnvios/rest/seguimientoEnvios"
        if request.headers["Authorization"] != basic("u_WS", "pw"):
            return web.Response(status=401)
        asked = dict(parts(read_xml(await request.read())))
        assert asked.keys() == {"Solicitante", "Dato"}
        name = "on-its-way" if asked["Dato"] == CEX else "not-found"
        return web.Response(body=sample("correos_express", f"xml-{name}.xml"))

    async with serving([web.post("/{path:.*}", side)], "www.correosexpress.com") as fetcher:
        made = connector("correos_express")
        found = await ask(made, CEX, CEX_LOGIN, fetcher)
        unknown = await ask(made, "3230001800999999", CEX_LOGIN, fetcher)
        wrong = Credential("operator", {**CEX_LOGIN.fields, "password": "no"})
        refused = await ask(made, CEX, wrong, fetcher)
    assert isinstance(found, Found)
    assert [scan.reading.phase for scan in found.scans] == [
        "announced",
        "in_transit",
        "in_delivery",
    ]
    assert found.raw == sample("correos_express", "xml-on-its-way.xml")
    assert unknown == NotFound()
    assert isinstance(refused, Refused)
    assert refused.credential_refused
