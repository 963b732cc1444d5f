"""``/unsubscribe/{token}``: the page behind the link in every letter to a recipient.

GET and HEAD ask and change nothing: mail programs and virus scanners follow links. POST ends the
letters, from the page's button and from a mail program's own (RFC 8058) alike; the link alone says
who may, so there is nothing here for a foreign page to abuse. The page names the shop and no
person.
"""

import base64
import hashlib
import html

from fastapi import APIRouter, Request, Response

from milepost.errors import DatabaseUnavailable
from milepost.notifications.emails import shop_of
from milepost.notifications.unsubscribing import PATH as PREFIX
from milepost.notifications.unsubscribing import Unwanted, read, refuse
from milepost.wiring import CoreParts

PATH = f"{PREFIX}{{token}}"
router = APIRouter()

_STYLE = (
    "body{margin:0;background:#f2f4f7;color:#1b2430;"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}"
    "main{max-width:30rem;margin:12vh auto;padding:2rem;background:#fff;"
    "border:1px solid #dde2e9;border-radius:10px}"
    "h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25}p{margin:0 0 1.25rem;color:#3a4656}"
    "button{padding:.75rem 1.25rem;border:0;border-radius:6px;background:#1f4fd8;color:#fff;"
    "font:inherit;font-weight:600;cursor:pointer}button:focus-visible{outline:3px solid #9db4f2}"
    "@media(max-width:34rem){main{margin:0;border:0;border-radius:0;min-height:100vh}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
}
_BUTTON = '<form method="post"><button type="submit">Stop these e-mails</button></form>'


@router.api_route(PATH, methods=["GET", "HEAD", "POST"], include_in_schema=False)
async def answer(request: Request, token: str) -> Response:
    """One route, so that whoever asks otherwise is told all that is allowed."""
    core: CoreParts = request.app.state.parts.core
    unwanted = read(core.secret_keys, token)
    if unwanted is None:
        page = _no_link()
    elif request.method == "POST":
        page = await _stop(core, unwanted)
    else:
        page = await _ask(core, unwanted)
    if request.method == "HEAD":
        # Its length is still that of the page.
        page.body = b""
    return page


async def _ask(core: CoreParts, unwanted: Unwanted) -> Response:
    shop = await _shop(core, unwanted)
    return _page(
        "Stop e-mails about your parcels?",
        f"{shop} will send no more e-mails about parcels to the address this link was sent to.",
        _BUTTON,
    )


async def _stop(core: CoreParts, unwanted: Unwanted) -> Response:
    await refuse(core.pool, unwanted)
    shop = await _shop(core, unwanted)
    return _page(
        "Done",
        f"{shop} sends no more e-mails about parcels to the address this link was sent to.",
    )


async def _shop(core: CoreParts, unwanted: Unwanted) -> str:
    """In whose name; a page without it is better than none."""
    try:
        return await shop_of(core.pool, unwanted.account_id) or "This shop"
    except DatabaseUnavailable:
        return "This shop"


def _no_link() -> Response:
    return _page("Nothing here", "This link is not complete, or not one of ours.", status=404)


def _page(title: str, text: str, below: str = "", status: int = 200) -> Response:
    title, text = html.escape(title), html.escape(text)
    return Response(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n"
        f'</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p dir="auto">{text}</p>\n{below}\n'
        "</main>\n</body>\n</html>\n",
        status,
        HEADERS,
        "text/html",
    )
