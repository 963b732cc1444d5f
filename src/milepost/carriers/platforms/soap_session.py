"""Sessions of a SOAP service: a login's answer gives a token, a fault says that it is lost."""

from collections.abc import Callable

from milepost.carriers.connector import Broken, Credential, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.platforms.refusals import refusal_of
from milepost.carriers.platforms.soap_xml import Fault, body_of
from milepost.carriers.tokens import Granted, Tokens
from milepost.carriers.xml_tree import XmlTree
from milepost.errors import CarrierParseError

ANSWERED = frozenset({200, 500})
"""Statuses of an envelope; a fault comes with 500."""


def session_tokens(
    ask: Callable[[Credential], Request],
    read: Callable[[XmlTree], Granted | Refused | Broken],
    refused: Callable[[Fault, Answer], Refused | Broken],
    is_lost: Callable[[Fault], bool],
) -> Tokens:
    """The tokens of a login. ``read`` gets the element in its answer's body, ``refused`` its fault;
    ``is_lost`` tells whether a question's fault is about the token it came with."""

    def read_login(answer: Answer) -> Granted | Refused | Broken:
        if answer.status not in ANSWERED:
            return refusal_of(answer)
        try:
            told = body_of(answer)
        except CarrierParseError as error:
            return Broken(f"no token: {error}")
        return refused(told, answer) if isinstance(told, Fault) else read(told)

    def refuses(answer: Answer) -> bool:
        if answer.status not in ANSWERED:
            return False
        try:
            told = body_of(answer)
        except CarrierParseError:
            return False
        return isinstance(told, Fault) and is_lost(told)

    return Tokens(ask, read_login, refuses)
