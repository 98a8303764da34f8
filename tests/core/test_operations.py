"""Every operation of the registry: pure, on arrays of any layout and dtype, without a trace, in both tables alike."""

import locale
import os
import random
import signal
import threading
import warnings

import numpy as np
import pytest

import fnnet
from fnnet.core.table import NUMPY
from fnnet.errors import ArgumentTypeError
from tests.tools import registry
from tests.tools.operation import (
    ARRAYS,
    BYTES,
    INTEGERS,
    NUMBERS,
    PIXELS,
    REALS,
    TREE,
    arrays_of,
    assert_same,
    bits,
    fresh,
    rebuilt,
)
from tests.tools.registry import ELSEWHERE, REGISTRY, THROUGH, public_functions

ALL = sorted(REGISTRY)
TAKING = [name for name in ALL if REGISTRY[name].takes]


CALLS = [(name, table) for name in ALL for table in ("numpy", "numba") if table == "numpy" or REGISTRY[name].takes]


@pytest.fixture(params=CALLS, ids="-".join)
def work(request, numba_kernels):
    """An operation, and a call of it with arguments of its own but for those given, by one of the tables."""
    name, table = request.param
    operation = REGISTRY[name]
    kernels = {"kernels": NUMPY if table == "numpy" else numba_kernels} if operation.takes else {}
    return operation, lambda **changed: operation.call(**fresh(operation) | changed, **kernels)


def test_f82_every_public_function_is_in_the_registry():
    known = {name.split(",")[0] for name in REGISTRY}
    assert set(public_functions()) == known | set(THROUGH) | set(ELSEWHERE)
    assert len(public_functions()) == len(known) + len(THROUGH) + len(ELSEWHERE)
    assert set(THROUGH.values()) <= known
    for path in ELSEWHERE.values():
        assert (registry.importlib.import_module(path.removesuffix(".py").replace("/", "."))).__doc__


def test_the_registry_misses_what_is_not_in_it(monkeypatch):
    def new(x):
        return x

    new.__module__ = "fnnet.core.metrics"
    monkeypatch.setattr(registry.public, "ignored", new, raising=False)
    assert "public.ignored" not in public_functions(), "it belongs to another module"
    monkeypatch.setattr(registry.metrics, "new", new, raising=False)
    with pytest.raises(AssertionError, match=r"metrics\.new"):
        test_f82_every_public_function_is_in_the_registry()


# Purity.


def test_f82_arguments_stay_and_the_same_gives_the_same(work):
    operation, call = work
    frozen = fresh(operation, writeable=False)
    before = bits(list(frozen.values()))
    first, second = (bits(call(**frozen)) for _ in range(2))
    assert first == second
    assert bits(list(frozen.values())) == before
    writeable = fresh(operation)
    call(**writeable)
    assert all(array.flags.writeable for array in arrays_of(writeable)), "an argument was frozen"


def test_f83_results_are_no_way_to_the_arguments(work):
    operation, call = work
    given = fresh(operation)
    before = bits(list(given.values()))
    for array in arrays_of(call(**given)):
        if array.flags.writeable:
            assert not any(np.shares_memory(array, other) for other in arrays_of(given))
            array.fill(1)
    assert bits(list(given.values())) == before
    # What was changed is not remembered either.
    assert bits(call()) == bits(call())


def test_the_check_of_purity_can_fail():
    operation = REGISTRY["public.scores"]
    dirty = operation._replace(call=lambda params, x, activation, kernels=NUMPY, **more: x.sort() or x)
    with pytest.raises(ValueError, match="read-only"):
        test_f82_arguments_stay_and_the_same_gives_the_same((dirty, dirty.call))
    aliasing = operation._replace(call=lambda params, x, activation, **more: x)
    with pytest.raises(AssertionError):
        test_f83_results_are_no_way_to_the_arguments((aliasing, aliasing.call))


# Layouts.


def _strided(array):
    wide = np.full((*array.shape, 2), array.flat[0])
    wide[..., 0] = array
    return wide[..., 0]


def _behind(array):
    """Read from where no address is a multiple of the item's size."""
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    raw[...] = array
    return raw


