"""A trace in the terminal and as a page: small arrays whole, large ones by what counts, nothing from elsewhere."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet.apps.pages.figures import NEGATIVE, POSITIVE, UNITS
from fnnet.apps.pages.numbers import cells, largest, scale_of, signed
from fnnet.apps.trace import figures, trace
from fnnet.apps.trace.page import page_of
from fnnet.apps.trace.terminal import matrix, print_trace
from fnnet.apps.trace.typeset import equation, name_of
from fnnet.core import public_optimizers
from fnnet.names import ACTIVATIONS, STEPPING
from tests.apps.test_report import console, printed
from tests.apps.test_trace import problem

DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[4:24, 10:14] = 200


@pytest.fixture(scope="module")
def digit():
    """A trace of 784-10-10."""
    return trace(fnnet.init((784, 10, 10)), DIGIT.reshape(1, -1), [1], learning_rate=0.01, differences=False)


def shown(found, width=80, **options):
    screen = console(width, **options)
    print_trace(found, screen)
    return printed(screen)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", STEPPING)
def test_every_line_fits(name, width):
    optimizer = public_optimizers.make(name, weight_decay=0.1)
    for sizes in ((6, 3), (6, 5, 4, 3), (784, 16, 26)):
        found = trace(*problem(sizes, 2), optimizer=optimizer, differences=sizes[0] == 6)
        lines = shown(found, width).splitlines()
        assert max(map(len, lines)) <= width
        for step in found.steps:
            assert "".join(step.equation.split()) in "".join("".join(lines).split())


def test_numbers_and_shapes_are_shown(digit):
    text = shown(digit)
    assert " 2  z1 = x @ W1 + b1" in text
    assert "z1 (1, 10) of x (1, 784), W1 (784, 10), b1 (10,)" in text
    assert "".join(matrix(digit.step("z1").result, 10)) in text
    for line in matrix(digit.step("dW2").result, 10):
        assert line in text
    place = largest(digit.step("dW1").result)[0]
    assert re.search(rf"dW1\[{place[0]}, {place[1]}\] +{digit.step('dW1').result[place]:.4g}", text)
    assert f"{digit.loss:.4g} before, {digit.new_loss:.4g} after" in text
    drawing = [line for line in text.splitlines() if re.search("[▀▄█]", line) and "%" not in line]
    assert len(drawing) == 10


def test_a_loss_that_rises_is_explained():
    found = trace(*problem((6, 5, 3), 8), learning_rate=100.0, differences=False)
    assert found.new_loss > found.loss
    for text in (shown(found), page_of(found, "t", [])):
        assert "It rose" in text
    assert "It rose" not in shown(trace(*problem((6, 5, 3), 1), learning_rate=1e-3, differences=False))


def test_differences_stand_beside_gradients():
    found = trace(*problem((6, 5, 3), 1))
    text = shown(found)
    assert text.count("central differences") == 7
    assert text.count("compared: right; largest relative error") == 7
    large = shown(trace(fnnet.init((30, 10, 3)), np.ones((1, 30)), [0]))
    assert re.search(r"^ +gradient  difference$", large, re.MULTILINE)


def test_a_terminal_without_unicode(digit):
    text = shown(digit, encoding="ascii")
    assert text.isascii()
    assert "*" in text


def test_several_images_and_images_without_a_shape():
    text = shown(trace(*problem((9, 5, 3), 3), differences=False))
    assert "the first of 3 images" in text
    assert "▀" in text or "▄" in text or "█" in text
    assert shown(trace(*problem((6, 5, 3), 1), differences=False))


def test_small_arrays_are_whole():
    assert matrix(np.ones((11, 10)), 10)[0] == "  1.000" * 10
    assert matrix(np.ones((13, 10)), 10) is None
    assert [len(line) for line in matrix(np.ones((1, 25)), 10)] == [70, 70, 35]
    assert matrix(np.ones((1, 50)), 10) is None
    assert matrix(np.array([[-0.0001, 5.0]]), 10) == ["  0.000  5.000"]


@pytest.mark.parametrize(
    ("array", "scale", "texts"),
    [
        ([0.0, 0.0], 0, ["0.000", "0.000"]),
        ([1e-5, -2e-6], -5, ["1.000", "-0.200"]),
        ([123.4, 1.0], 0, ["123.4", "1.0"]),
        ([9.9996, 1.0], 0, ["10.00", "1.00"]),
        ([1e30, 0.0], 30, ["1.000", "0.000"]),
        ([np.nan, 0.5], 0, ["?", "0.500"]),
    ],
)
def test_the_scale_of_numbers(array, scale, texts):
    assert scale_of(np.array(array)) == scale
    assert cells(np.array(array), scale) == [texts]


class Page(HTMLParser):
    """A page's elements, each closed where it should be."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, text):
        self.text.append(text)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_page_is_whole_and_loads_nothing(activation):
    found = trace(*problem((9, 5, 4, 3), 2), activation=activation, optimizer=fnnet.adam())
    text = page_of(found, "One step", ["9-5-4-3"])
    page = Page(text)
    assert len(page.all("section")) == len(found.steps)
    assert [each["href"] for each in page.all("a")] == [f"#step-{at}" for at in range(1, len(found.steps) + 1)]
    targets = [each.get("src", each.get("href", "")) for _, each in page.elements]
    assert all(target == "" or target.startswith(("#", "data:")) for target in targets)
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|<script src", text)
    ids = [each["id"] for _, each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert tag != "img" or "alt" in attributes
        assert "aria-labelledby" not in attributes or attributes["aria-labelledby"] in ids
    labels = [each["aria-label"] for _, each in page.elements if each.get("role") == "math"]
    assert labels == [each.equation for each in found.steps]


def test_a_page_escapes_names():
    params, x, labels = problem((6, 5, 3))
    model = fnnet.Model(params, classes=("<b>", '"&', "</script>"), image_shape=(2, 3))
    text = page_of(trace(model, x, labels, differences=False), "<i>title</i>", ["a<b>.png", "\udcff"])
    page = Page(text)
    assert "<i>title</i>" in page.text
    assert len(page.all("script")) == 1
    assert any("</script>" in each for each in page.text)


def image_of(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))))


