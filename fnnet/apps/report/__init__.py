"""Pictures and tables, in the terminal and as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FLAGS: Final = ("jit", "augment")
"""Options that are given as --NAME or --no-NAME."""


def loss_text(loss: float) -> str:
    """Return a loss with four decimals; one that has diverged with four digits and an exponent."""
    return f"{loss:.4f}" if loss < 1e6 else f"{loss:.4g}"


def option_text(name: str, value: Any) -> str:
    """Return an option of `train` as it is typed, with _ for - in its name; "" for one without a value.

    >>> option_text("batch_size", "full"), option_text("hidden", [128, 64]), option_text("augment", False)
    ('--batch-size full', '--hidden 128,64', '--no-augment')
    """
    option = name.replace("_", "-")
    if value is None:
        return ""
    if name in FLAGS:
        return f"--{option}" if value else f"--no-{option}"
    if isinstance(value, Mapping):
        value = ",".join(f"{key}={each}" for key, each in value.items())
    elif isinstance(value, (list, tuple)):
        value = ",".join(map(str, value)) or "''"
    return f"--{option} {value}"
