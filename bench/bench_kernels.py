"""Every kernel over the tests' case table, NumPy beside Numba; equality first, then time.

pytest --benchmark-only
pytest --benchmark-only -k "affine and batch-64"
"""

import pytest

from tests import cases


@pytest.mark.parametrize(("operation", "case"), cases.GRID, ids=cases.IDS)
def bench_kernel(operation, case, kernels, benchmark):
    benchmark.group = f"{operation}, {case.name}"
    kernel, arguments = getattr(kernels, operation), cases.arguments(operation, case)
    cases.assert_equal(operation, case, kernel(*arguments))
    benchmark(kernel, *arguments)
