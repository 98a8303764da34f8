"""State: immutable tuples that training carries from step to step and from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fnnet.core import rng
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params, array_tuple
from fnnet.errors import DataError, UsageError


@array_tuple
class Examples(NamedTuple):
    """Labelled rows: `x` (n, inputs) float or uint8, `labels` (n,) int."""

    x: Array
    labels: Array


class Moments(NamedTuple):
    """The state of an optimizer that keeps moments.

    steps   updates made so far.
    trees   the moments, each shaped like the parameters: (velocity,), RMSProp's (square,), Adam's (mean, square);
            last the average of the parameters, if the optimizer keeps one.
    """

    steps: int
    trees: tuple[Params, ...]


class TrainState(NamedTuple):
    """All that training carries from one step to the next."""

    params: Params
    optimizer_state: Any
    step: int
    seed: int
    scheme: str = rng.SCHEME


class Objective(NamedTuple):
    """What a step minimises: the loss with this activation, by name or one of the user's own, dropout (one rate for all
    hidden layers or one for each) and label smoothing; and the shards of a batch, whose gradients are summed in a tree,
    and are rounded to numbers of `message_bits`, 32 or 16, before and after each addition: see `core.shards`."""

    activation: str | Activation = "relu"
    dropout: float | tuple[float, ...] = 0.0
    label_smoothing: float = 0.0
    shards: int = 1
    message_bits: int = 32


PLAIN = Objective()


class Scaling(NamedTuple):
    """How the columns of a table become what a network takes: (value - mean) / scale, in float64, rounded to float32.

    names    of the columns, in the order of the network's inputs; each "" if the table had none.
    means    of the training part, float64.
    scales   their standard deviations (of the population); 0 for a column that is constant there, which becomes 0.
    target   the name of the column of classes; "" if it had none.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    target: str = ""


class Preprocessing(NamedTuple):
    """How the pixels of image files become the bytes that a network takes, where a file is read.

    pixel_max   the largest value that a pixel may have, 1 to 255.
    paper, ink  the values of the ground and of the ink: paper becomes 0 and ink 255, what lies between them in
                proportion.
    blank       what differs from paper by at most this is paper: lossy formats leave blank pixels nearly blank.
    transpose   True if the files store images column by column.
    colour      how colours become grey; "luma", with the weights of ITU-R 601, is the only one.
    faint       an image whose pixels, all but three, differ from their median by at most this is blank; -1 if none is,
                for a network that was trained on blank images too.
    resize      True if pictures of any size are scaled to that of the model's images.
    signed      True if numbers with fractions were from -1 to 1 in the files; others than these are then refused where
                they may be either, and not taken as from 0 to 1.
    scaling     of a table, whose rows are not images: the other fields are then those of the default.
    """

    pixel_max: int = 255
    paper: int = 0
    ink: int = 255
    blank: int = 0
    transpose: bool = False
    colour: str = "luma"
    faint: int = 24
    resize: bool = False
    signed: bool = False
    scaling: Scaling | None = None


def unit_of(preprocessing: Preprocessing) -> str:
    """Return what one of the inputs is called in messages: an image, or a row of a table."""
    return "row" if preprocessing.scaling else "image"


def described(preprocessing: Preprocessing) -> dict[str, Any]:
    """Return the fields of a preprocessing as JSON values, `scaling` only of a table.

    >>> described(Preprocessing())["ink"], described(Preprocessing(scaling=Scaling(("a",), (1.5,), (2.0,))))["scaling"]
    (255, {'names': ['a'], 'means': [1.5], 'scales': [2.0], 'target': ''})
    """
    values = preprocessing._asdict()
    scaling = values.pop("scaling")
    if scaling is None:
        return values
    return {**values, "scaling": thawed(scaling._asdict() if isinstance(scaling, Scaling) else scaling)}


