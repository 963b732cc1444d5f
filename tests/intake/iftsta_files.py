"""IFTSTA files as carriers send them, and what is read from them."""

import io

from milepost.errors import FileUnreadable
from milepost.intake.files import read_file
from milepost.intake.told_rows import FileRow, Sender

MOST = 10_000_000
SENDER = Sender("slowpost")


def message(*body: str, reference: str = "1", release: str = "01B") -> list[str]:
    """A message around ``body``, its segments counted."""
    head = f"UNH+{reference}+IFTSTA:D:{release}:UN"
    return [head, "BGM+77+DOC+9", *body, f"UNT+{len(body) + 3}+{reference}"]


def interchange(*messages: list[str], charset: str = "UNOC") -> list[str]:
    head = f"UNB+{charset}:3+CARRIER+SHOP+260105:0900+REF"
    return [head, *(one for parts in messages for one in parts), f"UNZ+{len(messages)}+REF"]


def status(code: str = "21", at: str = "202601050830", number: str = "A1") -> tuple[str, ...]:
    return f"CNI+1+{number}", f"STS+1+{code}", f"DTM+334:{at}:203"


def file(parts: list[str], encoding: str = "latin-1") -> bytes:
    return "".join(f"{one}'" for one in parts).encode(encoding)


def all_rows(data: bytes, sender: Sender = SENDER) -> tuple[list[FileRow], str]:
    """What is read, and why it ended early."""
    found: list[FileRow] = []
    try:
        for row in read_file(io.BytesIO(data), sender, most_bytes=MOST):
            found.append(row)  # noqa: PERF402 an error must not lose them
    except FileUnreadable as error:
        return found, str(error)
    return found, ""


def one(data: bytes, sender: Sender = SENDER) -> FileRow:
    found, ended = all_rows(data, sender)
    assert not ended
    (row,) = found
    return row
