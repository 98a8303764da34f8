"""HDF5 as h5py writes it: groups and names, chunks, references to other files."""

import os
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from fnnet import data
from fnnet.data import formats, hdf5
from fnnet.data.kinds import HDF5
from fnnet.data.roles import role_of
from fnnet.errors import DataError
from tests.tools.samples import SAMPLES, SHAPE, missing_parts, npz
from tests.tools.written import matlab_7

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.usefixtures("inside")
X = np.random.default_rng(3).integers(0, 256, (20, 5, 5), dtype=np.uint8)
Y = np.arange(20) % 10
NAMES = st.sampled_from(
    [
        ("train/data", "train/target", "test/data", "test/target"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("set/train_images", "set/train_labels", "set/test_images", "set/test_labels"),
        ("train_img", "train_labels", "test_img", "test_labels"),
        ("a/Xtrain", "a/ytrain", "a/Xtest", "a/ytest"),
    ]
)
STORED = st.sampled_from(
    [
        lambda x: x, lambda x: x.reshape(len(x), -1), lambda x: x[..., None], lambda x: x[:, None], lambda x: x / 255,
        lambda x: (x / 255).astype(np.float32), lambda x: x.astype(">i4"), lambda x: np.repeat(x[..., None], 3, -1),
        lambda x: x.astype(np.float16),
    ]
)  # fmt: skip
OPTIONS = st.sampled_from(
    [{}, {"compression": "gzip"}, {"chunks": True, "shuffle": True, "fletcher32": True}, {"compression": "lzf"}]
)


def save(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


def refused(path, message, read=data.load):
    with pytest.raises(DataError, match=message) as raised:
        read(path)
    assert missing_parts(raised.value) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(NAMES, STORED, OPTIONS, st.sampled_from(["earliest", "latest"]), st.permutations(range(4)))
def test_any_layout_that_h5py_writes(tmp_path, names, stored, options, version, order):
    arrays = [stored(X), Y, stored(X[:7]), Y[:7]]
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=version) as file:
        for number in order:
            file.create_dataset(names[number], data=arrays[number], **options)
        file.create_group("notes")["text"] = "no numbers"
    dataset = data.load(path)
    assert np.array_equal(dataset.train.x, X.reshape(20, -1))
    assert np.array_equal(dataset.test.x, X[:7].reshape(7, -1))
    assert np.array_equal(dataset.train.labels, Y)
    assert np.array_equal(dataset.test.labels, Y[:7])
    assert dataset.image_shape == (5, 5)
    assert np.array_equal(data.read_images(path, (5, 5)), X[:7].reshape(7, -1))


def test_one_set_without_a_part_and_one_for_validation(tmp_path):
    assert data.load(save(tmp_path / "a", images=X, labels=Y)).test is None
    path = save(tmp_path / "b", train__data=X, train__target=Y, valid__data=X, valid__target=Y)
    assert data.load(path).notes == (f"{path}: valid/data, valid/target not used: validation takes images of training",)


def test_what_lies_in_another_file_is_not_read(tmp_path):
    other = save(tmp_path / "other.h5", x=X, y=Y)
    X.tofile(tmp_path / "raw")
    with h5py.File(tmp_path / "link", "w") as file:
        file["x"], file["y"] = h5py.ExternalLink(other, "/x"), Y
    refused(
        tmp_path / "link",
        f"x: numbers in another file; expected numbers in this file, found a link to {other}, which is not foll",
    )
    with h5py.File(tmp_path / "external", "w") as file:
        file.create_dataset("x", X.shape, "u1", external=[(str(tmp_path / "raw"), 0, X.nbytes)])
        file["y"] = Y
    refused(
        tmp_path / "external", "x: numbers in another file; expected numbers in this file, found a reference to one"
    )
    layout = h5py.VirtualLayout(X.shape, "u1")
    layout[:] = h5py.VirtualSource(str(other), "x", X.shape)
    with h5py.File(tmp_path / "virtual", "w") as file:
        file.create_virtual_dataset("x", layout)
        file["y"] = Y
    refused(tmp_path / "virtual", "x: numbers in another file")


def linked(path, arrays=(), **links):
    """A file of arrays, and of links: text is the place that a soft link leads to."""
    path = save(path, **dict(arrays))
    with h5py.File(path, "a") as file:
        for name, link in links.items():
            file[name.replace("__", "/")] = h5py.SoftLink(link) if isinstance(link, str) else link
    return path


ELSEWHERE = {"store__a": X, "store__b": Y, "store__c": X[:7], "store__d": Y[:7]}


@pytest.mark.parametrize("up", ["", "/"])
def test_soft_links_inside_the_file_are_followed(up, tmp_path):
    """To datasets and to groups, by links of links, wherever they begin."""
    places = {"x_train": f"{up}store/a", "y_train": f"{up}./store//b/", "x_test": f"{up}way/c", "y_test": "/store/d"}
    path = linked(tmp_path / "a.h5", ELSEWHERE, way="hop", hop="/store", **places)
    found = data.load(path)
    assert np.array_equal(found.train.x, X.reshape(20, -1))
    assert np.array_equal(found.train.labels, Y)
    assert np.array_equal(found.test.x, X[:7].reshape(7, -1))
    assert np.array_equal(data.read_images(path, (5, 5)), X[:7].reshape(7, -1))
    parts = {"k__x": X, "k__y": Y, "l__x": X[:7], "l__y": Y[:7]}
    found = data.load(linked(tmp_path / "b.h5", parts, train="/k", test="l"))
    assert np.array_equal(found.train.x, X.reshape(20, -1))
    assert np.array_equal(found.test.labels, Y[:7])


def test_a_second_name_of_an_array_and_links_in_circles_are_passed_over(tmp_path):
    circles = {"here": "/", "a": "b", "b": "a", "store": "/store", "other": "/x", "list_classes": "/names"}
    path = linked(
        tmp_path / "a.h5",
        {"x": X, "y": Y, "names": [f"n{k}" for k in range(10)], "deep__in": Y},
        images="x", labels="/y", deep__up="/deep", **circles,
    )  # fmt: skip
    found = data.load(path)
    assert np.array_equal(found.train.x, X.reshape(20, -1))
    assert [note.partition(" not used")[0] for note in found.notes] == [f"{path}: deep/in"]
    assert found.classes == tuple(f"n{k}" for k in range(10))
    path = linked(tmp_path / "b.h5", {"x_train": X, "y_train": Y}, x_test="x_train", y_test="y_train")
    assert np.array_equal(data.load(path).test.x, X.reshape(20, -1))


@pytest.mark.parametrize("lost", ["external", "by the way", "nowhere", "through an array", "a circle"])
@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "train", "test", "data"])
def test_a_link_that_is_needed_and_is_not_followed_is_named(lost, name, tmp_path):
    other = save(tmp_path / "other.h5", x=X, y=Y)
    links = {
        "external": h5py.ExternalLink(other, "/x"), "by the way": "/out/x", "nowhere": "/not/there",
        "through an array": "/y_train/x" if name == "data" else "/names/x", "a circle": name,
    }  # fmt: skip
    arrays = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y, "names": Y}
    arrays = {"store": Y, "y_train": Y} if name == "data" else {each: arrays[each] for each in arrays if each != name}
    out = {"out": h5py.ExternalLink(other, "/")}
    path = linked(tmp_path / "a.h5", arrays, **{name: links[lost]}, **out)
    if lost == "a circle":
        found = f"a link that leads nowhere; expected numbers in this file, found a link to {name}, and so on"
    elif lost in ("external", "by the way"):
        found = f"numbers in another file; expected numbers in this file, found a link to {other}, which is not"
    else:
        found = f"a link that leads nowhere; expected numbers in this file, found a link to {links[lost]}, which is not"
    refused(path, found)


