"""Folders as data sets: which are parts, which are classes, what is not used and how it is said."""

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnnet import data
from fnnet.data import layout
from fnnet.data.layout import part_of, pictures_below
from fnnet.data.listing import entries, natural
from fnnet.errors import DataError, StorageError
from tests.tools.samples import missing_parts, png_bytes, write

WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation", "dev"),
}
SPELLED = ("{}", "{}_set", "{}-set", "{}set", "{} images", "{}_data", "images_{}", "data-{}")
CASES = (str, str.upper, str.title)
LEFT = (
    ".DS_Store", "Thumbs.db", "desktop.ini", "._1.png", ".ipynb_checkpoints/1.png", "__MACOSX/0/._1.png",
    "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "@eaDir/2.png", "$RECYCLE.BIN/1.png", "lost+found/1.png", "#recycle/1.png",
)  # fmt: skip


def picture(value):
    return png_bytes(1, 1, 0, 8, zlib.compress(bytes((0, value))))


def put(folder, name, value=7):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, picture(value))


def load(folder):
    """The data set, and the codes and lines of its notes without those about pixels."""
    told = []
    found = data.load(str(folder), notify=told.append)
    codes = ("not-used", "unlabelled-part")
    return found, [(note.code, str(note)) for note in told if getattr(note, "code", "") in codes]


def spelled(part):
    return st.builds(
        lambda word, form, case: case(form.format(word)),
        st.sampled_from(WORDS[part]),
        st.sampled_from(SPELLED),
        st.sampled_from(CASES),
    )


kinds = st.sampled_from(("absent", "labelled", "flat", "empty"))
classes = st.lists(st.sampled_from(("a", "b", "7", "10", "testbed", "trainer", "contest", "values")), unique=True)


@given(st.data(), kinds, kinds, kinds, classes, classes, st.sets(st.sampled_from(LEFT)))
def test_every_layout_is_read_as_its_names_say_or_refused(tmp_path_factory, draw, train, test, val, inner, outer, left):
    """Never a part as a class, never a class as a part; what is not used is said."""
    folder = tmp_path_factory.mktemp("set")
    parts = {"train": train, "test": test, "val": val}
    names = {part: draw.draw(spelled(part)) for part in parts}
    for name in outer:
        put(folder, f"{name}/1.png")
    for part, kind in parts.items():
        if kind == "labelled":
            (folder / names[part]).mkdir()
            for name in inner:
                put(folder / names[part], f"{name}/1.png")
        elif kind == "flat":
            put(folder, f"{names[part]}/1.png")
        elif kind == "empty":
            (folder / names[part]).mkdir()
    for name in left:
        for inside in (folder, *(path for path in folder.iterdir() if path.name[0] not in "._")):
            if inside.is_dir():
                put(inside, name)
    parts = {part: kind if inner or kind != "labelled" else "empty" for part, kind in parts.items()}
    is_train = parts["train"] != "absent"
    used = inner if is_train else outer
    right = (
        parts["train"] in ("absent", "labelled")
        and len(used) >= 2
        and (parts["test"] != "labelled" or set(inner) == set(used))
    )
    if not right:
        with pytest.raises(DataError) as raised:
            load(folder)
        assert missing_parts(raised.value) == []
        return
    found, notes = load(folder)
    assert set(found.classes) == set(used)
    assert len(found.train.labels) == len(used)
    assert (found.test is not None) == (parts["test"] == "labelled")
    unlabelled = [part for part in ("test", "val") if parts[part] in ("flat", "empty")]
    lines = [line for code, line in notes if code == "unlabelled-part"]
    assert sorted(line.partition(":")[0] for line in lines) == sorted(str(folder / names[part]) for part in unlabelled)
    lines = [line for code, line in notes if code == "not-used"]
    assert any(f"--dev-data {folder / names['val']}" in line for line in lines) == (parts["val"] == "labelled")
    assert any("folders" in line for line in lines) == (is_train and bool(outer))
    assert len(lines) == (parts["val"] == "labelled") + (is_train and bool(outer))


