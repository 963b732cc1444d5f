"""Chronopost over a real socket: SOAP that nobody logs in to."""

from aiohttp import web
from aiohttp.test_utils import TestServer

from milepost.carriers.connector import Broken, Credential, Found, Item
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.xml_tree import read_xml

CARRIER = Catalogue.load().get("chronopost")
assert CARRIER is not None
NOBODY = Credential("operator")


async def track(request: web.Request) -> web.Response:
    assert request.headers["SOAPAction"] == '""'
    asked = read_xml(await request.read()).child("Body", "trackSkybillV2")
    assert asked.text("language") == "fr_FR"
    known = asked.text("skybillNumber") == "XA123456785FR"
    name = "delivered-and-signed.xml" if known else "system-error.xml"
    assert CARRIER is not None
    return web.Response(body=(CARRIER.folder / "samples" / name).read_bytes())


async def test_a_number_is_asked_about_without_any_login() -> None:
    assert CARRIER is not None
    assert not CARRIER.manifest.needs_credential
    connector = CARRIER.connector()
    assert connector is not None
    app = web.Application()
    app.add_routes([web.post("/tracking-cxf/TrackingServiceWS", track)])
    known, unknown = Item("1", "xa 1234 5678 5 FR"), Item("2", "XE123456782FR")
    async with TestServer(app) as server:
        routes = {"ws.chronopost.fr": str(server.make_url("/"))}
        async with Fetcher(routes=routes) as fetcher:
            told = await connector.ask([unknown, known], NOBODY, fetcher)
    found, fault = told[known], told[unknown]
    assert isinstance(fault, Broken)
    assert not fault.lane_wide
    assert isinstance(found, Found)
    assert found.signed_by == "FAURE"
    assert found.raw
