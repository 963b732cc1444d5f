"""Correos Express's older service, which speaks XML: what to ask, and an answer in the newer form.

Its elements are named as the members of the JSON are, but for a capital at the beginning.
"""

from typing import Any
from xml.sax.saxutils import escape

from milepost.carriers.answer_tree import Tree
from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Credential, Item
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.xml_tree import XmlTree
from milepost.errors import CarrierParseError
from milepost.tracking.parcel import number_key

URL = "https://www.correosexpress.com/wpsc/apiRestSeguimientoEnvios/rest/seguimientoEnvios"
NAME = "xml"
"""What an operator puts into the field ``interface``."""
_ROOT = "SeguimientoEnviosResponse"
_LISTS = ("EstadoEnvios", "BultoSeguimiento")


def is_chosen(credential: Credential) -> bool:
    """Whether the login is one for the older service."""
    return credential.fields.get("interface", "").strip().lower() == NAME


def is_answer(answer: Answer) -> bool:
    """Whether it is the older service that answered."""
    return f"<{_ROOT}".encode() in answer.body[:400]


def request(item: Item, credential: Credential) -> Request:
    """One number with all its states."""
    fields = credential.fields
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><SeguimientoEnviosRequest>'
        f"<Solicitante>{escape(fields.get('customer_code', ''))}</Solicitante>"
        f"<Dato>{escape(number_key(item.number))}</Dato></SeguimientoEnviosRequest>"
    )
    return Request(
        URL,
        headers={
            "Authorization": basic(fields.get("username", ""), fields.get("password", "")),
            "Content-Type": "application/xml",
            "Accept": "application/xml",
        },
        method="POST",
        body=body.encode(),
        remember=False,
    )


def in_the_newer_form(document: XmlTree) -> Tree:
    """The answer as the newer service tells it. Raises CarrierParseError for any other document."""
    if document.name != _ROOT:
        raise CarrierParseError("an answer to another question than about a shipment")
    lists = {_named(name): [_members(one) for one in document.items(name)] for name in _LISTS}
    return Tree({**_members(document), **lists}, "answer")


def _members(parent: XmlTree) -> dict[str, Any]:
    """The texts right below, by their names; the first of each."""
    names = dict.fromkeys(one.name for one in parent.children())
    return {_named(name): parent.text(name) for name in names}


def _named(name: str) -> str:
    return name[:1].lower() + name[1:]
