"""Processes that a test starts have the mutant too: this folder is on their path."""

import contextlib
import sys
from pathlib import Path

root = str(Path(__file__).resolve().parents[4])
sys.path.append(root)
with contextlib.suppress(ImportError):
    from tests.campaigns.mutations.hook import install

    install()
sys.path.remove(root)
