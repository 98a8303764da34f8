"""`fnnet data`: what there is, where it comes from, what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import check_outputs, console, data_inputs, describe, load_data, notifier, print_json, say
from fnnet.cli.options import (
    Count,
    FileName,
    data_dir_option,
    data_options,
    deformation_option,
    json_option,
    quiet_option,
    seed_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fnnet.core.params import Array
    from fnnet.data import Dataset

MANY: Final = 20
FEW: Final = 5
"""Images on a sheet, alone and with their deformations."""


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Look at data sets and fetch MNIST."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _load(options: dict[str, Any]) -> tuple[Dataset, dict[str, int]]:
    """The data set and how many images each of its parts has."""
    dataset = load_data(options, notifier(quiet=False))
    return dataset, {
        "train": len(dataset.train.labels),
        "test": len(dataset.test.labels) if dataset.test else 0,
    }


@data.command(short_help="Which data, where from, how much of each class.")
@data_options
@json_option
def info(as_json: bool, **options: Any) -> None:
    """Which data set would be used, where it lies, how large it is, how its classes are spread."""
    import numpy as np

    dataset, images = _load(options)
    spread = {
        part: np.bincount(examples.labels, minlength=len(dataset.classes)).tolist() if examples else None
        for part, examples in (("train", dataset.train), ("test", dataset.test))
    }
    pixels = dataset.train.x
    document = {
        "dataset": dataset.name,
        "source": dataset.source,
        "images": images,
        "image_shape": list(dataset.image_shape),
        "classes": list(dataset.classes),
        "labels": spread,
        "mean_pixel": float(pixels.mean()),
        "nonzero_pixels": float(np.count_nonzero(pixels) / pixels.size),
    }
    if as_json:
        print_json(document)
        return
    from fnnet.apps.report import terminal

    say(describe(dataset, images))
    height, width = dataset.image_shape
    click.echo(
        f"{height}x{width} pixels, {document['nonzero_pixels']:.1%} of them not zero, "
        f"mean {document['mean_pixel']:.1f} of 255"
    )
    table = terminal.table("class", "train", "test")
    for number, name in enumerate(dataset.classes):
        table.add_row(name, *(f"{counts[number]:,}" if counts else "" for counts in spread.values()))
    console().print(table)


@data.command(short_help="Fetch MNIST and prove it.")
@data_dir_option("Folder to keep the files in.  [default: fnnet's cache]")
@quiet_option
def download(data_dir: str | None, quiet: bool) -> None:
    """Fetch MNIST's four files (11 MB) from a public mirror and prove them by their SHA-256."""
    from pathlib import Path

    from fnnet.data import mnist

    folder = Path(data_dir) if data_dir else mnist.cache_folder()
    if mnist.complete(folder):
        say(f"MNIST is in {folder} already")
        return
    mnist.download(folder, notifier(quiet))
    say(f"MNIST is in {folder}")


@data.command()
@data_options
@click.option("--count", type=Count(1, 1000), help="How many images.  [default: 20, or 5 with --augment]")
@click.option("--augment", is_flag=True, help="Draw each image beside what the first epochs of training make of it.")
@deformation_option("Draw so strong a deformation, as --augment does.  [default: that of most recipes]")
@click.option("--output", "-o", type=FileName(), help="Save the sheet as PNG, SVG or PDF too (extra plot).")
@seed_option
def show(
    count: int | None,
    augment: bool,
    deformation: dict[str, float] | None,
    output: str | None,
    seed: int,
    **options: Any,
) -> None:
    """Draw training images, picked by the seed, with their labels."""
    from fnnet.apps.report import terminal
    from fnnet.core import rng

    augment = augment or deformation is not None
    check_outputs(inputs=data_inputs(options), pictures={"--output": output})
    dataset, images = _load(options)
    say(describe(dataset, images))
    picked = rng.order(seed, "show", images["train"])[: count or (FEW if augment else MANY)]
    rows = _deformed(dataset, picked, seed, deformation or {}) if augment else dataset.train.x[picked][:, None]
    sheet, each = list(rows.reshape(-1, *dataset.image_shape)), rows.shape[1]
    epochs = [f"epoch {epoch}" for epoch in range(1, each)]
    captions = [name for i in picked for name in (dataset.classes[dataset.train.labels[i]], *epochs)]
    terminal.draw_sheet(sheet, captions, console(), each if augment else None)
    if augment:
        click.echo("left: images and their classes; beside each what the epochs of training make of it")
    if output:
        from fnnet.apps.report.plots import plot_sheet

        plot_sheet(output, sheet, captions, title=dataset.name + (", deformed by epoch" if augment else ""))
        say(f"saved {output}")


def _deformed(dataset: Dataset, picked: Array, seed: int, figures: Mapping[str, float]) -> Array:
    """Images number `picked` and behind each what the first epochs make of it: (images, SHEET_COLUMNS, pixels)."""
    import numpy as np

    from fnnet.apps.report.plots import SHEET_COLUMNS
    from fnnet.core.deform import Deformation, deform
    from fnnet.training import recipes

    deformation, x = Deformation(**{**recipes.DEFORMATION, **figures}), np.asarray(dataset.train.x)[picked]
    epochs = [
        deform(x, dataset.image_shape, deformation, seed=seed, epoch=epoch, samples=picked)
        for epoch in range(1, SHEET_COLUMNS)
    ]
    return np.stack([x, *epochs], axis=1)
