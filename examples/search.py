"""A search on the processes of joblib, of Dask or of Ray: python examples/search.py [loky|dask|ray].

Each worker trains with one thread, and the weights have the same bits wherever they are trained.
"""

import sys
from contextlib import ExitStack
from itertools import product

import joblib

import fnnet
from fnnet.core.params import weights_sha256
from fnnet.data import load
from fnnet.training import session

RATES, WIDTHS, EPOCHS, WORKERS = (0.03, 0.1, 0.3), (10, 30), 20, 2


def train(job: session.Job) -> tuple[fnnet.Model, float]:
    """Return the model of a job, and its accuracy on the images for validation."""
    model, reports = session.train(job, kernels=fnnet.load_kernels("numba", threads=1))
    return model, reports[-1].dev_accuracy or 0.0


def start(backend: str, stack: ExitStack) -> None:
    """Start two workers that joblib knows by the name `backend`, until the stack is closed."""
    if backend == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None)
        stack.enter_context(Client(stack.enter_context(cluster)))
    elif backend == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=WORKERS, include_dashboard=False)
        stack.callback(ray.shutdown)
        register_ray()


def main(backend: str = "loky") -> None:
    """Train a network for each rate and width; print the accuracies, and how the best one does on the test images."""
    digits, grid = load("digits"), [*product(RATES, WIDTHS)]
    settings = [{"learning_rate": rate, "hidden": (width,), "epochs": EPOCHS, "dev": 300} for rate, width in grid]
    jobs = [session.prepare(digits, "classic", each, seed=1) for each in settings]
    with ExitStack() as stack:
        start(backend, stack)
        stack.enter_context(joblib.parallel_config(backend, n_jobs=WORKERS))
        found = joblib.Parallel()(joblib.delayed(train)(job) for job in jobs)
    for (rate, width), (model, accuracy) in zip(grid, found, strict=True):
        print(f"rate {rate}, {width} units: {accuracy:.2%}, weights {weights_sha256(model.params)[:12]}")
    best, _ = max(found, key=lambda each: each[1])
    print(f"test accuracy: {best.training['test_accuracy']:.2%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
