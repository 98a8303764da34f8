"""Ranks that are threads of this process: what MPI's do, where there is no MPI."""

import threading
from functools import partial

from fnnet.core.shards import Ranks, additions, cuts, rounded, subtrees


class ThreadRanks(Ranks):
    """One of the ranks that `run` makes."""

    def __init__(self, rank, slots, barrier):
        self.rank, self.size, self._slots, self._barrier = rank, len(slots), slots, barrier

    def gather(self, value):
        """Put the value beside those of the others, and take them all."""
        self._slots[self.rank] = value
        self._barrier.wait()
        found = list(self._slots)
        self._barrier.wait()
        return found

    def total(self, parts, shards, bits=32):
        """Add up what all ranks have, each for itself."""
        places, found = {}, {}
        for own, given in zip(cuts(shards, self.size), self.gather([part.copy() for part in parts]), strict=True):
            largest = subtrees(own, shards)
            places |= largest
            found |= dict(zip(largest, given, strict=True))
        for left, right in additions(places, shards):
            found[left] = rounded(found[left] + found[right], bits)
        assert places == {0: shards}
        return found[0]

    def of_first(self, make):
        """Let the first make it."""
        made = None
        if self.rank == 0:
            try:
                made = make(), None
            except Exception as error:
                made = None, error
        value, error = self.gather(made)[0]
        if error:
            raise error
        return value


def run(size, work):
    """Return what `work(ranks)` returns, or raises, in each of `size` ranks."""
    slots, barrier = [None] * size, threading.Barrier(size, timeout=20)
    found = [None] * size

    def one(rank):
        try:
            found[rank] = work(ThreadRanks(rank, slots, barrier))
        except Exception as error:
            found[rank] = error

    threads = [threading.Thread(target=partial(one, rank)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
