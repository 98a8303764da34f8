"""A run directory under whatever may happen to it, in any order: Hypothesis against a model of what must be there."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import fnnet
from fnnet.core.state import TrainState
from fnnet.errors import ModelError, StorageError
from fnnet.files.checkpoints import Checkpoint
from fnnet.files.log import read_log
from fnnet.files.runs import KEPT, open_run
from tests.conftest import fork
from tests.tools.disks import ERRORS, Fault, Kill, KilledError

CONFIG = {"recipe": "machine"}
SEVERAL = st.integers(1, 60)


def checkpoint(step):
    return Checkpoint(TrainState(fnnet.init((2, 2), step), (), step, step))


class Directory(RuleBasedStateMachine):
    """whole   steps whose checkpoints must be there; `may` those that may be: written, but not told."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "run"
        self.run, self.stack = None, contextlib.ExitStack()
        self.whole, self.may, self.step, self.damaged = [], set(), 0, False

    def teardown(self):
        self.stack.close()
        shutil.rmtree(self.folder.parent)

    @initialize()
    def begin(self):
        self.open()

    # What a trainer does

    @precondition(lambda self: self.run is None)
    @rule()
    def open(self):
        whole = self.whole + sorted(self.may)
        if self.damaged and not whole:
            with pytest.raises(ModelError, match="no checkpoint is intact"), self.opened():
                pass
            shutil.rmtree(self.folder)
            self.damaged = False
        self.run = self.stack.enter_context(self.opened())
        found = self.run.latest()
        step = found.state.step if found else None
        assert step in {self.whole[-1] if self.whole else None, *self.may}
        assert not self.whole or step >= self.whole[-1]
        if found:
            assert (found.state.params.layers[0].W == checkpoint(step).state.params.layers[0].W).all()
            self.whole = [*(each for each in self.whole if each < step), step][-KEPT:]
            self.step = max(self.step, step)
        self.may, self.damaged = set(), False
        assert not list(self.folder.glob(".*.part"))

    def opened(self, **options):
        return open_run(self.folder, CONFIG, resume=True, **options)

    @precondition(lambda self: self.run is not None)
    @rule(further=st.integers(1, 1000))
    def save(self, further):
        self.step += further
        self.run.log("epoch", epoch=self.step)
        self.run.save(checkpoint(self.step))
        self.whole = [*self.whole, self.step][-KEPT:]
        self.may = set()

    @precondition(lambda self: self.run is not None)
    @rule(at=SEVERAL, kind=st.sampled_from([*ERRORS, "short"]), lasting=st.booleans())
    def save_on_a_disk_that_fails(self, at, kind, lasting):
        disk, self.run._disk = self.run._disk, Fault(at, kind, lasting).disk
        try:
            self.save(1)
        except StorageError:
            self.may.add(self.step)
        finally:
            self.run._disk = disk

    @precondition(lambda self: self.run is not None)
    @rule()
    def close(self):
        self.stack.close()
        self.run = None
        assert not (self.folder / "lock").exists()

    # What happens to it

    @precondition(lambda self: self.run is None)
    @rule(at=st.integers(1, 150))
    def killed(self, at):
        kill = Kill(at)
        try:
            with self.opened(disk=kill.disk) as run:
                run.latest()
                for _ in range(3):
                    self.step += 1
                    self.may.add(self.step)
                    run.save(checkpoint(self.step))
                    self.whole = [*self.whole, self.step][-KEPT:]
                    self.may.discard(self.step)
        except KilledError:
            pass
        except ModelError:
            assert self.damaged
        finally:
            kill.bury()

    @precondition(lambda self: self.run is None and self.whole and not self.may)
    @rule(bit=st.integers(0, 10**6), cut=st.booleans())
    def damaged_newest(self, bit, cut):
        newest = self.folder / f"step-{self.whole[-1]:012d}.safetensors"
        if newest.exists():
            content = bytearray(newest.read_bytes())
            content[bit // 8 % len(content)] ^= 1 << bit % 8
            newest.write_bytes(content[: bit % len(content)] if cut else content)
            self.whole.pop()
            self.damaged = True

    @rule()
    def somebody_leaves_a_file(self):
        if self.folder.exists() and self.run is None:
            (self.folder / ".step-000000000009.safetensors.77-0123abcd.part").write_bytes(b"half")

    @rule()
    def another_process_comes(self):
        if self.damaged or self.may:
            return
        pid = fork()
        if not pid:
            os._exit(self.in_the_child())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == (2 if self.run else 1)

    def in_the_child(self):
        """1 where the directory was free, 2 where its owner was named, 3 for anything else."""
        try:
            with self.opened() as run:
                found = run.latest()
                return 1 if (found.state.step if found else None) == (self.whole[-1] if self.whole else None) else 3
        except StorageError as error:
            return 2 if f"in use by another training; found process {os.getppid()} on" in str(error) else 3
        except BaseException:
            return 3

    @invariant()
    def the_log_is_whole(self):
        if (self.folder / "log.jsonl").exists():
            read_log(self.folder)

    @invariant()
    def what_was_saved_is_there(self):
        if self.folder.exists():
            there = {int(path.name[5:17]) for path in self.folder.glob("step-*.safetensors")}
            assert not self.whole or there & {self.whole[-1], *self.may}


Directory.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
test_f52_f61_f67_a_run_directory_under_anything = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")(
    Directory.TestCase
)
