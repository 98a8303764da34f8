"""What training from the disk costs beside training in memory on the same images: `python -m bench.streams`.

Each measurement is a process; streamed and in memory take turns, and a ratio is the median over the turns. Both make
the same steps, which their weights prove. Memory is the highest anonymous memory of the process (RssAnon, which pages
of mapped files are not part of), from before the first step to the last.

FNNET_DATA=... python -m bench.streams                      240,000 images, 4 copies of MNIST (two minutes)
FNNET_DATA=... python -m bench.streams --images 6000000 --turns 3
                                                            also that many, for one epoch; streamed alone where memory
                                                            is too small for all at once (half an hour)
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import click

from bench.common import ROOT, cpu_name
from fnnet.limits import available_bytes, available_threads

COMPARED: Final = 240_000
"""Images of the comparison, whatever the number of `--images` is."""
LEAST: Final = 0.85
"""Of the speed in memory, at least."""
MOST: Final = 400.0
"""MB of memory, at most, at 6,000,000 images."""
IN_MEMORY: Final = 2400
"""Bytes of memory that an image takes at most where all are there: it, its deformed copy, the list of its pixels."""
EPOCHS: Final = 2
PAUSE: Final = 0.002


class Work(NamedTuple):
    """What is trained."""

    hidden: tuple[int, ...]
    batch: int
    deformed: bool = False
    window: int | None = None

    @property
    def name(self) -> str:
        """The network, and what is done."""
        sizes = "-".join(map(str, (784, *self.hidden, 10)))
        return f"{sizes}, batch {self.batch}{', deformed' if self.deformed else ''}"


WORKS: Final = (Work((10,), 32), Work((128,), 128), Work((256,), 128), Work((128,), 128, True))


class Found(NamedTuple):
    """Seconds of each epoch, megabytes at most, and the SHA-256 of the weights."""

    seconds: list[float]
    megabytes: float
    sha256: str


class Memory:
    """The highest anonymous memory of this process while the block runs, MB."""

    def __enter__(self) -> Memory:
        self.highest, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(PAUSE):
            self.highest = max(self.highest, anonymous())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def anonymous() -> float:
    """Return the anonymous memory of this process, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e6


def train(folder: str, work: Work, streamed: bool, epochs: int) -> Found:
    """Train here."""
    import numpy as np

    from fnnet import data, load_kernels
    from fnnet.core.orders import stream_order, whole_batches
    from fnnet.core.params import weights_sha256
    from fnnet.core.state import Examples, networks_of
    from fnnet.training import epochs as training
    from fnnet.training import feed, session
    from fnnet.training.starting import first_params

    given = data.open_stream(folder)
    settings: dict[str, Any] = {"hidden": work.hidden, "batch_size": work.batch, "epochs": epochs, "min_steps": 0}
    settings |= {"deformation": {} if work.deformed else None, "window": work.window}
    job = session.prepare(given, "classic", settings)
    kernels = load_kernels("numba", parts=("train", "clip", "augment"))
    stream, plan = given.train, job.plan
    images: Any = stream
    if not streamed:
        images = Examples(np.empty((stream.images, stream.pixels), np.uint8), np.empty(stream.images, np.int64))
        at = 0
        for x, labels in stream.batches(2**16):
            images.x[at : at + len(x)], images.labels[at : at + len(x)] = x, labels
            at += len(x)
        assert plan.window
        order = (0, stream.sizes, whole_batches(plan.window, work.batch))
        orders = {epoch: stream_order(order[0], epoch, *order[1:]) for epoch in range(1, epochs + 1)}
        feed.epoch_order = lambda seed, epoch, images: orders[epoch]  # type: ignore[attr-defined]
        plan = plan._replace(window=None)
    seconds: list[float] = []
    state = training.start(first_params(job), job.seed, plan)
    with Memory() as memory:
        began = time.perf_counter()
        for reached in training.epochs(state, images, plan, image_shape=given.image_shape, kernels=kernels):
            state = reached
            seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
    return Found(seconds, memory.highest, weights_sha256(*networks_of(state.state.params)))


def measure(folder: Path, work: Work, streamed: bool, epochs: int = EPOCHS) -> Found:
    """Return what `train` does in a process of its own."""
    task = json.dumps([str(folder), work, streamed, epochs])
    command = [sys.executable, "-m", "bench.streams", "--task", task]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{work.name}: {done.stderr.strip()}")
    return Found(*json.loads(done.stdout))


