"""Weights from and to other libraries: what they predict is the same."""

import importlib.util
import os
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

import fnnet
from fnnet.errors import FnnetError
from tests.conftest import ROOT

DRAW = np.random.default_rng(0)
X = DRAW.standard_normal((60, 6))
Y = np.array(["ant", "bee", "cow"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0)]
TWO = np.where(X[:, 0] * X[:, 1] > 0, 5, -3)
SEVERAL = (X[:, :2] > 0).astype(int)
SQUARE = {"W": np.eye(3), "b": np.zeros(3)}


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def mlp(y, activation="relu", hidden=(8, 5), x=X):
    return MLPClassifier(hidden, activation=activation, max_iter=60, random_state=0).fit(x, y)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("labels", [Y, TWO], ids=["three", "two"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_from_scikit_learn_and_back(activation, labels, dtype):
    x = X.astype(dtype)
    theirs = mlp(labels, activation, x=x)
    model = fnnet.from_sklearn(theirs)
    near = {"rtol": 1e-9 if dtype == np.float64 else 1e-3, "atol": 1e-9 if dtype == np.float64 else 1e-4}
    np.testing.assert_allclose(fnnet.probabilities(model, x), theirs.predict_proba(x), **near)
    assert fnnet.predict(model, x).tolist() == theirs.predict(x).astype(str).tolist()
    assert model.params[0].W.dtype == dtype
    assert not model.params[0].W.flags.writeable
    assert model.image_shape == (1, 6)
    back = fnnet.to_sklearn(model, classes=theirs.classes_)
    np.testing.assert_allclose(back.predict_proba(x), theirs.predict_proba(x), **near)
    assert back.predict(x).tolist() == theirs.predict(x).tolist()
    assert [each.shape for each in back.coefs_] == [each.shape for each in theirs.coefs_]
    assert back.classes_.tolist() == theirs.classes_.tolist()
    before = back.score(x, labels)
    for _ in range(50):
        back.partial_fit(x, labels)
    assert back.score(x, labels) >= before


def test_a_classifier_and_a_model_are_one_another():
    ours = fnnet.FNNetClassifier((8,), activation="tanh", random_state=0).fit(X, Y)
    model = fnnet.from_sklearn(ours)
    np.testing.assert_allclose(fnnet.probabilities(model, X), ours.predict_proba(X))
    assert (model.activation, model.classes) == ("tanh", ("ant", "bee", "cow"))
    np.testing.assert_allclose(fnnet.to_sklearn(ours).predict_proba(X), ours.predict_proba(X))
    numbered = fnnet.FNNetClassifier((8,), random_state=0).fit(X, TWO)
    assert fnnet.to_sklearn(numbered).predict(X).tolist() == numbered.predict(X).tolist()


def test_classes_in_any_order_and_a_committee():
    params = [fnnet.init((6, 4, 3), seed, scheme="notebook", dtype=np.float64) for seed in (1, 2)]
    for network in (params[0], fnnet.Committee(tuple(params))):
        model = fnnet.Model(network, "relu", ("c", "a", "b"), (1, 6))
        theirs = fnnet.to_sklearn(model)
        assert theirs.predict(X).tolist() == fnnet.predict(model, X).tolist()
        assert theirs.classes_.tolist() == ["a", "b", "c"]
    assert fnnet.from_sklearn(mlp(TWO), image_shape=(2, 3)).image_shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fnnet.from_sklearn(MLPClassifier()), "not a classifier with weights; .* found MLPClassifier"),
        (
            lambda: fnnet.from_sklearn(MLPRegressor(hidden_layer_sizes=(3,)).fit(X, X[:, 0])),
            "not a classifier with weights",
        ),
        (lambda: fnnet.from_sklearn(mlp(SEVERAL)), "the outputs are not those of classes"),
        (lambda: fnnet.from_sklearn(mlp(TWO), image_shape=(2, 2)), "image_shape; expected 6 inputs"),
        (lambda: fnnet.to_sklearn(fnnet.Model(fnnet.init((4, 3, 2)), "silu")), "not the same function in both"),
        (lambda: fnnet.to_sklearn(fnnet.Model(fnnet.init((4, 3, 2))), classes=[1, 2, 3]), "classes; expected 2 labels"),
        (lambda: fnnet.to_sklearn(3), "not a classifier with weights; .* found int"),
        (lambda: fnnet.from_torch(3), "not a module of PyTorch; .* found int"),
        (lambda: fnnet.from_keras(3), "not a model of Keras; .* found int"),
        (lambda: fnnet.from_tree(3), "not a tree of layers; .* found int"),
        (lambda: fnnet.from_tree([{"W": np.ones((4, 2))}]), "layer 1: not a layer; .* found W"),
        (lambda: fnnet.from_tree([{"W": np.ones((4, 2)), "b": np.ones(3)}]), "layer 1: layers do not fit"),
        (lambda: fnnet.from_tree([(np.ones((4, 2)),)]), "layer 1: not a layer"),
        (lambda: fnnet.from_tree({"hidden": SQUARE, "decoder": SQUARE}), "order that is not known.*found hidden, deco"),
        (lambda: fnnet.from_tree([SQUARE | {"scale": np.ones(3)}]), "layer 1: not a layer.*found W, b, scale"),
    ],
)
def test_what_cannot_be_converted_is_one_line(call, message):
    with pytest.raises(FnnetError, match=message) as info:
        call()
    assert "\n" not in str(info.value)


