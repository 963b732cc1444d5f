"""More of what a statement must keep to on a cluster, and the same for the schema as a whole.

``sharding_rules`` judges statements one by one as they are written; here are the rules that need
the finished schema, the functions' arguments, or who calls them.
"""

import ast as python
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import AlterTableType, ConstrType
from tests.sharding_rules import (
    ABOUT_STATEMENTS,
    PLATFORM,
    TENANT,
    VOLATILE,
    columns,
    constraints,
    faults,
    indexes_start_with_the_account,
    platform_tables_know_no_account,
)
from tests.sql_reading import (
    MIGRATIONS,
    SOURCE,
    Statement,
    migration,
    nodes,
    numbered_parameters,
    query_files,
)

KEYS = {ConstrType.CONSTR_PRIMARY, ConstrType.CONSTR_UNIQUE, ConstrType.CONSTR_FOREIGN}
ACCOUNT_ARGUMENTS = {"p_account", "p_account_id"}
SETTING = "milepost.account_id"


def _is(node: Any, kind: type) -> bool:
    return isinstance(node, kind)


def _one_value(node: Any) -> bool:
    """A parameter, a constant or a function's own argument: one account, known beforehand."""
    if _is(node, ast.TypeCast):
        return _one_value(node.arg)
    if _is(node, ast.ColumnRef):
        return len(node.fields) == 1 and node.fields[0].sval in ACCOUNT_ARGUMENTS
    return _is(node, ast.ParamRef) or _is(node, ast.A_Const)


def _column(node: Any) -> str:
    return getattr(node.fields[-1], "sval", "") if _is(node, ast.ColumnRef) else ""


def _names_one_account(condition: Any) -> bool:
    if _is(condition, ast.BoolExpr):
        return condition.boolop == 0 and any(_names_one_account(part) for part in condition.args)
    if not _is(condition, ast.A_Expr) or condition.name[-1].sval != "=":
        return False
    if condition.kind != 0:
        return False
    left, right = condition.lexpr, condition.rexpr
    return any(
        _column(one) == "account_id" and _one_value(other)
        for one, other in ((left, right), (right, left))
    )


def a_lock_is_of_one_account(statement: Statement) -> Iterator[str]:
    """FOR UPDATE goes to one shard: its account is a constant there, never a join's or a list's."""
    own = {cte.ctename for cte in nodes(statement.tree, ast.CommonTableExpr)}
    for read in nodes(statement.tree, ast.SelectStmt):
        if not read.lockingClause:
            continue
        tables = {one.relname for one in nodes(read.fromClause, ast.RangeVar)} - own
        if tables & TENANT and not _names_one_account(read.whereClause):
            yield f"locks {sorted(tables & TENANT)} without one constant account"


def a_function_acts_for_its_argument(statement: Statement) -> Iterator[str]:
    """The account that row-level security is told is the one the caller named, and no other."""
    for call in nodes(statement.tree, ast.FuncCall):
        if call.funcname[-1].sval != "set_config" or len(call.args or ()) < 3:
            continue
        what, account, local = call.args[:3]
        if getattr(getattr(what, "val", None), "sval", "") != SETTING:
            continue
        inner = account.arg if _is(account, ast.TypeCast) else account
        if _column(inner) not in ACCOUNT_ARGUMENTS:
            yield "sets another account than its argument"
        if getattr(getattr(local, "val", None), "boolval", True) is False:
            yield "sets the account for longer than its transaction"


def account_functions(statements: Iterable[Statement]) -> set[str]:
    """The functions whose first argument is the account: they run where its rows are."""
    return {
        statement.tree.funcname[-1].sval
        for statement in statements
        if _is(statement.tree, ast.CreateFunctionStmt)
        and statement.tree.parameters
        and statement.tree.parameters[0].name in ACCOUNT_ARGUMENTS
    }


def not_sent_whole(where: str, tree: Any, functions: set[str]) -> Iterator[str]:
    """A call is run on the account's node only as ``SELECT f(...)`` or ``SELECT ... FROM f(...)``.

    In any other form it runs on the coordinator, outside a transaction without the account, and
    row-level security then hides every row from it.
    """
    calls = [one for one in nodes(tree, ast.FuncCall) if one.funcname[-1].sval in functions]
    if not calls:
        return
    sources: Any = tree.fromClause or ()
    alone = len(sources) == 1 and _is(sources[0], ast.RangeFunction)
    plain = not sources and len(tree.targetList) == 1 and tree.targetList[0].val is calls[0]
    if len(calls) > 1 or tree.whereClause or tree.withClause or not (alone or plain):
        yield f"{where} calls {calls[0].funcname[-1].sval} in a form that stays on the coordinator"
    inside = {one.funcname[-1].sval for one in nodes(calls[0].args, ast.FuncCall)}
    if inside & VOLATILE or nodes(calls[0].args, ast.SubLink):
        yield f"{where} calls {calls[0].funcname[-1].sval} with what only the coordinator knows"