def make(folder: Path, images: int) -> int:
    """Write at least as many images as a stream, deformed copies of what there is; return how many."""
    from fnnet import data, load_kernels
    from fnnet.core.deform import Deformation
    from fnnet.data.expand import expand
    from fnnet.training.recipes import DEFORMATION

    source = data.load()
    kernels, times = load_kernels("numba", parts=("augment",)), -(-images // len(source.train.labels))
    done = expand(source, folder, times, deformation=Deformation(**DEFORMATION), kernels=kernels)
    return done.images["train"]


def compare(folder: Path, images: int, turns: int, works: tuple[Work, ...] = WORKS) -> dict[str, float]:
    """Print images in a second, streamed and in memory, turn by turn; return the ratio of each work."""
    print(f"{'work':36}{'streamed':>12}{'in memory':>12}{'ratio':>7}{'first':>7}{'MB':>6}{'MB':>7}")
    ratios = {}
    for work in works:
        pairs = []
        for number in range(turns):
            ways = (True, False)[:: 1 if number % 2 else -1]
            found = {streamed: measure(folder, work, streamed) for streamed in ways}
            assert found[True].sha256 == found[False].sha256, f"{work.name}: other bits"
            pairs.append((found[True], found[False]))
        first, ratios[work.name] = (
            median(memory.seconds[epoch] / stream.seconds[epoch] for stream, memory in pairs) for epoch in (0, -1)
        )
        rates = [images / median(pair[side].seconds[-1] for pair in pairs) for side in (0, 1)]
        most = [max(pair[side].megabytes for pair in pairs) for side in (0, 1)]
        figures = f"{ratios[work.name]:>7.2f}{first:>7.2f}{most[0]:>6.0f}{most[1]:>7.0f}"
        print(f"{work.name:36}{rates[0]:>10,.0f}/s{rates[1]:>10,.0f}/s{figures}", flush=True)
    return ratios


def large(folder: Path, images: int, turns: int, work: Work) -> str:
    """Return what one epoch of many images takes, beside that in memory where they fit there, turn by turn."""
    limit = available_bytes()
    small = limit if limit and limit[0] < IN_MEMORY * images else None
    rates, ratios, most = [], [], 0.0
    for number in range(turns):
        ways = (True,) if small else (True, False)[:: 1 if number % 2 else -1]
        found = {streamed: measure(folder, work, streamed, 1) for streamed in ways}
        rates.append(images / found[True].seconds[0])
        most = max(most, found[True].megabytes)
        if not small:
            assert found[True].sha256 == found[False].sha256, f"{work.name}: other bits"
            ratios.append(found[False].seconds[0] / found[True].seconds[0])
    line = f"{images:,} images, {work.name}: {median(rates):,.0f}/s, {most:.0f} MB (at most {MOST:.0f})"
    if small:
        return f"{line}; in memory: skipped, as {small[1]} leaves {small[0] / 1e9:.1f} GB"
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"{line}; {median(ratios):.2f} of the speed in memory (at least {LEAST}; {each})"


@click.command()
@click.option("--images", default=COMPARED, show_default=True, type=click.IntRange(min=1), help="Images of a stream.")
@click.option("--turns", default=5, show_default=True, type=click.IntRange(min=1), help="Turns of the comparison.")
@click.option("--only", default="", help="Part of the name of what is trained, 784-10-10 for one.  [default: all]")
@click.option("--folder", type=click.Path(), help="Where the streams are written.  [default: a folder for a while]")
@click.option("--task", hidden=True)
def main(images: int, turns: int, only: str, folder: str | None, task: str | None) -> None:
    """Compare training from the disk with training in memory."""
    if task is not None:
        path, work, streamed, epochs = json.loads(task)
        print(json.dumps(train(path, Work(tuple(work[0]), *work[1:]), streamed, epochs)))
        return
    works = tuple(work for work in WORKS if only in work.name)
    print(f"streams; {cpu_name()}, {available_threads()} processors, {turns} turns")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        free, needed = shutil.disk_usage(place).free, 785 * (images + COMPARED)
        few = make(Path(place, "few"), COMPARED)
        print(f"{few:,} images; the ratio of the second epoch, and of the first, in which sums of files are compared")
        compare(Path(place, "few"), few, turns, works)
        if images <= COMPARED:
            return
        if free < needed:
            print(
                f"{images:,} images: skipped, as the disk has {free / 1e9:.1f} GB and {needed / 1e9:.1f} GB are needed"
            )
            return
        many = make(Path(place, "many"), images)
        for work in works:
            print(large(Path(place, "many"), many, turns, work), flush=True)


if __name__ == "__main__":
    main()