NO_PARTS = ("contest", "tests2", "trained", "pretrain", "testbed", "value", "device", "set", "data", "")


@pytest.mark.parametrize("name", NO_PARTS)
def test_names_that_are_no_parts(name):
    assert part_of(name) == ""


def test_a_long_name_is_told_at_once():
    assert part_of("data_set" * 30 + "x") == ""


def test_two_folders_of_one_part_are_refused(tmp_path):
    for name in ("a", "b", "test", "testing"):
        put(tmp_path, f"{name}/1.png")
    with pytest.raises(DataError, match="two folders of one part; expected one of test, found test and testing"):
        load(tmp_path)


def test_a_test_part_of_other_classes_is_refused(tmp_path):
    for name in ("train/a", "train/b", "test/a", "test/b", "test/c"):
        put(tmp_path, f"{name}/1.png")
    with pytest.raises(DataError, match="classes of test and train differ"):
        load(tmp_path)


def test_a_test_part_of_some_of_the_classes_is_noted(tmp_path):
    for name in ("train/a", "train/b", "train/c", "test/c", "test/a"):
        put(tmp_path, f"{name}/1.png")
    found = data.load(tmp_path)
    assert found.test.labels.tolist() == [0, 2]
    assert [str(note) for note in found.notes if note.code == "classes-missing"] == [
        f"{tmp_path / 'test'}: 1 class without test images: b"
    ]


def test_classes_that_are_named_like_parts(tmp_path):
    """Refused where they may be parts; inside a part every folder is a class, which is the remedy."""
    for name in ("bus", "car", "train"):
        put(tmp_path / "one", f"{name}/1.png")
        put(tmp_path / "two" / "train", f"{name}/1.png")
    with pytest.raises(DataError, match=r"training images without classes; .* if it is a class, put all class folders"):
        load(tmp_path / "one")
    assert load(tmp_path / "two")[0].classes == ("bus", "car", "train")
    put(tmp_path / "three", "valid/1.png")
    put(tmp_path / "three", "invalid/1.png")
    with pytest.raises(DataError, match=r"found 1 class folder; valid, a part by its name; put the folders of all"):
        load(tmp_path / "three")


def test_files_that_may_be_meant_are_named(tmp_path):
    write(tmp_path / "digits.csv", b"label,pixel0\n1,2\n")
    put(tmp_path, "1.png")
    put(tmp_path / "train", "x/1.png")
    with pytest.raises(DataError, match=r"found 1 class folder; see --data"):
        load(tmp_path)
    (tmp_path / "train" / "x" / "1.png").unlink()
    (tmp_path / "train" / "x").rmdir()
    (tmp_path / "train").rmdir()
    with pytest.raises(DataError, match=r"found 0 class folders; 1 picture; digits\.csv; name the file: --data .*csv"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["test-00000-of-00001.npz", "train-00000-of-00001.npz"], "train-00000"),
        (["X_test.npy", "X_train.npy", "y_train.npy"], "X_train"),
        (["test.csv", "validation.csv", "zoo.csv"], "zoo"),
        (["a.csv", "b.csv"], "a.csv"),
        (["test.csv"], "test.csv"),
    ],
)
def test_the_file_that_is_named_is_not_that_of_the_test_images(tmp_path, names, named):
    """To follow the advice would train on them."""
    for name in names:
        write(tmp_path / name, b"label,pixel0\n1,2\n")
    with pytest.raises(DataError, match=f"name the file: --data .*{named}"):
        load(tmp_path)


@pytest.mark.parametrize("below", ["archive", "archive/mnist_png", "a/b/c/d"])
@pytest.mark.parametrize("beside", [(), ("archive.zip",)])
def test_the_folder_that_lies_alone_in_others_is_named(below, beside, tmp_path):
    for name in "012":
        put(tmp_path, f"{below}/{name}/1.png")
    for name in beside:
        write(tmp_path / name, b"PK")
    with pytest.raises(DataError, match=f"name the folder in it: --data {tmp_path / below}$"):
        load(tmp_path)


