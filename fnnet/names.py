"""The names that options, recipes and model files know. Nothing is imported, so that `--help` waits for nothing."""

from typing import Final

ACTIVATIONS: Final = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear", "mish")
"""The hidden activations; compiled code numbers them in this order."""
STEPPING: Final = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lion")
"""The optimizers that move batch by batch."""
OPTIMIZERS: Final = (*STEPPING, "lbfgs")
SCHEDULES: Final = ("constant", "step", "exponential", "cosine", "onecycle", "plateau")
