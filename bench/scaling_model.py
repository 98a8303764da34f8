"""A model of the time of an epoch on 1 to 1,024 ranks, of what `scaling_measure` measures on this machine.

A message of m bytes takes alpha + m beta seconds, in both directions at once (Hockney, Parallel Computing 20(3), 1994).
An epoch of R ranks takes computing(R) + steps exchange(R), with

    messages   what `exchange.Messages` does: each rank packs its t subtrees, sends each other rank its part of them
               (Alltoallv), adds up the part of all T subtrees, and gives its part of the sum to all (Allgatherv).
               t L copy + (R - 1)(alpha + t L/R beta) + (T - 1) L/R add + gather(L)
    window     what `exchange.SharedMemory` does, in memory that the ranks of one machine share: two barriers, and all
               vectors read once. alpha log2(R) + L beta, alpha and beta measured with two ranks.
    ring       for comparison, a ring that adds on its way, in an order that depends on R: 2 (R - 1)(alpha + L/R beta)
               + (R - 1) L/R add (Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002)

L are the bytes of the gradient. gather(L) is log2(R) alpha + (R - 1) L/R beta below 512 KiB, and from there on
(R - 1)(alpha + L/R beta): Thakur, Rabenseifner and Gropp 2005, doi:10.1177/1094342005051521, as MPICH does.

It assumes that
- a rank is one thread on a core of its own, as fast as two of this machine that compute at once; on a network it has
  a link of its own, and the switches pass all links at their full rate;
- all ranks come to an exchange at once: none waits for one that the system delayed;
- messages to several ranks go one after another. MPI sends them at once, which hides latency: with many ranks the
  model is an upper bound;
- shared memory goes on to be as fast as with two ranks, which holds as long as a machine has the cores and the caches;
- what is done once in a block of steps, a tenth of a second, costs nothing but the message with its losses;
- there are max(8, R) shards, and one batch for all ranks: 1,024 ranks have one row or none each of a batch of 512.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil, log2
from typing import Final, NamedTuple

from fnnet.core.shards import cuts, subtrees

RANKS: Final = tuple(2**power for power in range(11))
RECURSIVE, BRUCK = 512 * 1024, 80 * 1024
"""Bytes below which MPICH gathers in log2(R) messages: of powers of two, and of other numbers of ranks."""


def headers(mtu: int = 1500) -> float:
    """Return the bytes on an Ethernet link for each of a message by TCP: 1,514 carry 1,448.

    mtu   the most bytes of a packet, without the 14 of Ethernet; with the 52 of IP, TCP and its time stamps.

    >>> round(headers(), 4), round(headers(9000), 4)
    (1.0456, 1.0074)
    """
    return (mtu + 14) / (mtu - 52)


class Link(NamedTuple):
    """What a message takes: `alpha` seconds, and `beta` seconds a byte."""

    name: str
    alpha: float
    beta: float
    source: str = ""


NETWORKS: Final = (
    Link(
        "10 Gb/s", 20e-6, 8 * headers() / 10e9, "TCP by the kernel, 20 us between programs: Hurwitz and Feng, HotI 2003"
    ),
    Link(
        "25 Gb/s", 1.93e-6, 8 * headers() / 25e9, "Ethernet past the kernel, 1.93 us by MPI: Squyres, Cisco blog 2014"
    ),
    Link("100 Gb/s", 1.06e-6, 8 / 100e9, "InfiniBand, 1.06 us by MPI: QLogic OFED+ host software guide, OSU latency"),
)
"""The latencies are those of the sources, of networks of these kinds; the rates are those in the names."""
TREE, RING, WINDOW = "tree", "ring", "window"


class Machine(NamedTuple):
    """What was measured here.

    message   between two ranks, through MPI.
    window    between two ranks, in memory that they share.
    copy      seconds to copy a byte.
    add       seconds to add to a byte of a vector that of another.
    """

    message: Link
    window: Link
    copy: float
    add: float


class Work(NamedTuple):
    """An epoch.

    length      bytes of the vector that each shard gives.
    steps       in the epoch.
    computing   ranks -> seconds of one of them in an epoch, without exchanges.
    gathers     ranks -> how often losses are gathered in it.
    gathered    bytes of them, of all ranks together.
    """

    hidden: tuple[int, ...]
    batch: int
    length: int
    steps: int
    computing: dict[int, float]
    gathers: dict[int, int]
    gathered: int

    @property
    def name(self) -> str:
        """As in a table."""
        return f"784-{'-'.join(map(str, self.hidden))}-10, batch {self.batch:,}"


def fit(times: Sequence[tuple[int, float]], name: str) -> Link:
    """Return the line with the least sum of squared relative errors through (bytes, seconds), neither figure below 0.

    >>> fit([(0, 2.0), (10, 7.0), (100, 52.0)], "line")
    Link(name='line', alpha=2.0, beta=0.5, source='')
    """
    rows = [(1 / seconds, size / seconds) for size, seconds in times]
    aa, ab, bb = (sum(row[one] * row[other] for row in rows) for one, other in ((0, 0), (0, 1), (1, 1)))
    a, b = (sum(row[side] for row in rows) for side in (0, 1))
    apart = aa * bb - ab * ab
    alpha, beta = (a * bb - b * ab) / apart, (b * aa - a * ab) / apart
    if alpha < 0:
        alpha, beta = 0.0, b / bb
    if beta < 0:
        alpha, beta = a / aa, 0.0
    return Link(name, round(alpha, 15), round(beta, 18))


def shards_for(ranks: int) -> int:
    """Return the shards of a plan for as many ranks."""
    return max(8, ranks)


def gather(link: Link, ranks: int, length: float) -> float:
    """Return the seconds in which all ranks get all parts of `length` bytes, one of which each has."""
    if ranks == 1:
        return 0.0
    doubling = length < RECURSIVE and ranks & (ranks - 1) == 0
    messages = ceil(log2(ranks)) if doubling or length < BRUCK else ranks - 1
    return messages * link.alpha + (ranks - 1) / ranks * length * link.beta


@cache
def _subtrees(ranks: int, shards: int) -> tuple[int, ...]:
    """Return the number of subtrees of each rank's shards: 0.2 s for 1,024."""
    return tuple(len(subtrees(own, shards)) for own in cuts(shards, ranks))


