"""Predictions on real clusters of two processes: python -m tests.tools.engines dask FOLDER; prints JSON.

FOLDER holds model.safetensors and images.npy, uint8 (n, 28, 28). Every way of asking an engine gives the classes of the
images in their order, None for a blank one.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import fnnet
from fnnet.apps import batches

PIXELS = [f"pixel{number}" for number in range(784)]


def table(images):
    """Keys and pixels, in the alphabetical order of their names."""
    frame = pd.DataFrame(images.reshape(len(images), -1), columns=PIXELS).astype("int16")
    return frame.assign(key=np.arange(len(images)))[sorted(["key", *PIXELS])]


def answers(keys, predicted):
    """The classes in the order of the keys."""
    found = dict(zip(map(int, keys), predicted, strict=True))
    return [None if pd.isna(found[key]) else str(found[key]) or None for key in sorted(found)]


def changed(folder, **settings):
    """A predictor whose file is another one now, which no process has loaded."""
    path = folder / "changed.safetensors"
    shutil.copy(folder / "model.safetensors", path)
    content = bytearray(path.read_bytes())
    fnnet.save_model(path, fnnet.Model(fnnet.init((784, 10), 77)))
    predict = fnnet.BatchPredictor(path, **settings)
    path.write_bytes(content)
    batches._models.clear()
    return predict


def refusal(call):
    """What an engine raises: whether it is one of fnnet's errors, and its last line."""
    try:
        call()
    except Exception as error:
        lines = [line for line in str(error).splitlines() if "fnnet" in line or "expected" in line]
        return [isinstance(error, fnnet.FnnetError), lines[-1] if lines else repr(error)]
    return [False, "no error"]


def on_dask(folder, images):
    """Arrays in chunks along both axes, frames with an empty partition, bags of arrays; two threads a process."""
    import dask.array as da
    import dask.bag as db
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    predict = fnnet.BatchPredictor(folder / "model.safetensors")
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        array = da.from_array(images, chunks=(7, 28, 14)).map_blocks(predict, dtype=predict.dtype, drop_axis=(1, 2))
        flat = da.from_array(images.reshape(len(images), -1), chunks=(7, 784))
        flat = flat.map_blocks(predict, dtype=predict.dtype, drop_axis=1)
        numbers = np.arange(len(images))
        frame = dd.from_pandas(table(images), npartitions=5)
        frame = frame[(frame.key < 20) | (frame.key >= 40)]  # one partition at least is empty
        frame = frame.map_partitions(predict, meta=predict(frame._meta))
        computed = frame.compute()
        bag = db.from_sequence(np.array_split(images, 6), npartitions=3)
        batched = np.concatenate(bag.map_partitions(predict).compute())
        single = np.concatenate(bag.map(predict).compute())
        loaded = client.run(lambda: [os.getpid(), [*batches._models]])
        return {
            "array": answers(numbers, array.compute()["predicted"]),
            "flat": answers(numbers, flat["predicted"].compute()),
            "frame": answers(computed.key, computed.predicted),
            "types": [list(map(str, each)) for each in (frame.dtypes, computed.dtypes)],
            "bag": answers(numbers, batched["predicted"]),
            "bag of single": answers(numbers, single["predicted"]),
            "processes": len({pid for pid, _ in loaded.values()}),
            "models": sorted({sha256 for _, models in loaded.values() for sha256 in models}),
            "refusal": refusal(lambda: client.submit(changed(folder), images).result()),
        }


def on_ray(folder, images):
    """Tasks and actors, batches of arrays and of pandas."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    path = str(folder / "model.safetensors")
    predict = fnnet.BatchPredictor(path)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"key": key, "image": image} for key, image in enumerate(images)]
    data = ray.data.from_items(rows, override_num_blocks=4)

    def asked(dataset):
        found = dataset.take_all()
        return answers([row["key"] for row in found], [row["predicted"] for row in found])

    made = {"fn_constructor_args": (path,), "fn_constructor_kwargs": {"sha256": predict.sha256}}
    cells = fnnet.BatchPredictor(path, images="image")
    wide = ray.data.from_pandas(table(images))
    try:
        return {
            "tasks": asked(data.map_batches(predict, batch_size=3)),
            "actors": asked(data.map_batches(fnnet.BatchPredictor, concurrency=2, batch_size=16, **made)),
            "pandas": asked(data.map_batches(cells, batch_format="pandas", batch_size=7)),
            "columns": asked(wide.map_batches(predict, batch_size=16)),
            "columns of pandas": asked(wide.map_batches(predict, batch_format="pandas")),
            "refusal": refusal(lambda: ray.get(ray.remote(lambda ask: ask(images)).remote(changed(folder)))),
        }
    finally:
        ray.shutdown()


def on_spark(folder, images):
    """Bytes, lists, lists in lists and columns; 16 rows a batch; a partition without rows."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = spark.config("spark.sql.execution.arrow.pyspark.enabled", "true")
    spark = spark.config("spark.sql.execution.arrow.maxRecordsPerBatch", "16").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    path = folder / "model.safetensors"
    cells, columns = fnnet.BatchPredictor(path, images="image"), fnnet.BatchPredictor(path)

    def frame(make):
        made = pd.DataFrame({"key": range(len(images)), "image": [make(image) for image in images]})
        return spark.createDataFrame(made).repartition(3)

    schema = cells.schema([("key", "bigint"), ("image", "binary")])

    def asked(data, predict):
        found = data.mapInPandas(predict, schema).collect()
        return answers([row.key for row in found], [row.predicted for row in found])

    wide = spark.createDataFrame(table(images))
    kept = frame(bytes).filter("key < 20 or key >= 40")
    return {
        "bytes": asked(frame(bytes), cells),
        "lists": asked(frame(lambda image: image.reshape(-1).tolist()), cells),
        "lists in lists": asked(frame(lambda image: image.tolist()), cells),
        "columns": asked(wide, columns),
        "some": asked(kept, cells),
        "none": asked(kept.filter("key < 0"), cells),
        "schemas": [schema, cells.schema(kept.dtypes), columns.schema(wide.select("key", *PIXELS).dtypes)],
        "refusal": refusal(lambda: asked(kept, changed(folder, images="image"))),
    }


if __name__ == "__main__":
    engine, given = sys.argv[1], Path(sys.argv[2])
    print(json.dumps(globals()[f"on_{engine}"](given, np.load(given / "images.npy"))))
