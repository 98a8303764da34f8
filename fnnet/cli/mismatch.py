"""Errors about a job or a run in the words of the command line: its options, as they are typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from fnnet.errors import FnnetError, UsageError

if TYPE_CHECKING:
    from fnnet.files.runs import OtherRunError


Differences = Mapping[str, tuple[str | None, str | None]]
DEFORMATION: Final = "plan.deformation."
UNITS: Final = {"pixels": "pixels or columns", "classes": "classes", "train": "training images", "dev": "dev images"}
READING: Final = "data.preprocessing."
OF_PIXELS: Final = ("images.pixels", "data.train", "data.shape")
READING_OPTIONS: Final = {
    "pixel_max": "--pixel-max", "paper": "--ink", "ink": "--ink", "transpose": "--transpose or --no-transpose",
    "resize": "--size",
}  # fmt: skip
"""Fields of the preprocessing -> the options that decide them; the others follow from the images."""
OF_IMAGES: Final = "--data, --dev, --dev-data, --first-label, --label-column and --first-index, and --test-data"
OF_CLASSES: Final = "--data, --classes, --class-names, --first-label and --label-column"
OF_SIZES: Final = "--data, --size and --image-size"
DATA_OPTIONS: Final = {
    "pixels": OF_SIZES, "shape": OF_SIZES, "classes": OF_CLASSES, "train": OF_IMAGES, "dev": OF_IMAGES,
}  # fmt: skip
"""Fields of the data -> the options that decide them."""
BESIDE: Final = ("dev_data", "test_data")
"""Fields that name other images than those for training: errors about files of these name them, too."""
SHOWN_DIGITS: Final = 12
"""Digits of a SHA-256 that tell two data sets apart for a reader."""


def option_of(field: str) -> str:
    """Return the option of a plan's or recipe's field."""
    return f"--{field.replace('_', '-')}"


@contextmanager
def naming_options(source: str = "", *, only_in_text: bool = False) -> Iterator[None]:
    """Turn errors that name fields, such as `learning_rate`, into errors that name options, such as --learning-rate.

    source         where the images are, for the error that a folder holds another run.
    only_in_text   whether the place of an error is a file or folder, which may have the name of a field.
    """
    try:
        yield
    except FnnetError as error:
        from fnnet.files.runs import OtherRunError

        if isinstance(error, OtherRunError):
            translated: FnnetError = translate_run_mismatch(error, source)
        else:
            translated = _translate(error, only_in_text)
        raise translated.with_traceback(error.__traceback__) from None


def _translate(error: FnnetError, only_in_text: bool) -> FnnetError:
    is_field = not only_in_text and (
        error.where in BESIDE or (isinstance(error, UsageError) and re.fullmatch("[a-z_]+", error.where))
    )
    expected = in_text(error.expected) if isinstance(error.expected, str) else error.expected
    if is_field and error.where == "deformation" and expected == "none":
        expected = "none (--no-augment)"
    return type(error)(
        in_text(error.problem),
        where=option_of(error.where) if is_field else error.where,
        place=error.place,
        expected=expected,
        found=error.found,
        fix=in_text(error.fix),
    )


def in_text(text: str) -> str:
    """Return `text` with its fields, which are in backquotes, as options."""
    return re.sub("`([a-z_]+)`", lambda field: option_of(field[1]), text.replace("`deformation` {}", "--augment"))


def noting_options(notify: Callable[[str], None]) -> Callable[[str], None]:
    """Return what calls `notify` with notes that name fields as notes that name options."""
    from fnnet.data.notes import Note  # behind NumPy, which `--help` does without

    def tell(notice: str) -> None:
        code = getattr(notice, "code", "")
        notify(Note(code, in_text(notice)) if code else notice)

    return tell


def translate_run_mismatch(error: OtherRunError, source: str) -> UsageError:
    """Return the error that a folder holds another run, naming the option that differs.

    source   where the images are.
    """
    name, expected, found, fix = _phrase_mismatch(error.differences)
    if next(iter(error.differences)).startswith("data."):
        found = f"{found} in {source}"
    fix = f"{fix}, or train into another folder"
    return UsageError(f"{name} differs from the run", where=error.where, expected=expected, found=found, fix=fix)


def _phrase_mismatch(differences: Differences) -> tuple[str, str, str, str]:
    """Return what differs, the run's value, the value found, and the remedy, all of the first difference."""
    key, (old, new) = next(iter(differences.items()))
    part, _, field = key.partition(".")
    if part == "try":
        return _phrase_tried(field, old, new)
    if key in OF_PIXELS and (ways := [each for each in differences if each.removeprefix(READING) in READING_OPTIONS]):
        key = ways[0]  # what images become follows from how they are read
        (old, new), field = differences[key], key.partition(".")[2]
    if field.startswith("deformation"):
        return _phrase_deformation(differences)
    if "data.left_out" in differences:
        return _phrase_left_out(*differences["data.left_out"])
    if None in differences.get("plan.window", ()):
        expected, found = ("images in memory" if each is None else "a stream" for each in differences["plan.window"])
        return "the data", expected, found, "resume with the run's --data"
    if key == "start":
        return _phrase_start(old, new)
    if key == "members":
        found, fix = new or "1", f"resume with --members {old}" if old else "choose the folder of a committee"
        return "--members", old or "1", found, fix
    if old is None or new is None:
        return "the description", f"{key} {old}", str(new), "resume with the version of fnnet that began it"
    if field.startswith("preprocessing."):
        name = field.partition(".")[2]
        return "the way images are read", f"{name} {old}", f"{name} {new}", _resume_reading(differences)
    if part in ("images", "data"):
        expected, found = (f"{old} {UNITS[field]}", new) if part == "images" else _phrase_data(field, old, new)
        return "the data", expected, found, f"resume with the run's {DATA_OPTIONS[field]}"
    if key == "weights":
        fix = "resume without it" if old == "null" else "resume with those of the run"
        return "--class-weights", _phrase_weights(old), _phrase_weights(new), fix
    if key == "jit":
        expected, found = ("--jit", "--no-jit") if json.loads(old) else ("--no-jit", "--jit")
        return "the choice of kernels", expected, found, f"resume with {expected}"
    field = field or part
    expected, found = (_as_typed(field, json.loads(value)) for value in (old, new))
    option = option_of(field)
    fix = f"resume without {option}" if expected == "none" else f"resume with {option} {expected}"
    return option, expected, found, fix


