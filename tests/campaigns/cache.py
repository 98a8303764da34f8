"""Two hundred ways to find the cache of compiled kernels damaged: no failure, no wrong result. `python -m` this.

A case damages a warm cache and starts anew: a table of kernels loads and computes, only what was damaged is compiled,
and the next start compiles nothing, unless the case is one in which nothing can be kept, which is then said once.
Compiling takes no time: the compiler is a double that hands back what the real one made, and what LLVM has loaded once
it need not load again, for the very same bytes.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import fnnet
from fnnet import kernels
from fnnet.core.state import Examples
from fnnet.kernels import cache, library
from tests.campaigns.crash import spread

ROOT = Path(__file__).resolve().parents[2]
KEPT, NOT_KEPT = True, False
CASES, RACES, RACERS = 200, 1, 8
PLACE = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where it takes no time to have a file on the disk."""
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def good_code():
    """The code of every part, compiled now if it is not in the cache."""
    kernels.load("numba", parts=tuple(library.PARTS))
    return {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}


class Compiler:
    """A double of the compiler: hands back good code and counts what it was asked for."""

    def __init__(self, codes):
        self.codes, self.asked = codes, []

    def __call__(self, parts, dtype, on_part):
        self.asked += parts
        return {part: self.codes[part] for part in parts}


def cut(at):
    return lambda file: file.write_bytes(file.read_bytes()[:at])


def flip(at, bit):
    def damage(file):
        content = bytearray(file.read_bytes())
        content[at] ^= 1 << bit
        file.write_bytes(content)

    return damage


def fill(content):
    return lambda file: file.write_bytes(content)


def become(make):
    def damage(file):
        file.unlink()
        make(file)

    return damage


def occupied(file):
    file.mkdir()
    (file / "something").write_bytes(b"x")


def file_damages(size, rng):
    """(name, damage of one file, whether it can be replaced)."""
    for at in (0, 1, 21, 22, 23, 53, 54, 55, 100, 4096, size // 2, size - 4096, size - 1):
        yield f"cut at {at}", cut(at), KEPT
    for at in (*range(0, 54, 9), *(rng.randrange(54, size) for _ in range(12)), size - 1):
        yield f"bit of byte {at}", flip(at, rng.randrange(8)), KEPT
    foreign = {"pickle": b"\x80\x04K\x01.", "elf": b"\x7fELF" + bytes(200), "text": b"x" * size, "zeros": bytes(size)}
    for name, content in foreign.items():
        yield name, fill(content), KEPT
    yield "our magic alone", fill(cache.MAGIC), KEPT
    yield "an old magic", fill(b"fnnet compiled code 0\n" + bytes(4000)), KEPT
    yield "longer", lambda file: file.write_bytes(file.read_bytes() + b"\0"), KEPT
    yield "twice", lambda file: file.write_bytes(file.read_bytes() * 2), KEPT
    yield "gone", lambda file: file.unlink(), KEPT
    yield "a folder", become(lambda file: file.mkdir()), KEPT
    yield "a folder with something in it", become(occupied), NOT_KEPT
    yield "a link to nothing", become(lambda file: file.symlink_to("nowhere")), KEPT
    yield "a link to itself", become(lambda file: file.symlink_to(file.name)), KEPT
    yield (
        "a link to good code",
        lambda file: (file.rename(file.with_suffix(".x")), file.symlink_to(file.with_suffix(".x").name)),
        KEPT,
    )
    yield "a FIFO", become(os.mkfifo), KEPT
    for mode in (0o666, 0o777, 0o620, 0o602):
        yield f"mode {mode:o}", lambda file, mode=mode: file.chmod(mode), KEPT
    if AS_ROOT:
        yield "another's", lambda file: os.chown(file, 12345, -1), KEPT


def folder_damages():
    """The same of the whole folder."""
    for mode in (0o777, 0o770, 0o1777, 0o707):
        yield f"folder of mode {mode:o}", lambda folder, mode=mode: folder.chmod(mode), NOT_KEPT
    if AS_ROOT:
        yield "another's folder", lambda folder: os.chown(folder, 12345, -1), NOT_KEPT

    def replaced(make):
        def damage(folder):
            shutil.rmtree(folder)
            make(folder)

        return damage

    yield "no folder", shutil.rmtree, KEPT
    yield "a file for a folder", replaced(lambda folder: folder.write_bytes(b"")), NOT_KEPT
    yield "a FIFO for a folder", replaced(os.mkfifo), NOT_KEPT
    yield "a link that goes nowhere", replaced(lambda folder: folder.symlink_to(folder.with_name("away"))), KEPT
    yield "a link in a circle", replaced(lambda folder: folder.symlink_to(folder.name)), NOT_KEPT
    yield "everything emptied", lambda folder: [file.write_bytes(b"") for file in folder.iterdir()], KEPT
    yield "names exchanged", exchanged, KEPT


def exchanged(folder):
    files = sorted(folder.iterdir())
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents[1:] + contents[:1], strict=True):
        file.write_bytes(content)