@pytest.mark.parametrize("below", ["a/b/c/d/e/f", "a"])
def test_no_folder_far_below_is_named_and_none_without_classes(below, tmp_path):
    put(tmp_path, "a/1.png" if below == "a" else f"{below}/0/1.png")
    with pytest.raises(DataError, match="found 1 class folder; see --data"):
        load(tmp_path)


@pytest.mark.parametrize("inside", ["{}/0", "{}/x/0"])
def test_pictures_in_folders_in_a_class_folder_are_not_overlooked(inside, tmp_path):
    """As folds, and copies that were made of them."""
    for number in range(8):
        put(tmp_path, f"{inside.format(('fold0', 'fold1')[number % 2])}/{number}.png")
    first = inside.format("").split("/")[1]
    message = f"fold0: the folder: class without images; .* found folders of pictures: {first}; put all pictures of a "
    with pytest.raises(DataError, match=f"{message}.* if the folders in it are the classes, --data {tmp_path}/fold0$"):
        load(tmp_path)


def test_an_empty_class_folder_beside_one_of_folders(tmp_path):
    put(tmp_path, "b/0.png")
    (tmp_path / "a" / "c").mkdir(parents=True)
    with pytest.raises(DataError, match="found c; add some or remove the folder"):
        load(tmp_path)


@pytest.mark.parametrize("suffix", [".tga", ".pcx", ".pfm", ".TGA"])
def test_an_image_of_a_kind_that_is_not_read_is_named(suffix, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / f"1{suffix}", bytes(18))
    with pytest.raises(DataError, match=f"an image of another kind; .* found {suffix}; save it as PNG"):
        load(tmp_path)


def test_files_that_are_not_used_are_said(tmp_path):
    for name in ("a/1.png", "b/1.png", "3.png", "a/deeper/1.png"):
        put(tmp_path, name)
    for number in range(7):
        write(tmp_path / "b" / f"{number}.txt", b"text")
    lines = [line for _, line in load(tmp_path)[1]]
    texts = "b/0.txt, b/1.txt, b/2.txt, b/3.txt, b/4.txt and 2 more"
    assert lines == [
        f"{tmp_path}: not used: 1 picture in no class folder",
        f"{tmp_path}: not used: folders in class folders: a/deeper",
        f"{tmp_path}: not used: {texts}, no files with the name of a picture",
    ]


