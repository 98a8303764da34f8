"""Which folders of a data set are parts, such as `train` and `test`, and which are classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from fnnet.data import formats
from fnnet.data.label_names import check_printable, in_order
from fnnet.data.listing import LEFT, below, entries, shown
from fnnet.data.notes import Note
from fnnet.data.pieces import unused_part
from fnnet.data.reader import SEE
from fnnet.data.roles import PARTS, part_in, part_of
from fnnet.errors import StorageError, counted
from fnnet.files.disk import list_folder, refuse
from fnnet.names import composed

AFFIXED: Final = re.compile(
    "(.*?)(?<![a-z])({})(?![a-z])(.*)".format("|".join(word for word in PARTS if word.isalpha())), re.DOTALL
)
"""A name with the word of a part in it: what is before it, the word, what is behind it."""
DATA_FILES: Final = frozenset({
    ".csv", ".tsv", ".npz", ".npy", ".gz", ".tgz", ".tar", ".zip", ".bz2", ".xz", ".pkl", ".h5", ".hdf5",
    ".mat", ".parquet", ".arrow", ".feather", ".arff",
})  # fmt: skip
"""Suffixes of files that may be what the user meant."""
PACKED: Final = frozenset({".gz", ".tgz", ".tar", ".zip", ".bz2", ".xz"})
"""Suffixes of files that the folders beside them may have been unpacked from."""
HIDDEN: Final = re.compile(r"\.(?:ipynb_checkpoints|thumbnails|trash.*|spotlight-v100|fseventsd|_.*)", re.IGNORECASE)
"""Hidden folders that systems leave, which may hold pictures or copies of them; others may be meant as classes."""

DEEPEST: Final = 5
"""Folders that lie each alone in the one before, as archives unpack, at most."""


PARTITION: Final = re.compile("([^=]+)=.*")
"""A folder of the rows whose column has one value, as Hive, Spark and pyarrow name it: label=7."""


class Layout(NamedTuple):
    """The class folders of a data set.

    train, test   the folders that hold a folder for each class.
    classes       their names, in order.
    notes         what is not used.
    """

    train: Path
    test: Path | None
    classes: tuple[str, ...]
    notes: tuple[Note, ...]


def parts_in(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the part that each folder in `folder` is; "" for a class.

    Where no name alone says the training set, names that differ in the word of the part alone do, if one of them is
    of training: seg_train and seg_test, train1 and test1.
    Raises   DataError for several such families, as cat_train, cat_test, dog_train, dog_test.
    """
    found = {name: part_of(name) for name in names}
    if "train" in found.values():
        return found
    families: dict[tuple[str, str], dict[str, str]] = {}
    for name in names:
        match = AFFIXED.fullmatch(name.lower())
        if match and not AFFIXED.fullmatch(match[3]) and not found[name]:
            families.setdefault((match[1], match[3]), {})[name] = PARTS[match[2]]
    families = {
        affix: family
        for affix, family in families.items()
        if "train" in family.values() and len({*family.values()}) > 1
    }
    if len(families) > 1:
        some = shown([name for family in families.values() for name in family])
        fix = "put the classes of each part into a folder: train/cat, test/cat"
        refuse("several folders of training", folder, "the folder", "one of each part", some, fix)
    return found | {name: part for family in families.values() for name, part in family.items()}


def _inner(part: Path) -> Path:
    """Return the folder of a part, or the one in it that alone is there and has its name, as some archives unpack."""
    there = entries(part)
    return there[0] if [path.name for path in there] == [part.name] and there[0].is_dir() else part


