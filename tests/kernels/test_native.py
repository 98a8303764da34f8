"""The tables that compiled code is generated from: arguments by name, activations and optimizer rules by number."""

import decimal
import inspect

import numpy as np
import pytest

import fnnet
from fnnet.core import optimizers
from fnnet.core.state import Moments
from fnnet.errors import DivergedError
from fnnet.kernels import build, layout, library, machine, signatures, trainer
from fnnet.kernels.native import activation, move
from fnnet.names import ACTIVATIONS
from fnnet.training import steps
from tests.kernels.test_block import block, data

FUNCTIONS = {name: function for part in signatures.PARTS.values() for name, function in part.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_named_as_the_native_function_names_them(name):
    described = FUNCTIONS[name]
    native = build.native(name, described)
    assert list(inspect.signature(native.py_func).parameters) == list(described.arguments)
    names = list(described.arguments)
    names[0], names[-1] = names[-1], names[0]
    exchanged = described._replace(arguments={each: described.arguments[each] for each in names})
    with pytest.raises(RuntimeError, match=f"{name} takes "):
        build.native(name, exchanged)


def test_arguments_are_bound_by_name_alone(numba_kernels):
    compiled, z, a = library.library("operations", "float32"), np.ones(4, np.float32), np.zeros(4, np.float32)
    compiled.run("relu", a=a, z=z)
    np.testing.assert_array_equal(a, z)
    for wrong in ({"z": z}, {"z": z, "a": a, "b": a}, {"z": z, "out": a}, {}):
        with pytest.raises(TypeError, match="missing or unknown arguments"):
            compiled.bind("relu", **wrong)
    with pytest.raises(TypeError, match="positional"):
        compiled.bind("relu", z, a)


def test_the_number_of_threads_is_found_by_name(numba_kernels):
    """Where a call keeps it, for a team that is granted fewer threads."""
    rows = numba_kernels.pixels(np.zeros((2, 3), np.uint8), np.dtype(np.float32), 1)
    bound = {name: 0 for name, kind in FUNCTIONS["train_block"].arguments.items() if not kind.dimensions}
    for name, kind in FUNCTIONS["train_block"].arguments.items():
        if kind.dimensions:
            bound[name] = np.zeros((1,) * kind.dimensions, np.float32 if kind.dtype == "real" else kind.dtype)
    call = library.library("train", "float32").bind("train_block", **{**bound, **rows.arguments(), "threads": 77})
    assert call.words[call.at["threads"]] == 77
    assert list(call.words).count(77) == 1


def test_tables_are_complete():
    """A number is a position, so a name without its formula or loop would be missed only when it is used."""
    assert list(activation.FORMULAS) == list(ACTIVATIONS)
    assert list(move.MOVES) == list(layout.RULES)
    assert set(layout.RULES.values()) <= {0, 1, 2}
    assert len(set(activation.FORMULAS.values())) == len(ACTIVATIONS)
    assert len(set(move.MOVES.values())) == len(layout.RULES)


def activate(number, z):
    """a and its slope from compiled code."""
    a, slope = (np.zeros(layout.round_up(z.size, 64), z.dtype) for _ in range(2))
    a[: z.size] = z
    vectors = a.nbytes // machine.machine().vector_bytes
    given = {"z": a, "z_at": 0, "slope": slope, "slope_at": 0, "vectors": vectors}
    library.library("operations", z.dtype).run("activate", number=number, **given)
    return a[: z.size], slope[: z.size]


@pytest.mark.parametrize("number", [-1, len(ACTIVATIONS), 2**40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_without_an_activation_gives_nan(number, dtype, numba_kernels):
    a, slope = activate(number, np.linspace(-3, 3, 40, dtype=dtype))
    assert np.isnan(a).all()
    assert np.isnan(slope).all()


@pytest.mark.parametrize("number", [-1, len(layout.RULES), 2**40])
def test_a_number_without_a_rule_diverges(number, numba_kernels, monkeypatch):
    before = trainer.Trainer.__init__

    def init(self, *arguments):
        before(self, *arguments)
        self._fixed["rule"] = number

    monkeypatch.setattr(trainer.Trainer, "__init__", init)
    with pytest.raises(DivergedError, match="training diverged"):
        block(numba_kernels, (20, 8, 3), data(64, 20, 3, zeros=0.5, as_bytes=True), 64)


def test_too_few_trees_never_reach_compiled_code(numba_kernels):
    params = fnnet.init((5, 3))
    work = trainer.Work(4, 1, 32, "adam", False, "relu", (), False, 1.0, 0)
    with pytest.raises(TypeError, match="adam remembers 2 trees, found 1"):
        trainer.Trainer([(params, (params,))], work, 1)


def mish_by_hand(z):
    """Value and slope with 60 digits."""
    one, z = decimal.Decimal(1), decimal.Decimal(z)
    with decimal.localcontext(prec=60):
        w = z.exp()
        t = ((one + w) ** 2 - 1) / ((one + w) ** 2 + 1)
        return z * t, t + z * (1 - t * t) * w / (one + w)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mish_to_the_last_digits(dtype, numba_kernels):
    """Where its slope is 0 (-1.1924), where exp(z) is beyond or below all floats, and everywhere between."""
    places = [*np.linspace(-30, 30, 401), *np.linspace(-1.2, -1.18, 41), *np.geomspace(1e-30, 1e5, 100)]
    z = np.array([*places, *-np.geomspace(1e-30, 1e5, 100), -1.1924283, 0.0, -88.0, -104.0, -745.0], dtype)
    eps, (a, slope) = decimal.Decimal(float(np.finfo(dtype).eps)), activate(ACTIVATIONS.index("mish"), z)
    for place, *found in zip(z.tolist(), a.tolist(), slope.tolist(), strict=True):
        for ours, value in zip(found, mish_by_hand(place), strict=True):
            assert abs(decimal.Decimal(ours) - value) <= 4 * eps * (1 + abs(value)), place
    a, slope = activate(ACTIVATIONS.index("mish"), np.array([np.inf, -np.inf, np.nan], dtype))
    np.testing.assert_array_equal(a, [np.inf, 0, np.nan])
    np.testing.assert_array_equal(slope, [1, 0, np.nan])


def test_lion_in_float32(numba_kernels):
    """Each weight moves by the rate against the sign of its gradient, but for those that rounding decides on."""
    rate, sizes, examples = 0.01, (784, 33, 10), data(64, 784, 10, zeros=0.8, as_bytes=True)
    examples.x[:, 100] = 0
    lion = optimizers.lion(0.8, 0.95)
    found = block(numba_kernels, sizes, examples, 64, lion, rate=rate, rows=np.arange(64))[0]
    before = fnnet.init(sizes, 1)
    grads = fnnet.backward(before, fnnet.forward(before, examples.x), examples.labels)
    for layer, start, gradient in zip(found.params.layers, before.layers, grads.layers, strict=True):
        for ours, old, g in zip(layer, start, gradient, strict=True):
            clear = np.abs(g) > 1e-5 * np.abs(g).max()
            assert clear.mean() > 0.4
            np.testing.assert_array_equal(ours[clear], (old - np.float32(rate) * np.sign(g))[clear])
            assert (np.abs(ours - old) <= 1.001 * rate).all()
    np.testing.assert_array_equal(found.params.layers[0].W[100], before.layers[0].W[100])


def test_lion_passes_nan_on(numba_kernels):
    lion, params = optimizers.lion(), fnnet.init((20, 3), 1)
    (W, b) = params.layers[0]
    spoiled = Moments(1, (fnnet.Params((fnnet.Layer(np.where(W.max() == W, np.nan, 0).astype(W.dtype), 0 * b),)),))
    state = steps.start(params, 0, optimizer=lion)._replace(optimizer_state=spoiled)
    with pytest.raises(DivergedError, match="training diverged"):
        fnnet.train_block(
            state, data(16, 20, 3, zeros=0.5, as_bytes=True), None, 16, 0.1, optimizer=lion, kernels=numba_kernels
        )
