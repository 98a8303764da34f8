"""Data sets written in every form are read as they were."""

import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from fnnet import data
from fnnet.core.state import Examples, Preprocessing
from fnnet.data import Dataset
from fnnet.data import convert as converting
from fnnet.data.convert import check_new_folder, convert, form_of, write_folder
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError, StorageError, UsageError
from fnnet.files.disk import DISK
from fnnet.names import composed
from tests.tools.samples import csv_file

DIGITS = data.load("digits")
SMALL = DIGITS._replace(
    train=Examples(DIGITS.train.x[:60], DIGITS.train.labels[:60]),
    test=Examples(DIGITS.test.x[:30], DIGITS.test.labels[:30]),
)
OUT = {"npz": "a.npz", "csv": "a.csv", "idx": "folder", "png": "folder"}


def in_order(examples):
    """Rows by label, then by pixels: class folders have an order of their own."""
    rows = np.column_stack([examples.labels, examples.x])
    return rows[np.lexsort(rows.T[::-1])]


def same(found, expected):
    np.testing.assert_array_equal(in_order(found), in_order(expected))


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("form", OUT)
def test_what_is_written_is_read(form, test, tmp_path):
    dataset = SMALL if test else SMALL._replace(test=None)
    path = tmp_path / OUT[form]
    written = convert(dataset, path, form)
    found = data.load(path)
    same(found.train, SMALL.train)
    if form == "csv":
        assert written == [str(tmp_path / name) for name in ["a.csv", "a-test.csv"][: 1 + test]]
    else:
        assert written == [str(path)]
    assert (found.test is None) == (not test)
    if test:
        same(found.test, SMALL.test)
    assert found.image_shape == (28, 28)
    assert found.classes == DIGITS.classes
    assert found.notes == ()
    assert len(list(tmp_path.iterdir())) == len(written), "nothing else is left"


def test_oblong_images_and_other_classes(tmp_path):
    x = np.arange(2 * 24, dtype=np.uint8).reshape(2, 24) * 5
    dataset = SMALL._replace(train=Examples(x, np.array([1, 0])), test=None, classes=("b", "a"), image_shape=(4, 6))
    convert(dataset, tmp_path / "new" / "folder")
    found = data.load(tmp_path / "new" / "folder")
    assert (found.classes, found.image_shape) == (("a", "b"), (4, 6))
    np.testing.assert_array_equal(found.train.x, x)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=8).map(
    composed
)
KNOWN = ["train", "Test", "val", "10", "9", "x,y", " a", "a.png", ".b", "..", "Thumbs.db", "é"]


