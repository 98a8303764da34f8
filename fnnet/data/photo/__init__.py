"""Photos and drawings of digits as images like MNIST's."""

from typing import TYPE_CHECKING

from fnnet.lazy import importers

if TYPE_CHECKING:
    from fnnet.data.photo.page import find as find
    from fnnet.data.photo.results import CHOICES as CHOICES
    from fnnet.data.photo.results import Choices as Choices
    from fnnet.data.photo.results import Evidence as Evidence
    from fnnet.data.photo.results import Figures as Figures
    from fnnet.data.photo.results import Found as Found
    from fnnet.data.photo.results import Prepared as Prepared
    from fnnet.data.photo.results import Step as Step
    from fnnet.data.photo.single import prepare as prepare

_HOMES = {
    "CHOICES": "results",
    "Choices": "results",
    "Evidence": "results",
    "Figures": "results",
    "Found": "results",
    "Prepared": "results",
    "Step": "results",
    "find": "page",
    "prepare": "single",
}
"""Public name -> the module of this package that defines it."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES)
