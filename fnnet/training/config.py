"""The config of a run: all that decides about the bits of its result, as JSON values."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fnnet.core.state import Model, described
from fnnet.core.table import Kernels
from fnnet.data.stream import Stream, count_of, fingerprint_of
from fnnet.training.plan import Plan
from fnnet.training.starting import digest_of_start

if TYPE_CHECKING:
    from fnnet.training.session import Job


class Early(NamedTuple):
    """What of a `Job` is known before the data is read; fields as there."""

    recipe: str
    initialiser: str
    hidden: tuple[int, ...]
    plan: Plan
    seed: int
    start: Model | None
    init_seed: int | None = None
    members: int = 1


class Known(NamedTuple):
    """What is known of the data before it is read, None for what is not.

    shape     (height, width) of the images.
    classes   their names.
    number    how many classes there are.
    dev       how many images for validation.
    """

    shape: tuple[int, int] | None = None
    classes: tuple[str, ...] | None = None
    number: int | None = None
    dev: int | None = None


def config_of(job: Job, kernels: Kernels) -> dict[str, Any]:
    """Return all that decides about the bits of the result of a job, causes before their effects.

    A recipe's epochs, for one, follow from its batches and the images.
    """
    images = {"train": job.images, "dev": count_of(job.dev)}
    data = {
        **({"left_out": [*job.train.left_out]} if isinstance(job.train, Stream) and job.train.left_out else {}),
        "train": fingerprint_of(job.train),
        "dev": job.dev and fingerprint_of(job.dev),
        "shape": list(job.dataset.image_shape),
        "classes": list(job.dataset.classes),
        # Other files may become the same bytes, but a model reads files as it says.
        "preprocessing": described(job.dataset.preprocessing),
    }
    return _config(
        job,
        kernels.compiled,
        hidden=list(job.sizes[1:-1]),
        plan=plan_config(job.plan),
        images={"pixels": job.sizes[0], "classes": job.sizes[-1], **images},
        data=data,
        weights=None if job.weights is None else hashlib.sha256(job.weights.tobytes()).hexdigest(),
    )


def config_before_data(
    job: Early, compiled: bool, settings: Mapping[str, Any], known: Known, weighted: bool
) -> tuple[dict[str, Any], frozenset[str]]:
    """Return what is known of a config before the data is read, and the keys of what is not.

    settings   given in place of the recipe's: some of these follow from the number of images.
    weighted   whether classes have weights, which may follow from the labels.
    """
    shape, classes, number, dev = known
    number = len(classes) if classes else number
    images = {"pixels": shape and math.prod(shape), "classes": number, "train": None, "dev": dev}
    data = {"train": None, "dev": None, "shape": shape and list(shape), "classes": classes and list(classes)}
    data["preprocessing"] = None
    config = _config(job, compiled, list(job.hidden), plan_config(job.plan), images, data, None)
    parts: dict[str, dict[str, Any]] = {"images": images, "data": data}
    unknown = {f"{part}.{key}" for part, values in parts.items() for key, value in values.items() if value is None}
    unknown |= {f"plan.{name}" for name in ("epochs", "report_every", "window") if name not in settings}
    return config, frozenset(unknown | ({"weights"} if weighted else set()))


def _config(
    job: Job | Early,
    compiled: bool,
    hidden: list[int],
    plan: dict[str, Any],
    images: dict[str, Any],
    data: dict[str, Any],
    weights: str | None,
) -> dict[str, Any]:
    return {
        "recipe": job.recipe,
        "seed": job.seed,
        **({} if job.init_seed is None else {"init_seed": job.init_seed}),
        **({} if job.members == 1 else {"members": job.members}),
        # The results of the two kinds of kernels differ in the last bits.
        "jit": compiled,
        "initialiser": job.initialiser,
        **({"start": digest_of_start(job.start)} if job.start else {}),
        "images": images,
        "hidden": hidden,
        "plan": plan,
        "data": data,
        "weights": weights,
    }


def plan_config(plan: Plan) -> dict[str, Any]:
    """Return the part of a config that is the plan."""
    return dict(sorted(plan_as_json(plan).items(), key=lambda item: item[0] == "epochs"))


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values; those of its fields that few plans set only if it does."""
    values = plan._asdict()
    if plan.deformation:
        values["deformation"] = _unusual(plan.deformation._asdict(), {"fade": 0})
    return _unusual(values, {"cycles": (), "shards": 1, "window": None, "message_bits": 32, "local_steps": 1})


def _unusual(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}
