"""The help of a command with many options: in groups, with an example of each."""

from __future__ import annotations

from typing import Final, NamedTuple

import click


class Group(NamedTuple):
    """Options that belong together.

    options   their names, in the order in which they are shown.
    example   a command line with some of them.
    """

    title: str
    options: tuple[str, ...]
    example: str


GROUPS: Final = (
    Group(
        "Data",
        (
            "--data", "--data-dir", "--dev", "--dev-data", "--test-data", "--corrections", "--class-weights",
            "--window", "--skip-damaged", "--folds", "--correction",
        ),
        "fnnet train --data train.csv --dev-data dev.csv",
    ),
    Group(
        "How files are read",
        (
            "--classes", "--class-names", "--first-label", "--label-column", "--table", "--image", "--image-size",
            "--size", "--pixel-max", "--ink", "--transpose", "--first-index",
        ),
        "fnnet train --data scans --ink dark --size 28",
    ),
    Group(
        "Network",
        ("--recipe", "--hidden", "--activation", "--members", "--start", "--init-seeds", "--seeds"),
        "fnnet train --hidden 300,100 --activation gelu",
    ),
    Group(
        "Training",
        (
            "--epochs", "--batch-size", "--learning-rate", "--schedule", "--optimizer", "--momentum", "--weight-decay",
            "--clip-norm", "--ema", "--dropout", "--label-smoothing", "--augment", "--deformation", "--early-stopping",
            "--seed",
        ),
        "fnnet train --optimizer adam --learning-rate 0.001 --schedule cosine",
    ),
    Group(
        "Speed, and several machines",
        ("--jit", "--threads", "--shards", "--message-bits", "--local-steps"),
        "mpiexec -n 2 python -m mpi4py cli.py train --jit --shards 8",
    ),
    Group(
        "Results",
        ("--out", "--run-dir", "--resume", "--plot", "--sheet", "--json", "--quiet", "--help"),
        "fnnet train --jit --run-dir runs/first --plot curves.png",
    ),
)  # fmt: skip
"""Of the commands that train."""


def long_name(parameter: click.Parameter) -> str:
    """Return the name of an option that begins with two hyphens; that of an argument."""
    return next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])


class Grouped(click.Command):
    """A command whose help shows its options in GROUPS; an example of a group is shown if it is one of this command.

    groups   those of a class of commands.
    """

    groups: tuple[Group, ...] = GROUPS

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        records = {long_name(each): each.get_help_record(context) for each in self.get_params(context)}
        for group in self.groups:
            rows = [row for name in group.options if (row := records.pop(name, None))]
            if not rows:
                continue
            with formatter.section(group.title):
                formatter.write_dl(rows)
                if f" {self.name} " in group.example:
                    # Not by `write_text`, which breaks a line that is to be typed.
                    formatter.write(f"\n{'':{formatter.current_indent}}Example: {group.example}\n")
        if rows := [*filter(None, records.values())]:
            with formatter.section("Other options"):
                formatter.write_dl(rows)
