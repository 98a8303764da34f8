"""What a rank does by itself: the threads that it takes, what it prints at its end, how it knows that it is one."""

import os
import platform

import pytest

import fnnet
from fnnet import cli, limits
from fnnet.cli import program, ranks
from fnnet.core.shards import Ranks
from fnnet.errors import FnnetError, UsageError


class Some(Ranks):
    """One of some ranks, which are not there."""

    def __init__(self, rank=0, size=2, neighbours=2, processors=2):
        self.rank, self.size, self.neighbours, self.processors = rank, size, neighbours, processors

    def gather(self, value):
        """Take all for this one."""
        return [value] * self.size


@pytest.fixture
def machine(monkeypatch):
    """A function that gives this process some processors, a quota and variables."""

    def make(own, quota, **variables):
        monkeypatch.setattr(limits, "processors", lambda: {*range(own)})
        monkeypatch.setattr(limits, "_quota", lambda most: min(most, quota))
        for name in limits.THREAD_LIMITS:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return make


@pytest.mark.parametrize(
    ("own", "quota", "variables", "threads"),
    [
        (32, 32, {}, 4),
        (32, 32, {"OMP_NUM_THREADS": "4"}, 4),  # it is each rank's, and not for all to share
        (32, 32, {"OMP_NUM_THREADS": "2"}, 2),
        (32, 32, {"OMP_NUM_THREADS": "16"}, 4),
        (4, 32, {}, 4),  # a rank that is bound to its processors
        (2, 32, {}, 2),
        (32, 16, {}, 2),  # the share of the control group is for all
        (32, 1.5, {}, 1),
    ],
)
def test_ranks_share_processors_and_each_has_its_own_limits(own, quota, variables, threads, machine):
    machine(own, quota, **variables)
    here = Some(size=8, neighbours=8, processors=32)
    assert ranks.threads_for(here, None) == threads
    most = max(1, int(min(32, quota)) // 8)
    assert ranks.threads_for(here, most) == most
    with pytest.raises(UsageError, match=f"--threads: too many threads; expected at most {most}, as 8 ranks share "):
        ranks.threads_for(here, most + 1)


@pytest.fixture
def printed(monkeypatch):
    lines = []
    for place in (ranks, cli.streams):
        monkeypatch.setattr(place, "print_error", lines.append)
    monkeypatch.setattr(ranks, "TELLING", 0)
    return lines


@pytest.mark.parametrize(
    ("rank", "failed", "code", "lines", "found"),
    [
        (0, None, 0, ["rank 0: the other ranks do not answer"], 1),
        (0, None, 130, [], 130),  # the word of the signal is printed
        (0, UsageError("x"), 2, [], 2),
        (1, None, 0, ["rank 1: the other ranks do not answer"], 1),
        (1, UsageError("x"), 0, ["rank 1: x"], 2),
    ],
)
def test_where_ranks_are_not_together_each_says_once_why(rank, failed, code, lines, found, printed, monkeypatch):
    monkeypatch.setattr(ranks, "_ranks", [Some(rank)])
    with pytest.raises(SystemExit) as ended:
        ranks.end(failed, code, together=False)
    assert (printed, ended.value.code) == (lines, found)


def test_the_word_of_a_signal_is_printed_before_the_others_are_waited_for(printed, monkeypatch):
    monkeypatch.setattr(ranks, "started", lambda: ranks._ranks[0])
    monkeypatch.setattr(ranks, "_ranks", [Some()])
    monkeypatch.setattr(cli, "_run", lambda *arguments, **options: ("interrupted", 130))
    monkeypatch.setattr(ranks, "give", lambda order: printed.append("waits"))
    monkeypatch.setattr(program, "failed", [])  # of the commands of other tests
    with pytest.raises(SystemExit) as ended:
        cli._run_with_ranks()
    assert (printed, ended.value.code) == (["interrupted", "waits"], 130)


HYDRA = {"PMI_SIZE": "5", "PMI_RANK": "3", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"}
SLURM = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, (1, 0, 0)),
        (HYDRA, (5, 3, 1)),
        ({**HYDRA, "PMI_FD": "0"}, (5, 3, 1)),
        ({**HYDRA, "PMI_FD": "name"}, (5, 3, 1)),
        ({**HYDRA, "PMI_FD": "closed"}, (1, 0, 0)),  # of a program that mpiexec started and that calls fnnet
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"}, (4, 3, 3)),
        (SLURM, (1, 0, 0)),  # tasks of their own
        ({**SLURM, "PMIX_RANK": "2"}, (4, 2, 0)),  # srun --mpi=pmix
        ({"PMI_SIZE": "many", "PMI_RANK": "1"}, (1, 0, 0)),
        ({"PMI_SIZE": "2"}, (2, 0, 0)),
    ],
)
def test_a_process_knows_its_launcher_by_variables_that_are_its_own(variables, found, monkeypatch):
    for name in (*(name for names in limits.LAUNCHED for name in names), "PMI_FD", "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(limits, "sys", type("sys", (), {"modules": {}}))
    closed, handle = os.pipe()
    os.close(closed)
    os.close(handle)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(closed) if value == "closed" else value)
    assert (limits.launched(), *limits.launched_as()) == found


