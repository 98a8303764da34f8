"""How fast batches are answered for other engines, and what a call costs: `python -m bench.batches`.

Times are processor time of one thread, in this process, without what an engine adds: rows take turns, and each has its
least time. What follows for 10^10 images is computed from them.

FNNET_DATA=... python -m bench.batches            all rows (half a minute)
FNNET_DATA=... python -m bench.batches --write    also into docs/scale.md
FNNET_DATA=... python -m bench.batches --once     a few images, once; nothing is written
"""

from __future__ import annotations

import math
import pickle
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import fill
from typing import Any, Final, NamedTuple

import click
import numpy as np

from bench.common import ROOT, cpu_name, markdown_table, rewrite, time_text, versions

PAGE: Final = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- bench.batches -->\n", "<!-- /bench.batches -->\n"
SIZES: Final = (784, 128, 10)
IMAGES: Final = 10_000
TURNS: Final = 9
FRAMES, ARRAYS = 10, 1000
"""Parts into which images are divided to see what a call costs: frames, and arrays."""
MANY: Final = 10**10
LINK: Final = 1.25e9
"""Bytes a second of a link of 10 Gb/s."""
COST: Final = 0.05
"""Dollars of a core hour."""
TASKS: Final = 100_000


class Row(NamedTuple):
    """Batches of the same images, made of an array of bytes (n, 784), and the column that the predictor is told.

    The name has a place for the number of images in a batch.
    """

    name: str
    make: Callable[[Any], Iterable[Any]]
    images: str | None = None


def _frame(x: Any) -> Any:
    import pandas as pd  # type: ignore[import-untyped]

    return pd.DataFrame(x, columns=[f"pixel{number}" for number in range(x.shape[1])])


def _cells(cells: Any) -> Any:
    import pandas as pd

    return pd.DataFrame({"image": cells})


ROWS: Final = (
    Row("one array", lambda x: [x]),
    Row("one dict of arrays", lambda x: [{"key": np.arange(len(x)), "image": x.reshape(-1, 28, 28)}]),
    Row("one frame, images as bytes in a column", lambda x: [_cells([each.tobytes() for each in x])], "image"),
    Row("one frame, arrays of int32 in a column", lambda x: [_cells([*x.astype(np.int32)])], "image"),
    Row("one frame, 784 columns of uint8", lambda x: [_frame(x)]),
    Row("one frame, 784 columns of int64", lambda x: [_frame(x.astype(np.int64))]),
    Row(f"{FRAMES:,} frames of {{}} images, 784 columns of uint8", lambda x: map(_frame, np.array_split(x, FRAMES))),
    Row(f"{ARRAYS:,} arrays of {{}} images", lambda x: np.array_split(x, min(ARRAYS, len(x)))),
)
ARRAY, COLUMNS, WIDE, SOME_FRAMES, MANY_ARRAYS = (ROWS[at].name for at in (0, 4, 5, 6, 7))


class Found(NamedTuple):
    """What was measured.

    images    of each row; seconds of all of them, by the name of a row.
    pickled   bytes of a predictor, and of one with its file.
    """

    images: int
    seconds: dict[str, float]
    pickled: tuple[int, int]


def measured(images: int = IMAGES, turns: int = TURNS) -> Found:
    """Measure all rows, turn by turn."""
    from threadpoolctl import threadpool_limits

    import fnnet
    from fnnet import data

    test = data.load().test
    assert test is not None
    rows, seconds = test.x[:images], dict[str, float]()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        path = Path(folder) / "model.safetensors"
        fnnet.save_model(path, fnnet.Model(fnnet.init(SIZES)))
        ready = [(row.name, fnnet.BatchPredictor(path, images=row.images), [*row.make(rows)]) for row in ROWS]
        for turn in range(turns + 1):  # the first loads what is needed
            for name, predict, batches in ready:
                began = time.process_time()
                deque(predict(batches), 0)
                taken = time.process_time() - began
                seconds[name] = min(taken, seconds[name]) if turn > 1 else taken
        pickled = [len(pickle.dumps(fnnet.BatchPredictor(path, embed=embed))) for embed in (False, True)]
    return Found(len(rows), seconds, (pickled[0], pickled[1]))


def calls(found: Found) -> tuple[float, float]:
    """Return the seconds that a call costs whatever its images are: of arrays, and of frames of many columns."""
    array = (found.seconds[MANY_ARRAYS] - found.seconds[ARRAY]) / (min(ARRAYS, found.images) - 1)
    return array, (found.seconds[SOME_FRAMES] - found.seconds[COLUMNS]) / (FRAMES - 1)