def test_links_that_are_not_needed_are_not_followed(tmp_path):
    """Not even to see whether the file is there: opening a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    link = h5py.ExternalLink(tmp_path / "pipe", "/")
    path = linked(
        tmp_path / "a.h5", {"x_train": X, "y_train": Y, "x_test": X[:7]}, more=link, y_test=link,
        names=link, elsewhere="/more/x", nothing="/nothing",
    )  # fmt: skip
    assert np.array_equal(data.read_images(path, (5, 5)), X[:7].reshape(7, -1))
    refused(linked(tmp_path / "b.h5", {"x": X, "y": Y}, model_weights=link), "the root group: a Keras model")


def test_what_is_not_images_and_labels(tmp_path):
    refused(save(tmp_path / "a", x=["a"] * 20, y=Y), "x: not numbers; expected integers, .* found text or references")
    refused(save(tmp_path / "a", x=h5py.Empty("f"), y=Y), "x: not numbers; .* found none")
    refused(save(tmp_path / "a", x=X.astype(complex), y=Y), "x: not numbers; .* found complex128")
    refused(
        save(tmp_path / "a", x=X), "the groups: labels missing; expected images and labels of each part, found x; add"
    )
    refused(save(tmp_path / "a", x=X, images=X, y=Y), "two arrays of one kind")
    refused(save(tmp_path / "a", other=X), "no array x_train; expected x_train, y_train, found other")
    refused(save(tmp_path / "a", model_weights=X), "the root group: a Keras model, not data; expected images")
    refused(save(tmp_path / "a", other=X), "no array x_test", lambda path: data.read_images(path, (5, 5)))
    refused(save(tmp_path / "a", test_batch__x=X, test_batch__y=Y), "no array x_train; .* found test_batch/x, test_b")
    with h5py.File(tmp_path / "many", "w") as file:
        for number in range(20):
            file[f"g{number}"] = file["/"]
    refused(tmp_path / "many", "too many objects; expected at most 1,000 groups and datasets, found more; store")
    with h5py.File(tmp_path / "deep", "w") as file:
        file["/".join("abcdx")] = X
    refused(tmp_path / "deep", "no array x_train; .* found no arrays")


def test_what_unpacks_to_far_more_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "check_expansion", lambda needed, packed, *place: seen.append((needed, packed)))
    seen = []
    with h5py.File(tmp_path / "a", "w") as file:
        file.create_dataset("x", data=np.zeros((99, 100, 100)), chunks=(9, 100, 100), compression="gzip")
        file["y"] = np.zeros(99, np.uint8)
    data.load(tmp_path / "a")
    [(needed, packed)] = seen
    assert needed == 99 * 100 * 100 * 9 + 99 * 2
    assert packed < 20_000


def test_the_child_reads_what_this_process_reads(tmp_path, monkeypatch):
    from fnnet.data import child

    path = tmp_path / "a.h5"
    path.write_bytes(SAMPLES["hdf5"].content)
    here = data.read_images(path, SHAPE)
    monkeypatch.setattr(child, "inside", False)
    assert np.array_equal(data.read_images(path, SHAPE), here)


def behind(path, block, **arrays):
    """HDF5 behind a block of the user's, whose size is a power of 2 from 512."""
    with h5py.File(path, "w", userblock_size=len(block)) as file:
        for name, array in arrays.items():
            file[name] = array
    with open(path, "r+b") as file:
        file.write(block)
    return path