@given(st.permutations(range(12)))
def test_pictures_are_taken_in_natural_order(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("set")
    for number in order:
        put(folder, f"a/{number}.png", number)
    put(folder, "b/0.png")
    assert load(folder)[0].train.x[:12, 0].tolist() == list(range(12))
    assert [path.name for path in entries(folder / "a")] == [f"{number}.png" for number in range(12)]


def test_classes_are_in_natural_order_and_keep_their_names_where_some_are_missing(run, tmp_path):
    """k2 before k10: in class folders, columns of text, and answers; another folder may have some of them."""
    names = [f"k{number}" for number in (0, 1, 2, 9, 10, 11)]
    bars = {name: bytes(255 * (at == number) for at in range(8)) for number, name in enumerate(names)}
    drawn = {name: png_bytes(8, 8, 0, 8, zlib.compress((b"\0" + bar) * 8)) for name, bar in bars.items()}
    for name in names:
        (tmp_path / "all" / name).mkdir(parents=True)
        for number in range(4):
            write(tmp_path / "all" / name / f"{number}.png", drawn[name])
    for name in ("k10", "k2"):
        (tmp_path / "some" / name).mkdir(parents=True)
        write(tmp_path / "some" / name / "0.png", drawn[name])
    header = ",".join(f"pixel{number}" for number in range(64))
    table = [f"{name},{','.join(map(str, bars[name] * 8))}\n" for name in reversed(names) for _ in range(4)]
    write(tmp_path / "a.csv", f"label,{header}\n{''.join(table)}".encode())
    for path in (tmp_path / "all", tmp_path / "a.csv"):
        found = load(path)[0]
        assert found.classes == tuple(names)
        assert all(x[:8].tobytes() == bars[names[label]] for x, label in zip(*found.train, strict=True))
    options = ("--epochs", 200, "--learning-rate", 1, "--dev", 0, "--out", "m", "--quiet")
    assert run("train", "--data", tmp_path / "all", *options).code == 0
    report = run("evaluate", "m", "--data", tmp_path / "some", "--json").json
    assert report["accuracy"] == 1
    answers = run("predict", "m", *(tmp_path / "all" / name / "0.png" for name in names), "--json").json["predictions"]
    assert [each["label"] for each in answers] == names


@given(st.lists(st.text(st.sampled_from("a1٣0_."), max_size=6), unique=True), st.randoms())
def test_any_names_have_an_order(names, random):
    assert len({(tuple(pieces), name) for pieces, name in map(natural, names)}) == len(names)
    other = random.sample(names, len(names))
    assert sorted(names, key=natural) == sorted(other, key=natural)


def test_folders_beside_idx_files_are_noted(idx_folder, run):
    assert "not-used" not in [note.code for note in data.load(idx_folder).notes]
    for name in ("zero", "one", ".git", "__MACOSX"):
        (idx_folder / name).mkdir()
    notes = [str(note) for note in data.load(idx_folder).notes if note.code == "not-used"]
    assert notes == [f"{idx_folder}: not used: folders one and zero; the IDX files beside them are read"]


def test_the_test_part_of_images_for_validation_is_noted(idx_folder, run):
    done = run("train", "--data", idx_folder, "--dev-data", idx_folder, "--epochs", 1, "--json")
    notes = [note["note"] for note in done.json["notes"] if note["code"] == "not-used"]
    assert notes == [f"{idx_folder}: its test part is not used: validation takes its training images"]


@given(
    st.sets(st.tuples(st.sampled_from(["", "a", "b/2", "b/10", "c.png"]), st.integers(0, 30)), min_size=1),
    st.booleans(),
)
def test_pictures_of_any_tree_are_found_in_natural_order(tmp_path_factory, places, other):
    """Those of a folder before those of the folders in it; a folder may have the name of a picture."""
    folder = tmp_path_factory.mktemp("set")
    for inside, number in places:
        put(folder / inside, f"{number}.png")
    if other:
        (folder / "b").mkdir(exist_ok=True)
        write(folder / "b" / "list.txt", b"")
        (folder / "b" / "back").symlink_to(folder)
    found, notes = pictures_below(folder)
    rank = {"": 0, "a": 1, "b/2": 2, "b/10": 3, "c.png": 4}
    order = sorted(places, key=lambda place: (rank[place[0]], place[1]))
    assert found == [folder / inside / f"{number}.png" for inside, number in order]
    lines = [f"{folder}: not used: b/back and b/list.txt, no files with the name of a picture"]
    assert notes == lines * other


def test_a_folder_without_pictures_names_what_is_there(tmp_path):
    with pytest.raises(DataError, match=r"no images; expected PNG, .*, found none; name the files"):
        pictures_below(tmp_path)
    (tmp_path / "a").mkdir()
    write(tmp_path / "a" / "images.csv", b"1,2")
    with pytest.raises(DataError, match=r"found a/images\.csv; name the files"):
        pictures_below(tmp_path)


@given(
    st.sampled_from(["seg_{}", "{}1", "mnist-{}-28x28", "New {}", "x.{}.y", "{}-v2_final"]),
    st.sampled_from([("train", "test"), ("Training", "Testing"), ("train", "val"), ("train", "test", "valid")]),
    st.booleans(),
    st.booleans(),
)
def test_names_that_differ_in_the_word_of_the_part_alone_are_parts(tmp_path_factory, pattern, words, nested, other):
    folder = tmp_path_factory.mktemp("in")
    names = [pattern.format(word) for word in words]
    for value, name in enumerate(names):
        for number, each in enumerate(("cat", "dog")):
            put(folder / name / name if nested else folder / name, f"{each}/1.png", 10 * value + number)
    if other:
        put(folder, "seg_pred/1.png")
    found = data.load(folder)
    assert found.classes == ("cat", "dog")
    assert found.train.x.tolist() == [[0], [1]]
    assert (found.test.x.tolist() if found.test else None) == ([[10], [11]] if "test" in words[1].lower() else None)
    assert any("seg_pred" in note for note in found.notes) == other


@pytest.mark.parametrize(
    "names",
    [
        ("steam_train", "bus"), ("train_station", "test_tube"), ("train1", "train2"), ("bullet_train", "bullet_points"),
        ("strainer1", "tester1"), ("test1", "val1"), ("train_test_1", "train_test_2"),
    ],
)  # fmt: skip
def test_words_of_parts_in_the_names_of_classes_are_classes(names, tmp_path):
    for name in names:
        put(tmp_path, f"{name}/1.png")
    assert data.load(tmp_path).classes == tuple(sorted(names))


def test_parts_of_each_class_are_refused(tmp_path):
    """Four classes as they stand, whose halves would be told from one another."""
    for name in ("cat_train", "cat_test", "dog_train", "dog_test"):
        put(tmp_path, f"{name}/1.png")
    with pytest.raises(
        DataError, match="several folders of training; expected one of each part, found cat_test"
    ) as raised:
        data.load(tmp_path)
    assert missing_parts(raised.value) == []


def test_pictures_in_folders_that_differ_in_the_part_alone(tmp_path):
    for name in ("train1", "test1"):
        put(tmp_path, f"{name}/1.png")
    with pytest.raises(DataError, match="training images without classes"):
        data.load(tmp_path)


def test_a_data_set_in_a_folder_of_its_own_is_named(tmp_path):
    """As an archive unpacks it."""
    put(tmp_path / "set" / "inner", "a/1.png")
    put(tmp_path / "set" / "inner", "b/1.png")
    with pytest.raises(DataError, match=r"found 1 class folder; name the folder in it: --data (.*inner)") as refused:
        load(tmp_path / "set")
    assert load(refused.value.fix.partition("--data ")[2])[0].classes == ("a", "b")


COMPOSED, APART = "caf\u00e9", "cafe\u0301"
"""One name in two forms of Unicode."""


@pytest.mark.parametrize(("first", "second"), [(COMPOSED, APART), (APART, COMPOSED), (APART, APART)])
def test_names_of_classes_are_compared_whatever_their_form_in_unicode(first, second, tmp_path):
    for part, name in (("train", first), ("test", second)):
        put(tmp_path, f"{part}/{name}/1.png", 9)
        put(tmp_path, f"{part}/zoo/1.png", 70)
    found = data.load(str(tmp_path))
    assert found.classes == (COMPOSED, "zoo")
    place = found.classes.index(COMPOSED)
    for part in (found.train, found.test):
        assert part.x[part.labels == place].tolist() == [[9]]
        assert part.x[part.labels != place].tolist() == [[70]]


def test_a_class_without_test_images_may_have_any_letters(tmp_path):
    for name in ("train/é/1.png", "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"):
        put(tmp_path, name)
    assert data.load(str(tmp_path)).test.labels.tolist() == [0, 1]


def test_one_class_in_two_folders_is_refused(tmp_path):
    for name in (COMPOSED, APART, "zoo"):
        put(tmp_path, f"{name}/1.png")
    with pytest.raises(DataError, match=r"two folders of one class; .*cafe\\u0301.*caf\\xe9"):
        data.load(str(tmp_path))


def test_a_folder_that_holds_the_class_folders_is_named_as_it_is(tmp_path):
    for name in ("a", "b"):
        put(tmp_path, f"{APART}/{name}/1.png")
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path))
    assert caught.value.fix == f"name the folder in it: --data {tmp_path / APART}"


