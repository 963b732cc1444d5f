"""The migrations as they lie in their folder, oldest first."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("migrations") / "sql"
FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One .sql file."""

    revision: str
    path: Path

    @property
    def sql(self) -> str:
        """Its statements."""
        return self.path.read_text(encoding="utf-8")

    @property
    def in_transaction(self) -> bool:
        """False for a file that begins with ``-- no transaction``."""
        return not self.sql.startswith("-- no transaction")


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """All of them, oldest first. Two files of one number are a mistake."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        name = FILE_NAME.fullmatch(path.name)
        if name is None:
            raise ValueError(f"{path.name} is not named NNNN_name.sql")
        found.append(Migration(name[1], path))
    if len({migration.revision for migration in found}) != len(found):
        raise ValueError(f"two migrations in {folder} have the same number")
    return found