@pytest.mark.parametrize(
    ("place", "lines"),
    [((0, 0), ["no mpi4py"]), ((2, 0), [f"rank 2 on {platform.node()}: no mpi4py"]), ((3, 1), [])],
)
def test_a_rank_that_cannot_start_says_so_once_for_its_machine(place, lines, printed, monkeypatch):
    def started():
        raise FnnetError("no mpi4py")

    monkeypatch.setattr(ranks, "started", started)
    monkeypatch.setattr(limits, "_told", lambda: iter([(4, *place)]))
    assert (cli._run_with_ranks(), printed) == (1, lines)


class Others(Some):
    """Ranks of which the last says something else."""

    def __init__(self, **other):
        super().__init__()
        self._other = other

    def gather(self, value):
        """Let the other differ."""
        name, about = value
        return [value, (name, {**about, **self._other})]


@pytest.mark.parametrize("jit", ["numpy", "numba"])
def test_what_bits_depend_on_is_compared(jit):
    kernels = fnnet.load_kernels(jit, threads=1)
    about = ranks._about(kernels)
    assert all(about.values()), about
    assert (ranks.CODE in about, ranks.BLAS in about) == (jit == "numba", jit == "numpy")
    assert ranks.load_alike(Others(), lambda: kernels) is kernels
    for what, value in about.items():
        with pytest.raises(UsageError) as raised:
            ranks.load_alike(Others(**{what: "another"}), lambda: kernels)
        assert str(raised.value).startswith(f"rank 1 on {platform.node()}: {what} differs; expected {value[:50]}")


def test_kinds_of_processors_are_told_apart_where_the_system_tells(monkeypatch, tmp_path):
    real, texts = open, {
        "x86": "processor : 0\nvendor_id : A\ncpu family : 25\nmodel : 1\nflags : fpu sse2 avx2\n\nprocessor : 1\n",
        "arm": "processor : 0\nFeatures : fp asimd sve\nCPU implementer : 0x41\nCPU part : 0xd0c\n",
    }  # fmt: skip
    found = []
    for name in (*texts, "none"):
        if name in texts:
            (tmp_path / name).write_text(texts[name])
        monkeypatch.setattr(ranks, "open", lambda path, name=name, **options: real(tmp_path / name), raising=False)
        found.append(ranks._processor())
    assert found == [("A 25 1", "avx2 sse2"), ("0x41 0xd0c", "asimd sve"), (platform.processor(), "")]


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({}, "6"),
        ({"OMP_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"}, "1"),
        ({"OPENBLAS_NUM_THREADS": "0", "OMP_NUM_THREADS": "many"}, "6"),
    ],
)
def test_the_threads_of_blas_are_known(variables, threads, machine, monkeypatch):
    for name in limits.BLAS_LIMITS:
        monkeypatch.delenv(name, raising=False)
    machine(6, 2, **variables)
    assert ranks._blas_threads() == threads
