"""Photos and drawings as images like MNIST's."""

import numpy as np
import pytest
from PIL import Image

from fnnet.data import photo
from fnnet.data.photo import boxed, light, page, single, source
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
    x[10:14, :24] = x[10:14, 36:] = 20
    assert np.array_equal(light.closed(x, 3), edge)
    for wedge in (np.tri(40, 60, 5, bool), np.tri(40, 60, 5, bool) & np.tri(40, 60, 5, bool)[::-1]):
        shadow = np.where(wedge, 90, 200).astype(np.uint8)  # corners of windows on a corner, too
        assert np.array_equal(light.closed(shadow, 3), shadow)


def test_lines_of_text_are_told_apart():
    assert page.lines_of([]) == []
    assert page.lines_of([(0, 9, 10, 12), (8, 0, 18, 3), (30, 0, 40, 3)]) == [[0], [1], [2]]


def saved(path, mode, **more):
    """Save the drawing in a mode of Pillow."""
    image = Image.fromarray(drawn())
    if mode == "I;16":
        image = Image.fromarray(drawn().astype(np.uint16) * 257)
    elif mode == "RGBA":
        image = Image.merge("RGBA", [Image.fromarray(np.zeros_like(drawn()))] * 3 + [Image.fromarray(220 - drawn())])
    elif mode != "L":
        image = image.convert(mode)
    image.save(path, **more)
    return path


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("RGB", "a.jpg"), ("I;16", "a.png"), ("RGBA", "a.png")])
def test_a_file_is_read_as_its_pixels(mode, name, tmp_path):
    wanted = photo.prepare(drawn()).image.astype(int)
    path = saved(tmp_path / name, mode)
    with Image.open(path) as opened:
        for each in (path, str(path), opened):
            assert np.abs(photo.prepare(each).image - wanted).mean() < 4


def test_a_photo_is_turned_as_exif_says(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "a.png"
    Image.fromarray(np.rot90(drawn()).copy()).save(path, exif=exif)
    assert np.array_equal(photo.prepare(path).image, photo.prepare(drawn()).image)


def test_what_is_no_picture_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_text("a note")
    with pytest.raises(DataError, match=r"a\.jpg: no picture; expected a picture that Pillow reads, .*save it as PNG"):
        photo.prepare(path)
    saved(path, "L")
    monkeypatch.setattr(source, "MOST_PIXELS", 100)
    with pytest.raises(DataError, match=r"a\.jpg: picture too large; expected at most 100 pixels, found 160x200"):
        photo.prepare(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a\.jpg: picture too large; expected at most 100 pixels, found more"):
        photo.prepare(path)


def test_thin_strokes_are_thickened_if_that_is_wanted():
    x = np.full((200, 160), 220, np.uint8)
    x[30:170, 80:83] = x[100:103, 40:120] = 40
    thick, plain = photo.prepare(x), photo.prepare(x, photo.Choices(thicken=False))
    assert thick.figures.thickened > plain.figures.thickened == 0
    assert thick.image.astype(int).sum() > 1.3 * plain.image.astype(int).sum()


def test_a_small_picture_is_boxed():
    x = np.zeros((28, 28), np.uint8)
    x[10:20, 12:15] = 200
    found = photo.prepare(x)
    assert found.figures.ready
    rows, _ = np.nonzero(found.image)
    assert rows.max() - rows.min() == 19


def test_a_blot_is_kept_as_it_is():
    y, x = np.mgrid[:200, :160]
    found = photo.prepare(np.where((y - 100) ** 2 + (x - 80) ** 2 < 900, 40, 220).astype(np.uint8))
    assert found.evidence.parts == 1
    assert found.figures.box[2:] == pytest.approx((59, 59), abs=3)


def test_a_low_picture_has_its_lines_found():
    x = np.full((16, 300), 220, np.uint8)
    x[8] = 120
    assert photo.prepare(x).figures.lines[0] == 1


def test_bits_belong_to_the_digit_beside_them():
    x = np.full((300, 600), 220, np.uint8)
    x[100:220, 100:112] = x[100:220, 400:412] = 40
    x[100:112, 122:160] = 40  # the bar of a 5
    x[20:30, 540:575] = 40  # a mark
    assert [each.prepared.evidence.parts for each in photo.find(x)] == [2, 1]


def test_lines_stay_out_where_narrow_strokes_show_the_ground_again():
    x = np.full((300, 300), 220, np.uint8)
    x[60:240, 148:153] = 40
    ruled = x.copy()
    ruled[20::30] = 90
    found = photo.prepare(ruled)
    assert found.figures.lines[0] >= 9
    assert np.abs(found.image.astype(int) - photo.prepare(x).image).mean() < 8


def test_the_more_credible_ink_is_taken_where_border_and_contrast_disagree(monkeypatch):
    x = np.full((200, 160), 220, np.uint8)
    x[30:170, 70:90] = 40
    wanted = photo.prepare(x)
    for ways in ((False, True), (True, False)):
        monkeypatch.setattr(single, "ways_of", lambda grey, choices, ways=ways: ways)
        found = photo.prepare(x)
        assert found.figures.dark
        assert np.array_equal(found.image, wanted.image)
