"""A run of a few steps, and what a test asks about it."""

import os

import fnnet
from fnnet.core.state import EpochReport, TrainState
from fnnet.files.checkpoints import Checkpoint
from fnnet.files.log import read_log
from fnnet.files.runs import open_run
from tests.tools.disks import around

CONFIG = {"recipe": "classic", "plan": {"epochs": 3, "learning_rate": 0.1}}


def make(step):
    history = tuple(EpochReport(epoch, 0.5, 1 / epoch, 0.5, None, None, 0.1)._asdict() for epoch in range(1, step + 1))
    return Checkpoint(TrainState(fnnet.init((4, 3, 2), step), (), step, 1), None, history)


def train(folder, *steps, resume=False):
    """A run that saves at these steps, an epoch each."""
    with open_run(folder, CONFIG, resume=resume) as run:
        if not resume:
            run.log("start", config=CONFIG)
        for step in steps:
            run.log("epoch", **make(step).history[-1])
            run.save(make(step))
    return folder


def resume(folder, config=CONFIG):
    """The step that a run would go on from, and the notices."""
    notices = []
    with open_run(folder, config, resume=True, notify=notices.append) as run:
        found = run.latest()
    return found and found.state.step, notices


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def file(folder, step):
    return folder / f"step-{step:012d}.safetensors"


def events(folder):
    keys = ("epoch", "step", "reason")
    return [(event["event"], *(event[key] for key in keys if key in event)) for event in read_log(folder)]


def failing(name, number, error):
    """A disk whose call `name` fails at its call `number`, counted from 1, and from then on."""
    calls = []

    def call(called, real, *arguments):
        calls.extend([called] * (called == name))
        if called == name and len(calls) >= number:
            raise OSError(error, os.strerror(error))
        return real(*arguments)

    return around(call)