# Trees of JAX.


def test_trees_of_any_form_are_the_same():
    params = fnnet.init((6, 5, 4, 3), 1)
    tree = fnnet.to_tree(params)
    assert [type(layer) for layer in tree] == [dict] * 3
    assert tree[0]["W"].flags.writeable
    flax = {"params": {f"Dense_{at}": {"kernel": layer["W"], "bias": layer["b"]} for at, layer in enumerate(tree)}}
    many = {f"layer{9 + at}": layer for at, layer in enumerate(tree)}
    haiku = {
        f"linear{end}": {"w": layer["W"], "b": layer["b"]}
        for end, layer in zip(("_2", "_1", ""), tree[::-1], strict=True)
    }
    pairs = [(layer["W"], layer["b"]) for layer in tree]
    for given in (tree, [*tree], pairs, flax, flax["params"], many, haiku, params):
        assert fnnet.from_tree(given) == params
    model = fnnet.Model(params, classes=("a", "b", "c"), image_shape=(2, 3))
    assert fnnet.from_tree(fnnet.to_tree(model)) == params


def test_optax_trains_a_tree():
    jax = pytest.importorskip("jax", reason="needs jax: pip install jax")
    optax = pytest.importorskip("optax", reason="needs optax: pip install optax")
    model = fnnet.Model(fnnet.init((6, 5, 3), 1), "tanh", ("a", "b", "c"), (1, 6))
    x = np.float32(X)

    def logits(tree):
        a = x
        for number, layer in enumerate(tree):
            a = (jax.numpy.tanh(a) if number else a) @ layer["W"] + layer["b"]
        return a

    def loss(tree):
        return optax.softmax_cross_entropy_with_integer_labels(
            logits(tree), np.unique(Y, return_inverse=True)[1]
        ).mean()

    optimizer, tree = optax.adam(0.1), jax.tree.map(jax.numpy.asarray, fnnet.to_tree(model))
    np.testing.assert_allclose(logits(tree), fnnet.scores(model, x), rtol=1e-5, atol=1e-5)
    state, before = optimizer.init(tree), loss(tree)
    gradient = jax.jit(jax.grad(loss))
    for _ in range(5):
        updates, state = optimizer.update(gradient(tree), state)
        tree = optax.apply_updates(tree, updates)
    assert loss(tree) < before
    found = model._replace(params=fnnet.from_tree(tree))
    assert found.params[0].W.dtype == np.float32
    np.testing.assert_allclose(logits(tree), fnnet.scores(found, x), rtol=1e-5, atol=1e-5)


