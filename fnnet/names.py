"""The names that options, recipes and model files accept. Imports nothing heavy, so that `--help` is fast."""

from typing import Final

ACTIVATIONS: Final = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear", "mish")
"""The activations of hidden layers; compiled code numbers them in this order."""
PRECISIONS: Final = ("float", "int8")
"""What a network computes with to predict: floats like its parameters, or whole numbers of eight bits."""
MODEL_FILE: Final = "model.safetensors"
"""The name of a model's file, unless another is given, and in a run directory."""
STEPPING: Final = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lion")
"""The optimizers that update the parameters after each batch."""
OPTIMIZERS: Final = (*STEPPING, "lbfgs")
DATA_SETS: Final = ("auto", "mnist", "digits")
"""Data sets that have a name, whose images are of one shape and show the ten digits."""
DATA_FORMATS: Final = (
    "IDX", "Kaggle CSV", "ARFF", "libsvm", "NPZ", "NPY", "HDF5", "MATLAB", "Parquet", "Arrow",
)  # fmt: skip
"""The formats of data files with many images; `fnnet.data.formats` reads them."""
PICTURE_FORMATS: Final = ("PNG", "JPEG", "WebP", "BMP", "GIF", "netpbm", "TIFF")
"""The formats of data files with one image."""
FORMS: Final = ("npz", "csv", "idx", "png")
"""What `fnnet data convert` writes."""
JOINERS: Final = "\u200c\u200d"
"""Zero width non-joiner and joiner: letters of Persian words stand apart by it, and emoji are made of several."""
SCHEDULES: Final = ("constant", "step", "exponential", "cosine", "onecycle", "plateau")
PIXEL_NAMES: Final = (
    r"pixel[ _]?([0-9]{1,6})",
    r"([0-9]{1,4})x([0-9]{1,4})",
    r"pixel_([0-9]{1,4})_([0-9]{1,4})",
)
"""Names of columns, in lower case, that only pixels have."""


def names_of_labels(first: int, count: int) -> tuple[str, ...]:
    """Return what classes are called whose labels are numbers from `first` on.

    >>> names_of_labels(1, 3)
    ('1', '2', '3')
    """
    return tuple(map(str, range(first, first + count)))


def is_printable(text: str) -> bool:
    """Return True if the name of a class has characters alone that are printed, or that join or part two of these.

    >>> is_printable("cat 1"), is_printable("a\\tb"), is_printable("x\u200cy"), is_printable("a\u200c")
    (True, False, True, False)
    """
    joined = text.translate({ord(each): JOINERS[0] for each in JOINERS}).split(JOINERS[0])
    return all(each.isprintable() for each in joined) and (len(joined) == 1 or all(joined))


def composed(name: str) -> str:
    """Return a name in Unicode's form C: systems write an accent into its letter, or behind it.

    >>> len("e\\u0301"), len(composed("e\\u0301"))
    (2, 1)
    """
    if name.isascii():
        return name
    from unicodedata import normalize

    return normalize("NFC", name)