def statements_in_python(files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """(where, tree) of each SELECT that stands as one string in Python."""
    for module, text in files:
        whole = python.parse(text)
        # The pieces of an f-string are no statements.
        pieces = {
            part
            for one in python.walk(whole)
            if isinstance(one, python.JoinedStr)
            for part in one.values
        }
        for node in python.walk(whole):
            said = node.value if isinstance(node, python.Constant) else None
            if node in pieces or not isinstance(said, str):
                continue
            if said.lstrip().startswith("SELECT ") and "{" not in said:
                yield f"{module}:{getattr(node, 'lineno', 0)}", parse_sql(said)[0].stmt


def statements_in_queries() -> Iterator[tuple[str, Any]]:
    """(where, tree) of each SELECT in the rooms' query files."""
    for path in query_files():
        for raw in parse_sql(numbered_parameters(path.read_text())):
            if _is(raw.stmt, ast.SelectStmt):
                yield f"{path.relative_to(SOURCE)}", raw.stmt


CLUSTER_RULES = [a_lock_is_of_one_account, a_function_acts_for_its_argument]


@dataclass
class Table:
    """A table of the finished schema."""

    name: str
    first: str
    keys: list[tuple[Any, list[str]]] = field(default_factory=list)
    partition: bool = False


def tables(statements: Iterable[Statement]) -> dict[str, Table]:
    """Every table with the keys it was made with or given later."""
    found: dict[str, Table] = {}
    for statement in statements:
        tree = statement.tree
        if _is(tree, ast.CreateStmt):
            own = columns(tree)
            first = own[0].colname if own else ""
            made = Table(tree.relation.relname, first, partition=tree.partbound is not None)
            made.keys += [(rule, about) for rule, about in constraints(tree)]
            found[made.name] = made
        if _is(tree, ast.AlterTableStmt) and tree.relation.relname in found:
            for command in tree.cmds:
                if command.subtype == AlterTableType.AT_AddConstraint:
                    rule = command.def_
                    named = rule.fk_attrs or rule.keys or ()
                    found[tree.relation.relname].keys.append((rule, [one.sval for one in named]))
                if command.subtype == AlterTableType.AT_AttachPartition:
                    found[command.def_.name.relname].partition = True
    return found


def table_faults(table: Table) -> Iterator[str]:
    """Why a table can't be spread, or kept apart: its place in the lists, its keys."""
    if table.name not in TENANT | PLATFORM:
        yield f"{table.name} is in neither list of tables"
    keys = [(rule, about) for rule, about in table.keys if rule.contype in KEYS]
    foreign = [rule for rule, _ in keys if rule.contype == ConstrType.CONSTR_FOREIGN]
    if table.name not in TENANT:
        if foreign:
            yield f"{table.name} is a platform table with a foreign key"
        return
    if table.first != "account_id":
        yield f"{table.name} does not start with account_id"
    if not any(rule.contype == ConstrType.CONSTR_PRIMARY for rule, _ in keys):
        yield f"{table.name} has no primary key"
    for _, about in keys:
        if about[:1] != ["account_id"]:
            yield f"{table.name}: a key starts with {about[:1]}"
    for rule in foreign:
        target = [column.sval for column in rule.pk_attrs or ()]
        if rule.pktable.relname not in TENANT or target[:1] != ["account_id"]:
            yield f"{table.name}: a foreign key points at {rule.pktable.relname} {target}"


def schema_faults(text: str) -> list[str]:
    """Every fault of a schema as a whole, its functions' bodies included."""
    statements = list(migration(text, "schema.sql"))
    found = [
        f"schema.sql: {fault}"
        for table in tables(statements).values()
        if not table.partition
        for fault in table_faults(table)
    ]
    rules = [*ABOUT_STATEMENTS, *CLUSTER_RULES]
    rules += [indexes_start_with_the_account, platform_tables_know_no_account]
    return found + faults(statements, rules)


SCHEMA = MIGRATIONS.parents[1] / "schema.sql"