def test_a_data_set_has_two_class_folders(tmp_path):
    put(tmp_path, "cat/1.png")
    with pytest.raises(DataError, match=r"expected IDX files, or two or more folders of .* images, one for each class"):
        load(tmp_path)
    put(tmp_path, ".dog/1.png")
    with pytest.raises(DataError, match=r"found 1 class folder; hidden folders of pictures: \.dog; see --data"):
        load(tmp_path)


def test_class_folders_called_by_numbers_are_classes_without_a_note(tmp_path):
    """Their labels are no numbers that could be places."""
    for name in ("1", "3", "7"):
        put(tmp_path, f"{name}/1.png")
    found = data.load(tmp_path)
    assert found.classes == ("1", "3", "7")
    assert not [note for note in found.notes if note.code.startswith("number")]


@pytest.mark.parametrize("part", [".", "train", "test"])
def test_hidden_folders_of_pictures_are_no_classes_and_noted(part, tmp_path, monkeypatch):
    for name in ("b", "c"):
        put(tmp_path, f"{part}/{name}/1.png")
        put(tmp_path, f"train/{name}/1.png") if part == "test" else None
    for name in (".a/1.png", ".Trash-1000/1.png", ".ipynb_checkpoints/1.png", ".git/x/1.png"):
        put(tmp_path / part, name)
    (tmp_path / part / ".DS_Store").write_bytes(b"")
    found, notes = load(tmp_path)
    said = "not used: hidden folders of pictures: .a; if they are classes, rename them"
    assert (found.classes, notes) == (("b", "c"), [("not-used", f"{tmp_path / part}: {said}")])

    def fails(folder):
        if folder.name == ".a":
            raise StorageError("cannot be listed", where=folder)
        return entries(folder)

    monkeypatch.setattr(layout, "entries", fails)
    assert load(tmp_path)[1] == []


