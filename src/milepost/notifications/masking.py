"""What nobody may read of a connection in what is kept and shown of its exchanges. Pure.

A receiver may answer with what it was sent: a page for debugging, an echo. What its owner gave us
in confidence, and what signs, is hidden there before anything is kept.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from milepost.notifications.sealing import Secrets
from milepost.notifications.signing import SigningKeys

HIDDEN = "***"
"""Stands for what is not told."""
SHORTEST_HIDDEN = 8
"""Characters from which on the value of a header of one's own is looked for in answers: shorter
ones are words that answers have anyhow. What logs in is looked for however short it is."""
_LOGINS = ("token", "password", "api_key")


def spellings(secrets: Secrets, login: str, keys: SigningKeys | None) -> Sequence[bytes]:
    """The secrets as an answer may have them, within JSON too; the longest first, as one may hold
    another. ``login`` is what ``Authorization`` says."""
    found = set()
    for text in _texts(secrets, login, keys):
        found.add(text.encode())
        found |= {json.dumps(text, ensure_ascii=short)[1:-1].encode() for short in (True, False)}
    return sorted(found, key=len, reverse=True)


def masked(answer: bytes, hidden: Iterable[bytes], most: int) -> bytes:
    """The first ``most`` bytes of an answer, without what is ``hidden``."""
    longest = max(map(len, hidden), default=0)
    kept = answer[: most + longest]
    for one in hidden:
        kept = kept.replace(one, HIDDEN.encode())
    return kept[:most]


def _texts(secrets: Secrets, login: str, keys: SigningKeys | None) -> Iterator[str]:
    yield from (text for name in _LOGINS if (text := secrets.auth_config.get(name)))
    if login:
        yield login.rpartition(" ")[2]
    yield from (one for one in secrets.extra_headers.values() if len(one) >= SHORTEST_HIDDEN)
    if keys is not None:
        yield from (key for key in (keys.current, keys.former) if key)
