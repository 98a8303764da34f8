"""Errors about a plan or a run in the words of the command line: its options, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from fnnet.errors import UsageError

if TYPE_CHECKING:
    from fnnet.files.runs import OtherRunError


Differences = Mapping[str, tuple[str | None, str | None]]
DEFORMATION: Final = "plan.deformation."
IMAGES: Final = {"pixels": "pixels an image", "classes": "classes", "train": "to train", "dev": "to watch it by"}


def option_of(field: str) -> str:
    """The option of a plan's or recipe's field."""
    return f"--{field.replace('_', '-')}"


@contextmanager
def by_options() -> Iterator[None]:
    """A UsageError at a plan's field becomes one at its option."""
    from fnnet.training.plan import Plan

    try:
        yield
    except UsageError as error:
        raise (error.at(option_of(error.where)) if error.where in Plan._fields else error) from None


def by_option(error: OtherRunError, data: str) -> UsageError:
    """That a run in a folder is another one, said by the option that makes it so; `data` is where the images are."""
    name, expected, found, fix = _said(error.differences)
    if next(iter(error.differences)).startswith("data."):
        found = f"{found} in {data}"
    fix = f"{fix}, or train into another folder"
    return UsageError(f"{name} not the run's", where=error.where, expected=expected, found=found, fix=fix)


def _said(differences: Differences) -> tuple[str, str, str, str]:
    """What is another, the run's value, the one found, and what to do: of the first difference."""
    key, (old, new) = next(iter(differences.items()))
    part, _, field = key.partition(".")
    if field.startswith("deformation"):
        return _said_of_deformation(differences)
    if old is None or new is None:
        return "description is", f"{key} {old}", str(new), "resume with the version of fnnet that began it"
    if part in ("images", "data"):
        expected, found = (f"{old} {IMAGES[field]}", new) if part == "images" else _said_of_data(field, old, new)
        return "data is", expected, found, "resume with the run's --data, --classes, --dev and --dev-data"
    if key == "weights":
        if old == "null":
            return "--class-weights is", "none", "some", "resume without it"
        return "--class-weights is", "the run's", "none" if new == "null" else "others", "resume with the run's"
    if key == "jit":
        expected, found = ("--jit", "--no-jit") if json.loads(old) else ("--no-jit", "--jit")
        return "choice of kernels is", expected, found, f"resume with {expected}"
    field = field or part
    expected, found = (_typed(field, json.loads(value)) for value in (old, new))
    option = option_of(field)
    fix = f"resume without {option}" if expected == "none" else f"resume with {option} {expected}"
    return f"{option} is", expected, found, fix


def _said_of_data(field: str, old: str, new: str) -> tuple[str, str]:
    if field in ("shape", "classes"):
        expected, found = (
            "x".join(map(str, each)) if field == "shape" else ", ".join(each)[:80]
            for each in (json.loads(old), json.loads(new))
        )
        return f"{field} {expected}", found
    return f"the same images and labels {IMAGES[field]}", "others"


def _said_of_deformation(differences: Differences) -> tuple[str, str, str, str]:
    figures = {key.rpartition(".")[2]: values for key, values in differences.items() if key.startswith(DEFORMATION)}
    if any(new is None for _, new in figures.values()):
        own = ",".join(f"{name}={old}" for name, (old, _) in figures.items() if old is not None)
        return "--augment is", "--augment", "--no-augment", f"resume with --deformation {own}"
    if any(old is None for old, _ in figures.values()):
        return "--augment is", "--no-augment", "--augment", "resume with --no-augment, without --deformation"
    expected, found = (",".join(f"{name}={each[n]}" for name, each in figures.items()) for n in (0, 1))
    return "--deformation is", expected, found, f"resume with --deformation {expected}"


def _typed(field: str, value: Any) -> str:
    """A value as it is typed behind its option."""
    if value is None:
        return "full" if field == "batch_size" else "none"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "''"
    return str(value)
