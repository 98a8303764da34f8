"""Checkpoints: all that training needs to go on as if it had never stopped, in one file that proves itself."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fnnet.core import rng
from fnnet.core.check_network import check_params, check_sizes
from fnnet.core.checks import check_finite
from fnnet.core.params import Array, Params, layer_sizes
from fnnet.core.state import Moments, Training, TrainState, report_of
from fnnet.errors import DataError, ModelError
from fnnet.files import container
from fnnet.files.container import Kind
from fnnet.files.disk import DISK, FileSystem
from fnnet.files.model import check_keys, check_names, params_of, tensors_of
from fnnet.files.strictjson import frozen, without_nan

CHECKPOINT: Final = Kind("checkpoint", 1, 64 * 2**20)
"""64 MiB of header are the reports of about 250,000 epochs."""
KEYS: Final = frozenset({"sizes", "optimizer", "step", "seed", "scheme", "best", "history", "progress", "config"})
PROGRESS: Final = ("epoch", "images", "loss_sum", "correct", "seconds")
"""Where in its epoch training is: those fields of `train.Training`."""
EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class Checkpoint(NamedTuple):
    """Where training stands.

    state      params, optimizer state (() or Moments), step, seed, scheme.
    best       the best parameters so far; None where none were kept.
    history    the reports so far, each a mapping of JSON values; floats keep every bit, NaN and infinity become None.
    progress   where in its epoch training is, as JSON values.
    config     what the run was started with, as JSON values.
    """

    state: TrainState
    best: Params | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    progress: Mapping[str, Any] = EMPTY
    config: Mapping[str, Any] = EMPTY


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint, disk: FileSystem = DISK) -> None:
    """Write `checkpoint` as the file `path`, all of it or nothing, read back before it takes the name.

    Raises   ModelError for what could not be loaded again, such as weights that are not finite; StorageError if the
             file cannot be written.
    """
    if not isinstance(checkpoint, Checkpoint):
        raise ModelError("no checkpoint", where=path, expected="one", found=type(checkpoint).__name__, fix="give one")
    state, best = checkpoint.state, checkpoint.best
    tensors, optimizer = tensors_of("params", check_params(state.params)), None
    if isinstance(state.optimizer_state, Moments):
        steps, trees = state.optimizer_state
        optimizer = {"steps": steps, "trees": len(trees)}
        for number, tree in enumerate(trees):
            tensors |= tensors_of(f"moments.{number}", tree)
    elif not (isinstance(state.optimizer_state, tuple) and len(state.optimizer_state) == 0):
        found = type(state.optimizer_state).__name__
        expected, fix = "() or optimizer.Moments", "save what an fnnet optimizer made"
        raise ModelError("optimizer state", where=path, expected=expected, found=found, fix=fix)
    if best is not None:
        tensors |= tensors_of("best", best)
    about = {
        "sizes": layer_sizes(state.params),
        "optimizer": optimizer,
        "step": state.step,
        "seed": state.seed,
        "scheme": state.scheme,
        "best": best is not None,
        **{name: without_nan(getattr(checkpoint, name)) for name in ("history", "progress", "config")},
    }
    container.save(path, CHECKPOINT, about, tensors, _checkpoint, disk)


def load_checkpoint(path: str | os.PathLike[str], disk: FileSystem = DISK) -> Checkpoint:
    """The checkpoint in the file at `path`, proven by its checksum and checked throughout.

    Raises   ModelError for anything but a whole checkpoint, StorageError if the file cannot be read.
    """
    return container.load(path, CHECKPOINT, _checkpoint, disk)


def _checkpoint(about: Any, tensors: Mapping[str, Array]) -> Checkpoint:
    check_keys(about, KEYS)
    sizes, optimizer = check_sizes(about["sizes"]), about["optimizer"]
    step = _count("step", about["step"])
    if about["scheme"] != rng.SCHEME:
        raise ModelError("scheme of randomness", expected=rng.SCHEME, found=repr(about["scheme"]))
    parts = {"history": list, "progress": dict, "config": dict, "best": bool}
    if not all(isinstance(about[name], kind) for name, kind in parts.items()):
        expected = ", ".join(f"{name} a {kind.__name__}" for name, kind in parts.items())
        raise ModelError("entries of other kinds", expected=expected, found="something else")
    if not all(isinstance(report, dict) for report in about["history"]):
        raise ModelError("history", expected="a mapping for each report", found="something else")
    trees = 0 if optimizer is None else _count("trees", optimizer["trees"])
    moments = [f"moments.{number}" for number in range(min(trees, len(tensors)))]
    check_names(tensors, ["params", *moments, *(["best"] if about["best"] else [])], sizes)
    params = params_of("params", tensors, sizes)
    # An overflow in what the optimizer remembers is no divergence yet, and going on must give the same bits.
    remembered = tuple(params_of(prefix, tensors, sizes, finite=False) for prefix in moments)
    optimizer_state = () if optimizer is None else Moments(_count("steps", optimizer["steps"]), remembered)
    state = TrainState(params, optimizer_state, step, rng.check_seed(about["seed"]), about["scheme"])
    best = params_of("best", tensors, sizes) if about["best"] else None
    if any(tree.layers[0].W.dtype != params.layers[0].W.dtype for tree in (*remembered, best) if tree):
        expected = "one float dtype for weights and what goes with them"
        raise ModelError("dtype", place="arrays", expected=expected, found="float32 and float64")
    checkpoint = Checkpoint(state, best, *(frozen(about[name]) for name in ("history", "progress", "config")))
    training_of(checkpoint)  # or refuse it now
    return checkpoint


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ModelError(name, expected="an integer >= 0", found=repr(value))
    return value


def checkpoint_of(training: Training) -> Checkpoint:
    """What a checkpoint keeps of `training`."""
    progress = {name: getattr(training, name) for name in PROGRESS}
    history = tuple(report._asdict() for report in training.history)
    return Checkpoint(training.state, training.best, history, progress)


def training_of(checkpoint: Checkpoint) -> Training:
    """The training that a checkpoint kept.

    Raises   ModelError for a history or a progress that no training has.
    """
    try:
        history = tuple(report_of(report) for report in checkpoint.history)
        progress = {name: _figure(name, value) for name, value in checkpoint.progress.items()}
    except DataError as error:
        raise ModelError(error.problem, place="history", expected=error.expected, found=error.found) from None
    return Training(checkpoint.state, history, checkpoint.best, **progress)


def _figure(name: str, value: Any) -> Any:
    """A value of the progress, as `Training` has it."""
    if name not in PROGRESS:
        raise ModelError("progress", place="description", expected=", ".join(PROGRESS), found=repr(name))
    if name in ("loss_sum", "seconds"):
        # The sum of losses may have overflowed, which JSON has no number for.
        return math.nan if value is None else check_finite(name, value)
    return _count(name, value)
