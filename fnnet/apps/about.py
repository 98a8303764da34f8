"""What there is to know of a model or of a run, from its files: sizes, data, options, figures, hashes, state.

Files may be damaged, of another version or a stranger's: what a model says of its training is taken as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from fnnet.core.params import count_parameters, layer_sizes, weights_sha256
from fnnet.core.state import Model, Preprocessing, as_scaling, described, networks_of, thawed, unfit
from fnnet.errors import FnnetError
from fnnet.files import log, runs
from fnnet.files.checkpoints import Checkpoint
from fnnet.files.container import form_of
from fnnet.files.disk import read_bytes
from fnnet.files.lock import holder
from fnnet.files.model import model_in
from fnnet.files.owner import Owner
from fnnet.files.run_folder import members_in
from fnnet.names import MODEL_FILE
from fnnet.training.options import options_of_config, options_of_model

TRAINING, FINISHED, STOPPED, BEGUN, DAMAGED, UNKNOWN = "training", "finished", "stopped", "begun", "damaged", "unknown"
"""States of a run. The last is that of one whose lock another machine left, which may train on."""
KILLED: Final = "killed"
"""The reason of a run that has stopped and did not log why."""
OF_TRAINING: Final = (
    "dataset", "data", "test", "recipe", "seed", "init_seed", "scheme", "initialiser", "jit", "start", "steps",
    "test_loss", "test_accuracy", "dev_loss", "dev_accuracy", "dead_units", "members", "versions",
)  # fmt: skip
"""What a model says of its training that is shown as it is; the rest is under `images` and `options`."""
KEYS: Final = (
    "model", "run", "sizes", "parameters", "activation", "dtype", "classes", "image_shape", "preprocessing", "images",
    "options", *OF_TRAINING, "bytes", "format_version", "weights_sha256", "file_sha256",
)  # fmt: skip
"""The keys of a document, None for what is not known."""


def about_model(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what is known of the model in a file, under `KEYS`.

    sizes        of the layers, of a committee those of its first member.
    parameters   of all members.
    Raises   as `load_model`.
    """
    content = read_bytes(file)
    model = model_in(content, file)
    networks, training = networks_of(model.params), thawed(model.training)
    sizes = layer_sizes(networks[0])
    found = {
        "model": os.fsdecode(file),
        "sizes": list(sizes),
        "parameters": sum(count_parameters(layer_sizes(each)) for each in networks),
        "activation": model.activation,
        "dtype": str(networks[0].layers[0].W.dtype),
        "classes": list(model.classes),
        "image_shape": list(model.image_shape),
        "preprocessing": described(model.preprocessing),
        "images": _images_of(training),
        "options": options_of_model(training, _hidden(model, training)),
        **{name: training.get(name) for name in OF_TRAINING},
        "bytes": len(content),
        "format_version": form_of(content)[1],
        "weights_sha256": weights_sha256(*networks),
        "file_sha256": hashlib.sha256(content).hexdigest(),
    }
    return dict.fromkeys(KEYS) | found


def _hidden(model: Model, training: Mapping[str, Any]) -> Sequence[int]:
    """Return the hidden layers of each network that was trained: a committee may be joined into one."""
    networks, members = networks_of(model.params), training.get("members")
    hidden = layer_sizes(networks[0])[1:-1]
    joined = len(members) if len(networks) == 1 and isinstance(members, list) and members else 1
    return [size // joined for size in hidden]


def _images_of(training: Mapping[str, Any]) -> dict[str, Any]:
    test = training.get("test")
    count = test.get("images") if isinstance(test, Mapping) else None
    return {"train": training.get("images"), "dev": training.get("dev_images"), "test": count}


class _Seen(NamedTuple):
    """What the files of one network's run show.

    problems   the errors of files that are damaged.
    """

    events: Sequence[Mapping[str, Any]]
    checkpoint: Checkpoint | None
    held: tuple[Owner, bool | None] | None
    problems: list[FnnetError]


def about_run(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], list[FnnetError]]:
    """Return what is known of the run in a folder, under `KEYS`, and the errors of its damaged files.

    What its model does not say, as before its end, is found in its checkpoint and log. Under `run` is:

    folder, state, step   the state is finished, stopped, training, begun, damaged, or unknown.
    reason                why it has stopped.
    started, version      when it was begun, and by which fnnet.
    holder                the process that trains, or left its lock.
    epochs                its reports so far.
    members               of a committee: what is here for one network, of each.
    problems              the damaged files, one line each.

    Nothing is changed, and the run may go on meanwhile.
    """
    place = os.fsdecode(folder)
    members = members_in(place)
    seen = [_look(each) for each in members or [Path(place)]]
    problems = [problem for each in seen for problem in each.problems]
    document: dict[str, Any] = dict.fromkeys(KEYS)
    file = os.path.join(place, MODEL_FILE)
    if os.path.lexists(file):
        try:
            document |= about_model(file)
        except FnnetError as error:
            problems.append(error)
    first = next((each for each in seen if _config(each)), seen[0])
    document |= {name: value for name, value in _of_config(first).items() if document[name] is None}
    if not members:
        about = {"folder": place, **_about_network(seen[0])}
    else:
        each = [{"folder": str(path), **_about_network(own)} for path, own in zip(members, seen, strict=True)]
        about = {"folder": place, **_about_committee(each, _config(first).get("members"), document["model"])}
    if problems and about["state"] != TRAINING:
        about["state"] = DAMAGED
    return document | {"run": about | {"problems": [str(problem) for problem in problems]}}, problems


