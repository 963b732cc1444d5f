"""Who asks the database, and whether a serialization error (40001, 40P01) would be repeated.

Read from the syntax tree: a statement of a pool's, and a transaction of one account's, must stand
inside ``retrying(...)``, or in a function that is only ever called from there.
"""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

STATEMENTS = {
    "execute",
    "executemany",
    "fetch",
    "fetchrow",
    "fetchval",
    "copy_records_to_table",
    "acquire",
}
QUERIES = {"QUERIES", "statements"}
# What opens a transaction of one account.
TENANT = "tenant"
REPEATS = {"retrying", "all_rows", "lanes_of"}
FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Place:
    """One use of a name or of the database: in which function, and whether under ``retrying``."""

    module: str
    line: int
    names: tuple[str, ...]
    """The functions around it, outermost first."""
    guarded: bool
    method: bool = False
    """Whether the innermost of those functions is a method."""
    said: str = ""
    """For a use: what stood before the dot."""
    lent: bool = False
    """For a use: whether it is a call on a connection, which its caller has from a transaction."""

    @property
    def function(self) -> str:
        return f"{self.module} {'.'.join(self.names) or 'module'}"

    @property
    def where(self) -> str:
        return self.function.replace(" ", f":{self.line} ", 1)


@dataclass
class Source:
    """What was found in all modules."""

    asks: list[Place] = field(default_factory=list)
    uses: dict[str, list[Place]] = field(default_factory=dict)
    nested: list[Place] = field(default_factory=list)
    """A transaction of an account that is opened inside another one."""
    imports: dict[tuple[str, str], str] = field(default_factory=dict)
    """(module, name in it) -> where it comes from, dotted."""


def _ends(node: ast.expr, word: str) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return str(name).endswith(word)


def _is_pool(node: ast.expr) -> bool:
    return _ends(node, "pool")


def _is_connection(node: ast.expr) -> bool:
    return _ends(node, "conn") or _ends(node, "connection")


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


class _Reader(ast.NodeVisitor):
    def __init__(self, module: str, source: Source) -> None:
        self.module, self.source = module, source
        self.names: list[str] = []
        self.methods: list[bool] = []
        self.in_class = False
        self.guards = 0
        self.tenants = 0
        self.lends = False

    def _place(self, node: ast.AST, said: str = "") -> Place:
        line = getattr(node, "lineno", 0)
        method = bool(self.methods and self.methods[-1])
        names, guarded = tuple(self.names), self.guards > 0
        return Place(self.module, line, names, guarded, method, said, self.lends)

    def _function(self, node: FunctionNode) -> None:
        # What is inside runs when it is called, not where it is written.
        guards, tenants, self.guards, self.tenants = self.guards, self.tenants, 0, 0
        self.names.append(node.name)
        self.methods.append(self.in_class)
        self.in_class = False
        for part in node.body:
            self.visit(part)
        self.names.pop()
        self.in_class = self.methods.pop()
        self.guards, self.tenants = guards, tenants

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outside, self.in_class = self.in_class, True
        self.generic_visit(node)
        self.in_class = outside

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for one in node.names:
            origin = f"{node.module}.{one.name}"
            self.source.imports[self.module, one.asname or one.name] = origin

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        opened = 0
        for item in node.items:
            self.visit(item.context_expr)
            opened += any(
                isinstance(one, ast.Call) and _called(one) == TENANT
                for one in ast.walk(item.context_expr)
            )
        if opened and (self.tenants or opened > 1):
            self.source.nested.append(self._place(node))
        self.tenants += opened
        for part in node.body:
            self.visit(part)
        self.tenants -= opened

    def visit_Call(self, node: ast.Call) -> None:
        retry = _called(node) in REPEATS
        asks = (
            isinstance(node.func, ast.Attribute)
            and (
                (node.func.attr in STATEMENTS and _is_pool(node.func.value))
                # aiosql's statements take the pool in the place of a connection.
                or (
                    getattr(node.func.value, "id", "") in QUERIES
                    and any(map(_is_pool, node.args[:1]))
                )
            )
        )
        if asks or _called(node) == TENANT:
            self.source.asks.append(self._place(node))
        self.lends = any(map(_is_connection, node.args[:1]))
        self.visit(node.func)
        self.lends = False
        self.guards += retry
        for part in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.visit(part)
        self.guards -= retry

    def visit_Name(self, node: ast.Name) -> None:
        self.source.uses.setdefault(node.id, []).append(self._place(node))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        said = node.value.id if isinstance(node.value, ast.Name) else "?"
        self.source.uses.setdefault(node.attr, []).append(self._place(node, said))
        self.visit(node.value)


def read(files: Sequence[tuple[str, str]]) -> Source:
    """``files`` are (module, text)."""
    source = Source()
    for module, text in files:
        _Reader(module, source).visit(ast.parse(text))
    return source


def unguarded(source: Source, lent: Collection[str] = ()) -> Iterator[str]:
    """Every place that asks the database and would not ask again.

    ``lent``: functions ("module function") that may be given the connection of a caller's
    transaction. That is the caller's to repeat; any other use of them must stand under retrying.
    """
    for place in source.asks:
        if not _safe(source, place, lent, frozenset()):
            yield f"{place.where} asks without retrying"


def _safe(source: Source, place: Place, lent: Collection[str], seen: frozenset[str]) -> bool:
    if place.guarded:
        return True
    if not place.names or place.names[-1] in seen:
        return False
    name = place.names[-1]
    uses = [use for use in source.uses.get(name, ()) if _same(source, use, place)]
    return bool(uses) and all(
        (use.lent and place.function in lent) or _safe(source, use, lent, seen | {name})
        for use in uses
    )


def _same(source: Source, use: Place, place: Place) -> bool:
    """Whether a use of a name may mean the function that ``place`` is in."""
    name = place.names[-1]
    if use.module == place.module:
        return not (use.said == "" and place.method)
    if name.startswith("_") or len(place.names) > 1:
        return False
    if place.method:
        return use.said != ""
    home = "milepost." + place.module.removesuffix(".py").replace("/", ".")
    return source.imports.get((use.module, use.said or name)) in (home, f"{home}.{name}")


def python_sources(folder: Path) -> list[tuple[str, str]]:
    return [
        (path.relative_to(folder).as_posix(), path.read_text())
        for path in sorted(folder.rglob("*.py"))
    ]
