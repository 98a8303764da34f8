"""A sample of the campaign `emulated`: compiled operations on processors that this machine does not have."""

import pytest

from tests.campaigns import aarch64, emulated
from tests.campaigns.levels import passed

OPERATIONS = {"parts": ("infer", "operations"), "files": ("tests/kernels/test_kernels.py",)}
SAMPLE = "twins_are_equal and batch-64"


@pytest.mark.skipif(emulated.missing() is not None, reason=f"needs {emulated.missing()}: {emulated.INSTALL}")
def test_operations_on_an_older_processor(tmp_path):
    emulated.compile_for("x86-64-v2", tmp_path, ("float32",), OPERATIONS["parts"])
    process = emulated.start("Nehalem", "x86-64-v2", tmp_path, SAMPLE, ("float32",), **OPERATIONS)
    assert passed(process, "nehalem") >= 20


@pytest.mark.skipif(aarch64.missing() is not None, reason=f"needs {aarch64.missing()}: {aarch64.INSTALL}")
def test_operations_on_aarch64(tmp_path):
    assert passed(aarch64.start("cortex-a72", tmp_path, SAMPLE, **OPERATIONS), "cortex-a72") >= 20


@pytest.mark.skipif(aarch64.missing() is not None, reason=f"needs {aarch64.missing()}: {aarch64.INSTALL}")
def test_an_instruction_that_the_emulated_processor_lacks_is_seen(tmp_path, monkeypatch):
    """Code for a processor with SVE on one without it."""
    monkeypatch.setattr(aarch64, "WORK", aarch64.WORK.replace("connect(processor", "connect('cortex-a72'"))
    process = aarch64.start("neoverse-v1", tmp_path, SAMPLE, **OPERATIONS)
    with pytest.raises(AssertionError, match="the emulated program has ended"):
        passed(process, "neoverse-v1")
