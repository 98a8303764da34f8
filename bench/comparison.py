"""The table at the end of `pytest --benchmark-only`: NumPy beside Numba, instead of the plugin's table for each group.

A benchmark calls `describe`, compares the results of both, calls `found_equal`, and only then measures. Options that
ask for the plugin's own table, such as --benchmark-columns or --benchmark-compare, bring it back.
"""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest

from bench.common import time_text
from fnnet.limits import available_threads

TRAINING, PREDICTION, OPERATIONS = "Training on 2,048 images", "Prediction", "Operations"
SECTIONS: Final = (TRAINING, PREDICTION, OPERATIONS)
PLUGIN_OPTIONS: Final = (
    "sort", "group-by", "columns", "name", "time-unit", "histogram", "csv", "compare", "compare-fail", "cprofile",
)  # fmt: skip
"""What asks for the plugin's own table, without --benchmark- in front."""
Line = tuple[str, dict[str, bool]]
"""A line of the table and how the terminal shows it."""


class Part(NamedTuple):
    """One benchmark: which part of a row it measured, with which kernels; `seconds` is None where it failed."""

    name: str
    kernels: str
    seconds: float | None
    equal: bool


class Row(NamedTuple):
    """What was measured of one operation at one shape."""

    operation: str
    shape: str
    parts: list[Part]

    @property
    def label(self) -> str:
        """Return the operation, followed by the parts that are added to it."""
        names = dict.fromkeys(part.name for part in self.parts if part.name)
        return " + ".join([self.operation, *names])

    def seconds(self, kernels: str, part: str | None = None) -> float:
        """Return the time of all parts, or of one, in the fastest round; NaN where it was not measured.

        The fastest, because whatever else the machine does can only add to a round.
        """
        found = [each for each in self.parts if each.kernels == kernels and part in (None, each.name)]
        return sum(math.nan if each.seconds is None else each.seconds for each in found) if found else math.nan

    def ratio(self, part: str | None = None) -> float:
        """Return how many times faster Numba is."""
        return self.seconds("numpy", part) / self.seconds("numba", part)

    @property
    def equal(self) -> bool:
        """Return True if every part was compared and found equal."""
        return all(part.equal for part in self.parts)

    @property
    def slower(self) -> list[str]:
        """Return the parts in which Numba is slower than NumPy."""
        names = dict.fromkeys(part.name for part in self.parts)
        return [name for name in names if round(self.ratio(name), 2) < 1]


def describe(benchmark: Any, section: str, operation: str, shape: str, part: str = "") -> None:
    """Assign a benchmark to a row of the table; the parts of one row are added up."""
    name = ", ".join(word for word in (operation, part, shape) if word)
    benchmark.group = name if section == OPERATIONS else f"{section}: {name}"
    benchmark.extra_info |= {"section": section, "operation": operation, "part": part, "shape": shape, "equal": False}


def found_equal(benchmark: Any) -> None:
    """Note that NumPy's and Numba's results were compared and are equal."""
    benchmark.extra_info["equal"] = True


class Comparison:
    """The pytest plugin that collects the rows and writes the table."""

    def __init__(self) -> None:
        self.sections: dict[str, dict[tuple[str, str], Row]] = {section: {} for section in SECTIONS}

    def add(self, info: dict[str, Any], kernels: str, seconds: float | None) -> None:
        """Add what one benchmark measured."""
        if "section" in info:
            key = info["operation"], info["shape"]
            row = self.sections[info["section"]].setdefault(key, Row(*key, []))
            row.parts.append(Part(info["part"], kernels, seconds, info["equal"]))

    def pytest_runtest_makereport(self, item: Any, call: pytest.CallInfo[None]) -> None:
        """Keep a row for a benchmark that fails."""
        benchmark = getattr(item, "funcargs", {}).get("benchmark")
        if benchmark is not None and call.when == "call" and call.excinfo is not None:
            self.add(benchmark.extra_info, item.callspec.params["kernels"], None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_group_stats(self, benchmarks: list[dict[str, Any]]) -> list[Any]:
        """Take what was measured; the plugin, which shows a table for each group, is left without one."""
        for each in benchmarks:
            self.add(each["extra_info"], each["params"]["kernels"], each["min"])
        return []

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
        """Write the table."""
        if config.getoption("benchmark_quiet"):
            return
        if config.getoption("benchmark_only") and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            terminalreporter.write_line("no benchmark matches; every case is there with --benchmark-all-cases")
        if any(self.sections.values()):
            terminalreporter.write_sep("=", f"NumPy and Numba, {available_threads()} threads")
            for line, markup in table(self.sections):
                terminalreporter.write_line(line, **markup)


def table(sections: dict[str, dict[tuple[str, str], Row]]) -> Iterator[Line]:
    """Return the lines of the table."""
    rows = [row for section in sections.values() for row in section.values()]
    label, shape = max(22, *(len(row.label) for row in rows)), max(23, *(len(row.shape) for row in rows))
    yield f"{'':{label + shape + 3}}{'NumPy':>8}{'Numba':>8}{'ratio':>6} equal", {"bold": True}
    for section, of_section in sections.items():
        if of_section:
            yield section, {"bold": True}
        for row in of_section.values():
            equal = "yes" if row.equal else "NO"
            times = "".join(f"{_time(row.seconds(kernels)):>8}" for kernels in ("numpy", "numba"))
            ratio = f"{_ratio(row.ratio()):>5}{'<' if row.slower else ' '}"
            line = f"  {row.label:{label}} {row.shape:{shape}}{times}{ratio} {equal}"
            yield line, {"red": not row.equal, "yellow": row.equal and bool(row.slower)}
    yield from _legend(rows)


def _legend(rows: list[Row]) -> Iterator[Line]:
    slower = [row for row in rows if row.slower]
    yield f"Fastest rounds; ratio: NumPy / Numba, below 1 (<) in {len(slower)} of {len(rows)} rows.", {}
    partly = [
        f"{row.operation} {part} {row.ratio(part):.2f}" for row in slower for part in row.slower if row.ratio() >= 1
    ]
    if partly:
        yield f"Below 1 in one part only: {', '.join(' '.join(each.split()) for each in partly)}.", {}


def _time(seconds: float) -> str:
    return "" if math.isnan(seconds) else time_text(seconds)


def _ratio(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{ratio:.{2 if ratio < 10 else 1 if ratio < 100 else 0}f}"


def plugin_table_wanted(config: pytest.Config) -> bool:
    """Return True if an option asks for the plugin's own table."""
    words = [*map(str, config.invocation_params.args), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    given = {word.split("=", 1)[0] for word in words}
    return any(f"--benchmark-{option}" in given for option in PLUGIN_OPTIONS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that brings every case of the tests' table."""
    text = "Measure every operation at every case of tests/tools/cases.py, not only at the most informative ones."
    parser.getgroup("benchmark").addoption("--benchmark-all-cases", action="store_true", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Take the place of the plugin's table, unless that is asked for."""
    if config.pluginmanager.hasplugin("benchmark") and not plugin_table_wanted(config):
        config.pluginmanager.register(Comparison(), "fnnet-comparison")
