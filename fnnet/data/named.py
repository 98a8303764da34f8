"""Arrays with names, as archives hold them: which are images and labels, of which part; one rule for all formats."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from fnnet.core.checks import check_classes
from fnnet.core.params import Array
from fnnet.data.arrays import ENOUGH
from fnnet.data.csv_lines import check_text
from fnnet.data.listing import shown
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content, Wanted, like
from fnnet.data.roles import IMAGES, LABELS, OF_ARRAYS, WORD, Role, part_in, role_of, words_in
from fnnet.errors import FnnetError, counted
from fnnet.files.disk import refuse
from fnnet.names import composed, names_of_labels

COORDINATES: Final = ("x", "y")
"""Names that are of images and labels, unless they are of the coordinates along the axes of other images."""
CLASS_NAMES: Final = "class_names"
"""The array of the names of the classes, in archives that say the order of pixels."""
PIXEL_ORDER: Final = "pixel_order"
"""The array of the order of pixels, which says ROWS_FIRST: `fnnet data convert` writes both."""
ROWS_FIRST: Final = "row by row"
NAMES: Final = ("classnames", "classes", "labelnames", "targetnames", "names", "categories", "listclasses")
"""What arrays of the names of classes are called, the likeliest first, in lower case and without separators."""
SHOWN: Final = 12
"""Names of classes in a remedy."""

SPARSE: Final = (("indices", "indptr"), ("format", "shape"), ("ir", "jc"))
"""Arrays beside `data` in a sparse matrix, as SciPy, AnnData and MATLAB store it."""


class Chosen(NamedTuple):
    """The arrays that are read.

    names      role -> name.
    left_out   the names of arrays for validation.
    beside     the names of arrays of no part, beside those of parts.
    unknown    the names of all others, which say neither images nor labels of a part that is there; none of classes.
    """

    names: dict[Role, str]
    left_out: tuple[str, ...]
    beside: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def choose(there: Sequence[str], labelled: bool, where: AnyPath, place: str = "the directory") -> Chosen:
    """Return which of the arrays `there` are read: images and labels of each part, or only the images of one.

    Names may be paths, such as train/data. Without labels the images of the test set are read, else all.
    Raises   DataError if there are no images, or two arrays of one role.
    """
    names: dict[Role, str] = {}
    left_out: list[str] = []
    for name, role in zip(there, roles_of(there), strict=True):
        if role and role.part == "val":
            left_out.append(name)
        elif role and names.setdefault(role, name) != name:
            kind = "labels" if role.labels else "images"
            expected = f"one array of {kind}" + (f" of part {role.part}" if role.part else "")
            found, fix = f"{names[role]} and {name}", "keep one of them, or give the other another name"
            refuse("two arrays of one kind", where, place, expected, found, fix)
    roles = _wanted(names, labelled)
    if not roles:
        expected = "x_train, y_train" if labelled else "x_test"
        refuse_names(f"no array {expected.partition(',')[0]}", where, expected, there, place)
    for role in roles:
        _check_whole(names[role], there, where)
    beside = tuple(name for role, name in names.items() if not role.part and role not in roles)
    used = {*(names[role] for role in roles), *left_out, *beside, *named_so(there)}
    others = {name for role, name in names.items() if not labelled or not role.labels}
    unknown = tuple(name for name in there if name not in used | others)
    return Chosen({role: names[role] for role in roles}, tuple(left_out), beside, unknown)


def of_shapes(chosen: Chosen, shape_of: Callable[[str], Sequence[int] | None], path: AnyPath) -> Chosen:
    """Return which arrays are read, without those of a single number or none among the unknown ones.

    Raises   DataError if others are as large as images to predict of which no name says that they are those.
    """
    shapes = {name: tuple(shape_of(name) or ()) for name in (*chosen.names.values(), *chosen.unknown)}
    unknown = tuple(name for name in chosen.unknown if math.prod(shapes[name]) > 1)
    (role, images), *labels = chosen.names.items()
    alike = [name for name in unknown if _images_alike(shapes[name], shapes[images])]
    if alike and role.part != "test" and not labels:
        fix = "store the images to predict alone, or call them x_test"
        refuse("several arrays may be the images", path, images, "one, or x_test", shown([images, *alike]), fix)
    return chosen._replace(unknown=unknown)


def _images_alike(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return True for shapes of images of one size, along the first axis or the last."""
    if len(one) < 2 or len(one) != len(other):
        return False
    sizes = [(one[1:], other[1:])] + ([(one[:-1], other[:-1])] if len(one) > 2 else [])
    return any(each == same and math.prod(each) >= ENOUGH for each, same in sizes)