def find_layout(folder: Path) -> Layout:
    """Return which folders below `folder` hold the images of which part and class.

    Names decide which folders are parts; all others are classes. Inside a part, every folder is a class. A part
    without folders for its classes has no labels.
    Raises   DataError unless there are two classes of training images, alike in the test set.
    """
    inside = entries(folder)
    folders = [path for path in inside if path.is_dir()]
    _check_partitions(folder, folders)
    parts: dict[str, Path] = {}
    found = parts_in(folder, [path.name for path in folders])
    for path in folders:
        part = found[path.name]
        if part and parts.setdefault(part, path) != path:
            seen = f"{parts[part].name} and {path.name}"
            refuse("two folders of one part", folder, "the folder", f"one of {part}", seen, "move one away")
    parts = {part: _inner(path) for part, path in parts.items()}
    labelled = {part: path for part, path in parts.items() if _class_folders(path)}
    others = [path for path in folders if not found[path.name]]
    if "train" in parts and "train" not in labelled:
        _refuse_part(parts["train"])
    train, test = labelled.get("train", folder), labelled.get("test")
    classes = _names(_class_folders(train) if train != folder else others)
    if len(classes) < 2:
        beside = list(parts.values()) if train == folder else []
        _refuse(train, inside if train == folder else entries(train), classes, beside)
    tested = _names(_class_folders(test)) if test else classes
    if test and not set(tested) <= set(classes):
        expected, seen = ", ".join(classes), ", ".join(tested)
        refuse("classes of test and train differ", test, "the folder", expected, seen, "give both the same folders")
    missing = [name for name in classes if name not in tested]
    notes = [
        *lacking(test, missing),
        *_unused_parts(parts, labelled),
        *_unused(folder, inside, others if train != folder else ()),
        *(_unused(train, entries(train), ()) if train != folder else ()),
        *_hidden_notes([train, test] if test else [train]),
    ]
    return Layout(train, test, classes, tuple(notes))


def _check_partitions(folder: Path, folders: Sequence[Path]) -> None:
    """Raise DataError for a table whose rows lie in a folder for each value of a column."""
    matches = [PARTITION.fullmatch(path.name) for path in folders]
    columns = {match[1] if match else "" for match in matches}
    files = data_files(entries(folders[0])) if len(columns) == 1 else []
    column = columns.pop() if files else ""
    if column:
        found = shown([path.name for path in folders])
        expected = f"files with a column {column}"
        fix = f"write its rows into one file: pandas.read_parquet({str(folder)!r}).to_parquet('train.parquet')"
        refuse(f"a table in folders by the values of {column}", folder, "the folder", expected, found, fix)


def lacking(test: Path | None, missing: Sequence[str]) -> Iterator[Note]:
    """Yield a note of the classes that are missing in a test set, a folder or a table, if any are."""
    if missing:
        text = f"{counted(len(missing), 'class', 'classes')} without test images: {shown(missing)}"
        yield Note("classes-missing", f"{test}: {text}")


def _class_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder; a name decides what is a picture: there may be thousands."""
    suffixes = formats.picture_suffixes()
    return [path for path in entries(folder) if path.suffix.lower() not in suffixes and path.is_dir()]


def pictures(paths: Sequence[Path]) -> list[Path]:
    """Return those of `paths` whose names say that they are pictures of a format that is read."""
    suffixes = formats.picture_suffixes()
    return [path for path in paths if path.suffix.lower() in suffixes]


def pictures_below(folder: Path) -> tuple[list[Path], list[Note]]:
    """Return the pictures in a folder and in the folders in it, in natural order, and a note of all else.

    Images of kinds that cannot be read are among them: who reads them says so.
    Raises   DataError if there are none.
    """
    kinds = formats.picture_suffixes() | formats.UNREADABLE
    found: list[Path] = []
    left: list[str] = []
    for path in below(folder):
        if path.suffix.lower() in kinds and path.is_file():
            found.append(path)
        else:
            left.append(str(path.relative_to(folder)))
    others = shown(left) if left else ""
    if not found:
        expected = f"{formats.picture_names()} files"
        refuse("no images", folder, "the folder", expected, others or "none", "name the files")
    note = Note("not-used", f"{folder}: not used: {others}, no files with the name of a picture")
    return found, [note] if left else []


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of class folders in their order, `composed`."""
    found: dict[str, Path] = {}
    for path in folders:
        name = composed(path.name)
        if name in found:
            expected, seen = "each class once", f"{found[name].name!a} and {path.name!a}"
            refuse("two folders of one class", path.parent, "the folder", expected, seen, "move the images into one")
        found[name] = path
        check_printable(name, path, "the folder", "name the folder")
    return in_order([*found])


def class_folder(folder: Path, name: str) -> Path | None:
    """Return the folder of a class in `folder`, if it is there; its name may be in another form of Unicode."""
    path = folder / name
    if path.is_dir() or name.isascii():
        return path if path.is_dir() else None
    return next((path for path in entries(folder) if composed(path.name) == name and path.is_dir()), None)


def is_class_name(name: str) -> bool:
    """Return True if a folder of this name inside a part is a class."""
    left = name.startswith(".") or name.lower() in LEFT
    return not left and Path(name).suffix.lower() not in formats.picture_suffixes()