def cases(codes, rng):
    """(name, damage of a folder, parts that are compiled again or None for any, whether it can be kept)."""
    parts, of_files = sorted(codes), []
    for part, other in zip(parts, parts[1:] + parts[:1], strict=True):
        of_files.append((f"{part}: {other}'s file", splice(part, other), {part}, KEPT))
        size = len(codes[part]) + len(cache.MAGIC) + 32
        for name, damage, kept in file_damages(size, rng):
            of_files.append((f"{part}: {name}", damage_of(part, damage), {part}, kept))
    of_folders = [(name, damage, None, kept) for name, damage, kept in folder_damages()]
    return of_folders + rng.sample(of_files, CASES - RACES - len(of_folders))


def splice(part, other):
    """Another part's file in its place."""
    return lambda folder: shutil.copyfile(of_part(folder, other), of_part(folder, part))


def of_part(folder, part):
    return folder / cache.place(part, "float32").name


def damage_of(part, damage):
    return lambda folder: damage(of_part(folder, part))


def loaded_once(codes):
    """A library that loads good code only once, which takes most of the time, and never code that is not good."""
    real = library.Library("float32")
    real.add(codes)

    class Loaded:
        def __init__(self, dtype):
            self.parts, self.bind, self.run = frozenset(), real.bind, real.run

        def add(self, found):
            assert all(code == codes[part] for part, code in found.items()), "damaged code is loaded"
            self.parts |= found.keys()

    return Loaded


def answers(table):
    """What a user would see: scores, a step of training, a deformation and an operation, as bytes."""
    params = fnnet.init((30, 9, 4), 1)
    x = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    labels = np.arange(20) % 4
    state, losses, _ = fnnet.train_block(
        fnnet.TrainState(params, (), 0, 1), Examples(x, labels), np.arange(20), 5, 0.1, kernels=table
    )
    deformed = fnnet.deform(x, (5, 6), fnnet.Deformation(rotation=20.0), seed=0, epoch=1, kernels=table)
    arrays = [fnnet.scores(params, x, kernels=table), *state.params.layers[0], deformed, np.float64(losses)]
    return b"".join(np.asarray(array).tobytes() for array in arrays)


def start(compiler):
    """As a new process finds it: (answers, what was compiled, what was said)."""
    library._libraries.clear()
    compiler.asked.clear()
    said = []
    table = kernels.load("numba", threads=1, parts=tuple(library.PARTS), notify=said.append)
    assert table.name == "numba", said
    return answers(table), set(compiler.asked), said


def check(damage, again, kept, compiler, wanted):
    """Whether the results are right; AssertionError or whatever comes where a start fails."""
    folder = Path(os.environ["FNNET_CACHE"])
    for part, code in compiler.codes.items():
        cache.write(cache.place(part, "float32"), code)
    damage(folder)
    found, compiled, said = start(compiler)
    assert again is None or compiled == again, compiled
    assert len(said) == (not kept), said
    then, compiled, said = start(compiler)
    assert bool(compiled) is (not kept), compiled
    assert len(said) == (not kept), said
    return found == then == wanted


