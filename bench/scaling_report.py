"""What the model of `scaling_model` predicts for this machine, beside what two ranks take: tables and a picture.

A table of docs/scale.md follows from it, too.

docs/scaling-model.json has what was measured; `bench.links` and `bench.scaling_torch` add theirs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from bench.common import ROOT, cpu_name, markdown_table, rewrite, time_text, versions
from bench.scaling import NEEDS, Way, measure
from bench.scaling_measure import IMAGES, LENGTHS, SIZES, by_ranks, side_by_side
from bench.scaling_model import (
    NETWORKS,
    RANKS,
    RING,
    TREE,
    WINDOW,
    Link,
    Machine,
    Work,
    best,
    epoch,
    fit,
)
from bench.scaling_words import error_text, exchange_table, on_paper, sentences, too_long
from fnnet.limits import available_threads

RESULTS: Final = ROOT / "docs" / "scaling-model.json"
PAGE: Final = ROOT / "docs" / "scaling-model.md"
PICTURE: Final = ROOT / "docs" / "scaling-model.svg"
BEGIN, END = "<!-- bench.scaling -->\n", "<!-- /bench.scaling -->\n"
SHAPES: Final = ((10,), (128,), (800,))
BATCHES: Final = (512, 2048)
MANY: Final = {10: 41, 128: 25, 800: 12}
"""By the hidden units, epochs whose steps count with their least time; a third of them for each number of ranks."""
SHOWN: Final = (1, 2, 4, 8, 16, 64, 256, 1024)
AGAIN: Final = 4
"""How often figures that contradict one another are measured again, each time in more epochs."""
SCALE: Final = ROOT / "docs" / "scale.md"
MARK: Final = 9
"""Bytes of an image in what is gathered: its loss in two parts, and whether it was right."""


def run(turns: int, *, write: bool, once: bool) -> None:
    """Measure, predict, print; write JSON, page and picture unless `once`."""
    if write:
        publish(json.loads(RESULTS.read_text()))
        return
    if once:
        results = measured([(SHAPES[0], BATCHES[0])], 1, ranks=RANKS[:2], images=4096, seconds=0.02)
        click.echo(section(results))
        return
    results = measured([(hidden, batch) for hidden in SHAPES for batch in BATCHES], turns)
    save(results)
    publish(load())
    click.echo(section(load()))


def load() -> dict[str, Any]:
    """Return the results, {} if there are none."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def save(results: dict[str, Any]) -> None:
    """Write results, each in the place of that of its name."""
    RESULTS.write_text(json.dumps(load() | results, indent=1) + "\n")


def measured(
    works: Sequence[tuple[tuple[int, ...], int]], turns: int, ranks: Sequence[int] = RANKS, images: int = IMAGES,
    seconds: float = 0.2,
) -> dict[str, Any]:  # fmt: skip
    """Measure messages, exchanges and works on this machine: each figure is the least of the turns."""
    results: dict[str, Any] = {"cpu": cpu_name(), "threads": available_threads(), "versions": versions()}
    for turn in range(turns):
        click.echo(f"turn {turn + 1} of {turns}", err=True)
        found: dict[str, Any] = {
            "messages": by_ranks("messages", SIZES, seconds),
            "exchanges": by_ranks("exchanges", LENGTHS, seconds),
            "rates": least(*side_by_side("rates", 250_000, seconds)),
            "works": [_work(*work, ranks, images) for work in works],
        }
        results |= {name: least(results[name], found[name]) if turn else found[name] for name in found}
    for work in results["works"]:
        settle(work)
    return results


