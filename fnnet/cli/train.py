"""`fnnet train`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import click

from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    console,
    describe,
    echo_seconds,
    is_streamed,
    load_data,
    load_kernels,
    open_stream,
    print_json,
    say,
    threads_of,
)
from fnnet.cli.help import Grouped
from fnnet.cli.mismatch import naming_options
from fnnet.cli.options import (
    FileName,
    class_weights_option,
    compiled_options,
    data_options,
    dev_data_option,
    json_option,
    quiet_option,
    reading_options,
    recipe_option,
    seed_option,
    test_data_option,
)
from fnnet.cli.outputs import check_defaults, check_files, of_the_run, say_replaced
from fnnet.cli.plan_options import plan_options, settings_of
from fnnet.cli.ranks import Order, give, load_alike, ranks, threads_for
from fnnet.cli.said import reading_of
from fnnet.cli.seeds import seeds_of, seeds_options
from fnnet.cli.streams import echo
from fnnet.errors import FnnetError, UsageError, counted

if TYPE_CHECKING:
    from fnnet.core.state import EpochReport, Examples, Model
    from fnnet.core.table import Kernels
    from fnnet.data import Dataset, StreamedDataset
    from fnnet.training.session import Job


@click.command(cls=Grouped)
@compiled_options("Train")
@data_options
@reading_options
@recipe_option
@plan_options()
@seed_option
@seeds_options
@click.option(
    "--start",
    type=FileName(),
    metavar="MODEL",
    help="Model, or its run, to train further: its hidden layers, activation and way of reading pixels, and the "
    "outputs of classes that it knows.",
)
@dev_data_option
@test_data_option
@click.option(
    "--corrections",
    type=FileName(),
    metavar="FILE",
    help="Table of corrected labels and of images to leave out, as suspects writes it.",
)
@click.option(
    "--skip-damaged",
    is_flag=True,
    help="Read all files of a stream first, and train without those that are damaged.",
)
@class_weights_option
@click.option(
    "--run-dir", type=FileName(), metavar="DIR", help="Folder for checkpoints, a log of training and the model."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume the run in --run-dir; the result is bit-identical to an uninterrupted run. With other --epochs, a "
    "finished run goes on for more, a stopped one for more or less; with a larger --early-stopping, one that it ended.",
)
@click.option(
    "--out", type=FileName(), help="File of the model.  [default: model.safetensors, in --run-dir if that is given]"
)
@click.option("--plot", type=FileName(), help="Curves of loss and accuracy as PNG, SVG or PDF.")
@json_option
@quiet_option
@click.pass_obj
def train(shared: dict[str, Any], /, recipe: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Train a network, test it, and save it.

    Options that are not given have the recipe's values. `classic` is 784-10-10 by mini-batch gradient descent;
    `notebook` is the full-batch run of 1,200 steps of the notebook that fnnet began with.
    """
    settings, seeds = settings_of(options), seeds_of(options)
    notify, files = Notices(quiet), check_files(options, seeds)
    begin_loading_kernels(options["jit"], options["threads"])
    replaced = check_defaults(files, options, seeds, notify)
    from fnnet.cli import before_data
    from fnnet.training import session

    began = time.perf_counter()
    start = before_data.start_of(options)
    before_data.check(options, recipe, settings, start)
    dataset, dev_set = _load(options, notify, start)
    with naming_options():
        given = {"dev_set": dev_set, "class_weights": options["class_weights"], "start": start}
        make = partial(session.prepare, dataset, recipe, settings, **given)
        seed = seeds[0] if options["seeds"] else options["seed"]
        job = make(seed=seed, init_seed=seeds[0] if options["init_seeds"] else None)
    seconds = {"load_seconds": time.perf_counter() - began}
    images = _count_images(job)
    line = describe(dataset, images)
    if not quiet:
        echo(line, err=as_json)
    if ranks().size > 1:
        _order(job, options)
    kernels, seconds["compile_seconds"] = _load_kernels(job, options, notify)
    head = partial(_document, job, images, kernels, options, files, seconds)
    if seeds:
        document, show, error = _train_many(job, make, head, kernels, seeds, options, files, quiet, notify)
    else:
        train_job = _train_committee if job.members > 1 else _train_one
        document, show, error = train_job(job, head, kernels, options, files[0], quiet, notify)
    document["notes"] = notify.notes
    document["total_seconds"] = time.perf_counter() - shared["began"]
    if as_json:
        print_json(document)
    else:
        if quiet:
            say_replaced(replaced)
        show(document, line, quiet)
    if error:
        raise error
    if options["plot"] and not as_json:
        say(f"saved {options['plot']}")


