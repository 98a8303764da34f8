"""`fnnet gradcheck`."""

import pytest

from fnnet.names import ACTIVATIONS


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_gradcheck(jit, run):
    document = run("gradcheck", "--sizes", "9,6,5,4", "--json", jit, "--seed", 3).json
    assert document["passed"]
    assert [array["name"] for array in document["arrays"]] == [f"layer {n} {name}" for n in (1, 2, 3) for name in "Wb"]
    assert "gradient right" in run("gradcheck", "--sizes", "9,6,4").out


def test_gradcheck_of_every_kind(run):
    options = ("--activation", "gelu", "--dropout", "0.2,0.4", "--label-smoothing", 0.1, "--weighted")
    document = run("gradcheck", "--sizes", "6,9,8,4", *options, "--json").json
    assert document["passed"]
    assert (document["activation"], document["dropout"], document["label_smoothing"]) == ("gelu", [0.2, 0.4], 0.1)
    assert document["weighted"]
    run("gradcheck", "--dropout", 1).failed(2, "--dropout", "less than 1")
    run("gradcheck", "--dropout", "0.1,0.2").failed(2, "--dropout", "one for each of 1 hidden layers", "found 2")
    run("gradcheck", "--label-smoothing", 1).failed(2, "--label-smoothing", "less than 1")


def test_gradcheck_fails_on_a_wrong_gradient(run, monkeypatch):
    from fnnet.core import operations, table
    from fnnet.core.table import NUMPY

    def wrong(da, z):
        return 1.001 * operations.relu_backward(da, z)

    activations = {**operations.ACTIVATIONS, "relu": operations.Activation(operations.relu, wrong, kinked=True)}
    changed = NUMPY._replace(operations=NUMPY.operations._replace(activations=activations))
    monkeypatch.setattr(table, "NUMPY", changed)
    result = run("gradcheck", "--sizes", "9,6,4")
    assert result.code == 1
    assert result.out.count("WRONG") == 3  # W and b of the first layer, and the verdict


@pytest.mark.parametrize("options", [("--dropout", 0.99), ("--sizes", "2,2,2")])
def test_gradients_that_are_0_are_right(options, run):
    """Rounding is all that a difference quotient shows of them."""
    for seed in range(8):
        assert run("gradcheck", *options, "--seed", seed, "--sizes", "3,2,2").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sizes", "3"), ("--sizes", "too few layer sizes")),
        (("--sizes", "99999,99999"), ("--sizes", "network too large")),
        (("--sizes", "3,2", "--dropout", "0.5,0.5"), ("--dropout", "no effect without hidden layers")),
        (("--sizes", "3,2", "--dropout", "0.5"), ("--dropout", "no effect without hidden layers")),
        *((("--sizes", "3,2", "--activation", name), ("--activation", "no effect without")) for name in ACTIVATIONS),
    ],
)
def test_what_the_sizes_do_not_allow_is_refused_at_its_option(options, words, run):
    result = run("gradcheck", *options)
    result.failed(2, *words)
    assert result.err.startswith(f"error: {words[0]}: ")


def test_a_network_without_hidden_layers_is_checked(run):
    for options in ((), ("--dropout", 0), ("--weighted", "--label-smoothing", 0.1)):
        document = run("gradcheck", "--sizes", "3,2", "--json", *options).json
        assert document["passed"]
        assert document["activation"] == "relu"
