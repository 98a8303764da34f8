"""Functions of the user's own that write into what fnnet gives them, by all of NumPy's ways: one sentence says it."""

import io
import struct

import numba
import numpy as np
import pytest

import fnnet
from fnnet.errors import UsageError

PARAMS = fnnet.init((4, 3, 2), seed=3, dtype="float64")
X, LABELS = np.linspace(-1.0, 1.0, 20).reshape(5, 4), np.array([0, 1, 1, 0, 1])
REMEDY = "leaves its arguments as they are, found .*; make a new array, or write into a copy"


@numba.njit
def compiled(z):
    z[0, 0] = 1.0


def iterate(z):
    for each in np.nditer(z, op_flags=["readwrite"]):
        each[...] = 0.0


WRITES = {
    "z[0] =": lambda z: z.__setitem__(0, 1.0),
    "z +=": lambda z: z.__iadd__(1.0),
    "z.T +=": lambda z: z.T.__iadd__(1.0),
    "z.flat[0] =": lambda z: z.flat.__setitem__(0, 1.0),
    "z.fill": lambda z: z.fill(0.0),
    "z.sort": lambda z: z.sort(),
    "z.partition": lambda z: z.partition(1),
    "z.put": lambda z: z.put([0], [1.0]),
    "z.byteswap": lambda z: z.byteswap(inplace=True),
    "np.put": lambda z: np.put(z, [0], [1.0]),
    "np.place": lambda z: np.place(z, np.isfinite(z), [0.0]),
    "np.putmask": lambda z: np.putmask(z, np.isfinite(z), 0.0),
    "np.copyto": lambda z: np.copyto(z, 0.0),
    "np.fill_diagonal": lambda z: np.fill_diagonal(z, 0.0),
    "np.add.at": lambda z: np.add.at(z, 0, 1.0),
    "np.tanh out": lambda z: np.tanh(z, out=z),
    "np.clip out": lambda z: np.clip(z, 0.0, 1.0, out=z),
    "np.mean out": lambda z: np.mean(z[None], axis=0, out=z),
    "np.einsum out": lambda z: np.einsum("ij->ij", z, out=z),
    "np.compress out": lambda z: z.compress([True] * len(z), axis=0, out=z),
    "np.take out": lambda z: np.take(z, np.arange(z.size), out=z.ravel()),
    "np.nditer": iterate,
    "shuffle": lambda z: np.random.default_rng(0).shuffle(z),
    "permuted": lambda z: np.random.default_rng(0).permuted(z, out=z),
    "memoryview": lambda z: memoryview(z).cast("B").__setitem__(0, 1),
    "readinto": lambda z: io.BytesIO(bytes(z.nbytes)).readinto(z),
    "pack_into": lambda z: struct.pack_into("d", z, 0, 1.0),
    "numba": compiled,
}


@pytest.mark.parametrize("name", WRITES)
def test_a_function_that_writes_into_its_argument_is_told_what_to_do(name):
    write, at = WRITES[name], np.ones((3, 4))

    def update(params, grads, state, rate):
        write(grads[0].W)
        return params, state

    activation = fnnet.Activation(lambda z: (write(z), np.tanh(z))[1], lambda da, z: da)
    optimizer = fnnet.Optimizer(lambda params: (), update)
    for problem, call in {
        "value of the activation": lambda: fnnet.forward(PARAMS, X, activation=activation),
        "function": lambda: fnnet.check_gradient(lambda z: (write(z), float(z.sum()))[1], at, at),
        "update of the optimizer": lambda: fnnet.train_step(
            fnnet.TrainState(PARAMS, (), 0, 0), X, LABELS, 0.1, optimizer=optimizer
        ),
    }.items():
        with pytest.raises(UsageError, match=f"^{problem}; expected a function that {REMEDY}") as caught:
            call()
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "error", [ValueError("the file is read-only"), TypeError("no"), KeyError("array is read-only")]
)
def test_other_errors_of_a_function_are_its_own(error):
    def function(z):
        raise error

    with pytest.raises(type(error)) as caught:
        fnnet.check_gradient(function, np.ones(3), np.ones(3))
    assert caught.value is error
