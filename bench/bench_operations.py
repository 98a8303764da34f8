"""Each operation at the most informative shapes, NumPy beside Numba; with --benchmark-all-cases at every one.

pytest --benchmark-only -k "affine and batch-64"
"""

from bench.comparison import OPERATIONS, describe, found_equal
from tests.tools import cases

LAYERS = ("batch-64", "wide", "hidden")
"""The layers of the networks that recipes train: a small one, the first of a wide one, and its last."""
TELLING = {
    "affine": LAYERS,
    "affine_backward": LAYERS,
    "relu": ("batch-64", "wide"),
    "relu_backward": ("batch-64", "wide"),
    "softmax": ("hidden",),
    "cross_entropy": ("hidden",),
    "cross_entropy_backward": ("hidden",),
}
"""The cases of an operation; those of other operations are `wide`."""


def telling_cases(call):
    """The cases of a plain call; calls with weights or smoothing are measured only with --benchmark-all-cases."""
    return TELLING.get(call, ("wide",)) if call == cases.operation(call) else ()


def grid(every):
    """The calls and the names of the cases at which they are measured: every one, or those of `telling_cases`."""
    names = [case.name for case in cases.CASES]
    return [(call, name) for call in cases.CALLS for name in (names if every else telling_cases(call))]


def row_of(call, name):
    """The place of a call at a case in the table: the time of a backward call is added to that of its forward call."""
    operation, case = cases.operation(call), cases.named(name)
    sizes = case.W.shape if operation == "update" else case.z.shape
    if operation.startswith("affine"):
        sizes = (*case.x.shape, case.W.shape[1])
    shape = name if name.startswith("random") else f"{name}, {' x '.join(map(str, sizes))}"
    if operation.endswith("_backward") and not operation.startswith("affine"):
        return OPERATIONS, call.replace("_backward", ""), shape, "backward"
    return OPERATIONS, call, shape


def pytest_generate_tests(metafunc):
    chosen = grid(metafunc.config.getoption("benchmark_all_cases"))
    metafunc.parametrize(("call", "case"), chosen, ids=[f"{call}-{name}" for call, name in chosen])


def bench_operation(call, case, kernels, unequal, benchmark):
    describe(benchmark, *row_of(call, case))
    assert call not in unequal, unequal[call]
    found_equal(benchmark)
    benchmark(cases.plain(kernels, cases.operation(call)), *cases.arguments(call, cases.named(case)))
