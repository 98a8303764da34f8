"""The options that a training had in force, whatever kept them: a job, the config of a run, or a model.

Names are those of the command line's options with _ for -, and of settings of a session; values are JSON values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fnnet.names import STEPPING
from fnnet.training.plan import WITH_MOMENTUM, Plan

NOT_OPTIONS: Final = ("report_every", "cycles")
"""Fields of a plan that follow from others."""
DIGESTS: Final = {"class_weights": "weights", "start": "start"}
"""Options of which a config has but a digest -> its key there."""


def options_of_plan(plan: Mapping[str, Any], hidden: Sequence[int]) -> dict[str, Any]:
    """Return the options of a plan, None for one that has no effect beside the others.

    plan     as `config.plan_as_json` returns it, which leaves out what few plans set.
    hidden   sizes of the hidden layers.

    >>> found = options_of_plan({"epochs": 3, "batch_size": None, "learning_rate": 0.1}, [10])
    >>> found["batch_size"], found["optimizer"], found["momentum"], found["augment"]
    ('full', 'sgd', None, False)
    """
    values = {**Plan._field_defaults, **plan}
    found = {name: values[name] for name in Plan._fields if name in values and name not in NOT_OPTIONS}
    found["batch_size"] = "full" if found.get("batch_size") is None else found["batch_size"]
    optimizer = found["optimizer"]
    effects = {
        "momentum": optimizer in WITH_MOMENTUM,
        "learning_rate": optimizer in STEPPING,
        "schedule": optimizer in STEPPING,
        "activation": bool(hidden),
        "dropout": bool(hidden),
    }
    found |= {name: None for name, has_effect in effects.items() if not has_effect}
    return {"hidden": list(hidden), **found, "augment": found["deformation"] is not None}


def options_of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in the config of a run: see `config.config_of`. What a stranger's config lacks is left out."""
    plan, hidden, images = (config.get(name) for name in ("plan", "hidden", "images"))
    found: dict[str, Any] = {
        "recipe": config.get("recipe"),
        "seed": config.get("seed"),
        "init_seed": config.get("init_seed"),
        "members": config.get("members", 1),
        "jit": config.get("jit"),
    }
    if isinstance(plan, Mapping) and isinstance(hidden, (list, tuple)):
        found |= options_of_plan(plan, hidden)
    if isinstance(images, Mapping):
        found["dev"] = images.get("dev")
    return found | {name: _digest(config.get(key)) for name, key in DIGESTS.items()}


def _digest(value: Any) -> str | None:
    return f"SHA-256 {value[:12]}..." if isinstance(value, str) else None


def options_of_model(training: Mapping[str, Any], hidden: Sequence[int]) -> dict[str, Any]:
    """Return the options that a model says it was trained with: see `about.about_training`."""
    members = training.get("members")
    kept = ("recipe", "seed", "init_seed", "jit", "plan", "start")
    given = {name: training[name] for name in kept if name in training}
    images = {"images": {"dev": training["dev_images"]}} if "dev_images" in training else {}
    count = {"members": len(members)} if isinstance(members, (list, tuple)) and members else {}
    return options_of_config({**given, **images, **count, "hidden": list(hidden)}) if given else {}


def differing(each: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of options that are not the same in all of these, in the order of the first that has them.

    Those of which nothing is known are passed over.

    >>> differing([{"seed": 0, "epochs": 3}, {"seed": 1, "epochs": 3, "jit": True}, {}])
    ['seed', 'jit']
    """
    known = [options for options in each if options]
    names = dict.fromkeys(name for options in known for name in options)
    return [name for name in names if any(options.get(name) != known[0].get(name) for options in known)]
