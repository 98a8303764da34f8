"""`fnnet data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import (
    Notices,
    check_outputs,
    console,
    data_inputs,
    describe,
    is_streamed,
    load_data,
    open_stream,
    print_json,
    say,
)
from fnnet.cli.expand import expand, figures_of
from fnnet.cli.options import (
    Count,
    FigureList,
    FileName,
    data_dir_option,
    data_options,
    deformation_help,
    json_option,
    quiet_option,
    reading_options,
    seed_option,
)
from fnnet.cli.streams import echo
from fnnet.errors import counted
from fnnet.names import FORMS

if TYPE_CHECKING:
    from fnnet.core.deform import Deformation
    from fnnet.core.params import Array
    from fnnet.core.state import Scaling
    from fnnet.data import Dataset

MANY: Final = 20
FEW: Final = 5
"""Images that are drawn, alone and with their deformations."""


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Look at data sets and download MNIST."""
    if context.invoked_subcommand is None:
        echo(context.get_help())


data.add_command(expand)


def _load(options: dict[str, Any], notify: Notices) -> tuple[Dataset, dict[str, int]]:
    """Load the data set; return it, and how many images each of its parts has."""
    dataset = load_data(options, notify)
    images = {
        "train": len(dataset.train.labels),
        "test": len(dataset.test.labels) if dataset.test else 0,
    }
    return dataset, images


@data.command(short_help="Which data, from where, how many images of each class.")
@data_options
@reading_options
@json_option
def info(as_json: bool, **options: Any) -> None:
    """Show which data set would be used, where it is, and how many images of each class it has."""
    import numpy as np

    from fnnet.core.state import described

    notify = Notices(quiet=False)
    if is_streamed(options):
        _show_stream(as_json, options, notify)
        return
    dataset, images = _load(options, notify)
    spread = {
        part: np.bincount(examples.labels, minlength=len(dataset.classes)).tolist() if examples else None
        for part, examples in (("train", dataset.train), ("test", dataset.test))
    }
    pixels, of_pixels = dataset.train.x, dict[str, float]()
    if not dataset.preprocessing.scaling:
        of_pixels = {"mean_pixel": float(pixels.mean())}
        of_pixels["nonzero_pixels"] = float(np.count_nonzero(pixels) / pixels.size)
    document = {
        "dataset": dataset.name,
        "source": dataset.source,
        "images": images,
        "image_shape": list(dataset.image_shape),
        "classes": list(dataset.classes),
        "labels": spread,
        **of_pixels,
        "preprocessing": described(dataset.preprocessing),
        "notes": notify.notes,
    }
    if as_json:
        print_json(document)
        return
    from fnnet.apps.report import terminal

    echo(describe(dataset, images))
    height, width = dataset.image_shape
    if dataset.preprocessing.scaling:
        _show_columns(dataset.preprocessing.scaling)
    else:
        shares = f"{of_pixels['nonzero_pixels']:.1%} of them not zero, mean {of_pixels['mean_pixel']:.1f} of 255"
        echo(f"{height}x{width} pixels, {shares}")
    table = terminal.table("class", "train", "test")
    for number, name in enumerate(dataset.classes):
        table.add_row(name, *(f"{counts[number]:,}" if counts else "" for counts in spread.values()))
    console().print(table)


def _show_columns(scaling: Scaling) -> None:
    """Show how the columns of a table are standardised: their mean and standard deviation in its training part."""
    from fnnet.apps.report import terminal

    named = f", classes in {scaling.target!r}" if scaling.target else ""
    echo(f"{counted(len(scaling.names), 'column')}, standardised by the training rows{named}")
    table = terminal.table("column", "mean", "standard deviation")
    for number, (name, mean, scale) in enumerate(zip(*scaling[:3], strict=True), 1):
        table.add_row(name or str(number), f"{mean:.6g}", f"{scale:.6g}")
    console().print(table)


def _show_stream(as_json: bool, options: dict[str, Any], notify: Notices) -> None:
    """Show what a stream has, by its index: its images for training are not read."""
    import numpy as np

    from fnnet.apps.report import terminal
    from fnnet.core.state import described
    from fnnet.data.stream import count_of

    found = open_stream(options, notify)
    others = {name: part for name, part in (("dev", found.dev), ("test", found.test)) if part}
    spread = {"train": [*found.train.counts]}
    spread |= {name: np.bincount(part.labels, minlength=len(found.classes)).tolist() for name, part in others.items()}
    images = {"train": found.train.images, **{name: count_of(part) for name, part in others.items()}}
    if as_json:
        document = {"dataset": found.name, "source": found.source, "images": images, "files": len(found.train.sizes)}
        document |= {"image_shape": [*found.image_shape], "classes": [*found.classes], "labels": spread}
        print_json({**document, "preprocessing": described(found.preprocessing), "notes": notify.notes})
        return
    echo(describe(found, images))
    (height, width), files = found.image_shape, counted(len(found.train.sizes), "file")
    echo(f"{height}x{width} pixels, a stream in {files}")
    table = terminal.table("class", *spread)
    for number, name in enumerate(found.classes):
        table.add_row(name, *(f"{counts[number]:,}" for counts in spread.values()))
    console().print(table)


