"""MNIST is read while the command is imported, which takes as long, where it is clear that it will be needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = ("train",)
"""Those that read it unless an option names other data."""
OTHERWISE: Final = ("--data", "--help", "-h", "--version")
"""How options begin with which a command reads other data, from another folder, or none."""


def begin(arguments: Sequence[str]) -> None:
    """Begin to read MNIST in a thread if these arguments name a command that will need it."""
    if not arguments or arguments[0] not in COMMANDS or "_FNNET_COMPLETE" in os.environ:
        return
    if not any(each.startswith(OTHERWISE) for each in arguments):
        with contextlib.suppress(Exception):  # the command reports what is wrong where it comes to it
            from fnnet.data import mnist

            mnist.begin()