def _refuse_part(train: Path) -> NoReturn:
    expected = "one folder of images for each class"
    inside = entries(train)
    found = counted(len(pictures(inside)), "picture")
    files = data_files(inside)
    fix = "make them; if it is a class, put all class folders into a folder named train"
    fix = named_file(files) if files else fix
    refuse("training images without classes", train, "the folder", expected, f"{found} and no folder", fix)


def _refuse(folder: Path, inside: Sequence[Path], classes: Sequence[str], parts: Sequence[Path]) -> NoReturn:
    """Raise DataError for a folder without class folders, naming what it holds instead."""
    expected = f"IDX files, or one folder of {formats.picture_names()} images for each class"
    if classes:
        expected = f"IDX files, or two or more folders of {formats.picture_names()} images, one for each class"
    files = data_files(inside)
    below = [path for name in classes for path in data_files(entries(class_folder(folder, name) or folder))]
    loose = sum(path.is_file() for path in pictures(inside))
    found = [counted(len(classes), "class folder")]
    hidden = _hidden(folder)
    found += [_phrase_hidden(hidden)] if hidden else []
    found += [f"{path.name}, a part by its name" for path in parts]
    found += [counted(loose, "picture")] if loose else []
    found += [shown([str(path.relative_to(folder)) for path in files or below])] if files or below else []
    fix = named_file(files or below) if files or below else SEE
    alone = class_folder(folder, classes[0]) if len(classes) == 1 else None
    if deeper := alone and _classes_below(alone):
        fix = f"name the folder in it: --data {deeper}"
    if parts and not files:
        fix = "put the folders of all classes into a folder named train"
    refuse("no data set", folder, "the folder", expected, "; ".join(found), fix)


def _classes_below(folder: Path) -> Path | None:
    """Return the folder, or that which lies alone in it, that holds several folders; None without."""
    for _ in range(DEEPEST):
        inside = _class_folders(folder)
        if len(inside) != 1:
            return folder if inside else None
        [folder] = inside
    return None


def data_files(paths: Sequence[Path]) -> list[Path]:
    """Return those of `paths` whose names say that they may hold a data set."""
    return [path for path in paths if path.suffix.lower() in DATA_FILES]


def named_file(files: Sequence[Path]) -> str:
    """Return the advice to name one of the files: of training images, or of images that are called neither."""
    order = {"train": 0, "": 1}
    return f"name the file: --data {min(files, key=lambda path: order.get(part_in(path.stem), 2))}"


def _unused_parts(parts: dict[str, Path], labelled: dict[str, Path]) -> Iterator[Note]:
    for part, path in parts.items():
        if part not in labelled:
            yield Note("unlabelled-part", f"{path}: not used: it has no folders of classes, so no labels")
        elif part == "val":
            yield unused_part(path, part)


def _unused(folder: Path, inside: Sequence[Path], folders: Sequence[Path]) -> Iterator[Note]:
    loose = sum(path.is_file() for path in pictures(inside))
    files = [path.name for path in inside if path.suffix.lower() in DATA_FILES - PACKED and path.is_file()]
    found = [f"folders {shown([path.name for path in folders])}"] if folders else []
    found += [f"{counted(loose, 'picture')} in no class folder"] if loose else []
    found += [f"{shown(files)} beside the class folders"] if files else []
    if found:
        yield Note("not-used", f"{folder}: not used: {' and '.join(found)}")


def _hidden_notes(folders: Sequence[Path]) -> Iterator[Note]:
    for folder in folders:
        if names := _hidden(folder):
            text = f"{folder}: not used: {_phrase_hidden(names)}"
            yield Note("not-used", f"{text}; if they are classes, rename them")


def _phrase_hidden(names: Sequence[str]) -> str:
    return f"hidden folders of pictures: {shown(names)}"


def _hidden(folder: Path) -> list[str]:
    """Return the names of hidden folders that hold pictures, as they are not classes."""
    return [path.name for path in list_folder(folder) if path.name[0] == "." and _may_be_a_class(path)]


def _may_be_a_class(path: Path) -> bool:
    """Return True if a hidden folder holds pictures, and is not one that systems leave."""
    if HIDDEN.fullmatch(path.name) or not path.is_dir():
        return False
    with suppress(StorageError):  # it may be another user's
        return bool(pictures(entries(path)))
    return False
