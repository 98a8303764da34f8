"""Scores of int8 beside float32, both compiled: `python -m bench.int8`.

Each pair of measurements asks both for the same images, in turns first the one and first the other. Without MODEL files
the networks are as they are drawn: half of their hidden values are 0, more than after training.

python -m bench.int8                     three networks, with as many threads as can run
python -m bench.int8 --threads 1         with one
python -m bench.int8 MODEL...            networks that were trained, on the same images
"""

from __future__ import annotations

import time
from statistics import median
from typing import Final

import click

import fnnet
from bench.common import cpu_name, time_text
from bench.workloads import random_images
from fnnet.core.check_network import check_params
from fnnet.core.params import Array, Params, layer_sizes
from fnnet.limits import available_threads

SHAPES: Final = ((784, 10, 10), (784, 128, 10), (784, 1024, 1024, 10))
CALLS: Final = {10_000: 1, 1: 200}
"""Images -> calls in one measurement."""


def measure(params: Params, x: Array, kernels: fnnet.Kernels, pairs: int) -> list[tuple[float, float]]:
    """Return the seconds of a call, of each pair: float32 and int8."""
    both = [fnnet.predictor(params, precision=precision, kernels=kernels) for precision in ("float", "int8")]
    calls, found = CALLS[len(x)], []
    for each in both:
        each(x)
    for pair in range(pairs):
        seconds = [0.0, 0.0]
        for which in (0, 1) if pair % 2 else (1, 0):
            began = time.perf_counter()
            for _ in range(calls):
                both[which](x)
            seconds[which] = (time.perf_counter() - began) / calls
        found.append((seconds[0], seconds[1]))
    return found


@click.command(help="Measure int8 beside float32.")
@click.argument("models", nargs=-1, type=click.Path(exists=True))
@click.option("--pairs", type=click.IntRange(1), default=25, show_default=True, help="Pairs of measurements.")
@click.option("--threads", type=click.IntRange(1), default=None, help="Threads; as many as can run by default.")
def main(models: tuple[str, ...], pairs: int, threads: int | None) -> None:
    """Print a row for each network and number of images."""
    kernels = fnnet.load_kernels("numba", threads=threads, parts=("infer", "quantised"))
    given = [check_params(fnnet.load_model(path).params) for path in models]
    networks = given or [fnnet.init(sizes) for sizes in SHAPES]
    click.echo(f"{cpu_name()}, {threads or available_threads()} threads, medians of {pairs} pairs")
    click.echo(f"{'network':22}{'images':>24}{'float32':>10}{'int8':>10}{'ratio':>7}")
    for params in networks:
        for count in CALLS:
            for dense in (False, True):
                x = random_images(count, dense)[0]
                found = measure(params, x, kernels, pairs)
                floats, whole = (time_text(median(each)) for each in zip(*found, strict=True))
                ratio = median(one / other for one, other in found)
                images = f"{count:,} x {'dense floats' if dense else 'bytes'}"
                click.echo(
                    f"{'-'.join(map(str, layer_sizes(params))):22}{images:>24}{floats:>10}{whole:>10}{ratio:7.2f}"
                )


if __name__ == "__main__":
    main()
