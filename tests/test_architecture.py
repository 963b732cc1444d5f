"""The shape of the house, held by tests: sizes, rooms, carriers, tables."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sql_reading import (
    SOURCE,
    Statement,
    all_statements,
    query_file,
    query_files,
    tables_written,
)

ROOT = SOURCE.parent.parent
MOST_LINES = 300
MOST_FUNCTION_LINES = 60

# Exceptions to the two sizes, with the size they have. The lists may only shrink: an entry that is
# exceeded fails, and so does one that is no longer needed.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}

# A drawer is where things go that have no name.
DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "types", "misc"}

# Which room writes which table. More than one name is a seam, with its reason.
WRITERS = {
    "account": {"accounts"},
    "api_key": {"accounts"},
    "access_token": {"accounts"},
    "rate_window": {"accounts"},
    "idempotency_key": {"accounts"},
    "carrier_credential": {"accounts"},
    "operator_credential": {"accounts"},
    "contract": {"parcels"},
    "parcel": {"parcels"},
    "tracked_number": {"parcels"},
    "event": {"parcels"},
    "outbox": {"parcels", "notifications"},  # the seam: one room writes what the other tells
    "parcel_search": {"parcels"},
    "audit": {"parcels", "notifications"},  # a connection that is given up, in that statement
    "erasure": {"parcels"},
    "parcel_timing": {"parcels"},
    "lane_history": {"parcels"},
    "raw_payload": {"parcels"},
    "raw_payload_rest": {"parcels"},  # its part without a month
    "watch": {"parcels", "monitoring"},  # recording plans the next check, claiming leases it
    "lane": {"monitoring", "accounts"},  # a new credential wakes the lanes it serves
    "usage_day": {"parcels"},
    "usage_mark": {"parcels"},
    "check_day": {"monitoring"},
    "carrier_budget": {"monitoring"},
    "carrier_pause": {"monitoring"},
    "carrier_live": {"monitoring"},
    "carrier_drift": {"monitoring"},
    "carrier_hour": {"parcels"},
    "push_secret": {"intake"},
    "push_payload": {"intake", "parcels"},  # erasing a parcel takes what was brought about it
    "intake_turn": {"intake"},
    "feed": {"intake"},
    "connection": {"notifications"},
    "subscription": {"notifications"},
    "delivery_lane": {"notifications"},
    "feed_head": {"notifications"},
    "feed_event": {"notifications"},
    "told_status": {"notifications"},
    "message": {"notifications"},
    "delivery": {"notifications"},
    "delivery_attempt": {"notifications"},
    "delivery_attempt_rest": {"notifications"},
    "mail_refusal": {"notifications"},
    "mail_count": {"notifications"},
    "host_route": {"carriers"},
    "unmapped_code": {"parcels"},
    "installation": {"accounts"},
    "job": {"db"},
}

# A migration's functions belong to the room the file is called after, these to another one.
FUNCTION_ROOMS = {
    "plan_lane": "monitoring",
    "claim_watches": "monitoring",
    "finish_checks": "monitoring",
    "pause_lane": "monitoring",
    "wake_lane": "monitoring",
    "repair_lane": "monitoring",
    "take_carrier_slots": "monitoring",
    "return_carrier_slots": "monitoring",
    "hold_carrier": "monitoring",
    "raise_render_epoch": "accounts",
    "plan_deadline": "monitoring",
    "claim_checks": "monitoring",
    "uncount_checks": "monitoring",
    "claim_deadlines": "monitoring",
    "plan_old_deadlines": "monitoring",
    "take_to_learn": "monitoring",
    "plan_told": "monitoring",
}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with its length in lines, decorators and docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if ast.get_docstring(node) is not None and node.end_lineno != first.end_lineno:
                first = node.body[1]
            signature = first.lineno - node.lineno if first is node.body[0] else 1
            yield f"{relative(path)}:{node.name}", (node.end_lineno or 0) - first.lineno + signature


def too_long(sizes: dict[str, int], limit: int, allowed: dict[str, int]) -> list[str]:
    """What exceeds the limit or its exception, and exceptions nobody needs."""
    faults = [
        f"{name} has {size} lines, {allowed.get(name, limit)} are allowed"
        for name, size in sizes.items()
        if size > max(limit, allowed.get(name, 0))
    ]
    return faults + [
        f"{name} needs no exception" for name in allowed if sizes.get(name, 0) <= limit
    ]


def test_files_are_short() -> None:
    # Migrations are history and can't be cut into pieces later.
    files = python_files("src", "tests", "bench") + query_files()
    sizes = {relative(path): len(path.read_text().splitlines()) for path in files}
    assert too_long(sizes, MOST_LINES, LONG_FILES) == []


def test_functions_are_short() -> None:
    sizes = {name: size for path in python_files("src") for name, size in functions(path)}
    assert too_long(sizes, MOST_FUNCTION_LINES, LONG_FUNCTIONS) == []


def test_a_size_exception_only_shrinks() -> None:
    assert too_long({"a": 301}, 300, {}) == ["a has 301 lines, 300 are allowed"]
    assert too_long({"a": 321}, 300, {"a": 320}) == ["a has 321 lines, 320 are allowed"]
    assert too_long({"a": 299}, 300, {"a": 320}) == ["a needs no exception"]
    assert too_long({"a": 310}, 300, {"a": 320}) == []


def test_no_drawers() -> None:
    assert [relative(path) for path in python_files("src") if path.stem in DRAWERS] == []


def test_every_folder_with_python_is_a_package() -> None:
    # import-linter doesn't see a folder without __init__.py, so its rules would not hold there.
    bare = {path.parent for path in python_files("src") if "migrations" not in path.parts}
    assert [relative(folder) for folder in bare if not (folder / "__init__.py").exists()] == [
        "src"
    ] * (SOURCE.parent in bare)


# Carriers ---------------------------------------------------------------------------------------


def carrier_codes() -> set[str]:
    return {manifest.parent.name for manifest in (SOURCE / "catalogue").glob("*/manifest.toml")}


def carriers_named(source: str, codes: set[str]) -> list[int]:
    """Lines that compare something with a carrier's code, or import a carrier."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            compared = [
                leaf.value
                for side in [node.left, *node.comparators]
                for leaf in ast.walk(side)
                if isinstance(leaf, ast.Constant)
            ]
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            compared = [node.value.value]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "milepost.catalogue."
        ):
            compared = [(node.module or "").split(".")[2]]
        else:
            continue
        if codes.intersection(word for word in compared if isinstance(word, str)):
            lines.append(node.lineno)
    return lines


