"""netCDF as xarray, h5netcdf and netCDF4 write it: codes with their scale, names of axes, coordinates along them."""

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import Reading
from fnnet.errors import DataError
from tests.tools.samples import missing_parts

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.usefixtures("inside")
X = np.random.default_rng(3).integers(0, 256, (20, 5, 6), dtype=np.uint8)
Y = np.arange(20) % 10


def netcdf(path, images=X, labels=Y, dims=("n", "y", "x"), coordinates=(), of_labels=(), **attributes):
    """A file as xarray writes it: each axis a scale, without numbers unless they are in `coordinates`."""
    coordinates = dict(coordinates)
    with h5py.File(path, "w") as file:
        file["images"] = images
        file["images"].attrs.update(attributes)
        if labels is not None:
            file["labels"] = labels
            file["labels"].attrs.update(dict(of_labels))
        for axis, (name, count) in enumerate(zip(dims, images.shape, strict=True)):
            file[name] = coordinates.get(name, np.zeros(count, ">f4"))
            text = f"This is a netCDF dimension but not a netCDF variable.{count:10}"
            file[name].make_scale(name if name in coordinates else text)
            file["images"].dims[axis].attach_scale(file[name])
            if axis == 0 and labels is not None:
                file["labels"].dims[0].attach_scale(file[name])
    return path


def refused(path, message, read=data.load):
    with pytest.raises(DataError, match=message) as raised:
        read(path)
    assert missing_parts(raised.value) == []


# Codes


