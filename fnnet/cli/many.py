"""Many networks of one `fnnet train`: their training, their JSON document and their table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from fnnet.cli.common import console, echo_seconds, say
from fnnet.cli.mismatch import in_text, noting_options
from fnnet.cli.streams import echo
from fnnet.cli.watch import watched
from fnnet.core import params
from fnnet.core.state import networks_of
from fnnet.errors import DivergedError, counted
from fnnet.files.model import save_model
from fnnet.training.advice import together
from fnnet.training.many import ManyTrained, Trained, train_apart, train_together, with_init_seeds

if TYPE_CHECKING:
    from fnnet.core.state import Model
    from fnnet.core.table import Kernels
    from fnnet.training.session import Job


def train_all(
    job: Job, make: Callable[..., Job], seeds: Sequence[int], seed: int | None, kernels: Kernels, quiet: bool
) -> ManyTrained:
    """Train the networks of --seeds or --init-seeds under a progress bar.

    job, make   that of the first, and what prepares those of other seeds.
    seed        of the batches that all see; None where each has its own.
    """
    with watched(job, quiet) as watch:
        given: dict[str, Any] = {"kernels": kernels, "on_block": watch.on_block, "during": watch.interrupts}
        if seed is None:
            return train_apart([lambda: job, *(partial(make, seed=number) for number in seeds[1:])], **given)
        return train_together(with_init_seeds(job, seeds), **given)


def note_all(found: ManyTrained, seeds: Sequence[int], notify: Callable[[str], None]) -> None:
    """Notify of what went wrong in networks that did not diverge, each kind of failure once."""
    known = [each.advice if isinstance(each, Trained) else None for each in found.networks]
    for note in together([*zip(map(str, seeds), known, strict=True)], "seed"):
        noting_options(notify)(note)


def results(model: Model, file: str) -> dict[str, Any]:
    """Return the part of a document about a model that was trained."""
    return {
        "test_loss": model.training["test_loss"],
        "test_accuracy": model.training["test_accuracy"],
        "dead_units": list(model.training["dead_units"]),
        "weights_sha256": params.weights_sha256(*networks_of(model.params)),
        "model": file,
    }


def save_all(found: ManyTrained, files: list[str]) -> None:
    """Write the model of each network that did not diverge."""
    for each, file in zip(found.networks, files, strict=True):
        if isinstance(each, Trained):
            save_model(file, each.model)


def figures(found: ManyTrained, seeds: tuple[int, ...], files: list[str], seed: int | None) -> dict[str, Any]:
    """Return the part of the JSON document about results: mean and spread of all, and each.

    seed   of the batches that all see; None where each has its own.
    """
    each: list[dict[str, Any]] = []
    for number, network, file in zip(seeds, found.networks, files, strict=True):
        about: dict[str, Any] = {"seed": number if seed is None else seed, "init_seed": number}
        if isinstance(network, DivergedError):
            each.append(about | {"error": in_text(str(network))})
            continue
        each.append(
            about | {"epochs": [report._asdict() for report in network.reports], **results(network.model, file)}
        )
    document: dict[str, Any] = {}
    for key in ("test_loss", "test_accuracy"):
        values = [value for value in (network.get(key) for network in each) if value is not None]
        document[key] = mean(values) if values else None
        document[f"{key}_spread"] = stdev(values) if len(values) > 1 else None
    return document | {"networks": each}


def print_all(document: Mapping[str, Any], line: str, quiet: bool) -> None:
    """Print a table of the networks, and what they have in the mean."""
    from fnnet.apps.report import loss_text, terminal

    networks = document["networks"]
    trained = [each for each in networks if "error" not in each]
    if quiet:
        echo(line)
    else:
        terminal.network_table(networks, console())
    sizes = "-".join(map(str, document["sizes"]))
    values = [each["test_accuracy"] for each in trained if each["test_accuracy"] is not None]
    if values:
        spread = document["test_accuracy_spread"]
        more = "" if spread is None else f" +- {100 * spread:.2f} points, {min(values):.2%} to {max(values):.2%}"
        echo(f"test accuracy {document['test_accuracy']:.2%}{more}, loss {loss_text(document['test_loss'])}")
    elif trained:
        echo("no test set")
    echo(f"{counted(len(networks), 'network')} {sizes}, {counted(document['parameters'], 'parameter')} each")
    echo_seconds(document, "together ")
    if trained:
        last = f" to {trained[-1]['model']}" if len(trained) > 1 else ""
        say(f"saved {trained[0]['model']}{last}")


def error_of_diverged(document: Mapping[str, Any]) -> DivergedError | None:
    """Return the error to raise if some networks diverged, once all others are saved."""
    diverged = [each for each in document["networks"] if "error" in each]
    if not diverged:
        return None
    seeds = ", ".join(str(each["init_seed"]) for each in diverged[:8]) + (", ..." if len(diverged) > 8 else "")
    problem = f"{len(diverged)} of {counted(len(document['networks']), 'network')} diverged"
    fix = "use a smaller --learning-rate or --weight-decay, or --clip-norm; the models of the others are saved"
    return DivergedError(problem, place=f"seeds {seeds}", expected="a finite loss", fix=fix)