@data.command(short_help="Write a data set as NPZ, CSV, IDX or folders of PNG images.")
@click.argument("target", metavar="OUT", type=FileName())
@click.option("--to", type=click.Choice(FORMS), help="What to write.  [default: as OUT ends; a folder of PNG images]")
@data_options
@reading_options
@json_option
@quiet_option
def convert(target: str, to: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Write the images of --data, as they are trained on, to OUT: light ink on black, from 0 to 255.

    OUT is a file (.npz; .csv, one for each part) or a new folder: class folders of PNG images, or with --to idx the
    files that MNIST has.
    """
    from fnnet.data.convert import convert, form_of

    form = form_of(target, to)
    check_outputs(inputs=data_inputs(options), files={"OUT": target if form in ("npz", "csv") else None})
    notify = Notices(quiet)
    dataset, images = _load(options, notify)
    written = convert(dataset, target, form, notify)
    if as_json:
        print_json({"dataset": dataset.name, "images": images, "written": written, "notes": notify.notes})
        return
    if not quiet:
        echo(describe(dataset, images))
    say(f"saved {', '.join(written)}")


@data.command(short_help="Download MNIST and verify it.")
@data_dir_option("Folder to keep the files in.  [default: fnnet's cache]")
@quiet_option
def download(data_dir: str | None, quiet: bool) -> None:
    """Download MNIST's four files (11 MB) from a public mirror and verify their SHA-256."""
    from pathlib import Path

    from fnnet.data import mnist

    folder = Path(data_dir) if data_dir else mnist.cache_folder()
    if mnist.complete(folder):
        say(f"MNIST is in {folder} already")
        return
    mnist.download(folder, Notices(quiet))
    say(f"MNIST is in {folder}")


@data.command()
@data_options
@reading_options
@click.option("--count", type=Count(1, 1000), help="How many images.  [default: 20, or 5 with --augment]")
@click.option(
    "--augment", is_flag=True, help="Draw each image beside its deformations in the first epochs of training."
)
@click.option(
    "--deformation",
    type=FigureList(),
    help=deformation_help("Strength of --augment, e.g. rotation=10,shear=0; figures left out are the usual ones."),
)
@click.option("--output", "-o", type=FileName(), help="Also save the picture as PNG, SVG or PDF.")
@seed_option
def show(
    count: int | None,
    augment: bool,
    deformation: dict[str, float] | None,
    output: str | None,
    seed: int,
    **options: Any,
) -> None:
    """Draw training images, chosen by the seed, with their labels."""
    from fnnet.apps.report import terminal
    from fnnet.core import rng
    from fnnet.data.tables import refuse_table

    augment = augment or deformation is not None
    check_outputs(inputs=data_inputs(options), pictures={"--output": output})
    figures = figures_of(deformation)
    dataset, images = _load(options, Notices(quiet=False))
    refuse_table(dataset, "--data", "images, which can be drawn", "fnnet data info shows the columns")
    echo(describe(dataset, images))
    picked = rng.order(seed, "show", images["train"])[: count or (FEW if augment else MANY)]
    rows = _deformed(dataset, picked, seed, figures) if augment else dataset.train.x[picked][:, None]
    sheet, each = list(rows.reshape(-1, *dataset.image_shape)), rows.shape[1]
    epochs = [f"epoch {epoch}" for epoch in range(1, each)]
    captions = [name for i in picked for name in (dataset.classes[dataset.train.labels[i]], *epochs)]
    terminal.draw_sheet(sheet, captions, console(), each if augment else None)
    if augment:
        before = ", before they fade" if figures.fade else ""
        echo(f"left: the images; beside each, its deformations in the epochs of training{before}")
    if output:
        from fnnet.apps.report.plots import plot_sheet

        plot_sheet(output, sheet, captions, title=dataset.name + (", deformed by epoch" if augment else ""))
        say(f"saved {output}")


def _deformed(dataset: Dataset, picked: Array, seed: int, deformation: Deformation) -> Array:
    """Return images number `picked`, each followed by its deformations: (images, SHEET_COLUMNS, pixels)."""
    import numpy as np

    from fnnet.apps.report.plots import SHEET_COLUMNS
    from fnnet.core.deform import deform

    x = np.asarray(dataset.train.x)[picked]
    epochs = [
        deform(x, dataset.image_shape, deformation, seed=seed, epoch=epoch, samples=picked)
        for epoch in range(1, SHEET_COLUMNS)
    ]
    return np.stack([x, *epochs], axis=1)
