"""The compiled functions and their arguments by name: what Python binds, and what the compiler compiles for.

Both sides read this module alone. The compiler refuses a function whose own parameters have other names or another
order, and `Library.bind` takes arguments by name only, so that two of one kind cannot be swapped unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Argument(NamedTuple):
    """A scalar, or an array of `dimensions` axes; the dtype "real" is the one that is compiled for."""

    dtype: str
    dimensions: int = 0


class Function(NamedTuple):
    """A function of the module `kernels.native.MODULE`, which returns nothing, and its arguments in their order."""

    module: str
    arguments: Mapping[str, Argument]


INTEGER: Final = Argument("int64")
REAL: Final = Argument("real")
REALS: Final = Argument("real", 1)
INT8S: Final = Argument("int8", 1)
INT32S: Final = Argument("int32", 1)
UINT8S: Final = Argument("uint8", 1)
UINT16S: Final = Argument("uint16", 1)
UINT32S: Final = Argument("uint32", 1)
INT64S: Final = Argument("int64", 1)
FLOAT32S: Final = Argument("float32", 1)
FLOAT64S: Final = Argument("float64", 1)
LAYERS: Final = Argument("int64", 2)
"""`Layout.shape`."""

_TEAM = {"rank": INTEGER, "threads": INTEGER, "counters": INT64S}
_IMAGES = {"x_bytes": UINT8S, "x_floats": REALS}
_SPARSE_ROWS = {"starts": UINT32S, "indices": UINT16S, "codes": UINT8S, "values": REALS}
_PIXELS = {**_IMAGES, **_SPARSE_ROWS}
_BUFFERS = {"work": REALS, "zeros": REALS, "floats": REALS}
_DRAWN = {"seed": INTEGER, "first_step": INTEGER, "first_row": INTEGER}
_TARGETS = {"rows": REALS, "n": INTEGER, "classes": INTEGER, "line": INTEGER, "labels": INT64S}
_MOVED = {
    "parameters": REALS,
    "first_moment": REALS,
    "second_moment": REALS,
    "gradient": REALS,
    "average": REALS,
    "norms": FLOAT64S,
}
_SHARDS = {
    "shards": INTEGER,
    "own_shard": INTEGER,
    "own_stop": INTEGER,
    "merges": INT64S,
    **dict.fromkeys(("levels", "level", "bits"), INTEGER),
}
_ROWS = {"first": INTEGER, "last": INTEGER, "inputs": INTEGER}

_TRAIN: Final = {
    "train_block": Function(
        "block",
        {
            **_TEAM,
            "whole": INT64S,
            "shape": LAYERS,
            "networks": INTEGER,
            "middle": INTEGER,
            **_MOVED,
            "work": REALS,
            "zeros": REALS,
            "scratch_all": REALS,
            "order_all": INT64S,
            "floats_all": REALS,
            "numbers": UINT16S,
            "reals": REALS,
            "ends": INT64S,
            **_PIXELS,
            "labels": INT64S,
            "shares": REALS,
            "ids": INT64S,
            "batch": INTEGER,
            **_SHARDS,
            "chunk_rows": INTEGER,
            "steps": INTEGER,
            "begin": INTEGER,
            "end": INTEGER,
            "sleeps": INTEGER,
            "rule": INTEGER,
            "constants": REALS,
            "apart": INTEGER,
            "seed": INTEGER,
            "first_step": INTEGER,
            "totals": REALS,
            "shifted": REALS,
            "right": UINT8S,
            "done": INT64S,
        },
    )
}
_AUGMENT: Final = {
    "deform": Function(
        "deform",
        {
            "x": UINT8S,
            "first": INTEGER,
            "last": INTEGER,
            "height": INTEGER,
            "width": INTEGER,
            "samples": INT64S,
            "seed": INTEGER,
            "epoch": INTEGER,
            "limits": FLOAT64S,
            "by": FLOAT32S,
            "bx": FLOAT32S,
            "knots_y": INTEGER,
            "knots_x": INTEGER,
            "floats": FLOAT32S,
            "quads": UINT32S,
            "spare": UINT8S,
            "out": UINT8S,
        },
    )
}
_PRODUCTS: Final = {
    "product": Function(
        "products",
        {
            "m": INTEGER,
            "n": INTEGER,
            "k": INTEGER,
            "a": REALS,
            "a_at": INTEGER,
            "a_row": INTEGER,
            "a_step": INTEGER,
            "b": REALS,
            "b_at": INTEGER,
            "b_step": INTEGER,
            "b_panel": INTEGER,
            "b_rows": INTEGER,
            "init": REALS,
            "init_at": INTEGER,
            "init_row": INTEGER,
            "out": REALS,
            "out_at": INTEGER,
            "out_row": INTEGER,
        },
    ),
    "activate": Function(
        "activation",
        {"number": INTEGER, "z": REALS, "z_at": INTEGER, "slope": REALS, "slope_at": INTEGER, "vectors": INTEGER},
    ),
}
_SPARSE: Final = {
    "count_nonzero": Function("sparse", {"x": UINT8S, **_ROWS, "counts": INT64S}),
    "count_nonzero_floats": Function("sparse", {"x": REALS, **_ROWS, "counts": INT64S}),
    "compress": Function("sparse", {"x": UINT8S, **_ROWS, "starts": UINT32S, "indices": UINT16S, "values": UINT8S}),
    "compress_floats": Function(
        "sparse", {"x": REALS, **_ROWS, "starts": UINT32S, "indices": UINT16S, "values": REALS}
    ),
    "sparse_layer": Function(
        "sparse",
        {
            "shape": INT64S,
            "p": REALS,
            "work": REALS,
            "row": INTEGER,
            "rows": INTEGER,
            "ids": INT64S,
            "first": INTEGER,
            **_SPARSE_ROWS,
            "block": INTEGER,
            "stop": INTEGER,
            "left": INTEGER,
            "right": INTEGER,
            "order": INT64S,
            "floats": REALS,
        },
    ),
}
_INFER: Final = {
    "scores": Function(
        "inference",
        {
            **_TEAM,
            "shape": LAYERS,
            "parameters": REALS,
            "work_all": REALS,
            "zeros": REALS,
            **_IMAGES,
            "n": INTEGER,
            "unit_rows": INTEGER,
            "dense_from": INT64S,
            "ids": INT64S,
            "order_all": INT64S,
            "floats_all": REALS,
            "starts_all": UINT32S,
            "indices_all": UINT16S,
            "codes_all": UINT8S,
            "values_all": REALS,
            "logits": REALS,
            "best": INT64S,
        },
    ),
    "first_rows": Function(
        "network",
        {
            "layer": INT64S,
            "p": REALS,
            **_BUFFERS,
            **_IMAGES,
            "ids": INT64S,
            "first": INTEGER,
            "row": INTEGER,
            "rows": INTEGER,
            **_SPARSE_ROWS,
            "order": INT64S,
        },
    ),
    "rest_forward": Function(
        "network",
        {
            "whole": INT64S,
            "shape": LAYERS,
            "p": REALS,
            "work": REALS,
            "row": INTEGER,
            "rows": INTEGER,
            "zeros": REALS,
            **_DRAWN,
        },
    ),
    "softmax": Function("elementwise", {"probs": REALS, "n": INTEGER, "classes": INTEGER, "line": INTEGER}),
    "cross_entropy": Function(
        "elementwise",
        {**_TARGETS, "smoothing": REAL, "totals": REALS, "shifted": REALS},
    ),
}
_QUANTISED: Final = {
    "scores_int8": Function(
        "int8",
        {
            **_TEAM,
            "shape": LAYERS,
            "weights": INT8S,
            "column_sums": INT32S,
            "scales": FLOAT32S,
            "biases": FLOAT64S,
            "slope": REAL,
            "limit": REAL,
            "code_line": INTEGER,
            "z_line": INTEGER,
            "codes_all": UINT32S,
            "lists_all": UINT32S,
            "counts_all": INT64S,
            "row_scales_all": FLOAT32S,
            "zeros_all": INT32S,
            "z_all": FLOAT32S,
            "x_bytes": UINT8S,
            "x_floats": FLOAT32S,
            "n": INTEGER,
            "unit_rows": INTEGER,
            "logits": FLOAT32S,
            "best": INT64S,
        },
    ),
}
_BACKWARD: Final = {
    "second_phase": Function(
        "backward",
        {
            "unit_rows": INTEGER,
            "counters": INT64S,
            "base": INTEGER,
            "whole": INT64S,
            "shape": LAYERS,
            "networks": INTEGER,
            "p": REALS,
            **_BUFFERS,
            **_IMAGES,
            "rows": INTEGER,
            "ids": INT64S,
            "first": INTEGER,
            "by_rows": INTEGER,
            **_SPARSE_ROWS,
            "order": INT64S,
            "labels": INT64S,
            "shares": REALS,
            "constants": REALS,
            "apart": INTEGER,
            **_DRAWN,
            "totals": REALS,
            "shifted": REALS,
            "right": UINT8S,
            "out": INTEGER,
        },
    ),
}
_CLIP: Final = {
    "move_gathered": Function(
        "clip",
        {
            **_TEAM,
            "phase": INTEGER,
            "whole": INT64S,
            "shape": LAYERS,
            "networks": INTEGER,
            **_MOVED,
            "rule": INTEGER,
            "constants": REALS,
            "apart": INTEGER,
        },
    ),
}
_OPERATIONS: Final = {
    "relu": Function("elementwise", {"z": REALS, "a": REALS}),
    "relu_backward": Function("elementwise", {"da": REALS, "z": REALS, "dz": REALS}),
    "cross_entropy_backward": Function("elementwise", {**_TARGETS, "shares": REALS, "smoothing": REAL}),
    "column_sums": Function("elementwise", {"dz": REALS, "n": INTEGER, "columns": INTEGER, "sums": REALS}),
    "update": Function("elementwise", {"value": REALS, "gradient": REALS, "rate": REAL, "stepped": REALS}),
}

PARTS: Final[Mapping[str, Mapping[str, Function]]] = MappingProxyType(
    {
        "train": _TRAIN,
        "infer": _INFER,
        "sparse": _SPARSE,
        "backward": _BACKWARD,
        "products": _PRODUCTS,
        "clip": _CLIP,
        "operations": _OPERATIONS,
        "augment": _AUGMENT,
        "quantised": _QUANTISED,
    }
)
"""The parts that are compiled side by side, each an object file, the longest first: name -> functions. `name_floats` is
the native function `name` compiled for floats in place of bytes."""

NEEDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "train": ("backward", "infer", "sparse", "products"),
        "infer": ("sparse", "products"),
        "sparse": (),
        "backward": ("infer", "sparse", "products"),
        "products": (),
        "clip": (),
        "operations": ("products",),
        "augment": (),
        "quantised": (),
    }
)
"""The parts whose functions a part calls, and those that they call."""

SECONDS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "train": 3.2,
        "infer": 1.6,
        "sparse": 1.5,
        "backward": 1.1,
        "products": 0.3,
        "clip": 1.7,
        "operations": 0.9,
        "augment": 0.6,
        "quantised": 0.9,
    }
)
"""About how long each part took to compile, to share the parts out among processes."""

FUNCTIONS: Final = MappingProxyType({name: function for part in PARTS.values() for name, function in part.items()})
"""Every function by its name."""


LATE: Final[Mapping[str, str]] = MappingProxyType({"move_gathered": "train"})
"""Functions whose parts are loaded only where they are used, and the part that calls each, through a pointer."""


def symbol(name: str) -> str:
    """Return the name that a function has for functions of other parts.

    These pass an array as its address and its axes, a third of what Numba passes: it is contiguous.
    """
    return f"fnnet_native_{name}"


def pointer(name: str) -> str:
    """Return the name of the variable with the address of a function in LATE."""
    return f"fnnet_pointer_{name}"


def closure(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the `parts` and all that they need, in the order of PARTS."""
    wanted = {each for part in parts for each in (part, *NEEDS[part])}
    return tuple(part for part in PARTS if part in wanted)
