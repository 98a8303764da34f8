"""Small files of formats whose libraries write other bytes in other versions: `python -m tests.tools.written`.

The files in tests/data/written were written by h5py 3.16.0, SciPy 1.17.1, pyarrow 26.0.1 and Pillow 13.0.0.
"""

import io
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "data" / "written"


def hdf5(options=None, **arrays):
    import h5py

    into = io.BytesIO()
    with h5py.File(into, "w", libver="v110") as file:
        for name, array in arrays.items():
            file.create_dataset(name.replace("__", "/"), data=array, track_times=False, **options or {})
    return into.getvalue()


def matlab(compress=False, **arrays):
    from scipy.io import savemat

    into = io.BytesIO()
    savemat(into, arrays, do_compression=compress)
    head = b"MATLAB 5.0 MAT-file, written by SciPy".ljust(116)  # without the time
    return head + into.getvalue()[116:]


def matlab_7(path, **arrays):
    """As MATLAB writes it: HDF5 with reversed axes behind 512 bytes."""
    import h5py

    classes = {"float64": "double", "float32": "single", "bool": "logical"}
    with h5py.File(path, "w", libver="v110", userblock_size=512) as file:
        for name, array in arrays.items():
            each = file.create_dataset(name, data=np.asarray(array).T, track_times=False)
            kind = np.asarray(array).dtype.name
            each.attrs["MATLAB_class"] = np.bytes_(classes.get(kind, kind))
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")
    return path


def parquet(table, **options):
    from pyarrow import parquet

    into = io.BytesIO()
    parquet.write_table(table, into, **options)
    return into.getvalue()


def arrow(table, stream=False, rows=None, options=None):
    import pyarrow as pa

    into = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(into, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return into.getvalue()


def tiff(image, **options):
    from PIL import Image

    into = io.BytesIO()
    Image.fromarray(image).save(into, "TIFF", **options)
    return into.getvalue()


def main():
    """Write the files."""
    import pyarrow as pa

    from tests.tools.samples import LABELS, X

    flat = X.reshape(2, -1)
    lists = pa.table({"image": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 6), "label": LABELS})
    table = pa.table({"label": LABELS, **{f"pixel{number}": flat[:, number] for number in range(6)}})
    FOLDER.mkdir(exist_ok=True)
    contents = {
        "a.h5": hdf5(x=X, y=LABELS),
        "packed.h5": hdf5({"compression": "gzip", "chunks": True}, train__x=X, train__y=LABELS),
        "floats.h5": hdf5(images=X / 255, labels=LABELS.astype(np.int16)),
        "a.mat": matlab(X=np.moveaxis(X, 0, -1), y=LABELS),
        "packed.mat": matlab(True, X=np.moveaxis(X, 0, -1), y=LABELS),
        "floats.mat": matlab(images=X / 255, labels=LABELS[:, None]),
        "a.parquet": parquet(
            table, compression="none", use_dictionary=False, write_statistics=False, store_schema=False
        ),
        "a.arrow": arrow(lists, stream=True),
        "a.feather": arrow(lists),
        "a.tiff": tiff(X[0]),
    }
    for name, content in contents.items():
        (FOLDER / name).write_bytes(content)
    matlab_7(FOLDER / "b.mat", X=np.moveaxis(X, 0, -1), y=LABELS)


if __name__ == "__main__":
    main()
