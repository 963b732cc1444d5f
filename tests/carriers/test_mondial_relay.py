"""Mondial Relay over a real socket: a question that is signed, in the form ASP.NET wants it."""

from hashlib import md5

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from milepost.carriers.connector import Credential, Found, Item, NotFound, Outcome, Refused
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.xml_tree import XmlTree, read_xml

CARRIER = Catalogue.load().get("mondial_relay")
assert CARRIER is not None
NAMESPACE = "http://www.mondialrelay.fr/webservice/"
SHOP = Credential("operator", {"brand_id": "BDTEST13", "private_key": "PrivateK"})


def signed_with(asked: XmlTree, key: str) -> str:
    names = ("Enseigne", "Expedition", "Langue")
    told = "".join(asked.text(name) for name in names) + key
    return md5(told.encode(), usedforsecurity=False).hexdigest().upper()


async def track(request: web.Request) -> web.Response:
    assert request.headers["SOAPAction"] == f'"{NAMESPACE}WSI2_TracingColisDetaille"'
    body = await request.read()
    asked = read_xml(body).child("Body", "WSI2_TracingColisDetaille")
    tags = [str(one.element.tag) for one in asked.children() if one.element is not None]
    assert tags == [
        f"{{{NAMESPACE}}}{name}" for name in ("Enseigne", "Expedition", "Langue", "Security")
    ]
    if asked.text("Security") != signed_with(asked, "PrivateK"):
        name = "signature-refused"
    else:
        known = asked.text("Expedition") == "31236190"
        name = "fetched-from-a-relay" if known else "number-unknown"
    assert CARRIER is not None
    return web.Response(body=(CARRIER.folder / "samples" / f"{name}.xml").read_bytes())


async def ask(number: str, shop: Credential = SHOP) -> Outcome:
    connector = CARRIER.connector() if CARRIER else None
    assert connector is not None
    app = web.Application()
    app.add_routes([web.post("/Web_Services.asmx", track)])
    async with TestServer(app) as server:
        routes = {"api.mondialrelay.com": str(server.make_url("/"))}
        async with Fetcher(routes=routes) as fetcher:
            item = Item("1", number)
            return (await connector.ask([item], shop, fetcher))[item]


async def test_a_signed_question_is_answered() -> None:
    found = await ask("3123 6190")
    assert isinstance(found, Found)
    assert found.scans[-1].scan_class == "fetched"
    assert found.scans[-1].raw_code == "RETIRE PAR LE DESTINATAIRE"
    assert await ask("99999999") == NotFound()


@pytest.mark.parametrize("key", ["privatek", ""])
async def test_a_wrong_signature_is_a_login_refused(key: str) -> None:
    refused = await ask("31236190", Credential("operator", {**SHOP.fields, "private_key": key}))
    assert isinstance(refused, Refused)
    assert refused.credential_refused
