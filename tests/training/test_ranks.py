"""Training by several ranks: the same bits as by one process with the same shards, whatever their number."""

import threading

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core.params import weights_sha256
from fnnet.core.shards import additions, cuts, leaves, merges, rows_of, subtrees, waiting
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY
from fnnet.errors import DivergedError, UsageError
from fnnet.files.runs import OtherRunError
from fnnet.training import session
from tests.tools.ranks import ThreadRanks, run

DIGITS = data.load("digits")
FEW = DIGITS._replace(train=Examples(DIGITS.train.x[:203], DIGITS.train.labels[:203]), test=None)
DEFORMED = {"shift": 1.0, "rotation": 10.0, "elastic": 1.0}
JOBS = {
    "classic": ("classic", {}),
    "quick": ("quick", {}),
    "deep": ("classic", {"hidden": (30, 12), "optimizer": "adam", "learning_rate": 0.01, "dropout": 0.2,
                         "deformation": DEFORMED, "batch_size": 50}),
    "clipped": ("classic", {"hidden": (20,), "optimizer": "momentum", "clip_norm": 0.3, "ema": 0.9, "batch_size": 37}),
    "weighted": ("classic", {"hidden": (300,), "optimizer": "lion", "learning_rate": 0.001, "activation": "gelu",
                             "label_smoothing": 0.1, "deformation": DEFORMED}),
    "messages of 16 bits": ("classic", {"hidden": (30, 12), "optimizer": "nesterov", "message_bits": 16}),
    "full batch": ("classic", {"batch_size": None, "report_every": 2}),
    "fewer rows than shards": ("classic", {"batch_size": 5, "hidden": ()}),
    "some ranks without rows": ("classic", {"batch_size": 5}),
}  # fmt: skip


def job_of(name, shards=8, epochs=2):
    recipe, settings = JOBS[name]
    weights = {"class_weights": "1=3,4=0"} if name == "weighted" else {}
    settings = {"dev": 20, "min_steps": 0, "epochs": epochs, **settings, "shards": shards}
    return session.prepare(FEW, recipe, settings, seed=5, **weights)


def outcome(job, kernels, **options):
    model, reports = session.train(job, kernels=kernels, **options)
    return weights_sha256(model.params), [report._replace(seconds=0) for report in reports]


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", JOBS)
def test_any_number_of_ranks_trains_to_the_same_bits(name, kernels):
    job, kernels = job_of(name), fnnet.load_kernels(kernels, threads=1)
    alone = outcome(job, kernels)
    for size in (2, 3, 8):
        assert run(size, lambda ranks: outcome(job, kernels, ranks=ranks)) == [alone] * size


@pytest.mark.parametrize("shards", [2, 5, 7, 31])
def test_ranks_share_any_number_of_shards(shards):
    job, kernels = job_of("deep", shards), fnnet.load_kernels("numba", threads=2)
    alone = outcome(job, kernels)
    assert run(2, lambda ranks: outcome(job, kernels, ranks=ranks)) == [alone] * 2


def test_another_order_of_additions_gives_other_bits():
    """The tests above can fail."""

    class FromLeftToRight(ThreadRanks):
        def total(self, parts, shards, bits=32):
            every = [part for given in self.gather([part.copy() for part in parts]) for part in given]
            return sum(every[1:], every[0])

    job, kernels = job_of("deep"), fnnet.load_kernels("numba", threads=1)

    def work(ranks):
        return outcome(job, kernels, ranks=FromLeftToRight(ranks.rank, ranks._slots, ranks._barrier))

    found = run(3, work)
    assert found[0] == found[1] == found[2] != outcome(job, kernels)


def test_a_rank_that_comes_to_other_weights_is_named_and_the_run_is_not_finished(tmp_path):
    class Odd(ThreadRanks):
        def total(self, parts, shards, bits=32):
            return super().total(parts, shards, bits) * (1.001 if self.rank == 1 else 1)

    job, folder = job_of("classic"), tmp_path / "run"
    found = run(
        3, lambda ranks: outcome(job, NUMPY, ranks=Odd(ranks.rank, ranks._slots, ranks._barrier), run_dir=folder)
    )
    assert len({str(each) for each in found}) == 1
    assert str(found[0]).startswith("rank 1: other weights than those of other ranks; expected SHA-256 ")
    assert "finished" not in (folder / "log.jsonl").read_text()


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize(("name", "size"), [("classic", 3), ("deep", 3), ("some ranks without rows", 8)])
def test_all_ranks_raise_the_error_of_one_that_diverges(name, size, kernels):
    job, kernels = job_of(name), fnnet.load_kernels(kernels, threads=1)
    job = job._replace(plan=job.plan._replace(learning_rate=1e30, optimizer="sgd"))
    with pytest.raises(DivergedError) as alone:
        outcome(job, kernels)
    found = run(size, lambda ranks: outcome(job, kernels, ranks=ranks))
    assert {type(each) for each in found} == {DivergedError}
    assert {each.place for each in found} == {alone.value.place}


