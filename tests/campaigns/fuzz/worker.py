"""One reader in one process under libFuzzer. Breaches are kept, one of each kind, and the fuzzing goes on."""

import contextlib
import hashlib
import importlib
import inspect
import os
import sys
from pathlib import Path

MEMORY_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PLAIN = ("numpy", "fnnet.errors", "fnnet.core.network")
DATA = ("fnnet.data", "fnnet.files.disk")
MODEL = (
    "fnnet.files.container",
    "fnnet.files.model",
    "fnnet.files.strictjson",
    "fnnet.files.disk",
    "fnnet.core.params",
)
MODULES = {
    "idx": DATA,
    "gzip": DATA,
    "csv": DATA,
    "arff": (*DATA, "fnnet.data.arff", "fnnet.data.arff_header", "fnnet.data.sparse"),
    "libsvm": (*DATA, "fnnet.data.libsvm", "fnnet.data.sparse"),
    "npz": (*DATA, "zipfile", "numpy.lib._format_impl"),
    "png": ("fnnet.data.png", "fnnet.files.disk", "PIL.PngImagePlugin"),
    "images": (*DATA, "fnnet.data.png", "zipfile"),
    "npy": (*DATA, "fnnet.data.npy", "fnnet.data.arrays", "numpy.lib._format_impl"),
    "pictures": (*DATA, "fnnet.data.pictures", "PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.PpmImagePlugin"),
    "tiff": (*DATA, "fnnet.data.tiff", "PIL.TiffImagePlugin"),
    "hdf5": (*DATA, "fnnet.data.hdf5", "fnnet.data.named", "fnnet.data.arrays"),
    "mat": (*DATA, "fnnet.data.mat", "fnnet.data.named", "fnnet.data.arrays"),
    "arrow": (*DATA, "fnnet.data.arrow", "fnnet.data.arrow_columns", "fnnet.data.csv_columns"),
    "model": MODEL,
    "checkpoint": ("fnnet.files.checkpoints", *MODEL),
    "log": ("fnnet.files.log", "fnnet.files.strictjson", "fnnet.files.disk"),
}
"""Reader -> modules whose branches guide the fuzzer: the reader and the parsers it calls, not the rest of NumPy."""


class Place:
    """The file in `folder` that is written over and over; `path` is what a reader takes, the file or the folder."""

    def __init__(self, folder, name):
        file = Path(folder, name)
        self.path = str(file if name == "a" else folder)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT)

    def put(self, content):
        """Make `content` the file."""
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    def close(self):
        """Leave the file as it is."""
        os.close(self._descriptor)


def instrument(atheris, names):
    """Have the modules `names` report their branches; all that they only use is imported plain, before."""
    for name in PLAIN:
        importlib.import_module(name)
    loaded = [name for name in names if name in sys.modules]
    with atheris.instrument_imports(include=[name for name in names if name not in loaded]):
        for name in names:
            importlib.import_module(name)
    for name in loaded:
        for function in _functions(sys.modules[name], name):
            with contextlib.suppress(ValueError, RuntimeError):
                atheris.instrument_func(function)


def _functions(owner, module):
    for member in vars(owner).values():
        if inspect.isclass(member) and member.__module__ == module:
            yield from _functions(member, module)
        elif inspect.isfunction(member) and member.__module__ == module:
            yield member


def main(reader, folder, breaches, flags):
    """Fuzz `reader` in `folder` with libFuzzer's `flags`; the first breach of each kind goes to `breaches`."""
    import atheris

    instrument(atheris, MODULES[reader])
    from tests.campaigns.fuzz.contract import BreachError, check, limited, read_here
    from tests.campaigns.fuzz.decoded import CONTAINED
    from tests.campaigns.fuzz.scout import Scout
    from tests.campaigns.fuzz.targets import TARGETS

    target = TARGETS[reader]
    place, seen = Place(folder, target.file), set()
    scout = Scout(lambda: target.read(place.path)) if reader in CONTAINED else None

    def hold(value):
        return target.hold(value, place.path)

    def keep(data, end):
        kept = Path(breaches, f"{reader}-{end}{hashlib.sha256(data).hexdigest()[:12]}")
        kept.write_bytes(data)
        return kept

    def one(data):
        try:
            place.put(target.build(data))
            if scout and not scout.survives():
                print(f"\nCRASH {keep(data, 'crash-')}", file=sys.stderr, flush=True)
                return
            check(target.read, place.path, hold, target.memory)
        except BreachError as breach:
            if breach.signature not in seen:
                seen.add(breach.signature)
                print(f"\nBREACH {keep(data, '')}: {breach}", file=sys.stderr, flush=True)

    read_here()
    with limited():
        atheris.Setup([sys.argv[0], *flags], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4:])
