"""Find and plant mutants: one changed operator, number, condition or statement in a module's syntax tree.

Written here, as cosmic-ray changes the files themselves (each change would recompile the kernels, whose cache knows the
files' content), and mutmut leaves out decorated functions and everything outside functions. Texts are left alone.
"""

import ast
import copy
import hashlib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("core", "data", "files")

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


class Mutant(NamedTuple):
    """A change of one node.

    file      below the root, as fnnet/core/rng.py.
    scope     the names of the classes and functions around it, joined by points.
    change    what becomes of it, as `< becomes <=`.
    number    of the mutants with this file, scope and change, from 0.
    line      where it is.
    """

    file: str
    scope: str
    change: str
    number: int
    line: int

    @property
    def name(self):
        """The same as long as its function is the same, wherever that stands."""
        return f"{self.file}:{self.scope or 'module'}:{self.change}:{self.number}"


def files():
    """The modules that are mutated, below the root."""
    return sorted(path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / "fnnet" / room).rglob("*.py"))


def sample(count, seed):
    """`count` mutants of all, the same ones for the same seed, also if a part of the code changes."""
    found = [mutant for file in files() for mutant in mutants(file)]
    rank = {each: hashlib.sha256(f"{seed} {each.name}".encode()).digest() for each in found}
    return sorted(found, key=rank.__getitem__)[:count]


def mutants(file):
    """Every mutant of a module."""
    return [mutant for mutant, _, _ in _find(file, _parse(file))]


def mutated(file, name):
    """The syntax tree of a module with the mutant of that name planted."""
    tree = _parse(file)
    for mutant, holder, plant in _find(file, tree):
        if mutant.name == name:
            plant(holder)
            return ast.fix_missing_locations(tree)
    raise LookupError(f"no mutant {name}")


def _parse(file):
    return ast.parse((ROOT / file).read_text(), file)


def _find(file, tree):
    """(mutant, node, function of the node that plants it), in the order of the source."""
    counts, found = {}, []

    def visit(node, scope):
        for change, plant in _changes(node):
            key = (scope, change)
            counts[key] = counts.get(key, -1) + 1
            found.append((Mutant(file, scope, change, counts[key], node.lineno), node, plant))
        named = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        inside = f"{scope}.{node.name}".strip(".") if named else scope
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "type_params") or _left_alone(node):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, inside)

    visit(tree, "")
    return found


def _left_alone(node):
    """Whether nothing inside counts: imports, docstrings, assertions, types, and texts even with numbers inside."""
    typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return typing or text or isinstance(node, (ast.Import, ast.ImportFrom, ast.Assert, ast.JoinedStr))


def _changes(node):
    """(what becomes of the node, function of it that plants that)."""
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            other = COMPARISONS[type(operator)]
            yield f"{_shown(operator)} becomes {_shown(other())}", _setting("ops", at, other())
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in ARITHMETIC and not _of_text(node):
        other = ARITHMETIC[type(node.op)]
        yield f"{_shown(node.op)} becomes {_shown(other())}", _setting("op", None, other())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{_shown(node.op)} becomes {_shown(other())}", _setting("op", None, other())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
        yield f"{_shown(node.op)} is left out", _becoming(node.operand)
    elif isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
        value = (not node.value) if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} becomes {value}", _setting("value", None, value)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)) and not isinstance(node.test, (ast.Compare, ast.BoolOp)):
        yield "condition becomes its opposite", _setting("test", None, ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield f"{ast.unparse(node)[:60]} is left out", _becoming(ast.Pass())
    elif isinstance(node, ast.Continue):
        yield "continue becomes break", _becoming(ast.Break())
    elif isinstance(node, ast.Break):
        yield "break becomes continue", _becoming(ast.Continue())
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield "return becomes return None", _setting("value", None, ast.Constant(None))


def _of_text(node):
    """Whether an operand is a text, so that the operator joins or repeats."""
    operands = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    return any(
        isinstance(each, ast.JoinedStr) or (isinstance(each, ast.Constant) and isinstance(each.value, (str, bytes)))
        for each in operands
    )


def _setting(field, at, value):
    def plant(node):
        if at is None:
            setattr(node, field, value)
        else:
            getattr(node, field)[at] = value

    return plant


def _becoming(other):
    """Plant by turning the node into another one, where it stands."""

    def plant(node):
        new = copy.copy(other)
        node.__class__ = type(new)
        position = {name: getattr(node, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}
        node.__dict__.clear()
        node.__dict__.update({**position, **new.__dict__, **position})

    return plant


def _shown(operator):
    names = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
             ast.BitAnd: "&", ast.BitOr: "|", ast.LShift: "<<", ast.RShift: ">>", ast.Lt: "<", ast.LtE: "<=",
             ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not",
             ast.In: "in", ast.NotIn: "not in", ast.And: "and", ast.Or: "or", ast.Not: "not", ast.USub: "minus",
             ast.Invert: "~"}  # fmt: skip
    return names[type(operator)]
