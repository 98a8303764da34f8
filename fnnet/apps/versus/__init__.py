"""A training beside the same one in scikit-learn, PyTorch or Keras: the same start and batches, step by step."""

from typing import TYPE_CHECKING

from fnnet.lazy import importers

if TYPE_CHECKING:
    from fnnet.apps.versus.comparing import Comparison as Comparison
    from fnnet.apps.versus.comparing import Parting as Parting
    from fnnet.apps.versus.comparing import compare as compare

_HOMES = {"Comparison": "comparing", "Parting": "comparing", "compare": "comparing"}
"""Public name -> the module of this package that defines it."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES)