def as_scaling(value: Any) -> Any:
    """Return a scaling that `described` describes; anything else as it is, which `unfit` finds.

    >>> as_scaling({"names": ["a"], "means": [1.5], "scales": [2.0], "target": ""})
    Scaling(names=('a',), means=(1.5,), scales=(2.0,), target='')
    """
    if not isinstance(value, Mapping) or {*value} != {*Scaling._fields}:
        return value
    fields: dict[str, Any] = {
        name: tuple(each) if isinstance(each, (list, tuple)) else each for name, each in value.items()
    }
    return Scaling(**fields)


def unfit(given: Preprocessing) -> tuple[str, tuple[Any, ...]] | None:
    """Return what was expected and found of fields that no preprocessing has; None for one that may be.

    >>> unfit(Preprocessing(ink=300))[1]
    (255, 0, 300, 0)
    """
    if given.scaling is not None and (wrong := _unfit_scaling(given)):
        return wrong, (given.scaling,)
    most, paper, ink, blank = given[:4]
    whole = all(type(each) is int for each in (*given[:4], given.faint))
    if not (whole and 1 <= most <= 255 and 0 <= paper <= most and 0 <= ink <= most and 0 <= blank < abs(ink - paper)):
        expected = "pixel_max from 1 to 255, paper and ink two values up to it, blank less than they differ by"
        return expected, given[:4]
    colour = Preprocessing().colour
    flags = all(isinstance(each, bool) for each in (given.transpose, given.resize, given.signed))
    if not (flags and given.colour == colour and -1 <= given.faint <= 255):
        return f"transpose, resize and signed true or false, colour {colour}, faint from -1 to 255", given[4:-1]
    return None


def _unfit_scaling(given: Preprocessing) -> str:
    """Return what was expected of a scaling that no table has; "" for one that may be."""
    scaling = given.scaling
    if not isinstance(scaling, Scaling) or not all(isinstance(each, tuple) for each in scaling[:3]):
        return "a Scaling of tuples"
    names, means, scales, target = scaling
    if not (names and len(names) == len(means) == len(scales)):
        return "a name, a mean and a scale for each column"
    if not all(isinstance(each, str) for each in (*names, target)) or (any(names) and len({*names}) < len(names)):
        return "names that are text, each once, or all empty"
    if not all(type(each) is float and math.isfinite(each) for each in (*means, *scales)) or min(scales) < 0:
        return "finite means, and scales from 0"
    return "" if given._replace(scaling=None) == Preprocessing() else "the other fields as by default"


@array_tuple
class Committee(NamedTuple):
    """Networks whose logits are averaged, each held apart: one at least, of the same depth, inputs, outputs and dtype.

    `fnnet.join(committee.members)` is the one plain network that it stands for. Where the members have several hidden
    layers, that takes more memory, as no weight joins the units of two members.
    """

    members: tuple[Params, ...]


def networks_of(network: Params | Committee) -> tuple[Params, ...]:
    """Return the members of a committee, or the one network."""
    return network.members if isinstance(network, Committee) else (network,)


class Model(NamedTuple):
    """A network with everything needed to use it, and how it was trained.

    params          weights and biases, of one network or of the members of a Committee.
    activation      of the hidden layers; an Activation of the user's own cannot be saved.
    classes         the names of the outputs.
    image_shape     (height, width) of an input.
    preprocessing   how pixels become bytes where a file is read; the network takes bytes / 255.
    training        recipe, seed, plan and results of the training, as JSON values.

    `fnnet.predict`, `scores`, `loss` and `predictor` take a model in place of its params, and use its activation; what
    the first and the last return are then names of classes, not their numbers.
    """

    params: Params | Committee
    activation: str | Activation = "relu"
    classes: tuple[str, ...] = tuple("0123456789")
    image_shape: tuple[int, int] = (28, 28)
    preprocessing: Preprocessing = Preprocessing()
    training: Mapping[str, Any] = MappingProxyType({})

    def __repr__(self) -> str:
        network = repr(self.params)
        if isinstance(self.params, Params):
            network = network.removeprefix("Params(").removesuffix(")")
        activation = repr(self.activation) if isinstance(self.activation, Activation) else self.activation
        return f"Model({network}, {activation}, {len(self.classes)} classes)"

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled or deep-copied; a dict can.
        return _rebuild, (*self[:-1], thawed(self.training))


