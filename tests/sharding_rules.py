"""What a statement must keep to, so that the database can be spread over machines by account.

Tried on a sharded PostgreSQL: single-account statements work there in full, these don't. Each rule
is a function from statements to faults, so that a test can plant a bad statement and see it bite.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, ConstrType, SubLinkType
from tests.sql_reading import Statement, nodes, tables_named

TENANT = {
    "account",
    "api_key",
    "access_token",
    "rate_window",
    "idempotency_key",
    "carrier_credential",
    "contract",
    "parcel",
    "tracked_number",
    "event",
    "watch",
    "lane",
    "outbox",
    "parcel_search",
    "audit",
    "erasure",
    "parcel_timing",
    "lane_history",
    "raw_payload",
    "usage_day",
    "usage_mark",
    "check_day",
    "push_secret",
    "push_payload",
    "intake_turn",
    "feed",
    "carrier_hour",
    "connection",
    "subscription",
    "delivery_lane",
    "feed_head",
    "feed_event",
    "told_status",
    "message",
    "delivery",
    "delivery_attempt",
    "mail_refusal",
    "mail_count",
}
PLATFORM = {
    "installation",
    "operator_credential",
    "carrier_budget",
    "carrier_pause",
    "carrier_live",
    "carrier_drift",
    "host_route",
    "job",
    "unmapped_code",
    "alembic_version",
}

# What need not start with the account: the four hot indexes that may start with a time (whose turn
# is it, whose deadline, who was told something, who is to be told something, over all accounts: of
# tables that are small), and words that each begin with their account.
OTHER_INDEXES = {
    "lane_turn",
    "lane_deadline",
    "intake_turn_at",
    "delivery_lane_turn",
    "parcel_search_words",
}

VOLATILE = {"clock_timestamp", "random", "nextval", "gen_random_uuid", "timeofday"}
NEVER_CALLED = {
    "pg_advisory_lock",
    "pg_advisory_xact_lock",
    "pg_try_advisory_lock",
    "pg_try_advisory_xact_lock",
    "pg_notify",
}
INTEGER_KEYS = {"serial", "serial4", "smallserial", "serial2"}
TIMES_WITHOUT_ZONE = {"timestamp", "time", "timetz"}

Rule = Callable[[Statement], Iterator[str]]


def _is(node: Any, kind: type) -> bool:
    """``isinstance`` that doesn't narrow: pglast types every part of a node as perhaps missing."""
    return isinstance(node, kind)


def created(statement: Statement) -> Any:
    """The table a statement creates, else None; a partition is part of one."""
    tree = statement.tree
    return tree if isinstance(tree, ast.CreateStmt) and tree.partbound is None else None


def columns(table: Any) -> list[Any]:
    return [part for part in table.tableElts if isinstance(part, ast.ColumnDef)]


def constraints(table: Any) -> Iterator[tuple[Any, list[str]]]:
    """Each constraint with the columns it is about, written at a column or at the table."""
    for part in table.tableElts:
        if isinstance(part, ast.Constraint):
            named = part.fk_attrs if part.contype == ConstrType.CONSTR_FOREIGN else part.keys
            yield part, [column.sval for column in named or ()]
        for constraint in getattr(part, "constraints", None) or ():
            yield constraint, [part.colname]


def every_table_is_listed(statement: Statement) -> Iterator[str]:
    table = created(statement)
    if table and table.relation.relname not in TENANT | PLATFORM:
        yield f"{table.relation.relname} is in neither list of tables"


def account_comes_first(statement: Statement) -> Iterator[str]:
    table = created(statement)
    if not table or table.relation.relname not in TENANT:
        return
    name = table.relation.relname
    kinds = {ConstrType.CONSTR_PRIMARY, ConstrType.CONSTR_UNIQUE, ConstrType.CONSTR_FOREIGN}
    found = [(rule, about) for rule, about in constraints(table) if rule.contype in kinds]
    if columns(table)[0].colname != "account_id":
        yield f"{name} does not start with account_id"
    if not any(rule.contype == ConstrType.CONSTR_PRIMARY for rule, _ in found):
        yield f"{name} has no primary key"
    for rule, about in found:
        if about[0] != "account_id":
            yield f"{name}: a key starts with {about[0]}"
        if rule.contype == ConstrType.CONSTR_FOREIGN:
            target = [column.sval for column in rule.pk_attrs or ()]
            if rule.pktable.relname not in TENANT or target[:1] != ["account_id"]:
                yield f"{name}: a foreign key points at {rule.pktable.relname} {target}"


def platform_tables_know_no_account(statement: Statement) -> Iterator[str]:
    table = created(statement)
    if table and table.relation.relname in PLATFORM:
        if any(column.colname == "account_id" for column in columns(table)):
            yield f"{table.relation.relname} is a platform table with an account_id"
        if any(rule.contype == ConstrType.CONSTR_FOREIGN for rule, _ in constraints(table)):
            yield f"{table.relation.relname} is a platform table with a foreign key"


def indexes_start_with_the_account(statement: Statement) -> Iterator[str]:
    index = statement.tree
    if not _is(index, ast.IndexStmt) or index.relation.relname not in TENANT:
        return
    first = index.indexParams[0].name
    if first != "account_id" and (index.idxname not in OTHER_INDEXES or index.unique):
        yield f"index {index.idxname} starts with {first}"


