"""The platform for SOAP: an envelope by template, an answer read as a tree, faults in words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from milepost.carriers.connector import Broken, Credential, Item, Outcome, Refused
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.platforms.one_by_one import one_by_one
from milepost.carriers.platforms.refusals import refusal_of
from milepost.carriers.rereading import Reread
from milepost.carriers.tokens import Tokens
from milepost.carriers.xml_tree import XmlTree, read_xml
from milepost.errors import CarrierParseError

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
    "<soap:Header>{header}</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault. ``detail`` is the name of the carrier's own kind of fault, ``""`` if none;
    ``code`` is the carrier's where it has one, else SOAP's. Its text may quote the number, and no
    code depends on it: it is not read."""

    detail: str
    code: str


@dataclass(frozen=True, slots=True)
class SoapXml:
    """A connector made of three functions: what to ask with a token, what the element in an
    answer's body says (``read``, which may raise CarrierParseError), and what a fault means.
    Where no login gives a token, the token is empty. ``reread`` is for readings that code and text
    alone don't give.
    """

    request: Callable[[Item, Credential, str], Request]
    read: Callable[[XmlTree, Item], Outcome]
    fault: Callable[[Fault, Item], Outcome]
    tokens: Tokens | None = None
    reread: Reread | None = None

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask one by one; after a refusal that concerns all, the rest is not asked."""

        async def fetch(item: Item) -> Answer | Refused | Broken:
            if self.tokens is None:
                return await carrier.fetch(self.request(item, credential, ""))
            return await self.tokens.fetch(
                carrier, credential, lambda token: self.request(item, credential, token)
            )

        return await one_by_one(items, fetch, self.outcome)

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``. Pure; no answer makes it raise."""
        if answer.status not in (200, 500):
            return refusal_of(answer)
        try:
            told = body_of(answer)
        except CarrierParseError:
            # No envelope: a proxy's or a maintenance page, which everybody gets.
            return Broken(f"answered {answer.status} and no SOAP")
        try:
            return self.fault(told, item) if isinstance(told, Fault) else self.read(told, item)
        except CarrierParseError as error:
            return Broken(f"unreadable: {error}", lane_wide=False)


def envelope(url: str, action: str, body: str, header: str = "") -> Request:
    """A question in SOAP 1.1. ``body`` and ``header`` are XML (see ``element``)."""
    return Request(
        url,
        headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'},
        method="POST",
        body=_ENVELOPE.format(header=header, body=body).encode(),
    )


def element(
    name: str, content: str | dict[str, str], namespace: str = "", *, qualified: bool = False
) -> str:
    """One element as XML. A dict makes children with texts, which are escaped; a str is text.

    Only the element itself is in ``namespace``, as services with unqualified parts want it; with
    ``qualified`` its children are, too.
    """
    opened = closed = name
    if namespace and qualified:
        opened = f'{name} xmlns="{namespace}"'
    elif namespace:
        opened, closed = f'n:{name} xmlns:n="{namespace}"', f"n:{name}"
    if isinstance(content, dict):
        inner = "".join(element(child, text) for child, text in content.items())
    else:
        inner = escape(content)
    return f"<{opened}>{inner}</{closed}>"


def body_of(answer: Answer) -> XmlTree | Fault:
    """The element in the body, or its fault. Raises CarrierParseError where there is neither."""
    root = read_xml(answer.body)
    told = next(root.child("Body").children(), None)
    if root.name != "Envelope" or told is None:
        raise CarrierParseError("the answer is no SOAP envelope")
    return _fault(told) if told.name == "Fault" else told


def _fault(told: XmlTree) -> Fault:
    own = next(told.child("detail").children(), None)
    if own is None:
        return Fault("", told.text("faultcode"))
    return Fault(
        own.name,
        own.text("errorCode") or own.text("faultCode") or told.text("faultcode"),
    )
