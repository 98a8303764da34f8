"""Fixtures of the benchmarks, and the order in which they run."""

import pytest

import fnnet
from tests.tools import cases


@pytest.fixture(params=["numpy", "numba"])
def kernels(request):
    return fnnet.load_kernels(request.param)


@pytest.fixture(scope="session")
def unequal():
    """The operations that differ from NumPy's at any case of the tests' table, each with the first difference.

    Every case is compared before the first operation is measured: all of them take a fifth of a second.
    """
    numba, found = fnnet.load_kernels("numba"), {}
    for call, case in cases.GRID:
        try:
            cases.assert_equal(call, case, getattr(numba, cases.operation(call))(*cases.arguments(call, case)))
        except AssertionError as error:
            found.setdefault(call, f"{case.name}: {error}")
    return found


def pytest_collection_modifyitems(items):
    """Let NumPy and Numba of one row run one after the other, so that the machine is the same for both."""
    ranks = {}

    def rank(item):
        if "benchmark" not in item.fixturenames:
            return len(ranks)
        params = {name: value for name, value in item.callspec.params.items() if name != "kernels"}
        return ranks.setdefault(f"{item.function.__qualname__} {params}", len(ranks))

    items.sort(key=rank)
