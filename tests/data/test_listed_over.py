"""Tables beside several folders: their pictures are of the classes that the table says, or of the folders."""

import pytest

from fnnet import data
from fnnet.data.folders import is_data_of
from fnnet.errors import UsageError
from tests.data.test_listed import CLASSES, N, drawn, load, put, refused, right, rows, table
from tests.tools.samples import write


def spread_over(folder, *names, name="img_{}.png"):
    """Put the pictures into several folders, one after another."""
    for number in range(N):
        inside = folder / names[number % len(names)]
        inside.mkdir(parents=True, exist_ok=True)
        write(inside / name.format(number), drawn(number))


def ham(folder):
    """As HAM10000 has them: several pictures of one lesion, and columns about the patient."""
    spread_over(folder, "HAM10000_images_part_1", "HAM10000_images_part_2", name="ISIC_{}.png")
    lines = [(f"L{k // 2}", f"ISIC_{k}", CLASSES[k % 4], "histo", "80", "mf"[k % 3 == 0]) for k in range(N)]
    return table(folder / "HAM10000_metadata.csv", lines, "lesion_id,image_id,dx,dx_type,age,sex")


def test_the_folders_of_one_collection_are_no_classes(tmp_path):
    path = ham(tmp_path)
    refused(tmp_path, "line 1: .* one column of labels beside image_id, found lesion_id, dx, .*; say --label-column")
    found, codes = load(tmp_path, reading=data.Reading(label_column="dx"))
    assert right(found)
    assert codes == ["labels-in-table", "not-used"]
    assert is_data_of(tmp_path, path)
    assert not is_data_of(tmp_path, table(tmp_path / "b.csv", [("1", "2")], "a,b"))
    table(path, [(f"ISIC_{k}", CLASSES[k % 4]) for k in range(N)], "image_id,dx")
    assert right(load(tmp_path)[0])


@pytest.mark.parametrize("names", [("part_a", "part_b"), ("Images1", "Images2"), ("batch 1", "batch 2", "batch 10")])
@pytest.mark.parametrize("part", ["", "train"])
def test_pieces_are_known_by_their_names(names, part, tmp_path):
    spread_over(tmp_path / part, *names)
    table(tmp_path / "train.csv", rows("img_{}"), "id,label")
    assert right(load(tmp_path)[0])
    (tmp_path / "train.csv").rename(tmp_path / part / "labels.csv")
    assert right(load(tmp_path)[0])
    put(tmp_path / part, "masks", n=2)  # pictures of the same names
    found, _ = load(tmp_path)
    assert right(found)
    assert "folder masks" in found.notes[-1]


@pytest.mark.parametrize("mask", ["img_{}.png", "img_{}_mask.png"])
@pytest.mark.parametrize("header", ["id,label", "image,category"])
def test_the_folder_of_images_is_the_one_that_a_table_names(mask, header, tmp_path):
    put(tmp_path, "images")
    put(tmp_path, "masks", name=mask)
    table(tmp_path / "train.csv", rows("img_{}"), header)
    found, codes = load(tmp_path)
    assert right(found)
    assert codes == ["labels-in-table", "not-used"]
    assert found.notes[-1].endswith("not used: folder masks")


def test_a_test_set_in_folders_is_not_of_the_table(tmp_path):
    spread_over(tmp_path / "train", "part1", "part2")
    spread_over(tmp_path / "test", "part1", "part2")
    table(tmp_path / "train.csv", rows("img_{}"), "id,label")
    found, _ = load(tmp_path)
    assert right(found)
    assert found.test is None
    assert "folder test" in found.notes[-1]


@pytest.mark.parametrize(
    ("header", "more"), [("id,label", ()), ("image,k,label", ("1",)), ("file,k,label", ("cat",)), ("", ())]
)
def test_folders_that_may_be_classes_beside_a_table_of_their_pictures_are_refused(header, more, run, tmp_path):
    spread_over(tmp_path, "a", "b")
    given = [(name, *more, label) for name, label in rows("img_{}")]
    path = table(tmp_path / "labels.csv", given, header)
    message = "the folders or the table may .* found names of 2[34] pictures in a and b; if a column is the classes, "
    refused(tmp_path, message)
    if header:
        assert right(load(tmp_path, reading=data.Reading(label_column="label"))[0])
        answer = run("data", "info", "--data", tmp_path, "--label-column", "label")
        assert answer.code == 0
        assert "k10" in answer.out
    path.unlink()
    assert load(tmp_path)[0].classes == ("a", "b")


