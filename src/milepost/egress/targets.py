"""Reads a URL that a customer gave, as the HTTP client will; pure."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from yarl import URL

from milepost.egress.outcomes import Forbidden
from milepost.egress.policy import Policy

LONGEST = 2048
"""Characters of a URL."""
_AUTHORITY = re.compile(r"https?://(?P<authority>[^/?#]*)[^\\]*", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[0-9a-f:.]+\](:\d*)?", re.IGNORECASE)
_NAME = re.compile(r"(?=.{1,253}\.?\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)\.?")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. ``host`` is in the form that is looked up (ASCII, lower case)."""

    url: URL
    host: str
    port: int


def target_of(text: str, policy: Policy) -> Target | Forbidden:
    """``text`` as a target, or why it is none; what its name leads to shows only when it is called.

    Full-width digits, percent signs and numbers that stand for IPv4 addresses are read as yarl and
    aiohttp read them: what is judged is what they would dial.
    """
    if fault := _fault(text):
        return Forbidden(fault)
    try:
        url = URL(text)
        host, port = url.raw_host, url.port
    except ValueError:
        return Forbidden("it is no URL")
    if not host or not port:
        return Forbidden("it has no host" if not host else "port 0 can't be called")
    return _judged(Target(url, host, port), policy)


def _fault(text: str) -> str:
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if not text.isprintable() or " " in text:
        return "it holds blanks or control characters"
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return "it does not begin with http:// or https://, or holds a backslash"
    if "@" in found["authority"]:
        return "it holds a user name or password; give them as the connection's own"
    if "[" in found["authority"] and _BRACKETS.fullmatch(found["authority"]) is None:
        # A zone belongs to one machine; [v1.a] is a form that nobody has defined.
        return "what is in its brackets is no IPv6 address"
    return ""


def _judged(target: Target, policy: Policy) -> Target | Forbidden:
    try:
        address = ip_address(target.host)
    except ValueError:
        if _NAME.fullmatch(target.host) is None:
            return Forbidden("its host is no name that can be looked up")
        if _NUMBER.fullmatch(target.host.rstrip(".").rpartition(".")[2]):
            # 127.1, 0177.0.0.1, 2130706433: looked up, these become addresses.
            return Forbidden("its host is no IPv4 address in the usual form")
        return policy.port_refusal(target.host, target.port) or target
    return policy.refusal(target.host, target.port, address) or target
