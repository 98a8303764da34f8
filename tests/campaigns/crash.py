"""Runs that are killed, whose disk fails, whose power goes: the campaigns, each a generator of what it tried.

Every campaign takes a folder to work in and asserts for each case that nothing saved is lost, nothing damaged is
loaded, and training goes on to the bits that it would have come to. `python -m tests.campaigns` prints how many cases.
"""

import collections
import contextlib
import functools
import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

import fnnet
from fnnet.core.state import Examples
from fnnet.errors import FnnetError
from fnnet.files.checkpoints import checkpoint_of, training_of
from fnnet.files.disk import DISK
from fnnet.files.log import read_log
from fnnet.files.model import load_model, save_model
from fnnet.files.runs import open_run
from fnnet.training import epochs
from fnnet.training.plan import Plan
from tests.conftest import fork
from tests.tools.disks import ERRORS, Fault, Kill, KilledError, Recording, after_power_loss, lay_out, told

CONFIG = {"recipe": "crash"}
SIZES, EPOCHS = (4, 3, 2), 6
PLAN = Plan(epochs=EPOCHS, batch_size=4, learning_rate=0.1, optimizer="momentum", momentum=0.9)


def examples():
    rng = np.random.default_rng(5)
    return Examples(rng.random((12, 4), np.float32), np.arange(12) % 2)


def model_of(training):
    return fnnet.Model(training.state.params, classes=("a", "b"), image_shape=(2, 2))


def digest(training):
    """Of all bits that training goes on from."""
    state, arrays = training.state, hashlib.sha256()
    for params in (state.params, *state.optimizer_state.trees):
        for layer in params.layers:
            for array in layer:
                arrays.update(np.ascontiguousarray(array))
    reports = [report._replace(seconds=0.0) for report in training.history]
    return arrays.hexdigest(), state.step, state.optimizer_state.steps, repr(reports)


@functools.cache
def reference():
    """Step -> digest, of the run that nothing disturbs."""
    start = epochs.start(fnnet.init(SIZES, 7), 7, PLAN)
    reached = [start, *epochs.epochs(start, examples(), PLAN)]
    return {training.state.step: digest(training) for training in reached}


LAST = EPOCHS * 3
OLD = fnnet.Model(fnnet.init(SIZES, 99), classes=("a", "b"), image_shape=(2, 2))


def short_run(folder, disk=DISK, tell=lambda step: None):
    """Train in `folder`/run from where it stands to the end, and save the model as `folder`/model over another one.

    tell   is called with each step once its checkpoint is saved.
    """
    with open_run(folder / "run", CONFIG, resume=True, disk=disk) as run:
        found = run.latest()
        training = training_of(found) if found else epochs.start(fnnet.init(SIZES, 7), 7, PLAN)
        if not found:
            run.log("start")
            run.save(checkpoint_of(training))
            tell(0)
        for reached in epochs.epochs(training, examples(), PLAN):
            run.log("epoch", **reached.history[-1]._asdict())
            run.save(checkpoint_of(reached))
            tell(reached.state.step)
            training = reached
        run.log("stop", reason="finished")
    save_model(folder / "model", model_of(training), disk=disk)
    tell(LAST + 1)
    return training


