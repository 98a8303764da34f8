"""What is used of rich for consoles and text; imported without a change to the state of Python's `random`.

rich draws a number when it is imported: a program that calls the command line would draw others than without it.
"""

import random

_state = random.getstate()

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402

random.setstate(_state)

__all__ = ["Console", "Table", "Text"]
