"""The program as a whole: commands, help, usage, exit codes, pipes and streams."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys

import click
import pytest

import fnnet
from fnnet.cli import main
from fnnet.cli.program import COMMANDS, cli
from tests.conftest import ROOT


def commands_of(group, path=()):
    """Each command and group below, with the words that call it."""
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands_of(command, (*path, name))


EVERY = dict(commands_of(cli))
HEAVY = {"numpy", "numba", "llvmlite", "rich", "scipy", "sklearn", "PIL", "requests", "matplotlib", "threadpoolctl"}
HELP = """
import contextlib, io, json, sys
from fnnet.cli import main
found = {}
for path in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        main([*path, "--help"])
    found[" ".join(path)] = printed.getvalue()
print(json.dumps([found, sorted(sys.modules)]))
"""


def python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout


def test_every_command_is_a_line_of_the_table():
    assert [path for path in EVERY if len(path) == 1] == [(name,) for name in COMMANDS]
    for (name,), target in zip([path for path in EVERY if len(path) == 1], COMMANDS.values(), strict=True):
        assert EVERY[name,].name == name
        assert target == f"fnnet.cli.{name.replace('-', '_')}:{name.replace('-', '_')}"


def test_help_imports_nothing_heavy():
    helps, modules = json.loads(python(HELP, json.dumps([*EVERY])))
    assert len(helps) == len(EVERY) > len(COMMANDS)
    for path, text in helps.items():
        assert text.startswith(f"Usage: {' '.join(['fnnet', *path.split()])} ")
    assert "fnnet.cli.train" in modules
    assert not {name.partition(".")[0] for name in modules} & HEAVY


def test_a_command_imports_no_other_command():
    _, modules = json.loads(python(HELP, json.dumps([["gradcheck"]])))
    others = {target.partition(":")[0] for target in COMMANDS.values()} - {"fnnet.cli.gradcheck"}
    assert "fnnet.cli.gradcheck" in modules
    assert not others & {*modules}


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_option_has_help(path):
    command = EVERY[path]
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


def test_three_ways_to_start_are_one_program(run_process):
    outputs = {run_process("--version").out}
    for way in (["-m", "fnnet"], ["-c", "from fnnet.cli import main; main()"]):
        done = subprocess.run([sys.executable, *way, "--version"], capture_output=True, text=True, cwd=ROOT, check=True)
        outputs.add(done.stdout)
    assert outputs == {f"fnnet, version {fnnet.__version__}\n"}


def test_usage_of_every_kind_is_one_line(run):
    run("evaluate").failed(2, "Missing argument 'MODEL'", "fnnet evaluate --help")
    run("trian").failed(2, "No such command 'trian'; perhaps train or trace; see 'fnnet --help'")
    run("xyzzy").failed(2, "No such command 'xyzzy'; see 'fnnet --help'")
    run("data", "inof").failed(2, "No such command 'inof'; perhaps info; see 'fnnet data --help'")
    run("train", "--seed").failed(2, "--seed", "requires an argument")
    assert run("data").out.startswith("Usage: fnnet data")
    assert run().out.startswith("Usage: fnnet")
    run("gradcheck", "--sizes", "").failed(2, "too few layer sizes")


def test_an_internal_error_is_one_line_unless_debug(run, monkeypatch, idx_folder):
    from fnnet.training import epochs

    def fail(*arguments, **options):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(epochs, "epochs", fail)
    run("train", "--data", idx_folder, "--quiet").failed(1, "internal: ZeroDivisionError: planted", "--debug")
    assert "Traceback" in run("--debug", "train", "--data", idx_folder, "--quiet").err
    assert "Traceback" in run("train", "--data", idx_folder, "--quiet", "--debug").err


def test_json_through_a_pipe_parses(run_process, idx_folder):
    train = f"{sys.executable} {ROOT / 'cli.py'} train --data {idx_folder} --epochs 2 --json"
    command = f"{train} | {sys.executable} -m json.tool"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=idx_folder.parent, check=True)
    assert json.loads(done.stdout)["sizes"] == [784, 10, 10]
    assert "\x1b" not in done.stdout


def test_f57_a_reader_that_leaves_is_no_error(idx_folder, tmp_path):
    command = f"{sys.executable} {ROOT / 'cli.py'} data info --data {idx_folder} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("where", [">&-", "> /dev/full"])
@pytest.mark.parametrize("arguments", ["--version", "--help", "data info --data idx", "data info --data idx --json"])
def test_standard_output_that_is_closed_or_full(where, arguments, idx_folder, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    command = f"{sys.executable} {ROOT / 'cli.py'} {arguments} {where}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    wanted = "" if where == ">&-" else "error: standard output cannot be written: No space left on device\n"
    assert done.stderr == wanted
    assert done.returncode == (0 if where == ">&-" else 1)


class Stream(io.TextIOWrapper):
    """A host's stream, which takes only ASCII."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], 0), (["data", "info", "--data", "missing"], 1), (["data", "info", "--data", "é"], 1), (["-x"], 2)],
)
def test_a_program_that_calls_main_keeps_its_streams_and_its_handlers(arguments, code, monkeypatch):
    streams = Stream(), Stream()
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)]
    before = [signal.signal(number, lambda number, frame: None) for number in numbers]
    try:
        handlers = [signal.getsignal(number) for number in numbers]
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == code
        assert [signal.getsignal(number) for number in numbers] == handlers
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    assert (sys.stdout, sys.stderr) == streams
    assert [stream.errors for stream in streams] == ["strict", "strict"]
    assert [bool(stream.buffer.getvalue()) for stream in streams] == [code == 0, code != 0]


