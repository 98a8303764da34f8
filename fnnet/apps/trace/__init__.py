"""One step of training written out: every equation with its numbers, in the terminal and as a page."""

from typing import TYPE_CHECKING

from fnnet.lazy import importers

if TYPE_CHECKING:
    from fnnet.apps.trace.computing import trace as trace
    from fnnet.apps.trace.steps import Difference as Difference
    from fnnet.apps.trace.steps import Operand as Operand
    from fnnet.apps.trace.steps import Step as Step
    from fnnet.apps.trace.steps import Trace as Trace

_HOMES = {"Difference": "steps", "Operand": "steps", "Step": "steps", "Trace": "steps", "trace": "computing"}
"""Public name -> the module of this package that defines it."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES)
