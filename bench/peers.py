"""Compare fnnet with other libraries on the same workloads, interleaved: `python -m bench.peers` (extra `peers`).

Every library runs in two processes, one with one thread and one with all, which take turns. The table has the medians
of the rounds, for each library its faster setting; one that takes twice as long as the fastest in the first round is
not measured again. FNNET_DATA is the folder of MNIST.

python -m bench.peers                       measure everything (20 minutes), write docs/peers.json and the README
python -m bench.peers --only 784-128-10     only workloads whose names contain this; nothing is written
python -m bench.peers --only 784-128-10 --merge    the same, and replace their rows
python -m bench.peers --write               write the README's table from docs/peers.json again
python -m bench.peers --check               compare the README's table with docs/peers.json and this program
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import click

from bench.common import ROOT, cpu_name, rewrite, time_text, versions
from bench.processes import Worker, run_program
from bench.workloads import COUNTS, PROGRAM, WORKLOADS, Workload
from fnnet.limits import available_threads

README: Final = ROOT / "README.md"
RESULTS: Final = ROOT / "docs" / "peers.json"
BEGIN, END = "<!-- bench.peers -->\n", "<!-- /bench.peers -->\n"
PEERS: Final = ("PyTorch", "PyTorch compiled", "JAX", "scikit-learn", "ONNX Runtime", "NumPy")


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


def measure(number: int, rounds: int, threads: int) -> dict[str, Any]:
    """Measure workload `number`: medians of interleaved rounds, for each library its faster number of threads."""
    work = WORKLOADS[number]
    seconds: dict[tuple[str, int], list[float]] = {}
    errors = {}
    with workers(["fnnet", *PEERS, "peak"], threads) as team:
        able = []
        for worker in team:
            worker.send({"work": number, "count": COUNTS[work.kind]})
        for worker in team:
            answer = worker.answer()
            if answer.get("able"):
                able.append(worker)
            elif "error" in answer:
                errors[worker.name] = answer["error"]
        for turn in range(rounds):
            if turn == 1:
                able = _in_the_race(able, seconds)
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
    row = _row(work, ours, {name: value for name, value in best.items() if name != "fnnet"})
    gflops = work.gflop(1 if work.kind == "one" else COUNTS[work.kind]) / ours
    row |= {"fnnet, 1 thread": medians["fnnet", 1], "gflops": gflops, "peak_gflops": peak, "errors": errors}
    return row


def _in_the_race(team: list[Worker], seconds: dict[tuple[str, int], list[float]]) -> list[Worker]:
    """Return the workers that may still be the fastest.

    A library that took twice as long as another in the first round keeps that figure: the ratio is to the fastest one.
    """
    first = {key: taken[0] for key, taken in seconds.items()}
    fastest = min((value for (name, _), value in first.items() if name not in ("fnnet", "peak")), default=0.0)
    return [
        worker
        for worker in team
        if worker.name in ("fnnet", "peak") or first.get((worker.name, worker.threads), 0.0) < 2 * fastest
    ]


def _row(work: Workload, ours: float, peers: dict[str, float]) -> dict[str, Any]:
    fastest = min(peers, key=lambda name: peers[name]) if peers else None
    ratio = peers[fastest] / ours if fastest else None
    return {"work": work.name, "fnnet": ours, "peers": peers, "fastest": fastest, "ratio": ratio, "target": work.target}


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


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    heads = ["work", "fnnet", *PEERS, "fnnet is faster by", "target"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        work = next(work for work in WORKLOADS if work.name == row["work"])
        cells = [_amount(work, row["fnnet"])]
        cells += [_amount(work, row["peers"][peer]) if peer in row["peers"] else "" for peer in PEERS]
        ratio = f"{row['ratio']:.2f}" if row["ratio"] else ""
        lines.append("| " + " | ".join([row["work"], *cells, f"**{ratio}**", f"{row['target']:g}"]) + " |")
    return "\n".join(lines) + "\n"


def _amount(work: Workload, value: float) -> str:
    return f"{value:.0f} MiB" if work.kind == "memory" else time_text(value)


def section(results: dict[str, Any]) -> str:
    """Return the README's text between the two marks."""
    machine_line = (
        f"{results['cpu']}, {results['threads']} threads; peak {results['peak_gflops']:.0f} GFLOP/s; "
        + ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    )
    return f"\n{table(results['rows'])}\n{machine_line}. Written by `python -m bench.peers`.\n\n"


