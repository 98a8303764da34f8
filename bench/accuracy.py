"""Measure accuracy on MNIST's test images and the time of training: `FNNET_DATA=... python -m bench.accuracy`.

Every run is a process, `python cli.py train --jit --recipe ... --dev 0`, on all 60,000 training images. PyTorch
runs `quick` too, and `import torch` is timed as a process; the three take turns, seed by seed.

python -m bench.accuracy                     classic, quick, accurate, five seeds each (six minutes)
python -m bench.accuracy --recipe record     the record, one seed (45 minutes); other rows are kept
python -m bench.accuracy --recipe committee --run-dir runs    one seed (2 hours); stopped, the same command goes on
python -m bench.accuracy --check             check that every target is reached and that docs/recipes.md has the table
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, Final, NamedTuple

import click

from bench.accuracy_picture import draw
from bench.common import ROOT, cpu_name, rewrite, versions
from fnnet.limits import available_threads
from fnnet.training import recipes

RESULTS: Final = ROOT / "docs" / "accuracy.json"
PAGE: Final = ROOT / "docs" / "recipes.md"
PICTURE: Final = ROOT / "docs" / "accuracy.svg"
BEGIN, END = "<!-- bench.accuracy -->\n", "<!-- /bench.accuracy -->\n"
TORCH, IMPORT = "quick by PyTorch", "import torch"
ORDER: Final = ("classic", "quick", TORCH, IMPORT, "accurate", "record", "committee")
ONE_SEED: Final = ("record", "committee")
MEASURED: Final = [name for name in ORDER if name in recipes.RECIPES]


class Target(NamedTuple):
    """The mean accuracy that a recipe is to reach, and the seconds of training that no run may exceed."""

    accuracy: float
    seconds: float


TARGETS: Final = {
    "quick": Target(0.98, 1.0),
    "accurate": Target(0.9937, 120.0),
    "record": Target(0.9955, 3600.0),
    "committee": Target(0.996, 7200.0),
}


def timed(command: Sequence[str], folder: str) -> tuple[str, float]:
    """Return what a command prints, and how long its process took."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}: exit status {done.returncode}")
    return done.stdout, time.perf_counter() - began


def run_recipe(name: str, seed: int, folder: str, run_dir: str | None = None) -> dict[str, Any]:
    """Return the figures of one run of a recipe; with `run_dir` it is kept below, and goes on where it was stopped."""
    options = ["--jit", "--data", "mnist", "--recipe", name, "--seed", str(seed), "--dev", "0", "--json", "--quiet"]
    if run_dir:
        options += ["--run-dir", os.path.abspath(os.path.join(run_dir, f"{name}-{seed}")), "--resume"]
    printed, process = timed([sys.executable, str(ROOT / "cli.py"), "train", *options], folder)
    found = json.loads(printed)
    members = found.get("members", [])
    return {
        "what": name,
        "seed": seed,
        "accuracy": found["test_accuracy"],
        "seconds": found["train_seconds"],
        # That of the last process, if earlier ones were stopped, leaves out what they trained.
        "process": max(process, found["train_seconds"]),
        "sizes": found["sizes"],
        "parameters": found["parameters"],
        "epochs": (members[0] if members else found)["epochs"][-1]["epoch"],
        **({"members": len(members)} if members else {}),
    }


def run_torch(seed: int, folder: str, threads: int) -> list[dict[str, Any]]:
    """Return PyTorch's run of `quick` with its faster number of threads, and how long importing it takes."""
    best: dict[str, Any] = {}
    for count in sorted({1, threads}):
        command = [sys.executable, "-m", "bench.torch_accuracy", os.environ["FNNET_DATA"], str(seed), str(count)]
        printed, process = timed(command, folder)
        found = json.loads(printed) | {"what": TORCH, "seed": seed, "process": process, "threads": count}
        best = found if not best or found["seconds"] < best["seconds"] else best
    _, process = timed([sys.executable, "-c", "import torch"], folder)
    return [best, {"what": IMPORT, "seed": seed, "process": process}]


def measure(names: Sequence[str], seeds: int, run_dir: str | None = None) -> list[dict[str, Any]]:
    """Run these recipes with every seed."""
    threads, has_torch = available_threads(), find_spec("torch") is not None
    if "quick" in names and not has_torch:
        click.echo("no PyTorch, so no rows of it: pip install -e '.[peers]'", err=True)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        timed([sys.executable, str(ROOT / "cli.py"), "warmup"], folder)
        for name in names:
            for seed in range(1 if name in ONE_SEED else seeds):
                fresh = [run_recipe(name, seed, folder, run_dir)]
                if name == "quick" and has_torch:
                    fresh += run_torch(seed, folder, threads)
                click.echo(json.dumps(fresh))
                runs += fresh
    machine = {"cpu": cpu_name(), "threads": threads, "versions": versions()}
    return [run | {"machine": machine} for run in runs]