# PyTorch and Keras, by what their objects have.


class Tensor:
    def __init__(self, array):
        self._array, self.shape = array, array.shape

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self._array


def module(kind, *children, **attributes):
    """An object as one of PyTorch of this kind."""
    methods = {"children": lambda self: iter({*children}), "__iter__": lambda self: iter(children)}
    return type(kind, (types.SimpleNamespace,), methods | {"__hash__": object.__hash__})(**attributes)


def linear(W, b):
    return module("Linear", weight=Tensor(W.T), bias=None if b is None else Tensor(b))


PARAMS = fnnet.init((6, 5, 4, 3), 1, scheme="notebook", dtype=np.float64)
FIRST, SECOND, THIRD = (linear(*layer) for layer in PARAMS.layers)


def sequential(between="ReLU", attributes=None, last=(), params=PARAMS):
    (first, second, third) = (linear(*layer) for layer in params.layers)
    between = module(between, **attributes or {})
    inner = module("Sequential", between, module("Dropout"), second)
    end = [module(kind, dim=dim) for kind, dim in last]
    return module("Sequential", module("Flatten"), first, inner, between, third, *end)


TORCH = {
    "ReLU": ("relu", {}), "Tanh": ("tanh", {}), "Sigmoid": ("sigmoid", {}), "SiLU": ("silu", {}), "Mish": ("mish", {}),
    "GELU": ("gelu", {"approximate": "none"}), "ELU": ("elu", {"alpha": 1.0}), "Identity": ("linear", {}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": 0.01}),
}  # fmt: skip


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("last", [(), [("Softmax", 1)], [("LogSoftmax", -1)], [("Softmax", None)]])
def test_modules_of_torch(kind, last):
    activation, attributes = TORCH[kind]
    model = fnnet.from_torch(sequential(kind, attributes, last), classes=["a", "b", "c"], image_shape=(2, 3))
    assert (model.params, model.activation) == (PARAMS, activation)
    assert (model.classes, model.image_shape) == (("a", "b", "c"), (2, 3))


def test_one_logistic_unit_of_torch_is_two_of_softmax():
    W, b = DRAW.standard_normal((6, 1)), DRAW.standard_normal(1)
    for last in ((), ("Sigmoid",)):
        model = fnnet.from_torch(module("Sequential", linear(W, b), *map(module, last)))
        np.testing.assert_allclose(fnnet.probabilities(model, X)[:, 1], 1 / (1 + np.exp(-(X @ W + b)[:, 0])))
        assert model.classes == ("0", "1")
    assert fnnet.from_torch(module("Sequential", linear(W, None))).params[-1].b.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (sequential("PReLU"), "layer 2: a layer that fnnet does not have; .* found PReLU"),
        (sequential("ELU", {"alpha": 0.5}), "layer 2: alpha of ELU; expected 1.0, found 0.5"),
        (sequential("GELU", {"approximate": "tanh"}), "layer 2: approximate of GELU; expected none, found tanh"),
        (module("Sequential", FIRST, SECOND, module("ReLU")), "activations; expected"),
        (
            module("Sequential", FIRST, module("ReLU"), SECOND, module("Tanh"), THIRD),
            "activations; expected the same one behind each hidden layer, .* found 1 relu, 2 tanh",
        ),
        (module("Sequential", module("ReLU")), "no layers with weights"),
        (module("Sequential", FIRST, module("ReLU"), THIRD), "layer 2: layers do not fit"),
        (sequential(last=[("Softmax", 0)]), "layer 7: dim of Softmax; expected 1, found 0"),
        (module("Sequential", FIRST, module("Softmax", dim=1), SECOND), "other than softmax, found 1 softmax"),
        (module("Sequential", FIRST, module("Sigmoid")), "activations; .* found 1 sigmoid"),
    ],
)
def test_modules_that_fnnet_does_not_have(network, message):
    with pytest.raises(FnnetError, match=message):
        fnnet.from_torch(network)


