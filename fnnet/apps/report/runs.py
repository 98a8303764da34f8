"""The training curves of runs, read from the logs of their run directories."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fnnet.apps.report import option_text
from fnnet.core.state import EpochReport, report_of
from fnnet.errors import DataError, FnnetError, one_line
from fnnet.files.log import LOG, read_log
from fnnet.files.run_folder import members_in, runs_in
from fnnet.files.runs import holds_run
from fnnet.training.options import differing, options_of_config

LISTED: Final = 4
"""Options that differ in the name of a curve."""


class RunCurves(NamedTuple):
    """The curves of one run: its name, the "start" of its log, and its reports in the order of their epochs.

    options   that were in force.
    differs   those of them that are not the same in all runs that it is `compared` with.
    """

    name: str
    start: Mapping[str, Any]
    epochs: tuple[EpochReport, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    differs: Mapping[str, Any] = MappingProxyType({})

    @property
    def label(self) -> str:
        """The name, and what differs, in a legend."""
        each = [text for text in (option_text(*option) for option in self.differs.items()) if text]
        more = ", ..." if len(each) > LISTED else ""
        return one_line(f"{self.name}: {', '.join(each[:LISTED])}{more}") if each else self.name


class _Place(NamedTuple):
    """A run directory: its path, what it is called, and whether it was named itself, not the folder that it is in."""

    path: str
    name: str
    given: bool


def places(folders: Sequence[str | os.PathLike[str]]) -> list[_Place]:
    """Return the run directories that are named, and those in folders of runs and of committees.

    Each is called by its folder, as in the folder that was named, or by its path if two would be called alike.
    Raises   DataError for a folder without runs.
    """
    found: list[_Place] = []
    for each in map(os.fsdecode, folders):
        if holds_run(Path(each)) or not os.path.isdir(each):
            found.append(_Place(each, Path(os.path.abspath(each)).name, True))
            continue
        inside = members_in(each) or [own for run in runs_in(each) for own in members_in(run) or [run]]
        if not inside:
            expected = "a folder that 'fnnet train --run-dir' wrote, or one of such folders"
            raise DataError("holds no run", where=each, expected=expected, found="a folder without a log of training")
        found += [_Place(str(path), os.path.relpath(path, each), False) for path in inside]
    short = [place.name for place in found]
    return [place if short.count(place.name) == 1 else place._replace(name=place.path) for place in found]


def read_runs(
    folders: Sequence[str | os.PathLike[str]], notify: Callable[[str], None] = lambda notice: None
) -> tuple[RunCurves, ...]:
    """Read the runs in these run directories, and in folders of them: see `places`.

    notify   called with a line for each that is damaged, and left out, of those that were not named themselves.
    Raises   StorageError or DataError, as `read_run` and `places`.
    """
    found: list[RunCurves] = []
    for place in places(folders):
        try:
            found.append(read_run(place.path, place.name))
        except FnnetError as error:
            if place.given:
                raise
            notify(f"{error}; left out")
    return tuple(found)


def compared(runs: Sequence[RunCurves]) -> list[RunCurves]:
    """Return the runs with what differs between their options."""
    names = differing([run.options for run in runs])
    return [run._replace(differs={name: run.options.get(name) for name in names}) for run in runs]


def read_run(folder: str | os.PathLike[str], name: str) -> RunCurves:
    """Read the run in a run directory, from the lines of its log with the event "start", "resume" and "epoch".

    An incomplete last line, as a killed run leaves it, is ignored. Of an epoch that occurs twice the later line counts.
    Raises   StorageError if the log cannot be read, DataError naming file and line if it is not such a log.
    """
    path = Path(folder) / LOG
    start: Mapping[str, Any] = MappingProxyType({})
    config: Any = None
    reports: dict[int, EpochReport] = {}
    for number, event in enumerate(read_log(folder), 1):
        if event["event"] == "start":
            start = MappingProxyType(event)
        if event["event"] in ("start", "resume"):
            config = event.get("config", config)
        elif event["event"] == "epoch":
            try:
                report = report_of(event, place=f"line {number}")
            except DataError as error:
                raise error.at(path, fix="train into a new folder") from None
            reports[report.epoch] = report
    options = _options(start, config if isinstance(config, Mapping) else {})
    return RunCurves(one_line(name), start, tuple(reports[epoch] for epoch in sorted(reports)), options)


def _options(start: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of a run, none if its log does not have them; the data by its path, or its name."""
    data = start.get("data")
    path = data.get("path") if isinstance(data, Mapping) else start.get("dataset")
    return MappingProxyType({"data": path, **options_of_config(config)} if config else {})


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
