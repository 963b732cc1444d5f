"""``schema.sql``: what all migrations together make, to read. ``python -m milepost.db.schema``
writes it anew; a test compares it with the migrations.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.db.unprivileged import bundled_installation, clean_environment
from milepost.settings import Settings

FILE = Path(__file__).with_name("schema.sql")
HEADER = "-- Made from the migrations by `python -m milepost.db.schema`; to read, not to edit.\n\n"
# Session settings of pg_dump, its comments, and Alembic's own table are no part of our schema.
NOISE = re.compile(r"^(SET |SELECT pg_catalog\.set_config|--|\\(un)?restrict)")


def dump(dsn: str) -> str:
    """The schema of a migrated database, in the form of the file.

    Made with the bundled pg_dump, so the same everywhere.
    """
    program = bundled_installation() / "bin" / "pg_dump"
    options = ["--schema-only", "--no-owner", "--exclude-table=alembic_version"]
    done = subprocess.run(  # noqa: S603 our own program
        [str(program), *options, dsn],
        capture_output=True,
        check=True,
        text=True,
        env=clean_environment(),
    )
    return tidy(done.stdout)


def tidy(text: str) -> str:
    """Without pg_dump's comments and settings, and with one blank line at most.

    The bodies of functions are kept as they are, comments included.
    """
    lines: list[str] = []
    quote: str | None = None
    for line in text.splitlines():
        marks = re.findall(r"\$\w*\$", line)
        if quote is None and NOISE.match(line):
            continue
        if line or (lines and lines[-1]):
            lines.append(line)
        for mark in marks:
            quote = mark if quote is None else (None if mark == quote else quote)
    return HEADER + "\n".join(lines).strip() + "\n"


def write() -> None:
    """Runs all migrations in a database thrown away afterwards and writes the file."""
    with tempfile.TemporaryDirectory(prefix="milepost-schema-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Settings(state_dir=Path(folder) / "state"))
        try:
            dsn = server.start()
            asyncio.run(migrate(dsn))
            FILE.write_text(dump(dsn), encoding="utf-8")
        finally:
            server.stop()
    sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    write()
