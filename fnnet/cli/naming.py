"""Errors about a plan or a run in the words of the command line: its options, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fnnet.errors import UsageError

if TYPE_CHECKING:
    from fnnet.runs import OtherRunError


def option_of(field: str) -> str:
    """The option of a plan's or recipe's field."""
    return f"--{field.replace('_', '-')}"


@contextmanager
def by_options() -> Iterator[None]:
    """A UsageError at a plan's field becomes one at its option."""
    from fnnet.plan import Plan

    try:
        yield
    except UsageError as error:
        raise (error.at(option_of(error.where)) if error.where in Plan._fields else error) from None


def by_option(error: OtherRunError) -> UsageError:
    """That a run in a folder is another one, said by the option that makes it so."""
    name, expected, found, fix = _said(error.key, error.old, error.new)
    fix = f"{fix}, or train into another folder"
    return UsageError(f"{name} not the run's", where=error.where, expected=expected, found=found, fix=fix)


def _said(key: str, old: str, new: str) -> tuple[str, str, str, str]:
    """What is another, the run's value, the one found, and what to do."""
    part, _, field = key.partition(".")
    if part in ("images", "data"):
        counted = part == "images" and field != "data"
        expected, found = (f"{old} to {field}", new) if counted else ("the same", "others")
        return "images are", expected, found, "resume with the run's --data, --dev and --dev-data"
    if key == "weights":
        if old == "null":
            return "--class-weights is", "none", "some", "resume without it"
        return "--class-weights is", "the run's", "none" if new == "null" else "others", "resume with the run's"
    if key == "jit":
        expected, found = ("--jit", "--no-jit") if json.loads(old) else ("--no-jit", "--jit")
        return "choice of kernels is", expected, found, f"resume with {expected}"
    if field.startswith("deformation"):
        figure = field.partition(".")[2]
        if not figure:
            return "--augment is", "--augment", "--no-augment", "resume with --augment"
        if old not in ("nothing", "null"):
            expected = f"{figure}={old}"
            return "--deformation is", expected, f"{figure}={new}", f"resume with --deformation {expected}"
        return "--augment is", "--no-augment", "--augment", "resume with --no-augment"
    if key == "sizes":
        expected, found = (_typed("hidden", json.loads(sizes)[1:-1]) for sizes in (old, new))
        return "--hidden is", expected, found, f"resume with --hidden {expected}"
    field = field or part
    expected, found = (_typed(field, json.loads(value)) for value in (old, new))
    option = option_of(field)
    fix = f"resume without {option}" if expected == "none" else f"resume with {option} {expected}"
    return f"{option} is", expected, found, fix


def _typed(field: str, value: Any) -> str:
    """A value as it is typed behind its option."""
    if value is None:
        return "full" if field == "batch_size" else "none"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "''"
    return str(value)
