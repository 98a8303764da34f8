"""What `fnnet sweep --try` says: options of `train`, each with some values or a range of numbers.

Values are read by the types of the options, and combinations are checked by what checks those of `train`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.options import Count, Fractions, Number, Sizes
from fnnet.cli.plan_options import PLAN_OPTIONS, settings_of
from fnnet.errors import UsageError

if TYPE_CHECKING:
    from fnnet.apps.sweep.measuring import Setup
    from fnnet.apps.sweep.space import Choices, Range, Space

NOT_TRIED: Final = ("--dev", "--window")
"""Options of a plan that decide which images a trial is measured on, or are for streams."""
TRIED: Final = (
    *(name.partition("/")[0] for name in PLAN_OPTIONS if name not in NOT_TRIED),
    "--recipe",
    "--class-weights",
)
"""Options that can be tried; all others are the same for all networks of a sweep."""
MOST_CHECKED: Final = 2000
"""Combinations that are checked before the data are read: of more, those of any two options."""
EXAMPLE: Final = "--try 'hidden=10 64,32' or --try learning-rate=0.01..1:log"


class Values(click.ParamType):  # type: ignore[type-arg]
    """An option and its values: `hidden=10 64,32`, `learning-rate=0.01..1:log`."""

    name = "OPTION=VALUES"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, tuple[str, ...]]:
        """Return the name of the option and the texts of the values."""
        if isinstance(value, tuple):
            return value
        option, equals, values = value.partition("=")
        try:
            texts = tuple(shlex.split(values))
        except ValueError:
            self.fail(f"expected quotes in pairs, found {value!r}", param, context)
        if not (option and equals and texts):
            self.fail(f"expected OPTION=VALUES, such as {EXAMPLE}, found {value!r}", param, context)
        return option, texts


def space_of(context: click.Context, given: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, Choices | Range]:
    """Return the space of what --try names; an option that it names twice has the values of both.

    Raises   UsageError for an option that is not there or cannot be tried, and for values that it does not take.
    """
    from fnnet.apps.sweep import space as spaces

    if not given:
        raise UsageError("nothing to try", where="--try", expected=f"an option, as {EXAMPLE}", found="none")
    options = {each.opts[0]: each for each in context.command.params if isinstance(each, click.Option)}
    texts: dict[str, tuple[str, ...]] = {}
    for name, values in given:
        option = _option(name, options)
        texts[option] = (*texts.get(option, ()), *values)
    found: dict[str, Choices | Range] = {}
    for option, values in texts.items():
        param, where = options[option], f"--try {option.removeprefix('--')}"
        if context.get_parameter_source(param.name or "") is not click.core.ParameterSource.DEFAULT:
            raise UsageError("is given and tried", where=option, expected="one of them", found=where)
        tried = _range(param, where, values[0]) if _is_range(values) else _choices(param, where, values)
        try:
            spaces.check_space({"": tried})
        except UsageError as error:
            few = error.problem == "nothing to choose"
            fix = "separate values by spaces, in quotes, as --try 'hidden=10 64,32'" if few else error.fix
            raise error.at(where, fix=fix) from None
        found[param.name or ""] = tried
    return found


def _option(name: str, options: Mapping[str, click.Option]) -> str:
    """Return the option of `train` that a name stands for, else UsageError."""
    from difflib import get_close_matches

    from fnnet.cli.program import SYNONYMS

    option = f"--{name.lstrip('-').replace('_', '-')}"
    if option in TRIED:
        return option
    if option in options:
        expected = "an option that networks on the same images can differ in"
        raise UsageError("is the same for all networks of a sweep", where="--try", expected=expected, found=name)
    meant = SYNONYMS.get(option) or SYNONYMS.get(f"-{name.lstrip('-')}") or ""
    near = [meant] if meant in TRIED else get_close_matches(option, TRIED, 2)
    expected, fix = f"a name, as in {EXAMPLE}", f"perhaps {' or '.join(near).replace('--', '')}" if near else ""
    raise UsageError("not an option of training", where="--try", expected=expected, found=name, fix=fix)


def _is_range(texts: Sequence[str]) -> bool:
    return len(texts) == 1 and ".." in texts[0]


def _converted(param: click.Option, where: str, text: str) -> Any:
    """Return the value of a text as the option takes it, else UsageError."""
    try:
        return param.type.convert(text, param, None)
    except click.BadParameter as error:
        fix = "separate values by spaces, in quotes" if "," in text else ""
        raise UsageError(f"not a value of {param.opts[0]}: {error.message.rstrip('.')}", where=where, fix=fix) from None


def _choices(param: click.Option, where: str, texts: Sequence[str]) -> Choices:
    from fnnet.apps.sweep.space import Choices

    return Choices(tuple(_converted(param, where, text) for text in texts), tuple(texts))


def _range(param: click.Option, where: str, text: str) -> Range:
    """Return the range LOW..HIGH or LOW..HIGH:log of an option that takes numbers."""
    from fnnet.apps.sweep.space import Range

    if not isinstance(param.type, (Number, Fractions, Count, Sizes)):
        expected = "values separated by spaces, in quotes"
        raise UsageError("takes no range", where=where, expected=expected, found=text)
    ends, colon, scale = text.partition(":")
    low, _, high = ends.partition("..")
    if (colon and scale != "log") or not (low and high) or high.startswith("."):
        raise UsageError("not a range", where=where, expected="LOW..HIGH or LOW..HIGH:log", found=text)
    numbers = []
    for end in (low, high):
        value = _converted(param, where, end)
        number = value[0] if isinstance(value, tuple) and len(value) == 1 else value
        if not isinstance(number, (int, float)):
            raise UsageError("not a range", where=where, expected="numbers as its ends", found=text)
        numbers.append(number)
    sizes, whole = isinstance(param.type, Sizes), isinstance(param.type, (Count, Sizes))
    found = Range(numbers[0], numbers[1], log=bool(colon), whole=whole)
    return found._replace(make=lambda number: (number,)) if sizes else found


def maker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Setup]:
    """Return what makes the Setup of tried values, with `options` for all others, as `train` takes them."""
    from fnnet.apps.sweep.measuring import Setup

    def make(values: Mapping[str, Any]) -> Setup:
        chosen = {**options, **values}
        return Setup(chosen["recipe"], settings_of(chosen), chosen["class_weights"])

    return make


def check_combinations(space: Space, make: Callable[[Mapping[str, Any]], Setup], *, held_out: bool) -> tuple[str, ...]:
    """Return the parts of the compiled kernels that the combinations use; UsageError for one that `train` refuses.

    held_out   whether there will be images for validation, whatever a recipe holds out.
    """
    from fnnet.apps.sweep import space as spaces
    from fnnet.cli.mismatch import naming_options, option_of
    from fnnet.training import session
    from fnnet.training.choice import chosen_recipe, plan_of

    parts: dict[str, None] = {}
    for point in spaces.corners(space, MOST_CHECKED):
        try:
            with naming_options():
                setup = make(spaces.values(space, point))
                weights = {"class_weights": setup.class_weights}
                session.check_settings(setup.recipe, setup.settings, has_dev_set=held_out, **weights)
                chosen = chosen_recipe(setup.recipe, setup.settings, None)
                if not (held_out or chosen.dev):
                    fix = "hold some out with `dev`, or cross-validate with `folds`"
                    found, where = f"none with `recipe` {chosen.name}", "dev"
                    raise UsageError("no images to choose by", where=where, expected="dev images", found=found, fix=fix)
        except UsageError as error:
            words = [f"{option_of(name)} {text or repr('')}" for name, text in spaces.texts(space, point).items()]
            about: dict[str, Any] = {"expected": error.expected, "found": error.found, "fix": error.fix}
            place = f"with {' '.join(words)}"
            raise UsageError(error.problem, where=error.where, place=place, **about) from None
        parts |= dict.fromkeys(plan_of(chosen).kernel_parts)
    return tuple(parts)


def train_command(context: click.Context, raw: Mapping[str, Any], texts: Mapping[str, str], more: Sequence[str]) -> str:
    """Return the `fnnet train` that trains by given options, and tried ones with these texts.

    raw    the given options as they were typed, by the names of their parameters.
    more   words at the end.
    """
    words = ["fnnet", "train"]
    for param in context.command.params:
        name = param.name or ""
        if not isinstance(param, click.Option) or name not in (*raw, *texts) or name in OF_SWEEP:
            continue
        value = texts.get(name, raw.get(name))
        if param.is_flag:
            on = value if isinstance(value, bool) else param.type.convert(value, param, None)
            words.append(param.opts[0] if on else param.secondary_opts[0])
        else:
            words += [param.opts[0], str(value)]
    return shlex.join([*words, *more])


OF_SWEEP: Final = (
    "tried", "seconds", "trials", "by", "repeats", "folds", "run_dir", "resume", "plot", "as_json", "quiet", "help",
)  # fmt: skip
"""Parameters of `sweep` that `train` does not have, or uses otherwise."""
