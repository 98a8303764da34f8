"""What an operation of the registry is, and what is done with its arguments and results."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tests.tools import tolerance

# What an argument is.
TREE = "tree"  # Params
PIXELS = "pixels"  # floats of any size, or uint8
FLOATS = "floats"  # floats of any size
REALS = "reals"  # float32 or float64, as all others of the operation
BYTES = "bytes"  # uint8
INTEGERS = "integers"
NUMBERS = "numbers"  # integers or floats
OTHER = "other"  # no array: numbers, names, values
FLAG = "flag"  # True or False; any value stands for one of them
ARRAYS = (PIXELS, FLOATS, REALS, BYTES, INTEGERS, NUMBERS)


class Operation(NamedTuple):
    """A public function.

    call       it, or it and what it returns, of keyword arguments.
    arguments  a sample of all that may be wrong.
    kinds      what each of these is.
    fine       argument -> which of the bad values of the tests are none for it.
    gradient   the operation that is its derivative.
    takes      whether it takes `kernels=`, and both tables are compared.
    steps      of training that it makes, for the tolerance.
    errors     (changed arguments, words of the error).
    """

    name: str
    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    kinds: Mapping[str, str]
    fine: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    gradient: str | None = None
    takes: bool = False
    steps: int = 1
    errors: tuple[tuple[Mapping[str, Any], str], ...] = ()


def rebuilt(value, change):
    """`value` with `change` made to each array inside."""
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(rebuilt(each, change) for each in value))
    if isinstance(value, (tuple, list)):
        return type(value)(rebuilt(each, change) for each in value)
    return value


def fresh(operation, *, writeable=True):
    """The operation's arguments with arrays of their own."""

    def copied(array):
        own = array.copy()
        own.flags.writeable = writeable
        return own

    return {name: rebuilt(value, copied) for name, value in operation.arguments.items()}


def arrays_of(value):
    """All arrays inside."""
    found = []
    rebuilt(list(value.values()) if isinstance(value, dict) else value, found.append)
    return found


def leaves(value):
    """All arrays and numbers inside, in order."""
    if isinstance(value, (tuple, list)):
        return [leaf for each in value for leaf in leaves(each)]
    return [value]


def bits(value):
    """All bits of a result, for comparison."""
    return [
        (leaf.dtype.str, leaf.shape, leaf.tobytes()) if isinstance(leaf, np.ndarray) else repr(leaf)
        for leaf in leaves(value)
        if not callable(leaf)
    ]


def assert_same(found, wanted, n_steps=1):
    """Two results of an operation, by the rule for what comes of so many steps; whole numbers exactly."""
    ours, theirs = leaves(found), leaves(wanted)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(other, (float, np.floating, np.ndarray)) and np.asarray(other).dtype.kind == "f":
            tolerance.assert_stepped(np.asarray(one), np.asarray(other), n_steps)
        elif not callable(other):
            assert bits([one]) == bits([other])
