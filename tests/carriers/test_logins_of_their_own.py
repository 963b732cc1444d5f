"""Carriers whose login is not quite OAuth 2 as others have it, over a real socket."""

from collections.abc import Callable

import orjson
import pytest
from aiohttp import web
from tests.carriers.loopback import ask, connector, sample, serving

from milepost.carriers.connector import Broken, Credential, Found, Outcome, Refused

BAD = "wrong"


class Side:
    """A carrier's login and its tracking; ``login`` and ``tracks`` say whether a question is asked
    as documented, ``grant`` wraps a token as the carrier does."""

    def __init__(
        self,
        login: Callable[[bytes, web.Request], bool],
        grant: Callable[[str], object],
        tracks: Callable[[bytes, web.Request], bool],
        answer: bytes,
    ) -> None:
        self.login, self.grant, self.tracks, self.body = login, grant, tracks, answer
        self.tokens = 0
        self.good = ""

    async def token(self, request: web.Request) -> web.Response:
        if not self.login(await request.read(), request):
            return web.json_response({"error": "invalid_client"}, status=401)
        self.tokens += 1
        self.good = f"token-{self.tokens}"
        return web.json_response(self.grant(self.good))

    async def track(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer {self.good}":
            return web.json_response({"error": "invalid_token"}, status=401)
        assert self.tracks(await request.read(), request)
        return web.Response(body=self.body)


def form(body: bytes) -> dict[str, str]:
    return dict(web_form.split("=", 1) for web_form in body.decode().split("&"))


CORREOS = Credential(
    "operator",
    {
        "client_id": "cid",
        "client_secret": "s3cret",
        "gateway_client_id": "gw",
        "gateway_client_secret": "gws",
    },
)
HERMES = Credential(
    "operator", {"client_id": "c", "client_secret": "cs", "username": "u", "password": "p"}
)
POSTE = Credential("operator", {"client_id": "cid", "client_secret": "s3cret"})
IBERIA = Credential("operator", {"username": "u", "password": "p"})
SEUR = Credential(
    "operator",
    {
        "client_id": "c",
        "client_secret": "cs",
        "username": "u",
        "password": "p",
        "id_number": "B00000000",
        "account_number": "36590-28",
        "business_unit": "28",
    },
)


def correos() -> Side:
    return Side(
        lambda body, request: (
            form(body)
            == {
                "grant_type": "client_credentials",
                "client_id": "cid",
                "client_secret": "s3cret",
                "scope": "TPB",
            }
        ),
        lambda token: {"idToken": token, "tokenType": "Bearer", "expiresIn": 30},
        lambda body, request: (
            (request.headers["client_id"], request.headers["client_secret"]) == ("gw", "gws")
        ),
        sample("correos", "delivered-to-somebody.json"),
    )


def hermes() -> Side:
    wanted = {"client_id": "c", "client_secret": "cs", "username": "u", "password": "p"}
    return Side(
        lambda body, request: form(body) == {"grant_type": "password", **wanted},
        lambda token: {"access_token": token, "expires_in": 3600, "token_type": "bearer"},
        lambda body, request: request.query["shipmentID"] == "40900000000124",
        sample("hermes_de", "delivered.json"),
    )


def poste() -> Side:
    def login(body: bytes, request: web.Request) -> bool:
        told = orjson.loads(body)
        assert told["scope"].endswith("/.default")
        assert request.headers["POSTE_clientID"] == told["clientId"]
        pair = (told["clientId"], told["secretId"])
        return (*pair, told["grantType"]) == ("cid", "s3cret", "client_credentials")

    def tracks(body: bytes, request: web.Request) -> bool:
        waybill = {"waybillNumber": "5P38J90M41207", "lastTracingState": "N"}
        question = orjson.loads(body)["arg0"]
        return request.headers["POSTE_clientID"] == "cid" and question == {
            "shipmentsData": [waybill],
            "statusDescription": "E",
            "customerType": "DQ",
        }

    return Side(
        login,
        lambda token: {"access_token": token, "expires_in": 3599},
        tracks,
        sample("poste_italiane", "delivered.json"),
    )


def iberia() -> Side:
    return Side(
        lambda body, request: orjson.loads(body) == {"Username": "u", "Password": "p"},
        lambda token: token,
        lambda body, request: (
            dict(request.query) == {"id": "4690001234", "idioma": "es", "show": "both"}
        ),
        sample("dhl_parcel_iberia", "delivered-and-received.json"),
    )


def seur() -> Side:
    wanted = {"client_id": "c", "client_secret": "cs", "username": "u", "password": "p"}
    asked_for = {
        "ref": "28280126104417",
        "refType": "ECB",
        "idNumber": "B00000000",
        "accountNumber": "36590",
        "businessUnit": "28",
    }
    return Side(
        lambda body, request: form(body) == {"grant_type": "password", **wanted},
        lambda token: {"access_token": token, "expires_in": 3600, "token_type": "Bearer"},
        lambda body, request: dict(request.query) == asked_for,
        sample("seur", "delivered-at-home.json"),
    )


ROUTES = {
    "correos": (
        ("POST", "/Api/Authorize/Token", "apioauthcid.correos.es"),
        ("GET", "/support/trackpub/api/v2/search/{n}", "api1.correos.es"),
    ),
    "hermes_de": (
        ("POST", "/authorization-facade/oauth2/access_token", "authme.myhermes.de"),
        ("GET", "/services/hsi/shipmentinfo", "de-api.hermesworld.com"),
    ),
    "poste_italiane": (
        ("POST", "/gp/internet/user/sessions", "apiw.gp.posteitaliane.it"),
        (
            "POST",
            "/gp/internet/postalandlogistics/parcel/tracking",
            "apiw.gp.posteitaliane.it",
        ),
    ),
    "dhl_parcel_iberia": (
        ("POST", "/cimapi/api/v1/customer/authenticate", "external.dhl.es"),
        ("GET", "/cimapi/api/v1/customer/track", "external.dhl.es"),
    ),
    "seur": (
        ("POST", "/pic_token", "servicios.api.seur.io"),
        ("GET", "/pic/v1/tracking-services/extended", "servicios.api.seur.io"),
    ),
}
SIDES = {
    "correos": (correos, CORREOS, "PK4MLP0440928440109003Z"),
    "hermes_de": (hermes, HERMES, "4090 0000 0001 24"),
    "poste_italiane": (poste, POSTE, "5p38j90m41207"),
    "dhl_parcel_iberia": (iberia, IBERIA, "4690001234"),
    "seur": (seur, SEUR, "2828 0126 104417"),
}


async def asked(code: str, side: Side, *logins: Credential, expire: bool = False) -> list[Outcome]:
    (login_by, login_at, login_host), (track_by, track_at, track_host) = ROUTES[code]
    routes = [
        web.route(login_by, login_at, side.token),
        web.route(track_by, track_at, side.track),
    ]
    made, number = connector(code), SIDES[code][2]
    outcomes = []
    async with serving(routes, login_host, track_host) as fetcher:
        for login in logins:
            outcomes.append(await ask(made, number, login, fetcher))
            if expire:
                side.good = "another"
    return outcomes


@pytest.mark.parametrize("code", sorted(SIDES))
async def test_it_is_asked_with_a_token_that_is_kept(code: str) -> None:
    make, login, _ = SIDES[code]
    side = make()
    outcomes = await asked(code, side, login, login)
    assert [type(one) for one in outcomes] == [Found, Found]
    assert side.tokens == 1


@pytest.mark.parametrize("code", sorted(SIDES))
async def test_a_token_that_ran_out_is_replaced_once(code: str) -> None:
    make, login, _ = SIDES[code]
    side = make()
    outcomes = await asked(code, side, login, login, expire=True)
    assert [type(one) for one in outcomes] == [Found, Found]
    assert side.tokens == 2


@pytest.mark.parametrize("code", sorted(SIDES))
async def test_a_wrong_login_is_told_and_no_number_is_asked_about(code: str) -> None:
    make, login, _ = SIDES[code]
    side = make()
    secret = "password" if "password" in login.fields else "client_secret"
    wrong = Credential("operator", {**login.fields, secret: BAD})
    [outcome] = await asked(code, side, wrong)
    assert isinstance(outcome, Refused)
    assert outcome.credential_refused
    assert side.tokens == 0
    assert BAD not in repr(wrong)


@pytest.mark.parametrize("code", sorted(SIDES))
async def test_an_answer_without_a_token_is_a_fault(code: str) -> None:
    make, login, _ = SIDES[code]
    side = make()
    side.grant = lambda token: {"hello": "there"}
    [outcome] = await asked(code, side, login)
    assert isinstance(outcome, Broken)
    assert outcome.lane_wide
