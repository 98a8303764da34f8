"""`mpiexec -n N python -m mpi4py cli.py`: one program in N processes, with the bits of one."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fnnet import data
from tests.campaigns import lost_ranks
from tests.conftest import ROOT

MPIEXEC = lost_ranks.MPIEXEC
pytestmark = pytest.mark.skipif(
    lost_ranks.missing() is not None, reason="needs mpiexec and mpi4py: pip install 'fnnet[mpi]'"
)
TEXT = """--data digits --hidden 300,100 --optimizer adam --learning-rate 0.001 --dropout 0.2 --augment --epochs 2
--batch-size 100 --shards 8 --jit"""
DEEP = TEXT.split()


def begin(size, *arguments, folder, program=ROOT / "cli.py", **options):
    python = [MPIEXEC, "-n", str(size), sys.executable, "-m", "mpi4py"] if size else [sys.executable]
    command = [*python, str(program), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, **options)


def ended(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def train(size, folder, *arguments, **options):
    code, out, err = ended(begin(size, "train", *arguments, "--json", "--quiet", folder=folder, **options))
    assert (code, err) == (0, "")
    return json.loads(out)


def test_any_number_of_ranks_gives_the_bits_of_one_process(tmp_path):
    alone = train(0, tmp_path, *DEEP)
    for size in (1, 2, 3, 8):
        found = train(size, tmp_path, *DEEP, "--out", f"{size}.safetensors")
        assert found["weights_sha256"] == alone["weights_sha256"]
        assert found["test_accuracy"] == alone["test_accuracy"]
        without = [{**report, "seconds": 0} for report in found["epochs"]]
        assert without == [{**report, "seconds": 0} for report in alone["epochs"]]
        assert found["threads"] * size <= max(size, alone["threads"])
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        *(f"{size}.safetensors" for size in (1, 2, 3, 8)),
        "model.safetensors",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ("train --data digits", 2, "error: --shards: fewer shards than ranks; expected at least 2, one for each rank"),
        ("train --data digits --optimizer lbfgs", 2, "error: --optimizer: is not trained by several ranks; "),
        ("train --data digits --shards 8 --learning-rate 1e30", 1, "error: step 2, layer 2: training diverged; "),
        ("train --data digits --jit --shards 8 --threads 99", 2, "error: --threads: too many threads; "),
        ("train --data digits --seeds 0-1", 2, "error: mpiexec: several ranks; "),
        ("train --fast", 2, "error: No such option '--fast'; "),
        ("evaluate none.safetensors", 1, "error: none.safetensors: "),
        ("--version", 0, ""),
    ],
)  # fmt: skip
def test_one_line_is_printed_once(arguments, code, line, tmp_path):
    found, out, err = ended(begin(2, *arguments.split(), folder=tmp_path))
    lines = [each for each in err.splitlines() if not each.startswith(("data: ", "  ("))]
    assert found == code
    assert len(lines) == bool(line)
    assert "".join(lines).startswith(line)
    assert out.count("fnnet, version") == (code == 0)
    assert [*tmp_path.iterdir()] == []


def test_ranks_read_a_stream_each_for_itself(tmp_path):
    source = ("--data", "digits", "--times", "2", "-o", "stream", "--shard-images", "600", "--quiet")
    assert ended(begin(0, "data", "expand", *source, folder=tmp_path))[0] == 0
    given = ("--data", "stream", "--window", "500", "--epochs", "2", "--shards", "8", "--augment", "--jit")
    alone = train(0, tmp_path, *given)
    for size in (2, 3):
        assert train(size, tmp_path, *given)["weights_sha256"] == alone["weights_sha256"]
    with (tmp_path / "stream" / "train-00003.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    code, _, err = ended(begin(2, "train", *given, "--quiet", folder=tmp_path))
    place = re.escape("train-00003.npy: bytes 0 to ")
    assert (code, err.count("error: "), len(re.findall(f"{place}[0-9,]+: damaged file", err))) == (1, 1, 1), err


def test_ranks_read_parquet_each_by_a_child_of_its_own(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    x, labels = data.load("digits").train
    write_table(
        pa.table({"image": [*x], "label": labels}), tmp_path / "a.parquet", row_group_size=300, write_page_checksum=True
    )
    given = ("--data", "a.parquet", "--window", "500", "--epochs", "2", "--shards", "8", "--augment", "--jit")
    alone = train(0, tmp_path, *given)
    for size in (2, 3):
        assert train(size, tmp_path, *given)["weights_sha256"] == alone["weights_sha256"]
    with (tmp_path / "a.parquet").open("r+b") as file:
        file.seek(400)
        file.write(bytes(200))
    code, _, err = ended(begin(2, "train", *given, "--quiet", folder=tmp_path))
    assert (code, err.count("error: "), err.count("a.parquet: row group 1")) == (1, 1, 1), err


def test_ranks_hold_out_the_share_of_one_process_and_the_first_keeps_the_model(tmp_path):
    x, labels = data.load("digits").train
    np.savez(tmp_path / "own.npz", x_train=x[:300].reshape(-1, 28, 28), y_train=labels[:300])
    given = ("--data", "own.npz", "--epochs", "2", "--shards", "8", "--run-dir")
    alone, several = (train(size, tmp_path, *given, f"runs/{size}") for size in (0, 2))
    for key in ("images", "test_accuracy", "weights_sha256"):
        assert several[key] == alone[key]
    assert several["images"]["test"] > 20
    kept = [(tmp_path / "runs" / size / "model.safetensors").read_bytes() for size in "02"]
    assert kept[0] == kept[1]


def test_a_run_that_is_interrupted_goes_on_with_other_ranks(tmp_path):
    work = [*DEEP[:-1], "--run-dir", "run", "--epochs", "6", "--quiet"]
    process = begin(2, "train", *work, folder=tmp_path, start_new_session=True)
    log = tmp_path / "run" / "log.jsonl"
    last = time.monotonic() + 60
    while not (log.exists() and '"epoch"' in log.read_text()):
        assert time.monotonic() < last
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130
    assert "interrupted; go on with --run-dir run --resume" in err
    whole = train(0, tmp_path, *work[:-5], "--epochs", "6", "--out", "whole.safetensors")
    found = train(3, tmp_path, *work[:-1], "--resume")
    assert found["weights_sha256"] == whole["weights_sha256"]


def test_f89_a_run_of_other_settings_is_refused_by_the_line_of_one_process(tmp_path):
    work = ("train", "--data", "digits", "--shards", "2", "--epochs", "1", "--quiet", "--run-dir", "run")
    assert ended(begin(0, *work, folder=tmp_path))[0] == 0
    alone, several = (ended(begin(size, *work, "--dev", "100", "--resume", folder=tmp_path)) for size in (0, 2))
    assert several == alone
    assert (alone[0], alone[2].count("error: "), "differs from the run" in alone[2]) == (2, 1, True)


def test_without_mpi4py_the_processes_say_what_is_missing(tmp_path):
    """Two that train for themselves would write one file."""
    hidden = "import sys; sys.modules['mpi4py'] = None; import runpy; sys.argv[0] = 'cli.py'; "
    command = f"{hidden}runpy.run_path({str(ROOT / 'cli.py')!r}, run_name='__main__')"
    process = subprocess.run(
        [sys.executable, "-c", command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PMI_SIZE": "2"},
    )  # fmt: skip
    assert process.returncode == 1
    assert process.stderr.startswith("error: mpi4py cannot be loaded; expected the module mpi4py, in a program that ")
    assert process.stderr.rstrip().endswith("install it: pip install 'fnnet[mpi]'")


HALVES = """--data digits --hidden 40 --optimizer momentum --clip-norm 0.5 --message-bits 16 --epochs 1 --shards 8
--jit"""
HIDDEN = """
import os
import re
from fnnet import cli
from fnnet.files import mapped