def _mapped(array, folder):
    mapped = np.memmap(folder / "array", array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    return mapped


def _matrix(array):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy tells not to
        return np.asmatrix(array) if array.ndim == 2 else array


class _Wrapped:
    """What NumPy reads by a method of its own."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


class _Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not now")


class _ByDlpack:
    """What speaks DLPack alone."""

    def __init__(self, array):
        self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__


SAME = {
    "fortran": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda array: array[::-1].copy()[::-1],
    "turned": lambda array: array.T.copy().T,
    "0-stride": lambda array: np.broadcast_to(array[:1].copy(), array.shape),
    "read-only": lambda array: np.broadcast_to(array, array.shape),
    "unaligned": _behind,
}
"""Arrays all the same."""
READ = {
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "lists": lambda array: array.tolist(),
    "tuples": lambda array: tuple(array.tolist()),
    "list of rows": list,
    "wrapped": _Wrapped,
    "nothing masked": np.ma.MaskedArray,
}
"""What NumPy reads as arrays, which lists make of float32 no longer."""
EITHER = {"matrix": _matrix, "dlpack": _ByDlpack, "object": lambda array: array.astype(object)}
REFUSED = {
    "masked": lambda array: np.ma.MaskedArray(array, mask=np.arange(array.size).reshape(array.shape) == 1),
    "rows masked": lambda array: [np.ma.MaskedArray(row, mask=np.ones(np.shape(row), bool)) for row in array],
    "nested masked": lambda array: _nested(array.tolist()),
    "nested masked at the end": lambda array: (*array.tolist()[:-1], _nested(array.tolist()[-1])),
    "broken": lambda array: _Broken(),
}


def _nested(values):
    """Return the values in tuples and lists, the first of all of them masked."""
    return (_nested(values[0]), *values[1:]) if isinstance(values, list) else np.ma.masked


def _changes(operation, kinds):
    given = [(name, operation.arguments[name]) for name, kind in operation.kinds.items() if kind in kinds]
    return [(name, value) for name, value in given if value is not None]


def _refused(call, name, value, error=ArgumentTypeError):
    with pytest.raises(error) as told:
        call(**{name: value})
    assert told.value.expected is not None, told.value
    assert told.value.found is not None, told.value
    assert "\n" not in str(told.value)
    return told.value


def test_f81_arrays_of_any_layout_are_the_same(work, tmp_path):
    operation, call = work
    for name, value in _changes(operation, ARRAYS):
        ways = SAME if operation.kinds[name] == BYTES else SAME | READ  # lists hold no bytes
        changed = {key: change(value) for key, change in ways.items()}
        changed["mapped"] = _mapped(value, tmp_path)
        for key, given in changed.items():
            plain = np.ascontiguousarray(np.asarray(given), dtype=value.dtype)
            assert_same(call(**{name: given}), call(**{name: plain})), (name, key)
    for name, value in _changes(operation, {TREE}):
        for change in SAME.values():
            given = rebuilt(value, change)
            assert_same(call(**{name: given}), call(**{name: rebuilt(given, np.ascontiguousarray)}))


def test_f81_other_objects_are_the_same_or_a_type_error(work):
    operation, call = work
    for name, value in _changes(operation, ARRAYS):
        for change in EITHER.values():
            try:
                found = call(**{name: change(value)})
            except ArgumentTypeError:
                continue
            except fnnet.FnnetError as error:
                assert "shape" in str(error), error
                continue
            assert_same(found, call(**{name: value.copy()}))
        for change in REFUSED.values():
            _refused(call, name, change(value))
    for name, value in _changes(operation, {TREE}):
        for change in (REFUSED["masked"], lambda array: array.tolist(), lambda array: array.astype(object)):
            _refused(call, name, rebuilt(value, change), fnnet.FnnetError)


def test_f81_arrays_of_jax_are_the_same(work):
    jax = pytest.importorskip("jax", reason="needs jax: pip install jax")
    operation, call = work
    with jax.enable_x64(True):
        for name, value in _changes(operation, ARRAYS):
            assert_same(call(**{name: jax.numpy.asarray(value)}), call(**{name: value.copy()}))


# Dtypes.

DTYPES = [
    "?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "g", "F", "D", "S1", "U1", "M8[s]", "m8[s]", "O", "V8",
]  # fmt: skip
TAKEN = {INTEGERS: "bBhHiIqQ", NUMBERS: "bBhHiIqQefdg", PIXELS: "Befdg", "floats": "efdg", REALS: "d", BYTES: "B"}


def test_f20_f81_dtypes_are_taken_or_refused_by_a_table(work):
    operation, call = work
    for name, value in _changes(operation, ARRAYS):
        kind = operation.kinds[name]
        taken = "fd" if list(operation.kinds.values()).count(REALS) == 1 and kind == REALS else TAKEN[kind]
        for letter in DTYPES:
            small = (value * 4).astype(np.uint8) if value.dtype.kind == "f" and letter not in "efdg" else value
            given = np.zeros(value.shape, letter) if letter in ("V8", "M8[s]", "m8[s]") else small.astype(letter)
            if letter in taken:
                as_own = (
                    value.dtype if kind in (INTEGERS, BYTES) or (letter in "efg" and kind != REALS) else given.dtype
                )
                found, wanted = (call(**{name: each}) for each in (given, given.astype(as_own)))
                assert_same(found, wanted)
            else:
                _refused(call, name, given)


# Nothing else changes.


def _world():
    from threadpoolctl import threadpool_info

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)]
    return {
        "numpy's random numbers": repr(np.random.get_state()),  # noqa: NPY002
        "python's random numbers": random.getstate(),
        "floating-point errors": np.geterr(),
        "warnings": list(warnings.filters),
        "threads of libraries": [(each["filepath"], each["num_threads"]) for each in threadpool_info()],
        "threads": threading.active_count(),
        "locale": locale.setlocale(locale.LC_ALL),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "handlers": handlers,
        "print options": np.get_printoptions(),
    }


def test_f84_nothing_else_changes(work):
    _, call = work
    call()  # what it imports may load libraries
    before = _world()
    call()
    assert _world() == before


def test_f80_f84_the_caller_s_treatment_of_overflow_changes_nothing(work):
    operation, call = work
    extreme = {}
    for name, value in operation.arguments.items():
        kind = operation.kinds[name]
        extreme[name] = value * 1e4 if kind == REALS else value * 1e-300 if kind == PIXELS else value
        if name == "at":  # the steps of schedules
            extreme[name] = value * 10**7
    with np.errstate(all="ignore"):
        wanted = bits(call()), bits(call(**extreme))
    with np.errstate(all="raise"):
        assert (bits(call()), bits(call(**extreme))) == wanted
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        assert (bits(call()), bits(call(**extreme))) == wanted
