"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import Any, Final

import click

from fnnet.limits import (
    FRACTION,
    MAX_CLASSES,
    MAX_SIZE,
    MAX_THREADS,
    NONNEGATIVE,
    Range,
    decimal_number,
    whole_number,
)
from fnnet.names import DATA_FORMATS, PICTURE_FORMATS, composed, is_printable
from fnnet.training.recipes import DEFORMATION, RECIPES


class Sizes(click.ParamType):  # type: ignore[type-arg]
    """Sizes of layers: `128,64`; an empty text stands for none."""

    name = "SIZES"

    def __init__(self, empty: bool = False) -> None:
        self.empty = empty

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int, ...]:
        """Return the sizes as a tuple of ints >= 1."""
        if isinstance(value, tuple):
            return value
        parts = value.split(",") if value.strip() else []
        if not all(re.fullmatch(r"\s*0*[1-9][0-9]{0,8}\s*", part, re.ASCII) for part in parts):
            fix = "; give '' for no hidden layer" if value.strip() == "0" and self.empty else ""
            fix = "; separate them by commas" if re.fullmatch(r"\s*[0-9]+([\s;x-]+[0-9]+)+\s*", value) else fix
            fix = "; leave out the comma at its end" if value.strip().endswith(",") else fix
            expected = "expected whole numbers from 1 to 999999999, such as 128,64"
            self.fail(f"{expected}, found {value!r}{fix}", param, context)
        return tuple(int(part) for part in parts)


class FileName(click.ParamType):  # type: ignore[type-arg]
    """A name of a file or folder, not empty and without NUL, which no system takes."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        """Return the name as it was given."""
        if not value:
            self.fail("expected a name, found ''", param, context)
        if "\0" in value:
            self.fail(f"expected a name without the character NUL, found {value!r}", param, context)
        return str(value)


class Count(click.ParamType):  # type: ignore[type-arg]
    """A whole number >= `least`, or a word in its place."""

    name = "N"

    def __init__(self, least: int, most: int | None = None, word: str = "") -> None:
        self.least, self.most, self.word = least, most, word
        self.name = f"N|{word}" if word else "N"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the number, or the word if that is allowed."""
        if isinstance(value, int) or (self.word and value == self.word):
            return value
        number = whole_number(value)
        if number is None or number < self.least or (self.most is not None and number > self.most):
            limits = f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
            word = f" or {self.word}" if self.word else ""
            self.fail(f"expected a whole number, {limits}{word}, found {value!r}", param, context)
        return number


class Number(click.ParamType):  # type: ignore[type-arg]
    """A finite number within a range."""

    name = "NUMBER"

    def __init__(self, allowed: Range) -> None:
        self.allowed = allowed

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        """Return the number as a float."""
        number = decimal_number(value) if isinstance(value, str) else float(value)
        if number is None or not (math.isfinite(number) and self.allowed.contains(number)):
            self.fail(f"expected {self.allowed.words}, found {value!r}", param, context)
        return number


class Fractions(click.ParamType):  # type: ignore[type-arg]
    """One fraction, or one for each of several layers: `0.5` or `0.2,0.5`."""

    name = "FRACTIONS"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the fraction as a float, or the fractions as a tuple."""
        if not isinstance(value, str):
            return value
        fractions = tuple(Number(FRACTION).convert(part, param, context) for part in value.split(","))
        return fractions if len(fractions) > 1 else fractions[0]


class ImageSize(click.ParamType):  # type: ignore[type-arg]
    """The height and width of images: `28`, or `28x32`."""

    name = "N|HxW"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int, int]:
        """Return height and width."""
        if isinstance(value, tuple):
            return value
        sides = [whole_number(side) or 0 for side in value.lower().split("x")]
        if len(sides) > 2 or not all(1 <= side <= MAX_SIZE for side in sides):
            expected = f"expected N or HEIGHTxWIDTH, such as 28 or 28x32, each from 1 to {MAX_SIZE}"
            self.fail(f"{expected}, found {value!r}", param, context)
        return sides[0], sides[-1]


class FigureList(click.ParamType):  # type: ignore[type-arg]
    """Figures of a deformation: `shift=1,rotation=10`."""

    name = "FIGURE=N,..."

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> dict[str, float]:
        """Return name and number of each figure that is given."""
        if isinstance(value, dict):
            return value
        figures: dict[str, float] = {}
        for part in value.split(","):
            name, _, number = part.partition("=")
            if name not in DEFORMATION or name in figures:
                names = " or ".join(DEFORMATION)
                self.fail(f"expected {names}, each once, as rotation=10,shear=0, found {part!r}", param, context)
            figures[name] = Number(NONNEGATIVE).convert(number, param, context)
        return figures


class ClassNames(click.ParamType):  # type: ignore[type-arg]
    """Names separated by commas, or the path of a file with one on each line."""

    name = "A,B,...|FILE"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, ...]:
        """Return the names."""
        if not isinstance(value, str):
            return tuple(value)
        if os.path.isfile(value):
            from fnnet.files.disk import read_text

            text = read_text(value)
            names = [line.strip() for line in text.splitlines() if line.strip()]
        else:
            names = [name.strip() for name in value.split(",")]
        names = [composed(name) for name in names]
        if len(names) < 2 or len(set(names)) < len(names) or not all(name and is_printable(name) for name in names):
            self.fail(f"expected two or more names, each once, found {', '.join(names)[:80]!r}", param, context)
        return tuple(names)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def jit_option(what: str) -> Decorator:
    """Make --jit/--no-jit."""
    return click.option("--jit/--no-jit", default=False, show_default=True, help=f"{what} with the compiled kernels.")


def compiled_options(what: str) -> Decorator:
    """Make --jit/--no-jit and --threads."""
    threads = click.option(
        "--threads",
        type=Count(1, MAX_THREADS),
        help="Threads of the compiled kernels.  [default: all that can run at once]",
    )
    return lambda command: jit_option(what)(threads(command))


def deformation_help(what: str) -> str:
    """Return the help of a --deformation that does `what`."""
    figures = "shift, elastic, correlation (pixels), rotation (degrees), scale, shear, fade (fractions)"
    return f"{what} Figures: {figures}."


def data_dir_option(what: str) -> Decorator:
    """Make --data-dir."""
    return click.option("--data-dir", type=FileName(), metavar="DIR", help=what)


WHAT_DATA: Final = (
    "auto (MNIST if available, else digits), mnist, digits, or a path: a file "
    f"({', '.join(DATA_FORMATS)}), a folder of IDX files, a folder with one folder of images "
    f"({', '.join(PICTURE_FORMATS)}) for each class, or a folder that data expand wrote, to train on."
)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data, --data-dir, --classes, --class-names and --first-label."""
    return _with_data(command, default="auto", show_default=True, help=WHAT_DATA)


