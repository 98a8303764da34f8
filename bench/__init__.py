"""Benchmarks over the tests' case table, and programs that measure."""
