"""Whatever an account registers or sets, a carrier is asked where its manifest says."""

import dataclasses

import pytest
from yarl import URL

from milepost.carriers.connector import Credential, Item
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.registry import Carrier, Catalogue

ASKABLE = [one for one in Catalogue.load() if one.can_be_asked]
TOKEN = b'{"access_token": "t", "idToken": "t", "expires_in": 3600}'
HOSTILE = [
    "@127.0.0.1/",
    "//127.0.0.1/",
    ":@127.0.0.1:1/",
    "\\@127.0.0.1/",
    "/../../@127.0.0.1",
    "http://127.0.0.1/?",
    "127.0.0.1#",
    "?@127.0.0.1",
    "%2f%2f127.0.0.1%2f",
    ".127.0.0.1",
    "A\r\nHost: 127.0.0.1",
    "A\x00B",
    "。127.0.0.1／",
]


@dataclasses.dataclass
class Listening:
    """Answers every question with a token, and keeps where it was asked."""

    asked: set[tuple[str, str, int]] = dataclasses.field(default_factory=set)

    async def fetch(self, request: Request) -> Answer:
        url = URL(request.url).extend_query(request.query)
        self.asked.add((url.scheme, str(url.host), int(url.port or 0)))
        # The rest of the way in the fetcher: its routes go by the host as text.
        assert request.url.partition("//")[2].partition("/")[0] == url.host
        return Answer(200, {}, TOKEN)


async def asked_of(carrier: Carrier, text: str) -> set[tuple[str, str, int]]:
    connector = dataclasses.replace(carrier).connector()
    assert connector is not None
    login = Credential("o", {field.name: text for field in carrier.manifest.credential})
    items = [
        Item("1", text, postal_code=text, origin_country=text, destination_country=text),
        Item("2", f"AB123456789{text}", language=text),
    ]
    carrier_side = Listening()
    await connector.ask(items, login, carrier_side)
    return carrier_side.asked


@pytest.mark.parametrize("carrier", ASKABLE, ids=lambda one: one.manifest.code)
async def test_no_text_of_an_account_leads_elsewhere(carrier: Carrier) -> None:
    documented = await asked_of(carrier, "AB123456789CD")
    assert documented
    for text in HOSTILE:
        assert await asked_of(carrier, text) <= documented, text


async def test_a_text_that_leads_elsewhere_is_noticed() -> None:
    listening = Listening()
    with pytest.raises(AssertionError):
        await listening.fetch(Request("https://documented.example@127.0.0.1/"))
    await listening.fetch(Request("https://documented.example.127.0.0.1/"))
    assert not listening.asked <= {("https", "documented.example", 443)}
