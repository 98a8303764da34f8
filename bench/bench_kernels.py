"""Every kernel over the tests' case table, NumPy beside Numba; equality first, then time.

pytest --benchmark-only
pytest --benchmark-only -k "affine and batch-64"
"""

import pytest

from tests.tools import cases


@pytest.mark.parametrize(("call", "case"), cases.GRID, ids=cases.IDS)
def bench_kernel(call, case, kernels, benchmark):
    benchmark.group = f"{call}, {case.name}"
    kernel, arguments = getattr(kernels, cases.operation(call)), cases.arguments(call, case)
    cases.assert_equal(call, case, kernel(*arguments))
    benchmark(kernel, *arguments)
