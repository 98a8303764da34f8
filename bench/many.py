"""Many networks at once, beside one after another: `python -m bench.many`.

Every pair trains 32 networks 784-10-10, batch 64, together (one order for all), then with orders of their own, and some
alone, whose mean time counts 32 times. What is compared are the seconds of training that the command line reports.

python -m bench.many                      against this checkout, one network after another
python -m bench.many ../before            against another checkout, one network after another
python -m bench.many --jax                JAX's vmap besides, the whole epoch one jitted scan
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import click

from bench.common import ROOT, cpu_name, time_text
from fnnet.limits import available_threads

NETWORKS, ALONE, EPOCHS = 32, 4, 2
"""Networks, how many of them are trained alone in each pair, and the epochs of each."""
SIZES, BATCH, RATE = (784, 10, 10), 64, 0.05
OPTIONS: Final = (
    *("train", "--jit", "--json", "--quiet", "--hidden", "10", "--batch-size", str(BATCH), "--epochs", str(EPOCHS)),
    *("--dev", "0", "--out", "model.safetensors"),
)


def seconds_of(checkout: Path, folder: Path, *more: str) -> float:
    """Return the seconds of training that a command reports, an epoch."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "FNNET_CACHE": str(folder / "kernels"), "FNNET_OFFLINE": "1"}
    data = () if os.environ.get("FNNET_DATA") else ("--data", "digits")
    command = [sys.executable, str(checkout / "cli.py"), *OPTIONS, *data, *more]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}: {done.stderr.strip()}")
    seconds: float = json.loads(done.stdout)["train_seconds"] / EPOCHS
    return seconds


def jax_epochs() -> tuple[Any, Any]:
    """Return functions that train all networks for an epoch with JAX, in one order and in orders of their own."""
    import jax
    import numpy as np
    from jax import numpy as jnp

    import fnnet
    from bench.workloads import IMAGES, WORKLOADS, images_and_labels

    x, labels = images_and_labels(WORKLOADS[0], IMAGES)
    x, labels = jnp.asarray(np.divide(x, 255, dtype=np.float32)), jnp.asarray(labels)
    networks = [fnnet.init(SIZES, seed).layers for seed in range(NETWORKS)]
    start = jax.tree.map(lambda *each: jnp.stack(each), *[[(W, b) for W, b in layers] for layers in networks])
    draw, steps = np.random.default_rng(0), IMAGES // BATCH

    def loss(params: Any, rows: Any, wanted: Any) -> Any:
        (W1, b1), (W2, b2) = params
        logits = jax.nn.relu(rows @ W1 + b1) @ W2 + b2
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), wanted[:, None], axis=1))

    def step(axes: tuple[int | None, ...]) -> Any:
        def each(params: Any, rows: Any, wanted: Any) -> Any:
            grads = jax.grad(loss)(params, rows, wanted)
            return jax.tree.map(lambda value, d: value - RATE * d, params, grads)

        return jax.vmap(each, in_axes=axes)

    def epoch(axes: tuple[int | None, ...]) -> Any:
        one = step(axes)
        return jax.jit(lambda params, order: jax.lax.scan(
            lambda now, rows: (one(now, x[rows], labels[rows]), None), params, order)[0])  # fmt: skip

    def run(one: Any, orders: int) -> float:
        drawn = [draw.permutation(IMAGES)[: steps * BATCH].reshape(steps, BATCH) for _ in range(orders)]
        order = jnp.asarray(drawn[0] if orders == 1 else np.stack(drawn, axis=1))
        began = time.perf_counter()
        jax.tree.map(lambda each: each.block_until_ready(), one(start, order))
        return time.perf_counter() - began

    same, own = epoch((0, None, None)), epoch((0, 0, 0))
    return lambda: run(same, 1), lambda: run(own, NETWORKS)


def _line(title: str, seconds: list[float], others: list[float]) -> str:
    ratios = [other / mine for mine, other in zip(seconds, others, strict=True)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    figures = f"{time_text(median(seconds)):>10}{time_text(median(others)):>10}  {median(ratios):5.2f}"
    return f"{title:52}{figures}   {low:.2f}-{high:.2f}{len(ratios):9}"


@click.command(help="Measure many networks together, and with orders of their own.")
@click.argument("other", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pairs", type=click.IntRange(1), default=7, show_default=True, help="Pairs of measurements.")
@click.option("--jax", is_flag=True, help="JAX besides.")
def main(other: Path | None, pairs: int, jax: bool) -> None:
    """Print a row for each comparison."""
    checkout = (other or ROOT).resolve()
    click.echo(f"{NETWORKS} networks {'-'.join(map(str, SIZES))}, batch {BATCH}, seconds of an epoch of all")
    click.echo(f"{cpu_name()}, {available_threads()} threads; alone: {checkout}, mean of {ALONE}, times {NETWORKS}")
    peers = jax_epochs() if jax else ()
    found: dict[str, list[float]] = {name: [] for name in ("same", "own", "alone", "jax same", "jax own")}
    seeds = f"0-{NETWORKS - 1}"
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, part) for part in ("this", "other")]
        for folder, side in zip(folders, (ROOT, checkout), strict=True):
            folder.mkdir()
            seconds_of(side, folder)  # compiles
        for pair in range(pairs):
            turns = [
                ("same", lambda: seconds_of(ROOT, folders[0], "--init-seeds", seeds)),
                ("own", lambda: seconds_of(ROOT, folders[0], "--seeds", seeds)),
                ("alone", lambda: NETWORKS / ALONE * sum(
                    seconds_of(checkout, folders[1], "--seed", str(seed)) for seed in range(ALONE))),
                *zip(("jax same", "jax own"), peers, strict=False),
            ]  # fmt: skip
            for title, turn in turns if pair % 2 else turns[::-1]:
                found[title].append(turn())
    click.echo(f"{'':52}{'this':>10}{'other':>10}  ratio  quartiles    pairs")
    click.echo(_line("one order, against one after another", found["same"], found["alone"]))
    click.echo(_line("orders of their own, against one after another", found["own"], found["alone"]))
    if jax:
        click.echo(_line("one order, against JAX's vmap", found["same"], found["jax same"]))
        click.echo(_line("orders of their own, against JAX's vmap", found["own"], found["jax own"]))


if __name__ == "__main__":
    main()
