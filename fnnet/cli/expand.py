"""`fnnet data expand`, and what commands say of the streams that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fnnet.cli.bars import share_bar
from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    data_inputs,
    describe,
    load_data,
    load_kernels,
    print_json,
    say,
)
from fnnet.cli.mismatch import naming_options
from fnnet.cli.options import (
    Count,
    FigureList,
    FileName,
    compiled_options,
    data_options,
    deformation_help,
    json_option,
    quiet_option,
    reading_options,
    seed_option,
)
from fnnet.cli.streams import echo
from fnnet.errors import UsageError, counted
from fnnet.limits import MOST_TIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fnnet.core.deform import Deformation


@click.command(short_help="Write a data set many times over, deformed, for training from the disk.")
@click.option("--times", type=Count(1, MOST_TIMES), required=True, help="Copies of each training image.")
@click.option("--output", "-o", "target", type=FileName(), metavar="DIR", required=True, help="The new folder.")
@compiled_options("Deform")
@data_options
@reading_options
@click.option("--augment/--no-augment", default=True, show_default=True, help="Deform the copies, each differently.")
@click.option(
    "--deformation",
    type=FigureList(),
    help=deformation_help("Strength of --augment, e.g. rotation=10,shear=0; figures left out are the usual ones."),
)
@click.option(
    "--dev", type=Count(0), default=0, show_default=True, help="Images held out for validation, before they are copied."
)
@click.option("--shard-images", type=Count(1), metavar="N", help="Images in a file.  [default: 64 MB]")
@seed_option
@json_option
@quiet_option
def expand(
    times: int,
    target: str,
    jit: bool,
    threads: int | None,
    augment: bool,
    deformation: dict[str, float] | None,
    dev: int,
    shard_images: int | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Write the images of --data to the new folder DIR, the training images --times over, each time deformed otherwise.

    `fnnet train --data DIR` trains on them from the disk, with memory that does not grow with their number. Copy k is
    deformed as the images are in epoch k of a training with this --seed; those of the test and of --dev are not.
    """
    if deformation is not None and not augment:
        raise UsageError("nothing to deform", where="--deformation", expected="--augment", found="--no-augment")
    figures = figures_of(deformation) if augment else None
    _check_place(target, options)
    notify = Notices(quiet)
    begin_loading_kernels(jit, threads)
    from fnnet.data.expand import expand as write

    dataset = load_data(options, notify)
    kernels, _ = load_kernels(jit, threads, notify, ["augment"] if augment else [])
    with share_bar("writing", not quiet) as show, naming_options():
        found = write(
            dataset, target, times, dev=dev, seed=seed, deformation=figures, shard_images=shard_images,
            kernels=kernels, on_images=lambda done, total: show(done / total),
        )  # fmt: skip
    if as_json:
        document = {"dataset": dataset.name, "images": found.images, "times": times, "seed": seed}
        document |= {"deformation": figures and figures._asdict(), "folder": target, "files": found.shards}
        print_json({**document, "bytes": found.bytes, "notes": notify.notes})
        return
    if not quiet:
        echo(describe(dataset, {"train": len(dataset.train.labels)}))
    counts = ", ".join(f"{count:,} {part}" for part, count in found.images.items())
    say(f"saved {target}: {counts} images, {found.bytes / 1e6:,.0f} MB, {counted(found.shards, 'file')} for training")


def _check_place(target: str, options: Mapping[str, Any]) -> None:
    """Raise UsageError for a folder that is an input, or that is not new, before the data are read."""
    place = Path(target).resolve()
    if any(Path(given).resolve() == place for given in data_inputs(dict(options))):
        raise UsageError("would replace another file", where="--output", expected="a new folder", found=target)
    from fnnet.data.convert import check_new_folder
    from fnnet.files.disk import check_folder

    check_new_folder(Path(target))
    check_folder(target)


def figures_of(given: Mapping[str, float] | None) -> Deformation:
    """Return the deformation that --deformation stands for; UsageError if it is out of range or changes nothing."""
    from fnnet.core.deform import Deformation, check_deformation
    from fnnet.training import plan, recipes

    figures = {**recipes.DEFORMATION, **(given or {})}
    with naming_options():
        plan.check_figures(figures, given)
        try:
            return check_deformation(Deformation(**figures))
        except UsageError as error:
            raise error.at("deformation") from None