def section(found: Found) -> str:
    """Return the text of the page between the two marks."""
    n, sizes, core = found.images, "-".join(map(str, SIZES)), cpu_name()
    about = (
        f"Processor time for {n:,} test images of MNIST in one thread of {core}, {sizes}, without what an engine adds:"
    )
    parts = {SOME_FRAMES: -(-n // FRAMES), MANY_ARRAYS: -(-n // min(ARRAYS, n))}
    table = [
        [name.format(f"{parts.get(name, n):,}"), time_text(each), _two_digits(n / each)]
        for name, each in found.seconds.items()
    ]
    array, frame = map(time_text, calls(found))
    library = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("numpy", "numba"))
    costs = (
        f"A call costs {array} for an array, and {frame} for a frame of 784 columns, whatever it holds: larger batches "
        f"are faster. {library}; written by `python -m bench.batches`."
    )
    heads = ["batches", "time", "images a second and core"]
    return f"\n{_filled(about)}\n{markdown_table(heads, table)}\n{_filled(costs)}\n{on_paper(found)}\n"


def on_paper(found: Found) -> str:
    """Return what follows for 10^10 images."""
    each = {name: seconds / found.images for name, seconds in found.seconds.items()}
    hours = {name: seconds * MANY / 3600 for name, seconds in each.items()}
    few, many = sorted((hours[ARRAY], hours[WIDE]))
    size, (plain, embedded) = SIZES[0], found.pickled

    def computing(name: str, what: str) -> list[str]:
        return [f"computing, {what}", f"{time_text(each[name])} an image", f"{hours[name]:,.0f} core hours"]

    rows = [
        ["images as bytes", f"10^10 x {size}", f"{MANY * size / 1e12:.2f} TB"],
        ["the same as columns of int64", "8 bytes a pixel", f"{8 * MANY * size / 1e12:.1f} TB"],
        ["answers with a key", "8 + 4 bytes, and 1 each for class and note in a dictionary", f"{MANY * 14 / 1e12} TB"],
        computing(ARRAY, "arrays"),
        computing(WIDE, "frames of int64 columns"),
        computing(MANY_ARRAYS, f"arrays of {-(-found.images // min(ARRAYS, found.images))} images"),
        ["reading through a link of 10 Gb/s", "7.84 TB at 1.25 GB/s", f"{MANY * size / LINK / 3600:.1f} hours"],
        [
            f"sending the predictor to {TASKS:,} tasks",
            f"{plain} bytes each; {embedded / 1e6:.1f} MB with `embed=True`",
            f"{TASKS * plain / 1e6:.0f} MB; {TASKS * embedded / 1e9:.0f} GB",
        ],
        [
            f"money, at {COST:g} dollars a core hour",
            f"{few:.0f} to {many:.0f} core hours",
            f"{few * COST:.1f} to {many * COST:.1f} dollars",
        ],
        [
            "money, at 0.02 dollars a GB and month",
            "7.84 TB kept for a month",
            f"{MANY * size / 1e9 * 0.02:.0f} dollars",
        ],
    ]
    rate = size / each[ARRAY]
    cores = math.ceil(LINK / rate)
    limit = (
        f"One core takes {rate / 1e6:.0f} MB of images a second, so {cores} {'core is' if cores == 1 else 'cores are'} "
        "as fast as a link of 10 Gb/s: the link is the first limit, and more machines help only if each has its own, "
        "or the images lie on them."
    )
    table = markdown_table(["what", "how it is computed", "result"], rows)
    return f"### Ten thousand million images, on paper\n\n{table}\n{_filled(limit)}"


def _two_digits(figure: float) -> str:
    return f"{float(f'{figure:.2g}'):,.0f}"


def _filled(text: str) -> str:
    return f"{fill(text, 118)}\n"


@click.command()
@click.option("--write", is_flag=True, help="Write the tables into docs/scale.md.")
@click.option("--once", is_flag=True, help="A few images, once; nothing is written.")
def main(write: bool, once: bool) -> None:
    """Measure batches of all forms."""
    if write and once:
        raise click.UsageError("--once writes nothing")
    found = measured(100, 1) if once else measured()
    text = section(found)
    if write:
        rewrite(PAGE, BEGIN, text, END)
    click.echo(text)


if __name__ == "__main__":
    main()