BLOCKS = {
    "zeros": b"", "text": b"how the images were taken\n", "a table": b"label,pixel0\n1,2\n",
    "a page": b"<html>", "numbers": bytes(range(1, 200)), "libsvm's text": b"1 1:5 2:7\n",
}  # fmt: skip


@pytest.mark.parametrize("size", [512, 1024, 4096, 2**17])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_user_s_may_come_first(block, size, tmp_path):
    filling = b" " if BLOCKS[block].isascii() and BLOCKS[block] else b"\0"
    path = behind(tmp_path / "a", BLOCKS[block].ljust(size, filling), x=X, y=Y)
    dataset = data.load(path)
    assert np.array_equal(dataset.train.x, X.reshape(20, -1))
    assert np.array_equal(dataset.train.labels, Y)
    assert np.array_equal(data.read_images(path, (5, 5)), X.reshape(20, -1))
    assert not formats.is_picture(path)
    with pytest.raises(DataError, match=r"unknown kind of image; .* found an HDF5 file; it may hold many images"):
        formats.read_picture(path)


def test_a_block_that_says_what_the_file_is_is_believed(tmp_path):
    """MATLAB's files of version 7.3 have one; HDF5 that is the first file of a tar archive begins at byte 512, too."""
    path = matlab_7(tmp_path / "a.mat", X=np.moveaxis(X, 0, -1), y=Y)
    assert formats.format_of(formats.FORMATS, path).name == "MATLAB"
    assert np.array_equal(data.load(path).train.x, X.reshape(20, -1))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(save(tmp_path / "a.h5", x=X, y=Y), "a.h5")
    assert path.read_bytes()[512:520] == HDF5
    refused(path, "unknown kind of file; .* found a tar archive; unpack it")


@pytest.mark.parametrize("name", ["x", "y"])
def test_arrays_of_variable_length_are_named(name, tmp_path):
    arrays = {"x": X, "y": Y}
    cells = arrays.pop(name).reshape(20, -1)
    path = save(tmp_path / "a.h5", **arrays)
    with h5py.File(path, "a") as file:
        each = file.create_dataset(name, 20, h5py.vlen_dtype(np.uint8))
        for number, cell in enumerate(cells):
            each[number] = cell
    refused(
        path,
        f"{name}: arrays of variable length; expected one array of numbers, found 20 arrays, each of its own length; "
        r"store images as one array \(n, height, width\), labels as \(n,\)",
    )


@pytest.mark.parametrize(
    ("name", "part", "labels"),
    [
        ("fea", "", False), ("gnd", "", True), ("train_fea", "train", False), ("Xtr", "train", False),
        ("yte", "test", True), ("X_trn", "train", False), ("tstY", "test", True), ("x_eval", "val", False),
        ("evaluation_labels", "val", True), ("y_holdout", "test", True),
    ],
)  # fmt: skip
def test_names_that_data_sets_of_others_have(name, part, labels):
    assert role_of(name) == (part, labels)


