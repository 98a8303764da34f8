"""`fnnet data`."""

import pytest
from PIL import Image


def test_data_info(run, idx_folder):
    document = run("data", "info", "--data", idx_folder, "--json").json
    assert document["images"] == {"train": 50, "test": 10}
    assert document["labels"] == {"train": [5] * 10, "test": [1] * 10}
    assert document["image_shape"] == [28, 28]
    lines = run("data", "info", "--data", idx_folder).out.splitlines()
    assert lines[0].startswith("data: idx, 50 train, 10 test images")
    assert len(lines) == 13


def test_data_download_is_told_when_offline(run, tmp_path):
    run("data", "download", "--data-dir", tmp_path / "new").failed(1, "FNNET_OFFLINE")
    assert not (tmp_path / "new").exists()


def test_data_show(run, idx_folder, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    result = run("data", "show", "--data", idx_folder, "--count", 7, "-o", "sheet.png")
    assert result.code == 0, result.err
    assert sum("█" in line for line in result.out.splitlines()) >= 3
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 300


def test_data_show_augment(run, idx_folder, tmp_path):
    """Each image beside its deformations, the same for the same seed; as many to a row as the terminal has room for."""
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    result = run("data", "show", "--augment", "--data", idx_folder, "--count", 2, "-o", tmp_path / "sheet.png")
    assert result.out.count("epoch 1") == 2
    assert "epoch 9" not in result.out
    assert f"saved {tmp_path / 'sheet.png'}" in result.out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * sheet.height
    assert run("data", "show", "--augment", "--data", idx_folder, "--count", 2).out == result.out.replace(
        f"saved {tmp_path / 'sheet.png'}\n", ""
    )


def test_data_show_draws_the_deformation_that_is_said(run, idx_folder):
    """Figures alone are enough to have the deformations drawn; those left out are those of `--augment`."""
    arguments = ("data", "show", "--data", idx_folder, "--count", 2)
    usual, stronger = run(*arguments, "--augment").out, run(*arguments, "--deformation", "rotation=60").out
    assert run(*arguments, "--deformation", "rotation=12").out == usual != stronger
    assert stronger.count("epoch 1") == 2
    run(*arguments, "--deformation", "rotation=-1").failed(2, "--deformation", ">= 0")
