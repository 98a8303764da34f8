"""What is an image in a batch, and in which range: cells and columns are read by themselves, or refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fnnet.apps import batches
from fnnet.apps.batches import BatchPredictor
from fnnet.core.state import Preprocessing
from fnnet.errors import ArgumentTypeError, DataError
from tests.conftest import forked, held_elsewhere

pd = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")

PIXELS = [f"pixel{number}" for number in range(784)]
ZEROS = np.zeros((3, 28, 28), np.uint8)


def packed(image, size=None, **kind):
    """A picture's bytes; of `size` by a comment in it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, **{"format": "png", **kind})
    content = file.getvalue()
    if size is None:
        return content
    text = b"tEXt" + b"Comment\0".ljust(size - len(content) - 12, b"x")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return content[:-12] + chunk + content[-12:]


def objects(cells):
    column = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        column[row] = cell
    return column


def in_cells(cells):
    return pd.DataFrame({"image": objects(cells)})


def answers(found):
    return found.fillna({"predicted": ""}).to_dict("records")


def alone_and_together(predict, cells):
    """The answers to the cells of a column, which are the same for each by itself."""
    together = answers(predict(in_cells(cells)))
    alone = [answers(predict(in_cells([cell])))[0] for cell in cells]
    np.testing.assert_equal(alone, together)
    column = predict({"image": objects(cells)})
    np.testing.assert_equal([each or "" for each in column["predicted"]], [each["predicted"] for each in together])
    return together


# Pictures


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_picture_with_as_many_bytes_as_pixels_is_one_whatever_lies_beside_it(kind, save, images):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'fnnet[formats]'")
    small = np.zeros((28, 28), np.uint8)
    small[4:20, 8:12] = 255
    cell = packed(small, 784)
    assert len(cell) == 784
    predict = BatchPredictor(save(), images="image")
    with pytest.raises(DataError, match=r"row 1, column 'image': no image of the model's size.*found a picture"):
        predict({"image": objects([images[0].tobytes(), kind(cell)])})
    expected = answers(predict(in_cells([small])))
    assert answers(predict(in_cells([kind(cell)]))) == expected
    assert answers(predict(in_cells([kind(cell), packed(images[7])])))[:1] == expected
    with pytest.raises(DataError, match="row 1, column image"):
        predict(in_cells([kind(cell), images[7].tobytes()]))


def test_pixels_that_begin_as_a_picture_does_are_refused_with_their_row(save, images):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'fnnet[formats]'")
    cell = b"BM" + images[0].tobytes()[2:]
    with pytest.raises(DataError, match=r"row 1, column 'image'.*found a picture"):
        BatchPredictor(save(), images="image")({"image": objects([images[1].tobytes(), cell])})
    with pytest.raises(DataError, match="row 0, column image: the file: damaged BMP image"):
        BatchPredictor(save(), images="image")(in_cells([cell]))
    as_array = np.frombuffer(cell, np.uint8)
    assert len(alone_and_together(BatchPredictor(save(), images="image"), [as_array, images[1]])) == 2


def test_pictures_are_turned_as_the_caller_says(save, images):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'fnnet[formats]'")
    x = images[:4, :20]
    upright = BatchPredictor(save(shape=(20, 28)), images="image")
    turned = BatchPredictor(save(shape=(20, 28)), images="image", transpose=True)
    expected = answers(upright(in_cells([*x])))
    assert answers(upright(in_cells([packed(image) for image in x]))) == expected
    assert answers(turned(in_cells([packed(image.T) for image in x]))) == expected
    assert answers(turned(in_cells([image.T.tobytes() for image in x]))) == expected
    with pytest.raises(DataError, match="expected 20x28 pixels, found 28x20"):
        turned(in_cells([packed(x[0])]))


def test_pictures_of_floats_have_the_range_that_the_caller_says(save, images):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'fnnet[formats]'")
    light = 128 + images[:3] // 2  # nothing below 0 in -1 to 1
    expected = answers(BatchPredictor(save(), images="image")(in_cells([*light])))

    def tiff(values):
        return packed(values.astype(np.float32), format="tiff")

    cells = {
        (0, 1): [tiff(image / 255) for image in light], (-1, 1): [tiff(image / 127.5 - 1) for image in light],
        (0, 255): [tiff(image) for image in light],
    }  # fmt: skip
    for said, pictures in cells.items():
        predict = BatchPredictor(save(), images="image", pixel_range=said)
        for picture, one in zip(pictures, expected, strict=True):
            assert answers(predict(in_cells([picture]))) == [one]
            both = answers(predict(in_cells([packed(images[7]), picture])))
            assert both[1] == one
    dark = tiff(images[0] / 127.5 - 1)
    signed = BatchPredictor(save(), images="image", pixel_range=(-1, 1))
    assert answers(signed(in_cells([cells[-1, 1][0], dark])))[0] == expected[0]
    unsaid = BatchPredictor(save(), images="image")
    for picture in (cells[0, 1][0], cells[-1, 1][0], cells[0, 255][0]):
        with pytest.raises(DataError, match=r"row 1, column 'image': floats of an unknown range.*say pixel_range="):
            unsaid(in_cells([packed(images[7]), picture]))
    unit = BatchPredictor(save(), images="image", pixel_range=(0, 1))
    with pytest.raises(DataError, match=r"row 1, column 'image': pixel out of range; expected floats from 0 to 1"):
        unit(in_cells([cells[0, 1][0], dark]))


