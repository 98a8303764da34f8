"""Plain `pytest` runs tests/ and leaves bench/ alone; `pytest --benchmark-only` runs bench/ and nothing else.

`pytest bench --benchmark-disable` runs every benchmark once, as a test.
"""

from pathlib import Path

import pytest

pytest_plugins = ["bench.comparison"]
BENCH = Path(__file__).parent / "bench"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    inside = BENCH in (collection_path, *collection_path.parents)
    if config.getoption("benchmark_only", default=False):
        return True if collection_path.is_file() and not inside else None
    named = any(BENCH in (path, *path.parents) for path in map(_path, config.invocation_params.args))
    return True if inside and not named else None


def _path(argument: object) -> Path:
    return Path(str(argument).split("::", 1)[0]).resolve()