def check(readme: str) -> list[str]:
    """Return how the README's table differs from docs/peers.json, and its rows from this program's."""
    if BEGIN not in readme or END not in readme:
        return ["the README has no table of bench.peers"]
    inside = readme.split(BEGIN)[1].split(END, maxsplit=1)[0]
    results = json.loads(RESULTS.read_text())
    found, wanted = [row["work"] for row in results["rows"]], [work.name for work in WORKLOADS]
    if found != wanted:
        return [f"the program has other rows: {sorted({*found} ^ {*wanted})}"]
    return [] if inside == section(results) else ["the README's table is not that of docs/peers.json"]


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds; the table has their medians.")
@click.option("--only", default="", help="Only workloads whose names contain this; nothing is written.")
@click.option("--merge", is_flag=True, help="With --only: replace their rows, if machine and libraries are the same.")
@click.option("--check", "only_check", is_flag=True, help="Only compare the README's table.")
@click.option("--write", "only_write", is_flag=True, help="Only write the README's table from the JSON.")
@click.option("--out", default=str(RESULTS), show_default=True, help="The JSON file.")
def main(rounds: int, only: str, merge: bool, only_check: bool, only_write: bool, out: str) -> None:
    """Compare fnnet with other libraries."""
    if only_check:
        faults = check(README.read_text())
        for fault in faults:
            click.echo(fault, err=True)
        sys.exit(bool(faults))
    if only_write:
        rewrite(README, BEGIN, section(json.loads(RESULTS.read_text())), END)
        return
    threads = available_threads()
    results = {"cpu": cpu_name(), "threads": threads, "rounds": rounds, "versions": versions()}
    if merge and not Path(out).exists():
        raise click.UsageError(f"--merge needs {out}: measure everything first")
    before = json.loads(Path(out).read_text()) if merge else None
    if before and any(before[key] != value for key, value in results.items()):
        raise click.UsageError(
            f"{out} was measured on another machine, or with other libraries or rounds: measure everything"
        )
    rows = []
    for number, work in enumerate(WORKLOADS):
        if work.kind in COUNTS and only in work.name:
            row = measure(number, rounds, threads)
            rows.append(row)
            _say(work, row)
    if only in "program":
        for row in measure_programs(rounds):
            rows.append(row)
            _say(next(work for work in WORKLOADS if work.name == row["work"]), row)
    if before:
        fresh = {row["work"]: row for row in rows}
        rows = [fresh.get(row["work"], row) for row in before["rows"]]
    elif only:
        return
    peaks = [row["peak_gflops"] for row in rows if "peak_gflops" in row]
    results |= {"peak_gflops": max(peaks), "rows": rows}
    Path(out).write_text(json.dumps(results, indent=1) + "\n")
    if Path(out).resolve() == RESULTS:
        rewrite(README, BEGIN, section(results), END)


def _say(work: Workload, row: dict[str, Any]) -> None:
    peers = ", ".join(f"{name} {_amount(work, value)}" for name, value in sorted(row["peers"].items()))
    share = f", {row['gflops']:.0f} of {row['peak_gflops']:.0f} GFLOP/s" if "gflops" in row else ""
    ratio = (
        "no peer" if row["ratio"] is None else f"{row['ratio']:.2f} times {row['fastest']} (target {row['target']:g})"
    )
    click.echo(f"{work.name}: {_amount(work, row['fnnet'])}{share}; {ratio}; {peers} {row.get('errors') or ''}")


if __name__ == "__main__":
    main()
