"""Reads every SQL statement the project holds, for the tests that judge them.

Three places hold SQL: migrations, the rooms' ``.sql`` query files, and the bodies of plpgsql
functions and DO blocks inside migrations. Each statement becomes one ``Statement``.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pglast
from pglast import ast, parse_plpgsql, parse_sql
from pglast.visitors import Visitor

SOURCE = Path(__file__).parent.parent / "src" / "milepost"
MIGRATIONS = SOURCE / "db" / "migrations" / "sql"
QUERY_NAME = re.compile(r"^--\s*name:\s*([A-Za-z0-9_-]+)", re.MULTILINE)
NAMED_PARAMETER = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|::|:([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, named for a person by ``where``.

    ``room`` is the folder of a query file; for a function it is what its migration is called
    (``parcels`` in ``0003_parcels.sql``); statements of a migration itself have none.
    """

    where: str
    room: str
    name: str
    tree: Any


def numbered_parameters(sql: str) -> str:
    """Turn ``:name`` into ``$n``, which PostgreSQL's own parser reads."""
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return NAMED_PARAMETER.sub(number, sql)


def query_file(text: str, room: str) -> Iterator[Statement]:
    """The statements of one room's query file, by their names."""
    parts = QUERY_NAME.split(text)
    for name, sql in zip(parts[1::2], parts[2::2], strict=True):
        body = sql[sql.index("\n") :]
        for raw in parse_sql(numbered_parameters(body)):
            yield Statement(f"{room}: {name}", room, name, raw.stmt)


def migration(text: str, file: str = "migration") -> Iterator[Statement]:
    """The statements of one migration, those inside functions and DO blocks included."""
    encoded = text.encode()
    for raw in _raw_statements(text):
        yield Statement(file, "", "", raw.stmt)
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else None
        own_text = encoded[raw.stmt_location : end].decode()
        if isinstance(raw.stmt, ast.CreateFunctionStmt):
            yield from _function(raw.stmt, own_text, file)
        elif isinstance(raw.stmt, ast.DoStmt):
            yield from _do_block(raw.stmt, file)


def _do_block(stmt: Any, file: str) -> Iterator[Statement]:
    body = next(option.arg.sval for option in stmt.args if option.defname == "as")
    text = f"CREATE FUNCTION body() RETURNS void LANGUAGE plpgsql AS $body$ {body} $body$"
    yield from _plpgsql(text, file, "")


def _raw_statements(text: str) -> Iterator[Any]:
    yield from parse_sql(text)  # typed as a union too wide to be of use


def _function(stmt: Any, text: str, file: str) -> Iterator[Statement]:
    name = stmt.funcname[-1].sval
    options = {option.defname: option.arg for option in stmt.options or ()}
    if options["language"].sval == "plpgsql":
        yield from _plpgsql(text, file, name)
    elif "as" in options:
        for raw in parse_sql(options["as"][0].sval):
            yield Statement(f"{file}: {name}", _named_room(file), name, raw.stmt)
    elif stmt.sql_body is not None:
        yield Statement(f"{file}: {name}", _named_room(file), name, stmt.sql_body)


def _named_room(file: str) -> str:
    return Path(file).stem.partition("_")[2]


def _plpgsql(text: str, file: str, name: str) -> Iterator[Statement]:
    # The parser has no catalog to look a row type up in.
    readable = re.sub(r"\b\w+%ROWTYPE\b", "record", text, flags=re.IGNORECASE)
    for expression in _expressions(json.loads(json.dumps(parse_plpgsql(readable)))):
        for raw in parse_sql(expression):
            room = _named_room(file) if name else ""
            yield Statement(f"{file}: {name or 'DO'}", room, name, raw.stmt)


def _expressions(node: Any) -> Iterator[str]:
    """Each SQL text inside a parsed plpgsql function, as a whole statement."""
    if isinstance(node, dict):
        if "PLpgSQL_expr" in node:
            yield _whole_statement(node["PLpgSQL_expr"])
        for value in node.values():
            yield from _expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _expressions(value)


def _whole_statement(expression: dict[str, Any]) -> str:
    query, mode = str(expression["query"]), expression.get("parseMode", 0)
    if mode == 0:
        return query
    if mode >= 3:  # an assignment: what stands right of its sign
        query = re.split(r":?=", query, maxsplit=1)[1]
    return f"SELECT {query}"


def migration_files() -> list[Path]:
    """The migrations in the order in which they run."""
    return sorted(MIGRATIONS.glob("*.sql"))


def query_files() -> list[Path]:
    """Every room's ``.sql`` file."""
    return sorted(
        path for path in SOURCE.rglob("*.sql") if "db" not in path.relative_to(SOURCE).parts
    )


def all_statements() -> list[Statement]:
    """Everything the project holds in .sql files."""
    found = [
        statement
        for path in migration_files()
        for statement in migration(path.read_text(), path.name)
    ]
    for path in query_files():
        found += query_file(path.read_text(), path.relative_to(SOURCE).parts[0])
    return found


class _Nodes(Visitor):
    def __init__(self, kinds: tuple[type, ...]) -> None:
        self.kinds = kinds
        self.found: list[Any] = []

    def visit(self, ancestors: Any, node: Any) -> None:
        if isinstance(node, self.kinds):
            self.found.append(node)


def nodes(tree: Any, *kinds: type) -> list[Any]:
    """Every node of these kinds in a statement, the statement itself included."""
    visitor = _Nodes(kinds)
    visitor(tree)
    return visitor.found


def tables_named(tree: Any) -> set[str]:
    """The tables a statement names, without those that it defines itself in a WITH."""
    own = {cte.ctename for cte in nodes(tree, ast.CommonTableExpr)}
    return {table.relname for table in nodes(tree, ast.RangeVar)} - own


def tables_written(tree: Any) -> set[str]:
    """The tables a statement inserts into, updates, deletes from or truncates."""
    writes = nodes(tree, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
    written = {write.relation.relname for write in writes}
    for truncate in nodes(tree, ast.TruncateStmt):
        written |= {table.relname for table in truncate.relations}
    return written


def parsed(sql: str) -> Any:
    """One statement's tree, for tests of these readers."""
    return pglast.parse_sql(sql)[0].stmt
