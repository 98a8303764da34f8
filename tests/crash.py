"""Kill a process that saves in a loop, again and again, and see that the run directory stands: the program of a test.

python -m tests.crash FOLDER KILLS SEED
"""

import os
import random
import signal
import sys
import time

import numpy as np

from fnnet.checkpoints import Checkpoint
from fnnet.optimizer import Moments
from fnnet.params import Layer, Params
from fnnet.runs import open_run, read_log
from fnnet.train import TrainState

CONFIG = {"recipe": "crash"}


def tree(value):
    return Params((Layer(np.full((64, 300), value, np.float32), np.full(300, value, np.float32)),))


def checkpoint(step):
    """A checkpoint whose every number tells its step."""
    state = TrainState(tree(step), Moments(step, (tree(step + 0.5), tree(-step))), step, step)
    return Checkpoint(state, tree(step), tuple(report(epoch) for epoch in range(1, step + 1)), {"epoch": step})


def report(epoch):
    return {"epoch": epoch, "train_loss": 1 / epoch}


def save_for_ever(folder, told):
    """Tell of each step once it is saved."""
    with open_run(folder, CONFIG, resume=True) as run:
        found = run.latest()
        step = found.state.step if found else 0
        while True:
            step += 1
            run.log("epoch", **report(step))
            run.save(checkpoint(step))
            os.write(told, step.to_bytes(8, "little"))


def child(folder, told):
    try:
        save_for_ever(folder, told)
    except BaseException as error:
        os.write(2, f"the child failed: {error}\n".encode())
    finally:
        os._exit(1)


def check(folder, saved):
    """Assert that what is there is whole, agrees with itself, and is `saved` or a later step; the step."""
    notices = []
    with open_run(folder, CONFIG, resume=True, notify=notices.append) as run:
        assert not any(name.startswith(".") for name in os.listdir(folder))
        found = run.latest()
        step = found.state.step if found else 0
        assert step >= saved, (step, saved)
        assert all("starting anew" in notice for notice in notices), notices
        if found:
            trees = (found.state.params, *found.state.optimizer_state.trees, found.best)
            for value, params in zip((step, step + 0.5, -step, step), trees, strict=True):
                assert all((array == value).all() for layer in params.layers for array in layer)
            epochs = [event for event in read_log(folder) if event["event"] == "epoch"]
            assert [{key: event[key] for key in report(1)} for event in epochs] == list(map(report, range(1, step + 1)))
            assert [dict(each) for each in found.history] == list(map(report, range(1, step + 1)))
    assert len([name for name in os.listdir(folder) if name.startswith("step-")]) <= 2
    return step


def main(folder, kills, seed):
    rng, step, cut = random.Random(seed), 0, 0
    for _ in range(kills):
        ready, told = os.pipe()
        pid = os.fork()
        if not pid:
            child(folder, told)
        os.close(told)
        time.sleep(rng.uniform(0, 0.04))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "the child ended by itself"
        with open(ready, "rb") as pipe:
            steps = pipe.read()
        cut += any(name.endswith(".part") for name in os.listdir(folder)) if os.path.isdir(folder) else 0
        step = check(folder, int.from_bytes(steps[-8:], "little") if steps else step)
    print(f"{kills} kills, {cut} of them in the middle of a file, step {step}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