@st.composite
def datasets(draw):
    """Data sets of any size, with classes of any names, of which some may lack images."""
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    names = draw(
        st.one_of(
            st.integers(1, 12).map(lambda count: [str(number) for number in range(count)]),
            st.lists(st.one_of(NAMES, st.sampled_from(KNOWN)), min_size=1, max_size=12, unique=True),
        ).filter(lambda names: all(name.isprintable() for name in names))
    )
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["any", "any", "dark", "blank", "mask"]))

    def part(least):
        n = draw(st.integers(least, 30))
        x = generator.integers(0, 256, (n, shape[0] * shape[1]), dtype=np.uint8)
        x = {"any": x, "dark": 255 - x // 8 * (x > 200), "blank": x * 0, "mask": x // 128}[kind].astype(np.uint8)
        every = draw(st.booleans()) and n >= len(names)
        labels = np.arange(n) % len(names) if every else generator.integers(0, len(names), n)
        return Examples(x, labels.astype(np.int64))

    test = part(1) if draw(st.booleans()) else None
    transposed = Preprocessing(transpose=draw(st.booleans()))
    return Dataset("a", "a", part(1), test, tuple(names), shape, transposed)


@given(datasets(), st.sampled_from([*OUT]), st.booleans())
@with_settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_data_set_is_read_back_or_what_is_not_held_is_said_before(tmp_path_factory, dataset, form, emnist):
    """Whatever it is called."""
    folder = tmp_path_factory.mktemp("out")
    out = folder / (f"emnist-letters{Path(OUT[form]).suffix}" if emnist else OUT[form])
    notes = []

    def hear(note):
        assert os.listdir(folder) == [], "said before anything is written"
        notes.append(note)

    try:
        written = convert(dataset, out, form, notify=hear)
    except UsageError as error:
        assert os.listdir(folder) == []
        assert form == "png", error
        counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
        named = {"class name", "too few classes"}
        assert (error.problem == "class without training images") == bool(
            not counts.all() and error.problem not in named
        )
        return
    codes = [note.code for note in notes]
    classes, reading = None, Reading(ink="light" if "ink-not-held" in codes else "auto")
    assert ("classes-not-held" in codes) == (form in ("csv", "idx") and dataset.classes != DIGITS.classes)
    if "classes-not-held" in codes:
        classes = dataset.classes
    found = data.load(written[0], classes=classes, reading=reading)
    assert found.image_shape == dataset.image_shape
    assert ("classes-sorted" in codes) == (found.classes != dataset.classes)
    assert sorted(found.classes) == sorted(dataset.classes)
    places = np.array([found.classes.index(name) for name in dataset.classes])
    for part, wanted in ((found.train, dataset.train), (found.test, dataset.test)):
        assert (part is None) == (wanted is None)
        if wanted:
            same(part, wanted._replace(labels=places[wanted.labels]))
    turned = data.load(written[0], classes=classes, preprocessing=Preprocessing(transpose=True))
    if form != "idx":  # the file says that it is upright
        same(turned.train, dataset.train._replace(labels=places[dataset.train.labels]))
    else:
        assert ("order-not-held" in codes) == dataset.preprocessing.transpose
        assert "transposed" in [note.code for note in turned.notes]
        upright = Reading(transpose=False)
        turned = data.load(written[0], classes=classes, preprocessing=Preprocessing(transpose=True), reading=upright)
        same(turned.train, dataset.train)


@pytest.mark.parametrize("form", ["csv", "idx"])
def test_the_option_that_makes_up_for_what_is_not_held_works_as_it_is_typed(form, run, tmp_path):
    x, labels = SMALL.train.x[:9], np.arange(9) % 3
    out = OUT[form]
    for classes, option in ((("ant", "bee", "x y"), "--class-names 'ant,bee,x y'"), (("0", "1", "2"), "--classes 3")):
        dataset = SMALL._replace(train=Examples(x, labels), test=None, classes=classes)
        convert(dataset, tmp_path / "a.npz")
        found = run("data", "convert", out, "--to", form, "--data", "a.npz", "--json").json
        (note,) = found["notes"]
        assert note["note"].endswith(f"read it with {option}")
        assert run("data", "info", "--data", out, *shlex.split(option), "--json").json["classes"] == list(classes)
        shutil.rmtree(out) if form == "idx" else os.remove(out)


def test_a_csv_beside_that_has_the_name_of_a_test_set(tmp_path):
    """It is the test set if it has labels, and would be taken for it by another file."""
    convert(SMALL, tmp_path / "a.csv")
    with pytest.raises(UsageError, match="would be read with another file; expected no file that is its test set"):
        convert(SMALL._replace(test=None), tmp_path / "a.csv")
    lines = (tmp_path / "a-test.csv").read_text().splitlines()
    (tmp_path / "a-test.csv").write_text("".join(line.partition(",")[2] + "\n" for line in lines))
    found = data.load(tmp_path / "a.csv")
    assert found.test is None
    assert [note.code for note in found.notes] == ["not-used"]


def test_images_that_lines_of_csv_cannot_hold(tmp_path):
    large = SMALL._replace(train=Examples(np.zeros((1, 150 * 150), np.uint8), np.zeros(1, int)), test=None)
    with pytest.raises(UsageError, match="images too large for CSV; expected lines of at most 65,536 bytes"):
        convert(large._replace(image_shape=(150, 150)), tmp_path / "a.csv")
    assert os.listdir(tmp_path) == []


def test_an_archive_that_would_pass_for_a_bomb_is_stored(tmp_path):
    blank = Examples(np.zeros((90_000, 784), np.uint8), np.zeros(90_000, np.int64))
    convert(SMALL._replace(train=blank, test=None), tmp_path / "a.npz")
    assert data.load(tmp_path / "a.npz").train.x.shape == blank.x.shape


@pytest.mark.parametrize(
    ("names", "order", "expected"),
    [
        (["a", "a"], "row by row", "class names; expected printable names, each once"),
        (["a", "b\n"], "row by row", "class names; expected printable names, each once"),
        (["a", "b"], "column by column", None),
        ([["a", "b"]], "row by row", None),
        ([1, 2], "row by row", None),
    ],
)
def test_names_and_orders_that_others_wrote(names, order, expected, tmp_path):
    """Refused where they are ours but damaged, passed over where they are something else."""
    x, y = SMALL.train.x.reshape(-1, 28, 28), SMALL.train.labels
    np.savez(tmp_path / "a.npz", x=x, y=y, class_names=np.array(names), pixel_order=np.array(order))
    if expected:
        with pytest.raises(DataError, match=f"a.npz: class_names: {expected}"):
            data.load(tmp_path / "a.npz")
    else:
        assert data.load(tmp_path / "a.npz").classes == DIGITS.classes


@pytest.mark.parametrize("form", ["idx", "png"])
@pytest.mark.parametrize("there", ["a file", "files in the folder"])
def test_nothing_is_replaced(form, there, tmp_path):
    path = tmp_path / "out"
    if there == "a file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "mine").touch()
    with pytest.raises(StorageError, match="would replace what is there"):
        convert(SMALL, path, form)
    assert os.listdir(tmp_path) == ["out"]
    if there != "a file":
        (path / "mine").unlink()
        convert(SMALL, path, form)
        same(data.load(path).train, SMALL.train)


@pytest.mark.parametrize("name", ["a/b", "..", "."])
def test_class_names_that_no_folder_can_have(name, tmp_path):
    dataset = SMALL._replace(classes=(name, *DIGITS.classes[1:]))
    with pytest.raises(UsageError, match="class name; expected names that a folder can have"):
        convert(dataset, tmp_path / "out", "png")
    assert os.listdir(tmp_path) == []


def test_labels_that_idx_cannot_hold(tmp_path):
    dataset = SMALL._replace(train=Examples(SMALL.train.x[:2], np.array([0, 256])))
    with pytest.raises(UsageError, match=r"too many classes for IDX; expected labels of at most 255, .* found 256"):
        convert(dataset, tmp_path / "out", "idx")
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fails_leaves_nothing(monkeypatch, tmp_path):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", fail)
    with pytest.raises(StorageError, match="No space left"):
        convert(SMALL, tmp_path / "out", "png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", [".txt", ".zip", ".png"])
def test_names_that_say_no_form(suffix):
    with pytest.raises(UsageError, match=r"unknown form; expected a name with \.npz or \.csv, or a folder"):
        form_of(f"a{suffix}")


@pytest.mark.parametrize("form", ["npz", "csv", "idx", "png"])
@pytest.mark.parametrize("ending", [".npz", ".csv", ".CSV.gz", ".parquet", ".zip", ".txt", ""])
def test_a_name_that_says_another_format_than_the_form_is_refused(form, ending):
    if ending in ("", ".txt", f".{form}"):
        assert form_of(f"a{ending}", form) == form
        return
    with pytest.raises(UsageError, match="OUT: the name says another format; expected the name of ") as caught:
        form_of(f"a{ending}", form)
    own = f"with .{form}" if form in ("npz", "csv") else f"without {ending.lower().removeprefix('.csv') or '.csv'}"
    packs = ending in (".CSV.gz", ".zip")
    assert caught.value.fix == f"name it {own}{', and pack it then' * packs}"


def test_from_the_command_line(run, tmp_path):
    """Dark ink becomes light, the notes are told, and the input is not replaced."""
    x, labels = SMALL.train
    path = csv_file(tmp_path / "dark.csv", np.column_stack([labels, 255 - x]).tolist())
    document = run("data", "convert", "light.npz", "--data", path, "--json").json
    assert document["images"] == {"train": 60, "test": 0}
    assert document["written"] == ["light.npz"]
    assert [note["code"] for note in document["notes"]] == ["dark-ink"]
    same(data.load("light.npz").train, SMALL.train)
    result = run("data", "convert", "folder", "--to", "idx", "--data", "light.npz")
    assert result.out.splitlines()[-1] == "saved folder"
    same(data.load("folder").train, SMALL.train)
    run("data", "convert", path, "--data", path).failed(2, "would replace another file")
    run("data", "convert", "a.txt", "--data", path).failed(2, "unknown form")
    assert data.load(path, reading=Reading(ink="light")).train.x.tolist() == (255 - x).tolist()


@pytest.mark.parametrize("form", OUT)
def test_dark_ink_that_was_kept_is_noted(form, tmp_path):
    dark = SMALL._replace(train=SMALL.train._replace(x=255 - SMALL.train.x), test=None)
    notes = []
    convert(dark, tmp_path / OUT[form], form, notify=notes.append)
    assert [note.code for note in notes] == ["ink-not-held"]
    assert notes[0].endswith("with --ink light")
    same(data.load(tmp_path / OUT[form], reading=Reading(ink="light")).train, dark.train)


def test_a_stop_leaves_nothing(monkeypatch, tmp_path):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("PIL.Image.Image.save", stop)
    with pytest.raises(KeyboardInterrupt):
        convert(SMALL, tmp_path / "out", "png")
    assert os.listdir(tmp_path) == []


def test_a_class_without_images_has_no_folder_and_the_remedy_is_one(tmp_path):
    lacking = SMALL._replace(train=Examples(SMALL.train.x[:9], np.zeros(9, np.int64)), classes=("a", "b"), test=None)
    with pytest.raises(UsageError, match="as class folders need, found b; write NPZ, or add images of it"):
        convert(lacking, tmp_path / "folder", "png")


def test_a_new_folder_takes_no_place_that_is_kept(tmp_path, monkeypatch):
    """Such a folder cannot be renamed to: all that was written would be lost."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "nowhere").symlink_to("none")
    monkeypatch.chdir(tmp_path / "empty")
    for name, found in (
        ("../link", "a link"),
        ("../nowhere", "a link"),
        (".", "the folder .*empty"),
        ("..", "the folder"),
    ):
        with pytest.raises(
            StorageError, match=rf"cannot be replaced by a new folder; .*found {found}.*name a folder in"
        ):
            check_new_folder(Path(name))
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(StorageError, match="found where a disk is mounted"):
        check_new_folder(tmp_path / "empty")


def test_the_name_of_a_new_folder_is_written_to_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        converting, "DISK", DISK._replace(sync_folder=lambda path: synced.append((path, [*path.iterdir()])))
    )
    write_folder(tmp_path / "a", lambda folder: None)
    assert synced == [(tmp_path, [tmp_path / "a"])]
