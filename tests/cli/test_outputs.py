"""Files that commands write: never in place of an input, of one another or of a run, and refused before the work."""

import os

import pytest
from PIL import Image

from tests.cli.conftest import save_digits


def make_link(path):
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize("make", [os.mkfifo, make_link])
def test_what_is_no_plain_file_is_not_replaced(make, run, idx_folder, tmp_path):
    make(tmp_path / "odd")
    before = (tmp_path / "odd").lstat()
    run("train", "--data", idx_folder, "--out", "odd", "--quiet").failed(1, "odd", "cannot be written", "a file name")
    assert (tmp_path / "odd").lstat().st_mode == before.st_mode


def test_outputs_do_not_replace_inputs_or_one_another(model, run, idx_folder, tmp_path, small_images):
    file = save_digits(tmp_path, small_images, 1)[0]
    before = {path: path.read_bytes() for path in (model, file)}
    run("predict", model, file, "-o", model).failed(2, "--output", "would replace", model)
    run("predict", model, file, "-o", tmp_path / "." / file.name).failed(2, "--output", file)
    images = idx_folder / "train-images-idx3-ubyte"
    run("train", "--data", images, "--out", images).failed(2, "--out", "would replace")
    run("train", "--data", idx_folder, "--out", "a.svg", "--plot", "a.svg").failed(2, "--plot", "--out writes")
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("out", ["no/such/folder/m.safetensors", "."])
def test_unwritable_output_fails_before_the_work(out, run, idx_folder, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    run("train", "--data", idx_folder, "--out", out, "--quiet").failed(1, "cannot be written")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may write anywhere")
def test_read_only_folder(run, idx_folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    run("train", "--data", idx_folder, "--out", tmp_path / "locked" / "m").failed(1, "Permission denied")


@pytest.mark.parametrize(("given", "option", "target"), [
    ("idx", "--out", "idx/train-images-idx3-ubyte"),
    ("idx/train-images-idx3-ubyte", "--out", "idx/train-labels-idx1-ubyte"),
    ("idx", "--plot", "idx/t10k-labels-idx1-ubyte.png"),
    ("classes", "--out", "classes/0/0.png"),
    ("classes", "--plot", "classes/1/0.png"),
])  # fmt: skip
def test_f47_no_output_replaces_a_file_of_the_data(given, option, target, run, idx_folder, small_images, tmp_path):
    (idx_folder / "t10k-labels-idx1-ubyte.png").write_bytes((idx_folder / "t10k-labels-idx1-ubyte").read_bytes())
    for name in "01":
        (tmp_path / "classes" / name).mkdir(parents=True)
        Image.fromarray(small_images[0][int(name)]).save(tmp_path / "classes" / name / "0.png")
    before = (tmp_path / target).read_bytes()
    run("train", "--data", given, option, target).failed(2, option, "would replace another file", given.split("/")[0])
    assert (tmp_path / target).read_bytes() == before


@pytest.mark.parametrize(
    "name", ["lock", "log.jsonl", "step-000000000009.safetensors", "step-000000000009.safetensors.damaged"]
)
def test_f47_no_output_takes_the_name_of_a_file_of_the_run(name, run, idx_folder, tmp_path):
    arguments = ("train", "--data", idx_folder, "--epochs", 1, "--run-dir", "kept", "--out")
    result = run(*arguments, f"kept/{name}")
    result.failed(2, "--out", "would replace a file of the run", name)
    (tmp_path / "kept").mkdir()
    assert run(*arguments, "kept/model.safetensors", "-q").code == 0
