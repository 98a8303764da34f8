"""Compare fnnet with other libraries on the same workloads, interleaved: `python -m bench.peers` (extra `peers`).

Every library runs in two processes, one with one thread and one with all, which take turns. The table has the medians
of the rounds, for each library its faster setting; one that takes twice as long as the fastest in the first round is
not measured again. FNNET_DATA is the folder of MNIST. PEERS_BIN is the folder of libxsmm-dnn's program mlp_mnist, where
it was built (tests/mlp, with MNIST's files in datasets/mnist); without it there is a column less.

python -m bench.peers                       measure everything (20 minutes), write docs/peers.json and pages
python -m bench.peers --predict             measure predictions beside other engines, write docs/engines.json and .md
python -m bench.peers --shape 784-500-10    measure predictions of networks of this shape; nothing is written
python -m bench.peers --only 784-128-10     only workloads whose names contain this; nothing is written
python -m bench.peers --only 784-128-10 --merge    the same, and write their rows in the place of those before
python -m bench.peers --write               write the tables from their JSON again
python -m bench.peers --check               compare the tables with their JSON and this program
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import click

from bench.common import ROOT, cpu_name, rewrite, time_text, versions
from bench.engines import CHECKED
from bench.processes import Worker, run_program
from bench.workloads import CLASSES, COUNTS, PIXELS, PREDICTIONS, PROGRAM, WORKLOADS, Workload, predictions
from fnnet.limits import available_threads

README: Final = ROOT / "README.md"
PAGE: Final = ROOT / "docs" / "performance.md"
RESULTS: Final = ROOT / "docs" / "peers.json"
BEGIN, END = "<!-- bench.peers -->\n", "<!-- /bench.peers -->\n"
TELLING: Final = (
    "train 784-10-10, batch 64",
    "train 784-128-10, batch 128",
    "train 784-1024-1024-10, batch 512, dense",
    "predict 10,000 images, 784-10-10",
    "program: 784-128-10, batch 128, 3 epochs",
)
"""The rows of the README, those among them in which others are faster."""
PEERS: Final = ("PyTorch", "PyTorch compiled", "JAX", "scikit-learn", "ONNX Runtime", "NumPy", "libxsmm-dnn")
ENGINES_PAGE: Final = ROOT / "docs" / "engines.md"
ENGINES_RESULTS: Final = ROOT / "docs" / "engines.json"
"""A list: the results of each machine, by the name of its processor."""
ENGINES: Final = ("LiteRT", "MNN", "OpenVINO", "OpenVINO, float32", "ONNX Runtime", "NumPy", "JAX", "PyTorch")


@contextlib.contextmanager
def workers(names: Sequence[str], threads: int) -> Iterator[list[Worker]]:
    """Start a process for each library with one thread and one with all."""
    made: list[Worker] = []
    try:
        for name in names:
            for count in sorted({1, threads}):
                command = [sys.executable, "-m", "bench.workers", name, str(count)]
                made.append(Worker(name, command, count, ROOT, {"PYTHONPATH": str(ROOT)}))
        yield made
    finally:
        for worker in made:
            worker.end()


def measure(team: list[Worker], work: Workload, rounds: int, threads: int) -> dict[str, Any]:
    """Measure a workload: medians of interleaved rounds, for each library its faster number of threads."""
    seconds: dict[tuple[str, int], list[float]] = {}
    errors, lower = {}, {}
    able = []
    for worker in team:
        worker.send({"work": work, "count": COUNTS[work.kind]})
    for worker in team:
        answer = worker.answer()
        if answer.get("able"):
            able.append(worker)
            if answer.get("precision", "float32") != "float32":
                lower[worker.name] = {"precision": answer["precision"], "wrong": answer["wrong"]}
        elif "error" in answer:
            errors[worker.name] = answer["error"]
    for turn in range(rounds):
        if turn == 1:
            able = _in_the_race(able, seconds, lower)
        for worker in able:
            # The previous worker's threads may still be spinning.
            time.sleep(0.2)
            worker.send({})
            answer = worker.answer()
            if "seconds" in answer:
                seconds.setdefault((worker.name, worker.threads), []).append(answer["seconds"])
    medians = {key: median(taken) for key, taken in seconds.items()}
    best = {name: min(value for (other, _), value in medians.items() if other == name) for name, _ in medians}
    peak = 1 / best.pop("peak")
    ours = medians["fnnet", threads]
    row = _row(work, ours, {name: value for name, value in best.items() if name != "fnnet"}, lower)
    gflops = work.gflop(1 if work.kind == "one" else COUNTS[work.kind]) / ours
    row |= {"fnnet, 1 thread": medians["fnnet", 1], "gflops": gflops, "peak_gflops": peak, "errors": errors}
    return row


def _in_the_race(
    team: list[Worker], seconds: dict[tuple[str, int], list[float]], lower: Container[str]
) -> list[Worker]:
    """Return the workers that may still be the fastest.

    A library that took twice as long as another in the first round keeps that figure: the ratio is to the fastest one
    whose precision is not lower.
    """
    first = {key: taken[0] for key, taken in seconds.items()}
    equals = [value for (name, _), value in first.items() if name not in ("fnnet", "peak") and name not in lower]
    fastest = min(equals, default=0.0)
    return [
        worker
        for worker in team
        if worker.name in ("fnnet", "peak") or first.get((worker.name, worker.threads), 0.0) < 2 * fastest
    ]


def _row(work: Workload, ours: float, peers: dict[str, float], lower: dict[str, Any] | None = None) -> dict[str, Any]:
    equals = [name for name in peers if not lower or name not in lower]
    fastest = min(equals, key=lambda name: peers[name]) if equals else None
    ratio = peers[fastest] / ours if fastest else None
    row = {"work": work.name, "fnnet": ours, "peers": peers, "fastest": fastest, "ratio": ratio, "target": work.target}
    return row | ({"lower": lower} if lower else {})


def measure_programs(rounds: int) -> list[dict[str, Any]]:
    """Measure whole programs, from start to saved model: seconds and peak MiB of fnnet and of PyTorch."""
    folder = os.environ.get("FNNET_DATA")
    if folder is None:
        return []
    figures: dict[str, list[tuple[float, float]]] = {"fnnet": [], "PyTorch": []}
    with tempfile.TemporaryDirectory() as out:
        commands = {
            "fnnet": [sys.executable, "cli.py", *PROGRAM, "--quiet", "--out", f"{out}/a.safetensors"],
            "PyTorch": [sys.executable, "-m", "bench.torch_program", folder, f"{out}/b.pt"],
        }
        for turn in range(rounds + 1):
            for name, command in commands.items():
                taken = run_program(command, ROOT, {})
                if turn:
                    figures[name].append(taken)
    rows = []
    for kind, column in (("process", 0), ("memory", 1)):
        work = next(work for work in WORKLOADS if work.kind == kind)
        both = {name: median(taken[column] for taken in each) for name, each in figures.items()}
        rows.append(_row(work, both["fnnet"], {"PyTorch": both["PyTorch"]}))
    return rows


def table(rows: list[dict[str, Any]], works: Sequence[Workload], names: Sequence[str]) -> str:
    """Return the rows as a Markdown table, with a column for each library that is in one of them."""
    columns = [name for name in names if any(name in row["peers"] for row in rows)]
    heads = ["work", "fnnet", *columns, "fnnet is faster by", "target"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        work = next(work for work in works if work.name == row["work"])
        cells = [_amount(work, row["fnnet"]), *(_cell(work, row, name) for name in columns)]
        ratio = f"{row['ratio']:.2f}" if row["ratio"] else ""
        lines.append("| " + " | ".join([row["work"], *cells, f"**{ratio}**", f"{row['target']:g}"]) + " |")
    return "\n".join(lines) + "\n"


def _cell(work: Workload, row: dict[str, Any], name: str) -> str:
    if name not in row["peers"]:
        return ""
    amount = _amount(work, row["peers"][name])
    lower = row.get("lower", {}).get(name)
    return f"{amount}, {lower['precision']}: {lower['wrong']} of {CHECKED:,} differ" if lower else amount


def _amount(work: Workload, value: float) -> str:
    return f"{value:.0f} MiB" if work.kind == "memory" else time_text(value)


def machine_line(results: dict[str, Any]) -> str:
    """Return what was measured on, and with which versions."""
    return f"{results['cpu']}, {results['threads']} threads; peak {results['peak_gflops']:.0f} GFLOP/s; " + ", ".join(
        f"{name} {version}" for name, version in results["versions"].items()
    )


def section(results: dict[str, Any], telling: bool = False) -> str:
    """Return the text of docs/performance.md between the two marks; if `telling`, that of the README."""
    rows = [row for row in results["rows"] if not telling or row["work"] in TELLING]
    tail = f"{machine_line(results)}. Written by `python -m bench.peers`.\n\n"
    return f"\n{table(rows, WORKLOADS, PEERS)}\n{'' if telling else slower_in(results)}{tail}"


def slower_in(results: dict[str, Any]) -> str:
    """Return the rows in which others are faster, a line."""
    rows = [row for row in results["rows"] if row["ratio"]]
    slower = [f"{row['work']} ({row['fastest']} {row['ratio']:.2f})" for row in rows if row["ratio"] < 1]
    return f"fnnet is slower in {len(slower)} of {len(rows)} rows: {'; '.join(slower) or 'none'}.\n\n"


def engines_section(machines: list[dict[str, Any]]) -> str:
    """Return the text of docs/engines.md between the two marks: a table for each machine."""
    parts = []
    for results in machines:
        measured = {row["work"] for row in results["rows"]}
        missing = [work.name for work in PREDICTIONS if work.name not in measured]
        parts.append(
            f"\n## {results['cpu']}\n\n{table(results['rows'], PREDICTIONS, ENGINES)}\n"
            + slower_in(results)
            + (f"Not measured on this machine: {'; '.join(missing)}.\n\n" if missing else "")
            + f"{machine_line(results)}. Written by `python -m bench.peers --predict`.\n"
        )
    return "".join(parts) + "\n"


def sections() -> dict[Path, str]:
    """Return what each page has between the two marks."""
    results = json.loads(RESULTS.read_text())
    engines = engines_section(json.loads(ENGINES_RESULTS.read_text()))
    return {README: section(results, telling=True), PAGE: section(results), ENGINES_PAGE: engines}


def check(pages: Mapping[Path, str]) -> list[str]:
    """Return how the tables of pages differ from their JSON, and their rows from this program's."""
    results, machines = json.loads(RESULTS.read_text()), json.loads(ENGINES_RESULTS.read_text())
    found, wanted = {row["work"] for row in results["rows"]}, {work.name for work in WORKLOADS}
    unknown = {row["work"] for each in machines for row in each["rows"]} - {work.name for work in PREDICTIONS}
    if found != wanted or unknown:
        return [f"the program has other rows: {sorted((found ^ wanted) | unknown)}"]
    faults = []
    for page, inside in sections().items():
        title, text = page.relative_to(ROOT), pages[page]
        if BEGIN not in text or END not in text:
            faults.append(f"{title} has no table of bench.peers")
        elif text.split(BEGIN)[1].split(END, maxsplit=1)[0] != inside:
            faults.append(f"the table of {title} is not that of its JSON")
    return faults


