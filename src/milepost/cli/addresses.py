"""What is checked before anything starts: the port, TLS, trusted proxies, what we may call."""

import socket
import ssl

from milepost.api.client_address import TrustedProxies
from milepost.egress.policy import Policy
from milepost.errors import ConfigurationError
from milepost.notifications.mail_server import MailServer
from milepost.settings import Settings


def claim_port(settings: Settings) -> socket.socket:
    """Binds host and port without SO_REUSEPORT: the server itself would share a taken port.

    The caller closes it when the server is about to start; port 0 has become a real one.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(
            f"can't listen on {settings.host}:{settings.port}: {reason}"
        ) from error
    return bound


def check_door(settings: Settings) -> None:
    """Refuses half a TLS configuration, files that are no certificate and key, odd proxies, odd
    exceptions of what customers may make us call, a mail server that can't be one."""
    TrustedProxies(settings.trusted_proxies)
    Policy.of(settings)
    MailServer.of(settings)
    if settings.tls_cert is None and settings.tls_key is None:
        return
    if settings.tls_cert is None or settings.tls_key is None:
        raise ConfigurationError("set both MILEPOST_TLS_CERT and MILEPOST_TLS_KEY, or neither")
    for path in (settings.tls_cert, settings.tls_key):
        if not path.is_file():
            raise ConfigurationError(f"there is no TLS file {path}")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"{settings.tls_cert} and {settings.tls_key} are no certificate and its key: {reason}"
        ) from error


def url_of(settings: Settings, port: int) -> str:
    """Where a browser on this machine finds us."""
    scheme = "https" if settings.tls_cert is not None else "http"
    host = reachable_host(settings.host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def reachable_host(host: str) -> str:
    """The loopback address where we listen on all of them."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