def memory(*given):
    raise OSError("another container")

if os.environ["PMI_RANK"] == "1":
    mapped.memory = memory
cli.launch()
"""


def test_messages_of_16_bits_have_the_bits_of_one_process_in_shared_memory_and_without(tmp_path):
    given = HALVES.split()
    (tmp_path / "hidden.py").write_text(HIDDEN)
    alone = train(0, tmp_path, *given)["weights_sha256"]
    assert train(0, tmp_path, *given, "--message-bits", "32")["weights_sha256"] != alone
    assert train(3, tmp_path, *given)["weights_sha256"] == alone
    hidden = {"program": tmp_path / "hidden.py", "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    assert train(3, tmp_path, *given, **hidden)["weights_sha256"] == alone


def test_f89_a_lost_rank_ends_all_and_the_run_goes_on(tmp_path):
    """A share of `python -m tests.campaigns ranks`."""
    assert len([*lost_ranks.losses(tmp_path, 3, seed=1)]) == 3


def test_a_signal_to_any_rank_stops_all_with_its_exit_code(tmp_path):
    code, told, _ = lost_ranks.lose(tmp_path, "SIGTERM", 1, 2, 20)
    assert code == 143
    assert told.startswith("error: step ")
    assert told.endswith(f": terminated; go on with --run-dir {tmp_path / 'run'} --resume\n")
    assert not (tmp_path / "m.safetensors").exists()
