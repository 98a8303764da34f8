"""The config of a run: all that decides about the bits of its result, as JSON values."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fnnet.core.state import Examples
from fnnet.core.table import Kernels
from fnnet.training.plan import Plan
from fnnet.training.starting import digest_of_start

if TYPE_CHECKING:
    from fnnet.training.session import Job


def config_of(job: Job, kernels: Kernels) -> dict[str, Any]:
    """Return all that decides about the bits of the result of a job, causes before their effects.

    A recipe's epochs, for one, follow from its batches and the images.
    """
    images = {"train": len(job.train.x), "dev": len(job.dev.x) if job.dev else 0}
    return {
        "recipe": job.recipe,
        "seed": job.seed,
        # The results of the two kinds of kernels differ in the last bits.
        "jit": kernels.compiled,
        "initialiser": job.initialiser,
        **({"start": digest_of_start(job.start)} if job.start else {}),
        "images": {"pixels": job.sizes[0], "classes": job.sizes[-1], **images},
        "hidden": list(job.sizes[1:-1]),
        "plan": plan_config(job.plan),
        "data": {
            "train": _fingerprint(job.train),
            "dev": job.dev and _fingerprint(job.dev),
            "shape": list(job.dataset.image_shape),
            "classes": list(job.dataset.classes),
        },
        "weights": None if job.weights is None else hashlib.sha256(job.weights.tobytes()).hexdigest(),
    }


def plan_config(plan: Plan) -> dict[str, Any]:
    """Return the part of a config that is the plan."""
    return dict(sorted(plan_as_json(plan).items(), key=lambda item: item[0] == "epochs"))


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values; its `cycles` only if there are any, as few runs have them."""
    values = plan._asdict() | {"deformation": plan.deformation and plan.deformation._asdict()}
    return {name: value for name, value in values.items() if name != "cycles" or value}


def _fingerprint(examples: Examples) -> str:
    """Return a digest of images and labels, in their order."""
    digest = hashlib.sha256(np.ascontiguousarray(examples.x).data)
    digest.update(np.ascontiguousarray(examples.labels, dtype="<i8").data)
    return digest.hexdigest()