def settle(work: dict[str, Any]) -> None:
    """Measure again what contradicts other figures of a work: who has half of the work takes no longer.

    What is left after AGAIN times, the page says.
    """
    for time in range(1, AGAIN + 1):
        wrong = too_long({int(size): seconds for size, seconds in work["seconds"].items()}, work["two"])
        if not wrong:
            return
        named = f"784-{'-'.join(map(str, work['hidden']))}-10, batch {work['batch']:,}"
        for size, than in wrong.items():
            text = f"{named}: one of {size:,} ranks computed longer than {than}: measured again, {time} of {AGAIN}"
            click.echo(text, err=True)
        passes = (1 + time) * MANY[work["hidden"][0]] // 3
        again = _computing(work["hidden"], work["batch"], [*wrong], work["images"], passes)["seconds"]
        work["seconds"] |= {size: min(work["seconds"][size], seconds) for size, seconds in again.items()}


def _work(hidden: tuple[int, ...], batch: int, ranks: Sequence[int], images: int) -> dict[str, Any]:
    computed, two = _computing(hidden, batch, ranks, images, MANY[hidden[0]] // 3), {}
    if images == IMAGES:
        for how, sums in ((WINDOW, "tree"), (TREE, "messages")):
            two[how] = measure(how, hidden, batch, Way(2, 1, 8, sums), MANY[hidden[0]]).least
    about = {"hidden": hidden, "batch": batch, "images": images, "two": two}
    return {**computed, **about}


def _computing(hidden: Sequence[int], batch: int, ranks: Sequence[int], images: int, passes: int) -> dict[str, Any]:
    """Return what `scaling_measure.computing` does, of two processes at once."""
    one, other = side_by_side("computing", hidden, batch, ranks, images, passes)
    # Ranks wait for the slower.
    return {**one, "seconds": {size: max(each, other["seconds"][size]) for size, each in one["seconds"].items()}}


def least(one: Any, other: Any) -> Any:
    """Return the lower of the figures of two results of the same form."""
    if isinstance(one, dict):
        return {name: least(each, other[name]) for name, each in one.items()}
    if isinstance(one, (list, tuple)):
        return [least(*pair) for pair in zip(one, other, strict=True)]
    return min(one, other)


def machine_of(results: dict[str, Any]) -> Machine:
    """Return the machine that was measured: lines through the times of messages and of exchanges in shared memory."""
    rates = results["rates"]
    return Machine(
        fit(results["messages"], "messages on one machine"),
        fit(results["exchanges"]["window"], "shared memory"),
        rates["copy"],
        rates["add"],
    )


def works_of(results: dict[str, Any]) -> list[Work]:
    """Return the works that were measured."""
    return [
        Work(
            tuple(each["hidden"]),
            each["batch"],
            each["length"],
            each["steps"],
            {int(ranks): seconds for ranks, seconds in each["seconds"].items()},
            {int(ranks): count for ranks, count in each["gathers"].items()},
            each["images"] * MARK,
        )
        for each in results["works"]
    ]


def lines_of(machine: Machine) -> dict[str, Callable[[Work, int], float]]:
    """Return what is predicted: name -> the seconds of an epoch of a work on some ranks."""
    found: dict[str, Callable[[Work, int], float]] = {
        "shared memory": lambda work, ranks: epoch(work, machine, ranks, WINDOW)
    }
    for link in NETWORKS:
        found[link.name] = lambda work, ranks, link=link: epoch(work, machine, ranks, TREE, link)  # type: ignore[misc]
    return found


def _two(results: dict[str, Any], machine: Machine) -> str:
    rows = []
    for work, each in zip(works_of(results), results["works"], strict=True):
        for how, found in each["two"].items():
            name = "shared memory" if how == WINDOW else "messages"
            predicted = epoch(work, machine, 2, how)
            rows.append([work.name, name, *map(time_text, (predicted, found)), error_text(predicted, found)])
    return (
        markdown_table(["two ranks on this machine", "exchange", "predicted", "measured", "error"], rows)
        if rows
        else ""
    )


def _predictions(results: dict[str, Any], machine: Machine) -> str:
    rows = []
    for work in works_of(results):
        shown = [ranks for ranks in SHOWN if ranks in work.computing]
        for name, line in lines_of(machine).items():
            link = next((each for each in NETWORKS if each.name == name), None)
            most = best(work, machine, WINDOW if link is None else TREE, link)
            cells = [
                f"**{time_text(line(work, ranks))}**" if ranks == most else time_text(line(work, ranks))
                for ranks in shown
            ]
            ring = [time_text(epoch(work, machine, most, RING, link)) if link else ""]
            hidden = time_text(epoch(work, machine, most, WINDOW if link is None else TREE, link, overlap=True))
            rows.append([work.name, name, *cells, f"{most:,}", *ring, hidden])
    heads = ["an epoch", "between ranks", *(f"{ranks:,}" for ranks in SHOWN if ranks in works_of(results)[0].computing)]
    return markdown_table([*heads, "fastest", "there by a ring", "there with overlap"], rows)


def _links(results: dict[str, Any], machine: Machine) -> str:
    if "links" not in results:
        return ""
    works = {(work.hidden, work.batch): work for work in works_of(results)}
    rows = []
    for each in results["links"]["rows"]:
        work = works[tuple(each["hidden"]), each["batch"]]
        predicted = epoch(work, machine, 2, TREE, Link(each["name"], each["alpha"], each["beta"]))
        found = each["seconds"]
        rows.append([work.name, each["name"], *map(time_text, (predicted, found)), error_text(predicted, found)])
    text = markdown_table(["two ranks on a link", "rate", "predicted", "measured", "error"], rows)
    return f"{text}\nWritten by `python -m bench.links`.\n\n"


def _torch(results: dict[str, Any]) -> str:
    if "torch" not in results:
        return ""
    each = results["torch"]
    cells = [
        each["name"],
        *map(time_text, (each["fnnet"], each["torch"])),
        f"**{each['ratio']:.2f}**",
        f"{each['least']:g}",
    ]
    text = markdown_table(
        ["an epoch of two ranks of one thread", "fnnet", "PyTorch DDP, gloo", "ratio", "at least"], [cells]
    )
    return f"{text}\nWritten by `python -m bench.scaling_torch`.\n\n"


def section(results: dict[str, Any]) -> str:
    """Return the text of the page between the two marks."""
    machine = machine_of(results)
    links = [
        [link.name, f"{1e6 * link.alpha:.3g} us", f"{8e-9 / link.beta:.3g} Gb/s" if link.beta else "", link.source]
        for link in (machine.window, machine.message, *NETWORKS)
    ]
    for row in links[:2]:
        row[-1] = "measured"
    parts = [
        markdown_table(["link", "alpha", "1 / beta", "source"], links),
        exchange_table(results, machine),
        _two(results, machine),
        _predictions(results, machine),
    ]
    library = ", ".join(
        f"{name} {version}" for name, version in results["versions"].items() if name in ("numpy", "numba")
    )
    about = (
        f"{results['cpu']}, {results['threads']} processors; {library}. Written by `python -m bench.scaling --model`.\n"
    )
    rest = f"{about}\n{_links(results, machine)}{_torch(results)}"
    said = sentences(results, works_of(results), machine)
    return "\n" + "\n".join(filter(None, parts)) + f"\n{rest}What the figures say:\n\n{said}\n"


def publish(results: dict[str, Any]) -> None:
    """Write page and picture, and the table of docs/scale.md."""
    from bench.scaling_picture import draw

    rewrite(PAGE, BEGIN, section(results), END)
    rewrite(SCALE, BEGIN, f"\n{on_paper(works_of(results), machine_of(results))}\n", END)
    draw(works_of(results), machine_of(results), results, PICTURE)


def publish_part(name: str, found: Any) -> None:
    """Write the results of another program into the JSON and the page."""
    if not RESULTS.exists():
        sys.exit(f"{RESULTS.name} is missing: python -m bench.scaling --model ({NEEDS})")
    save({name: found})
    publish(load())