def hosted(code, arguments, folder):
    """Run a program that calls `main` with these arguments."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_signal_ends_the_command_and_not_the_program_that_called_it(tmp_path, idx_folder):
    code = (
        "import signal, sys, threading, time\n"
        "from fnnet.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a background job
        "def later():\n"  # once it trains, however long that takes to import
        "    while 'fnnet.training.epochs' not in sys.modules:\n"
        "        time.sleep(0.05)\n"
        "    time.sleep(2)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "threading.Thread(target=later, daemon=True).start()\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as end:\n"
        "    print('ended', end.code)\n"
        "print('before', signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    command = ["train", "--data", str(idx_folder), "--epochs", "10000000", "--no-jit"]
    done = hosted(code, command, tmp_path)
    assert done.stdout.splitlines()[-3:] == ["ended 143", "before True", "interrupted"]
    assert ": terminated;" in done.stderr.splitlines()[-1]


def test_it_runs_in_any_thread(tmp_path, idx_folder):
    code = (
        "import sys, threading\n"
        "from fnnet.cli import main\n"
        "def work():\n"
        "    try:\n"
        "        main(sys.argv[1:])\n"
        "    except SystemExit as end:\n"
        "        codes.append(end.code)\n"
        "codes = []\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start(); thread.join()\n"
        "sys.exit(codes[0])\n"
    )
    command = ["train", "--data", str(idx_folder), "--epochs", "2", "--quiet"]
    done = hosted(code, command, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "model.safetensors").is_file()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("train --data idx --epochs 2 --json", 0),
        ("train --data idx --epochs 2", 0),
        ("train --data nowhere", 1),
        ("train --epochs x", 2),
    ],
)
def test_standard_error_that_is_full_or_closed_changes_nothing(arguments, code, stderr, idx_folder, tmp_path):
    line = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'cli.py'))} {arguments} {stderr}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == code
    assert (tmp_path / "model.safetensors").exists() == (code == 0)
    if "--json" in arguments:
        assert json.loads(done.stdout)["model"] == "model.safetensors"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--epochs", "1_0"), ("--epochs", "whole number", "1_0")),
        (("train", "--epochs", "\u0663"), ("--epochs", "whole number")),
        (("train", "--learning-rate", "1_0.5"), ("--learning-rate", "1_0.5")),
        (("train", "--dropout", "0.\u0665"), ("--dropout",)),
        (("train", "--schedule", "step:every=1_0"), ("--schedule", "every=1_0")),
        (("train", "--class-weights", "1=1_0", "--data", "digits"), ("--class-weights", "weight of class 1", "1_0")),
        (("train", "--hidden", "", "--activation", "tanh", "--data", "digits"), ("--activation", "no effect")),
        (("train", "--threads", 2, "--data", "digits"), ("--threads", "no effect", "--jit")),
        (("train", "--data", "digits", "--data-dir", "."), ("--data-dir", "no effect", "--data digits")),
        (
            ("train", "--data", "digits", "--augment", "--deformation", "elastic=0,correlation=3"),
            ("--deformation", "correlation", "elastic"),
        ),
        (
            ("train", "--data", "digits", "--deformation", "shift=0,rotation=0,scale=0,shear=0,elastic=0"),
            ("--deformation", "no effect", "0 for all"),
        ),
        (("train", "--hidden", "10,"), ("--hidden", "leave out the comma at its end")),
    ],
)
def test_numbers_and_options_that_would_be_misread_are_refused(arguments, words, run):
    run(*arguments).failed(2, *words)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["float32"],
        ["float16", "infer"],
        ["float32", "infer", "nonsense"],
        ["--plain"],
        ["--bogus", "float32", "infer"],
        ["-p", "float32", "infer"],
    ],
)
def test_the_compiler_names_what_it_takes(words):
    command = [sys.executable, "-m", "fnnet.kernels.build", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: expected float32 or float64, and parts among ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--ship", "foo"], ["foo", "--ship"], ["--ship", "--plain"], ["--ship"] * 2])
def test_the_compiler_ships_only_if_nothing_else_is_said(words, monkeypatch):
    from fnnet.kernels import build

    monkeypatch.setattr(build, "_ship", lambda: pytest.fail("writes into the package"))
    monkeypatch.setattr(sys, "argv", ["build", *words])
    with pytest.raises(SystemExit, match=r"error: expected float32 or float64, .* or --ship alone"):
        build.main()
    shipped = []
    monkeypatch.setattr(build, "_ship", lambda: shipped.append(True))
    monkeypatch.setattr(sys, "argv", ["build", "--ship"])
    build.main()
    assert shipped


@pytest.mark.parametrize(
    ("where", "level", "told"),
    [
        (">/dev/full", "", "standard output cannot be written: No space left on device"),
        (">&-", "", "standard output cannot be written: closed"),
        (">/dev/null", "bogus", "FNNET_CPU: unknown processor; expected x86-64"),
    ],
)
def test_what_stops_the_compiler_is_one_line(where, level, told):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    command = f"{shlex.quote(sys.executable)} -m fnnet.kernels.build float32 products {where}"
    env = {**os.environ, "FNNET_CPU": level}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {told}")
    assert done.stderr.count("\n") == 1


def test_a_copy_of_the_program_without_its_package(tmp_path):
    copy = tmp_path / "cli.py"
    copy.write_text((ROOT / "cli.py").read_text())
    done = subprocess.run([sys.executable, "-S", "-I", str(copy), "train"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: fnnet is not installed; run pip install -e . in the folder of fnnet\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("train --lr 0.1", "'--lr'; perhaps --learning-rate; see"),
        ("train -e 5", "'-e'; perhaps --epochs; see"),
        ("train --batch 5", "'--batch'; perhaps --batch-size; see"),
        ("lr-find --batch 5", "'--batch'; perhaps --batch-size; see"),
        ("train --epohcs 5", "'--epohcs'; perhaps --epochs; see"),
        ("train --no-dev", "'--no-dev'; perhaps --dev or --no-augment or --no-jit; see"),
        ("evaluate --batch 5", "'--batch'; see"),
        ("train --xyzzy 5", "'--xyzzy'; see"),
    ],
)
def test_an_unknown_option_names_the_one_that_is_meant(arguments, told, run):
    run(*arguments.split()).failed(2, f"No such option {told} 'fnnet {arguments.split()[0]} --help'")


ENDING = """
import atexit, os, sys, threading, time
{before}
from fnnet import cli
def work():
    time.sleep(0.3)
    print("thread")
    atexit.register(lambda: print("handler"))