@pytest.mark.parametrize("part", [".", "train"])
def test_tables_beside_class_folders_are_noted(part, tmp_path):
    for name in ("b/1.png", "c/1.png"):
        put(tmp_path / part, name)
    for name in ("labels.csv", "b.npz", "set.zip", "README.txt"):
        write(tmp_path / part / name, b"1.png,c")
    (tmp_path / part / "d.csv").mkdir()
    put(tmp_path / part, "d.csv/1.png")
    found, notes = load(tmp_path)
    assert found.classes == ("b", "c", "d.csv")
    assert notes == [("not-used", f"{tmp_path / part}: not used: b.npz and labels.csv beside the class folders")]


def test_pieces_in_a_folder_below_are_named(tmp_path):
    """As hubs store them: data/train-00000-of-00002.parquet, or a folder for each of several sets."""
    folder = tmp_path / "hub" / "data"
    for name in ("test-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"):
        put(folder, f"{name}.parquet")
    named = re.escape(f"name the file: --data {folder / 'train-00000-of-00002.parquet'}")
    with pytest.raises(DataError, match=f"no data set; .* found 1 class folder; data/test-00000.*; {named}") as raised:
        data.load(folder.parent)
    assert missing_parts(raised.value) == []
    put(folder.parent, "other/train.csv")
    with pytest.raises(DataError, match=f"class without images; .*; {named}, or add some or remove the folder"):
        data.load(folder.parent)


def test_a_table_in_folders_by_the_values_of_a_column_is_named(tmp_path):
    for number in range(3):
        put(tmp_path, f"label={number}/0.parquet")
    message = (
        "the folder: a table in folders by the values of label; expected files with a column label, "
        "found label=0, label=1 and label=2; write its rows into one file: pandas.read_parquet"
    )
    with pytest.raises(DataError, match=message) as raised:
        data.load(tmp_path)
    assert missing_parts(raised.value) == []


def test_class_folders_of_pictures_may_be_called_so(tmp_path):
    for number in range(2):
        put(tmp_path, f"label={number}/0.png", 200 * number)
    assert data.load(tmp_path).classes == ("label=0", "label=1")
