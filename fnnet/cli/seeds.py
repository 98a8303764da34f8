"""Seeds of many networks: how they are given, what they exclude, and the files of their models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fnnet.errors import UsageError
from fnnet.limits import MOST_NETWORKS, whole_number


class Seeds(click.ParamType):  # type: ignore[type-arg]
    """Seeds, each once: `0-31`, or `3,5,8`."""

    name = "A-B|A,B,..."

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int, ...]:
        """Return the seeds."""
        if isinstance(value, tuple):
            return value
        seeds: list[int] = []
        for part in value.split(","):
            ends = [whole_number(end) for end in part.split("-")]
            if len(ends) > 2 or not all(end is not None and 0 <= end < 2**64 for end in ends):
                self.fail(f"expected seeds such as 0-31 or 3,5,8, found {value!r}", param, context)
            first, last = ends[0] or 0, ends[-1] or 0
            if not 1 <= last - first + 1 <= MOST_NETWORKS - len(seeds):
                expected = f"expected 1 to {MOST_NETWORKS:,} seeds, the lower first"
                self.fail(f"{expected}, found {value!r}", param, context)
            seeds += range(first, last + 1)
        if len(set(seeds)) < len(seeds):
            self.fail(f"expected each seed once, found {value!r}", param, context)
        return tuple(seeds)


def seeds_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make --seeds and --init-seeds."""
    own = "Train a network for each seed, each with an order of the images of its own, one on each thread."
    alike = "Train a network for each seed of initial weights; all see the batches of --seed, read once for all."
    return click.option("--init-seeds", type=Seeds(), help=alike)(
        click.option("--seeds", type=Seeds(), help=own)(command)
    )


def seeds_of(options: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the seeds of the networks to train, none for a single one; UsageError for what does not go with them."""
    name = "seeds" if options["seeds"] else "init_seeds"
    if not options[name]:
        return ()
    option = f"--{name.replace('_', '-')}"
    if options["seeds"] and options["init_seeds"]:
        raise UsageError("cannot be combined with --init-seeds", where=option, expected="one of them", found="both")
    context = click.get_current_context(silent=True)
    if options["seeds"] and context and context.get_parameter_source("seed") is not ParameterSource.DEFAULT:
        raise UsageError("has no effect with --seeds", where="--seed", expected="--init-seeds", found=options["seed"])
    for other in ("run_dir", "resume", "plot"):
        if options[other]:
            fix = f"train one network with --seed {options[name][0]}, or leave --{other.replace('_', '-')} out"
            problem, expected = f"keeps no run of many networks: {option}", "one network"
            raise UsageError(
                problem, where=f"--{other.replace('_', '-')}", expected=expected, found=options[other], fix=fix
            )
    seeds: tuple[int, ...] = options[name]
    return seeds


def model_files(out: str, seeds: tuple[int, ...]) -> list[str]:
    """Return the files of the models of many networks: `model-3.safetensors` for seed 3."""
    path = Path(out)
    return [str(path.with_name(f"{path.stem}-{seed}{path.suffix}")) for seed in seeds]