def merge(before: list[dict[str, Any]], fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs in the order of the table; those in `fresh` replace earlier ones of the same name."""
    names = {run["what"] for run in fresh}
    runs = [run for run in before if run["what"] not in names] + fresh
    return sorted(runs, key=lambda run: (ORDER.index(run["what"]), run["seed"]))


def by_name(runs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of each name, in the order of the table."""
    return {name: some for name in ORDER if (some := [run for run in runs if run["what"] == name])}


def reached(name: str, runs: list[dict[str, Any]]) -> bool:
    """Return True if the mean accuracy and the slowest run reach the target."""
    target = TARGETS[name]
    return mean(run["accuracy"] for run in runs) >= target.accuracy and max(_seconds(runs)) <= target.seconds


def _seconds(runs: list[dict[str, Any]]) -> list[float]:
    return [run["seconds"] for run in runs]


def table(runs: list[dict[str, Any]]) -> str:
    """Return all runs as a Markdown table, a row for each name."""
    heads = ["what", "network", "parameters", "epochs", "seeds", "test accuracy", "lowest to highest"]
    heads += ["training, s", "slowest, s", "process, s", "target", "reached"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, some in by_name(runs).items():
        first, process = some[0], f"{median(run['process'] for run in some):.2f}"
        cells = [name, "", "", "", str(len(some)), *[""] * 4, process, "", ""]
        if "accuracy" in first:
            accuracies = [run["accuracy"] for run in some]
            spread = f" ± {100 * stdev(accuracies):.2f}" if len(some) > 1 else ""
            cells[5:9] = [
                f"**{100 * mean(accuracies):.2f}**{spread} %",
                f"{100 * min(accuracies):.2f} to {100 * max(accuracies):.2f}",
                f"{median(_seconds(some)):.2f}",
                f"{max(_seconds(some)):.2f}",
            ]
        if "sizes" in first:
            members, sizes = first.get("members", 1), "-".join(map(str, first["sizes"]))
            network = sizes if members == 1 else f"{members} times {sizes}"
            cells[1:4] = [network, f"{members * first['parameters']:,}", str(first["epochs"])]
        if name in TARGETS:
            target = TARGETS[name]
            cells[10:] = [
                f"{100 * target.accuracy:.2f} %, {target.seconds:g} s",
                "yes" if reached(name, some) else "missed",
            ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def section(runs: list[dict[str, Any]]) -> str:
    """Return the text of docs/recipes.md between its two marks."""
    machines: dict[str, list[str]] = {}
    for name, some in by_name(runs).items():
        for run in some:
            found = run["machine"]
            packages = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
            names = machines.setdefault(f"{found['cpu']}, {found['threads']} threads; {packages}", [])
            names += [name] if name not in names else []
    lines = [f"{', '.join(names)}: {machine}.\n" for machine, names in machines.items()]
    return f"\n{table(runs)}\n{''.join(lines)}Written by `python -m bench.accuracy`.\n\n"


def check(runs: list[dict[str, Any]], page: str) -> list[str]:
    """Return the targets that are not reached, and how the page differs."""
    groups = by_name(runs)
    faults = [f"{name}: no runs" for name in TARGETS if name not in groups]
    faults += [f"{name}: missed" for name in TARGETS if name in groups and not reached(name, groups[name])]
    if IMPORT in groups and "quick" in groups:
        ours, theirs = (median(run["process"] for run in groups[name]) for name in ("quick", IMPORT))
        if ours > theirs:
            faults.append(f"the whole process of quick takes {ours:.2f} s, import torch {theirs:.2f} s")
    inside = page.rsplit(BEGIN, maxsplit=1)[-1].split(END, maxsplit=1)[0]
    return faults + (["docs/recipes.md has another table"] if inside != section(runs) else [])


@click.command()
@click.option("--recipe", "names", multiple=True, type=click.Choice(MEASURED), help="Only these; other rows are kept.")
@click.option(
    "--seeds", default=5, show_default=True, help="Seeds of each recipe except `record` and `committee`, of one."
)
@click.option("--run-dir", type=click.Path(), help="Folder that keeps the runs; those that were stopped go on.")
@click.option("--check", "only_check", is_flag=True, help="Only check; exit code 1 if a target is missed.")
@click.option("--draw", "only_draw", is_flag=True, help="Only write the table and the picture again.")
def main(names: tuple[str, ...], seeds: int, run_dir: str | None, only_check: bool, only_draw: bool) -> None:
    """Measure the recipes' accuracy and time."""
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if only_check:
        faults = check(before, PAGE.read_text())
        for fault in faults:
            click.echo(fault, err=True)
        sys.exit(bool(faults))
    if not only_draw:
        if not os.environ.get("FNNET_DATA"):
            raise click.ClickException("set FNNET_DATA to the folder of MNIST's four files")
        os.environ["FNNET_DATA"] = str(Path(os.environ["FNNET_DATA"]).resolve())
        before = merge(before, measure(names or ("classic", "quick", "accurate"), seeds, run_dir))
        RESULTS.write_text(json.dumps(before, indent=1) + "\n")
    rewrite(PAGE, BEGIN, section(before), END)
    draw(by_name(before), PICTURE)


if __name__ == "__main__":
    main()
