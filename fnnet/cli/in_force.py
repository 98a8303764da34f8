"""The options of `fnnet train` that are in force: those given, and for all others what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fnnet.names import DATA_SETS

if TYPE_CHECKING:
    from fnnet.training.session import Job

AS_GIVEN: Final = (
    "data_dir", "first_label", "first_index", "label_column", "image", "table", "dev_data", "test_data",
    "skip_damaged", "class_weights", "corrections", "start", "run_dir", "resume", "plot",
)  # fmt: skip
"""Options whose value is what was given; None, False or 0 if nothing was."""


def options_in_force(job: Job, options: Mapping[str, Any], threads: int, out: list[str]) -> dict[str, Any]:
    """Return every option of `train` with its value, but those of the output; names have _ for -.

    threads   that may compute at once.
    out       the files of the models.
    """
    from fnnet.core.state import thawed
    from fnnet.data.arguments import ink_of
    from fnnet.data.stream import count_of
    from fnnet.training.config import plan_as_json
    from fnnet.training.options import options_of_plan

    dataset, known, choice = job.dataset, job.dataset.preprocessing, options["data_choice"]
    shape = list(dataset.image_shape)
    return {
        "data": dataset.name if choice in DATA_SETS else choice,
        "classes": len(dataset.classes),
        "class_names": list(dataset.classes),
        "image_size": shape,
        "size": shape if known.resize else None,
        "pixel_max": known.pixel_max,
        "ink": ink_of(known),
        "transpose": known.transpose,
        **{name: options[name] for name in AS_GIVEN},
        "first_label": options["first_label"] or 0,
        "recipe": job.recipe,
        **thawed(options_of_plan(plan_as_json(job.plan), job.sizes[1:-1])),
        "dev": 0 if options["dev_data"] else count_of(job.dev),
        "members": job.members,
        "jit": options["jit"],
        "threads": threads,
        "seed": None if options["seeds"] else job.seed,
        "seeds": list(options["seeds"] or ()) or None,
        "init_seeds": list(options["init_seeds"] or ()) or None,
        "out": out[0] if len(out) == 1 else out,
    }
