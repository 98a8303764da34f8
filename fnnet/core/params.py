"""The parameters of a network: immutable tuples of arrays, and their initialisation.

These functions check nothing; `fnnet.init` checks its arguments and calls `init`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fnnet.core import rng

Array = NDArray[Any]


T = TypeVar("T", bound=tuple[Any, ...])


def array_tuple(kind: type[T]) -> type[T]:
    """Class decorator of a NamedTuple of arrays: it is compared by value, shown on one line, and copied read-only.

    Two are equal if they have the same arrays, by shape, dtype and values; the hash is that of shapes and dtypes.
    NumPy gives every array that comes from a pickle or a deep copy back writable; in these tuples they are read-only.
    """

    def fields(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self._fields])

    methods: dict[str, Any] = {
        "__eq__": lambda self, other: type(other) is kind and _are_equal(fields(self), fields(other)),
        "__ne__": lambda self, other: not kind.__eq__(self, other),
        "__hash__": lambda self: hash((kind.__name__, _form(fields(self)))),
        "__repr__": lambda self: f"{kind.__name__}({', '.join(map('{}={}'.format, self._fields, map(show, self)))})",
        "__reduce__": lambda self: (_read_only, (kind, *fields(self))),
        "__copy__": lambda self: self,
    }
    for name, method in methods.items():
        setattr(kind, name, method)
    return kind


def _are_equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and one is not other:
        return type(one) is type(other) and len(one) == len(other) and all(map(_are_equal, one, other))
    if one is not other and (hasattr(one, "shape") or hasattr(other, "shape")):
        return getattr(one, "dtype", None) == getattr(other, "dtype", None) and np.array_equal(one, other)
    return one is other or bool(one == other)


def _form(value: Any) -> Any:
    """Return `value` with the shape and dtype of an array in its place, so that it has a hash."""
    if isinstance(value, tuple):
        return tuple(map(_form, value))
    return (value.shape, str(value.dtype)) if hasattr(value, "shape") else value


def show(value: Any) -> str:
    """Return `value` as a representation shows it: an array as its dtype and shape."""
    if type(value) is tuple:
        return f"({', '.join(map(show, value))})"
    return f"{value.dtype} {value.shape}" if hasattr(value, "shape") else repr(value)


def _read_only(kind: Any, *fields: Any) -> Any:
    """Return a tuple of this kind, whose arrays, also those in tuples, a pickle has just made."""
    for field in fields:
        for array in field if isinstance(field, tuple) else (field,):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)
    return kind(*fields)


@array_tuple
class Layer(NamedTuple):
    """One affine map: `W` (inputs, outputs) and `b` (outputs,), of one dtype."""

    W: Array
    b: Array


if TYPE_CHECKING:

    class Params(tuple[Layer, ...]):
        """Type checkers take the items of a NamedTuple for its fields; those of Params are its layers."""

        layers: tuple[Layer, ...]

        def __new__(cls, layers: tuple[Layer, ...]) -> Self: ...  # noqa: D102
        def _replace(self, *, layers: tuple[Layer, ...]) -> Self: ...
        def _asdict(self) -> dict[str, tuple[Layer, ...]]: ...

else:

    class Params(NamedTuple):
        """All weights and biases, first layer first. Also the form of a gradient. A JAX pytree.

        It is the tuple of its layers: `params[0]` is the first, `params[-1]` the last, `len(params)` their number, and
        `==` compares shapes, dtypes and values. As a NamedTuple it has the field `layers`, the same as a plain tuple.

        Its arrays are read-only: NumPy refuses to write into them, in its own words; `params[0].W.copy()` is writable.
        """

        layers: tuple[Layer, ...]

        def __getitem__(self, at):
            return self.layers[at]

        def __len__(self):
            return len(self.layers)

        def __iter__(self):
            return iter(self.layers)

        def __contains__(self, layer):
            return layer in self.layers

    def _new(kind, layers, *more):
        """Make Params also of its items, from which libraries rebuild a NamedTuple."""
        return tuple.__new__(kind, ((layers, *more) if more or type(layers) is Layer else layers,))

    def _show_network(self):
        if not (self.layers and all(type(each) is Layer and np.ndim(each.W) == 2 for each in self.layers)):
            return f"Params(layers={show(self.layers)})"
        sizes, dtype = "-".join(map(str, layer_sizes(self))), self.layers[0].W.dtype
        return f"Params({sizes}, {dtype}, {sum(each.W.size + np.size(each.b) for each in self.layers):,} parameters)"

    Params = array_tuple(Params)
    Params.__new__, Params.__repr__ = _new, _show_network
    Params._make, Params._asdict = classmethod(lambda kind, fields: kind(*fields)), lambda self: {"layers": self.layers}
    Params._replace = Params.__replace__ = lambda self, **fields: Params(**({"layers": self.layers} | fields))


def he(inputs: int, outputs: int) -> tuple[float, float]:
    """Return the bounds for a weight variance of 2 / inputs, biases 0. He et al. 2015, arXiv:1502.01852."""
    return math.sqrt(6.0 / inputs), 0.0


def glorot(inputs: int, outputs: int) -> tuple[float, float]:
    """Return the bounds for a weight variance of 2 / (inputs + outputs), biases 0. Glorot and Bengio, AISTATS 2010."""
    return math.sqrt(6.0 / (inputs + outputs)), 0.0


def notebook(inputs: int, outputs: int) -> tuple[float, float]:
    """Return the bounds of the notebook that this network comes from: weights and biases in (-0.5, 0.5)."""
    return 0.5, 0.5


INITIALISERS: Final = MappingProxyType({"he": he, "glorot": glorot, "notebook": notebook})
"""Name -> (inputs, outputs) -> the bounds of the uniform weights and biases."""


def init(sizes: Sequence[int], seed: int = 0, scheme: str = "he", dtype: DTypeLike = np.float32) -> Params:
    """Draw initial parameters for layer sizes (inputs, hidden..., outputs).

    Uniform numbers need only exact float64 arithmetic, so the same seed gives the same bits on every machine; a normal
    distribution would need a logarithm, which differs between C libraries.
    """
    layers = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        count = inputs * outputs
        centred = 2.0 * rng.uniform(seed, "init", count + outputs, step=number) - 1.0
        weight_bound, bias_bound = INITIALISERS[scheme](inputs, outputs)
        W = (weight_bound * centred[:count]).astype(dtype).reshape(inputs, outputs)
        b = (bias_bound * centred[count:] + 0.0).astype(dtype)
        layers.append(Layer(W, b))
    return Params(tuple(layers))


def each(function: Callable[..., Array], *trees: Params) -> Params:
    """Apply `function` to the arrays at the same place of each tree, and return the results as a tree."""
    layers = zip(*map(attrgetter("layers"), trees), strict=True)
    return Params(tuple([Layer(*map(function, *parts)) for parts in layers]))


def zeros(params: Params) -> Params:
    """Return zeros shaped like the parameters."""
    return each(np.zeros_like, params)


def freeze(array: Array) -> Array:
    """Make `array`, which the caller has just made, read-only and return it."""
    array.setflags(write=False)
    return array


def freeze_params(params: Params) -> Params:
    """Make every array of `params` read-only in place, except arrays of other libraries."""
    for W, b in params.layers:
        if isinstance(W, np.ndarray) and isinstance(b, np.ndarray):
            W.setflags(write=False)
            b.setflags(write=False)
    return params


def layer_sizes(params: Params) -> tuple[int, ...]:
    """Return (inputs, hidden..., outputs) of a network."""
    return (params.layers[0].W.shape[0], *(layer.W.shape[1] for layer in params.layers))


def count_parameters(sizes: Sequence[int]) -> int:
    """Return the number of weights and biases of a network with these layer sizes."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def weights_sha256(*networks: Params) -> str:
    """Return the SHA-256 over every W and b of networks in order, as little-endian C-contiguous bytes."""
    digest = hashlib.sha256()
    for layer in (layer for params in networks for layer in params.layers):
        for array in layer:
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()
