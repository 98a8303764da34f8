"""Model files: what is saved is what is loaded, and nothing damaged is loaded at all."""

import copy
import hashlib
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fnnet
from fnnet.core.params import Layer, Params
from fnnet.core.state import Committee, Preprocessing, Scaling, frozen, unfit
from fnnet.errors import ModelError, StorageError
from fnnet.files import container, model
from fnnet.files.container import NO_DIGEST
from fnnet.files.model import Model
from tests.tools.disks import around

SMALL = Model(fnnet.init((4, 3, 2), 1), classes=("cat", "dog"), image_shape=(2, 2), training={"seed": 1})
GOLDEN_4 = "62532fa06794c5ddccf77f2ba551fe466eb7eeaf7439e1aa86c46bbf97e3aa56"
GOLDEN = "95e4ea66cf28fb821df4827959a79bf0ba38a610d1610559e7aab92699e61124"


@pytest.fixture
def path(tmp_path):
    fnnet.save_model(tmp_path / "m.safetensors", SMALL)
    return tmp_path / "m.safetensors"


def rewrite(path, change):
    """The file again with its header changed and its checksum put right, as a forger would."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"]["sha256"] = NO_DIGEST
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    content = len(text).to_bytes(8, "little") + text + content[8 + size :]
    digest = hashlib.sha256(content).hexdigest()
    path.write_bytes(content.replace(NO_DIGEST.encode(), digest.encode()))


def assert_whole(error, path, place=True):
    """It names file, place, what was expected and found, and what to do, on one short line."""
    assert error.where == str(path)
    assert error.place or not place
    assert None not in (error.expected, error.found)
    assert error.fix
    assert "\n" not in str(error)
    assert len(str(error)) < 1500


def test_round_trip(path):
    loaded = fnnet.load_model(path)
    assert loaded._replace(params=None, training=None) == SMALL._replace(params=None, training=None)
    assert dict(loaded.training) == {"seed": 1}
    for a, b in zip(loaded.params.layers, SMALL.params.layers, strict=True):
        assert a.W.tobytes() == b.W.tobytes()
        assert a.b.tobytes() == b.b.tobytes()
        assert not a.W.flags.writeable
        assert not a.b.flags.writeable


@pytest.mark.parametrize("lay", [np.asfortranarray, lambda W: np.repeat(W, 2, axis=1)[:, ::2]])
def test_f42_layouts_are_saved_as_their_values(lay, tmp_path):
    layers = tuple(Layer(lay(W), b) for W, b in SMALL.params.layers)
    fnnet.save_model(tmp_path / "m", SMALL._replace(params=Params(layers)))
    np.testing.assert_array_equal(fnnet.load_model(tmp_path / "m").params.layers[0].W, SMALL.params.layers[0].W)


def test_f45_version_3_is_written_to_the_bit_as_ever(path):
    """What fnnet 0.1.0 wrote for this model, so that its files are read by every later one."""
    assert hashlib.sha256(path.read_bytes()).hexdigest() == GOLDEN


def test_the_bytes_of_a_file_are_checked_as_the_file_is(path):
    content = path.read_bytes()
    assert model.model_in(content, path) == fnnet.load_model(path)
    with pytest.raises(ModelError, match="damaged file") as told:
        model.model_in(content[:-1] + b"x", path)
    assert_whole(told.value, path)


def test_f45_version_1_is_read(path):
    """It knew a single preprocessing, by the name bytes/255; the file is what the version of 28 November wrote."""
    old, new = fnnet.load_model(Path(__file__).with_name("version-1.safetensors")), fnnet.load_model(path)
    assert old.preprocessing == Preprocessing()
    assert old._replace(params=None, training=None) == new._replace(params=None, training=None)
    assert old.params == new.params
    named = SMALL._replace(preprocessing="bytes/255")
    fnnet.save_model(path, named)
    assert fnnet.load_model(path).preprocessing == Preprocessing()


def test_f45_version_2_is_read(path):
    """It did not know of blank images and other sizes; the file is what the version of 28 November wrote."""
    old = fnnet.load_model(Path(__file__).with_name("version-2.safetensors"))
    assert old.preprocessing == Preprocessing(200, 180, 3, 12, transpose=True)
    fnnet.save_model(path, old)
    again = fnnet.load_model(path)
    assert again._replace(training=None) == old._replace(training=None)
    assert again.params == old.params == SMALL.params


PREPROCESSING = [
    Preprocessing(faint=-1, resize=True),
    Preprocessing(faint=3),
    Preprocessing(paper=255, ink=0),
    Preprocessing(16, 0, 16, transpose=True),
    Preprocessing(200, 180, 3, 12),
    Preprocessing(signed=True),
]
SCALING = Scaling(("a", "b", "c", "d"), (0.1, -1e300, 5e-324, 0.0), (1 / 3, 0.0, 2.0, 1e-300), "kind")
TABLE = Model(SMALL.params, classes=SMALL.classes, image_shape=(1, 4), preprocessing=Preprocessing(scaling=SCALING))


@pytest.mark.parametrize("preprocessing", PREPROCESSING, ids=str)
def test_preprocessing_is_kept(preprocessing, tmp_path):
    fnnet.save_model(tmp_path / "m", SMALL._replace(preprocessing=preprocessing))
    assert fnnet.load_model(tmp_path / "m").preprocessing == preprocessing


def test_f45_only_pixels_from_minus_1_need_version_5(tmp_path):
    """A file that needs no more than an older version had is written as that version; no other reads it wrongly."""
    for signed, version in ((False, b'"version":"3"'), (True, b'"version":"5"')):
        fnnet.save_model(tmp_path / "m", SMALL._replace(preprocessing=Preprocessing(signed=signed)))
        content = (tmp_path / "m").read_bytes()
        assert version in content.replace(b" ", b"")
        assert (b"signed" in content) == signed


def test_f45_the_columns_of_a_table_are_kept_to_the_bit_and_need_version_6(tmp_path):
    fnnet.save_model(tmp_path / "m", TABLE)
    assert fnnet.load_model(tmp_path / "m").preprocessing == TABLE.preprocessing
    assert b'"version":"6"' in (tmp_path / "m").read_bytes()
    fnnet.save_model(tmp_path / "m", SMALL)
    assert b"scaling" not in (tmp_path / "m").read_bytes()
    for wrong in (TABLE._replace(image_shape=(2, 2)), _scaled(names=()), _scaled(names=("a", "a", "b", "c"))):
        with pytest.raises(ModelError, match=r"columns|preprocessing"):
            fnnet.save_model(tmp_path / "m", wrong)
    for change in (
        {"names": ("a",)}, {"names": ("a", "b", "c", 4)}, {"names": ["a"] * 4}, {"target": None},
        {"scales": (1.0,) * 3}, {"scales": (-1.0, 1.0, 1.0, 1.0)},
        {"means": (math.nan, 0.0, 0.0, 0.0)}, {"means": (1, 2, 3, 4)},
    ):  # fmt: skip
        assert unfit(_scaled(**change).preprocessing), change
    assert unfit(TABLE.preprocessing._replace(ink=0, paper=255))
    assert unfit(TABLE.preprocessing._replace(scaling="all"))
    assert not unfit(_scaled(names=("",) * 4).preprocessing)


def _scaled(**change):
    return TABLE._replace(preprocessing=Preprocessing(scaling=SCALING._replace(**change)))


@pytest.mark.parametrize("scaling", ["all", {"names": ["a"]}, [1.0], {**SCALING._asdict(), "more": 1}])
def test_f40_a_scaling_of_another_form_is_refused(scaling, path):
    rewrite(path, described(preprocessing={**Preprocessing()._asdict(), "scaling": scaling}))
    with pytest.raises(ModelError, match="unknown preprocessing"):
        fnnet.load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"pixel_max": 0}, {"pixel_max": 256}, {"pixel_max": 16.0}, {"pixel_max": True}, {"pixel_max": 16},
        {"paper": -1}, {"paper": "0"}, {"ink": 256}, {"ink": 0}, {"blank": -1}, {"blank": 255}, {"blank": 1.0},
        {"transpose": 1}, {"transpose": None}, {"colour": "mean"},
        {"paper": 200, "ink": 100, "blank": 100}, {"paper": 100, "ink": 200, "blank": 150},
        {"signed": 1}, {"signed": None},
        {"faint": -2}, {"faint": 256}, {"faint": 24.0}, {"faint": None}, {"resize": 1}, {"resize": [28, 28]},
    ],
    ids=str,
)  # fmt: skip
def test_preprocessing_that_no_reader_has(change, tmp_path):
    """Neither written nor read."""
    with pytest.raises(ModelError, match="unknown preprocessing"):
        fnnet.save_model(tmp_path / "m", SMALL._replace(preprocessing=Preprocessing()._replace(**change)))
    assert not (tmp_path / "m").exists()


def test_other_programs_read_it(path):
    from safetensors.numpy import load_file

    tensors = load_file(path)
    assert sorted(tensors) == ["layers.0.W", "layers.0.b", "layers.1.W", "layers.1.b"]
    assert tensors["layers.0.W"].dtype == np.float32


def test_f39_every_flipped_bit_and_every_truncation_is_refused(path):
    content = path.read_bytes()
    damaged = [content[:length] for length in range(len(content))] + [content + b"\0", b"\0" + content]
    for at in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << at % 8
        damaged.append(bytes(flipped))
    for each in damaged:
        path.write_bytes(each)
        with pytest.raises(ModelError):
            fnnet.load_model(path)


def described(**changes):
    def change(header):
        about = json.loads(header["__metadata__"]["model"])
        header["__metadata__"]["model"] = json.dumps(about | changes)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (described(sizes=[4, 4, 2]), "layer 1"),
        (described(sizes=[4, 10**9, 2]), "too large"),
        (described(sizes=[4, -3, 2]), ">= 1"),
        (described(activation="os.system"), "unknown activation"),
        (described(preprocessing="eval"), "unknown preprocessing"),
        (described(preprocessing={"pixel_max": 255}), "unknown preprocessing"),
        (described(classes=["a"]), "classes"),
        (described(classes="ab"), "classes"),
        (described(classes=["a", "a"]), "class name"),
        (described(image_shape=[-2, -2]), ">= 1"),
        (described(image_shape=[2.0, 2]), "integer"),
        (described(training=float("nan")), "finite numbers"),
        (described(training=[1]), "training is not an object"),
        (described(surprise=1), "surprise"),
        (lambda header: header["__metadata__"].update(version="7"), "newer fnnet"),
        (lambda header: header["__metadata__"].update(version="zero"), "unknown format version"),
        (lambda header: header["__metadata__"].update(model="["), "damaged fnnet model"),
        (lambda header: header["__metadata__"].update(format="other"), "not an fnnet model"),
        (lambda header: header.update({"layers.9.W": header.pop("layers.1.W")}), "tensors"),
    ],
)
def test_f40_f41_f45_f46_f48_f50_well_sealed_nonsense_is_refused(change, message, path):
    rewrite(path, change)
    with pytest.raises(ModelError, match=message) as caught:
        fnnet.load_model(path)
    assert_whole(caught.value, path)


def test_the_forger_of_these_tests_can_make_a_good_file(path):
    rewrite(path, lambda header: None)
    assert fnnet.load_model(path).classes == ("cat", "dog")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f43_weights_that_are_no_numbers_are_not_saved(value, tmp_path):
    W = SMALL.params.layers[0].W.copy()
    W[0, 0] = value
    bad = SMALL._replace(params=Params((Layer(W, SMALL.params.layers[0].b), SMALL.params.layers[1])))
    with pytest.raises(ModelError, match=r"layer 1.*finite"):
        fnnet.save_model(tmp_path / "m", bad)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"a": 1}), "never opens"),
        (b"PK\x03\x04" + b"\0" * 100, "never opens"),
        (b"", "empty"),
        (b"hello, world", "not a safetensors"),
        (b"\xff" * 100, "not a safetensors"),
    ],
)
def test_f44_other_files_are_refused(content, message, tmp_path):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        fnnet.load_model(tmp_path / "m")
    assert_whole(caught.value, tmp_path / "m")


def test_what_is_no_model_or_no_float_is_not_saved(tmp_path):
    with pytest.raises(ModelError, match=r"not a model; expected fnnet\.Model, found Params"):
        fnnet.save_model(tmp_path / "m", SMALL.params)
    with pytest.raises(ModelError, match="a: unsupported dtype; expected float32 or float64, found int64"):
        container.save(tmp_path / "m", model.MODEL, {}, {"a": np.arange(3)}, lambda about, tensors: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("old", [b'"sha256":', b'"sha256"'])
def test_a_checksum_that_is_not_where_it_is_looked_for_is_refused(old, path):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + size].replace(old, b'"sha256" :' if old.endswith(b":") else b'"sha257"')
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    with pytest.raises(ModelError, match="header: no checksum; expected one sha256 entry, found 0") as caught:
        fnnet.load_model(path)
    assert_whole(caught.value, path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_f40_a_header_in_another_encoding_is_refused(encoding, path):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + size].decode().encode(encoding)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    with pytest.raises(ModelError, match=r"not a safetensors file|damaged fnnet model") as caught:
        fnnet.load_model(path)
    assert_whole(caught.value, path)


def test_plain_safetensors_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"layers.0.W": np.zeros((2, 2), np.float32)}, tmp_path / "m")
    with pytest.raises(ModelError, match="not an fnnet model"):
        fnnet.load_model(tmp_path / "m")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(StorageError, match="No such file"):
        fnnet.load_model(tmp_path / "none")
    with pytest.raises(StorageError, match="a folder"):
        fnnet.load_model(tmp_path)
    with pytest.raises(StorageError, match="cannot be written"):
        fnnet.save_model(tmp_path / "none" / "m", SMALL)
    with pytest.raises(StorageError, match="cannot be written"):
        fnnet.save_model(tmp_path, SMALL)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "replace"])
def test_f51_f55_a_failed_write_leaves_the_old_file_and_nothing_else(call, path):
    old = path.read_bytes()

    def fail(name, real, *arguments):
        if name == call:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    with pytest.raises(StorageError, match="No space left"):
        fnnet.save_model(path, SMALL._replace(classes=("x", "y")), disk=around(fail))
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["n" * 255, "\u00e9" * 127, "M.SAFETENSORS"])
def test_f68_names_of_any_length_and_case(name, path):
    model = SMALL._replace(classes=("x", "y"))
    fnnet.save_model(path.with_name(name), model)
    assert fnnet.load_model(path.with_name(name)).classes == ("x", "y")
    with pytest.raises(StorageError, match="File name too long"):
        fnnet.save_model(path.with_name("n" * 256), model)
    assert sorted(os.listdir(path.parent)) == sorted([path.name, name])


def test_file_mode_follows_the_umask(path):
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_the_same_model_is_the_same_file_in_every_process(path, tmp_path):
    """The header's keys and the arrays have a fixed order."""
    code = (
        "import fnnet; fnnet.save_model('again', fnnet.Model(fnnet.init((4, 3, 2), 1), "
        "classes=('cat', 'dog'), image_shape=(2, 2), training={'seed': 1}))"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
        assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_private_file_stays_private(path):
    path.chmod(0o600)
    fnnet.save_model(path, SMALL)
    assert path.stat().st_mode & 0o777 == 0o600


def test_training_that_json_cannot_hold(tmp_path):
    for value in ({1, 2}, float("inf"), np.float32(1)):
        with pytest.raises(ModelError, match="values that JSON can represent"):
            fnnet.save_model(tmp_path / "m", SMALL._replace(training={"a": value}))


@pytest.mark.parametrize("name", ["m" * 300, "a\0b"])
def test_names_that_the_system_refuses(name, tmp_path):
    with pytest.raises(StorageError):
        fnnet.save_model(tmp_path / name, SMALL)
    with pytest.raises(StorageError):
        fnnet.load_model(tmp_path / name)


@pytest.mark.parametrize("place", [None, 1, 2.5, [], object()])
def test_f47_what_is_no_path_is_refused(place):
    with pytest.raises(StorageError, match=r"cannot be written; expected a path, found \w+; give a file name"):
        fnnet.save_model(place, SMALL)
    with pytest.raises((StorageError, ModelError)):
        fnnet.load_model(place)


def test_paths_may_be_bytes(path):
    fnnet.save_model(os.fsencode(path), SMALL._replace(classes=("x", "y")))
    assert fnnet.load_model(os.fsencode(path)).classes == ("x", "y")


def test_a_model_is_immutable_to_the_bottom_and_can_be_copied():
    training = frozen({"plan": {"epochs": 3}, "list": [1, {"a": 2}]})
    made = fnnet.Model(fnnet.init((4, 2)), training=training)
    with pytest.raises(TypeError):
        made.training["plan"]["epochs"] = 4
    for again in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again.training == made.training
        assert again._replace(params=None, training=None) == made._replace(params=None, training=None)
        assert (again.params.layers[0].W == made.params.layers[0].W).all()


def test_an_activation_of_your_own_is_not_stored(tmp_path):
    """A file holds no code; a name in its place would load another network."""
    model = Model(fnnet.init((4, 3, 2)), fnnet.Activation(np.sin, lambda da, z: da * np.cos(z)), ("a", "b"), (2, 2))
    with pytest.raises(ModelError, match="stores no code"):
        fnnet.save_model(tmp_path / "model.safetensors", model)
    assert not list(tmp_path.iterdir())


MEMBERS = tuple(fnnet.init((4, width, 2), seed) for seed, width in enumerate((3, 5, 2)))
COMMITTEE = SMALL._replace(params=Committee(MEMBERS), activation="tanh")


def test_members_are_kept_apart(tmp_path):
    fnnet.save_model(tmp_path / "m", COMMITTEE)
    loaded = fnnet.load_model(tmp_path / "m")
    assert loaded.params == COMMITTEE.params
    assert not loaded.params.members[2][0].W.flags.writeable
    assert loaded._replace(params=None, training=None) == COMMITTEE._replace(params=None, training=None)
    x = np.arange(12).reshape(3, 4) / 10
    assert (fnnet.scores(loaded, x) == fnnet.scores(COMMITTEE, x)).all()
    from safetensors.numpy import load_file

    assert sorted(load_file(tmp_path / "m"))[:3] == ["members.0.0.W", "members.0.0.b", "members.0.1.W"]


def test_f45_version_4_is_written_as_ever(tmp_path):
    """What fnnet 0.1.0 wrote for these members, so that its files are read by every later one."""
    fnnet.save_model(tmp_path / "m", COMMITTEE)
    assert hashlib.sha256((tmp_path / "m").read_bytes()).hexdigest() == GOLDEN_4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": []}, "members are not a list"),
        ({"members": "4-3-2"}, "members are not a list"),
        ({"members": [[4, 3, 2], [4, 2], [4, 2, 2]]}, "member 1: not of the depth.*expected 4-3-2, found 4-2"),
        ({"members": [[4, 3, 2], [4, 5, 2], [4, 2, 3]]}, "member 2: not of the depth"),
        ({"members": [[4, 3, 2], [4, 5, 2], [4, 3, 2]]}, "layer 1 .members.2.0."),
        ({"members": [[4, 3, 2], [4, 5, 2]]}, "wrong names of tensors"),
        ({"members": [[4, 3, 2], [4, 5, 10**9]]}, "too large"),
        ({"sizes": [4, 3, 2]}, "wrong keys"),
        ({"classes": ["a"]}, "classes"),
    ],
)
def test_f41_members_that_do_not_fit_are_refused(changes, message, tmp_path):
    fnnet.save_model(tmp_path / "m", COMMITTEE)
    rewrite(tmp_path / "m", described(**changes))
    with pytest.raises(ModelError, match=message) as caught:
        fnnet.load_model(tmp_path / "m")
    assert_whole(caught.value, tmp_path / "m")


def test_members_that_do_not_fit_are_not_saved(tmp_path):
    for members, told in (
        ((), "members is empty"),
        ((MEMBERS[0], fnnet.init((4, 2))), r"members\[1\]: number of layers"),
        ((MEMBERS[0], fnnet.init((4, 3, 2), dtype=np.float64)), r"members\[1\]: dtype"),
    ):
        with pytest.raises(fnnet.FnnetError, match=told):
            fnnet.save_model(tmp_path / "m", COMMITTEE._replace(params=Committee(members)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [None, [], "model", np.zeros((4, 2))])
def test_what_is_no_model_is_not_saved(given, tmp_path):
    with pytest.raises(ModelError, match=r"not a model; expected fnnet.Model, found .*; pass an fnnet.Model"):
        fnnet.save_model(tmp_path / "m", given)
