"""The training curves of runs, read from the logs of their run directories."""

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


class RunCurves(NamedTuple):
    """The curves of one run: its name, the "start" of its log, and its reports in the order of their epochs."""

    name: str
    start: Mapping[str, Any]
    epochs: tuple[EpochReport, ...]


def read_runs(folders: Sequence[str | os.PathLike[str]]) -> tuple[RunCurves, ...]:
    """Read the runs in these run directories.

    Each is named by its folder, or by the path as given if two folders have the same name.

    Raises   StorageError or DataError, as `read_run`.
    """
    short = [Path(os.path.abspath(folder)).name for folder in folders]
    names = [name if short.count(name) == 1 else os.fspath(folder) for name, folder in zip(short, folders, strict=True)]
    return tuple(read_run(folder, name) for folder, name in zip(folders, names, strict=True))


def read_run(folder: str | os.PathLike[str], name: str) -> RunCurves:
    """Read the run in a run directory, from the lines of its log with the event "start" and "epoch".

    An incomplete last line, as a killed run leaves it, is ignored. Of an epoch that occurs twice the later line counts.
    Raises   StorageError if the log cannot be read, DataError naming file and line if it is not such a log.
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
    return RunCurves(one_line(name), start, tuple(reports[epoch] for epoch in sorted(reports)))


def points(run: RunCurves, field: str) -> tuple[list[int], list[float]]:
    """Return the epochs that have a finite value of `field`, and those values."""
    each = [(report.epoch, getattr(report, field)) for report in run.epochs]
    known = [(epoch, value) for epoch, value in each if value is not None and math.isfinite(value)]
    return [epoch for epoch, _ in known], [value for _, value in known]


def has_dev(run: RunCurves) -> bool:
    """True if any report has a loss on dev images."""
    return bool(points(run, "dev_loss")[0])


def smallest_error(runs: Sequence[RunCurves]) -> float:
    """Return half the smallest error rate above 0 among all runs: where a logarithmic axis puts 0."""
    shares = [value for run in runs for part in ("train", "dev") for value in points(run, f"{part}_accuracy")[1]]
    return min((1 - share for share in shares if share < 1), default=0.02) / 2
