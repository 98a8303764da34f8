"""The log of a run directory, read for its pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from fnnet.core.state import EpochReport, report_of
from fnnet.errors import DataError, one_line
from fnnet.files.log import LOG, read_log


class Run(NamedTuple):
    """One run: its name, what its log says of its start, and its reports in the order of their epochs."""

    name: str
    start: Mapping[str, Any]
    epochs: tuple[EpochReport, ...]


def read_runs(folders: Sequence[str | os.PathLike[str]]) -> tuple[Run, ...]:
    """The runs in these run directories, each named by its folder, or by the path as given where two folders share
    their name.

    Raises   StorageError or DataError, as `read_run`.
    """
    short = [Path(os.path.abspath(folder)).name for folder in folders]
    names = [name if short.count(name) == 1 else os.fspath(folder) for name, folder in zip(short, folders, strict=True)]
    return tuple(read_run(folder, name) for folder, name in zip(folders, names, strict=True))


def read_run(folder: str | os.PathLike[str], name: str) -> Run:
    """The run in a run directory, from the lines of its log with the event "start" and "epoch"; others are passed over.

    A last line that was not written to its end, as a killed run leaves it, is passed over too. Of an epoch that is
    there twice the later line counts.
    Raises   StorageError where the log cannot be read, DataError naming file and line for what is no such log.
    """
    path = Path(folder) / LOG
    start: Mapping[str, Any] = MappingProxyType({})
    reports: dict[int, EpochReport] = {}
    for number, event in enumerate(read_log(folder), 1):
        if event["event"] == "start":
            start = MappingProxyType(event)
        elif event["event"] == "epoch":
            try:
                report = report_of(event, place=f"line {number}")
            except DataError as error:
                raise error.at(path, fix="train into a new folder") from None
            reports[report.epoch] = report
    return Run(one_line(name), start, tuple(reports[epoch] for epoch in sorted(reports)))


def points(run: Run, field: str) -> tuple[list[int], list[float]]:
    """The epochs that have a finite figure `field`, and those figures."""
    each = [(report.epoch, getattr(report, field)) for report in run.epochs]
    known = [(epoch, value) for epoch, value in each if value is not None and math.isfinite(value)]
    return [epoch for epoch, _ in known], [value for _, value in known]


def has_dev(run: Run) -> bool:
    """Whether any report has a figure of dev images."""
    return bool(points(run, "dev_loss")[0])


def smallest_error(runs: Sequence[Run]) -> float:
    """Half the smallest share of wrong answers above 0 among all figures: where a logarithmic axis puts 0."""
    shares = [value for run in runs for part in ("train", "dev") for value in points(run, f"{part}_accuracy")[1]]
    return min((1 - share for share in shares if share < 1), default=0.02) / 2