def ids_come_from_big_sequences(statement: Statement) -> Iterator[str]:
    table = created(statement)
    if not table:
        return
    for rule, about in constraints(table):
        if rule.contype == ConstrType.CONSTR_IDENTITY:
            yield f"{table.relation.relname}.{about[0]} is an identity column"
    for column in columns(table):
        if column.typeName.names[-1].sval in INTEGER_KEYS:
            yield f"{table.relation.relname}.{column.colname} is a small sequence"


def times_have_a_zone(statement: Statement) -> Iterator[str]:
    for node in nodes(statement.tree, ast.TypeName):
        if node.names and node.names[-1].sval in TIMES_WITHOUT_ZONE:
            yield f"{node.names[-1].sval} has no time zone"


def nothing_hidden_runs(statement: Statement) -> Iterator[str]:
    kinds = (ast.CreateTrigStmt, ast.RuleStmt, ast.ListenStmt, ast.NotifyStmt)
    for node in nodes(statement.tree, *kinds):
        yield f"{type(node).__name__} is not for us"
    for call in nodes(statement.tree, ast.FuncCall):
        if call.funcname[-1].sval in NEVER_CALLED:
            yield f"{call.funcname[-1].sval} does not reach other machines"


def updates_call_nothing_volatile(statement: Statement) -> Iterator[str]:
    for update in nodes(statement.tree, ast.UpdateStmt):
        for call in nodes(update, ast.FuncCall):
            if call.funcname[-1].sval in VOLATILE and update.relation.relname in TENANT:
                yield f"{call.funcname[-1].sval}() in an UPDATE"


def values_hold_no_subquery(statement: Statement) -> Iterator[str]:
    for insert in nodes(statement.tree, ast.InsertStmt):
        rows = insert.selectStmt.valuesLists if insert.selectStmt else None
        if rows and insert.relation.relname in TENANT and nodes(insert.selectStmt, ast.SubLink):
            yield f"a subquery in INSERT INTO {insert.relation.relname} ... VALUES"


def worlds_do_not_mix(statement: Statement) -> Iterator[str]:
    if isinstance(statement.tree, ast.GrantStmt):
        return
    named = tables_named(statement.tree)
    if named & TENANT and named & PLATFORM:
        yield f"names {sorted(named & TENANT)} and {sorted(named & PLATFORM)} together"


def _ends_with_account(node: Any) -> bool:
    if _is(node, ast.RowExpr):
        return any(_ends_with_account(part) for part in node.args)
    return _is(node, ast.ColumnRef) and getattr(node.fields[-1], "sval", "") == "account_id"


def _pins_account(condition: Any) -> bool:
    """Whether a condition holds for one account only (or for a given list of them)."""
    if _is(condition, ast.BoolExpr):
        parts = [_pins_account(part) for part in condition.args]
        return any(parts) if condition.boolop == BoolExprType.AND_EXPR else all(parts)
    if _is(condition, ast.A_Expr):
        equal = condition.name[-1].sval == "=" and condition.kind in (
            A_Expr_Kind.AEXPR_OP,
            A_Expr_Kind.AEXPR_OP_ANY,
            A_Expr_Kind.AEXPR_IN,
        )
        return equal and (
            _ends_with_account(condition.lexpr) or _ends_with_account(condition.rexpr)
        )
    if _is(condition, ast.SubLink) and condition.subLinkType == SubLinkType.ANY_SUBLINK:
        return _ends_with_account(condition.testexpr)
    return False


def _sources(items: Iterable[Any] | None) -> Iterator[Any]:
    """Tables and join conditions of a FROM list, subqueries left to themselves."""
    for item in items or ():
        if _is(item, ast.JoinExpr):
            yield from _sources([item.larg, item.rarg])
            yield item.quals
        else:
            yield item


def every_statement_names_its_account(statement: Statement) -> Iterator[str]:
    """Each SELECT, UPDATE and DELETE on tenant tables has account_id = in its own conditions."""
    own = {cte.ctename for cte in nodes(statement.tree, ast.CommonTableExpr)}
    for part in nodes(statement.tree, ast.SelectStmt, ast.UpdateStmt, ast.DeleteStmt):
        target = [part.relation] if hasattr(part, "relation") else []
        further = getattr(part, "usingClause" if isinstance(part, ast.DeleteStmt) else "fromClause")
        sources = list(_sources([*target, *(further or ())]))
        tables = {item.relname for item in sources if _is(item, ast.RangeVar)} - own
        conditions = [part.whereClause, *(i for i in sources if not isinstance(i, ast.RangeVar))]
        if tables & TENANT and not any(_pins_account(condition) for condition in conditions):
            yield f"asks {sorted(tables & TENANT)} without account_id ="


ABOUT_SCHEMA: list[Rule] = [
    every_table_is_listed,
    account_comes_first,
    platform_tables_know_no_account,
    indexes_start_with_the_account,
    ids_come_from_big_sequences,
]
ABOUT_STATEMENTS: list[Rule] = [
    times_have_a_zone,
    nothing_hidden_runs,
    updates_call_nothing_volatile,
    values_hold_no_subquery,
    worlds_do_not_mix,
    every_statement_names_its_account,
]


def faults(statements: Iterable[Statement], rules: Iterable[Rule]) -> list[str]:
    """Every fault of every statement, named by where it stands."""
    chosen = list(rules)
    return [
        f"{statement.where}: {fault}"
        for statement in statements
        for rule in chosen
        for fault in rule(statement)
    ]
