"""Predictions of batches: every form of a batch has the answers of its images, whatever lies beside them."""

import copy
import io
import pickle
import threading

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet.apps import batches
from fnnet.apps.batches import BatchPredictor
from fnnet.core.state import Preprocessing
from fnnet.data import read_images
from fnnet.errors import ArgumentTypeError, DataError, ModelError, StorageError, UsageError

pd = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")

PIXELS = [f"pixel{number}" for number in range(784)]


def in_arrays(image):
    """As Arrow gives lists in lists."""
    rows = np.empty(len(image), object)
    rows[:] = [*image]
    return rows


def frame_of(x):
    return pd.DataFrame(x.reshape(len(x), -1), columns=PIXELS, index=range(100, 100 + len(x)))


def test_answers_are_those_of_the_model_by_the_names_of_its_classes(save, images):
    path = save()
    model = fnnet.load_model(path)
    found = BatchPredictor(path)(images)
    x = images.reshape(60, 784)
    best = fnnet.predict(model, x)
    blank = found["note"] == "blank"
    assert np.flatnonzero(blank).tolist() == [5, 11]
    assert np.flatnonzero(found["note"] == "other-ink").tolist() == [*range(20, 25)]
    assert np.flatnonzero(found["note"] == "dim-pixels").tolist() == [*range(30, 33)]
    assert found["predicted"].tolist() == ["" if empty else name for name, empty in zip(best, blank, strict=True)]
    assert np.isnan(found["probability"]).tolist() == blank.tolist()
    probs = fnnet.forward(model.params, x).probs.max(axis=1)
    np.testing.assert_allclose(found["probability"][~blank], probs[~blank], rtol=1e-5)


def test_an_answer_does_not_depend_on_its_batch(save, images):
    predict = BatchPredictor(save())
    whole = predict(images)
    order = np.random.default_rng(1).permutation(60)
    assert predict(images[order]).tobytes() == whole[order].tobytes()
    for parts in (60, 7):
        assert np.concatenate([predict(each) for each in np.array_split(images, parts)]).tobytes() == whole.tobytes()


def test_an_iterator_is_answered_batch_by_batch(save, images):
    predict, asked = BatchPredictor(save()), []

    def give():
        for each in np.array_split(images, 6):
            asked.append(len(each))
            yield each

    answers = predict(give())
    assert not asked
    first = next(answers)
    assert asked == [10]
    assert np.concatenate([first, *answers]).tobytes() == predict(images).tobytes()
    assert [len(each) for each in predict([images[:2], frame_of(images)])] == [2, 60]


