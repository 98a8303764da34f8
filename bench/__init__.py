"""Benchmarks (`pytest --benchmark-only`), and programs that measure."""