def test_pictures_of_several_depths_are_refused_by_a_model_of_few_levels(save):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'fnnet[formats]'")
    predict = BatchPredictor(save(preprocessing=Preprocessing(pixel_max=100, ink=100)), images="image")
    bits, levels = np.zeros((28, 28), bool), np.zeros((28, 28), np.uint8)
    bits[5:20, 9:12], levels[5:20, 9:12] = True, 100
    one, other = (answers(predict(in_cells([packed(each)]))) for each in (bits, levels))
    assert one == other
    with pytest.raises(DataError, match="column 'image': pictures of several depths; expected pixels from 0 to 100"):
        predict(in_cells([packed(bits), packed(levels)]))


# Ranges


@pytest.mark.parametrize("said", [(0, 1), (-1, 1), (0, 255)])
def test_a_range_holds_for_integers_too_so_that_none_depends_on_floats_beside_them(said, save):
    low, high = said
    ink = np.full((28, 28), low)
    ink[4:20, 9:12] = high
    kinds = ["i8", "f4", "f8", "f2", ">i2", "u1" if not low else "i1"]
    cells = [*map(ink.astype, kinds), ink.tolist(), ink.astype(float).tolist()]
    predict = BatchPredictor(save(), images="image", pixel_range=said)
    found = alone_and_together(predict, cells)
    plain = BatchPredictor(save(), images="image")(in_cells([((ink - low) * (255 // (high - low))).astype(np.uint8)]))
    assert {each["predicted"] for each in found} == {plain.predicted[0]}
    assert {each["note"] for each in found} == {""}
    columns = {name: np.full(2, value, float if place % 2 else int) for place, (name, value) in enumerate(
        zip(PIXELS, ink.ravel(), strict=True)
    )}  # fmt: skip
    numbers = BatchPredictor(save(), pixel_range=said)
    assert [*numbers(columns)["predicted"]] == [plain.predicted[0]] * 2
    assert numbers(pd.DataFrame(columns)).predicted.tolist() == [plain.predicted[0]] * 2
    assert numbers(ink[None])["predicted"] == [plain.predicted[0]]


def test_integers_out_of_the_range_that_the_caller_says_are_refused(save, images):
    predict = BatchPredictor(save(), pixel_range=(0, 1))
    for batch in (images, images.astype(int), pd.DataFrame(images.reshape(60, -1), columns=PIXELS)):
        with pytest.raises(DataError, match=r"pixel out of range; expected 0 to 1, found .*holds for integers too"):
            predict(batch)
    cells = BatchPredictor(save(), images="image", pixel_range=(-1, 1))
    with pytest.raises(DataError, match=r"row 1, column 'image', pixel \d+: pixel out of range; expected -1 to 1"):
        cells({"image": objects([np.zeros((28, 28)), images[0].tobytes()])})


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (np.zeros((28, 28)), "floats of an unknown range.*found float64; say pixel_range="),
        (np.zeros((28, 28), bool), "pixels are not numbers.*found bool"),
        (np.zeros((28, 28), "m8[s]"), "pixels are not numbers"),
        ([0] * 783 + [None], "pixels are not numbers.*found object"),
        (np.full((28, 28), "0"), "pixels are not numbers"),
    ],
)
def test_a_cell_of_another_kind_is_refused_with_its_row_also_beside_integers(cell, message, save):
    predict = BatchPredictor(save(), images="image")
    for batch in ({"image": objects([ZEROS[0], cell])}, in_cells([ZEROS[0], cell])):
        with pytest.raises((DataError, ArgumentTypeError), match=rf"row 1, column 'image': {message}"):
            predict(batch)


@pytest.mark.parametrize("frame", [False, True])
def test_a_column_of_another_kind_is_refused_by_its_name_also_beside_integers(frame, save):
    columns = {name: np.zeros(2, np.uint8) for name in PIXELS}
    for other, message in (
        (np.zeros(2), "column 'pixel7': floats of an unknown range"),
        (np.zeros(2, bool), "column 'pixel7': pixels are not numbers"),
        (np.zeros(2, "M8[s]"), "column 'pixel7': pixels are not numbers"),
        (np.array([0, 300]), "row 1, column 'pixel7': pixel out of range"),
    ):
        batch = columns | {"pixel7": other}
        with pytest.raises((DataError, ArgumentTypeError), match=message):
            BatchPredictor(save())(pd.DataFrame(batch) if frame else batch)


def test_integers_of_no_common_dtype_are_integers(save, images):
    """NumPy's common dtype of int64 and uint64 is float64."""
    predict = BatchPredictor(save(), images="image")
    found = alone_and_together(predict, [images[0].astype(np.int64), images[1].astype(np.uint64)])
    whole = BatchPredictor(save())(images[:2])["predicted"]
    assert [each["predicted"] for each in found] == whole.tolist()
    flat = images[:2].reshape(2, -1)
    columns = {
        name: flat[:, place].astype([np.int64, np.uint64][place % 2]) for place, name in enumerate(PIXELS)
    }  # fmt: skip
    assert [*BatchPredictor(save())(columns)["predicted"]] == whole.tolist()
    assert BatchPredictor(save())(pd.DataFrame(columns)).predicted.tolist() == whole.tolist()


# Axes


@pytest.mark.parametrize("axes", [(14, 56), (56, 14), (28, 7, 4)])
def test_cells_of_as_many_pixels_in_another_shape_are_refused(axes, save):
    predict = BatchPredictor(save(), images="image")
    with pytest.raises(DataError, match=rf"row 1, column 'image'.*found shape \({axes[0]}, {axes[1]}"):
        predict({"image": objects([ZEROS[0], np.zeros(axes, np.uint8)])})


def test_an_axis_of_one_says_nothing(save, images):
    predict, whole = BatchPredictor(save()), BatchPredictor(save())(images)
    assert predict(images[..., None]).tobytes() == whole.tobytes()
    assert predict(images[:, None]).tobytes() == whole.tobytes()
    cells = BatchPredictor(save(), images="image")(in_cells([image[..., None] for image in images]))
    assert cells.note.tolist() == whole["note"].tolist()


@pytest.mark.parametrize("wrong", [lambda x: x, lambda x: x.tolist()])
def test_cells_turned_the_other_way_are_refused(wrong, save, images):
    turned = BatchPredictor(save(shape=(20, 28)), images="image", transpose=True)
    x = images[0, :20]
    assert turned(in_cells([x.T])).note.tolist() == [""]
    with pytest.raises(DataError, match=r"row 0, column 'image'.*found shape \(20, 28\)"):
        turned(in_cells([wrong(x)]))


# Which columns


PIXEL_COLUMNS = {name: np.zeros(3, np.uint8) for name in PIXELS}


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        ({"image": np.zeros((3, 32, 32), np.uint8), "mask": ZEROS}, r"image \(32, 32\), mask \(28, 28\)"),
        ({"image": np.zeros((3, 32, 32), np.uint8), "mask": ZEROS > 0}, r"image \(32, 32\), mask \(28, 28\)"),
        ({"image": np.zeros((3, 32, 32, 3), np.uint8), "x": ZEROS.reshape(3, -1)}, r"image .*, x \(784,\)"),
        ({**PIXEL_COLUMNS, "features": ZEROS.reshape(3, -1)}, r"features \(784,\), pixel0, \.\.\."),
        ({"image": objects([packed(image) for image in ZEROS]), "mask": ZEROS}, r"mask \(28, 28\), image pictures"),
        ({"image": objects([{"bytes": b"", "path": None}] * 3), "mask": ZEROS}, r"mask \(28, 28\), image pictures"),
        ({"image": objects([np.zeros((32, 32))] * 3), "mask": ZEROS}, r"mask \(28, 28\), image \(32, 32\)"),
        ({"image": objects([None, [0] * 784, None]), "mask": ZEROS}, r"mask \(28, 28\), image \(784,\)"),
        (pd.DataFrame({**PIXEL_COLUMNS, "image": objects([*ZEROS])}), r"image \(28, 28\), pixel0, \.\.\."),
        (pd.DataFrame({**PIXEL_COLUMNS, "image": objects([bytes(784)] * 3)}), r"image \(784,\), pixel0, \.\.\."),
    ],
)
def test_several_columns_that_may_be_the_images_are_refused(batch, found, save):
    with pytest.raises(DataError, match=rf"the columns: several columns may be the images.*found {found}; say images="):
        BatchPredictor(save())(batch)
    name = "image" if "image" in batch else "features"
    if getattr(batch[name], "shape", ())[1:] in ((28, 28), (784,)):
        assert len(BatchPredictor(save(), images=name)(batch)["predicted"]) == 3
    if "mask" in batch and batch["mask"].dtype != bool:
        assert len(BatchPredictor(save(), images="mask")(batch)["predicted"]) == 3


def test_measurements_and_keys_beside_images_are_no_images(save, images):
    predict, whole = BatchPredictor(save()), BatchPredictor(save())(images)
    beside = {
        "key": objects([b"0123456789abcdef"] * 60), "name": np.array(["a"] * 60), "one hot": np.eye(60),
        "words": objects([["a", "b"]] * 60), "about": objects([{"path": "a"}] * 60),
    }  # fmt: skip
    assert predict({**beside, "x": images})["note"].tolist() == whole["note"].tolist()
    columns = dict(zip(PIXELS, images.reshape(60, -1).T, strict=True))
    assert predict({**beside, **columns})["note"].tolist() == whole["note"].tolist()
    frame = pd.DataFrame({**{name: [*each] for name, each in beside.items()}, **columns})
    assert predict(frame).note.tolist() == whole["note"].tolist()


def test_cells_are_images_if_the_caller_says_so(save):
    for batch in (in_cells([*ZEROS]), {"image": objects([*ZEROS])}):
        with pytest.raises(DataError, match=r"the columns: no column of images.*found image \(28, 28\); say images="):
            BatchPredictor(save())(batch)


# What is no batch


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.array(5), r"batch: the axes: images do not fit the model.*found \(\)"),
        ({"x": [ZEROS[0], ZEROS[0, 1:]]}, r"no column of images.*found x \(28, 28\); say images="),
        ({0: ZEROS, 1: ZEROS}, "batch: not the name of a column; expected text, found 0"),
        ({0: np.arange(3), 1: np.arange(3)}, "batch: not the name of a column; expected text, found 0"),
        ({}, "batch: the dict: no columns"),
        ({"x": 5}, "column 'x': columns differ in length; expected an array with a value a row, found int"),
        ({"x": ZEROS, "key": np.arange(2)}, "column 'key': columns differ in length; expected 3 rows.*found 2 rows"),
        (dict.fromkeys(PIXELS, 0), "column 'pixel0': columns differ in length"),
        ({**PIXEL_COLUMNS, "pixel9": np.zeros(2, int)}, "column 'pixel9': columns differ in length"),
    ],
)
def test_what_holds_no_rows_is_refused_in_one_line(batch, message, save):
    with pytest.raises((DataError, ArgumentTypeError), match=message) as told:
        BatchPredictor(save())(batch)
    assert told.value.fix


