"""The examples of docs/sklearn.md, one after another, as a reader runs them."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytest.importorskip("sklearn", reason="needs scikit-learn: pip install scikit-learn")


@pytest.mark.parametrize("name", ["sklearn.md"])
def test_the_examples_run(name, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / name).read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
