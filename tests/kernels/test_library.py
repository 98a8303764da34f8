"""Compiled code: what happens without it, on fewer threads, on older processors, and that it is vector code."""

import os
import platform
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fnnet
from fnnet import kernels, limits
from fnnet.core.params import weights_sha256
from fnnet.errors import FnnetError, UsageError
from fnnet.kernels import compiler, library, machine, shipped, signatures
from tests.campaigns import levels
from tests.conftest import ROOT


def test_a_warm_start_imports_no_numba(numba_kernels):
    code = (
        "import sys, fnnet, numpy as np\n"
        "k = fnnet.load_kernels('numba', on_compile=lambda: sys.exit('compiled'))\n"
        "assert fnnet.predict(fnnet.init((784, 10, 10)), np.zeros((2, 784), 'u1'), kernels=k).shape == (2,)\n"
        "assert k.name == 'numba' and 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_numpy_s_table_imports_nothing_of_the_compiled_one():
    code = "import sys, fnnet; fnnet.load_kernels(); print(*(n for n in sys.modules if n.startswith('fnnet.kernels.')))"
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == ""


BROKEN = {
    "absent": "raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')",
    "broken": "raise RuntimeError('numba needs another numpy')",
    "dying": "import os; os.write(2, b'Illegal instruction\\n'); os._exit(132)",
}


@pytest.mark.parametrize("how", sorted(BROKEN))
def test_f87_without_numba_numpy_computes_and_it_is_said_once(how, run_process, tmp_path, idx_folder):
    (tmp_path / "bad" / "numba").mkdir(parents=True)
    (tmp_path / "bad" / "numba" / "__init__.py").write_text(BROKEN[how])
    env = {"PYTHONPATH": str(tmp_path / "bad"), "FNNET_CACHE": str(tmp_path / "kernels")}
    result = run_process("train", "--jit", "--data", idx_folder, "--epochs", 2, "--json", **env)
    assert result.code == 0, result.err
    assert result.json["jit"] is False
    assert result.err.count("NumPy computes instead") == 1
    assert "Traceback" not in result.err
    if how == "absent":
        run_process("warmup", **env).failed(1, "the kernels cannot be compiled", "No module named 'numba'")


def test_f87_numba_disable_jit_is_heeded_and_said_once(run, idx_folder, monkeypatch):
    """Also where the kernels are compiled already."""
    arguments = ("train", "--data", idx_folder, "--epochs", 3, "--json")
    wanted = run(*arguments).json["weights_sha256"]
    for value, jit in (("1", False), ("0", True), ("", True)):
        monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
        result = run(*arguments, "--jit")
        assert result.json["jit"] is jit
        assert (result.json["weights_sha256"] == wanted) is not jit, "to the bit what --no-jit gives"
        said = "note: no compiled kernels, NumPy computes instead: NUMBA_DISABLE_JIT=1"
        assert result.err.splitlines().count(said) == (not jit)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    run("warmup").failed(1, "compiled kernels are forbidden", "NUMBA_DISABLE_JIT=1", "unset")
    with pytest.warns(UserWarning, match="NUMBA_DISABLE_JIT=1"):
        assert fnnet.load_kernels("numba").name == "numpy"


def test_f87_in_the_library_it_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path))

    def fail(parts, dtype, on_part):
        raise FnnetError("the kernels cannot be compiled", found="a reason")

    monkeypatch.setattr(library, "_compile", fail)
    with pytest.warns(UserWarning, match="NumPy computes instead: a reason"):
        assert fnnet.load_kernels("numba").name == "numpy"


