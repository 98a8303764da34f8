"""A committee of one `fnnet train`: its JSON document and its table."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from fnnet.cli.common import console, echo_seconds, say
from fnnet.cli.many import results
from fnnet.cli.streams import echo
from fnnet.core.params import weights_sha256
from fnnet.core.state import networks_of
from fnnet.errors import counted
from fnnet.training.committee import CommitteeTrained


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
    echo_seconds(document)
    say(f"saved {document['model']}")
