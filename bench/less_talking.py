"""What it costs in accuracy to exchange less between ranks: `python -m bench.less_talking`.

Each row trains the networks of a recipe, of seeds 0 to 4, with the gradients of shards and their sums in 16 bits, or
with local steps in the second half of the epochs, and reads images held out of the training set: never the test set.
Which processes compute the shards changes no bit, so one process computes them all here.

FNNET_DATA=... python -m bench.less_talking                all rows (minutes)
FNNET_DATA=... python -m bench.less_talking --only quick   the rows whose names contain this
"""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any, Final

import click

from bench.common import cpu_name

DEV: Final = 10_000
SEEDS: Final = range(5)
RECIPES: Final = {"classic": {"batch_size": 64}, "quick": {"batch_size": 128}}
"""The batches are cut into equal shards, which 8 divides."""
WAYS: Final[dict[str, dict[str, Any]]] = {
    "8 shards": {"shards": 8},
    "8 shards, 16 bits": {"shards": 8, "message_bits": 16},
    **{
        f"{shards} shards, {steps} local steps": {"shards": shards, "local_steps": steps}
        for shards in (2, 8)
        for steps in (2, 8, 32)
    },
}


def accuracies(recipe: str, way: dict[str, Any], seeds: range, images: int | None) -> list[float]:
    """Return the accuracy of the network of each seed on the images that are held out, in percent."""
    from fnnet import data, load_kernels
    from fnnet.training import session

    dataset, found = data.load()._replace(test=None), []
    held_out = DEV if images is None else min(DEV, images // 5)
    for seed in seeds:
        settings = {**RECIPES[recipe], **way, "dev": held_out, "train_images": images}
        job = session.prepare(dataset, recipe, settings, seed=seed)
        _, reports = session.train(job, kernels=load_kernels("numba", parts=job.plan.kernel_parts))
        assert reports[-1].dev_accuracy is not None
        found.append(100 * reports[-1].dev_accuracy)
    return found


@click.command()
@click.option("--only", default="", help="Only rows whose names contain this.")
@click.option("--seeds", default=len(SEEDS), show_default=True, type=click.IntRange(min=2))
@click.option("--images", type=click.IntRange(min=1000), help="Images to train on, for a short look, in place of all.")
def main(only: str, seeds: int, images: int | None) -> None:
    """Print the accuracy of each way, the mean over the seeds, and its difference from one shard's."""
    print(f"less talking; {cpu_name()}, seeds 0 to {seeds - 1}, accuracy on images held out, %")
    print(f"{'recipe':10}{'way':26}{'mean':>8}{'spread':>8}{'differs':>9}")
    for recipe in RECIPES:
        plain: list[float] | None = None
        for way, settings in {"1 shard": {}, **WAYS}.items():
            if plain is not None and only not in f"{recipe} {way}":
                continue
            if only and only not in recipe and not any(only in f"{recipe} {each}" for each in WAYS):
                continue
            found = accuracies(recipe, settings, range(seeds), images)
            plain = plain or found
            differs = mean(found) - mean(plain)
            print(f"{recipe:10}{way:26}{mean(found):8.2f}{stdev(found):8.2f}{differs:+9.2f}", flush=True)


if __name__ == "__main__":
    main()
