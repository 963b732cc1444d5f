"""Asking our own API over HTTP, and telling its refusals to an agent in a sentence.

Keys, budgets, tenancy, validation and errors are the API's: nothing here decides them again.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import structlog
from yarl import URL

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""The longest answer that is handed to an agent."""
SECONDS = 30.0
CONNECT_SECONDS = 5.0
_ADVICE = {
    401: "The API key was refused",
    403: "The API key may not do this",
    429: "Over the account's budget",
    503: "The API can't answer now",
}

log = structlog.get_logger()


class Refusal(Exception):
    """The API refused or did not answer. Its text is for the agent; ``status`` is 0 without answer.

    ``retry_after`` is whole seconds, None where nobody said.
    """

    def __init__(self, text: str, status: int = 0, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after


def authorization_of(key: str) -> str:
    """The Authorization header of a key: ``public:secret``, else an access token."""
    if ":" in key:
        return "Basic " + base64.b64encode(key.encode()).decode()
    return f"Bearer {key}"


class Api:
    """One installation's API, asked in the name of whoever calls."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """``url`` is scheme, host and port, with the path in front of ``/api`` if there is one."""
        self._session = session
        self._url = url.rstrip("/")

    async def get(
        self, authorization: str, path: str, query: Mapping[str, str] | None = None
    ) -> Any:
        """The JSON answer to a GET; ``path`` is encoded already. Raises Refusal."""
        return await self._ask("GET", authorization, path, query=query)

    async def post(self, authorization: str, path: str, document: object) -> Any:
        """The JSON answer to a POST. Raises Refusal."""
        return await self._ask("POST", authorization, path, body=json.dumps(document).encode())

    async def _ask(
        self,
        method: str,
        authorization: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Any:
        url = URL(self._url + path, encoded=True).update_query(query or {})
        headers = {"authorization": authorization, "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            # A redirect could carry the credentials elsewhere.
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return _document(answer, await _read(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("the API did not answer", error=error)
            raise Refusal(
                "The Milepost API can't be reached: is it running, and is MILEPOST_API_URL right?"
            ) from error


@asynccontextmanager
async def api_at(url: str) -> AsyncIterator[Api]:
    """The API at ``url``, with connections that are closed at the end."""
    timeout = aiohttp.ClientTimeout(total=SECONDS, connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as made:
        yield Api(made, url)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise Refusal("The answer is over 4 MiB: ask for fewer parcels or events at once")
        pieces.append(piece)
    return b"".join(pieces)


def _document(answer: aiohttp.ClientResponse, body: bytes) -> Any:
    try:
        document = json.loads(body) if body else None
    except ValueError:
        document = None
    if answer.status == 200 and document is not None:
        return document
    raise refusal(answer.status, document, answer.headers.get("Retry-After", ""))


def refusal(status: int, document: Any, retry_after: str = "") -> Refusal:
    """A refused request in words: the API's own text, its code, the wrong fields, when to retry."""
    said = _said(document)
    text = ": ".join(part for part in (_ADVICE.get(status, ""), said) if part)
    seconds = int(retry_after) if retry_after.isdecimal() and len(retry_after) < 10 else None
    if seconds is not None:
        text += f"{'.' if text and not text.endswith('.') else ''} Try again in {seconds} seconds."
    return Refusal(text.strip() or f"The API answered {status} without saying why", status, seconds)


def problem_text(problem: Mapping[str, Any]) -> str:
    """Problem details as one text: what, its stable code, and each wrong field."""
    fields = [
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.get("errors") or ()
    ]
    told = "; ".join(fields) or str(problem.get("detail", ""))
    return f"{told} ({problem['code']})" if problem.get("code") else told


def _said(document: Any) -> str:
    """The text of any of the forms in which the API refuses."""
    match document:
        case {"code": str(), "detail": str()}:
            return problem_text(document)
        case {"detail": str(detail)}:
            return detail
        case {"detail": [*fields]}:
            return problem_text({"errors": fields})
        case {"errors": [{"detail": str(detail)}, *_]}:
            return detail
        case {"error": {"message": str(message)}}:
            return message
        case _:
            return ""