def dense(layer, activation, arrays=2):
    function = types.SimpleNamespace(__name__=activation)
    return type("Dense", (), {"activation": function, "get_weights": lambda self: [*layer, *layer][:arrays]})()


def stack(*layers, kind="Sequential", **attributes):
    return type(kind, (), {"layers": layers} | attributes)()


def functional(*layers, used=1, outputs=1):
    config = {"layers": [{"inbound_nodes": []}, *({"inbound_nodes": [0] * used} for _ in layers)]}
    heads = {"inputs": [0], "outputs": [0] * outputs, "get_config": lambda self: config}
    return stack(*layers, kind="Functional", **heads)


RELU = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}


def test_layers_of_keras():
    def other(kind, **attributes):
        return type(kind, (), attributes)()

    first, second, third = PARAMS.layers
    for last in ("softmax", "linear"):
        model = fnnet.from_keras(stack(
            other("InputLayer"), other("Flatten"), dense(first, "relu"), other("Dropout"), dense(second, "linear"),
            other("ReLU", **RELU), dense(third, last),
        ))  # fmt: skip
        assert (model.params, model.activation) == (PARAMS, "relu")
    swish = types.SimpleNamespace(__name__="swish")
    model = fnnet.from_keras(
        stack(
            dense(first, "linear"),
            other("Activation", activation=swish),
            dense(second, "linear"),
            other("Softmax", axis=-1),
        )
    )
    assert model.activation == "silu"
    assert fnnet.from_keras(functional(dense(first, "relu"), dense(second, "linear"))).params.layers == PARAMS[:2]
    assert fnnet.from_keras(stack(dense(first, "linear"), dense(second, "linear"))).activation == "linear"
    one = fnnet.Layer(first.W[:, :1], first.b[:1])
    assert fnnet.from_keras(stack(dense(one, "sigmoid"))).params[-1].b.size == 2
    assert fnnet.from_keras(stack(dense(first, "softmax", arrays=1))).params[0].b.tolist() == [0] * 5
    for wrong, message in (
        (stack(dense(first, "leaky_relu"), dense(second, "softmax")), "layer 0: an activation that is not the same"),
        (stack(dense(first, "relu"), other("Conv2D")), "layer 1: a layer that fnnet does not have; .* found Conv2D"),
        (stack(dense(first, "relu"), dense(second, "relu")), "activations; expected"),
        (stack(dense(first, "linear"), other("ReLU", **RELU | {"max_value": 6.0})), "max_value of ReLU; expected None"),
        (stack(dense(first, "softmax"), dense(second, "softmax")), "activations; .* found 1 softmax$"),
        (stack(dense(first, "linear", arrays=0)), "layer 0: weights of Dense; .* found 0 arrays; build the model"),
        (stack(dense(first, "linear", arrays=4)), "layer 0: weights of Dense; .* found 4 arrays$"),
        (stack(dense(first, "linear"), kind="MyModel"), "order that is not known; .* found MyModel"),
        (functional(dense(first, "linear"), used=2), "not a chain; .* a layer used 2 times"),
        (functional(dense(first, "linear"), outputs=2), "not a chain; .* found 1 input, 2 outputs"),
    ):
        with pytest.raises(FnnetError, match=message):
            fnnet.from_keras(wrong)


# The libraries themselves, where they are installed.

ACTIVATIONS = ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear", "mish"]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs torch: pip install torch")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_torch_itself(torch, activation, dtype):
    model = fnnet.Model(fnnet.init((6, 15, 14, 3), 1, dtype=dtype), activation, ("a", "b", "c"), (1, 6))
    network = fnnet.to_torch(model)
    x = X.astype(dtype)
    with torch.no_grad():
        found = network(torch.from_numpy(x)).numpy()
    assert found.dtype == dtype
    near = 1e-13 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, fnnet.scores(model, x), rtol=near, atol=near)
    back = fnnet.from_torch(network, classes=model.classes)
    assert (back.params, back.activation) == (model.params, activation)


