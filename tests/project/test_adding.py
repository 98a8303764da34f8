"""What it takes to add a thing: one of each is added to a copy of the package, in the places that docs/house.md names.

Each place is a line or a function; nothing else of the copy is changed, and the thing works throughout.
"""

import ast
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

ACTIVATION = {
    "names.py": [("ACTIVATIONS", '"softplus"')],
    "core/operations.py": [
        (
            "class Activation(NamedTuple):",
            '''def softplus(z: Array) -> Array:
    """a = log(1 + exp(z))."""
    return np.maximum(z, 0) + np.log1p(np.exp(np.where(z.real > 0, -z, z)))


def softplus_backward(da: Array, z: Array) -> Array:
    """dz = da sigmoid(z)."""
    dz: Array = da * sigmoid(z)
    return dz


class Activation(NamedTuple):''',
        ),
        (
            '        "mish": Activation(mish, mish_backward),\n',
            """        "mish": Activation(mish, mish_backward),
        "softplus": Activation(softplus, softplus_backward),
""",
        ),
    ],
    "kernels/native/activation.py": [
        (
            "FORMULAS: Final",
            '''def _softplus(vector: Vectors, z: Any) -> Emitted:
    """log(1 + e) for e in (0, 1] is 2 artanh(e / (2 + e)), by its series: good to 2e-10 of it."""
    builder, constant, positive = vector.builder, vector.constant, _positive(vector, z)
    e = exp(vector, builder.fneg(_magnitude(vector, z)))
    t = builder.fdiv(e, builder.fadd(constant(2.0), e))
    square, series = builder.fmul(t, t), constant(1 / 19)
    for k in range(17, 0, -2):
        series = vector.fma(series, square, constant(1 / k))
    log = builder.fmul(builder.fmul(constant(2.0), t), series)
    return builder.fadd(builder.select(positive, z, constant(0.0)), log), _logistic(vector, z)[0]


FORMULAS: Final''',
        ),
        ('        "mish": _mish,\n', '        "mish": _mish,\n        "softplus": _softplus,\n'),
    ],
}
OPTIMIZER = {
    "names.py": [("STEPPING", '"adamax"')],
    "core/optimizers.py": [
        (
            "def clipped(",
            '''def adamax(
    beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, weight_decay: float = 0.0
) -> Optimizer:
    """AdaMax: m as Adam has it, u := max(beta_2 u, |g|); W := W - rate m / (u (1 - beta_1^t)). arXiv:1412.6980."""

    def step(params: Params, grads: Params, state: Moments, rate: float) -> tuple[Params, Moments]:
        params, grads = _decay(params, grads, rate, weight_decay, False)
        t = state.steps + 1
        m = each(lambda m, g: _times(beta_1, m) + _times(1 - beta_1, g), state.trees[0], grads)
        u = each(lambda u, g: np.maximum(_times(beta_2, u), np.abs(g) + g.dtype.type(epsilon)), state.trees[1], grads)
        size = rate / (1 - _power(beta_1, t))
        return each(lambda W, m, u: W - _times(size, m) / u, params, m, u), Moments(t, (m, u))

    return _optimizer("adamax", step, 2, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, weight_decay=weight_decay)


def clipped(''',
        ),
        ('        "lion": lion,\n', '        "lion": lion,\n        "adamax": adamax,\n'),
    ],
}
FORMAT = {
    "data/grid.py": '''"""Images as text: `%grid HEIGHT WIDTH`, then for each image a line LABEL: PIXELS."""

import numpy as np

from fnnet.data.reader import Content, Format


def _recognise(head, path):
    return head.startswith(b"%grid ")


def _read(file, path, wanted):
    height, width = map(int, file.readline().split()[1:])
    rows = [line.split(b":") for line in file]
    x = np.array([pixels.split() for _, pixels in rows], np.uint8)
    labels = np.array([int(label) for label, _ in rows])
    return Content(x, labels, (height, width), labels_at=str(path), shape_at="line 1")


FORMAT = Format("grid", _recognise, _read)
''',
    "names.py": [("DATA_FORMATS", '"grid"')],
    "data/formats.py": [
        ("import arff, arrow, ", "import arff, arrow, grid, "),
        ("    idx.FORMAT, ", "    grid.FORMAT, idx.FORMAT, "),
    ],
}
COMMAND = {
    "cli/sizes.py": '''"""`fnnet sizes`."""

import click

from fnnet.cli.options import FileName


@click.command(short_help="Print the layer sizes of a model.")
@click.argument("model_path", metavar="MODEL", type=FileName())
def sizes(model_path: str) -> None:
    """Print the layer sizes of MODEL."""
    from fnnet.core.params import layer_sizes
    from fnnet.files.model import load_model

    click.echo("-".join(map(str, layer_sizes(load_model(model_path).params))))
''',
    "cli/program.py": [
        ('    "train": "fnnet', '    "sizes": "fnnet.cli.sizes:sizes",\n    "train": "fnnet'),
    ],
}
ADDED = {"activation": ACTIVATION, "optimizer": OPTIMIZER, "format": FORMAT, "command": COMMAND}
PROGRAM = """
import numpy as np, fnnet
from fnnet import core
from fnnet.core import gradcheck, table
from fnnet.kernels import compiled
from fnnet.training import steps

# The activation: its gradient, and its compiled twin.
params, x, labels = gradcheck.example((6, 5, 4, 3), 1)
assert gradcheck.check_gradients(params, x, labels, activation="softplus")
z = np.random.default_rng(0).standard_normal((9, 7)) * 5
twin = compiled.OPERATIONS.activations["softplus"]
np.testing.assert_allclose(twin.value(z.astype("f")), table.NUMPY.softplus(z), rtol=1e-6)
np.testing.assert_allclose(twin.backward(z.astype("f"), z.astype("f")), table.NUMPY.softplus_backward(z, z), rtol=1e-6)

# The optimizer: by its name, plain, clipped and averaged, also where compiled code does not know it.
from fnnet.core import public_optimizers
adamax = public_optimizers.make("adamax", weight_decay=0.01, clip_norm=1.0, ema=0.9)
state = steps.start(fnnet.init((6, 5, 3), 1), 0, optimizer=adamax)
examples = fnnet.core.state.Examples(np.float32(x), labels)
before = fnnet.loss(state.params, *examples)
for kernels in (table.NUMPY, table.NUMPY._replace(name="numba", trainer=lambda *arguments: 1 / 0)):
    moved, _, _ = fnnet.train_block(state, examples, np.arange(3), 3, 0.05, optimizer=adamax, kernels=kernels)
    assert fnnet.loss(moved.params, *examples) < before and moved.step == 1
"""


