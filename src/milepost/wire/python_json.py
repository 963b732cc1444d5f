"""JSON as Python's ``json.dumps`` writes it by default: blanks behind ``,`` and ``:``, ASCII alone,
keys as they came.

Sendcloud's own signature is one over these bytes. Half of its clients check it over the raw body,
the other half (Odoo's among them) parse the body, dump it again and check that; bodies in this
form, and in no other, satisfy both.
"""

import json


def dumped(document: object) -> bytes:
    """``document`` such that ``json.dumps(json.loads(body)).encode() == body``.

    Raises ValueError for what does not survive that in every language: NaN, infinities, half of a
    surrogate pair. What the database has held is free of them.
    """
    text = json.dumps(document, allow_nan=False)
    if "\\ud" in text:
        # Most often a character beyond 16 bits, which is a pair; half of one can't be encoded.
        json.dumps(document, ensure_ascii=False).encode()
    return text.encode("ascii")