def _rebuild(*parts: Any) -> Model:
    params, activation, classes, image_shape, preprocessing, training = parts
    return Model(params, activation, classes, image_shape, preprocessing, frozen(training))


def class_names(model: Model) -> Array:
    """Return the names of a model's classes in the order of its outputs, text (classes,); UsageError for too few."""
    outputs = networks_of(model.params)[0].layers[-1].W.shape[1]
    if len(model.classes) < outputs:
        expected, fix = f"a name for each of {outputs} outputs", "give names by fnnet.Model(..., classes=...)"
        raise UsageError("classes of the model", expected=expected, found=f"{len(model.classes)} names", fix=fix)
    return np.array(model.classes, np.str_)


def frozen(value: Any) -> Any:
    """Return `value` with every dict in it as a read-only mapping and every list as a tuple."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(each) for key, each in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def thawed(value: Any) -> Any:
    """Return `value` with every mapping in it as a dict and every sequence as a list."""
    if isinstance(value, Mapping):
        return {key: thawed(each) for key, each in value.items()}
    return [thawed(each) for each in value] if isinstance(value, (list, tuple)) else value


class EpochReport(NamedTuple):
    """One report on training. Its fields are the keys of each entry of `epochs` in the JSON document.

    epoch          passes over the training images so far.
    seconds        training alone since the last report, without evaluation.
    train_loss, train_accuracy   mean over the last pass, each image before the step that it is in.
    dev_loss, dev_accuracy       over the dev images, after the pass; None without dev images.
    learning_rate  of the last step; NaN for L-BFGS, which has none.
    """

    epoch: int
    seconds: float
    train_loss: float
    train_accuracy: float
    dev_loss: float | None
    dev_accuracy: float | None
    learning_rate: float


def report_of(values: Mapping[str, Any], place: str = "") -> EpochReport:
    """Return the report that a file stores as JSON values.

    A figure that was not finite is null in the file: it becomes NaN, or None if it is of the dev images.
    Raises   DataError naming the field.
    """
    figures: dict[str, Any] = {}
    for field in EpochReport._fields:
        value = values.get(field, ...)
        whole = type(value) is int and 0 <= value < 2**63
        fits, expected = whole, "a whole number, 0 or more"
        if field != "epoch":
            fits, expected = whole or value is None or isinstance(value, float), "a number or null"
        if not fits:
            found = "a missing key" if value is ... else repr(value)[:40]
            raise DataError(field, place=place, expected=expected, found=found)
        figures[field] = math.nan if value is None and not field.startswith("dev") else value
    return EpochReport(**figures)


class Training(NamedTuple):
    """How far training has come: all that is needed to resume it as if it had never stopped.

    history   the reports so far.
    best      the parameters with the best dev loss so far, if early stopping needs them.
    epoch     whole passes so far.
    images, loss_sum, correct   of the current pass: images done, sum of their losses, number of correct predictions.
    seconds   of training since the last report.
    """

    state: TrainState
    history: tuple[EpochReport, ...] = ()
    best: Params | None = None
    epoch: int = 0
    images: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seconds: float = 0.0


class Progress(NamedTuple):
    """What `epochs` reports after each block: the images of this pass so far with their loss sum and their number of
    correct predictions; `training()` returns all that is needed to continue from here. `threads` is the mean number of
    compiled threads since the start, None where NumPy trains; `member` the number of a committee's member, from 1."""

    epoch: int
    images: int
    loss_sum: float
    correct: int
    training: Callable[[], Training]
    threads: float | None = None
    member: int = 1
