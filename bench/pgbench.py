"""pgbench, the limit for what writes: the same statements, the same clients, the same server."""

import asyncio
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.house import Database, House

_DONE = re.compile(r"actually processed: ([0-9]+)")


@dataclass(frozen=True, slots=True)
class Script:
    """What to run. ``:n`` counts up from ``first``, each client in a range of its own.

    ``template`` is what numbers are added to where a parcel's id is meant.
    """

    text: str
    values: Mapping[str, str]
    template: int = 0


async def run(
    house: House,
    database: Database,
    script: Script,
    *,
    clients: int,
    first: int,
    span: int,
    seconds: float = 0.0,
    transactions: int = 0,
) -> int:
    """Run it as the role the API acts as; how many transactions were done.

    Each client takes its own ``span`` of numbers. ``transactions`` are a client's; 0: ``seconds``.
    """
    count = f"\\set n :first + :client_id * {span} + :k\n\\set k :k + 1\n"
    text = count + script.text
    ends = ["-t", str(transactions)] if transactions else ["-T", str(max(1, round(seconds)))]
    numbers = {"k": "0", "first": str(first), "template": str(script.template)}
    defined = [f"-D{name}={value}" for name, value in (numbers | dict(script.values)).items()]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(text)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            house.programs / "pgbench",
            *("-n", "-M", "prepared", "-f", file.name, "-c", str(clients), "-j", "1", *ends),
            *defined,
            database.name,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                "PGHOST": house.socket_folder,
                "PGUSER": "milepost",
                "PGOPTIONS": "-c role=milepost_app -c jit=off",
                "LD_LIBRARY_PATH": str(Path(house.programs).parent / "lib"),
            },
        )
        said, complained = await process.communicate()
    done = _DONE.search(said.decode())
    if process.returncode != 0 or done is None:
        raise RuntimeError(f"pgbench failed: {complained.decode()[:300]}")
    return int(done[1])
