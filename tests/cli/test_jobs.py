"""docs/jobs.md: each command runs, and so do the same jobs in the libraries beside it; its table is what is counted."""

import ast
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from fnnet import data
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "jobs.md").read_text()
JOBS = re.findall(r"^## (\d+)\. (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
IMPORTS = {
    "scikit-learn": """
from scipy.ndimage import rotate, shift
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_val_predict, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import joblib
""",
    "Keras": """
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from sklearn.model_selection import StratifiedKFold, train_test_split
import itertools, keras, pathlib
from keras.layers import *
""",
}
BOTH = """
import matplotlib; matplotlib.use("agg")
import warnings; warnings.simplefilter("ignore")
import numpy as np, pandas, PIL.Image
"""


def commands(job):
    (block,) = re.findall(r"^```console\n(.*?)^```$", job, re.MULTILINE | re.DOTALL)
    return [shlex.split(line.removeprefix("$ fnnet ")) for line in block.splitlines()]


def program(job, library):
    (block,) = re.findall(rf"^```python\n(# {library}.*?)^```$", job, re.MULTILINE | re.DOTALL)
    return block


def steps(code):
    """Statements, those in loops too."""
    return sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(code)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    digits = data.load("digits")
    parts = {"train": digits.train, "test": digits.test}
    arrays = {f"x_{name}": part.x[:200].reshape(-1, 28, 28) for name, part in parts.items()}
    np.savez(folder / "digits.npz", **arrays, **{f"y_{name}": part.labels[:200] for name, part in parts.items()})
    shutil.copy(ROOT / "docs" / "two.png", folder)
    sklearn = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn: pip install scikit-learn")
    wine = sklearn.load_wine(as_frame=True)
    table = wine.data.assign(cultivar=wine.target_names[wine.target])
    table.to_csv(folder / "wine.csv", index=False)
    wine.data[::5].to_csv(folder / "new.csv", index=False)
    return folder


def test_there_are_twelve():
    assert [int(number) for number, _, _ in JOBS] == [*range(1, 13)]


def test_the_table_is_what_is_counted():
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    counted = [
        (number, title, str(len(commands(job))), *(str(steps(program(job, library))) for library in IMPORTS))
        for number, title, job in JOBS
    ]
    assert rows == counted
    assert all(int(own) <= min(int(theirs), int(others)) for _, _, own, theirs, others in rows)


def test_the_commands_run(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    for _, _, job in JOBS:
        for command in commands(job):
            done = run(*command)
            assert done.code == 0, done.err
    for name in ("confusion.png", "answers.csv", "best.safetensors", "runs.png", "suspects.csv"):
        assert (folder / name).stat().st_size, name


@pytest.mark.parametrize("library", IMPORTS)
def test_the_programs_beside_them_run(folder, library):
    pytest.importorskip({"scikit-learn": "sklearn", "Keras": "keras"}[library], reason=f"needs {library}")
    code = "\n".join([BOTH, IMPORTS[library], *(program(job, library) for _, _, job in JOBS)])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
