"""A committee of one `fnnet train`: its training, its JSON document and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from statistics import mean
from typing import TYPE_CHECKING, Any

from fnnet.cli.common import console, say
from fnnet.cli.many import results
from fnnet.cli.streams import echo
from fnnet.cli.watch import watched
from fnnet.core.params import weights_sha256
from fnnet.core.state import networks_of
from fnnet.errors import counted
from fnnet.training import committee
from fnnet.training.committee import CommitteeTrained

if TYPE_CHECKING:
    from fnnet.core.table import Kernels
    from fnnet.training.session import Job


def train_members(
    job: Job, kernels: Kernels, options: Mapping[str, Any], quiet: bool, notify: Callable[[str], None]
) -> tuple[CommitteeTrained, float | None]:
    """Train the members under a progress bar; the first signal stops the one that is being trained.

    Returns  the committee, and the mean number of compiled threads, None if NumPy trained.
    """
    run_dir = options["run_dir"]
    with watched(job, quiet, run_dir) as watch:
        found = committee.train(
            job,
            kernels=kernels,
            run_dir=run_dir,
            resume=options["resume"],
            on_block=watch.on_block,
            during=watch.interrupts if job.plan.is_stepwise else nullcontext(),
            notify=notify,
        )
    return found, watch.threads


def figures(found: CommitteeTrained, file: str) -> dict[str, Any]:
    """Return the part of the JSON document about results: of the committee, and of each member."""
    about = found.model.training
    members = [
        {
            "seed": own["seed"],
            "epochs": [report._asdict() for report in member.reports],
            **{key: own[key] for key in ("dev_loss", "dev_accuracy", "test_loss", "test_accuracy")},
            "dead_units": list(own["dead_units"]),
            "weights_sha256": weights_sha256(*networks_of(member.model.params)),
        }
        for own, member in zip(about["members"], found.members, strict=True)
    ]
    return {
        "train_seconds": float(sum(report.seconds for member in found.members for report in member.reports)),
        "dev_loss": about["dev_loss"],
        "dev_accuracy": about["dev_accuracy"],
        **results(found.model, file),
        "members": members,
    }


def print_results(document: Mapping[str, Any], line: str, quiet: bool) -> None:
    """Print a table of the members, and the figures of the committee beside the means of theirs."""
    from fnnet.apps.report import loss_text, terminal

    members = document["members"]
    if quiet:
        echo(line)
    else:
        terminal.network_table(members, console())
    for part in ("dev", "test"):
        key = f"{part}_accuracy"
        if document[key] is not None:
            alone = f"members {mean(each[key] for each in members):.2%} in the mean"
            echo(f"{part} accuracy {document[key]:.2%}, loss {loss_text(document[f'{part}_loss'])}; {alone}")
    if document["test_accuracy"] is None:
        echo("no test set")
    sizes = "-".join(map(str, document["sizes"]))
    each = counted(document["parameters"], "parameter")
    echo(f"{counted(len(members), 'member')} {sizes}, {each} each")
    echo(
        f"trained in {document['train_seconds']:.2f} s"
        f" (loading {document['load_seconds']:.2f} s, compiling {document['compile_seconds']:.2f} s)"
    )
    say(f"saved {document['model']}")