def test_no_carrier_is_named_outside_the_catalogue() -> None:
    codes = carrier_codes()
    named = [
        f"{relative(path)}:{line}"
        for path in python_files("src")
        if "catalogue" not in path.parts
        for line in carriers_named(path.read_text(), codes)
    ]
    named += [
        relative(path)
        for path in SOURCE.rglob("*.sql")
        if re.search(r"'(" + "|".join(sorted(codes) or ["-"]) + r")'", path.read_text())
    ]
    assert named == []


@pytest.mark.parametrize(
    "line",
    [
        "if carrier == 'dhl': pass",
        "x = code in ('ups', 'dhl')",
        "match code:\n    case 'dhl': pass",
        "from milepost.catalogue.dhl.connector import Connector",
    ],
)
def test_naming_a_carrier_is_noticed(line: str) -> None:
    assert carriers_named(line, {"dhl"})
    assert not carriers_named("code = 'dhl'", {"dhl"})


# Tables -----------------------------------------------------------------------------------------

WRITE_IN_PYTHON = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?)\s+([a-z_]+)\b"
)


def writes_in_sql(statements: list[Statement]) -> Iterator[tuple[str, str, str]]:
    """(room, table, where) for each write in .sql files, functions by their declared room."""
    for statement in statements:
        room = FUNCTION_ROOMS.get(statement.name, statement.room)
        for table in tables_written(statement.tree) if room else ():
            yield room, table, statement.where


def writes_in_python() -> Iterator[tuple[str, str, str]]:
    """The same for SQL in string constants of the rooms' modules."""
    for path in python_files("src"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for table in WRITE_IN_PYTHON.findall(node.value):
                    if table in WRITERS:
                        room = path.relative_to(SOURCE).parts[0]
                        yield room, table, f"{relative(path)}:{node.lineno}"


def strangers(writes: Iterator[tuple[str, str, str]]) -> list[str]:
    """Writes by a room that doesn't own the table."""
    return [
        f"{where}: {room} writes {table}"
        for room, table, where in writes
        if room not in WRITERS.get(table, set())
    ]


def test_a_table_is_written_by_its_room() -> None:
    assert strangers(writes_in_sql(all_statements())) == []
    assert strangers(writes_in_python()) == []


def test_every_declared_function_exists() -> None:
    names = {statement.name for statement in all_statements()}
    assert sorted(FUNCTION_ROOMS.keys() - names) == []


def test_a_strange_writer_is_noticed() -> None:
    planted = query_file("-- name: sneak!\nUPDATE parcel SET status = :s;\n", "monitoring")
    assert strangers(writes_in_sql(list(planted))) == [
        "monitoring: sneak: monitoring writes parcel"
    ]
