"""Small wrongs in a module's functions, planted by giving a running process other code for one."""

import ast
import copy
import gc
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from types import CodeType, FunctionType, ModuleType
from typing import Any

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
RECKONED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
SWAPPED_NAMES = {"min": "max", "max": "min"}
ONLY_TOLD = ("log.", "metrics.", "failpoints.")
"""What is said about the work, not done."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class CodeMutant:
    """``name`` says what was changed where, and stays when lines move."""

    name: str
    module: str
    qualname: str
    source: str
    place: int
    variant: int

    def plant(self) -> None:
        """Give the function, wherever this process keeps it, the mutant's code."""
        module = sys.modules[self.module]
        path = str(module.__file__)
        tree = ast.parse(self.source)
        _change(tree, self.qualname, self.place, self.variant)
        code = _code_of(compile(tree, path, "exec"), self.qualname)
        # What was collected with the tests is frozen, and would not be listed.
        gc.unfreeze()
        found = [
            one
            for one in gc.get_objects()
            if isinstance(one, FunctionType)
            and one.__code__.co_filename == path
            and one.__code__.co_qualname == self.qualname
        ]
        assert found, self.qualname
        for one in found:
            one.__code__ = code


def mutants_of(module: ModuleType, functions: Sequence[str] = ()) -> list[CodeMutant]:
    """All mutants of a module's functions, or of those that are named."""
    source = inspect.getsource(module)
    tree = ast.parse(source)
    made: list[CodeMutant] = []
    seen: dict[str, Iterator[int]] = {}
    for qualname, function in _functions(tree):
        if functions and qualname not in functions:
            continue
        for place, node in enumerate(ast.walk(function)):
            for variant, instead in enumerate(_instead_of(node)):
                told = f"{_short(node)} -> {_short(instead)}"
                name = f"{module.__name__}.{qualname}: {told}"
                number = next(seen.setdefault(name, count(1)))
                name = name if number == 1 else f"{name} #{number}"
                made.append(CodeMutant(name, module.__name__, qualname, source, place, variant))
    return made


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _change(tree: ast.Module, qualname: str, place: int, variant: int) -> None:
    """Give a node of a function, found by its place, its other form."""
    function = dict(_functions(tree))[qualname]
    node = list(ast.walk(function))[place]
    instead = list(_instead_of(node))[variant]
    for parent in ast.walk(function):
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, instead)
            elif isinstance(value, list):
                value[:] = [instead if one is node else one for one in value]
    ast.fix_missing_locations(tree)


def _instead_of(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARED:
            yield _like(node, ops=[COMPARED[type(op)]()])
        case ast.BinOp(op=op) if type(op) in RECKONED:
            yield _like(node, op=RECKONED[type(op)]())
        case ast.BoolOp(op=op, values=values):
            yield _like(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            for left_out in range(len(values)):
                rest = values[:left_out] + values[left_out + 1 :]
                yield rest[0] if len(rest) == 1 else _like(node, values=rest)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Name(id=name) if name in SWAPPED_NAMES:
            yield ast.Name(SWAPPED_NAMES[name], ast.Load())
        case ast.keyword(arg="fence"):
            yield ast.keyword("fence", ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()) if not _only_told(node):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute()]):
            yield ast.Pass()


def _only_told(node: ast.AST) -> bool:
    return ast.unparse(node).removeprefix("await ").startswith(ONLY_TOLD)


def _like(node: Any, **changes: Any) -> Any:
    made = copy.copy(node)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _code_of(code: CodeType, qualname: str) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == qualname:
                return constant
            if qualname.startswith(f"{constant.co_qualname}."):
                return _code_of(constant, qualname)
    raise LookupError(qualname)