def test_a_table_that_says_what_the_folders_say_is_not_needed(tmp_path):
    spread_over(tmp_path, "Train/0", "Train/1")
    given = [("29", f"Train/{k % 2}/img_{k}.png", str(k % 2), "xyz"[k % 3]) for k in range(N)]
    table(tmp_path / "Train.csv", given, "Width,Path,ClassId,colour")
    found, codes = load(tmp_path)
    assert found.classes == ("0", "1")
    assert codes == ["not-used"]
    found, _ = load(tmp_path, reading=data.Reading(label_column="colour"))
    assert found.classes == ("x", "y", "z")


@pytest.mark.parametrize("header", ["file,folder,label", "file,label,set", "file,subdir,breed"])
def test_a_column_that_repeats_the_folders_does_not_say_that_they_are_classes(header, tmp_path):
    spread_over(tmp_path, "a", "b")
    given = [(f"img_{k}.png", "ab"[k % 2], CLASSES[k % 4]) for k in range(N)]
    given = [(row[0], row[2], row[1]) for row in given] if "set" in header else given
    path = table(tmp_path / "labels.csv", given, header)
    refused(tmp_path, "the folders or the table may say the classes")
    for name, new in (("a", "part1"), ("b", "part2")):
        (tmp_path / name).rename(tmp_path / new)
    table(path, [(row[0], "12"[k % 2]) for k, row in enumerate(given)], "file,label")
    assert load(tmp_path)[0].classes == ("1", "2")


def test_a_table_of_a_folder_of_images_and_of_another_is_refused(tmp_path):
    spread_over(tmp_path, "images", "images", "extra")
    table(tmp_path / "labels.csv", rows())
    refused(tmp_path, "found names of 24 pictures in extra and images; if a column")


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ([(f"img_{k}.png", "blurred") for k in range(N)], "file,why"),
        ([(f"img_{k}.png", f"{k}.5") for k in range(N)], "file,score"),
        ([(f"img_{k}.png", "ab"[k % 2]) for k in range(N // 2)], "file,quality"),
        ([("img_1.png", "a"), ("img_2.png",), ("img_3.png", "b")], "file,quality"),
        ([(str(k), "ab"[k % 2]) for k in range(N)], "id,label"),
    ],
)
def test_a_table_that_says_no_classes_of_most_pictures_leaves_them_to_the_folders(given, header, tmp_path):
    spread_over(tmp_path, "cat", "dog")
    table(tmp_path / "a.csv", given, header)
    assert load(tmp_path)[0].classes == ("cat", "dog")
    with pytest.raises(UsageError, match="has no effect"):
        load(tmp_path, reading=data.Reading(label_column="2"))


def test_numbers_that_name_pictures_are_those_of_rows_unless_they_are_called_so(tmp_path):
    spread_over(tmp_path, "cat", "dog", name="{}.png")
    path = table(tmp_path / "a.csv", [(str(k), "ab"[k % 3 == 0]) for k in range(N)], "epoch,kind")
    assert load(tmp_path)[0].classes == ("cat", "dog")
    table(path, [(str(k), "ab"[k % 3 == 0]) for k in range(N)], "id,kind")
    refused(tmp_path, "the folders or the table may say the classes")


def test_several_tables_over_folders_are_refused_but_for_those_of_other_parts(tmp_path):
    spread_over(tmp_path, "part1", "part2")
    table(tmp_path / "a.csv", rows(), "file,label")
    table(tmp_path / "test.csv", rows(), "file,label")
    table(tmp_path / "sample_submission.csv", rows(), "file,label")
    assert right(load(tmp_path)[0])
    table(tmp_path / "b.csv", rows(), "file,label")
    refused(tmp_path, "several tables of pictures")