def test_ranks_are_checked_first():
    job, kernels = job_of("classic", shards=2), fnnet.load_kernels("numba", threads=1)
    for each in run(3, lambda ranks: outcome(job, kernels, ranks=ranks)):
        assert isinstance(each, UsageError)
        assert str(each) == (
            "shards: fewer shards than ranks; expected at least 3, one for each rank, found 2; "
            "set 8, here and wherever the same bits are wanted"
        )
    job = session.prepare(FEW, "classic", {"optimizer": "lbfgs", "dev": 0, "epochs": 2})
    for each in run(2, lambda ranks: session.train(job, ranks=ranks)):
        assert "is not trained by several ranks" in str(each)


@pytest.mark.parametrize("sizes", [(1, 3), (3, 2), (2, 1)])
def test_a_run_goes_on_with_another_number_of_ranks(sizes, tmp_path):
    job, kernels = job_of("deep", epochs=4), fnnet.load_kernels("numba", threads=1)
    whole = outcome(job, kernels)[0]

    def part(ranks):
        stop = (lambda progress: "enough" if progress.epoch == 2 else None) if ranks.rank == ranks.size - 1 else None
        return outcome(job, kernels, ranks=ranks, run_dir=tmp_path / "run", on_block=stop or (lambda progress: None))

    for each in run(sizes[0], part):
        assert isinstance(each, session.StoppedError)
    rest = run(sizes[1], lambda ranks: outcome(job, kernels, ranks=ranks, run_dir=tmp_path / "run", resume=True)[0])
    assert rest == [whole] * sizes[1]


def test_a_fault_of_the_first_rank_s_folder_is_raised_in_all(tmp_path):
    job, kernels = job_of("classic"), fnnet.load_kernels("numpy")
    (tmp_path / "run").write_text("a file")
    found = run(2, lambda ranks: outcome(job, kernels, ranks=ranks, run_dir=tmp_path / "run"))
    assert str(found[0]) == str(found[1])
    assert "run" in str(found[0])


def test_a_committee_is_trained_by_ranks(tmp_path):
    job, kernels = job_of("classic")._replace(members=2), fnnet.load_kernels("numba", threads=1)
    alone = outcome(job, kernels)
    folder = tmp_path / "run"
    assert run(2, lambda ranks: outcome(job, kernels, ranks=ranks, run_dir=folder)) == [alone] * 2


@pytest.mark.parametrize("shards", [1, 2, 3, 6, 8, 13, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_shard_by_shard_the_sums_are_those_of_the_tree(shards, size):
    """A stack, to whose top each shard is added as often as `merges` says, makes the additions of the tree."""
    for own in cuts(shards, size):
        stack, made, most = [], [], 0
        for shard, count in zip(range(*own), merges(own, shards), strict=True):
            stack.append((shard, shard + 1))
            most = max(most, len(stack))
            for _ in range(count):
                (first, middle), (same, last) = stack[-2:]
                assert middle == same
                made.append((first, middle))
                stack[-2:] = [(first, last)]
        assert dict(stack) == subtrees(own, shards)
        assert sorted(made) == sorted(additions(dict(leaves(*own)), shards))
        assert most <= waiting(own, shards) <= max(1, most)


@pytest.mark.parametrize("shards", [1, 2, 3, 6, 8, 13])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_the_subtrees_of_ranks_make_the_whole_tree(shards, size):
    """Each addition once, whoever makes it, and the rows of all ranks are all rows."""
    whole, parts, left = dict(leaves(0, shards)), [], {}
    expected = sorted(additions(whole, shards))
    for own in cuts(shards, size):
        parts += additions(dict(leaves(*own)), shards)
        left |= subtrees(own, shards)
    assert sorted([*parts, *additions(left, shards)]) == expected
    assert left == whole == {0: shards}
    rows = [rows_of(100, 24, shards, own) for own in cuts(shards, size)]
    assert sorted(np.concatenate(rows).tolist()) == [*range(100)]


class OddError(Exception):
    """One that is pickled, and cannot be unpickled."""

    def __init__(self, *, text):
        super().__init__(text)


def test_errors_of_the_first_rank_arrive_as_what_they_are():
    pytest.importorskip("mpi4py")
    from fnnet.training.distributed import ranks

    given = OtherRunError("x differs", where="run", expected=1)
    given.differences = {"x": ("1", "2")}
    found = ranks._unpacked(ranks._packed(given))
    assert (type(found), str(found), dict(found.differences)) == (OtherRunError, str(given), given.differences)
    locked = ValueError("a lock")
    locked.lock = threading.Lock()
    for error in (locked, OddError(text="odd")):
        found = ranks._unpacked(ranks._packed(error))
        assert (type(found).__name__, str(found)) == (type(error).__name__, str(error))
