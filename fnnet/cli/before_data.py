"""What `fnnet train` refuses before it reads its data: that may take seconds, or a download."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fnnet.cli.common import check_count, is_streamed
from fnnet.cli.mismatch import naming_options
from fnnet.core.state import Model
from fnnet.data import DIGITS, PLAIN
from fnnet.data.arguments import ink_of
from fnnet.data.reader import SEE
from fnnet.data.sets import check_choice
from fnnet.errors import FnnetError, UsageError
from fnnet.files.model import load_model
from fnnet.kernels import library
from fnnet.names import DATA_SETS
from fnnet.training import recipes, session
from fnnet.training.config import Known
from fnnet.training.dev_set import NO_TEST
from fnnet.training.starting import check_shape
from fnnet.training.starting import start_of as started_from

SHAPE: Final = (28, 28)
OF_THE_MODEL: Final = ("--pixel-max", "--ink", "--size")
"""Options that say how pixels are read, which a model says, too."""


def start_of(options: Mapping[str, Any]) -> Model | None:
    """Return the model of --start, or that of the run to resume; UsageError for an option that contradicts it."""
    with naming_options(only_in_text=True):
        kept = started_from(options["run_dir"]) if options["resume"] and not options["start"] else None
        model = load_model(options["start"]) if options["start"] else kept
    if model is None:
        return None
    known, shape = model.preprocessing, _shown(model.image_shape)
    ink = ink_of(known)
    size, image_size = options["size"], options["image_size"]
    for option, expected, found, differs in (
        ("--pixel-max", known.pixel_max, options["pixel_max"], options["pixel_max"] not in (None, known.pixel_max)),
        ("--ink", ink, options["ink"], options["ink"] not in (None, "auto", ink)),
        ("--size", shape if known.resize else "none", _shown(size), size and not (known.resize and _is(size, model))),
        ("--image-size", shape, _shown(image_size), image_size and not _is(image_size, model)),
    ):
        if differs:
            fix = _remedy(model, option, shape if option == "--size" else found)
            raise UsageError("contradicts --start", where=option, expected=expected, found=found, fix=fix)
    return model


def _is(size: tuple[int, int], model: Model) -> bool:
    return size == model.image_shape


def _shown(size: tuple[int, int] | None) -> str:
    return "x".join(map(str, size or ()))


def _remedy(model: Model, option: str, value: object) -> str:
    """Return what to do about an option that says otherwise than the model how images are read."""
    if option not in OF_THE_MODEL or model.preprocessing._replace(faint=PLAIN.faint, signed=PLAIN.signed) != PLAIN:
        return "leave it out, and give images stored like those that the model was trained on"
    return f"leave it out, and start on what 'fnnet data convert OUT {option} {value}' makes of the data"


def check(options: Mapping[str, Any], recipe: str, settings: Mapping[str, Any], start: Model | None) -> None:
    """Raise UsageError for what is wrong whatever the data are, FnnetError if memory cannot hold the network."""
    weights, dev_data, choice = options["class_weights"], options["dev_data"], options["data_choice"]
    streamed = is_streamed(options)
    check_count(options)
    _check_stream(options, streamed)
    _check_members(options, settings.get("members", recipes.get(recipe).members))
    with naming_options():
        given = {"class_weights": weights, "start": start}
        session.check_settings(recipe, settings, has_dev_set=bool(dev_data), streamed=streamed, **given)
        if start and choice in DATA_SETS:
            check_shape(start, SHAPE)
    if dev_data:
        check_choice(dev_data, "--dev-data")
    if options["test_data"] not in (None, NO_TEST):
        check_choice(options["test_data"], "--test-data")
    if options.get("corrections"):
        from fnnet.data.corrections import check_memory, rows_in

        check_memory(not streamed)
        rows_in(Path(options["corrections"]))
    if options["run_dir"]:
        from fnnet.training.check_run import check_run

        with naming_options(choice, only_in_text=True):
            compiled = options["jit"] and library.possible()
            more = {"seed": options["seed"], "compiled": compiled, "known": _known(options, start), **given}
            check_run(options["run_dir"], options["resume"], recipe, settings, **more)


def _check_stream(options: Mapping[str, Any], streamed: bool) -> None:
    """Raise UsageError for what does not go with a stream, or with another data set."""
    if options["skip_damaged"] and not streamed:
        expected = "--data DIR, a folder that data expand wrote, or Parquet with --window"
        found = f"--data {options['data_choice']}"
        raise UsageError("has no effect", where="--skip-damaged", expected=expected, found=found)
    if options["window"] is not None and not streamed:
        choice = options["data_choice"]
        if choice not in DATA_SETS:
            check_choice(choice, "--data", SEE)
        expected, again = "Parquet, or a folder that data expand wrote", f"fnnet data expand --data {choice}"
        fix = f"leave it out to read into memory, or write such a folder: {again} --times 1 --no-augment -o DIR"
        found = f"--data {choice}{_beside_parquet(choice)}"
        raise UsageError("has no effect", where="--window", expected=expected, found=found, fix=fix)
    if streamed and options["seeds"]:
        from fnnet.training.many import refuse_stream

        with naming_options():
            refuse_stream()


def _beside_parquet(choice: str) -> str:
    """Return a phrase that names what makes a folder with Parquet one of other data; "" for any other."""
    if not os.path.isdir(choice):
        return ""
    from fnnet.data.parquet_folder import beside_parquet

    other = beside_parquet(Path(choice))
    return f", which holds {other} beside Parquet" if other else ""


def _check_members(options: Mapping[str, Any], members: int) -> None:
    """Raise UsageError for what a committee cannot be combined with."""
    for name in ("seeds", "init_seeds"):
        if members > 1 and options[name]:
            where, expected = f"--{name.replace('_', '-')}", "one committee, with --seed"
            raise UsageError("each network is a committee", where=where, expected=expected, found=f"{members} members")
    if members > 1 and options["plot"]:
        fix = "leave it out, and draw the runs of the members: fnnet plot RUN_DIR/member-*"
        raise UsageError("draws one network", where="--plot", expected="1", found=f"{members} members", fix=fix)


def _known(options: Mapping[str, Any], start: Model | None) -> Known:
    dev = 0 if options["dev"] == 0 and not options["dev_data"] else None
    if options["data_choice"] in DATA_SETS:
        return Known(SHAPE, DIGITS, dev=dev)
    shape = start.image_shape if start else options["image_size"] or options["size"]
    return Known(shape, options["class_names"], options["classes"], dev)


@contextlib.contextmanager
def reading_as(start: Model | None) -> Iterator[None]:
    """Leave out of an error's remedy what the model that training starts from does not allow."""
    try:
        yield
    except FnnetError as error:
        named = {*re.findall(r"--[a-z-]+", error.fix)}
        if start is None or not named & {*OF_THE_MODEL}:
            raise
        ways = [way for way in error.fix.split(", or ") if not any(option in way for option in OF_THE_MODEL)]
        fix = ", or ".join(ways) or "give images stored like those that the model was trained on"
        raise error.at(error.where, fix=fix).with_traceback(error.__traceback__) from None