def _look(folder: Path) -> _Seen:
    problems: list[FnnetError] = []
    events: Sequence[Mapping[str, Any]] = ()
    checkpoint = None
    held = holder(folder)
    if (folder / log.LOG).exists():
        try:
            events = log.read_log(folder)
        except FnnetError as error:
            problems.append(error)
            with contextlib.suppress(FnnetError):
                events = log.whole_events(folder)
    try:
        checkpoint = runs.newest(folder)
    except FnnetError as error:
        if not any(error.where == known.where for known in problems):  # a log that is not fnnet's
            problems.append(error)
    return _Seen(events, checkpoint, held, problems)


def _config(seen: _Seen) -> Mapping[str, Any]:
    """Return the config of a run: that of its checkpoint, else that which it was begun with."""
    if seen.checkpoint and seen.checkpoint.config:
        return seen.checkpoint.config
    config = _start(seen).get("config")
    return config if isinstance(config, Mapping) else {}


def _start(seen: _Seen) -> Mapping[str, Any]:
    return next((event for event in reversed(seen.events) if event["event"] == "start"), {})


def _of_config(seen: _Seen) -> dict[str, Any]:
    """Return what a run without a model says, as far as it is known."""
    config, start = _config(seen), _start(seen)
    parts = (config.get(name) for name in ("images", "data", "plan"))
    images, data, plan = (part if isinstance(part, Mapping) else {} for part in parts)
    sizes = list(layer_sizes(seen.checkpoint.state.params)) if seen.checkpoint else _sizes(start.get("sizes"))
    found = {
        "sizes": sizes or None,
        "parameters": count_parameters(sizes) if sizes else None,
        "activation": plan.get("activation"),
        "classes": data.get("classes") if isinstance(data.get("classes"), (list, tuple)) else None,
        "image_shape": data.get("shape") if isinstance(data.get("shape"), (list, tuple)) else None,
        "preprocessing": _preprocessing(data.get("preprocessing")),
        "images": {"train": images.get("train"), "dev": images.get("dev"), "test": None} if images else None,
        "options": options_of_config(config) if config else None,
        "dataset": start.get("dataset"),
        "data": start.get("data"),
        **{name: config.get(name) for name in ("recipe", "seed", "init_seed", "initialiser", "jit", "start")},
        "versions": {"fnnet": start["version"]} if "version" in start else None,
    }
    return {name: thawed(value) for name, value in found.items()}


def _sizes(value: Any) -> list[int]:
    """Return the sizes of layers that a log gives; none if they are not such sizes."""
    fits = isinstance(value, list) and len(value) > 1 and all(type(size) is int and size > 0 for size in value)
    return value if fits else []


def _preprocessing(value: Any) -> Any:
    """Return a preprocessing as JSON values if it is one; None if it is not."""
    fits = isinstance(value, Mapping) and {*value} <= {*Preprocessing._fields}
    known = Preprocessing(**{**value, "scaling": as_scaling(value.get("scaling"))}) if fits else None
    return described(known) if known and unfit(known) is None else None


def _about_network(seen: _Seen) -> dict[str, Any]:
    state, reason = _state(seen)
    start, (owner, alive) = _start(seen), seen.held or (None, None)
    reports = seen.checkpoint.history if seen.checkpoint else ()
    return {
        "state": state,
        "step": seen.checkpoint.state.step if seen.checkpoint else None,
        "reason": reason,
        "started": start.get("time"),
        "version": start.get("version"),
        "holder": {**owner._asdict(), "alive": alive} if owner else None,
        "epochs": [thawed(report) for report in reports],
    }


def _state(seen: _Seen) -> tuple[str, str | None]:
    """Return the state of a run, and why it has stopped."""
    if seen.held and seen.held[1]:
        return TRAINING, None
    if seen.problems:
        return DAMAGED, None
    last = seen.events[-1] if seen.events else {}
    if last.get("event") == "stop":
        reason = str(last.get("reason"))
        return (FINISHED, None) if reason == FINISHED else (STOPPED, reason)
    if seen.held and seen.held[1] is None:
        return UNKNOWN, None
    return (STOPPED, KILLED) if seen.checkpoint else (BEGUN, None)


def _about_committee(each: list[dict[str, Any]], count: Any, model: str | None) -> dict[str, Any]:
    """Return what is known of the run of a committee.

    count   of its members, of which not all need have begun.
    """
    states = [own["state"] for own in each]
    finished, count = states.count(FINISHED), count if type(count) is int else len(each)
    state = next((state for state in (TRAINING, DAMAGED, UNKNOWN) if state in states), STOPPED)
    whole = finished == len(states) and finished >= count
    state = FINISHED if state == STOPPED and whole and model else state
    last = next((own for own in each if own["state"] != FINISHED), each[-1])
    reason = None if state in (FINISHED, TRAINING) else last["reason"]
    number = each.index(last) + 1
    about = {"state": state, "step": last["step"], "reason": reason, "member": number, "of": count}
    return about | {"started": each[0]["started"], "version": each[0]["version"], "epochs": [], "members": each}
