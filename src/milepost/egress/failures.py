"""What an exchange failed of, from the HTTP client's exceptions; pure."""

import os
import ssl
from socket import EAI_AGAIN, gaierror

import aiohttp
from aiohttp.http import HttpProcessingError

from milepost.egress.outcomes import FailureKind

EXPECTED = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError)
"""What a receiver, a name server or the network between can make the HTTP client raise."""


def failure_of(error: BaseException) -> tuple[FailureKind, str]:
    """Kind and reason, in words of our own: the client's may hold URLs, headers and addresses."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "timeout", "no connection in time"
        case TimeoutError():
            return "timeout", "no whole answer in time"
        case aiohttp.ClientConnectorDNSError():
            return "dns", _look_up_failed(error.os_error)
        case aiohttp.ClientConnectorCertificateError():
            return "tls", _certificate(error.certificate_error)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls", "no TLS connection could be made"
        case aiohttp.ClientConnectorError():
            return "connect", _no_connection(error.os_error)
        case aiohttp.ServerDisconnectedError() | OSError():
            return "reset", "the connection was closed before the answer"
        case aiohttp.ClientPayloadError():
            return "protocol", "the answer ended too soon, or went on for too long"
    return "protocol", "the answer is not HTTP/1.1"


def _look_up_failed(error: OSError) -> str:
    if isinstance(error, gaierror) and error.errno == EAI_AGAIN:
        return "its name could not be looked up for now"
    return "its name is not known"


def _certificate(error: BaseException) -> str:
    told = getattr(error, "verify_message", "")
    return f"its certificate is not accepted: {told}" if told else "its certificate is not accepted"


def _no_connection(error: OSError) -> str:
    why = os.strerror(error.errno).lower() if error.errno else "none of its addresses answers"
    return f"no connection: {why}"
