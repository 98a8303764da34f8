"""A trace is what training computes, bit for bit; its equations are true, and its differences find a wrong gradient."""

import importlib
import math
import re
import subprocess
import sys

import numpy as np
import pytest

import fnnet
from fnnet.apps.trace import computing, trace
from fnnet.apps.trace.document import document_of
from fnnet.apps.trace.equations import NEW_LOSS, NEW_PROBS
from fnnet.apps.trace.steps import BACKWARD, FORWARD, PARTS
from fnnet.apps.trace.worked import worked
from fnnet.core import operations, public_optimizers
from fnnet.core.optimizers import trees_of
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.names import ACTIVATIONS, STEPPING
from tests.conftest import ROOT
from tests.tools.tolerance import assert_bitwise

SIZES = [(6, 3), (6, 5, 3), (6, 5, 4, 3), (6, 5, 4, 4, 3)]


def problem(sizes=SIZES[1], images=1, dtype="float32", seed=0):
    """A network with biases, and images of bytes with their labels."""
    rng = np.random.default_rng([len(sizes), images, seed])
    params = fnnet.init(sizes, seed, scheme="notebook", dtype=dtype)
    return params, rng.integers(0, 256, (images, sizes[0]), np.uint8), rng.integers(0, sizes[-1], images)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_trace_is_what_training_computes(sizes, activation):
    for images, smoothing, dtype in ((1, 0.0, "float32"), (5, 0.1, "float32"), (5, 0.0, "float64")):
        params, x, labels = problem(sizes, images, dtype)
        found = trace(
            params, x, labels, activation=activation, label_smoothing=smoothing, learning_rate=0.3, differences=False
        )
        activations = fnnet.forward(params, x, activation=activation)
        grads = fnnet.backward(params, activations, labels, label_smoothing=smoothing)
        updated = fnnet.update(params, grads, 0.3)
        for layer in range(1, len(sizes)):
            z = "logits" if layer == len(sizes) - 1 else f"z{layer}"
            assert_bitwise(found.step(z).result, activations.z[layer - 1])
            assert_bitwise(found.step("x" if layer == 1 else f"a{layer - 1}").result, activations.a[layer - 1])
            for letter in "Wb":
                wanted = getattr(grads[layer - 1], letter)
                assert_bitwise(found.step(f"d{letter}{layer}").result, wanted)
                assert_bitwise(found.step(f"{letter}{layer}").result, getattr(updated[layer - 1], letter))
        assert_bitwise(found.step("probs").result, activations.probs)
        assert (found.grads, found.updated) == (grads, updated)
        options = {"activation": activation, "label_smoothing": smoothing}
        assert found.loss == found.step("loss").result == fnnet.loss(params, x, labels, **options)
        assert found.new_loss == found.step(NEW_LOSS).result == fnnet.loss(updated, x, labels, **options)
        assert_bitwise(found.step(NEW_PROBS).result, fnnet.forward(updated, x, activation=activation).probs)


def test_a_trace_with_another_function_in_its_place_differs(monkeypatch):
    """The comparison above finds a step that training does not make."""
    params, x, labels = problem()
    monkeypatch.setattr(computing.ops, "affine_backward", wrong_by(1 + 2**-20, operations.affine_backward))
    found = trace(params, x, labels, differences=False)
    assert found.grads != fnnet.backward(params, fnnet.forward(params, x), labels)


def wrong_by(factor, function):
    def changed(*given, **more):
        return tuple(None if each is None else each * each.dtype.type(factor) for each in function(*given, **more))

    return changed


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", STEPPING)
def test_each_optimizer_makes_its_first_step(name, decay):
    params, x, labels = problem((6, 5, 3), 4)
    optimizer = public_optimizers.make(name, weight_decay=decay)
    found = trace(params, x, labels, optimizer=optimizer, learning_rate=0.05, differences=False)
    grads = fnnet.backward(params, fnnet.forward(params, x), labels)
    updated, state = optimizer.update(params, grads, optimizer.init(params), 0.05)
    assert found.updated == updated
    moments = [each.name for each in found.steps if re.fullmatch("[vms][Wb][0-9]", each.name)]
    assert len(moments) == 4 * len(trees_of(state))
    letters = list(dict.fromkeys(each[0] for each in moments))
    for letter, tree in zip(letters, trees_of(state), strict=True):
        for layer, (W, b) in enumerate(tree, 1):
            assert_bitwise(found.step(f"{letter}W{layer}").result, W)
            assert_bitwise(found.step(f"{letter}b{layer}").result, b)


