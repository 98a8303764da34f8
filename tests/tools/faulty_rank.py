"""The command line as one rank that fails: `python -m mpi4py faulty_rank.py HOW RANK EXCHANGE FILE ARGUMENTS...`.

At that exchange of gradients, counted from 1, the rank writes FILE and then is killed, stopped and so on.
"""

import os
import signal
import sys
import time
from pathlib import Path

from fnnet import cli
from fnnet.training.distributed import ranks


def hang():
    time.sleep(1000)


def spin():
    while True:
        pass


def leave(code):
    os._exit(code)


def kill(number):
    os.kill(os.getpid(), number)


def fail(error):
    raise error


FAULTS = {
    "kill": lambda: kill(signal.SIGKILL),
    "segmentation fault": lambda: kill(signal.SIGSEGV),
    "stop": lambda: kill(signal.SIGSTOP),
    "hang": hang,
    "loop": spin,
    "exit 0": lambda: leave(0),
    "exit 3": lambda: leave(3),
    "sys.exit(0)": lambda: sys.exit(0),
    "raise": lambda: fail(ValueError("a fault")),
    "out of memory": lambda: fail(MemoryError()),
}
SIGNALS = {"SIGINT": lambda: kill(signal.SIGINT), "SIGTERM": lambda: kill(signal.SIGTERM)}
"""What stops a training, whichever rank it comes to: no faults."""


def main():
    how, rank, exchange, mark = sys.argv[1:5]
    sys.argv[1:] = sys.argv[5:]
    real, seen = ranks.MpiRanks.total, []

    def total(self, parts, shards, bits=32):
        seen.append(None)
        if (self.rank, len(seen)) == (int(rank), int(exchange)):
            Path(mark).touch()
            (FAULTS | SIGNALS)[how]()
        return real(self, parts, shards, bits)

    ranks.MpiRanks.total = total
    cli.launch()


if __name__ == "__main__":
    main()
