"""Photos and drawings as images like MNIST's."""

import numpy as np
import pytest

from fnnet.data import photo
from fnnet.data.photo import boxed, light, page
from fnnet.data.photo.parts import parts_of
from fnnet.data.photo.reduced import reduced
from fnnet.errors import ArgumentTypeError, DataError


def drawn(height=200, width=160, paper=220, ink=40):
    """A 4 in strokes of 12 pixels, one part, its box rows 30 to 170 and columns 30 to 130."""
    x = np.full((height, width), paper, np.uint8)
    for i in range(90):
        x[30 + i : 43 + i, 90 - i * 60 // 90 : 102 - i * 60 // 90] = ink
    x[110:122, 30:130] = ink
    x[60:170, 90:102] = ink
    return x


def mnist_like(rng):
    """Grey ink whose box is 20 pixels long, its centre of mass at 14."""
    box = rng.integers(0, 256, (20, 14), dtype=np.uint8)
    box[0, 3] = box[-1, 3] = box[4, 0] = box[4, -1] = 9
    return boxed.placed(box)


def test_images_as_mnist_has_them_come_out_byte_for_byte():
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = mnist_like(rng)
        found = photo.prepare(x)
        assert found.figures.ready
        assert np.array_equal(found.image, x)
        assert np.array_equal(photo.prepare(255 - x).image, x)
        assert photo.prepare(255 - x).figures.dark


def test_the_same_drawing_gives_nearly_the_same_image_however_it_is_taken():
    x = drawn()
    plain = photo.prepare(x).image.astype(int)
    y, z = np.mgrid[:200, :160]
    shadow = np.where(y + z > 150, x * 0.4, x).astype(np.uint8)
    gradient = (x * (1 - y / 400)).astype(np.uint8)
    ruled = x.copy()
    ruled[20::24] = 40
    for each in (shadow, gradient, ruled, 255 - x, np.repeat(np.repeat(x, 5, 0), 5, 1), np.stack([x] * 3, 2)):
        found = photo.prepare(each)
        # The centre of mass may be rounded to the next pixel.
        shifted = [np.roll(found.image, (down, across), (0, 1)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
        assert min(np.abs(each - plain).mean() for each in shifted) < 8
        assert found.figures.dark == (each[0, 0].max() > 100)
        assert found.evidence.parts == 1
        assert found.evidence.contrast > 3
    assert photo.prepare(ruled).figures.lines[0] >= 8
    assert photo.prepare(shadow).figures.doubted


def test_every_step_is_there():
    found = photo.prepare(drawn())
    assert [step.name for step in found.steps] == ["grey", "light", "depth", "lines", "ink", "box"]
    assert max(dict(found.steps)["box"].shape) == 20
    assert abs(found.figures.centre[0] - 14) <= 0.5
    assert abs(found.figures.centre[1] - 14) <= 0.5
    top, left, height, width = found.figures.box
    assert (abs(top - 30), abs(left - 30)) <= (1, 1)
    assert (abs(height - 140), abs(width - 100)) <= (2, 2)


def test_an_empty_page_has_no_digit():
    for level in (0, 128, 255):
        for size in (28, 300):
            found = photo.prepare(np.full((size, size), level, np.uint8))
            assert not found.image.any()
            assert found.evidence == (0.0, 0.0, 0, 0)
            assert photo.find(np.full((size, size), level, np.uint8)) == ()


def test_digits_of_a_page_are_found_line_by_line():
    x = np.full((500, 700), 230, np.uint8)
    for top, left in ((20, 300), (260, 40), (40, 40), (270, 480)):
        x[top : top + 200, left : left + 160] = np.minimum(x[top : top + 200, left : left + 160], drawn(paper=230))
    found = photo.find(x)
    assert [each.line for each in found] == [0, 0, 1, 1]
    assert [each.box[:2] for each in found] == [(69, 69), (49, 329), (289, 69), (299, 509)]
    alone = photo.prepare(drawn(paper=230)).image
    assert all(np.abs(each.prepared.image.astype(int) - alone).mean() < 2 for each in found)


def test_what_is_told_is_not_found_out():
    x = drawn()
    assert photo.prepare(x, photo.Choices(dark=False)).figures.dark is False
    assert photo.prepare(x, photo.Choices(threshold=90)).figures.threshold == 90
    shadow = x.copy()
    shadow[:, 80:] //= 3
    dark = dict(photo.prepare(shadow, photo.Choices(light=False)).steps)["depth"]
    assert (dark[:, 120:] > 100).all()


@pytest.mark.parametrize("image", [np.zeros((28, 28)), 3, None, [1, 2]])
def test_other_types_are_refused(image):
    with pytest.raises(ArgumentTypeError, match="image"):
        photo.prepare(image)


@pytest.mark.parametrize("shape", [(28,), (28, 28, 4), (0, 28), (1, 2, 3, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="expected \\(height, width\\)"):
        photo.prepare(np.zeros(shape, np.uint8))


def test_areas_are_exact():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (21, 13), dtype=np.uint8)
    exact = np.repeat(np.repeat(x.astype(float), 20, 0), 12, 1).reshape(20, 21, 12, 13).mean(axis=(1, 3))
    assert np.abs(boxed.resized(x, (20, 12)) - exact).max() <= 0.5
    assert np.array_equal(boxed.resized(x, x.shape), x)
    assert np.abs(reduced(x, 3) - x[:21, :12].reshape(7, 3, 4, 3).mean(axis=(1, 3))).max() <= 0.5


def test_parts_are_those_of_a_search():
    rng = np.random.default_rng(2)
    for share in (0.2, 0.4, 0.6):
        mask = rng.random((40, 50)) < share
        found = parts_of(mask)
        labels = np.zeros(mask.shape, int)
        count = 0
        for start in zip(*np.nonzero(mask), strict=True):
            if labels[start]:
                continue
            count += 1
            labels[start], todo = count, [start]
            while todo:
                y, x = todo.pop()
                for at in ((y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                    if min(at) >= 0 and at[0] < 40 and at[1] < 50 and mask[at] and not labels[at]:
                        labels[at] = count
                        todo.append(at)
        assert np.array_equal(found.labels, labels)
        assert np.array_equal(found.areas, np.bincount(labels.ravel())[1:])
        for number, (top, left, bottom, right) in enumerate(found.boxes.tolist(), 1):
            rows, columns = np.nonzero(labels == number)
            assert (top, left, bottom, right) == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)


def test_closing_keeps_what_is_wider_than_the_window():
    x = np.full((40, 60), 200, np.uint8)
    x[:, 30:] = 90
    edge = x.copy()
    x[10:14, :] = 20
    assert np.array_equal(light.closed(x, 3), edge)


def test_lines_of_text_are_told_apart():
    assert page.lines_of([]) == []
    assert page.lines_of([(0, 9, 10, 12), (8, 0, 18, 3), (30, 0, 40, 3)]) == [[0], [1], [2]]
