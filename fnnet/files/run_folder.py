"""Run directories looked at from outside, while they may be written: which folder is one, and where its model is.

Commands that take a model take the folder of the run that it came from as well: `model_file` finds it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fnnet.core.state import Model
from fnnet.errors import ModelError, UsageError, counted
from fnnet.files.disk import list_folder
from fnnet.files.lock import holder
from fnnet.files.model import is_model
from fnnet.files.runs import MEMBER, STEP, holds_run
from fnnet.names import MODEL_FILE

SHOWN: Final = 8
"""Names of runs in a message."""


def members_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the run directories of a committee's members, in their order; none if the folder holds no such run."""
    return [each for each in _folders_in(folder) if MEMBER.fullmatch(each.name)]


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Return True for the run directory of one network or of a committee, finished or not."""
    return holds_run(Path(folder)) or any(map(holds_run, members_in(folder)))


def runs_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the run directories directly in a folder, in the order of their names."""
    return [each for each in _folders_in(folder) if is_run(each)]


def _folders_in(folder: str | os.PathLike[str]) -> list[Path]:
    return [each for each in list_folder(folder) if each.is_dir()] if os.path.isdir(folder) else []


def last_step(folder: str | os.PathLike[str]) -> int | None:
    """Return the step of the newest checkpoint in a run directory, by its name; None if there is none."""
    names = (STEP.fullmatch(each.name) for each in list_folder(folder))
    return max((int(match[1]) for match in names if match), default=None)


def model_file(path: str | os.PathLike[str]) -> str:
    """Return the file of a model: `path` itself, or if it is the folder of a run, the model in it.

    Raises   ModelError for a folder that is not the run of a finished training.
    """
    given = os.fsdecode(path)
    if not os.path.isdir(given):
        return given
    file = os.path.join(given, MODEL_FILE)
    if os.path.lexists(file):
        return file
    if is_run(given):
        holders = [holder(given), *map(holder, members_in(given))]
        training = any(held and held[1] for held in holders)
        expected = f"{MODEL_FILE}, which is written once training is finished"
        found, fix = _reached(given), f"go on with 'fnnet train --run-dir {given} --resume' and its options"
        fix = "wait for its end" if training else fix
        raise ModelError("holds no model yet", where=given, expected=expected, found=found, fix=fix)
    expected = "a model, or a folder that 'fnnet train --run-dir' wrote"
    if inside := runs_in(given):
        names = ", ".join(each.name for each in inside[:SHOWN]) + (", ..." if len(inside) > SHOWN else "")
        found, fix = f"a folder of {counted(len(inside), 'run')}: {names}", "name one of them"
        raise ModelError("holds no model", where=given, expected=expected, found=found, fix=fix)
    raise ModelError("holds no model", where=given, expected=expected, found=f"a folder without {MODEL_FILE}")


def _reached(folder: str) -> str:
    members = members_in(folder)
    if members:
        return f"a committee of which {counted(len(members), 'member')} {'is' if len(members) == 1 else 'are'} begun"
    step = last_step(folder)
    return "a run without a checkpoint" if step is None else f"a run at step {step:,}"


def is_behind(file: str | os.PathLike[str], model: Model) -> int | None:
    """Return the step of its run that a model in a run directory has not seen; None if it is the newest, or alone."""
    folder, steps = Path(file).parent, model.training.get("steps")
    if Path(file).name != MODEL_FILE or not holds_run(folder) or not isinstance(steps, int):
        return None
    last = last_step(folder)
    return last if last is not None and last > steps else None


def check_place(folder: str | os.PathLike[str], resume: bool) -> None:
    """Raise UsageError if a file that is not the model of the run has the name of its model.

    resume   whether a run in the folder goes on: its model is then replaced.
    """
    file = Path(folder, MODEL_FILE)
    if not os.path.lexists(file):
        return
    fix = "move it away, or choose another folder"
    if not is_model(file):
        expected, found = "a model of fnnet, or no such file", "a file of another kind"
        raise UsageError("would be replaced by the model", where=file, expected=expected, found=found, fix=fix)
    if not (resume and is_run(folder)):
        expected, found = "a folder without a model", MODEL_FILE
        raise UsageError("holds a model already", where=folder, expected=expected, found=found, fix=fix)