def _load(
    options: dict[str, Any], notify: Notices, start: Model | None
) -> tuple[Dataset | StreamedDataset, Examples | None]:
    """Return the data, with images to test on, and the images for validation that --dev-data names."""
    from fnnet.cli import before_data
    from fnnet.data.preprocess import AUTOMATIC, Reading
    from fnnet.training.dev_set import load_dev_set, with_test_set

    with before_data.reading_as(start):
        read: Callable[..., Dataset | StreamedDataset] = open_stream if is_streamed(options) else load_data
        dataset = read(options, notify, start)
    if options["corrections"]:
        from fnnet.data.corrections import corrected

        dataset = corrected(cast(Any, dataset), options["corrections"], notify)
    dev_data, test_data = options["dev_data"], options["test_data"]
    with naming_options(), before_data.reading_as(start):
        reading = Reading(**reading_of(options)) if dev_data or test_data else AUTOMATIC
        # Before any are held out: who validates on the images of --data hears it.
        dev_set = load_dev_set(dev_data, dataset, notify, reading) if dev_data else None
        return with_test_set(dataset, test_data, notify, reading), dev_set


Done = tuple[dict[str, Any], Callable[[dict[str, Any], str, bool], None], FnnetError | None]
"""A document, what prints it, and an error that is raised once it is printed."""
Head = Callable[[float | None, int | None, Sequence["EpochReport"] | None], dict[str, Any]]
"""Makes the part of a document before the results, as `_document` does."""


def _train_one(
    job: Job,
    head: Head,
    kernels: Kernels,
    options: dict[str, Any],
    file: str,
    quiet: bool,
    notify: Callable[[str], None],
) -> Done:
    """Train and save one network; the error that waits is that of a plot that could not be made."""
    from fnnet.cli.many import results
    from fnnet.cli.watch import train_watched
    from fnnet.files.model import save_model
    from fnnet.training import session

    (model, reports), used = train_watched(session.train, job, kernels, options, quiet, notify)
    document = head(used, job.seed, reports)
    document["train_seconds"] = float(sum(report.seconds for report in reports))
    document |= results(model, file)
    if not of_the_run(file, options["run_dir"]):
        save_model(file, model)
    show = partial(_print_results, reports)
    try:
        _plot(options["plot"], reports, document)
    except FnnetError as error:
        return document, show, error
    return document, show, None


def _train_many(
    job: Job,
    make: Callable[..., Job],
    head: Head,
    kernels: Kernels,
    seeds: tuple[int, ...],
    options: dict[str, Any],
    files: list[str],
    quiet: bool,
    notify: Callable[[str], None],
) -> Done:
    """Train and save the networks of `seeds`, of which `job` is the first; the error that waits names what diverged."""
    from fnnet.cli import many

    seed = None if options["seeds"] else job.seed
    found = many.train_all(job, make, seeds, seed, kernels, quiet)
    many.save_all(found, files)
    many.note_all(found, seeds, notify)
    document = head(found.threads, seed, None)
    document |= {"train_seconds": found.seconds} | many.figures(found, seeds, files, seed)
    return document, many.print_all, many.error_of_diverged(document)


def _train_committee(
    job: Job,
    head: Head,
    kernels: Kernels,
    options: dict[str, Any],
    file: str,
    quiet: bool,
    notify: Callable[[str], None],
) -> Done:
    """Train and save a committee."""
    from fnnet.cli import committee
    from fnnet.cli.watch import train_watched
    from fnnet.files.model import save_model
    from fnnet.training.committee import train as train_members

    found, used = train_watched(train_members, job, kernels, options, quiet, notify)
    if not of_the_run(file, options["run_dir"]):
        save_model(file, found.model)
    return head(used, job.seed, None) | committee.figures(found, file), committee.print_results, None