def changed(text, old, new):
    """Return a module's text with `new` in place of `old`, or at the end of the tuple whose name `old` is."""
    if not old.isidentifier():
        assert text.count(old) == 1, (old, text.count(old))
        return text.replace(old, new)
    (items,) = (
        node.value.elts for node in ast.parse(text).body if isinstance(node, ast.AnnAssign) and node.target.id == old
    )
    lines = text.splitlines(keepends=True)
    line, column = items[-1].end_lineno - 1, items[-1].end_col_offset
    lines[line] = f"{lines[line][:column]}, {new}{lines[line][column:]}"
    return "".join(lines)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package to which one of each is added."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "fnnet", root / "fnnet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "cli.py", root)
    for places in ADDED.values():
        for name, changes in places.items():
            path = root / "fnnet" / name
            if isinstance(changes, str):
                assert not path.exists()
                path.write_text(changes)
                continue
            for old, new in changes:
                path.write_text(changed(path.read_text(), old, new))
    return root


@pytest.fixture
def python(copy, tmp_path):
    def run(*arguments):
        env = {**os.environ, "PYTHONPATH": str(copy)}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("form", ['("a", "b")', '(\n    "a",\n    "b",\n)', '(\n    "a", "b",\n)'])
def test_a_name_is_added_at_the_end_of_a_tuple_of_any_form(form):
    """So that a name that somebody else has added does not matter."""
    text = f'NAMES: Final = {form}\n"""Names (all)."""\nOTHERS: Final = (*NAMES, "x")\n'
    twice = changed(changed(text, "NAMES", '"c"'), "NAMES", '"d"')
    first, _, last = ast.parse(twice).body
    assert ast.literal_eval(first.value) == ("a", "b", "c", "d")
    assert ast.unparse(last) == "OTHERS: Final = (*NAMES, 'x')"


@pytest.mark.parametrize("thing", ADDED)
def test_a_thing_takes_three_places_at_most(thing):
    assert len(ADDED[thing]) <= 3


def test_the_activation_and_the_optimizer_compute(python):
    python("-c", PROGRAM)


def test_all_of_them_are_on_the_command_line(python, copy, tmp_path):
    (tmp_path / "images.txt").write_text("%grid 1 4\n" + "0: 0 0 200 200\n1: 200 200 0 0\n" * 5)
    helped = " ".join(python(copy / "cli.py", "train", "--help").split())
    assert all(re.search(rf"\b{word}\b", helped) for word in ("softplus", "adamax", "grid"))
    chosen = ("--activation", "softplus", "--optimizer", "adamax", "--learning-rate", 0.05, "--hidden", 3)
    few = ("--data", "images.txt", "--classes", 2, "--dev", 0, "--epochs", 40, "--batch-size", 5, "--quiet")
    python(copy / "cli.py", "train", *few, *chosen)
    assert python(copy / "cli.py", "sizes", "model.safetensors") == "4-3-2\n"
    assert "accuracy 100.00%" in python(copy / "cli.py", "evaluate", "model.safetensors", "--data", "images.txt")
    assert "Print the layer sizes" in python(copy / "cli.py", "--help")
