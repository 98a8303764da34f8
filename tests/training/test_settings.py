"""What a session refuses before it trains: each error names what does not fit."""

import json

import numpy as np
import pytest

from fnnet import data
from fnnet.core.deform import Deformation
from fnnet.core.state import Examples
from fnnet.errors import ArgumentTypeError, DataError, UsageError
from fnnet.training.dev_set import load_dev_set
from fnnet.training.rate_search import find_learning_rate
from fnnet.training.recipes import Recipe
from fnnet.training.session import prepare, train

FIGURES = {"epochs": 1, "batch_size": 32, "learning_rate": 0.1}
MINE = Recipe("mine", "of the user's own", (4,), "he", 10, FIGURES)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def job(digits):
    return prepare(digits, MINE)


@pytest.mark.parametrize("hidden", [(0,), ("a",), (10**9,), (2.5,), "a", 5, None], ids=repr)
def test_hidden_sizes_that_do_not_fit(digits, hidden):
    with pytest.raises(UsageError, match="hidden"):
        prepare(digits, MINE, {"hidden": hidden})


@pytest.mark.parametrize("name", [3, None])
def test_a_setting_s_name_that_is_not_text(digits, name):
    with pytest.raises(UsageError, match=f"{name}: unknown setting"):
        prepare(digits, MINE, {name: 1})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan": None}, "recipe: plan; expected a mapping, found NoneType"),
        ({"plan": {}}, "recipe: plan without a field; expected epochs"),
        ({"plan": {"epochs": 1, "batch_size": 32}}, "expected learning_rate, found epochs, batch_size"),
        ({"plan": {**FIGURES, "colour": 1}}, "recipe: plan with an unknown field; .* found 'colour'"),
        ({"name": 3}, "recipe: name of the recipe; expected a text, found 3"),
    ],
    ids=str,
)
def test_a_recipe_that_lacks_something(digits, change, words):
    with pytest.raises(UsageError, match=words):
        prepare(digits, MINE._replace(**change))


def test_numbers_of_numpy_in_a_recipe_become_plain(digits):
    figures = {**FIGURES, "epochs": np.int64(1), "learning_rate": np.float32(0.5)}
    deformation = Deformation(shift=np.float32(1))
    job = prepare(digits, MINE._replace(plan=figures, dev=np.int64(10)), {"deformation": deformation})
    assert type(job.plan.epochs) is int
    assert type(job.plan.learning_rate) is float
    json.dumps(job.plan._asdict())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, labels: (x[:, :5], labels), r"dev_set: images differ; expected shape \(n, 784\), found \(\d+, 5\)"),
        (lambda x, labels: (x, labels[:5]), "dev_set: labels do not fit x"),
        (lambda x, labels: (x, labels + 5), "dev_set: .*expected 0 to 9"),
    ],
    ids=["width", "count", "classes"],
)
def test_a_dev_set_that_does_not_fit(digits, change, words):
    with pytest.raises(UsageError, match=words):
        prepare(digits, MINE, dev_set=Examples(*change(*digits.test)))


def test_a_missing_dev_set_names_no_command(digits, tmp_path):
    with pytest.raises(DataError, match="dev_data: no such data set") as told:
        load_dev_set(tmp_path / "none", digits)
    assert "fnnet" not in str(told.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("call", [train, find_learning_rate])
def test_arguments_of_another_kind(job, call):
    with pytest.raises(ArgumentTypeError, match="job; expected a Job, as prepare returns it, found str"):
        call("x")
    with pytest.raises(ArgumentTypeError, match="kernels; expected a table"):
        call(job, kernels="numba")


def test_a_run_dir_that_is_no_path(job):
    with pytest.raises(ArgumentTypeError, match="run_dir; expected the path of a folder, found 5"):
        train(job, run_dir=5)


def test_lbfgs_has_no_learning_rate_to_find(digits):
    job = prepare(digits, "classic", {"optimizer": "lbfgs", "hidden": (4,)})
    with pytest.raises(UsageError, match=r"optimizer: has no learning rate; expected sgd or .* found lbfgs"):
        find_learning_rate(job)
