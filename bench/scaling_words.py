"""What the figures of the model say, in sentences that follow from them, and the part of docs/scale.md made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any, Final

from bench.common import markdown_table, time_text
from bench.scaling_model import (
    NETWORKS,
    RING,
    TREE,
    WINDOW,
    Link,
    Machine,
    Work,
    best,
    by_messages,
    epoch,
    in_window,
)

LESS: Final = 1.05
"""One of twice as many ranks has half of the work: it takes at most this part of the time."""
LARGE: Final = 512 * 1024
"""Bytes of a large gradient."""
SLOW: Final = 1e9
"""Bits a second of a slow link."""
IMAGES: Final = 10**10
EPOCH: Final = 60_000
"""Images of MNIST."""
BYTES: Final = 7.84e12
"""Those of the images."""
COST: Final = 0.05
"""Dollars of a core hour."""
ON_PAPER: Final = (128,), 2048, 64
"""The hidden units, the batch and the ranks that docs/scale.md has on paper."""


def too_long(seconds: Mapping[int, float], two: Mapping[str, float]) -> dict[int, str]:
    """Return the numbers of ranks one of which took longer to compute than it can have, and what shows it.

    seconds   one of some ranks computes, by their number.
    two       an epoch of two ranks took, exchanges and all.

    >>> too_long({1: 8.0, 2: 4.1, 4: 4.2, 8: 4.5, 16: 1.0}, {"tree": 4.0, "window": 3.9})
    {8: 'one of 4, which has twice the work'}
    >>> too_long({1: 8.0, 2: 4.1}, {"tree": 3.8})
    {2: 'an epoch of two, exchanges and all'}
    """
    found = {
        size: f"one of {size // 2:,}, which has twice the work"
        for size, each in seconds.items()
        if size // 2 in seconds and each > LESS * seconds[size // 2]
    }
    if two and seconds.get(2, 0) > LESS * min(two.values()):
        found[2] = "an epoch of two, exchanges and all"
    return found


def span(values: Iterable[float], form: str = "{:,}") -> str:
    """Return the least and the largest of some figures in words.

    >>> span([4, 2, 64]), span([8, 8])
    ('2 to 64', '8')
    """
    low, *_, high = [form.format(each) for each in sorted(values)] * 2
    return low if low == high else f"{low} to {high}"


def exchanges(results: dict[str, Any], machine: Machine) -> list[tuple[int, str, float, float]]:
    """Return (bytes, how, predicted, measured) of each exchange of two ranks that was measured."""
    models: dict[str, Callable[[int], float]] = {
        "window": lambda length: in_window(machine, 2, length),
        "messages": lambda length: by_messages(machine.message, machine, 2, 2, length),
    }
    names = {"window": "shared memory", "messages": "messages"}
    found = [
        (length, name, models[how](length), seconds)
        for how, name in names.items()
        for length, seconds in results["exchanges"][how]
    ]
    return sorted(found, key=lambda row: row[:2])


def exchange_table(results: dict[str, Any], machine: Machine) -> str:
    """Return the exchanges of two ranks as a table."""
    rows = [
        [f"{length:,}", name, *map(time_text, (model, seconds)), error_text(model, seconds)]
        for length, name, model, seconds in exchanges(results, machine)
    ]
    return markdown_table(["bytes that two ranks here add up", "exchange", "predicted", "measured", "error"], rows)


def error_text(predicted: float, found: float) -> str:
    """Return how far a prediction is off, in percent of what was found."""
    return f"{100 * (predicted / found - 1):+.0f} %"


def sentences(results: dict[str, Any], works: Sequence[Work], machine: Machine) -> str:
    """Return what the figures say, a line of a list each."""
    slow, most = NETWORKS[0], max(works[0].computing)
    fastest = [(work, link, best(work, machine, TREE, link)) for work in works for link in NETWORKS]
    lost = sum(epoch(work, machine, most, TREE, slow) > work.computing[1] for work in works)
    on_slow = span(ranks for _, link, ranks in fastest if link == slow)
    batches = ", ".join(
        f"with batches of {batch:,} on {span(ranks for work, _, ranks in fastest if work.batch == batch)}"
        for batch in dict.fromkeys(work.batch for work in works)
    )
    shared = span(best(work, machine, WINDOW) for work in works)
    rings = span(
        (
            epoch(work, machine, ranks, RING, link) / epoch(work, machine, ranks, TREE, link)
            for work, link, ranks in fastest
        ),
        "{:.2f}",
    )
    latency = (
        "The latency of messages breaks first. Each rank sends 2 (R - 1) messages a step where the gradient is large: "
        f"at {1e6 * slow.alpha:g} us each an epoch on {slow.name} is fastest on {on_slow} ranks, and on {most:,} it "
        f"takes longer than on one for {lost} of {len(works)} works."
    )
    batch = (
        f"On networks an epoch is fastest {batches} ranks; in shared memory, if there were as many cores, on {shared}. "
        "A larger batch has fewer steps, and the bytes and messages of a step stay the same."
    )
    ring = (
        f"With a ring that adds on its way an epoch would take {rings} times as long there: the price of the same bits "
        "for any number of ranks."
    )
    found = [latency, batch, ring]
    found += [*_of_links(results, works, machine), *_errors(results, works, machine)]
    return "".join(f"{fill(each, 118, initial_indent='- ', subsequent_indent='  ')}\n" for each in found)


def _of_links(results: dict[str, Any], works: Sequence[Work], machine: Machine) -> Iterator[str]:
    """Say how much of an epoch on slow links is the exchange."""
    shares = []
    for row in results.get("links", {"rows": []})["rows"]:
        link = Link(row["name"], row["alpha"], row["beta"])
        work = next(each for each in works if (each.hidden, each.batch) == (tuple(row["hidden"]), row["batch"]))
        if link.beta >= 8 / SLOW:
            shares.append(100 * (1 - work.computing[2] / epoch(work, machine, 2, TREE, link)))
    if shares:
        yield (
            f"Of an epoch of two ranks on links of {SLOW / 1e9:g} Gb/s and less the exchange is "
            f"{span(shares, '{:.0f}')} %, by the model; overlap could hide at most what is computed."
        )


def _errors(results: dict[str, Any], works: Sequence[Work], machine: Machine) -> Iterator[str]:
    """Say how far the model is off, and where figures contradict one another."""
    rows = exchanges(results, machine)

    def times(how: str, large: bool) -> str:
        some = (took / model for length, name, model, took in rows if name == how and (length >= LARGE) == large)
        return span(some, "{:.1f}")

    yield (
        f"Exchanges of {LARGE // 1024} KiB and more by messages took {times('messages', True)} times what the model "
        f"predicts, smaller ones {times('messages', False)} times; in shared memory large ones took "
        f"{times('shared memory', True)} times as long, small ones {times('shared memory', False)} times."
    )
    errors = [
        100 * (epoch(work, machine, 2, how) / seconds - 1)
        for work, each in zip(works, results["works"], strict=True)
        for how, seconds in each["two"].items()
    ]
    if errors:
        yield f"The epochs of two ranks on this machine differ from what is predicted by {span(errors, '{:+.0f}')} %."
    shares = [
        work.computing[2 * size] / seconds
        for work in works
        for size, seconds in work.computing.items()
        if 2 * size in work.computing
    ]
    yield (
        f"Computing alone takes one of twice as many ranks {span(shares, '{:.2f}')} times as long: not always half as "
        "long, but less where what it works on then fits in its caches, and more where work of each step is left."
    )
    for work, each in zip(works, results["works"], strict=True):
        for ranks, than in too_long(work.computing, each["two"]).items():
            yield f"Not to be trusted: {work.name}, where one of {ranks:,} ranks computed longer than {than}."


def on_paper(works: Sequence[Work], machine: Machine) -> str:
    """Return the table of docs/scale.md of a training on a stream of IMAGES images."""
    hidden, batch, ranks = ON_PAPER
    work = next(each for each in works if (each.hidden, each.batch) == (hidden, batch))
    slow, quick = (NETWORKS[at] for at in (0, -1))
    times = {link.name: epoch(work, machine, ranks, TREE, link) for link in (slow, quick)}
    hours = {name: IMAGES / EPOCH * seconds / 3600 for name, seconds in times.items()}
    steps, doublings, part = IMAGES / batch, ranks.bit_length() - 1, f"a {ranks}th"
    messages = f"{ranks - 1} of {part} of {work.length / 1000:,.0f} KB a step, and {doublings} of {part} to half of it"
    reading = BYTES * slow.beta / 3600
    longest = max(reading, hours[quick.name])
    sent = 2 * (ranks - 1) / ranks * work.length * steps / 1e12
    rows = [
        ["steps", f"10^10 / {batch:,}", f"{steps / 1e6:.1f} million"],
        [
            f"time on {quick.name}",
            f"10^10 / {EPOCH:,} epochs of MNIST, {time_text(times[quick.name])} each",
            _time(hours[quick.name]),
        ],
        [f"time on {slow.name}", f"{time_text(times[slow.name])} each", _time(hours[slow.name])],
        ["messages of a rank", messages, f"{(ranks - 1 + doublings) * steps / 1e8:.1f} x 10^8"],
        ["bytes sent by a rank", "twice the gradient a step", f"{sent:.0f} TB"],
        ["the same with `--message-bits 16`", "half", f"{sent / 2:.0f} TB"],
        ["files of a stream", "64 MB each", "120,000, and an index of 170 MB"],
        ["bytes read", "each rank reads each window, all of it", f"{ranks} x 7.84 TB = {ranks * 7.84:.0f} TB"],
        ["time to read them", f"at {slow.name} for each machine, while it computes", _time(reading)],
        ["memory of a rank", "two windows of 65,536 images, the network, the index", "0.5 GB"],
        [
            f"money, at {COST:g} dollars a core hour",
            f"{ranks} cores for {_time(longest)}",
            f"{ranks * longest * COST:.1f} dollars",
        ],
    ]
    return markdown_table(["what", "how it is computed", "result"], rows)


def _time(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