@pytest.mark.parametrize("name", ["x", "y"])
def test_the_numbers_of_a_sparse_matrix_are_neither_images_nor_labels(name, tmp_path):
    """The numbers of rows with a single 1 are as many as there are images."""
    rows = csr_matrix(np.eye(10)[Y])
    arrays = {"x": X, "y": Y, f"{name}/data": rows.data, f"{name}/indices": rows.indices, f"{name}/indptr": rows.indptr}
    del arrays[name]
    path = save(tmp_path / "a.h5", **arrays)
    with pytest.raises(
        DataError, match=f"{name}/data: a sparse matrix; .* found data beside indices and ind"
    ) as caught:
        data.load(path)
    assert missing_parts(caught.value) == []
    if name == "y":
        assert len(data.read_images(path, X.shape[1:])) == len(X)


@pytest.mark.parametrize(
    ("code", "called"), [(32001, "Blosc"), (32004, "LZ4"), (32015, "Zstandard"), (999, "filter 999")]
)
def test_a_compression_that_h5py_lacks_is_named(code, called, tmp_path):
    path = save(tmp_path / "a.h5", y=Y)
    with h5py.File(path, "r+") as file:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((len(X), 5, 5))
        created.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple(X.shape)
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, created)
        made.write_direct_chunk((0, 0, 0), X.tobytes(), 0)
    refused(path, f"x: compression that h5py lacks; expected gzip, LZF or none, found {called}; save it with")


def test_damage_in_a_chunk_is_no_lack_of_a_filter(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["y"] = Y
        made = file.create_dataset("x", shape=X.shape, dtype=np.uint8, chunks=X.shape, compression="gzip")
        made.id.write_direct_chunk((0, 0, 0), b"no stream of gzip", 0)
    refused(path, "damaged or unsupported HDF5 file")


# Enumerations


def enumerated(path, kinds, labels, **more):
    save(path, x_train=X, **more)
    with h5py.File(path, "a") as file:
        file.create_dataset("y_train", data=labels, dtype=h5py.enum_dtype(kinds, basetype="i1"))
    return path


def test_the_names_of_an_enumeration_are_those_of_the_classes(tmp_path):
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    path = enumerated(tmp_path / "a.h5", {name: 9 - number for number, name in enumerate(names)}, 9 - Y)
    dataset = data.load(path)
    assert dataset.classes == tuple(sorted(names))
    assert [dataset.classes[label] for label in dataset.train.labels] == [names[label] for label in Y]
    dataset = data.load(path, classes=names)
    assert np.array_equal(dataset.train.labels, Y)
    path = enumerated(tmp_path / "b.h5", {str(number): 9 - number for number in range(10)}, (9 - Y)[:, None])
    assert np.array_equal(data.load(path).train.labels, Y)


def test_a_number_that_an_enumeration_does_not_name(tmp_path):
    path = enumerated(tmp_path / "a.h5", {"cat": 0, "dog": 1}, Y % 3)
    refused(
        path, r"y_train\[2\]: a label without a name; expected a number that its type names: cat and dog, found 2; c"
    )


def test_truth_values_are_numbers_of_classes(tmp_path):
    path = save(tmp_path / "a.h5", x_train=X, y_train=Y > 4)
    assert np.array_equal(data.load(path, classes=["low", "high"]).train.labels, Y > 4)


def test_coordinates_of_xarray_are_no_labels(tmp_path):
    """`x` and `y` as long as the axes of images of another name, where nothing else they may be."""
    images = np.random.default_rng(3).integers(0, 256, (20, 5, 6), dtype=np.uint8)
    along = {"images": images, "labels": Y, "x": np.arange(6.0), "y": np.arange(5.0)}
    for save_in in (save, npz):
        dataset = data.load(path := save_in(tmp_path / "a.npz", **along))  # the name does not count
        assert np.array_equal(dataset.train.x, images.reshape(20, -1))
        assert np.array_equal(dataset.train.labels, Y)
        assert np.array_equal(data.read_images(path, (5, 6)), dataset.train.x)
        for other in (
            {"x": np.arange(7)}, {"y": Y}, {"x": images}, {"images": images[:6], "labels": Y[:6]}, {"labels": Y[:9]},
            {"images": images.reshape(20, 30), "x": np.arange(30), "y": np.arange(30)}, {"data": images},
            {"target": Y}, {"x": np.float64(6)}, {"labels": np.int64(3)},
        ):  # fmt: skip
            refused(save_in(tmp_path / "b.npz", **along | other), "two arrays of one kind")