def test_the_images_of_a_page_are_the_numbers(digit):
    page = Page(page_of(digit, "t", []))
    pictures = [each["src"] for each in page.all("img") if each.get("class") == "picture"]
    assert (image_of(pictures[0]) == DIGIT).all()
    units = [each["src"] for each in page.all("img") if each.get("class") == "unit"]
    assert len(units) == 10 * (1 + 1 + 3)  # z1, dW1, and the update's before, gradient and after
    W = digit.params[0].W
    for unit, uri in enumerate(units[:10]):
        image = image_of(uri).astype(int)
        weights = W[:, unit].reshape(28, 28)
        assert (abs(image[..., 3] - 255 * abs(weights) / abs(W).max()) <= 0.51).all()
        assert (image[weights > 0][:, :3] == POSITIVE).all()
        assert (image[weights < 0][:, :3] == NEGATIVE).all()


def test_large_arrays_are_shrunk_to_what_is_largest():
    array = np.zeros((300, 200))
    array[299, 199], array[0, 5] = -7.0, 3.0
    small = figures.shrunk(array)
    assert max(small.shape) <= figures.SIDE
    assert (small.min(), small.max(), np.count_nonzero(small)) == (-7.0, 3.0, 2)
    found = trace(fnnet.init((120, 150, 30)), np.ones((1, 120)), [0], differences=False)
    text = page_of(found, "t", [])
    assert "Each cell shows the largest of several numbers." in text
    assert len(text) < 2 * 10**6


def test_of_many_units_those_with_the_largest_numbers_are_drawn():
    found = trace(fnnet.init((100, 64, 3)), np.ones((1, 100)), [0], differences=False)
    assert f"{UNITS} of 64 units, those with the largest numbers." in page_of(found, "t", [])


def test_names_and_equations_as_mathematics():
    assert name_of("dW12") == "<i>dW</i><sub>12</sub>"
    assert name_of("beta_1") == "<i>\u03b2</i><sub>1</sub>"
    assert name_of("vW1") == "<i>v</i><sub><i>W</i>1</sub>"
    assert name_of("dlogits") == "<i>d</i>logits"
    assert signed("-1 - 0.5·(-2) = -3e-05") == "\u22121 \u2212 0.5·(\u22122) = \u22123e-05"
    text = re.sub("<[^>]+>", "", equation(trace(*problem(), differences=False).step("dW1")))
    assert text == "dW16\u00d75 = xT1\u00d76 dz11\u00d75"
