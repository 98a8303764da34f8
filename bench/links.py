"""Two ranks on links of other rates, between network namespaces of this machine: `python -m bench.links`, as root.

Each rank runs in a network namespace of its own, and sees the other through a pair of virtual Ethernet devices whose
rate tc's token bucket filter holds. Namespaces of host names make them two machines for MPI, and so for fnnet, which
then exchanges messages; UCX_TLS keeps MPICH from the memory that they could still share. How much went over the link
is counted: a rank that goes around it is an error. All is taken away at the end, also of a program that is stopped.

FNNET_DATA=... python -m bench.links                 an epoch on each link, beside the model's; docs/scaling-model.*
FNNET_DATA=... python -m bench.links --rate 1gbit    on this link alone; nothing is written
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from bench import scaling_report
from bench.common import ROOT, time_text
from bench.scaling import MPIEXEC, Found, Way, program_of
from bench.scaling_measure import SIZES
from bench.scaling_model import TREE, Link, epoch, fit, headers
from bench.scaling_words import error_text

ADDRESSES: Final = ("10.213.77.1", "10.213.77.2")
DEVICE: Final = "fnnet0"
MTU: Final = 9000
"""Of the devices, so that the machine has fewer packets to move than by the usual 1,500."""
RATES: Final = ("none", "10gbit", "1gbit", "100mbit")
"""As tc has them; without one, the link is as fast as the machine moves its bytes."""
WORKS: Final = (((128,), 512), ((800,), 2048))
UNITS: Final = {"mbit": 1e6, "gbit": 1e9}
WORD: Final = "fnnet-links"
LAUNCHER: Final = """#!/bin/sh
# How mpiexec starts a process on a host: in the namespace of its address.
while [ "${1#-}" != "$1" ]; do shift; done
host=$1
shift
exec ip netns exec "NAME-${host##*.}" unshare --uts sh -c "hostname $host; exec $*"
"""


def missing() -> str:
    """Return what this machine lacks for links between namespaces; "" for nothing."""
    if not hasattr(os, "geteuid") or os.geteuid():
        return "needs root"
    lacking = [name for name in ("ip", "tc", "unshare", "hostname") if not shutil.which(name)]
    if lacking:
        return f"needs {' and '.join(lacking)}: apt-get install iproute2 util-linux hostname"
    if not MPIEXEC or not find_spec("mpi4py"):
        return "needs mpiexec and mpi4py: pip install 'fnnet[mpi]'"
    done = subprocess.run(["unshare", "--net", "--uts", "true"], capture_output=True, text=True, check=False)
    return f"namespaces are not allowed here: {done.stderr.strip()}" if done.returncode else ""


def bits_of(rate: str) -> float:
    """Return the bits in a second of a rate as tc has it.

    >>> bits_of("100mbit")
    100000000.0
    """
    number, unit = rate[:-4], rate[-4:]
    if unit not in UNITS or not number.isdecimal() or not int(number):
        raise click.BadParameter(f"{rate!r}; expected {' or '.join(RATES)}, or another number of mbit or gbit")
    return int(number) * UNITS[unit]


def link_of(rate: str, plain: Link) -> Link:
    """Return the link of a rate: `plain`, the one without, but no faster than the rate."""
    if rate == "none":
        return plain._replace(name="as fast as the machine")
    return Link(rate, plain.alpha, max(plain.beta, 8 * headers(MTU) / bits_of(rate)))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def linked(rate: str) -> Iterator[Links]:
    """Context manager: two namespaces with a link of this rate, which are gone behind it."""
    _sweep()
    name = f"{WORD}-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        links = Links(name, Path(folder))
        try:
            links.make(rate)
            yield links
        finally:
            for number in (1, 2):
                _drop(f"{name}-{number}")


def _drop(name: str) -> None:
    """End the processes in a namespace, which this program started, and remove it with its end of the link."""
    inside = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    for process in inside.stdout.split():
        with contextlib.suppress(OSError):
            os.kill(int(process), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _sweep() -> None:
    """Remove namespaces that a killed program of this kind left."""
    for line in _run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(f"{WORD}-") and not Path("/proc", name.split("-")[2]).exists():
            _drop(name)


class Links:
    """Two namespaces, NAME-1 and NAME-2, and how ranks are started in them."""

    def __init__(self, name: str, folder: Path) -> None:
        self._names = [f"{name}-{number}" for number in (1, 2)]
        self._launcher = folder / "launcher"
        self._launcher.write_text(LAUNCHER.replace("NAME", name))
        self._launcher.chmod(0o755)

    def make(self, rate: str) -> None:
        """Make the namespaces and the link."""
        one, other = self._names
        for name in self._names:
            _run("ip", "netns", "add", name)
        peer = ("peer", "name", DEVICE, "netns", other)
        _run("ip", "-n", one, "link", "add", DEVICE, "mtu", str(MTU), "type", "veth", *peer)
        for name, address in zip(self._names, ADDRESSES, strict=True):
            _run("ip", "-n", name, "addr", "add", f"{address}/30", "dev", DEVICE)
            for device in ("lo", DEVICE):
                _run("ip", "-n", name, "link", "set", device, "mtu", str(MTU if device == DEVICE else 65536), "up")
            if rate != "none":
                # What may pass at once is what passes in 0.1 ms, but not less than two packets.
                burst = max(2 * MTU + 1000, int(bits_of(rate) * 1e-4 / 8))
                shape = ("rate", rate, "burst", str(burst), "limit", "64mb")
                _run("tc", "-n", name, "qdisc", "add", "dev", DEVICE, "root", "tbf", *shape)
        # The system takes up to a second to note that a link is up, and MPICH's UCX leaves out one that is not:
        # "Destination is unreachable", in a third of the runs.
        last = time.monotonic() + 10
        while any(self._device(name)["operstate"] != "UP" for name in self._names):
            if time.monotonic() > last:
                sys.exit(f"a link between namespaces: {DEVICE} is not up after 10 seconds")
            time.sleep(0.05)

    def _device(self, name: str) -> dict[str, Any]:
        (found,) = json.loads(_run("ip", "-n", name, "-s", "-j", "link", "show", "dev", DEVICE))
        device: dict[str, Any] = found
        return device

    def sent(self) -> int:
        """Return the bytes that have left the first namespace."""
        return int(self._device(self._names[0])["stats64"]["tx"]["bytes"])

    def run(self, program: Sequence[str]) -> Any:
        """Return what a program prints in the first of two ranks, one in each namespace."""
        assert MPIEXEC
        start = [MPIEXEC, "-launcher", "ssh", "-launcher-exec", str(self._launcher), "-localhost", ADDRESSES[0]]
        start += ["-hosts", ",".join(ADDRESSES), "-n", "2", *program]
        named = ["unshare", "--uts", "sh", "-c", f'hostname {ADDRESSES[0]}; exec "$@"', "sh", *start]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "UCX_TLS": "tcp,self", "UCX_NET_DEVICES": DEVICE}
        command = ["ip", "netns", "exec", self._names[0], *named]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"two ranks on a link: exit code {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)


def messages(rate: str, sizes: Sequence[int] = SIZES, seconds: float = 0.2) -> list[tuple[int, float]]:
    """Return (bytes, seconds) of messages on a link, as `scaling_measure.messages`."""
    task = ["-m", "bench.scaling_measure", "messages", json.dumps([sizes, seconds])]
    with linked(rate) as links:
        found: list[tuple[int, float]] = links.run([sys.executable, "-m", "mpi4py", *task])
        check_sent(links.sent(), sum(sizes))
    return found


def trained(rate: str, hidden: tuple[int, ...], batch: int, least: int) -> Found:
    """Return what two ranks on a link find, of whose messages at least so many bytes have to go over it."""
    with linked(rate) as links:
        found = Found(*links.run(program_of(hidden, batch, Way(2, 1, 8))))
        check_sent(links.sent(), least)
    return found


def check_sent(sent: int, least: int) -> None:
    """End the program if ranks have gone around the link: their times would say nothing of it."""
    if sent < least:
        sys.exit(f"the ranks have gone around the link: {sent:,} bytes on it; expected at least {least:,}")


def _stop(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


@click.command()
@click.option("--rate", "rates", multiple=True, help="Only this rate, as tc has it; may be given several times.")
@click.option("--turns", default=3, show_default=True, type=click.IntRange(min=1), help="The least of these counts.")
@click.option(
    "--once", is_flag=True, help="Measure messages of two sizes on a link of 1 Gb/s alone; nothing is written."
)
def main(rates: tuple[str, ...], turns: int, once: bool) -> None:
    """Measure two ranks on links of other rates."""
    if lacks := missing():
        print(f"links: skipped: {lacks}")
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    if once:
        for size, seconds in messages("1gbit", (8, 1_000_000), 0.02):
            print(f"{size:>9,} bytes{time_text(seconds):>10}")
        return
    for rate in rates:
        if rate != "none":
            bits_of(rate)
    results = scaling_report.load()
    if not results:
        sys.exit("docs/scaling-model.json is missing: python -m bench.scaling --model")
    machine = scaling_report.machine_of(results)
    works = {(work.hidden, work.batch): work for work in scaling_report.works_of(results)}
    plain = fit(messages("none"), "none")
    print(f"links; messages {time_text(plain.alpha)} + {8e-9 / plain.beta:.3g} Gb/s without a rate, {turns} turns")
    print(f"{'work':28}{'rate':24}{'predicted':>10}{'measured':>10}{'error':>8}")
    rows = []
    for work in (works[each] for each in WORKS):
        for rate in rates or RATES:
            link = link_of(rate, plain)
            found = [trained(rate, work.hidden, work.batch, work.steps * work.length) for _ in range(turns)]
            assert len({each.sha256 for each in found}) == 1, "other bits"
            seconds, predicted = min(each.least for each in found), epoch(work, machine, 2, TREE, link)
            error = error_text(predicted, seconds)
            print(
                f"{work.name:28}{link.name:24}{time_text(predicted):>10}{time_text(seconds):>10}{error:>8}", flush=True
            )
            rows.append({**link._asdict(), "hidden": work.hidden, "batch": work.batch, "seconds": seconds})
    if not rates:
        scaling_report.publish_part("links", {"rows": rows})


if __name__ == "__main__":
    main()
