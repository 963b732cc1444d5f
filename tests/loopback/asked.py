"""One question as a carrier's server meets it, and how it says that it does not take it."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Never
from urllib.parse import parse_qs

import orjson
from lxml import etree

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a carrier answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusing(Exception):
    """The carrier refuses in its own words: a wrong login, a token that ran out."""

    def __init__(self, told: Told) -> None:
        super().__init__(told.status)
        self.told = told


class Misasked(Exception):
    """The question is not the documented one; no carrier's words are known for that."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question. What was looked at is kept in ``heeded``: spoilt, it must not be answered."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    parts: Mapping[str, str]
    """What stands in the place of the names in the door's path."""
    heeded: set[tuple[str, str]] = field(default_factory=set)

    def header(self, name: str) -> str:
        self.heeded.add(("header", name.lower()))
        return self.headers.get(name.lower(), "")

    def parameters(self, name: str) -> list[str]:
        self.heeded.add(("query", name))
        return self.query.get(name, [])

    def parameter(self, name: str) -> str:
        """The one value of a parameter that must be there."""
        told = self.parameters(name)
        self.must(len(told) == 1 and bool(told[0]), f"one parameter {name}")
        return told[0]

    def login(self) -> tuple[str, str]:
        """User and password of HTTP Basic."""
        kind, _, told = self.header("Authorization").partition(" ")
        try:
            user, _, password = base64.b64decode(told, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return (user, password) if kind == "Basic" else ("", "")

    def bearer(self) -> str:
        kind, _, token = self.header("Authorization").partition(" ")
        return token if kind == "Bearer" else ""

    def document(self) -> Any:
        """The JSON that was sent, as such."""
        self.heeded.add(("body", ""))
        kind = self.header("Content-Type").partition(";")[0]
        self.must(kind == "application/json", "a body that is called JSON")
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            self.misasked("a body that is JSON")

    def form(self) -> dict[str, str]:
        self.heeded.add(("body", ""))
        kind = self.header("Content-Type").partition(";")[0]
        self.must(kind == "application/x-www-form-urlencoded", "a body that is called a form")
        told = parse_qs(self.body.decode(), keep_blank_values=True)
        self.must(all(len(values) == 1 for values in told.values()), "each field once")
        return {name: values[0] for name, values in told.items()}

    def soap(self) -> "tuple[etree._Element | None, etree._Element]":
        """The first element of the header (None without) and that of the body."""
        self.heeded.add(("body", ""))
        self.must(self.header("Content-Type").startswith("text/xml"), "a body that is called XML")
        try:
            root = etree.fromstring(self.body)
        except etree.XMLSyntaxError:
            self.misasked("a body that is XML")
        header, body = root.find(f"{SOAP}Header"), root.find(f"{SOAP}Body")
        if root.tag != f"{SOAP}Envelope" or body is None or len(body) != 1:
            self.misasked("a SOAP envelope with one question")
        return (header[0] if header is not None and len(header) else None), body[0]

    def must(self, condition: bool, what: str) -> None:
        """The question is the documented one only with ``what``."""
        if not condition:
            self.misasked(what)

    def misasked(self, what: str) -> Never:
        raise Misasked(f"{self.method} {self.path}: {what} is wanted")
