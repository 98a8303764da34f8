"""What a model says of its training: `Model.training`, as JSON values."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fnnet.core import rng
from fnnet.core.metrics import Evaluation
from fnnet.core.params import weights_sha256
from fnnet.core.state import networks_of
from fnnet.core.table import Kernels
from fnnet.data.origin import as_json
from fnnet.data.stream import count_of
from fnnet.training.config import plan_as_json

if TYPE_CHECKING:
    from fnnet.training.session import Job


def about_training(
    job: Job, made: int, test: Evaluation | None, dead: Sequence[tuple[int, int]], kernels: Kernels
) -> dict[str, Any]:
    """Return what the model of a job says of its training.

    made   steps that trained it.
    dead   hidden units that are never active, and all, of each layer.
    """
    data = as_json(job.dataset.origin, job.dataset.numbered)
    return {
        "recipe": job.recipe,
        "dataset": job.dataset.name,
        **({"data": data} if data else {}),
        "seed": job.seed,
        **({} if job.init_seed is None else {"init_seed": job.init_seed}),
        "scheme": rng.SCHEME,
        "initialiser": job.initialiser,
        "jit": kernels.compiled,
        "plan": plan_as_json(job.plan),
        "images": job.images,
        "dev_images": count_of(job.dev),
        "steps": made,
        "test_loss": test.loss if test else None,
        "test_accuracy": test.accuracy if test else None,
        "test": _about_test(job),
        "dead_units": [count / units for count, units in dead],
        **({"start": weights_sha256(*networks_of(job.start.params))} if job.start else {}),
        "versions": versions(kernels),
    }


def _about_test(job: Job) -> dict[str, Any] | None:
    """Return what images a job is tested on, by their digest, so that they are known again."""
    origin, test = job.dataset.origin, job.dataset.test
    if test is None:
        return None
    more = {"path": origin.test} if origin.test else {"held_out": True} if origin.held_out else {}
    return {"images": count_of(test), "sha256": job.test_sha256, **more}


def versions(kernels: Kernels) -> dict[str, str]:
    """Return the versions of what has computed: the bits of results are promised for the same ones alone."""
    from fnnet import __version__

    found = {"fnnet": __version__, "python": ".".join(map(str, sys.version_info[:3])), "numpy": np.__version__}
    if kernels.compiled:
        from fnnet.kernels.cache import version

        with contextlib.suppress(ImportError):  # compiled code that was shipped
            text = version("numba")
            named = re.search(r'"version": *"([^"]+)"', text)  # in a file of Python
            found["numba"] = named[1] if named else text
    return found
