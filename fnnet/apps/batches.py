"""Predictions of batches for engines that run functions on many workers: Dask, Ray, Spark, joblib.

What is sent to them is small: the path of a model file, its digest, and how images are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from fnnet.apps.batch_columns import as_columns, axes_in_arrays, axes_in_frame, columns_in, of_arrays, of_frame
from fnnet.apps.batch_images import BATCH, RANGES, SAY_RANGE, Reading, as_taken
from fnnet.core.frames import is_frame, names_of
from fnnet.core.params import Array
from fnnet.core.public import best_classes
from fnnet.core.public_committee import Members
from fnnet.core.state import Committee, Model, networks_of
from fnnet.data.arguments import check_flag, check_path
from fnnet.data.unlike import looks_of
from fnnet.errors import ArgumentTypeError, ModelError, StorageError, UsageError
from fnnet.files.disk import read_bytes, refuse
from fnnet.files.model import model_in
from fnnet.kernels import check_threads, load
from fnnet.threads import Lock

if TYPE_CHECKING:
    from fnnet.core.table import Kernels

FIELDS: Final = ("predicted", "probability", "note")
NOTES: Final = ("blank", "other-ink", "dim-pixels")
"""What an answer says of an image, the codes of the notes of `fnnet predict`."""
TYPES: Final = ("string", "float", "string")
"""The fields as Spark calls their types."""
KEPT: Final = 4
"""Models that a process keeps, those that were used last: workers live long."""
SHOWN: Final = 12

_models: dict[str, _Loaded] = {}
_kernels: dict[int, Kernels] = {}
_lock: Final = Lock()


class _Loaded(NamedTuple):
    """A model, and by threads its networks with the weights laid out for compiled code: that takes 1 ms."""

    model: Model
    networks: dict[int, Members]


class _File(NamedTuple):
    """A model file: its path, the digest of its bytes, and these where they travel along."""

    path: str
    sha256: str
    content: bytes | None = None


class Found(NamedTuple):
    """The answers to n images: names of classes, "" for a blank image; their probabilities, NaN for it; notes."""

    predicted: Array
    probability: Array
    note: Array

    def as_columns(self) -> Iterator[Array]:
        """Yield the fields as columns of a table: texts as objects, None for the class of a blank image."""
        predicted = self.predicted.astype(object)
        predicted[self.note == NOTES[0]] = None
        yield from (predicted, self.probability, self.note.astype(object))


class BatchPredictor:
    """A model file as a function of batches, for the workers of Dask, Ray, Spark and joblib.

    It pickles as the path, the SHA-256 of the file, and the other arguments. A process loads the model at its first
    batch, once for all threads, and refuses a file that differs from the one that was there when this was made.

    path          of the model file, the same on all workers.
    images        the column that holds an image in each row (an array, a list, its bytes, or those of a picture), or
                  the columns of the pixels, in the model's order. None for columns called as pixels are (pixel0, 1x1;
                  or numbers without gaps), in the order of their numbers, or the only array in a dict that may be
                  images: one of the model's size, or of two axes or more in each row.
    keep          the columns of a table that its answer has too; None for all but the images.
    pixel_range   of all numbers, integers too: (0, 1) or (-1, 1), which are scaled, or (0, 255) for whole ones. None
                  for integers in the range of those that the model was trained on; floats are then refused. Pictures
                  of integers have the range of their format.
    transpose     True if images, pictures too, are stored column by column, False if row by row; to be given for a
                  model that was trained on images stored column by column.
    threads       of a call: engines run several on one machine.
    embed         True to pickle the bytes of the file, for workers that do not share its disk.
    sha256        the digest that the file must have; None for that of the file as it is now.
    Raises        UsageError for arguments, ModelError or StorageError for the file.

    >>> import fnnet, numpy as np
    >>> fnnet.save_model("model.safetensors", fnnet.Model(fnnet.init((784, 10))))
    >>> predict = fnnet.BatchPredictor("model.safetensors")
    >>> predict({"id": np.arange(2), "x": np.zeros((2, 28, 28), np.uint8)})["note"].tolist()
    ['blank', 'blank']
    >>> fnnet.BatchPredictor("model.safetensors", images="x").schema([("id", "bigint"), ("x", "binary")])
    '`id` bigint, `predicted` string, `probability` float, `note` string'
    """

    __name__ = "predict"  # which Dask and Spark call a task by

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        images: str | Sequence[str] | None = None,
        keep: Sequence[str] | None = None,
        pixel_range: tuple[int, int] | None = None,
        transpose: bool | None = None,
        threads: int = 1,
        embed: bool = False,
        sha256: str | None = None,
    ) -> None:
        where = os.path.abspath(os.fsdecode(check_path(path, "no model file", "a path", "give one file")))
        content = read_bytes(where)
        digest = hashlib.sha256(content).hexdigest()
        if sha256 is not None and not isinstance(sha256, str):
            raise ArgumentTypeError("not a digest", where="sha256", expected="64 characters, or None", found=sha256)
        wanted = digest if sha256 is None else sha256
        file = _File(where, wanted, content if check_flag("embed", embed) else None)
        if digest != file.sha256:
            raise _differs(file, digest)
        model = model_in(content, where)
        if model.preprocessing.scaling:
            fix = "predict a table in one process: fnnet.predict(model, path)"
            raise UsageError(
                "takes images", where="path", expected="a model of images", found="a model of a table", fix=fix
            )
        if model.preprocessing.transpose and transpose is None:
            expected = "True if batches hold images column by column, as its training files did, else False"
            raise UsageError("the model leaves it open", where="transpose", expected=expected, found=None)
        turned = None if transpose is None else check_flag("transpose", transpose)
        if pixel_range is not None and not (isinstance(pixel_range, tuple) and pixel_range in RANGES):
            raise UsageError("unknown range", where="pixel_range", expected=SAY_RANGE, found=pixel_range)
        named = images if isinstance(images, str) or images is None else _names("images", images)
        self._set(file, Reading(named, pixel_range, turned), keep, check_threads(threads))

    def _set(self, file: _File, reading: Reading, keep: Sequence[str] | None, threads: int) -> None:
        self._file, self._reading, self._threads = file, reading, threads
        self._keep = None if keep is None else _names("keep", keep)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._file, self._reading, self._keep, self._threads)

    def __repr__(self) -> str:
        return f"BatchPredictor({self.path!r}, sha256={self.sha256[:SHOWN]}...)"

    @property
    def path(self) -> str:
        """The absolute path of the model file."""
        return self._file.path

    @property
    def sha256(self) -> str:
        """The digest of the bytes of the model file."""
        return self._file.sha256

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the answers to a batch that is an array: the fields `predicted`, `probability` and `note`."""
        longest = max(map(len, self._model().classes))
        return np.dtype([("predicted", f"U{longest}"), ("probability", "f4"), ("note", f"U{max(map(len, NOTES))}")])

    def schema(self, columns: Iterable[tuple[str, str]]) -> str:
        """Return the columns of the answers to a Spark DataFrame as the text that `mapInPandas` takes.

        columns   (name, type) of each column of the DataFrame: its `dtypes`.
        """
        try:
            types = dict(pairs := [(name, kind) for name, kind in columns])
        except (TypeError, ValueError):
            expected, found = "pairs of a name and a type: data.dtypes", type(columns).__name__
            raise ArgumentTypeError("not columns", where="schema", expected=expected, found=found) from None
        _check_once([name for name, _ in pairs])
        kept = self._kept([*types], columns_in([*types], self._reading, self._model()))
        each = [*((name, types[name]) for name in kept), *zip(FIELDS, TYPES, strict=True)]
        return ", ".join(f"`{name.replace('`', '``')}` {kind}" for name, kind in each)

    def __call__(self, batch: Any) -> Any:
        """Return the answers to a batch, in its order and in its form.

        batch     an array (n, height, width) or (n, pixels): the answers are an array (n,) of `dtype`.
                  A pandas DataFrame: its index, the columns that are kept, `predicted`, `probability` and `note`.
                  A dict of arrays, as of Ray: the same as a dict.
                  An iterator or a list of these: an iterator of their answers, each as soon as its batch is there.

        `predicted` is the name of the class; None in tables and "" in arrays for a blank image, whose `note` says so.
        `note` is "other-ink" for an image that looks inverted, "dim-pixels" for one of little contrast, else "".
        Raises   DataError, ArgumentTypeError for a batch that cannot be read for sure.
        """
        if isinstance(batch, (list, tuple, Iterator)):
            return map(self._answer, batch)
        return self._answer(batch)

    def _answer(self, batch: Any) -> Any:
        if isinstance(batch, np.ndarray) and not _is_masked(batch):
            return self._of_array(batch)
        if isinstance(batch, Mapping) and not any(map(_is_masked, batch.values())):
            return self._of_dict(batch)
        if is_frame(batch) and hasattr(batch, "iloc"):
            return self._of_frame(batch)
        expected = "an array, a pandas DataFrame, a dict of arrays, or an iterator of these"
        fix = "ask the engine for pandas or numpy batches, or convert it: to_pandas()"
        raise ArgumentTypeError("not a batch", where=BATCH, expected=expected, found=type(batch).__name__, fix=fix)

    def _of_array(self, batch: Array) -> Array:
        if batch.ndim and not len(batch):  # Dask asks about arrays without rows or columns
            return np.zeros(0, self.dtype)
        found = self._found(as_taken(batch, self._reading, self._model()))
        answers = np.zeros(len(batch), self.dtype)
        for name, values in zip(FIELDS, found, strict=True):
            answers[name] = values
        return answers

    def _of_dict(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        arrays, reading, model = as_columns(batch), self._reading, self._model()
        names = [*arrays]
        columns = columns_in(names, reading, model, *axes_in_arrays(arrays))
        kept = self._kept(names, columns)
        found = self._found(of_arrays(arrays, columns, reading, model))
        answers = dict(zip(FIELDS, found.as_columns(), strict=True))
        return {name: arrays[name] for name in kept} | answers

    def _of_frame(self, batch: Any) -> Any:
        names = names_of(batch)
        _check_once(names)
        reading, model = self._reading, self._model()
        cells = axes_in_frame(batch, names) if reading.images is None else {}
        columns = columns_in(names, reading, model, cells=cells)
        kept = self._kept(names, columns)
        found = self._found(of_frame(batch, names, columns, reading, model))
        answers = batch.iloc[:, [names.index(name) for name in kept]].copy(deep=False)
        for name, values, kind in zip(FIELDS, found.as_columns(), TYPES, strict=True):
            answers[name] = values
            if kind == "string":  # else the dtype would depend on whether the batch has a blank image, or any
                answers[name] = answers[name].astype("string")
        return answers

    def _kept(self, names: list[str], columns: list[str]) -> list[str]:
        """Return the columns that answers keep; UsageError for one that is missing, or called as a field is."""
        inside = {*columns}
        kept = [name for name in names if name not in inside] if self._keep is None else [*self._keep]
        for name in kept:
            if name not in names:
                expected = f"columns of the batches: {', '.join(each for each in names if each not in inside)}"
                raise UsageError("no such column", where="keep", expected=expected, found=name)
            if name in FIELDS:
                fix = "rename it, or leave it out of keep="
                raise UsageError("a column is called as one of the answers", where="keep", found=name, fix=fix)
        return kept

    def _found(self, x: Array) -> Found:
        """Return the answers to images as the network takes them."""
        if not len(x):
            return Found(np.empty(0, "U1"), np.empty(0, np.float32), np.empty(0, "U1"))
        model, network, kernels = *_ready(self._file, self._threads), _kernels_of(self._threads)
        logits = network.scores(x)
        best, probs = best_classes(logits), kernels.softmax(logits)
        looks = looks_of(x, model.image_shape, model.preprocessing)
        notes = np.select([looks.blank, looks.other_ink, looks.dim], NOTES, "")
        predicted = np.where(looks.blank, "", np.array(model.classes)[best])
        probability = np.where(looks.blank, np.nan, probs[np.arange(len(x)), best])
        return Found(predicted, probability.astype(np.float32), notes)

    def _model(self) -> Model:
        return _loaded(self._file).model


def _restored(file: _File, reading: Reading, keep: Sequence[str] | None, threads: int) -> BatchPredictor:
    """Return a predictor as it was pickled; the file is read when a batch comes."""
    found = BatchPredictor.__new__(BatchPredictor)
    found._set(file, reading, keep, threads)
    return found


def _loaded(file: _File) -> _Loaded:
    """Return the model of a file, loaded once in a process."""
    with _lock.held():
        found = _models.pop(file.sha256, None) or _Loaded(_model_in(file), {})
        _models[file.sha256] = found  # last, as it was used last
        for old in [*_models][:-KEPT]:
            del _models[old]
    return found


def _ready(file: _File, threads: int) -> tuple[Model, Members]:
    """Return the model of a file, and its networks ready to score."""
    model, networks = _loaded(file)
    kernels = _kernels_of(threads)
    with _lock.held():
        if threads not in networks:
            members = Committee(networks_of(model.params))
            networks[threads] = Members(members, model.activation, False, kernels)
        return model, networks[threads]


def _model_in(file: _File) -> Model:
    """Return the model in a file; ModelError if its bytes are not those that were there when it was pickled."""
    try:
        content = read_bytes(file.path) if file.content is None else file.content
    except StorageError as error:
        fix = "put the file there on every worker, or make the predictor with embed=True"
        raise error.at(error.where, fix=fix) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise _differs(file, digest)
    return model_in(content, file.path)


def _differs(file: _File, digest: str) -> ModelError:
    expected, found = (f"SHA-256 {each[:SHOWN]}..." for each in (file.sha256, digest))
    fix = "give every worker that file, or make the predictor again, with embed=True to send the file along"
    return ModelError(
        "not the file that the predictor was made of", where=file.path, expected=expected, found=found, fix=fix
    )


def _kernels_of(threads: int) -> Kernels:
    """Return the compiled kernels, loaded once in a process."""
    with _lock.held():
        if threads not in _kernels:
            _kernels[threads] = load("numba", threads=threads, parts=["infer"])
        return _kernels[threads]


def _is_masked(values: Any) -> bool:
    """Return True for an array some of whose values may be missing."""
    return isinstance(values, np.ma.MaskedArray)


def _check_once(names: list[str]) -> None:
    """Raise DataError for a name that two columns have."""
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        refuse("two columns of one name", BATCH, f"column {twice!r}", "each name once", twice, "rename one")


def _names(argument: str, given: Any) -> tuple[str, ...]:
    """Return names of columns; ArgumentTypeError for anything else."""
    listed = isinstance(given, Iterable) and not isinstance(given, str)
    if not listed or not all(isinstance(name, str) for name in given):
        raise ArgumentTypeError("not names of columns", where=argument, expected="a list of text", found=given)
    return tuple(given)