@pytest.mark.parametrize("kind", ["u1", "i2", "i4"])
@pytest.mark.parametrize("as_array", [True, False])
@pytest.mark.parametrize("float_kind", [np.float32, np.float64])
def test_codes_are_scaled_as_their_attributes_say(kind, as_array, float_kind, tmp_path):
    codes = (X // 5).astype(kind)
    scale, offset = float_kind(1 / 51), float_kind(0)
    said = {"scale_factor": np.array([scale]) if as_array else scale, "add_offset": np.array([offset])}
    path = netcdf(tmp_path / "a.nc", codes, **said)
    found = data.load(path)
    assert np.array_equal(found.train.x, (codes * 5).reshape(20, -1))
    assert [note.code for note in found.notes] == ["unit-pixels"]
    assert np.array_equal(data.read_images(path, (5, 6)), found.train.x)


def test_codes_with_an_offset_alone_and_labels_as_codes(tmp_path):
    codes = (X.astype(np.int16) - 128).astype(np.int8)
    path = netcdf(tmp_path / "a.nc", codes, Y + 1, of_labels={"scale_factor": 1.0, "add_offset": -1}, add_offset=128.0)
    found = data.load(path)
    assert np.array_equal(found.train.x, X.reshape(20, -1))
    assert np.array_equal(found.train.labels, Y)
    assert found.notes == ()


def test_a_scale_of_1_and_an_offset_of_0_leave_bytes_as_they_are(tmp_path):
    path = netcdf(tmp_path / "a.nc", X % 2, scale_factor=1.0, add_offset=0.0, _FillValue=np.uint8(7))
    assert data.load(path, reading=Reading(pixel_max=1)).train.x.max() == 255


@pytest.mark.parametrize("said", ["true", b"true", np.array(["True"], object)])
def test_numbers_without_a_sign_in_a_kind_that_has_one(said, tmp_path):
    path = netcdf(tmp_path / "a.nc", X.view("i1"), _Unsigned=said)
    assert np.array_equal(data.load(path).train.x, X.reshape(20, -1))
    signed = netcdf(tmp_path / "b.nc", (X // 2).view("u1"), _Unsigned="false")
    assert np.array_equal(data.load(signed).train.x, (X // 2).reshape(20, -1))
    path = netcdf(tmp_path / "c.nc", (X // 2).astype("i1"), _Unsigned="else", labels=Y.astype(">f4"))
    assert np.array_equal(data.load(path).train.x, (X // 2).reshape(20, -1))
    refused(netcdf(tmp_path / "d.nc", X.astype("u1"), _Unsigned="false"), "value out of range")


@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value"])
@pytest.mark.parametrize("value", [np.uint8(9), np.array([3.0, 9.0]), np.int64(9)])
def test_missing_values_are_refused_where_there_are_any(attribute, value, tmp_path):
    x = np.full_like(X, 8)
    assert data.load(netcdf(tmp_path / "a.nc", x, **{attribute: value})).train.x.max() == 8
    x[2, 3, 4] = 9
    path = netcdf(tmp_path / "b.nc", x, **{attribute: value})
    refused(path, rf"images: attribute {attribute}: values are missing; .* found 9 at \[2, 3, 4\]; fill them; if none")
    labels = netcdf(tmp_path / "c.nc", of_labels={attribute: 9})
    refused(labels, rf"labels: attribute {attribute}: values are missing; .* found 9 at \[9\]")
    assert data.load(netcdf(tmp_path / "d.nc", X, **{attribute: "none"})).notes == ()


def test_a_scale_that_is_not_one_number_is_refused(tmp_path):
    path = netcdf(tmp_path / "a.nc", scale_factor=[0.5, 0.25])
    refused(path, "images: attribute scale_factor: not a number; expected one number, found .0.5, 0.25.; store the")
    refused(netcdf(tmp_path / "b.nc", add_offset="1"), "images: attribute add_offset: not a number")


# Names of axes


@pytest.mark.parametrize("dims", ["n x y", "n width height", "sample lon lat", "n col row", "n image_x image_y"])
def test_columns_before_rows_by_the_names_of_the_axes_are_read_as_the_user_says(dims, tmp_path):
    path = netcdf(tmp_path / "a.nc", X.transpose(0, 2, 1), dims=dims.split())
    message = f"images: columns come before rows, by the names of the axes; .*, found axes {dims.replace(' ', ', ')}; "
    message += "say --transpose if they do, or --no-transpose"
    refused(path, message)
    refused(path, message, lambda path: data.read_images(path, (5, 6)))
    assert np.array_equal(data.load(path, reading=Reading(transpose=True)).train.x, X.reshape(20, -1))
    as_is = data.load(path, reading=Reading(transpose=False)).train.x
    assert np.array_equal(as_is, X.transpose(0, 2, 1).reshape(20, -1))
    assert np.array_equal(data.read_images(path, (5, 6), transpose=True), X.reshape(20, -1))
    trained = Preprocessing(transpose=True)
    assert np.array_equal(data.read_images(path, (5, 6), trained, notify=list), X.reshape(20, -1))


@pytest.mark.parametrize("count", [20, 1])
def test_rows_before_columns_are_read_so_whatever_a_model_was_trained_on(count, tmp_path):
    trained = Preprocessing(transpose=True)
    path = netcdf(tmp_path / "a.nc", X[:count], Y[:count])
    assert np.array_equal(data.read_images(path, (5, 6), trained, notify=list), X[:count].reshape(count, -1))
    alone = netcdf(tmp_path / "b.nc", X[0], None, dims=("y", "x"))
    assert np.array_equal(data.read_images(alone, (5, 6), trained, notify=list), X[:1].reshape(1, -1))


def test_labels_of_axes_and_scales_without_such_names(tmp_path):
    def labelled(path, *names):
        with h5py.File(netcdf(path, X, dims=("a", "b", "c")), "a") as file:
            for axis, name in enumerate(names):
                file["images"].dims[axis].label = name
        return path

    for axes in (("n", "row", "column"), ("", "", ""), ("", "x", ""), ("n", "y", "y")):
        assert np.array_equal(data.load(labelled(tmp_path / "a.h5", *axes)).train.x, X.reshape(20, -1))
    refused(labelled(tmp_path / "b.h5", "n", "column", "row"), "found axes n, column, row")
    refused(labelled(tmp_path / "b.h5", "", "column", "row"), "found axes a, column, row")


def test_images_along_another_axis_by_its_name_are_refused(tmp_path):
    cube = np.moveaxis(X[:5, :, :5], 0, -1)
    path = netcdf(tmp_path / "a.nc", cube, None, dims=("y", "x", "n"))
    with h5py.File(path, "a") as file:
        file["labels"] = Y[:5]
    refused(path, "images: the images lie along another axis, by its name; expected .*, found axes y, x, n; store axes")
    refused(path, "the images lie along another axis", lambda path: data.read_images(path, (5, 5)))
    colours = netcdf(tmp_path / "b.nc", np.repeat(X[0][..., None], 3, -1), None, dims=("y", "x", "colour"))
    assert np.array_equal(data.read_images(colours, (5, 6)), X[:1].reshape(1, -1))


# Coordinates


@pytest.mark.parametrize("count", [20, 5, 6])
def test_scales_along_the_axes_are_neither_images_nor_labels(count, tmp_path):
    """x and y, of any number of images, also without labels."""
    along = {"x": np.arange(6), "y": np.arange(5.0), "sample": np.arange(count)}
    path = netcdf(tmp_path / "a.nc", X[:count], Y[:count], ("sample", "y", "x"), along)
    found = data.load(path)
    assert np.array_equal(found.train.x, X[:count].reshape(count, -1))
    assert np.array_equal(found.train.labels, Y[:count])
    assert {note.code for note in found.notes} <= {"empty-class"}
    alone = netcdf(tmp_path / "b.nc", X[:count], None, ("sample", "y", "x"), along)
    assert np.array_equal(data.read_images(alone, (5, 6)), X[:count].reshape(count, -1))
    refused(alone, "labels missing")


def test_a_scale_along_the_images_alone_may_be_their_labels(tmp_path):
    path = netcdf(tmp_path / "a.nc", X, None, ("y", "row", "column"), {"y": Y})
    refused(path, "the images lie along another axis, by its name")
    path = netcdf(tmp_path / "a.nc", X, None, ("label", "row", "column"), {"label": Y})
    assert np.array_equal(data.load(path).train.labels, Y)
    path = netcdf(tmp_path / "b.nc", X, 9 - Y, ("label", "row", "column"), {"label": Y})
    assert np.array_equal(data.load(path).train.labels, 9 - Y)


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_child_reads_codes_and_axes(name, tmp_path, monkeypatch):
    monkeypatch.setattr("fnnet.data.child.inside", False)
    path = netcdf(tmp_path / f"{name}.nc", X // 2, scale_factor=np.float32(2))
    assert np.array_equal(data.load(path).train.x, (X // 2 * 2).reshape(20, -1))