def model_data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same options, of which --data is by default what a model was trained on."""
    return _with_data(command, help=f"{WHAT_DATA}  [default: what MODEL was trained on]")


def _with_data(command: Callable[..., Any], **about: Any) -> Callable[..., Any]:
    for option in (
        click.option(
            "--first-label",
            type=Count(0, MAX_CLASSES),
            help="Label of the first class in a file of numbers.  [default: 0]",
        ),
        click.option(
            "--class-names",
            type=ClassNames(),
            help="Names of the classes of a file of numbers, or the file of these names, one a line.",
        ),
        click.option(
            "--classes",
            type=Count(2, MAX_CLASSES),
            help="Number of classes of --data PATH.  [default: 10, or the folders]",
        ),
        data_dir_option("Folder to look for MNIST in first, and to download it to."),
        click.option(
            "--data",
            "data_choice",
            type=FileName(),
            metavar="NAME|PATH",
            **about,
        ),
    ):
        command = option(command)
    return command


label_column_option = click.option(
    "--label-column",
    type=FileName(),
    metavar="first|last|NAME|NUMBER|none",
    help="Column of the labels in a table, also of names of pictures, counted from 1.  [default: by its name or its "
    "values]",
)

image_option = click.option(
    "--image",
    is_flag=True,
    help="Each row of a table is an image, however few its columns are and whatever their names.",
)

table_option = click.option(
    "--table",
    is_flag=True,
    help="Each column of a table is a measurement, and no row an image, whatever it looks like.",
)

transpose_option = click.option(
    "--transpose/--no-transpose",
    default=None,
    help="Files store images column by column, as EMNIST's do, or row by row.  [default: by the names of EMNIST's own "
    "files, else as those the model was trained on; pictures: row by row]",
)

first_index_option = click.option(
    "--first-index",
    type=Count(0, 1),
    metavar="0|1",
    help="Number of the first pixel in libsvm text.  [default: 0 if it occurs, or 1]",
)


def column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe files which are otherwise read as a model was trained."""
    for option in (transpose_option, first_index_option, image_option, label_column_option):
        command = option(command)
    return command


def picture_option(name: str, default: str, what: str) -> Decorator:
    """Return the option that asks for a picture, in the file `default` unless another is named."""
    return click.option(
        name, type=FileName(), metavar="[FILE]", is_flag=False, flag_value=default, help=f"{what}  [{default}]"
    )


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe the images of --data PATH: fields of `Reading`, and --image-size."""
    for option in (
        click.option(
            "--image-size",
            type=ImageSize(),
            metavar="N|HxW",
            help="Height and width of the images in a file of rows of numbers.  [default: squares]",
        ),
        first_index_option,
        click.option(
            "--size",
            metavar="N|HxW",
            type=ImageSize(),
            help="Scale pictures, in folders or packed in a file, to N x N pixels, or height x width: as large as "
            "fits, in the middle. The model remembers it.  [default: all must have one size]",
        ),
        table_option,
        image_option,
        label_column_option,
        transpose_option,
        click.option(
            "--ink",
            type=click.Choice(("auto", "light", "dark")),
            help="Ink in --data PATH; dark ink is read as light ink on black.  [default: auto, as most images show]",
        ),
        click.option(
            "--pixel-max",
            type=Count(1, 255, word="auto"),
            metavar="N|auto",
            help="Largest value of a pixel in --data PATH; auto: of the training images.  [default: 255]",
        ),
    ):
        command = option(command)
    return command


seed_option = click.option("--seed", type=Count(0, 2**64 - 1), default=0, show_default=True, help="Random seed.")
dev_data_option = click.option(
    "--dev-data", type=FileName(), metavar="PATH", help="Images for validation, in place of --dev."
)
test_data_option = click.option(
    "--test-data",
    type=FileName(),
    metavar="PATH|none",
    help="Images to test on; none: no test, all images are trained on.  [default: the test set of --data, or else a "
    "tenth of each class, held out]",
)
class_weights_option = click.option(
    "--class-weights",
    metavar="balanced|CLASS=WEIGHT,...",
    help="Weight of each class in the loss (default 1); balanced: as if all classes had the same number of images.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress, no notices, only the results.")
recipe_option = click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="classic",
    show_default=True,
    help="; ".join(f"{recipe.name}: {recipe.what}" for recipe in RECIPES.values()) + ".",
)