def test_f88_a_thread_that_cannot_be_started(numba_kernels, monkeypatch):
    """Where the system gives fewer threads the work goes on with those that there are."""
    from tests.kernels import test_block as blocks

    examples = blocks.data(200, 784, 10, zeros=0.8, as_bytes=True)
    monkeypatch.setattr(blocks.trainer, "TEAM_WORK", 0)
    wanted = blocks.block(numba_kernels, (784, 10, 10), examples, 64)[0]
    start, started = threading.Thread.start, []

    def some(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr("fnnet.threads._free", [])  # none waits
    monkeypatch.setattr(threading.Thread, "start", some)
    found = blocks.block(numba_kernels._replace(threads=8), (784, 10, 10), examples, 64)[0]
    assert len(started) == 2
    started.clear()
    monkeypatch.setattr("fnnet.threads._free", [])
    monkeypatch.setattr(blocks.pixels, "ROWS_A_THREAD", 1)
    rows = numba_kernels.pixels(examples.x, np.dtype(np.float32), 8)
    monkeypatch.undo()
    np.testing.assert_array_equal(rows.starts, numba_kernels.pixels(examples.x, np.dtype(np.float32), 1).starts)
    assert weights_sha256(found.params) == weights_sha256(wanted.params)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86-64 assembly")
@pytest.mark.skipif(not machine.machine().fma, reason="needs a processor with multiply-add")
def test_tiles_are_vector_code():
    """The hot loop of the large tile is one multiply-add for each accumulator, whole vectors, and nothing spilled."""
    done = subprocess.run(
        [sys.executable, "-m", "fnnet.kernels.build", "float32", "products", "--assembly"],
        env={**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    register = {64: "zmm", 32: "ymm", 16: "xmm"}[machine.machine().vector_bytes]
    loops = re.split(r"^\.L\w+:", done.stdout, flags=re.MULTILINE)
    # Those that shift are exponentials, which LLVM 15 unrolls.
    loops = [body for body in loops if "vpslld" not in body]
    tile = max(loops, key=lambda body: len(re.findall(rf"\bvfmadd231ps\b.*%{register}", body)))
    assert len(re.findall(rf"\bvfmadd231ps\b.*%{register}", tile)) == 2 * machine.machine().rows
    loop = tile.split("jne")[0]
    assert not re.search(r"\(%rsp\)|\bmov\w*\s+%r\w+, %r\w+", loop), "pointers are kept in place, one for three rows"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="levels of x86-64")
def test_numba_emits_nothing_while_it_compiles():
    """What it emits would be thrown away. Numba's engine fails here as soon as it is asked for machine code."""
    code = """
from llvmlite.binding import ExecutionEngine
from fnnet.kernels import build
def emit(*arguments):
    raise AssertionError("machine code is emitted")
ExecutionEngine.finalize_object = ExecutionEngine.get_global_value_address = emit
print(len(build.build("operations", "float32")))
"""
    env = {**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000


SAMPLE = "in_float32 or any_number or left_out or (shuffled and not float64) or outside"


@pytest.mark.skipif("x86-64-v3" not in levels.levels(), reason="needs a newer x86-64")
def test_older_processors():
    """A sample of the campaign: on vectors of eight numbers, without the instruction that compresses one."""
    assert levels.passed(levels.start("x86-64-v3", SAMPLE, ["float32"])) >= 9


@pytest.mark.skipif(not levels.levels(), reason="levels of x86-64")
def test_a_failure_on_an_older_processor_is_seen():
    with pytest.raises(AssertionError, match=r"deselected|no tests ran"):
        levels.passed(levels.start("x86-64", "a name that no test has", []))


def test_numpy_s_gelu_computes_where_kernels_were_compiled():
    """Compiling leaves SciPy out of the process."""
    code = (
        "from fnnet.kernels import shortcuts; shortcuts.leave_work_out();"
        "import fnnet, numpy as np; print(fnnet.forward(fnnet.init((2, 2, 2)),"
        "np.ones((1, 2)), activation='gelu').logits.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "(1, 2)\n", done.stderr


TRAIN = ("train", "--epochs", "1", "--hidden", "5", "--activation", "tanh", "--out", "new.safetensors")
USED = {
    ("predict", "model.safetensors", str(ROOT / "docs" / "two.png")): {"infer"},
    ("evaluate", "model.safetensors"): {"infer"},
    (*TRAIN, "--plot", "curves.svg"): {"train"},
    (*TRAIN, "--clip-norm", "1"): {"train", "clip"},
    (*TRAIN, "--shards", "2"): {"train", "clip"},
    (*TRAIN, "--recipe", "accurate"): {"train", "augment"},
    (*TRAIN, "--optimizer", "lbfgs"): {"infer", "operations"},
}


@pytest.mark.parametrize("words", USED)
def test_a_command_loads_only_what_it_uses(words, run, mnist_folder, tmp_path, numba_kernels, monkeypatch):
    """Compiling two small functions more took a sixth of the first `train --jit`."""
    monkeypatch.setenv("FNNET_DATA", mnist_folder)
    fnnet.save_model(tmp_path / "model.safetensors", fnnet.Model(fnnet.init((784, 10))))
    monkeypatch.setattr(library, "_libraries", {})
    assert run(*words, "--jit").code == 0
    assert library._libraries["float32"].parts == set(signatures.closure(USED[words]))


def test_an_unknown_processor_is_refused(run_process, idx_folder):
    result = run_process("train", "--jit", "--data", idx_folder, FNNET_CPU="z80")
    result.failed(2, "FNNET_CPU", "x86-64-v3", "'z80'")


def test_f88_threads_are_those_of_the_process(monkeypatch):
    assert kernels.load(threads=None).threads >= 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 6}, raising=False)
    monkeypatch.setattr(limits, "_quota", float)
    assert limits.available_threads() == 3
    assert kernels.check_threads(None) == 3
    assert kernels.check_threads(5) == 5


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.cfs_quota_us": "200000\n", "cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu.max": "nonsense"}, 8),
        ({}, 8),
    ],
)
def test_f88_quotas_of_control_groups(files, granted, monkeypatch, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(limits, "_groups", lambda controller: [Path("/nowhere"), tmp_path])
    assert limits._quota(8) == granted
    assert limits.available_threads() >= 1


def test_groups_are_read_from_the_root_down(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "_read", lambda path: "0::/user.slice/x\n" if "cgroup" in path.name else "")
    assert tmp_path / "user.slice" / "x" in limits._groups("cpu", tmp_path)


@pytest.mark.parametrize("threads", [0, -1, 5000, 1.5, True, "2"])
def test_bad_numbers_of_threads(threads):
    with pytest.raises(UsageError, match="threads"):
        kernels.load("numba", threads=threads)


def test_arguments_of_the_wrong_kind_never_reach_compiled_code(numba_kernels):
    compiled = library.library("operations", "float32")
    good = np.zeros(4, np.float32)
    for bad in (np.zeros(4), np.zeros((2, 2), np.float32), np.zeros(8, np.float32)[::2]):
        with pytest.raises(TypeError, match="expected contiguous float32"):
            compiled.run("relu", z=bad, a=good)


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "5"}, 2),
        ({"OMP_NUM_THREADS": "99"}, 8),
        ({"OMP_NUM_THREADS": "0", "NUMBA_NUM_THREADS": "many"}, 8),
    ],
)
def test_threads_are_limited_by_the_variables_that_others_heed(variables, threads, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(limits, "_quota", float)
    for name in limits.THREAD_LIMITS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert kernels.check_threads(None) == threads


def test_a_level_that_the_processor_lacks_is_refused(monkeypatch):
    from llvmlite import binding

    monkeypatch.setenv("FNNET_CPU", "x86-64-v4")
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: dict.fromkeys(["sse2", "sse3"], True))
    machine.machine.cache_clear()
    with pytest.raises(UsageError, match=r"FNNET_CPU: not this processor; .*x86-64-v4, which needs cx16"):
        machine.machine()
    machine.machine.cache_clear()


