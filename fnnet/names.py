"""The names that options, recipes and model files know. Nothing is imported, so that `--help` waits for nothing."""

from typing import Final

ACTIVATIONS: Final = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid")
"""The hidden activations; compiled code numbers them in this order."""
STEPPING: Final = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
"""The optimizers that move batch by batch."""
OPTIMIZERS: Final = (*STEPPING, "lbfgs")
DATA_FORMATS: Final = ("IDX", "Kaggle CSV", "NPZ")
"""The formats of data files with many images; `fnnet.data.formats` reads them."""
PICTURE_FORMATS: Final = ("PNG",)
"""The formats of data files with one image."""
SCHEDULES: Final = ("constant", "step", "exponential", "cosine", "onecycle", "plateau")