def without_coordinates(there: Sequence[str], shape_of: Callable[[str], Sequence[int] | None]) -> list[str]:
    """Return the names of arrays without `x` and `y`, where these are surely coordinates, as xarray stores them.

    There are other images (n, height, width) and n labels without a part, and `x` and `y` are as long as their axes.
    """
    others = [name for name in there if name not in COORDINATES]
    roles = dict(zip(others, roles_of(others), strict=True))
    images, labels = ([name for name in others if roles[name] == Role("", labels=each)] for each in (False, True))
    if len(others) + 2 != len(there) or len(images) != 1 or len(labels) != 1:
        return [*there]
    count, *axes = shape_of(images[0]) or (0,)
    lengths = [tuple(shape_of(name) or ()) for name in COORDINATES]
    along = len(axes) == 2 and count not in axes and all(len(each) == 1 and each[0] in axes for each in lengths)
    return others if along and tuple(shape_of(labels[0]) or ())[:1] == (count,) else [*there]


def _check_whole(name: str, there: Sequence[str], where: AnyPath) -> None:
    """Raise DataError for the numbers of a sparse matrix: those that are not 0, whose places other arrays hold."""
    folder, _, last = name.rpartition("/")
    beside = {each.rpartition("/")[2] for each in there if each.rpartition("/")[0] == folder}
    found = next((each for each in SPARSE if {*each} <= beside), None)
    if last == "data" and found:
        fix = "store all numbers: numpy.savez(file, x_train=matrix.toarray(), y_train=...)"
        refuse("a sparse matrix", where, name, "an array of all pixels", f"data beside {' and '.join(found)}", fix)


def roles_of(there: Sequence[str]) -> list[Role | None]:
    """Return the role of each name; if none is of images, the first folder of a path says nothing."""
    if list(there) == ["arr_0"]:
        return [Role("", labels=False)]
    pieces = [re.split(r"[/.]", name) for name in there]
    roles = [_role_of(each) for each in pieces]
    if any(role and not role.labels for role in roles):
        return roles
    return [role_of("_".join(each[1:])) if len(each) > 1 and not part_in(each[0]) else None for each in pieces]


def _role_of(pieces: Sequence[str]) -> Role | None:
    """Return the role of a path: of all its words; if these say both images and labels, of those other than data.

    So `data.y` is labels and so is `labels/data`; of `images.labels`, the last word decides.
    """
    found = role_of("_".join(pieces))
    if found or len(pieces) == 1:
        return found
    words = words_in("_".join(pieces))
    found = role_of("_".join(word for word in words if word != "data"))
    last = role_of(pieces[-1])
    if found or last is None or not all(word in OF_ARRAYS or word in IMAGES or word in LABELS for word in words):
        return found
    parts = {OF_ARRAYS[word] for word in words if word in OF_ARRAYS}
    return Role("".join(parts), last.labels) if len(parts) < 2 else None


def has_images(there: Sequence[str]) -> bool:
    """Return True if one of the names is of images that are read."""
    return any(role and not role.labels and role.part != "val" for role in roles_of(there))


def refuse_names(
    problem: str, path: AnyPath, expected: str, there: Sequence[str], place: str = "the directory"
) -> NoReturn:
    """Raise DataError for the names of arrays."""
    found = ", ".join(there[:8]) or "no arrays"
    refuse(problem, path, place, expected, found, "save the arrays under these names")


def _wanted(names: Mapping[Role, str], labelled: bool) -> list[Role]:
    """Return the roles of the arrays that are read: those of the test images alone, or of all that have labels."""
    parts = ["train" if Role("train", labels=False) in names else "", "test"]
    if not labelled:
        return [role for part in reversed(parts) if (role := Role(part, labels=False)) in names][:1]
    images = [Role(part, labels=False) for part in parts]
    if images[0] not in names:
        return []
    images = [role for role in images if role in names]
    return [*images, *(of for role in images if (of := role._replace(labels=True)) in names)]


Part = Callable[[str, str | None, Wanted], Content]
"""(name of images, name of their labels if there are any, what is wanted of them) -> their content."""


def assemble(chosen: Chosen, path: AnyPath, wanted: Wanted, part: Part) -> Content:
    """Return the content of the chosen arrays: a training set with its test set, or images alone."""
    images = [role for role in chosen.names if not role.labels]
    parts: list[Content] = []
    for role in images:
        given = like(parts[0], wanted) if parts else wanted
        each = part(chosen.names[role], chosen.names.get(role._replace(labels=True)), given)
        parts.append(_as_test(parts[0], each, path) if parts else each)
    left_out = chosen.left_out if wanted.labelled else ()
    content = _noting(parts[0], path, left_out, "validation takes images of training")
    content = _noting(content, path, chosen.beside, f"the images are {chosen.names[images[0]]}")
    content = _noting(content, path, chosen.unknown, "neither images nor labels of a set that is read, by their names")
    return content._replace(test=parts[1]) if len(parts) > 1 else content


