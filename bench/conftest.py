"""The tests' fixtures that benchmarks share."""

from tests.conftest import kernels

__all__ = ["kernels"]