def test_networks_of_torch(torch):
    nn = torch.nn
    relu, linear = nn.ReLU(), nn.Linear(6, 6)
    inner = nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Dropout(0.5))
    for network in (
        nn.Sequential(linear, relu, linear, relu, nn.Linear(6, 3), nn.Softmax(1)),
        nn.Sequential(nn.Flatten(), inner, nn.Linear(5, 3), nn.Softmax(-1)).eval(),
        nn.Sequential(nn.Linear(6, 5), nn.Mish(), nn.Linear(5, 1), nn.Sigmoid()).double(),
    ):
        model = fnnet.from_torch(network)
        x = X.astype(model.params[0].W.dtype)
        with torch.no_grad():
            found = network(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(fnnet.probabilities(model, x)[:, -found.shape[1] :], found, rtol=1e-4, atol=1e-6)
    for weights in ({"dtype": torch.bfloat16}, {"device": "meta"}):
        with pytest.raises(FnnetError, match="layer 0: weights that NumPy cannot hold; expected float32 or float64"):
            fnnet.from_torch(nn.Sequential(nn.Linear(6, 3, **weights)))


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """Keras on what there is, which writes its settings beside the tests."""
    backends = [name for name in ("jax", "torch", "tensorflow") if importlib.util.find_spec(name)]
    if not backends or not importlib.util.find_spec("keras"):
        pytest.skip("needs keras and a backend: pip install keras jax")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        patch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", backends[0]))
        yield importlib.import_module("keras")


def outputs(network, x):
    found = network(x)
    return found.detach().cpu().numpy() if hasattr(found, "detach") else np.asarray(found)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "leaky_relu"])
def test_keras_itself(keras, activation):
    model = fnnet.Model(fnnet.init((6, 15, 14, 3), 1), activation, ("a", "b", "c"), (1, 6))
    network, x = fnnet.to_keras(model), np.float32(X)
    np.testing.assert_allclose(outputs(network, x), fnnet.scores(model, x), rtol=1e-5, atol=1e-5)
    back = fnnet.from_keras(network, classes=model.classes)
    assert (back.params, back.activation) == (model.params, activation)


def test_models_of_keras(keras):
    layers = keras.layers
    entry, shared = keras.Input((6,)), layers.Dense(6, "relu")
    chain = layers.Dense(3, "softmax")(layers.Dropout(0.5)(layers.Dense(5, "tanh", use_bias=False)(entry)))
    for network in (
        keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.ReLU(), layers.Dense(3), layers.Softmax()]),
        keras.Sequential([keras.Input((6,)), layers.Dense(5, "gelu"), layers.Dense(1, "sigmoid")]),
        keras.Model(entry, chain),
    ):
        model, x = fnnet.from_keras(network), np.float32(X)
        found = outputs(network, x)
        np.testing.assert_allclose(fnnet.probabilities(model, x)[:, -found.shape[1] :], found, rtol=1e-4, atol=1e-6)
    for wrong, message in (
        (keras.Model(entry, layers.Dense(3)(shared(shared(entry)))), "a layer used 2 times"),
        (keras.Model(entry, [layers.Dense(6)(entry), layers.Dense(6)(entry)]), "2 outputs"),
        (keras.Sequential([layers.Dense(3)]), "found 0 arrays; build the model first"),
    ):
        with pytest.raises(FnnetError, match=message):
            fnnet.from_keras(wrong)


ALONE = """
import sys, fnnet
params = fnnet.init((4, 3, 2))
assert fnnet.from_tree(fnnet.to_tree(params)) == params
print([name for name in ("sklearn", "torch", "keras", "jax") if name in sys.modules])
"""


def test_none_of_them_is_imported_unless_it_is_given():
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