def test_a_frame_keeps_its_index_and_its_other_columns(save, images):
    predict, whole = BatchPredictor(save()), BatchPredictor(save())(images)
    frame = frame_of(images).assign(key=[f"k{row}" for row in range(60)], label=7)
    before = frame.copy()
    found = predict(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert found.columns.tolist() == ["key", "label", "predicted", "probability", "note"]
    assert found.index.tolist() == [*range(100, 160)]
    assert found.key.tolist() == before.key.tolist()
    assert found.predicted.fillna("").tolist() == whole["predicted"].tolist()
    assert found.predicted.isna().sum() == 2
    assert found.note.tolist() == whole["note"].tolist()
    assert BatchPredictor(save(), keep=["key"])(frame).columns.tolist() == ["key", "predicted", "probability", "note"]
    assert BatchPredictor(save(), keep=())(frame).columns.tolist() == ["predicted", "probability", "note"]


def test_the_types_of_answers_do_not_depend_on_the_batch(save, images):
    predict, frame = BatchPredictor(save()), frame_of(images).assign(key=1)
    types = predict(frame).dtypes.tolist()
    for part in (frame.iloc[:0], frame.iloc[:0].astype(object), frame.iloc[5:6], frame.iloc[:3]):
        assert predict(part).dtypes.tolist()[1:] == types[1:], len(part)
    for part in (images[:0], images[:1], np.empty((0, 0), np.uint8)):
        assert predict(part).dtype == predict.dtype


def test_pixels_are_taken_by_the_numbers_in_their_names(save, images):
    predict = BatchPredictor(save())
    frame = frame_of(images).assign(key=1)
    found = predict(frame)
    pd.testing.assert_frame_equal(predict(frame[frame.columns[::-1]]), found)
    pd.testing.assert_frame_equal(predict(frame[sorted(frame.columns)]), found)
    pd.testing.assert_frame_equal(predict(frame.astype(dict.fromkeys(PIXELS[::2], "int64"))), found)
    numbered = frame[PIXELS].set_axis(range(784), axis=1)
    assert predict(numbered[[*range(783, -1, -1)]]).note.tolist() == found.note.tolist()
    pairs = [f"{row}x{column}" for column in range(1, 29) for row in range(1, 29)]
    turned = pd.DataFrame(images.transpose(0, 2, 1).reshape(60, -1), columns=pairs)
    mixed = predict(turned[sorted(pairs)])
    assert mixed.probability.equals(found.probability.reset_index(drop=True))
    with pytest.raises(DataError, match="the first number of a name may be the row or the column"):
        predict(turned)


def test_columns_that_the_caller_names_are_taken_in_that_order(save, images):
    names = [f"a {number % 7} {number}" for number in range(784)]
    frame = pd.DataFrame(images.reshape(60, -1), columns=names)
    found = BatchPredictor(save(), images=names)(frame[names[::-1]])
    assert found.probability.tolist() == pytest.approx(BatchPredictor(save())(images)["probability"], nan_ok=True)


@pytest.mark.parametrize("as_cell", [
    lambda image: image.tobytes(), lambda image: image.reshape(-1).tolist(), lambda image: image.tolist(),
    lambda image: image, in_arrays, lambda image: image.astype(np.int16),
])  # fmt: skip
def test_images_in_the_cells_of_a_column(as_cell, save, images):
    cells = pd.Series([as_cell(image) for image in images], dtype=object)
    frame = pd.DataFrame({"key": range(60), "image": cells})
    predict = BatchPredictor(save(), images="image")
    whole = predict(images)
    assert predict(frame).note.tolist() == whole["note"].tolist()
    assert predict(frame).predicted.fillna("").tolist() == whole["predicted"].tolist()
    assert predict(frame[:0]).columns.tolist() == predict(frame).columns.tolist()
    column = np.empty(60, object)
    column[:] = [*cells]
    assert predict({"image": column})["note"].tolist() == whole["note"].tolist()


@pytest.mark.parametrize("resize", [False, True])
def test_pictures_in_the_cells_of_a_column(resize, save, images):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'fnnet[formats]'")

    def packed(image):
        file = io.BytesIO()
        Image.fromarray(image).resize((56, 56) if resize else (28, 28)).save(file, "png")
        return file.getvalue()

    frame = pd.DataFrame({"key": range(60), "image": [packed(image) for image in images]})
    predict = BatchPredictor(save(preprocessing=Preprocessing(resize=resize)), images="image")
    found = predict(frame)
    assert found.key.tolist() == [*range(60)]
    assert found.note.tolist() == predict(images)["note"].tolist()
    alone = pd.concat([predict(frame[row : row + 1]) for row in range(60)])
    pd.testing.assert_frame_equal(alone, found)


def test_a_dict_of_arrays(save, images):
    predict, key = BatchPredictor(save()), np.arange(60)
    whole = predict(images)
    found = predict({"key": key, "x": images, "other": np.zeros((60, 3))})
    assert [*found] == ["key", "other", "predicted", "probability", "note"]
    assert found["key"] is key
    assert [each or "" for each in found["predicted"]] == whole["predicted"].tolist()
    assert found["predicted"][5] is None
    flat = images.reshape(60, -1)
    columns = {name: flat[:, at] for at, name in enumerate(PIXELS)}
    assert predict({"key": key, **columns})["note"].tolist() == whole["note"].tolist()


@pytest.mark.parametrize(("pixel_range", "stored"), [
    ((0, 1), lambda x: x / 255), ((0, 1), lambda x: (x / 255).astype(np.float32)), ((-1, 1), lambda x: x / 127.5 - 1),
    ((0, 255), lambda x: x.astype(np.float64)), (None, lambda x: x.astype(np.int64)),
])  # fmt: skip
def test_floats_are_read_in_the_range_that_the_caller_names(pixel_range, stored, save, images):
    predict, whole = BatchPredictor(save(), pixel_range=pixel_range), BatchPredictor(save())(images)
    assert predict(stored(images)).tobytes() == whole.tobytes()
    assert predict(frame_of(stored(images))).note.tolist() == whole["note"].tolist()


@pytest.mark.parametrize("preprocessing", [
    Preprocessing(), Preprocessing(paper=255, ink=0, blank=8), Preprocessing(pixel_max=16, ink=16),
    Preprocessing(pixel_max=100, paper=90, ink=10), Preprocessing(transpose=True),
])  # fmt: skip
def test_images_are_read_as_a_frame_of_a_file_is(preprocessing, save, images):
    x = images if preprocessing.pixel_max == 255 else (images // 16 if preprocessing.pixel_max == 16 else images // 3)
    path = save(preprocessing=preprocessing)
    model = fnnet.load_model(path)
    turned = preprocessing.transpose or None
    read = read_images(frame_of(x), (28, 28), preprocessing, notify=lambda note: None)
    expected = fnnet.predict(model, read)
    found = BatchPredictor(path, transpose=turned)(frame_of(x))
    seen = found.predicted.notna().to_numpy()
    assert found.predicted[seen].tolist() == expected[seen].tolist()
    assert seen.sum() > 50


def test_images_that_are_not_square_and_those_stored_column_by_column(save, images):
    x = images[:, :20]
    upright = BatchPredictor(save(shape=(20, 28)))
    turned = BatchPredictor(save(shape=(20, 28)), transpose=True)
    whole = upright(x)
    assert turned(x.transpose(0, 2, 1)).tobytes() == whole.tobytes()
    assert turned(x.transpose(0, 2, 1).reshape(60, -1)).tobytes() == whole.tobytes()
    with pytest.raises(DataError, match=r"expected \(n, 560\) or \(n, 28, 20\), found \(60, 20, 28\)"):
        turned(x)


def test_it_pickles_small_and_without_the_model(save, images):
    path = save()
    predict = BatchPredictor(path)
    stored = pickle.dumps(predict)
    assert len(stored) < 500
    batches._models.clear()
    other = pickle.loads(stored)
    assert not batches._models
    assert (other.path, other.sha256) == (str(path), predict.sha256)
    assert repr(other) == f"BatchPredictor({str(path)!r}, sha256={predict.sha256[:12]}...)"
    assert other(images).tobytes() == predict(images).tobytes()
    assert copy.deepcopy(predict)(images).tobytes() == predict(images).tobytes()


def test_a_model_is_loaded_once_in_a_process_by_many_threads(save, images, monkeypatch):
    predict, loaded = BatchPredictor(save()), []
    monkeypatch.setattr(batches, "model_in", lambda *given: loaded.append(1) or fnnet.load_model(given[1]))
    whole, found = predict(images), []
    batches._models.clear()
    loaded.clear()
    copies = [pickle.loads(pickle.dumps(predict)) for _ in range(8)]
    threads = [threading.Thread(target=lambda each=each: found.append(each(images).tobytes())) for each in copies]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [whole.tobytes()] * 8
    assert len(loaded) == 1


def test_a_process_keeps_the_models_used_last(save, images):
    made = [BatchPredictor(save(f"{seed}.safetensors", seed)) for seed in range(6)]
    for each in (*made, made[3]):
        each(images[:1])
    assert [*batches._models] == [made[number].sha256 for number in (2, 4, 5, 3)]


def test_a_file_that_changed_is_refused(save, images):
    path = save()
    predict = BatchPredictor(path)
    predict(images)
    save(seed=4)
    predict(images)  # of the model that is there already
    batches._models.clear()
    with pytest.raises(ModelError, match=rf"not the file.*expected SHA-256 {predict.sha256[:12]}\.\.\., found") as told:
        predict(images)
    assert told.value.where == str(path)
    with pytest.raises(ModelError, match="not the file"):
        BatchPredictor(path, sha256=predict.sha256)
    assert BatchPredictor(path, sha256=BatchPredictor(path).sha256)
    path.unlink()
    with pytest.raises(StorageError, match="on every worker, or make the predictor with embed=True"):
        predict(images)


def test_a_file_that_travels_along_is_not_needed_on_workers(save, images):
    path = save()
    predict = BatchPredictor(path, embed=True)
    whole = predict(images)
    other = pickle.loads(pickle.dumps(predict))
    path.unlink()
    batches._models.clear()
    assert other(images).tobytes() == whole.tobytes()


def test_one_thread_unless_more_are_asked_for(save, images, monkeypatch):
    asked = []
    monkeypatch.setattr(batches, "_kernels", {})
    monkeypatch.setattr(batches, "load", lambda name, threads, parts: asked.append(threads) or fnnet.load_kernels())
    for threads in ({}, {"threads": 3}):
        pickle.loads(pickle.dumps(BatchPredictor(save(), **threads)))(images)
    assert asked == [1, 3]


def test_the_schema_of_spark(save):
    types = [("key", "bigint"), *((name, "int") for name in PIXELS), ("a `b`", "array<string>")]
    answers = "`predicted` string, `probability` float, `note` string"
    assert BatchPredictor(save()).schema(types) == f"`key` bigint, `a ``b``` array<string>, {answers}"
    assert BatchPredictor(save(), keep=["key"]).schema(types) == f"`key` bigint, {answers}"
    assert BatchPredictor(save(), images="x", keep=()).schema([("x", "binary")]) == answers
    for given in (7, types[0], pd.DataFrame({"x": [1]})):
        with pytest.raises(ArgumentTypeError, match=r"schema: not columns; expected pairs.*data\.dtypes"):
            BatchPredictor(save()).schema(given)
    with pytest.raises(DataError, match="column 'key': two columns of one name"):
        BatchPredictor(save()).schema([*types, types[0]])
    with pytest.raises(DataError, match="column 'image': no such column"):
        BatchPredictor(save(), images="image").schema(types)


NUMBERS = np.zeros((3, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (NUMBERS / 255, DataError, "floats of an unknown range.*say pixel_range="),
        (NUMBERS.astype(str), ArgumentTypeError, "pixels are not numbers"),
        (NUMBERS.astype(bool), ArgumentTypeError, "pixels are not numbers"),
        (
            NUMBERS.astype(int) - 1,
            DataError,
            "row 0, pixel 0: pixel out of range; expected whole numbers from 0 to 255, found -1",
        ),
        (NUMBERS.astype(int) + 256, DataError, "from 0 to 255, found 256"),
        (NUMBERS[:, 1:], DataError, r"the axes: images do not fit the model.*found \(3, 27, 28\)"),
        (NUMBERS[0], DataError, r"found \(28, 28\)"),
        (NUMBERS.reshape(1, -1), DataError, r"found \(1, 2352\)"),
        (7, ArgumentTypeError, "not a batch.*found int; ask the engine for pandas or numpy batches"),
        (frame_of(NUMBERS).drop(columns="pixel5"), DataError, "pixel columns missing; expected 784"),
        (frame_of(NUMBERS).drop(columns="pixel783"), DataError, "pixels do not fit the model.*found 783 columns"),
        (frame_of(NUMBERS).set_axis([*range(783), "x"], axis=1), DataError, "unknown column.*found 'x'; say images="),
        (frame_of(NUMBERS).assign(more=1).set_axis(range(785), axis=1), DataError, "found 785"),
        (frame_of(NUMBERS).set_axis([f"1x{n}" for n in range(784)], axis=1), DataError, "found 1x784"),
        (frame_of(NUMBERS).assign(pixel3="a"), ArgumentTypeError, "column 'pixel3'"),
        (frame_of(NUMBERS).assign(pixel3=np.nan), ArgumentTypeError, "column 'pixel3'.*missing values"),
        (frame_of(NUMBERS).assign(note=1), UsageError, "keep: a column is called as one of the answers; found note"),
        (
            frame_of(NUMBERS).assign(key=1, other=2).rename(columns={"other": "key"}),
            DataError,
            "column 'key': two columns",
        ),
        ({"x": np.ma.masked_equal(NUMBERS, 5)}, ArgumentTypeError, "not a batch.*found dict"),
        (np.ma.masked_equal(NUMBERS, 5), ArgumentTypeError, "not a batch.*found MaskedArray"),
        ({"x": NUMBERS, "y": NUMBERS}, DataError, r"several columns may be the images.*x \(28, 28\), y \(28, 28\)"),
        ({"x": NUMBERS[:, 1:]}, DataError, r"no column of images.*found x \(27, 28\)"),
        ({"x": np.arange(3)}, DataError, "say images="),
    ],
)
def test_what_is_not_sure_is_refused_in_one_line(batch, error, message, save):
    with pytest.raises(error, match=message) as told:
        BatchPredictor(save())(batch)
    assert told.value.where in ("batch", "keep")
    assert told.value.fix
    again = pickle.loads(pickle.dumps(told.value))
    assert (type(again), str(again), again.fix) == (type(told.value), str(told.value), told.value.fix)


@pytest.mark.parametrize("cell", [None, 5, "image", [1, 2], [[1], [2, 3]], b"", np.zeros((27, 28), np.uint8)])
def test_a_cell_without_an_image_is_refused_with_its_row(cell, save):
    predict = BatchPredictor(save(), images="image")
    column = np.empty(2, object)
    column[:] = [NUMBERS[0], cell]
    with pytest.raises(DataError, match=r"row 1, column 'image': no image of the model's size; expected 28x28"):
        predict({"image": column})
    frame = pd.DataFrame({"image": pd.Series([*column], dtype=object)})
    with pytest.raises(DataError):
        predict(frame)


def test_numbers_out_of_the_named_range_are_refused(save, images):
    for pixel_range, wrong in (((0, 1), 1.01), ((0, 1), -0.1), ((-1, 1), np.nan), ((0, 255), 0.5), ((0, 255), np.inf)):
        x = np.zeros((2, 784), np.float32)
        x[1, 7] = wrong
        with pytest.raises(DataError, match="row 1, pixel 7: pixel out of range"):
            BatchPredictor(save(), pixel_range=pixel_range)(x)
    with pytest.raises(DataError, match="pixel above the largest"):
        BatchPredictor(save(preprocessing=Preprocessing(pixel_max=16, ink=16)))(images)


def test_what_a_predictor_is_made_of_is_checked(save, tmp_path):
    path = save()
    for given, message in (
        ({"pixel_range": (0, 2)}, r"pixel_range: unknown range; expected \(0, 1\)"),
        ({"pixel_range": np.array([0, 1])}, "pixel_range: unknown range"),
        ({"sha256": 5}, "sha256: not a digest"),
        ({"sha256": ""}, "not the file that the predictor was made of"),
        ({"keep": 5}, "keep: not names of columns"),
        ({"images": [1, 2]}, "images: not names of columns"),
        ({"keep": "key"}, "keep: not names of columns"),
        ({"threads": 0}, "threads"),
        ({"embed": 1}, "embed is not a truth value"),
        ({"transpose": "no"}, "transpose is not a truth value"),
    ):
        with pytest.raises((UsageError, ModelError), match=message):
            BatchPredictor(path, **given)
    with pytest.raises(UsageError, match="no model file"):
        BatchPredictor([path])
    turned = save("turned.safetensors", preprocessing=Preprocessing(transpose=True))
    with pytest.raises(UsageError, match="transpose: the model leaves it open"):
        BatchPredictor(turned)
    with pytest.raises(UsageError, match=r"keep: no such column.*found other"):
        BatchPredictor(path, keep=["other"])(frame_of(NUMBERS))
    named = frame_of(NUMBERS).set_axis([f"{row}x{column}" for row in range(28) for column in range(28)], axis=1)
    with pytest.raises(DataError, match="names say the row and the column"):
        BatchPredictor(path, transpose=True)(named)
    with pytest.raises(StorageError):
        BatchPredictor(tmp_path / "none.safetensors")
    (tmp_path / "text").write_text("no model")
    with pytest.raises(ModelError):
        BatchPredictor(tmp_path / "text")


def test_frames_of_polars_are_to_be_converted(save):
    pl = pytest.importorskip("polars", reason="needs polars: pip install polars")
    with pytest.raises(ArgumentTypeError, match=r"found DataFrame.*to_pandas\(\)"):
        BatchPredictor(save())(pl.DataFrame(NUMBERS.reshape(3, -1), schema=PIXELS))
