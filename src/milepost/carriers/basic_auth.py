"""HTTP Basic, with which many carriers know a login."""

import base64


def basic(user: str, secret: str) -> str:
    """The ``Authorization`` header of a login."""
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