threading.Thread(target=work).start()
class Torn:
    def __del__(self):
        os.write(2, b"torn apart\\n")
torn = Torn()
sys.argv = ["fnnet", *sys.argv[1:]]
sys.stdout.write("buffered\\n")
cli.launch()
"""


@pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("--verison", 2)])
@pytest.mark.parametrize("before", ["", "atexit.register(lambda: print('earlier'))"])
def test_the_program_ends_at_once_and_nothing_is_lost(argument, code, before, tmp_path):
    """Threads are waited for, handlers called, streams flushed, wherever they lead; only the interpreter is not taken
    apart, unless somebody was there before."""
    with open(tmp_path / "out", "w") as out:
        command = [sys.executable, "-c", ENDING.format(before=before), argument]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        env["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(command, env=env, stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == code
    lines = (tmp_path / "out").read_text().splitlines()
    version = [f"fnnet, version {fnnet.__version__}"] * (code == 0)
    assert lines == ["buffered", *version, "thread", "handler", *["earlier"] * bool(before)]
    assert ("torn apart" in done.stderr) == bool(before)


def test_what_cannot_be_flushed_at_the_end_is_told_by_the_interpreter(tmp_path):
    full = "def fill():\n    sys.stdout = type('Full', (), {'flush': lambda self: 1 / 0, 'closed': False})()\n"
    code = ENDING.replace("{before}", full).replace('lambda: print("handler")', "fill")
    command = [sys.executable, "-c", code, "--version"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 120
    assert "ZeroDivisionError" in done.stderr
    assert "torn apart" in done.stderr
