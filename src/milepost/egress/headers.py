"""Which headers a customer may add to what we send, and which can be sent at all; pure."""

import re
from collections.abc import Mapping
from functools import lru_cache

MOST = 20
LONGEST_NAME = 64
LONGEST_VALUE = 2048
LONGEST_ALL = 8192
"""Characters of all names and values: many servers take 8 KB of headers."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[ -~\xa0-\xff]*")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

_OF_THE_CONNECTION = {
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_OURS = {"accept-encoding", "user-agent"}
_OURS_BEGIN = ("content-", "milepost-", "proxy-", "sec-", "sendcloud-", "webhook-")


def fault_of(headers: Mapping[str, str]) -> str:
    """Why these may not be added, naming the first that may not; ``""``: they may.

    Names are tokens, values are printable Latin-1, which rules out line breaks.
    """
    if len(headers) > MOST:
        return f"there are more than {MOST} headers"
    if len({name.lower() for name in headers}) < len(headers):
        return "a header is named twice"
    if sum(len(name) + len(value) for name, value in headers.items()) > LONGEST_ALL:
        return f"the headers are longer than {LONGEST_ALL} characters together"
    return next((fault for one in headers.items() if (fault := _fault(*one))), "")


def can_be_sent(headers: Mapping[str, str]) -> bool:
    """Whether these, ours and a customer's, say nothing but themselves: looked at once more where
    they are sent, as one stored line break would be a request of somebody else's making."""
    values = "".join(headers.values())
    return _UNSENDABLE.search(values) is None and all(map(_is_ours_to_set, headers))


@lru_cache(4096)
def _is_ours_to_set(name: str) -> bool:
    return name.lower() not in _OF_THE_CONNECTION and _TOKEN.fullmatch(name) is not None


def _fault(name: str, value: str) -> str:
    if len(name) > LONGEST_NAME or _TOKEN.fullmatch(name) is None:
        return f"a header's name is a token of at most {LONGEST_NAME} characters"
    lower = name.lower()
    if lower in _OF_THE_CONNECTION:
        return f"{name} belongs to the connection and can't be set"
    if lower in _OURS or lower.startswith(_OURS_BEGIN):
        return f"{name} is set by Milepost"
    if len(value) > LONGEST_VALUE or _VALUE.fullmatch(value) is None:
        return f"{name}: a value is at most {LONGEST_VALUE} printable Latin-1 characters"
    return ""
