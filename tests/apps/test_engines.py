"""Dask, Ray and Spark: real local clusters of two processes predict, and search through joblib, with the same bits."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import fnnet
from tests.conftest import ROOT

SECONDS = 240
LIBRARIES = {
    "dask": ("dask", "distributed", "pandas"), "ray": ("ray", "pandas", "pyarrow"), "spark": ("pyspark", "pandas"),
    "loky": ("joblib",),
}  # fmt: skip
ANSWERS = "`key` bigint, `predicted` string, `probability` float, `note` string"


def needs(engine):
    """Skip without the libraries of an engine, or without Java."""
    for library in LIBRARIES[engine]:
        if find_spec(library) is None:
            pytest.skip(f"needs {library}: pip install 'fnnet[engines]'")
    if engine == "spark" and not shutil.which("java"):
        pytest.skip("needs Java: apt-get install default-jre-headless")


def printed(command, folder):
    """What a program prints; it is gone at the end, with all that it started."""
    env = os.environ | {
        "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, *map(str, command)]
    process = subprocess.Popen(command, text=True, cwd=folder, env=env, start_new_session=True, **pipes)
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, err[-4000:]
    return out


@pytest.fixture
def asked(tmp_path, small_images):
    """Ask an engine; return what it found, and the classes in this process, None for the blank image."""
    images = small_images[0].copy()
    images[5], images[44] = 0, 7
    np.save(tmp_path / "images.npy", images)
    names = tuple(f"class {number}" for number in range(10))
    fnnet.save_model(tmp_path / "model.safetensors", fnnet.Model(fnnet.init((784, 20, 10), 3), classes=names))

    def ask(engine):
        needs(engine)
        predicted = fnnet.BatchPredictor(tmp_path / "model.safetensors")(images)["predicted"]
        expected = [each or None for each in predicted.tolist()]
        assert expected.count(None) == 2
        assert len({*expected}) > 3
        return json.loads(printed(["-m", "tests.tools.engines", engine, tmp_path], tmp_path)), expected

    return ask


def refused(found, path="changed.safetensors"):
    ours, line = found
    assert f"{path}: not the file that the predictor was made of; expected SHA-256" in line
    return ours


def test_dask(asked):
    found, expected = asked("dask")
    for way in ("array", "flat", "bag", "bag of single"):
        assert found[way] == expected, way
    assert found["frame"] == expected[:20] + expected[40:]
    assert found["types"][0] == found["types"][1] == ["int64", "string", "float32", "string"]
    assert found["processes"] == 2
    assert len(found["models"]) == 1
    assert refused(found["refusal"])


def test_ray(asked):
    found, expected = asked("ray")
    for way in ("tasks", "actors", "pandas", "columns", "columns of pandas"):
        assert found[way] == expected, way
    assert refused(found["refusal"])


def test_spark(asked):
    found, expected = asked("spark")
    for way in ("bytes", "lists", "lists in lists", "columns"):
        assert found[way] == expected, way
    assert found["some"] == expected[:20] + expected[40:]
    assert found["none"] == []
    assert found["schemas"] == [ANSWERS] * 3
    assert not refused(found["refusal"])  # an error of Spark, with the line in it


BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "scale.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("engine", "library"), [("dask", "distributed"), ("ray", "ray"), ("spark", "pyspark")])
def test_the_example_in_the_document_counts_the_sevens(engine, library, tmp_path, small_images):
    needs(engine)
    pd, pq = pytest.importorskip("pandas"), pytest.importorskip("pyarrow", reason="needs pyarrow")
    (example,) = [block for block in BLOCKS if re.search(f"^(from|import) {library}\\b", block, re.MULTILINE)]
    images = small_images[0]
    np.save(tmp_path / "images.npy", images)
    assert pq
    pd.DataFrame({"key": range(60), "image": [bytes(image) for image in images]}).to_parquet(
        tmp_path / "images.parquet"
    )
    params = next(
        params
        for params in (fnnet.init((784, 10), seed) for seed in range(99))
        if 0 < (fnnet.predict(params, images.reshape(60, -1)) == 7).sum() < 60
    )
    fnnet.save_model(tmp_path / "model.safetensors", fnnet.Model(params))
    (tmp_path / "example.py").write_text(example)
    count = str((fnnet.predict(params, images.reshape(60, -1)) == 7).sum())
    assert printed([tmp_path / "example.py"], tmp_path).split() == [count] * example.count("print(")


@pytest.mark.parametrize("engine", ["loky", "dask", "ray"])
def test_a_search_by_joblib_has_the_bits_of_trainings_one_after_another(engine, tmp_path):
    needs("loky")
    needs(engine)
    program = ROOT / "examples" / "search.py"
    alone = printed([program, "sequential"], tmp_path)
    assert len({line.rpartition(" ")[2] for line in alone.splitlines()}) == 7
    assert printed([program, engine], tmp_path) == alone
