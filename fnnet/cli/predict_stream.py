"""`fnnet predict` on streams: images are read piece by piece, and answers written as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fnnet.cli.answers import COLUMNS, KAGGLE, lines_of
from fnnet.cli.bars import share_bar
from fnnet.errors import UsageError

if TYPE_CHECKING:
    from fnnet.cli.common import Notices
    from fnnet.core.params import Array
    from fnnet.core.state import Model
    from fnnet.data.stream_images import Batch, ParquetImages, StreamImages


class Answers:
    """The bytes of the table of answers, which are made as they are gone through.

    images   those that have been predicted.
    """

    def __init__(
        self,
        model: Model,
        opened: Sequence[ParquetImages | StreamImages],
        ids: Array | None,
        kaggle: bool,
        kernels: Any,
    ) -> None:
        self._model, self._opened, self._ids, self._kaggle, self._kernels = model, opened, ids, kaggle, kernels
        self.images = 0
        self.others: dict[str, int] = {}
        self.counts, self.firsts = {"other_ink": 0, "blank": 0, "dim": 0}, {"blank": "", "dim": ""}
        self.show: Any = lambda share: None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes of the table."""
        yield lines_of([KAGGLE if self._kaggle else COLUMNS])
        total = sum(each.images for each in self._opened)
        for opened in self._opened:
            for batch in opened:
                yield lines_of(self._rows(batch, opened.images))
                self.images += len(batch.x)
                self.show(self.images / total)

    def _rows(self, batch: Batch, of: int) -> list[tuple[object, ...]]:
        from fnnet.core.public import best_classes, scores
        from fnnet.data.unlike import looks_of

        model = self._model
        logits = scores(model.params, batch.x, activation=model.activation, kernels=self._kernels)
        best = best_classes(logits)
        probs = self._kernels.softmax(logits)[range(len(best)), best]
        looks = looks_of(batch.x, model.image_shape, model.preprocessing)
        for name, found in looks._asdict().items():
            if count := int(found.sum()):
                self._count(name, count, batch, int(found.argmax()), of)
        names = [model.classes[number] for number in best.tolist()]
        if self._kaggle:
            rows = range(self.images, self.images + len(best))
            ids = [row + 1 for row in rows] if self._ids is None else self._ids[rows.start : rows.stop].tolist()
            return [*zip(ids, names, strict=True)]
        each = zip(names, probs.tolist(), looks.blank.tolist(), strict=True)
        return [
            (batch.file, number, "" if blank else name, "" if blank else probability)
            for number, (name, probability, blank) in enumerate(each, batch.first)
        ]

    def _count(self, name: str, count: int, batch: Batch, first: int, of: int) -> None:
        self.counts[name] += count
        if name == "other_ink":
            self.others.setdefault(batch.file, of)
        elif not self.firsts[name]:
            self.firsts[name] = batch.file if of == 1 else f"{batch.file}[{batch.first + first}]"


def predict_streams(
    model: Model,
    files: Sequence[str],
    output: str,
    kaggle: bool,
    columns: dict[str, Any],
    kernels: Any,
    notify: Notices,
) -> int:
    """Write the answers on all images in files that `stream_images.streamed` returned; return how many there are."""
    from fnnet.data.ranges import SIGNED, UNIT, differs
    from fnnet.data.stream_images import open_images
    from fnnet.files.disk import write_pieces

    opened = open_images(files, model.image_shape, model.preprocessing, columns)
    for each in opened:
        for note in each.notes:
            notify(note)
    if any(SIGNED in each.ranges for each in opened):
        for each in opened:
            if UNIT in each.ranges:  # it may be from -1 to 1 without a number below 0
                raise differs(each.path)
    ids = _ids(opened, model, notify) if kaggle else None
    answers = Answers(model, opened, ids, kaggle, kernels)
    with share_bar("predicting", notify.heard) as show:
        answers.show = show
        write_pieces(output, answers)
    _note(answers, model, kaggle, notify)
    return answers.images


def _ids(opened: Sequence[ParquetImages | StreamImages], model: Model, notify: Notices) -> Array | None:
    """Return the ids that tables give their images, in order; None if some have none, as those of a stream.

    Raises   UsageError for two images of one id.
    """
    import numpy as np

    from fnnet.data.child import kept
    from fnnet.data.ids import read_ids
    from fnnet.data.notes import Note
    from fnnet.data.stream_images import StreamImages

    found = []
    with kept():
        for each in opened:
            ids, notes = (None, []) if isinstance(each, StreamImages) else read_ids(each.path, model.image_shape)
            for note in notes:
                notify(note)
            found.append(ids)
    there = [ids for ids in found if ids is not None]
    if len(there) < len(found):
        why = ": not all names of files are numbers" if len(found) > 1 else ""
        why = ": not all files have ids" if there else why
        notify(Note("counted-ids", f"ImageId counts the images from 1, in their order{why}"))
        return None
    together = np.concatenate(there)
    order = np.argsort(together, kind="stable")
    same = np.flatnonzero(np.diff(together[order]) == 0)
    if len(same):
        starts = np.cumsum([0, *(each.images for each in opened)])
        rows = [int(order[same[0] + at]) for at in (0, 1)]
        files = [int(np.searchsorted(starts, row, "right")) - 1 for row in rows]
        names = [f"{opened[file].path}[{row - starts[file]}]" for file, row in zip(files, rows, strict=True)]
        fix = "leave one out, or write the table without --kaggle"
        raise UsageError(
            "two images of one id", where="--kaggle", expected="each number once", found=" and ".join(names), fix=fix
        )
    return together


def _note(answers: Answers, model: Model, kaggle: bool, notify: Notices) -> None:
    """Note what `predict` notes of images in memory."""
    from fnnet.data.blank import blank_predicted
    from fnnet.data.unlike import dim_predicted, other_ink_in
    from fnnet.errors import counted

    counts, of = answers.counts, answers.images
    if answers.others:
        first, *more = answers.others
        name = f"{first} and {counted(len(more), 'other file')}" if more else first
        notify(other_ink_in(name, counts["other_ink"], sum(answers.others.values()), model.preprocessing))
    if counts["blank"]:
        what = "Kaggle's form gives a class all the same" if kaggle else "no class is given"
        notify(blank_predicted(counts["blank"], of, answers.firsts["blank"], what))
    if counts["dim"]:
        notify(dim_predicted(counts["dim"], of, answers.firsts["dim"]))
