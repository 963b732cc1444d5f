"""A pasted tracking link: whose page it is, by the templates in the manifests, and its number."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_LINK = re.compile(r"(?:https?://)?(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?[/?#]\S*", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_STANDS_FOR = {
    "n": r"(?P<n>[^/]+?)",
    "pc": r"(?P<pc>[^/]*?)",
    "lang": r"[A-Za-z]{2}",
    # Where a carrier has a page for everybody it says `global` or the like.
    "cc": r"(?P<cc>[A-Za-z]{2,6})",
    "CC": r"(?P<cc>[A-Za-z]{2,6})",
}
_NUMBERLIKE = re.compile(r"(?=(?:.*\d){5})[A-Za-z0-9%+ ./_-]{5,60}")

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pasted:
    """What a link tells: its numbers, the carriers whose page it is, and those of its host."""

    numbers: tuple[str, ...]
    page_of: frozenset[str] = frozenset()
    host_of: frozenset[str] = frozenset()
    postal_code: str = ""
    country: str = ""


class Pages:
    """The tracking pages of a catalogue, by host."""

    def __init__(self, pages: Iterable[tuple[str, str]]) -> None:
        """``pages`` are carrier codes, each with one template."""
        self._by_host: dict[str, list[tuple[str, _Template]]] = defaultdict(list)
        for code, url in pages:
            template = _Template(url)
            self._by_host[template.host].append((code, template))

    def read(self, text: str) -> Pasted | None:
        """What ``text`` tells where it is a link, else None."""
        if not _LINK.fullmatch(text.strip()):
            return None
        link = _split(text.strip())
        if link is None:
            return None
        known = self._by_host.get(_host(link), [])
        exact = [(code, found) for code, one in known if (found := one.fields_of(link))]
        if exact:
            told: dict[str, str] = {}
            for _, fields in exact:
                told = {**fields, **told}
            # Without a postal code beside it the country is that of the reader, not of the parcel.
            country = told.get("cc", "").upper() if told.get("pc") else ""
            return Pasted(
                numbers=tuple(dict.fromkeys(fields["n"] for _, fields in exact)),
                page_of=frozenset(code for code, _ in exact),
                host_of=frozenset(code for code, _ in known),
                postal_code=told.get("pc", ""),
                country=country if len(country) == 2 else "",
            )
        return Pasted(tuple(_numbers_in(link)), host_of=frozenset(code for code, _ in known))


class _Template:
    """One tracking page, read backwards."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = _host(parts)
        self._path = _pattern(parts.path)
        self._query = _values(parts.query)
        route, _, after = parts.fragment.partition("?")
        self._route = _pattern(route)
        self._route_query = _values(after)

    def fields_of(self, link: SplitResult) -> dict[str, str]:
        """The number, and what else stands in ``link``; nothing where it is another page."""
        route, _, after = link.fragment.partition("?")
        path = self._path.fullmatch(unquote(link.path).rstrip("/"))
        hashed = self._route.fullmatch(unquote(route).rstrip("/"))
        if path is None or hashed is None:
            return {}
        found = {**path.groupdict(), **hashed.groupdict()}
        for wanted, given in ((self._query, link.query), (self._route_query, after)):
            values = {name.lower(): value for name, value in parse_qsl(given)}
            for name, pattern in wanted.items():
                if told := pattern.fullmatch(values.get(name, "")):
                    found |= told.groupdict()
        found = {name: value for name, value in found.items() if value}
        return found if found.get("n") else {}


def _pattern(template: str) -> re.Pattern[str]:
    pieces = _PLACEHOLDER.split(template.rstrip("/"))
    seen: set[str] = set()
    pattern = ""
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            pattern += re.escape(piece)
        else:
            group = _STANDS_FOR[piece]
            pattern += group if piece not in seen else "[^/]*?"
            seen.add(piece)
    return re.compile(pattern, re.IGNORECASE)


def _values(query: str) -> dict[str, re.Pattern[str]]:
    # Where two values stand side by side nobody can tell where the first one ends.
    pairs = parse_qsl(query)
    return {name.lower(): _pattern(value) for name, value in pairs if value.count("{") == 1}


def _host(link: SplitResult) -> str:
    return (link.hostname or "").lower().removeprefix("www.")


def _split(text: str) -> SplitResult | None:
    try:
        link = urlsplit(text if "://" in text else f"https://{text}")
        return link if link.hostname else None
    except ValueError:
        return None


def _numbers_in(link: SplitResult) -> Iterator[str]:
    """Whatever might be a number: values first, then the parts of the path from its end."""
    route, _, after = link.fragment.partition("?")
    values = [value for query in (link.query, after) for _, value in parse_qsl(query)]
    parts = reversed([*unquote(link.path).split("/"), *unquote(route).split("/")])
    for one in (*values, *parts):
        if _NUMBERLIKE.fullmatch(one):
            yield one