def check(folder, saved, on_to_the_end=True):
    """Assert that what is in `folder` is a run that had saved step `saved` or a later one; that step.

    saved   what `short_run` told last, None for nothing.
    """
    step, notices = None, []
    with open_run(folder / "run", CONFIG, resume=True, notify=notices.append) as run:
        left = os.listdir(folder / "run")
        assert not any(name.endswith(".part") for name in left), left
        found = run.latest()
        if found:
            training = training_of(found)
            step = training.state.step
            assert digest(training) == reference()[step]
            epochs = [event["epoch"] for event in read_log(folder / "run") if event["event"] == "epoch"]
            assert epochs == list(range(1, step // 3 + 1)), epochs
        assert not [notice for notice in notices if "starting from the beginning" not in notice], notices
    assert saved is None or (step is not None and step >= min(saved, LAST)), (step, saved)
    assert sum(name.startswith("step-") for name in os.listdir(folder / "run")) <= 2
    if os.path.lexists(folder / "model"):
        found = load_model(folder / "model")
        is_new = same(found, final())
        assert is_new or same(found, OLD)
        assert is_new or saved is None or saved <= LAST
    else:
        assert saved is None or saved <= LAST
    if on_to_the_end:
        assert digest(short_run(folder)) == reference()[LAST]
        assert same(load_model(folder / "model"), final())
    return step


def same(one, other):
    return all(
        np.array_equal(a, b)
        for mine, theirs in zip(one.params.layers, other.params.layers, strict=True)
        for a, b in zip(mine, theirs, strict=True)
    )


@functools.cache
def final():
    start = epochs.start(fnnet.init(SIZES, 7), 7, PLAN)
    return model_of(list(epochs.epochs(start, examples(), PLAN))[-1])


@contextlib.contextmanager
def place(base, old=True):
    """A new folder in `base`, with an old model in it."""
    folder = Path(base, "case")
    folder.mkdir()
    try:
        if old:
            save_model(folder / "model", OLD)
        yield folder
    finally:
        shutil.rmtree(folder)


# Killed at each call of the file system


def kill_at(folder, at):
    """Run until the call number `at`; what was told, and whether that call came."""
    kill, saved = Kill(at), []
    try:
        short_run(folder, kill.disk, saved.append)
    except KilledError:
        return (saved or [None])[-1], True
    finally:
        kill.bury()
    return saved[-1], False


def kills_at_calls(base, most):
    """A kill before each call of a short run, which leaves half of a write; and before each call of resuming that."""
    with place(base) as folder:
        count = calls_of(folder)
    cases = [(at, None) for at in range(1, count + 1)]
    cases += [(at, again) for at in range(1, count + 1, 5) for again in range(1, 21)]
    for at, again in spread(cases, most):
        with place(base) as folder:
            saved, _ = kill_at(folder, at)
            if again:
                told_then, _ = kill_at(folder, again)
                saved = saved if told_then is None else told_then
            check(folder, saved)
        yield at, again


def calls_of(folder):
    """How many calls a short run from where it stands makes."""
    counting = Kill()
    short_run(folder, counting.disk)
    return counting.calls


def spread(cases, most):
    """At most `most` of the cases, evenly."""
    return [cases[len(cases) * each // most] for each in range(most)] if len(cases) > most else cases


# Killed at each call of the system


def kills_at_system_calls(base, most):
    """A kill -9 at each system call by which a short run touches files, by strace."""
    cases = [(name, number) for name, count in _counted(base).items() for number in range(1, count + 1)]
    for name, number in spread(cases, most):
        with place(base) as folder:
            saved = _traced(folder, ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"])
            check(folder, saved)
        yield name, number


CALLS = (
    "openat", "open", "close", "write", "read", "pread64", "lseek", "fsync", "fdatasync", "ftruncate", "rename",
    "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "chmod", "fchmodat", "flock", "getdents64",
    "fstat", "newfstatat", "lstat", "stat", "fcntl", "ioctl",
)  # fmt: skip


def _counted(base):
    """How often a short run makes each of CALLS."""
    with place(base) as folder:
        out = Path(base, "strace")
        known = ",".join(f"?{name}" for name in CALLS)
        _traced(folder, ["-e", f"trace={known}", "-o", str(out)])
        found = collections.Counter(line.split("(")[0].split()[-1] for line in out.read_text().splitlines())
    return {name: found[name] for name in CALLS if found[name]}


def _traced(folder, options):
    """A short run in a forked process below strace; what it told."""
    ready, told_by = os.pipe()
    wait, go = os.pipe()
    pid = fork()
    if not pid:
        with contextlib.suppress(BaseException):
            os.close(go)
            os.read(wait, 1)
            short_run(folder, tell=lambda step: os.write(told_by, step.to_bytes(8, "little")))
        os._exit(0)
    os.close(told_by)
    os.close(wait)
    command = ["strace", "-f", "-p", str(pid), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as tracer:
        assert b"attached" in tracer.stderr.readline()
        os.write(go, b"g")
        os.close(go)
        os.waitpid(pid, 0)
        tracer.communicate()
    with open(ready, "rb") as pipe:
        steps = pipe.read()
    return int.from_bytes(steps[-8:], "little") if steps else None


# The disk fails


RESUMED = 60
"""The call at which the run was killed that is resumed on a failing disk."""


def disk_faults(base, most):
    """Each call of a short run, and each of resuming a killed one, fails: once or from then on, in each way."""
    with place(base) as folder:
        counts = {"run": calls_of(folder)}
    with place(base) as folder:
        kill_at(folder, RESUMED)
        counts["resume"] = calls_of(folder)
    cases = [
        (stage, kind, lasting, at)
        for stage, count in counts.items()
        for kind in (*ERRORS, "short")
        for lasting in (False, True)
        for at in range(1, count + 1)
    ]
    for stage, kind, lasting, at in spread(cases, most):
        with place(base) as folder:
            _fail_at(folder, stage, Fault(at, kind, lasting))
        yield stage, kind, lasting, at


def _fail_at(folder, stage, fault):
    saved = [kill_at(folder, RESUMED)[0]] if stage == "resume" else []
    try:
        short_run(folder, fault.disk, saved.append)
    except FnnetError as error:
        assert fault.kind != "short", "the rest should have been written"
        assert str(folder) in str(error)
    else:
        assert saved[-1] == LAST + 1
    check(folder, saved[-1] if saved else None)


# The power goes


@functools.cache
def recorded(base):
    with place(base, old=False) as folder:
        recording = Recording(folder)
        save_model(folder / "model", OLD, disk=recording.disk)
        recording.log.append(("told", None))
        short_run(folder, recording.disk, recording.mark)
        return recording.log


def power_losses(base, most, seed=0):
    """Different contents that the disk may have after the power went at some call, `most` of them."""
    log, rng, seen = recorded(base), random.Random(seed), set()
    begun = next(place for place, entry in enumerate(log) if entry == ("told", None))
    ends = range(begun, len(log) + 1)
    for tried in itertools.count():
        # A prime step goes over all the ends in an order that leaves none out.
        end = ends[tried * 7919 % len(ends)]
        state = after_power_loss(log[:end], rng, ("none", "all", "any", "torn")[tried // len(ends) % 4])
        key = hashlib.sha256(repr((told(log[:end]), sorted(state.items()))).encode()).digest()
        if key in seen:
            continue
        seen.add(key)
        with place(base, old=False) as folder:
            lay_out(state, folder)
            check(folder, told(log[:end]), on_to_the_end=len(seen) % 50 == 0)
        yield end
        if len(seen) == most:
            return


# Killed at any moment


def kills_in_training(base, most, seed=0):
    """`most` times kill -9 at a random moment of `fnnet train`'s own course, in NumPy and compiled in turn, and resume
    until it is done: the weights are those of the run that was left alone.
    """
    rng, ended, kills = random.Random(seed), 0, most
    jobs = [_job(jit) for jit in (False, True)]
    wanted = [_course(job, None) for job in jobs]
    began = time.process_time()
    for job in jobs:
        _course(job, None)
    usual = (time.process_time() - began) / 2
    while True:
        job, weights, longest = jobs[ended % 2], wanted[ended % 2], usual
        with place(base, old=False) as folder:
            while (found := _killed_course(job, folder / "run", rng.uniform(0, longest))) is None:
                longest *= 1.05  # on a busy machine it may be too short to come to the next checkpoint
                kills -= 1
                if kills >= 0:
                    yield ended
            assert found == weights, (ended, found)
            ended += 1
            if kills <= 0:
                return


def _job(jit):
    from fnnet.data import Dataset
    from fnnet.kernels import load
    from fnnet.training.session import prepare

    rng = np.random.default_rng(3)
    x, labels = rng.integers(0, 256, (150, 784), np.uint8), np.arange(150) % 10
    dataset = Dataset("noise", "here", Examples(x, labels), None, tuple("0123456789"), (28, 28))
    settings = {"hidden": (16,), "batch_size": 30, "epochs": 25, "dev": 0}
    return prepare(dataset, "quick", settings, seed=1), load("numba" if jit else "numpy")


def _course(job, run_dir):
    """The SHA-256 of the weights at the end."""
    from fnnet.core.params import weights_sha256
    from fnnet.training.session import train

    model, _ = train(job[0], kernels=job[1], run_dir=run_dir, resume=run_dir is not None)
    return weights_sha256(model.params)


def _killed_course(job, run_dir, seconds):
    """What the weights come to in a process that is killed after so many seconds; None where that is before the end."""
    ready, told_by = os.pipe()
    pid = fork()
    if not pid:
        try:
            os.write(told_by, _course(job, run_dir).encode())
        except BaseException as error:
            os.write(told_by, repr(error).encode())
        os._exit(0)
    os.close(told_by)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with open(ready, "rb") as pipe:
        return pipe.read().decode() or None