RACER = """
import os, random, sys
from tests.campaigns import cache as this
codes = {part: open(os.path.join(sys.argv[1], part), 'rb').read() for part in this.library.PARTS}
this.library._compile = compiler = this.Compiler(codes)
this.library.Library = this.loaded_once(codes)
rng, wanted = random.Random(int(sys.argv[2])), open(os.path.join(sys.argv[1], 'wanted'), 'rb').read()
for _ in range(20):
    found, _, said = this.start(compiler)
    assert found == wanted, 'wrong'
    this.spoil(rng)
print('right')
"""


def spoil(rng):
    """What another process may do to the files at any moment."""
    folder = Path(os.environ["FNNET_CACHE"])
    for file in folder.glob("*.o"):
        with contextlib.suppress(OSError):
            content = file.read_bytes()
            damaged = rng.choice([None, content, content[: rng.randrange(9999)], content + b"x", content[:99] + b"x"])
            file.unlink() if damaged is None else file.write_bytes(damaged)


def race(codes, wanted, seed, place):
    """Eight processes that write, read, delete and damage: how many gave no answer, how many a wrong one."""
    for name, content in {**codes, "wanted": wanted}.items():
        (place / name).write_bytes(content)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", RACER, str(place)]
    running = [
        subprocess.Popen([*command, str(seed + number)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(RACERS)
    ]
    ends = [process.communicate() for process in running]
    for out, err in ends:
        if out != b"right\n":
            print(err.decode()[-500:], file=sys.stderr)
    failures = sum(out != b"right\n" for out, _ in ends)
    wrong = sum(b"AssertionError: wrong" in err for _, err in ends)
    return failures - wrong, wrong


def run(most=CASES, seed=0):
    """(cases, failures, wrong results) of all of them or `most`, evenly spread."""
    codes = good_code()
    before = dict(library._libraries), library._compile, library.Library, os.environ["FNNET_CACHE"]
    compiler, rng, failures, wrong, count = Compiler(codes), random.Random(seed), 0, 0, 0
    wanted = answers(kernels.load("numba", threads=1))
    try:
        library._compile, library.Library = compiler, loaded_once(codes)
        for name, damage, again, kept in spread(cases(codes, rng), most - RACES):
            with tempfile.TemporaryDirectory(prefix="fnnet-damaged-", dir=PLACE) as place:
                os.environ["FNNET_CACHE"] = str(Path(place, "kernels"))
                count += 1
                try:
                    right = check(damage, again, kept, compiler, wanted)
                except Exception as error:
                    failures += 1
                    print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                    continue
                if not right:
                    wrong += 1
                    print(f"{name}: a wrong result", file=sys.stderr)
        for number in range(RACES):
            with tempfile.TemporaryDirectory(prefix="fnnet-damaged-", dir=PLACE) as place:
                os.environ["FNNET_CACHE"] = str(Path(place, "kernels"))
                count += 1
                failed, mistaken = race(codes, wanted, seed + 100 * number, Path(place))
                failures, wrong = failures + bool(failed), wrong + bool(mistaken)
    finally:
        loaded, library._compile, library.Library, os.environ["FNNET_CACHE"] = before
        library._libraries.clear()
        library._libraries.update(loaded)
    return count, failures, wrong


def main(most=CASES):
    with contextlib.ExitStack() as stack:
        if "FNNET_CACHE" not in os.environ:
            os.environ["FNNET_CACHE"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="fnnet-kernels-"))
        count, failures, wrong = run(most)
    print(f"{count} cases: {failures} failures, {wrong} wrong results")
    return bool(failures or wrong)


if __name__ == "__main__":
    sys.exit(main())
