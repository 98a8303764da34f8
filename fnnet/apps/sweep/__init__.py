"""A sweep: options of training are tried, by trials that Optuna chooses, and compared on images held out."""

from typing import TYPE_CHECKING

from fnnet.lazy import importers

if TYPE_CHECKING:
    from fnnet.apps.sweep.course import search as search
    from fnnet.apps.sweep.space import Choices as Choices
    from fnnet.apps.sweep.space import Range as Range
    from fnnet.apps.sweep.space import choices as choices
    from fnnet.apps.sweep.study import Result as Result
    from fnnet.apps.sweep.study import Study as Study
    from fnnet.apps.sweep.study import Trial as Trial
    from fnnet.apps.sweep.sweeping import Swept as Swept
    from fnnet.apps.sweep.sweeping import sweep as sweep

_HOMES = {
    "Choices": "space",
    "Range": "space",
    "Result": "study",
    "Study": "study",
    "Swept": "sweeping",
    "Trial": "study",
    "choices": "space",
    "search": "course",
    "sweep": "sweeping",
}
"""Public name -> the module of this package that defines it."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES)
