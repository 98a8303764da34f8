"""Files that commands write: checked before the work, and those that nobody named never over files of another kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from fnnet.cli.common import check_outputs, data_inputs, model_file_of, say
from fnnet.cli.mismatch import naming_options
from fnnet.cli.seeds import model_files
from fnnet.errors import UsageError, counted
from fnnet.names import MODEL_FILE

SOFTWARE: Final = b"Software\0fnnet"
"""What a PNG of fnnet has in its first bytes."""
REPLACED: Final = "replaced"
"""The code of notes here."""


def check_files(options: dict[str, Any], seeds: tuple[int, ...]) -> list[str]:
    """Return the files that a training writes its models to: that of --out, else of --run-dir, or one for each seed.

    The run of --start becomes the model in it.
    Raises   UsageError or StorageError, before the work, for what cannot be written, or would replace an input.
    """
    _check_run_dir(options)
    run_dir, start = options["run_dir"], options["start"] and model_file_of(options["start"])
    options["start"] = start
    out = options["out"] or (os.path.join(run_dir, MODEL_FILE) if run_dir else MODEL_FILE)
    files = model_files(out, seeds) or [out]
    inputs = [*data_inputs(options), *([start] if start else [])]
    for file in files:
        written = {"--out": None if of_the_run(file, run_dir) else file}
        check_outputs(inputs=inputs, files=written, pictures={"--plot": options["plot"]})
    return files


def _check_run_dir(options: dict[str, Any]) -> None:
    """Raise UsageError if --run-dir is missing, cannot keep what is to be trained, or is where a file is to go."""
    folder = options["run_dir"]
    if not (folder or options["resume"]):
        return
    from fnnet.files.disk import check_folder
    from fnnet.files.runs import is_ours
    from fnnet.training.plan import check_run_dir

    with naming_options():
        check_run_dir(folder, options["resume"], options["optimizer"] or "sgd")
    for name in ("out", "plot"):
        place = os.path.realpath(options[name] or "")
        own = is_ours(os.path.basename(place)) and not (name == "out" and of_the_run(place, folder))
        if os.path.dirname(place) == os.path.realpath(folder) and own:
            expected, found = "a name that the run does not use", options[name]
            raise UsageError("would replace a file of the run", where=f"--{name}", expected=expected, found=found)
        # Neither exists yet, so that only the end of training would show it.
        if options[name] and os.path.realpath(folder) == place:
            found = f"{options[name]}, which --{name} writes"
            raise UsageError("is a folder", where="--run-dir", expected="a place of its own", found=found)
    check_folder(folder)


def of_the_run(file: str, run_dir: str | None) -> bool:
    """Return True for the file that a run directory keeps its model in, which the run itself writes."""
    return bool(run_dir) and os.path.realpath(file) == os.path.realpath(os.path.join(run_dir or "", MODEL_FILE))


def check_defaults(
    files: Sequence[str], options: Mapping[str, Any], seeds: tuple[int, ...], notify: Callable[[str], None]
) -> list[str]:
    """Return the models that a training will replace though nobody named them; a note says so.

    Raises   UsageError, before the work, for a file of another kind.
    """
    named = (options["out"] and not seeds) or of_the_run(files[0], options["run_dir"])
    there = [file for file in files if not named and os.path.lexists(file)]
    if not there:
        return []
    from fnnet.data.notes import Note
    from fnnet.files.model import is_model

    for file in there:
        if not is_model(file):
            _refuse_other("model", file, "--out", "name another file, or move this one away")
    more = f" and {counted(len(there) - 1, 'other')}" if len(there) > 1 else ""
    notify(Note(REPLACED, f"{there[0]}{more}, an earlier model, will be replaced; --out names another file"))
    return there


def check_picture(path: str, where: str, notify: Callable[[str], None]) -> list[str]:
    """Return the picture if there is one already, which will be replaced though nobody named it; a note says so.

    Raises   UsageError, before the work, for a file of another kind.
    """
    return _check_own(path, where, notify, "picture", SOFTWARE)


def check_page(path: str, where: str, notify: Callable[[str], None]) -> list[str]:
    """Do the same for a page of HTML."""
    from fnnet.apps.pages.page import GENERATOR

    return _check_own(path, where, notify, "page", GENERATOR.encode())


def _check_own(path: str, where: str, notify: Callable[[str], None], kind: str, mark: bytes) -> list[str]:
    """Do as `check_picture` for a file of a kind, which has `mark` in its first bytes if fnnet wrote it."""
    from fnnet.data.notes import Note
    from fnnet.files.disk import read_head

    if not os.path.lexists(path):
        return []
    if os.path.islink(path) or not os.path.isfile(path) or mark not in read_head(path):
        _refuse_other(kind, path, where, f"name another file: {where} FILE")
    notify(Note(REPLACED, f"{path}, an earlier {kind}, will be replaced; {where} FILE names another"))
    return [path]


def _refuse_other(kind: str, file: str, where: str, fix: str) -> NoReturn:
    """Raise UsageError for a file that nobody named, and that is not of the kind to be written."""
    expected, found = f"a {kind} of fnnet, or no such file", f"{file}, a file of another kind"
    raise UsageError("would replace a file", where=where, expected=expected, found=found, fix=fix)


def say_replaced(files: Sequence[str]) -> None:
    """Print, where notes are not printed, which files are replaced."""
    if files:
        say(f"replaced {', '.join(files)}")