@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_parts_are_shared_out_among_processes(count):
    """Each part once, and no process takes longer than the longest part or half as long again as the mean."""
    parts = list(signatures.PARTS)
    shares = compiler.shared_out(parts, count)
    assert sorted(part for share in shares for part in share) == sorted(parts)
    assert len(shares) == min(count, len(parts))
    times = [sum(signatures.SECONDS[part] for part in share) for share in shares]
    assert max(times) <= max(*signatures.SECONDS.values(), 1.5 * sum(times) / len(times))


def test_parts_need_what_their_functions_call():
    """The closure of NEEDS is closed: what a needed part needs is needed too."""
    for part, needed in signatures.NEEDS.items():
        assert part not in needed
        for other in needed:
            assert set(signatures.NEEDS[other]) <= set(needed), (part, other)
    assert signatures.NEEDS.keys() == signatures.PARTS.keys() == signatures.SECONDS.keys()


@pytest.mark.parametrize("flaw", ["a result", "a call of a part that is not needed"])
def test_the_compiler_refuses_parts_that_do_not_fit(flaw):
    """Either would fail, or worse, only when the parts are joined."""
    code = "from fnnet.kernels import signatures\n"
    if "result" in flaw:
        code += "row, place = signatures.UINT32S, signatures.INTEGER\n"
        code += "names = {'ids': signatures.INT64S, 'r': place, 'starts': row}\n"
        code += "f = signatures.Function('sparse', {**names, 'blocks': place, 'block': place, 'stop': place})\n"
        code += "signatures.PARTS = {'sparse': {'part': f}}\n"
        part, message = "sparse", "part returns UniTuple(int64 x 2), not nothing"
    else:
        code += "signatures.NEEDS = {**signatures.NEEDS, 'infer': ('products',)}\n"
        part, message = "infer", "the compiled code calls fnnet_native_compress"
    code += f"from fnnet.kernels import build\nbuild.build({part!r}, 'float32')\n"
    env = {**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode
    assert message in done.stderr


def test_another_numba_only_takes_longer():
    """What replaces parts of Numba fails here at the second part; a process then compiles the rest without it."""
    code = """
import sys
from fnnet.kernels import build, shortcuts
calls = []
def fail():
    calls.append(True)
    if len(calls) > 1:
        raise AttributeError("no such thing in this Numba")
    return shortcuts.leave_work_out()
build.leave_work_out = fail
sys.argv = ["build", "float32", "products", "operations"]
build.main()
"""
    env = {**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    first = int.from_bytes(done.stdout[:8], "little")
    second = int.from_bytes(done.stdout[8 + first : 16 + first], "little")
    assert first > 1000
    assert second > 1000
    assert len(done.stdout) == 16 + first + second


SHIPPED = """
import sys
from pathlib import Path
from fnnet.kernels import build, shipped
shipped.FOLDER = Path(sys.argv[1])
if "write" in sys.argv:
    shipped.write("products", "float32", build.numba_code("products", "float32").as_bitcode())
else:
    sys.modules["numba"] = None  # cannot be imported
    print(len(build.build("products", "float32")))
"""


def shipped_run(folder, *words):
    env = {**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SHIPPED, str(folder), *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_wheel_s_code_compiles_without_numba(tmp_path):
    """Code that is damaged is not read: Numba is then asked for."""
    assert "numba" in shipped_run(tmp_path).stderr, "nothing is shipped"
    done = shipped_run(tmp_path, "write")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    assert int(shipped_run(tmp_path).stdout) > 1000
    for damaged in (good[:-1], good[:40] + bytes([good[40] ^ 1]) + good[41:], b""):
        file.write_bytes(damaged)
        assert "numba" in shipped_run(tmp_path).stderr


def test_a_wheel_s_code_is_of_these_sources_and_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "code")
    shipped.write("products", "float32", b"code")
    assert shipped.read("products", "float32") == b"code"
    assert shipped.read("products", "float64") is None
    with monkeypatch.context() as changed:
        changed.setattr(shipped, "_sources", lambda: b"other")
        assert shipped.read("products", "float32") is None
    host = machine.machine()
    monkeypatch.setattr(shipped, "machine", lambda: host._replace(rows=3))
    assert shipped.read("products", "float32") is None
