"""Checkpoints: the whole state of a training, in one file with a checksum, to resume it bit for bit."""

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
from fnnet.core.state import Moments, Training, TrainState, frozen, report_of
from fnnet.errors import DataError, ModelError
from fnnet.files import container
from fnnet.files.container import Kind
from fnnet.files.disk import DISK, FileSystem
from fnnet.files.model import check_keys, check_names, params_of, tensors_of
from fnnet.files.strictjson import without_nan

CHECKPOINT: Final = Kind("checkpoint", 1, 64 * 2**20)
"""64 MiB of header are the reports of about 250,000 epochs."""
KEYS: Final = frozenset({"sizes", "optimizer", "step", "seed", "scheme", "best", "history", "progress", "config"})
PROGRESS: Final = ("epoch", "images", "loss_sum", "correct", "seconds")
"""The fields of `Training` that say how much of the current epoch is done."""
EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class Checkpoint(NamedTuple):
    """The state of a training.

    state      params, optimizer state (() or Moments), step, seed, scheme.
    best       the best parameters so far; None without early stopping.
    history    the reports so far, each a mapping of JSON values; floats keep every bit, NaN and infinity become None.
    progress   the fields PROGRESS of the training, as JSON values.
    config     the options that the run was started with, as JSON values.
    """

    state: TrainState
    best: Params | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    progress: Mapping[str, Any] = EMPTY
    config: Mapping[str, Any] = EMPTY


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint, disk: FileSystem = DISK) -> None:
    """Write `checkpoint` to the file `path`, completely or not at all; it is read back before the file is renamed.

    Raises   ModelError for a checkpoint that could not be loaded again, such as one with weights that are not finite;
             StorageError if the file cannot be written.
    """
    if not isinstance(checkpoint, Checkpoint):
        raise ModelError(
            "not a checkpoint", where=path, expected="Checkpoint", found=type(checkpoint).__name__, fix="pass one"
        )
    state, best = checkpoint.state, checkpoint.best
    tensors, optimizer = tensors_of("params", check_params(state.params)), None
    if isinstance(state.optimizer_state, Moments):
        steps, trees = state.optimizer_state
        optimizer = {"steps": steps, "trees": len(trees)}
        for number, tree in enumerate(trees):
            tensors |= tensors_of(f"moments.{number}", tree)
    elif not (isinstance(state.optimizer_state, tuple) and len(state.optimizer_state) == 0):
        found = type(state.optimizer_state).__name__
        expected, fix = "() or Moments", "save the state of an fnnet optimizer"
        raise ModelError("unknown optimizer state", where=path, expected=expected, found=found, fix=fix)
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
    """Load the checkpoint in the file `path`; its checksum and every value are checked.

    Raises   ModelError for a damaged file or one that is not a checkpoint, StorageError if the file cannot be read.
    """
    return container.load(path, CHECKPOINT, _checkpoint, disk)


def _checkpoint(about: Any, tensors: Mapping[str, Array]) -> Checkpoint:
    check_keys(about, KEYS)
    sizes, optimizer = check_sizes(about["sizes"]), about["optimizer"]
    step = _count("step", about["step"])
    if about["scheme"] != rng.SCHEME:
        raise ModelError("unknown scheme of random numbers", expected=rng.SCHEME, found=repr(about["scheme"]))
    parts = {"history": list, "progress": dict, "config": dict, "best": bool}
    if not all(isinstance(about[name], kind) for name, kind in parts.items()):
        expected = ", ".join(f"{name} a {kind.__name__}" for name, kind in parts.items())
        found = ", ".join(f"{name} a {type(about[name]).__name__}" for name in parts)
        raise ModelError("entries of the wrong type", expected=expected, found=found)
    strange = [repr(report)[:40] for report in about["history"] if not isinstance(report, dict)]
    if strange:
        expected = "one JSON object per report"
        raise ModelError("history has an entry that is not an object", expected=expected, found=strange[0])
    trees = 0 if optimizer is None else _count("trees", optimizer["trees"])
    moments = [f"moments.{number}" for number in range(min(trees, len(tensors)))]
    check_names(tensors, ["params", *moments, *(["best"] if about["best"] else [])], sizes)
    params = params_of("params", tensors, sizes)
    # Moments that overflowed are not a divergence yet, and resuming must give the same bits.
    remembered = tuple(params_of(prefix, tensors, sizes, finite=False) for prefix in moments)
    optimizer_state = () if optimizer is None else Moments(_count("steps", optimizer["steps"]), remembered)
    state = TrainState(params, optimizer_state, step, rng.check_seed(about["seed"]), about["scheme"])
    best = params_of("best", tensors, sizes) if about["best"] else None
    if any(tree.layers[0].W.dtype != params.layers[0].W.dtype for tree in (*remembered, best) if tree):
        expected = "one float dtype for weights, moments and best weights"
        raise ModelError("dtypes differ", place="arrays", expected=expected, found="float32 and float64")
    checkpoint = Checkpoint(state, best, *(frozen(about[name]) for name in ("history", "progress", "config")))
    training_of(checkpoint)  # raises for a history or progress that cannot be resumed
    return checkpoint


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ModelError(name, expected="an integer >= 0", found=repr(value))
    return value


def checkpoint_of(training: Training) -> Checkpoint:
    """Return the checkpoint of `training`."""
    progress = {name: getattr(training, name) for name in PROGRESS}
    history = tuple(report._asdict() for report in training.history)
    return Checkpoint(training.state, training.best, history, progress)


def training_of(checkpoint: Checkpoint) -> Training:
    """Return the training stored in `checkpoint`.

    Raises   ModelError for a history or progress that cannot come from a training.
    """
    try:
        history = tuple(report_of(report) for report in checkpoint.history)
        progress = {name: _figure(name, value) for name, value in checkpoint.progress.items()}
    except DataError as error:
        raise ModelError(error.problem, place="history", expected=error.expected, found=error.found) from None
    return Training(checkpoint.state, history, checkpoint.best, **progress)


def _figure(name: str, value: Any) -> Any:
    """Return a value of the progress with the type it has in `Training`."""
    if name not in PROGRESS:
        raise ModelError(
            "unknown entry of progress", place="description", expected=", ".join(PROGRESS), found=repr(name)
        )
    if name in ("loss_sum", "seconds"):
        # A sum of losses that overflowed is stored as null.
        return math.nan if value is None else check_finite(name, value)
    return _count(name, value)
