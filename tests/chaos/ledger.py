"""Append-only ledgers: what a client saw, what a carrier was asked. Written before it is used."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Ledger:
    """One JSON object a line, flushed line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a")

    def write(self, kind: str, **facts: Any) -> None:
        self._file.write(json.dumps({"kind": kind, "at": time.time(), **facts}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)


def hash_of(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


@dataclass
class Operation:
    """One registration as its client saw it: ``answers`` are the hashes of completed answers."""

    key: str
    account_id: int
    number: str
    carrier: str
    answers: list[str] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    unknown: int = 0
    invoked_at: float = 0
    acknowledged_at: float = 0


def operations(path: Path) -> dict[str, Operation]:
    """The registrations of a client ledger by key."""
    found: dict[str, Operation] = {}
    for line in lines(path):
        if line["kind"] == "invoke":
            key = line["key"]
            found[key] = Operation(
                key, line["account_id"], line["number"], line["carrier"], invoked_at=line["at"]
            )
            continue
        operation = found[line["key"]]
        match line["kind"]:
            case "ok":
                operation.answers.append(line["answer"])
                operation.acknowledged_at = operation.acknowledged_at or line["at"]
            case "fail":
                operation.refusals.append(line["status"])
            case "info":
                operation.unknown += 1
    return found