def _as_test(content: Content, test: Content, path: AnyPath) -> Content:
    """Return a test set whose labels, if they are names, are found by the names of training."""
    if not (content.named or test.named):
        return test
    from fnnet.data.label_names import with_test  # which imports the readers of text

    return with_test(content, test, path).test or test


def _noting(content: Content, path: AnyPath, unused: Sequence[str], why: str) -> Content:
    """Return `content` with a note of the arrays that are not used, if there are any."""
    names = ", ".join(unused) if len(unused) <= SHOWN else shown(unused)
    text = f"{os.fsdecode(path)}: {names} not used: {why}"
    return content._replace(notes=(*content.notes, Note("not-used", text))) if unused else content


def named_so(there: Iterable[str]) -> list[str]:
    """Return the names of arrays, which may be paths, that are of the names of classes, the likeliest first.

    >>> named_so(["y_train", "meta/Label_Names", "class_names"])
    ['class_names', 'meta/Label_Names']
    """
    last = {name: "".join(WORD.split(re.split(r"[/.]", name)[-1].lower())) for name in there}
    return sorted((name for name in last if last[name] in NAMES), key=lambda name: NAMES.index(last[name]))


def texts_in(values: Array) -> list[str] | None:
    """Return what an array of text holds, in a line along one axis; None for any other array.

    Bytes that are not UTF-8 become surrogates, which `with_names` refuses.
    """
    if values.dtype.kind not in "USO" or values.ndim == 0 or values.size != max(values.shape):
        return None
    each_of = values.ravel().tolist()
    texts = [each.decode("utf-8", "surrogateescape") if isinstance(each, bytes) else each for each in each_of]
    return [composed(each.strip()) for each in texts] if all(isinstance(each, str) for each in texts) else None


def with_names(content: Content, found: Mapping[str, Sequence[str] | None], path: AnyPath, wanted: Wanted) -> Content:
    """Return labelled content with the names of its classes that a file holds beside it, or with notes of why not.

    found   the name of each array of names -> what it holds, the likeliest first; None if it is something else.
    Names that the user gives count; those of a model, unless all names in the file are among them.
    Raises   DataError for names that are not UTF-8, and for labels from 1 on of as many classes as have names.
    """
    given = content.classes if content.named else None if wanted.known else wanted.names
    for name, texts in found.items():
        if tuple(texts or ()) == given:
            continue  # the user says the same, perhaps from another label on
        if not content.classes:
            _check_names(name, texts or (), content, path, wanted)
        why = "names of classes are in use" if content.classes else _why_not(texts, content, wanted)
        content = _noting(content, path, [name], why) if why else content._replace(classes=tuple(texts or ()))
    return content


def _check_names(name: str, texts: Sequence[str], content: Content, path: AnyPath, wanted: Wanted) -> None:
    for number, text in enumerate(texts):
        check_text(text, f"{name}[{number}]", path, "store the names as text, or as bytes of UTF-8")
    starts, needed = _span(content)
    given = wanted.known or wanted.first_label or needed <= len(wanted.names)
    if starts and needed - starts == len(texts) and not (given or content.one_hot):
        expected = f"labels from 0 to {len(texts) - 1} for {counted(len(texts), 'name')} of classes in {name}"
        found, fix = f"{starts} to {needed - 1}", f"say {_first_label(starts, texts)}"
        refuse("labels do not begin at 0", path, "the labels", expected, found, fix)


def _span(content: Content) -> tuple[int, int]:
    """Return the least label of all parts, and the number of classes if they are numbered from 0."""
    parts = [(each, each.labels) for each in (content, content.test) if each is not None and each.labels is not None]
    needed = max([each.one_hot or int(labels.max()) + 1 for each, labels in parts])
    return min(int(labels.min()) for _, labels in parts), needed


def _first_label(starts: int, names: Sequence[str]) -> str:
    return f"--first-label {starts} --class-names {','.join(names) if len(names) <= SHOWN else '...'}"


def _why_not(texts: Sequence[str] | None, content: Content, wanted: Wanted) -> str:
    """Return why texts are not taken as the names of classes; "" if they are.

    They are one for each label, or as many as the classes that are expected; others may be the names of images.
    """
    starts, needed = _span(content)
    try:
        names = check_classes(list(texts or ()))
    except FnnetError as error:
        return f"expected {error.expected}, found {error.found}"
    if not names:
        return "it is not a list of text"
    if len(names) != needed and (len(names) < needed or len(names) != len(wanted.names) or content.one_hot):
        some = f"{counted(len(names), 'name')} for labels from {starts} to {needed - 1}"
        by_first = f"; say {_first_label(starts, names)}" if needed - starts == len(names) else ""
        return some + by_first
    given = wanted.names
    if {*names} <= {*given} or (not wanted.known and given == names_of_labels(0, len(given))):
        return ""
    return "the classes of the model are called otherwise" if wanted.known else "the names that are given count"
