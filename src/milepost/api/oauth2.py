"""POST /oauth2/token: an API key pair for an access token (RFC 6749, client credentials only)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import orjson
from fastapi import APIRouter, Request, Response

from milepost.accounts import tokens
from milepost.accounts.budget import Budgets
from milepost.accounts.credentials import BasicCredentials, read_authorization
from milepost.accounts.gatekeeper import Caller, Gatekeeper
from milepost.accounts.secret_keys import SecretKeys
from milepost.api.client_address import TrustedProxies, limited_by
from milepost.api.error_bodies import Family, render
from milepost.api.problems import Problem
from milepost.api.rate_limits import TokenLimits
from milepost.db.pool import Pool
from milepost.errors import MilepostError, NotAllowed, NotAuthenticated

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 20
_ONCE_ONLY = "A parameter must not be given more than once."


@dataclass(frozen=True, slots=True)
class TokenParts:
    """What the token endpoint works with."""

    pool: Pool
    secret_keys: SecretKeys
    gatekeeper: Gatekeeper
    budgets: Budgets
    proxies: TrustedProxies
    limits: TokenLimits = field(default_factory=TokenLimits)


class Refusal(MilepostError):
    """An OAuth error of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.problem = Problem(status, error, description)


def token_router(parts_of: Callable[[Request], TokenParts]) -> APIRouter:
    """The route, with and without a trailing slash; ``parts_of`` finds the parts of the app."""
    router = APIRouter(tags=["OAuth2"])

    async def issue_token(request: Request) -> Response:
        """Exchange an API key pair for a bearer token that lives one hour."""
        try:
            return await _issue(request, parts_of(request))
        except Refusal as refusal:
            return _refused(refusal.problem, request.url.path)
        except MilepostError as error:
            return _refused(error, request.url.path)

    router.add_api_route("/oauth2/token", issue_token, methods=["POST"], openapi_extra=_DOCUMENTED)
    router.add_api_route("/oauth2/token/", issue_token, methods=["POST"], include_in_schema=False)
    return router


async def _issue(request: Request, parts: TokenParts) -> Response:
    """1. read the form  2. find the client  3. count it  4. check it  5. what it asks  6. issue."""
    form = _read_form(request.headers.get("content-type", ""), await request.body())
    client = _client(request, form)
    address = limited_by(parts.proxies.client_address(request.scope))
    parts.limits.count(client.public_key, address)
    caller = await _authenticated(parts.gatekeeper, client)
    _check_grant(form)
    await parts.budgets.spend(caller, "token")
    token = await tokens.issue(parts.pool, parts.secret_keys, caller)
    body = {
        "access_token": token,
        "expires_in": tokens.LIFETIME_SECONDS,
        "scope": tokens.SCOPE,
        "token_type": "bearer",
    }
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)


def _read_form(content_type: str, body: bytes) -> Mapping[str, str]:
    """The form's fields; empty ones count as absent (RFC 6749 section 3.1)."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise Refusal("invalid_request", f"The body must be {FORM}.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Refusal("invalid_request", "The form can't be read.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refusal("invalid_request", _ONCE_ONLY)
    return {name: value for name, value in fields.items() if value}


def _client(request: Request, form: Mapping[str, str]) -> BasicCredentials:
    """Who asks: by HTTP Basic or in the form, never both (RFC 6749 section 2.3)."""
    headers = request.headers.getlist("authorization")
    if headers:
        if "client_secret" in form or len(headers) > 1:
            raise Refusal("invalid_request", "Use one way to authenticate the client, not two.")
        presented = read_authorization(headers[0].encode("latin-1"))
        if not isinstance(presented, BasicCredentials):
            raise NotAuthenticated
        client_id = unquote_plus(presented.public_key)
        if form.get("client_id", client_id) != client_id:
            raise Refusal("invalid_request", "client_id is not the client that authenticates.")
        return BasicCredentials(client_id, unquote_plus(presented.secret))
    if "client_id" in form and "client_secret" in form:
        return BasicCredentials(form["client_id"], form["client_secret"])
    raise Refusal("invalid_client", "The client did not authenticate.", 401)


async def _authenticated(gatekeeper: Gatekeeper, client: BasicCredentials) -> Caller:
    try:
        return await gatekeeper.basic(client.public_key, client.secret)
    except NotAuthenticated as error:
        raise Refusal("invalid_client", "Client authentication failed.", 401) from error
    except NotAllowed as error:
        raise Refusal("unauthorized_client", str(error)) from error


def _check_grant(form: Mapping[str, str]) -> None:
    grant = form.get("grant_type")
    if grant is None:
        raise Refusal("invalid_request", "grant_type is missing.")
    if grant != "client_credentials":
        raise Refusal("unsupported_grant_type", "Only client_credentials is supported.")
    if form.get("scope", tokens.SCOPE).split() != [tokens.SCOPE]:
        raise Refusal("invalid_scope", f"The only scope is {tokens.SCOPE}.")


def _refused(error: Problem | MilepostError, path: str) -> Response:
    answer = render(Family.OAUTH, error, path)
    response = Response(answer.body, answer.status)
    response.raw_headers = list(answer.headers)
    return response


_TEXT = {"type": "string"}
_DOCUMENTED: dict[str, Any] = {
    "security": [{"basic": []}, {}],
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "scope": {"type": "string", "enum": [tokens.SCOPE]},
                        "client_id": _TEXT,
                        "client_secret": _TEXT,
                    },
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "A bearer token.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["access_token", "expires_in", "scope", "token_type"],
                        "properties": {
                            "access_token": _TEXT,
                            "expires_in": {"type": "integer"},
                            "scope": _TEXT,
                            "token_type": _TEXT,
                        },
                    }
                }
            },
        },
        **{
            status: {
                "description": text,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["error", "error_description"],
                            "properties": {"error": _TEXT, "error_description": _TEXT},
                        }
                    }
                },
            }
            for status, text in (
                ("400", "The request is not one we grant."),
                ("401", "The client is not who it says."),
                ("503", "The database can't be asked now."),
            )
        },
        "429": {"description": "Too many tokens asked for; empty, with Retry-After."},
    },
}
