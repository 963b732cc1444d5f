"""What is told once and must agree everywhere: settings, and words that have no place here."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.sql_reading import SOURCE

from milepost.settings import Settings

ROOT = SOURCE.parent.parent
# The environment is read by settings; these hand it on to a child process or switch a test fault.
READS_ENVIRONMENT = {"settings.py", "failpoints.py", "db/unprivileged.py", "db/commit_faults.py"}


def settings_in(readme: str) -> dict[str, str]:
    """The rows of README's settings table: name -> default."""
    rows = re.findall(r"^\| `(MILEPOST_[A-Z_]+)` \|(.*?)\|", readme, re.MULTILINE)
    return {name: default.strip(" `") for name, default in rows}


def default_of(name: str) -> str:
    field = Settings.model_fields[name]
    if name == "state_dir":
        return "see above"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return (
        ""
        if field.default in (None, "")
        else f"{field.default:g}"
        if isinstance(field.default, float)
        else str(field.default)
    )


def test_readme_lists_every_setting_with_its_default() -> None:
    told = settings_in((ROOT / "README.md").read_text())
    assert told == {f"MILEPOST_{name.upper()}": default_of(name) for name in Settings.model_fields}


def test_only_settings_reads_the_environment() -> None:
    readers = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
                readers[path.relative_to(SOURCE).as_posix()].append(node.lineno)
    assert {name: lines for name, lines in readers.items() if name not in READS_ENVIRONMENT} == {}


def told_files() -> Iterator[Path]:
    """Everything that belongs to the project, found without git: a tarball has none."""
    skipped = {".git", ".venv", ".state", "build", "dist", "LICENSE"}
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        ours = not (skipped.intersection(parts) or any(part.endswith("_cache") for part in parts))
        if ours and path.is_file() and not re.search(r"\.(pyc|egg-info)|hypothesis", str(path)):
            yield path


# Spelled in pieces, or this file would be its own first find.
FOREIGN = re.compile(
    "|".join(
        [
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "/wo" + "rk/",
            "/opt/" + "py",
            "/tmp/" + r"v/",
        ]
    )
)


def test_no_file_names_a_registry_or_a_machine() -> None:
    named = [
        path.relative_to(ROOT).as_posix()
        for path in told_files()
        if FOREIGN.search(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert named == []


def test_what_make_offers_is_done_though_a_folder_has_its_name() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    offered = {found[1] for line in lines if (found := re.match(r'\t@echo "make (\S+)', line))}
    (phony,) = (line.split()[1:] for line in lines if line.startswith(".PHONY:"))
    assert offered | {"help"} == set(phony)
    assert {path.name for path in ROOT.iterdir() if path.is_dir()} & offered, "there are such"