NAMES = {
    "max": np.maximum, "where": np.where, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sign": np.sign,
    "mean": np.mean, "sum": lambda array: array.sum(axis=1), "softmax": operations.softmax,
    **{name: formula.value for name, formula in operations.ACTIVATIONS.items()},
    **{f"{name}_slope": lambda z, formula=formula: formula.backward(np.ones_like(z), z)
       for name, formula in operations.ACTIVATIONS.items()},
}  # fmt: skip


def computed(step):
    """What the text of an equation makes of its operands."""
    right = re.split(":?= ", step.equation, maxsplit=1)[1].replace("'(", "_slope(")
    names = {each.name: np.asarray(each.value) for each in step.operands}
    return eval(right, {**NAMES, **names, "__builtins__": {}})  # noqa: S307


def all_kinds():
    for activation in ACTIVATIONS:
        yield pytest.param({"activation": activation, "label_smoothing": 0.1}, 3, id=activation)
    for name in STEPPING:
        for decay in (0.0, 0.1):
            optimizer = public_optimizers.make(name, weight_decay=decay)
            yield pytest.param({"optimizer": optimizer}, 1, id=f"{name}-{decay}")


@pytest.mark.parametrize(("options", "images"), [*all_kinds()])
def test_the_text_of_each_equation_makes_its_result_of_its_operands(options, images):
    found = trace(*problem((6, 5, 4, 3), images, "float64"), differences=False, **options)
    checked = 0
    for step in found.steps:
        if step.name in (NEW_PROBS, NEW_LOSS):
            continue
        made = computed(step)
        np.testing.assert_allclose(made, step.result, rtol=1e-9, atol=1e-12, err_msg=step.equation)
        assert np.shape(made) == step.shape or (step.name, np.shape(made)) == ("loss", (1,))
        checked += 1
    assert checked == len(found.steps) - 2 >= 24


def test_a_wrong_text_is_found():
    step = trace(*problem(dtype="float64"), differences=False).step("W1")
    wrong = step._replace(template=step.template.replace("-", "+"))
    assert not np.allclose(computed(wrong), step.result)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_each_gradient_has_right_differences(sizes):
    for images, smoothing, activation in ((1, 0.0, "relu"), (3, 0.2, "tanh"), (2, 0.0, "gelu")):
        options = {"label_smoothing": smoothing, "activation": activation}
        found = trace(*problem(sizes, images), **options)
        with_differences = [each for each in found.steps if each.difference]
        assert with_differences == [each for each in found.steps if each.part == BACKWARD]
        for step in with_differences:
            difference = step.difference
            assert difference.verdict == "right", step.name
            assert difference.taken == difference.slopes.size == step.result.size
            known = ~np.isnan(difference.slopes)
            np.testing.assert_allclose(difference.slopes[known], step.result[known], rtol=1e-4, atol=1e-5)


def test_a_wrong_gradient_is_found():
    def backward(da, z):
        return 1.001 * operations.tanh_backward(da, z)

    found = trace(*problem(SIZES[1], 2), activation=fnnet.Activation(np.tanh, backward))
    assert found.activation == "activation"
    assert (found.step("a1").equation, found.step("a1").function) == ("a1 = activation(z1)", "operations.Activation")
    verdicts = {each.name: each.difference.verdict for each in found.steps if each.difference}
    assert verdicts == {
        "dlogits": "right", "dW2": "right", "db2": "right", "da1": "right", "dz1": "WRONG", "dW1": "WRONG",
        "db1": "WRONG",
    }  # fmt: skip
    assert "WRONG" in found.step("dW1").difference.words


def test_kinks_are_told_apart():
    params = fnnet.Params((fnnet.Layer(np.ones((1, 2)), np.array([-1.0, 1.0])), *fnnet.init((2, 2), dtype="float64")))
    difference = trace(params, [[1.0]], [0]).step("db1").difference
    assert difference.kinks.tolist() == [True, False]
    assert (difference.verdict, difference.text((0,))) == ("right", "kink")
    assert "1 of 2 compared, 1 at kinks: right" in difference.words