def _load_kernels(job: Job, options: dict[str, Any], notify: Callable[[str], None]) -> tuple[Kernels, float]:
    here, seconds = ranks(), 0.0
    threads = threads_for(here, options["threads"]) if options["jit"] else options["threads"]

    def load() -> Kernels:
        nonlocal seconds
        kernels, seconds = load_kernels(options["jit"], threads, notify, job.plan.kernel_parts)
        return kernels

    return load_alike(here, load), seconds


def _order(job: Job, options: dict[str, Any]) -> None:
    """Have the other ranks train with this one."""
    if options["seeds"] or options["init_seeds"]:
        expected, found = "one network, whose batches they share", "many networks"
        fix = "leave out mpiexec, or start a process for each seed"
        raise UsageError("several ranks", where="mpiexec", expected=expected, found=found, fix=fix)
    from fnnet.training.plan import check_ranks

    with naming_options():
        check_ranks(job.plan, ranks())
    threads_for(ranks(), options["threads"])
    order = Order(job, options["jit"], options["threads"], options["run_dir"], options["resume"])
    if not give(order):
        found = f"less than {ranks().size}"
        raise FnnetError("ranks did not start", where="mpiexec", expected=f"{ranks().size} ranks", found=found)


def _count_images(job: Job) -> dict[str, int]:
    from fnnet.data.stream import count_of

    parts = (("train", job.train), ("dev", job.dev), ("test", job.dataset.test))
    return {part: count_of(found) for part, found in parts}


def _document(
    job: Job,
    images: dict[str, int],
    kernels: Kernels,
    options: dict[str, Any],
    files: list[str],
    seconds: dict[str, float],
    used: float | None,
    seed: int | None,
    reports: Sequence[EpochReport] | None,
) -> dict[str, Any]:
    """Return the JSON document of a run without its results, whose seconds are still to be filled in."""
    from fnnet.cli.in_force import options_in_force
    from fnnet.core import params
    from fnnet.data.stream import Stream

    threads = threads_of(kernels)
    stream = job.train if isinstance(job.train, Stream) else None
    return {
        "dataset": job.dataset.name,
        "images": images,
        **({"files": len(stream.sizes), "left_out": [*stream.left_out], "window": job.plan.window} if stream else {}),
        "recipe": job.recipe,
        "sizes": list(job.sizes),
        "parameters": params.count_parameters(job.sizes),
        "jit": kernels.compiled,
        "threads": threads,
        "threads_used": threads if used is None else round(used, 2),
        "seed": seed,
        "options": options_in_force(job, options, threads, files),
        **({} if reports is None else {"epochs": [report._asdict() for report in reports]}),
        **seconds,
        "train_seconds": None,
        "total_seconds": None,
    }


def _plot(path: str | None, reports: Sequence[EpochReport], document: dict[str, Any]) -> None:
    if path:
        from fnnet.apps.report.plots import plot_curves

        sizes = "-".join(map(str, document["sizes"]))
        plot_curves(path, reports, f"{document['recipe']}, {sizes}, {document['dataset']}")


def _print_results(reports: Sequence[EpochReport], document: dict[str, Any], line: str, quiet: bool) -> None:
    from fnnet.apps.report import loss_text

    if quiet:
        echo(line)
    elif reports:
        from fnnet.apps.report import terminal

        screen = console()
        terminal.epoch_table(reports, screen)
        terminal.curves(reports, screen)
    sizes = "-".join(map(str, document["sizes"]))
    if document["test_accuracy"] is None:
        echo("no test set")
    else:
        echo(f"test accuracy {document['test_accuracy']:.2%}, loss {loss_text(document['test_loss'])}")
    echo(f"{sizes}, {counted(document['parameters'], 'parameter')}")
    echo_seconds(document)
    from fnnet.training.parts import SPREAD

    some = " looked at" if "files" in document and document["images"]["train"] > SPREAD else ""
    for number, (fraction, units) in enumerate(zip(document["dead_units"], document["sizes"][1:], strict=False), 1):
        if fraction:
            one = "its only unit is" if units == 1 else f"1 of its {units:,} units is"
            which = one if round(fraction * units) == 1 else f"{fraction:.1%} of its units are"
            echo(f"hidden layer {number}: {which} dead, 0 for every training image{some}")
    say(f"saved {document['model']}")