def by_messages(link: Link, machine: Machine, ranks: int, shards: int, length: int) -> float:
    """Return the seconds of an exchange by messages; 0 for one rank, as of all functions here."""
    if ranks == 1:
        return 0.0
    counts, part = _subtrees(ranks, shards), length / ranks
    most = max(counts)
    scatter = (ranks - 1) * (link.alpha + most * part * link.beta)
    adding = most * length * machine.copy + (sum(counts) - 1) * part * machine.add
    return adding + scatter + gather(link, ranks, length)


def in_window(machine: Machine, ranks: int, length: int) -> float:
    """Return the seconds of an exchange in shared memory."""
    return machine.window.alpha * ceil(log2(ranks)) + length * machine.window.beta if ranks > 1 else 0.0


def by_ring(link: Link, machine: Machine, ranks: int, length: int) -> float:
    """Return the seconds of an exchange in a ring."""
    part = length / ranks
    return (ranks - 1) * (2 * (link.alpha + part * link.beta) + part * machine.add)


def epoch(
    work: Work, machine: Machine, ranks: int, how: str, link: Link | None = None, *, overlap: bool = False
) -> float:
    """Return the seconds of an epoch.

    link      for TREE and RING; None for messages through MPI on one machine. WINDOW has its own.
    overlap   what if exchanges took place while a rank computes: the longer of the two. It cannot bring more.
    """
    link = link or machine.message
    each = {
        TREE: lambda: by_messages(link, machine, ranks, shards_for(ranks), work.length),
        RING: lambda: by_ring(link, machine, ranks, work.length),
        WINDOW: lambda: in_window(machine, ranks, work.length),
    }[how]()
    exchanging, computing = work.steps * each, work.computing[ranks]
    marks = work.gathers[ranks] and work.gathers[ranks] * gather(link, ranks, work.gathered / work.gathers[ranks])
    return (max(exchanging, computing) if overlap else exchanging + computing) + marks


def best(work: Work, machine: Machine, how: str, link: Link | None = None) -> int:
    """Return the number of ranks with the shortest epoch."""
    return min(work.computing, key=lambda ranks: epoch(work, machine, ranks, how, link))
