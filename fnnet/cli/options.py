"""Options that several commands share, and the kinds of value they take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

import click

from fnnet.names import DATA_FORMATS, PICTURE_FORMATS
from fnnet.training.recipes import DEFORMATION, RECIPES


class Sizes(click.ParamType):  # type: ignore[type-arg]
    """Sizes of layers: `128,64`; nothing at all is no layer."""

    name = "SIZES"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int, ...]:
        """The sizes as a tuple of ints of at least 1."""
        if isinstance(value, tuple):
            return value
        parts = value.split(",") if value.strip() else []
        if not all(re.fullmatch(r"\s*0*[1-9][0-9]{0,8}\s*", part, re.ASCII) for part in parts):
            self.fail(f"expected whole numbers from 1 to 999999999, such as 128,64, found {value!r}", param, context)
        return tuple(int(part) for part in parts)


class FileName(click.ParamType):  # type: ignore[type-arg]
    """The name of a file or folder, which is not empty."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        """The name as it was given."""
        if not value:
            self.fail("expected a name, found ''", param, context)
        return str(value)


class Count(click.ParamType):  # type: ignore[type-arg]
    """A whole number from `least` on."""

    name = "N"

    def __init__(self, least: int, most: int | None = None, full: bool = False) -> None:
        self.least, self.most, self.full = least, most, full
        self.name = "N|full" if full else "N"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """The number, or "full" where that is a word for all images."""
        if isinstance(value, int) or (self.full and value == "full"):
            return value
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or number < self.least or (self.most is not None and number > self.most):
            limits = f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
            word = " or full" if self.full else ""
            self.fail(f"expected a whole number, {limits}{word}, found {value!r}", param, context)
        return number


class Number(click.ParamType):  # type: ignore[type-arg]
    """A finite number that `fits`; `expected` says which do."""

    name = "NUMBER"

    def __init__(self, expected: str, fits: Callable[[float], bool]) -> None:
        self.expected, self.fits = expected, fits

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        """The number as a float."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and self.fits(number)):
            self.fail(f"expected {self.expected}, found {value!r}", param, context)
        return number


POSITIVE: Final = Number("a number above 0", lambda number: number > 0)
AMOUNT: Final = Number("a number of at least 0", lambda number: number >= 0)
SHARE: Final = Number("a number of at least 0 and less than 1", lambda number: 0 <= number < 1)


class Shares(click.ParamType):  # type: ignore[type-arg]
    """One share, or one for each of several: `0.5` or `0.2,0.5`."""

    name = "SHARES"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """The share as a float, or the shares as a tuple."""
        if not isinstance(value, str):
            return value
        shares = tuple(SHARE.convert(part, param, context) for part in value.split(","))
        return shares if len(shares) > 1 else shares[0]


class Figures(click.ParamType):  # type: ignore[type-arg]
    """Figures of a deformation: `shift=1,rotation=10`."""

    name = "FIGURE=N,..."

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> dict[str, float]:
        """Name and number of each figure that is given."""
        if isinstance(value, dict):
            return value
        figures: dict[str, float] = {}
        for part in value.split(","):
            name, _, number = part.partition("=")
            if name not in DEFORMATION or name in figures:
                names = " or ".join(DEFORMATION)
                self.fail(f"expected {names}, each once, as rotation=10,shear=0, found {part!r}", param, context)
            figures[name] = AMOUNT.convert(number, param, context)
        return figures


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def jit_option(what: str) -> Decorator:
    """--jit/--no-jit."""
    return click.option("--jit/--no-jit", default=False, show_default=True, help=f"{what} with the compiled kernels.")


def compiled_options(what: str) -> Decorator:
    """--jit/--no-jit and --threads."""
    threads = click.option(
        "--threads", type=Count(1, 1024), help="Threads of the compiled kernels.  [default: all that may run at once]"
    )
    return lambda command: jit_option(what)(threads(command))


def deformation_option(what: str) -> Decorator:
    """--deformation."""
    more = "shift (pixels), rotation (degrees), scale, shear (shares), elastic, correlation (pixels)"
    return click.option("--deformation", type=Figures(), help=f"{what} Of {more}.")


def data_dir_option(what: str) -> Decorator:
    """--data-dir."""
    return click.option("--data-dir", type=FileName(), metavar="DIR", help=what)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--data, --data-dir and --classes."""
    for option in (
        click.option(
            "--classes", type=Count(2, 10**6), help="Number of classes of --data PATH.  [default: 10, or the folders]"
        ),
        data_dir_option("Folder to look for MNIST in first, and to download it to."),
        click.option(
            "--data",
            "data_choice",
            type=FileName(),
            metavar="NAME|PATH",
            default="auto",
            show_default=True,
            help="auto (MNIST if available, else digits), mnist, digits, or a path: a file "
            f"({', '.join(DATA_FORMATS)}), a folder of IDX files, or a folder with one folder of images "
            f"({', '.join(PICTURE_FORMATS)}) for each class.",
        ),
    ):
        command = option(command)
    return command


seed_option = click.option("--seed", type=Count(0, 2**64 - 1), default=0, show_default=True, help="Source of chance.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress, no notices, only the results.")
recipe_option = click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="classic",
    show_default=True,
    help="; ".join(f"{recipe.name}: {recipe.what}" for recipe in RECIPES.values()) + ".",
)