def test_of_a_large_array_the_largest_gradients_are_compared(monkeypatch):
    monkeypatch.setattr(computing, "WORK", 1)
    step = trace(*problem((40, 20, 3))).step("dW1")
    taken = ~np.isnan(step.difference.slopes) | step.difference.kinks
    assert step.difference.taken == taken.sum() == computing.FEWEST
    assert abs(step.result[taken]).min() >= abs(step.result[~taken]).max()
    assert step.difference.verdict == "right"
    assert "16 of 800 compared" in step.difference.words


@pytest.mark.parametrize("scale", [1e-6, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("label", [0, 1])
def test_a_sure_network_has_no_wrong_gradients(scale, label):
    params = fnnet.init((5, 2), 3, dtype="float64")
    params = fnnet.Params(tuple(fnnet.Layer(scale * W, b) for W, b in params))
    found = trace(params, np.ones((1, 5)), [label], learning_rate=1e-3)
    verdicts = {each.difference.verdict for each in found.steps if each.difference}
    if 0 < found.loss < 1e-9:
        assert verdicts == {"not decided"}
        assert found.step("db1").difference.words == "0 of 2 compared, 2 lost in rounding: not decided"
    else:
        assert verdicts == {"right"}


def test_a_trace_changes_nothing_and_is_read_only():
    params, x, labels = problem()
    own = fnnet.Params(tuple(fnnet.Layer(W.copy(), b.copy()) for W, b in params))
    floats = x.astype(np.float32)
    for given in (x, floats):
        before = given.copy()
        found = trace(own, given, labels)
        assert own == params
        assert (given == before).all()
        assert given.flags.writeable
        assert all(array.flags.writeable for layer in own for array in layer)
    for step in found.steps:
        for value in (step.result, *(each.value for each in step.operands)):
            assert not isinstance(value, np.ndarray) or not value.flags.writeable
    assert trace(own, floats, labels) == found
    assert found != trace(own, floats, (labels + 1) % 3)


def test_every_function_exists():
    for name in STEPPING:
        for step in trace(*problem(), optimizer=public_optimizers.make(name), differences=False).steps:
            module, _, function = step.function.partition(".")
            assert callable(getattr(importlib.import_module(f"fnnet.core.{module}"), function)), step.function


def test_a_model_gives_its_activation_its_classes_and_the_shape_of_its_images():
    params, x, labels = problem((6, 5, 3))
    model = fnnet.Model(params, "tanh", ("a", "b", "c"), (2, 3))
    found = trace(model, x, labels, differences=False)
    assert (found.activation, found.classes, found.image_shape) == ("tanh", ("a", "b", "c"), (2, 3))
    plain = trace(params, x, labels, activation="tanh", differences=False)
    assert (plain.classes, plain.image_shape) == (("0", "1", "2"), None)
    assert plain.steps == found.steps
    assert repr(found) == f"Trace(6-5-3, 1 image, 19 steps, loss {found.loss:.4g} -> {found.new_loss:.4g})"
    assert [each.part for each in found.steps] == sorted((each.part for each in found.steps), key=PARTS.index)
    with pytest.raises(KeyError):
        found.step("W9")


def test_an_optimizer_of_other_rules_shows_its_result():
    params, x, labels = problem()
    for optimizer in (fnnet.clipped(fnnet.sgd(), 0.01), fnnet.averaged(fnnet.momentum(), 0.9)):
        found = trace(params, x, labels, optimizer=optimizer, differences=False)
        grads = fnnet.backward(params, fnnet.forward(params, x), labels)
        assert found.updated == optimizer.update(params, grads, optimizer.init(params), 0.05)[0]
        assert found.step("W1").equation == "W1 := update(W1, dW1, learning_rate)"
        assert worked(found.step("W1")).startswith("W1[")


WRONG = [
    ({"labels": [3]}, UsageError, "label out of range"),
    ({"labels": [0, 1]}, UsageError, "labels do not fit"),
    ({"x": np.ones((1, 5))}, UsageError, "x does not fit"),
    ({"x": np.full((1, 6), np.nan)}, UsageError, "x is not finite"),
    ({"x": np.full((1, 6), 3e38)}, DivergedError, "before the step, layer 1"),
    ({"learning_rate": 1e38}, DivergedError, "after the step"),
    ({"learning_rate": -1}, UsageError, "learning_rate"),
    ({"label_smoothing": 1}, UsageError, "label_smoothing"),
    ({"optimizer": "adam"}, ArgumentTypeError, "optimizer"),
    ({"activation": "cube"}, UsageError, "activation"),
    ({"params": fnnet.Committee((problem()[0], problem()[0]))}, ArgumentTypeError, "a committee of 2"),
]


@pytest.mark.parametrize(("change", "error", "words"), WRONG, ids=[words for _, _, words in WRONG])
def test_what_does_not_fit_is_refused(change, error, words):
    params, x, labels = problem()
    given = {"params": params, "x": 30 * x.astype(np.float32), "labels": labels, **change}
    with pytest.raises(error, match=re.escape(words)):
        trace(given.pop("params"), given.pop("x"), given.pop("labels"), **given)


def test_an_equation_is_worked_out_in_numbers():
    params = fnnet.Params((
        fnnet.Layer(np.array([[0.5, -1.0], [0.25, 0.5], [2.0, -0.5]]), np.array([0.125, 0.0])),
        fnnet.Layer(np.array([[1.0, -1.0, 0.0], [0.5, 0.0, 0.0]]), np.zeros(3)),
    ))  # fmt: skip
    found = trace(params, [[1.0, 2.0, -0.5]], [1], learning_rate=0.5, differences=False)
    assert [worked(found.step(name)) for name in ("z1", "a1", "logits")] == [
        "z1[0, 1] = 1·(-1) + 2·0.5 + 1 more + 0 = 0.25",
        "a1[0, 1] = max(0.25, 0) = 0.25",
        "logits[0, 0] = 0.125·1 + 0.25·0.5 + 0 = 0.25",
    ]
    total = sum(math.exp(logit) for logit in (0.25, -0.125, 0.0))
    p, q, whole = math.exp(0.25) / total, math.exp(-0.125) / total, math.log(total)
    assert worked(found.step("probs")) == f"probs[0, 0] = exp(0.25 - 0.25) / {1 / p:.4g} = {p:.4g}"
    assert worked(found.step("loss")) == f"loss = {whole:.4g} - (-0.125) = {whole + 0.125:.4g}"
    assert worked(found.step("dlogits")) == f"dlogits[0, 1] = ({q:.4g} - 1) / 1 = {q - 1:.4g}"
    assert worked(found.step("db2")) == f"db2[1] = {q - 1:.4g}"
    da = p - q + 1
    assert worked(found.step("da1")) == f"da1[0, 0] = ({q - 1:.4g})·(-1) + {p:.4g}·1 = {da:.4g}"
    assert worked(found.step("dz1")) == f"dz1[0, 0] = {da:.4g}·(0.125 > 0) = {da:.4g}"
    assert worked(found.step("dW1")) == f"dW1[1, 0] = 2·{da:.4g} = {2 * da:.4g}"
    assert worked(found.step("b2")) == f"b2[1] = 0 - 0.5·({q - 1:.4g}) = {(1 - q) / 2:.4g}"
    assert worked(found.step(NEW_LOSS)) == ""


def test_the_document_has_every_number_of_a_small_network():
    found = trace(*problem(images=2))
    document = document_of(found)
    assert [each["name"] for each in document["steps"]] == [each.name for each in found.steps]
    for entry, step in zip(document["steps"], found.steps, strict=True):
        assert np.array_equal(np.asarray(entry["result"], np.asarray(step.result).dtype), step.result)
        assert entry["shape"] == list(step.shape)
        assert (entry["difference"] is None) == (step.difference is None)
    assert document["parameters"]["W1"] == found.params[0].W.tolist()
    large = document_of(trace(fnnet.init((120, 100, 2)), np.ones((1, 120)), [0], differences=False))
    entry = next(each for each in large["steps"] if each["name"] == "dW1")
    assert entry["result"] is large["parameters"]["W1"] is None
    assert len(entry["largest"]) == 6


def test_the_python_example_of_the_page_runs(tmp_path):
    (example,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "trace.md").read_text(), re.MULTILINE | re.DOTALL
    )
    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 19


def test_parts_follow_one_another():
    found = trace(*problem(), differences=False)
    assert [each.name for each in found.steps if each.part == FORWARD] == ["x", "z1", "a1", "logits", "probs", "loss"]
