"""What nobody may read of a connection in what is kept and shown of its exchanges. Pure.

A receiver may answer with what it was sent: a page for debugging, an echo. What its owner gave us
in confidence, and what signs, is hidden there before anything is kept.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, quote_plus

from milepost.notifications.sealing import Secrets
from milepost.notifications.signing import SigningKeys, library_key

HIDDEN = "***"
"""Stands for what is not told."""
SHORTEST_HIDDEN = 8
"""Characters from which on the value of a header of one's own is looked for in answers: shorter
ones are words that answers have anyhow. What logs in is looked for however short it is."""
_LOGINS = ("token", "password", "api_key")
_KEY_PREFIX = "whsec_"
_PERCENT = re.compile("%..")
# PHP's JSON; that of Go and Rails.
_JSON = (str.maketrans({"/": "\\/"}), {ord(one): f"\\u{ord(one):04x}" for one in "&<>"})
_IN_DOT_NET = re.compile(r"""\\["\\]|\\u....|[&'+<>`]""")
# Beside Python's own: PHP, Jinja, Go, Handlebars and Mustache.
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_HTML = tuple(
    _MARKUP | str.maketrans(one)
    for one in (
        {'"': "&quot;", "'": "&#039;"},
        {'"': "&#34;", "'": "&#39;"},
        {'"': "&#34;", "'": "&#39;", "+": "&#43;"},
        {'"': "&quot;", "'": "&#x27;", "`": "&#x60;", "=": "&#x3D;"},
        {'"': "&quot;", "'": "&#39;", "`": "&#x60;", "=": "&#x3D;", "/": "&#x2F;"},
    )
)


def spellings(secrets: Secrets, login: str, keys: SigningKeys | None) -> Sequence[bytes]:
    """The secrets as an answer may have them; the longest first, as one may hold another.
    ``login`` is what ``Authorization`` says."""
    found = {said for text in _texts(secrets, login, keys) for said in _spelled(text)}
    return sorted((one.encode() for one in found), key=len, reverse=True)


def masked(answer: bytes, hidden: Iterable[bytes], most: int, *, cut: bool = False) -> bytes:
    """The first ``most`` bytes of an answer, without what is ``hidden``.

    All of it is looked through: what is hidden may be longer than what stands for it, so what comes
    behind moves up. ``cut``: it went on, and may end within a secret.
    """
    longest = 1
    for one in hidden:
        longest = max(longest, len(one))
        answer = answer.replace(one, HIDDEN.encode())
    return answer[: max(0, len(answer) - longest + 1) if cut else None][:most]


def _texts(secrets: Secrets, login: str, keys: SigningKeys | None) -> Iterator[str]:
    yield from (text for name in _LOGINS if (text := secrets.auth_config.get(name)))
    if login:
        yield login.rpartition(" ")[2]
    yield from (one for one in secrets.extra_headers.values() if len(one) >= SHORTEST_HIDDEN)
    former = () if keys is None else (one.text for one in keys.former)
    for key in () if keys is None else (keys.current, *former):
        # Receivers verify with any, and some drop what stands before the base64.
        both = {key, library_key(key)}
        yield from both | {one.removeprefix(_KEY_PREFIX) for one in both}


def _spelled(text: str) -> Iterator[str]:
    """As programs write what they repeat: plainly, in JSON, in HTML, in a URL."""
    yield text
    for said in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield said
        yield from (said.translate(one) for one in _JSON)
    yield _IN_DOT_NET.sub(_in_dot_net, json.dumps(text)[1:-1])
    yield html.escape(text)
    yield from (text.translate(one) for one in _HTML)
    for in_url in (quote(text), quote(text, safe=""), quote_plus(text)):
        yield in_url
        yield _PERCENT.sub(lambda found: found[0].lower(), in_url)


def _in_dot_net(found: re.Match[str]) -> str:
    """What is escaped in JSON, in that of .NET: its digits are capitals, and it escapes more."""
    said = found[0]
    if said.startswith("\\u"):
        return f"\\u{said[2:].upper()}"
    return said if said == r"\\" else f"\\u{ord(said[-1]):04X}"
