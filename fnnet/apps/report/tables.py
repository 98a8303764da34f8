"""What was measured of a model, as tables in a terminal: classes, confusion, worst mistakes, calibration."""

from __future__ import annotations

from collections.abc import Sequence

from fnnet.apps.report.measured import FileOf, bin_name, figures_text, interval_text, mistake_name, probability_text
from fnnet.apps.report.screen import Console, Text
from fnnet.apps.report.terminal import table
from fnnet.core.judging import Tally, calibration, wilson
from fnnet.core.metrics import per_class
from fnnet.core.params import Array
from fnnet.errors import one_line


def class_table(matrix: Array, classes: Sequence[str], unit: str, console: Console) -> None:
    """Print the figures of each class, with the interval of its recall, and what it is most often mistaken for."""
    last = "mistaken for"
    rows = table("class", f"{unit}s", "precision", "recall", "95% interval", "F1", last, left=last)
    for column in rows.columns[1:-1]:
        column.no_wrap = True
    for number, (name, row) in enumerate(zip(classes, per_class(matrix), strict=True)):
        wrong = matrix[number].copy()
        wrong[number] = 0
        mistaken = f"{classes[int(wrong.argmax())]} ({wrong.max():,})" if wrong.any() else ""
        interval = interval_text(int(matrix[number, number]), row.images)
        recall, precision, f1 = figures_text(matrix, number, row)
        rows.add_row(name, f"{row.images:,}", precision, recall, interval, f1, mistaken)
    console.print(rows)


def confusion_table(matrix: Array, classes: Sequence[str], console: Console) -> None:
    """Print the confusion matrix, a point for 0, if it fits the console's width."""
    cells = [["\u00b7" if console.encoding.startswith("utf") and not n else f"{n}" for n in row] for row in matrix]
    names = [one_line(name) for name in classes]
    side = max(map(len, names))
    widths = [max(len(name), *(len(row[at]) for row in cells)) + 1 for at, name in enumerate(names)]
    console.print()
    if side + sum(widths) > console.width:
        console.print(f"confusion of {len(names)} classes: too wide for here; --confusion FILE draws it")
        return
    console.print("confusion: a row for each class, a column for each prediction", style="bold")
    lines = [["", *names], *([name, *row] for name, row in zip(names, cells, strict=True))]
    for number, (head, *row) in enumerate(lines):
        line = Text(f"{head:>{side}}", style="bold")
        for at, cell in enumerate(row):
            style = "bold" if number == 0 else "green" if at == number - 1 else "dim" if cell in "\u00b70" else ""
            line.append(f"{cell:>{widths[at]}}", style=style)
        console.print(line, no_wrap=True, overflow="crop")


def mistake_table(
    tally: Tally, classes: Sequence[str], file_of: FileOf, folder: str, unit: str, console: Console
) -> None:
    """Print the worst mistakes, the worst first.

    folder   that of the data, from which on files are named.
    """
    if not tally.mistakes:
        return
    console.print()
    console.print("worst mistakes: the lowest probability of the class first", style="bold")
    rows = table(unit, "class", "probability", "predicted", "probability", left=unit)
    for each in tally.mistakes:
        name = one_line(mistake_name(each, file_of, folder))
        likely = [probability_text(p) for p in (each.label_probability, each.probability)]
        rows.add_row(name, classes[each.label], likely[0], classes[each.predicted], likely[1])
    console.print(rows)


def calibration_table(tally: Tally, unit: str, console: Console) -> None:
    """Print what share of the images is correct in each bin of confidence, and the expected calibration error.

    Words say it where the confidence lies outside the 95% interval of the share.
    """
    found = calibration(tally)
    console.print()
    head = f"calibration: probabilities are off by {100 * found.error:.2f} points in the mean (ECE)"
    console.print(head, style="bold")
    rows = table("confidence", f"{unit}s", "mean", "correct", "difference in points", left="difference in points")
    for each in found.bins:
        if each.images:
            gap = 100 * (each.accuracy - each.confidence)
            low, high = wilson(round(each.accuracy * each.images), each.images)
            verdict = "" if low <= each.confidence <= high else "  too sure" if gap < 0 else "  not sure enough"
            words = f"{gap:+.1f}{verdict}"
            name = bin_name(each.low, each.high)
            rows.add_row(name, f"{each.images:,}", f"{each.confidence:.1%}", f"{each.accuracy:.1%}", words)
    console.print(rows)