def test_images_of_several_sizes_in_a_list_are_refused_with_their_row(save):
    with pytest.raises(DataError, match=r"row 1, column 'x'.*found shape \(27, 28\)"):
        BatchPredictor(save(), images="x")({"x": [ZEROS[0], ZEROS[0, 1:]]})
    with pytest.raises(DataError, match=r"row 1, column 'x'.*found MaskedArray"):
        BatchPredictor(save(), images="x")({"x": objects([ZEROS[0], np.ma.masked_equal(ZEROS[0], 5)])})


def test_named_columns_hold_a_pixel_each_and_as_many_as_the_model_has(save):
    with pytest.raises(DataError, match=r"column 'b': not a column of pixels.*found shape \(3, 783\)"):
        BatchPredictor(save(), images=["a", "b"])({"a": np.zeros(3, int), "b": np.zeros((3, 783), int)})
    for kind in (dict, pd.DataFrame):
        with pytest.raises(DataError, match=r"images do not fit the model.*found \(3, 2\)"):
            BatchPredictor(save(), images=["a", "b"])(kind({"a": np.zeros(3, int), "b": np.zeros(3, int)}))


def test_bytes_that_are_kept_keep_their_zeros(save, images):
    keys = [b"a\0", b"b\0\0", b"c"]
    found = BatchPredictor(save())({"key": keys, "x": images[:3]})
    assert found["key"].tolist() == keys


# Processes


def test_weights_are_laid_out_once_in_a_process(save, images, monkeypatch):
    made = []
    monkeypatch.setattr(batches, "Members", lambda *given, make=batches.Members: made.append(1) or make(*given))
    predict, several = BatchPredictor(save()), BatchPredictor(save(), threads=2)
    for _ in range(3):
        assert predict(images).tobytes() == several(images).tobytes()
    assert len(made) == 2


def test_a_child_forked_while_another_thread_loads_a_model_predicts(save, images):
    predict = BatchPredictor(save())
    whole = predict(images)
    batches._models.clear()

    def work():
        assert predict(images).tobytes() == whole.tobytes()

    with held_elsewhere(batches._lock):
        assert forked(work)