def _phrase_tried(field: str, old: str | None, new: str | None) -> tuple[str, str, str, str]:
    """Return the phrases for an option of which a sweep tries other values, or that one of two does not try."""
    option = option_of(field).removeprefix("--")
    known = [None if each is None else json.loads(each) for each in (old, new)]
    expected, found = ("none" if each is None else each if isinstance(each, str) else " ".join(each) for each in known)
    fix = "resume without it" if old is None else f"resume with --try '{option}={expected}'"
    return f"--try {option}", expected, found, fix


def _resume_reading(differences: Differences) -> str:
    """Return the remedy for images that are read in another way: all options that may make what differs."""
    ways = [READING_OPTIONS.get(key.removeprefix(READING), "") for key in differences if key.startswith(READING)]
    *others, last = dict.fromkeys(["--data", *filter(None, ways)])
    return f"resume with the run's {', '.join(others)} and {last}" if others else f"resume with the run's {last}"


def _phrase_data(field: str, old: str, new: str) -> tuple[str, str]:
    if field in ("shape", "classes"):
        expected, found = (
            "x".join(map(str, each)) if field == "shape" else ", ".join(each)[:80]
            for each in (json.loads(old), json.loads(new))
        )
        return f"{field} {expected}", found
    return f"{UNITS[field]} and labels with {_phrase_digest(old)}", _phrase_digest(new)


def _phrase_weights(value: str) -> str:
    return "none" if value == "null" else f"weights with {_phrase_digest(value)}"


def _phrase_start(old: str | None, new: str | None) -> tuple[str, str, str, str]:
    """Return the phrases for a run that was started from another model, or from none."""
    expected, found = (f"a model with {_phrase_digest(value)}" if value else "none" for value in (old, new))
    fix = "resume without --start" if new else "resume with the model that it was started from as --start"
    return "--start", expected, found, fix


def _phrase_left_out(old: str | None, new: str | None) -> tuple[str, str, str, str]:
    """Return the phrases for a run on a stream of which other files were left out."""
    expected, found = ("none" if each is None else ", ".join(json.loads(each))[:80] for each in (old, new))
    fix = "resume without --skip-damaged, the files as they were" if old is None else "resume with --skip-damaged"
    return "the files that are left out", expected, found, fix


def _phrase_digest(value: str) -> str:
    return f"SHA-256 {json.loads(value)[:SHOWN_DIGITS]}..."


def _phrase_deformation(differences: Differences) -> tuple[str, str, str, str]:
    figures = {key.rpartition(".")[2]: values for key, values in differences.items() if key.startswith(DEFORMATION)}
    if None not in figures.get("shift", ()):  # both are deformed; only one of them fades
        figures = {name: (old or "0.0", new or "0.0") for name, (old, new) in figures.items()}
    if any(new is None for _, new in figures.values()):
        figures.setdefault("fade", ("0.0", None))
        bends = figures.get("elastic", ("1", None))[0] not in ("0", "0.0")  # else a correlation changes nothing
        shown = {
            name: old for name, (old, _) in figures.items() if old is not None and (bends or name != "correlation")
        }
        own = ",".join(f"{name}={old}" for name, old in shown.items())
        return "--augment", "--augment", "--no-augment", f"resume with --deformation {own}"
    if any(old is None for old, _ in figures.values()):
        return "--augment", "--no-augment", "--augment", "resume with --no-augment, without --deformation"
    expected, found = (",".join(f"{name}={each[n]}" for name, each in figures.items()) for n in (0, 1))
    return "--deformation", expected, found, f"resume with --deformation {expected}"


def _as_typed(field: str, value: Any) -> str:
    """Return a value as it is typed after its option."""
    if value is None:
        return "full" if field == "batch_size" else "none"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "''"
    return str(value)