def sizes_of(_context: click.Context, _option: click.Parameter, shapes: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Return the sizes of networks that are written 784-128-10."""
    found = []
    for shape in shapes:
        sizes = tuple(int(size) if size.isdecimal() else 0 for size in shape.split("-"))
        if len(sizes) < 2 or sizes[0] != PIXELS or sizes[-1] != CLASSES or min(sizes) < 1:
            raise click.BadParameter(f"{shape} is not a network from {PIXELS} pixels to {CLASSES} classes: 784-128-10")
        found.append(sizes)
    return found


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds; the table has their medians.")
@click.option("--predict", is_flag=True, help="Predictions, beside engines that answer for a network.")
@click.option("--shape", multiple=True, callback=sizes_of, help="Predictions of this network; nothing is written.")
@click.option("--only", default="", help="Only workloads whose names contain this; nothing is written.")
@click.option(
    "--merge", is_flag=True, help="With --only: write their rows, beside others of this machine and these libraries."
)
@click.option("--check", "only_check", is_flag=True, help="Only compare the tables.")
@click.option("--write", "only_write", is_flag=True, help="Only write the tables from the JSON.")
@click.option("--out", default=None, help="The JSON file; by default docs/peers.json, or docs/engines.json.")
def main(
    rounds: int,
    predict: bool,
    shape: list[tuple[int, ...]],
    only: str,
    merge: bool,
    only_check: bool,
    only_write: bool,
    out: str | None,
) -> None:
    """Compare fnnet with other libraries."""
    if only_check:
        faults = check({page: page.read_text() for page in sections()})
        for fault in faults:
            click.echo(fault, err=True)
        sys.exit(bool(faults))
    if only_write:
        _write_tables()
        return
    if merge and (shape or not only):
        raise click.UsageError("--merge goes with --only, and not with --shape")
    predict = predict or bool(shape)
    works = [work for sizes in shape for work in predictions(sizes)] or (PREDICTIONS if predict else WORKLOADS)
    if not any(only in work.name for work in works):
        raise click.UsageError(f"no row has a name that contains {only}")
    path, threads = Path(out or (ENGINES_RESULTS if predict else RESULTS)), available_threads()
    results = {"cpu": cpu_name(), "threads": threads, "rounds": rounds, "versions": versions()}
    stored = json.loads(path.read_text()) if path.exists() else []
    machines = stored if isinstance(stored, list) else [stored]
    here = next((each for each in machines if each["cpu"] == results["cpu"]), None)
    if merge and (any(here[key] != value for key, value in results.items()) if here else not predict):
        raise click.UsageError(f"{path} is of another machine, or of other libraries or rounds: measure everything")
    rows = _rows(works, ENGINES if predict else PEERS, only, rounds, threads)
    if shape or (only and not merge):
        return
    if merge:
        known = {row["work"]: row for row in [*(here["rows"] if here else []), *rows]}
        rows = [known[work.name] for work in works if work.name in known]
    results |= {"peak_gflops": max(row["peak_gflops"] for row in rows if "peak_gflops" in row), "rows": rows}
    others = [each for each in machines if each is not here]
    path.write_text(json.dumps([*others, results] if predict else results, indent=1) + "\n")
    if path.resolve() in (RESULTS, ENGINES_RESULTS):
        _write_tables()


def _rows(
    works: Sequence[Workload], names: Sequence[str], only: str, rounds: int, threads: int
) -> list[dict[str, Any]]:
    rows = []
    with workers(["fnnet", *names, "peak"], threads) as team:
        for work in works:
            if work.kind in COUNTS and only in work.name:
                rows.append(measure(team, work, rounds, threads))
                _say(work, rows[-1])
    if works is WORKLOADS and only in "program":
        for row in measure_programs(rounds):
            rows.append(row)
            _say(next(work for work in WORKLOADS if work.name == row["work"]), row)
    return rows


def _write_tables() -> None:
    for page, inside in sections().items():
        rewrite(page, BEGIN, inside, END)


def _say(work: Workload, row: dict[str, Any]) -> None:
    peers = ", ".join(f"{name} {_amount(work, value)}" for name, value in sorted(row["peers"].items()))
    share = f", {row['gflops']:.0f} of {row['peak_gflops']:.0f} GFLOP/s" if "gflops" in row else ""
    ratio = (
        "no peer" if row["ratio"] is None else f"{row['ratio']:.2f} times {row['fastest']} (target {row['target']:g})"
    )
    more = [str(row[key]) for key in ("lower", "errors") if row.get(key)]
    click.echo(f"{work.name}: {_amount(work, row['fnnet'])}{share}; {ratio}; {peers} {' '.join(more)}".rstrip())


if __name__ == "__main__":
    main()
