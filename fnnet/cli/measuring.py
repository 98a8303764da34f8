"""Images that a command measures a model on: of the data that options name, or of the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fnnet.cli.bars import share_bar
from fnnet.cli.common import Notices, check_outputs, data_inputs, describe, is_streamed, load_kernels, without_skipping
from fnnet.cli.for_model import load_fitting
from fnnet.cli.streams import echo
from fnnet.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fnnet.core.judging import Tally
    from fnnet.core.metrics import Evaluation, Totals
    from fnnet.core.params import Array
    from fnnet.core.state import Examples, Model
    from fnnet.core.table import Kernels
    from fnnet.data import Dataset, StreamedDataset
    from fnnet.data.stream import Stream


class Measured(NamedTuple):
    """What was measured, of which images.

    results   by floats and, if wanted, by int8, of images in memory; `result` is the last, or that of a stream.
    matrix    the confusion.
    tally     of confidences and the worst mistakes.
    digest    of the images.
    """

    dataset: Dataset | StreamedDataset
    examples: Examples | Stream
    kernels: Kernels
    results: list[Evaluation]
    result: Evaluation | Totals
    matrix: Array
    tally: Tally
    digest: str

    @property
    def images(self) -> int:
        """The number of images."""
        return int(self.matrix.sum())

    @property
    def unit(self) -> str:
        """What one of them is called: image, or row of a table."""
        from fnnet.core.state import unit_of

        return unit_of(self.dataset.preprocessing)

    def file_of(self, index: int) -> str | None:
        """Return the file of an image by its number; None where it has none of its own, as in a stream."""
        train, test = getattr(self.dataset, "files", ((), ()))
        files = test if self.examples is self.dataset.test else train
        return files[index] if files else None


def measure(
    model: Model,
    model_path: str,
    options: dict[str, Any],
    notify: Notices,
    *,
    precision: str = "float",
    worst: int,
    plot: str | None = None,
    outputs: Mapping[str, Any],
    jit: bool,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> Measured:
    """Return what is found of the data that options name, or of the model's own.

    worst     the worst mistakes that are kept.
    plot      the picture of some images, which must then be in memory.
    outputs   what the command writes, as `check_outputs` takes it.
    """
    from fnnet.cli import own_data
    from fnnet.data.holdout import hold_out_again
    from fnnet.data.reader import only_at_once
    from fnnet.data.stream import count_of
    from fnnet.data.tables import refuse_table

    own, is_int8, test = options["data_choice"] is None, precision == "int8", own_data.about_test(model)
    tested = own_data.own_test_set(options, model, model_path, notify) if own else None
    if own and not tested:
        options = own_data.with_own_data(options, model, model_path)
        check_outputs(inputs=data_inputs(options), **outputs)

    def measured(streamed: bool) -> Measured:
        dataset = tested or load_fitting(options, model, model_path, notify, streamed)
        if own and not tested:
            dataset = own_data.corrected_as(model, dataset, model_path)
        dataset = hold_out_again(dataset, test)
        part, examples = ("test", dataset.test) if dataset.test else ("labelled", dataset.train)
        _check_streamed(examples, precision, plot)
        if plot:
            refuse_table(dataset, "--plot", "images, which can be drawn", "leave it out")
        if not quiet:
            line = describe(dataset, {part: count_of(examples)})
            notify.in_turn(lambda: echo(line, err=as_json))
        kernels, _ = load_kernels(jit, threads, notify, ["infer", *["quantised"] * is_int8])
        return Measured(dataset, examples, kernels, *_results(model, examples, is_int8, kernels, worst, quiet))

    streamed = not tested and is_streamed(options)
    at_once = tested or streamed or plot or is_int8 or (own and test.get("held_out"))
    large = not at_once and is_streamed(options, large=True)
    try:
        with without_skipping(), notify.held(large):
            found = measured(large or streamed)
    except DataError as error:
        if not (large and only_at_once(error)):
            raise
        found = measured(streamed=False)
    if note := own_data.note_of_others(model, found.dataset, count_of(found.examples), found.digest, own):
        notify(note)
    return found


def _results(
    model: Model, examples: Examples | Stream, is_int8: bool, kernels: Kernels, worst: int, quiet: bool
) -> tuple[list[Evaluation], Evaluation | Totals, Array, Tally, str]:
    """Return what is found of images: the fields of `Measured` from `results` on."""
    from fnnet.core import judging, metrics
    from fnnet.core.public import scores
    from fnnet.data.stream import Stream, fingerprint_of

    if isinstance(examples, Stream):
        total, digest = _evaluate_stream(model, examples, kernels, worst, quiet)
        return [], total, total.confusion, total.tally, digest
    x, labels = examples
    logits = [scores(model, x, precision=each, kernels=kernels) for each in ("float", "int8")[: 1 + is_int8]]
    results = [metrics.evaluation_of(each, labels, kernels=kernels) for each in logits]
    matrix = metrics.confusion(results[-1].predicted, labels, len(model.classes))
    tally = judging.tally(x, labels, logits[-1], most=worst)
    return results, results[-1], matrix, tally, fingerprint_of(examples)


def _check_streamed(examples: Examples | Stream, precision: str, plot: str | None) -> None:
    """Raise UsageError for what needs all images at once, of a stream."""
    from fnnet.data.stream import Stream

    if not isinstance(examples, Stream):
        return
    for where, given, expected in (("--precision", precision == "int8", "float"), ("--plot", plot, "no picture")):
        if given:
            fix = "leave it out, or evaluate on a stream with a test set"
            raise UsageError("reads all images at once", where=where, expected=expected, found="a stream", fix=fix)


def _evaluate_stream(model: Model, stream: Stream, kernels: Kernels, worst: int, quiet: bool) -> tuple[Totals, str]:
    """Return the figures of all images of a stream, which are read piece by piece, and their digest."""
    from fnnet.core import metrics
    from fnnet.core.public import CHUNK
    from fnnet.data.stream import Fingerprint

    fingerprint = Fingerprint()

    def batches(show: Callable[[float], None]) -> Iterator[Examples]:
        done = 0
        for each in stream.batches(CHUNK):
            fingerprint.add(each)
            yield each
            done += len(each.labels)
            show(done / stream.images)

    with share_bar("evaluating", not quiet) as show:
        given: dict[str, Any] = {"activation": model.activation, "worst": worst, "kernels": kernels}
        found = metrics.evaluate_in(model.params, batches(show), len(model.classes), **given)
    return found, fingerprint.hexdigest()
