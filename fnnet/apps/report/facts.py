"""What is known of a model or a run as a table of words, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fnnet.apps.about import BEGUN, FINISHED, KILLED, STOPPED, TRAINING, UNKNOWN
from fnnet.apps.report import loss_text, option_text
from fnnet.apps.report.screen import Console, Table
from fnnet.errors import counted, one_line

SHOWN: Final = 40
"""Names of classes in a table."""
STATES: Final = {
    FINISHED: "finished",
    STOPPED: "stopped",
    TRAINING: "being trained",
    BEGUN: "begun, without a checkpoint",
    UNKNOWN: "left by another machine, which may train on",
}


def facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what `apps.about` knows as (heading, text), each text on one line; what is not known is left out."""
    rows = [
        ("run", _run(about["run"]) if about["run"] else ""),
        ("model", _file(about)),
        ("network", _network(about)),
        ("data", _data(about)),
        ("rows" if _scaling(about["preprocessing"]) else "images", _images(about)),
        ("columns" if _scaling(about["preprocessing"]) else "pixels", _pixels(about["preprocessing"])),
        ("recipe", _recipe(about)),
        ("options", " ".join(filter(None, (option_text(*each) for each in (about["options"] or {}).items())))),
        ("metrics", _metrics(about)),
        ("dead", _dead(about["dead_units"])),
        # With these headings a digest ends at column 80.
        ("weights", f"sha256:{about['weights_sha256']}" if about["weights_sha256"] else ""),
        ("file", f"sha256:{about['file_sha256']}" if about["file_sha256"] else ""),
        ("version", _versions(about)),
    ]
    return [(heading, one_line(text)) for heading, text in rows if text]


def fact_table(about: Mapping[str, Any], console: Console) -> None:
    """Print the facts, headings on the left."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, text in facts(about):
        table.add_row(heading, text)
    console.print(table)


def member_table(members: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print the members of a committee whose run is shown, a line each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("member", "state", "step", "epochs", "train loss", "dev acc"):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    for number, own in enumerate(members, 1):
        last = own["epochs"][-1] if own["epochs"] else {}
        loss, share = last.get("train_loss"), last.get("dev_accuracy")
        table.add_row(
            str(number),
            _state(own),
            f"{own['step']:,}" if own["step"] is not None else "",
            str(last.get("epoch", "")),
            loss_text(loss) if isinstance(loss, float) else "",
            f"{share:.2%}" if isinstance(share, float) else "",
        )
    console.print(table)


def _state(run: Mapping[str, Any]) -> str:
    state, reason = STATES.get(run["state"], str(run["state"])), run["reason"]
    if run["state"] != STOPPED or reason is None:
        return state
    return f"{state}: its process ended without a word" if reason == KILLED else f"{state}: {reason}"


def _run(run: Mapping[str, Any]) -> str:
    """Return the state of a run, and who trains it."""
    text = f"{run['folder']}: {_state(run)}"
    if run["step"] is not None and "members" not in run:
        text += f" at step {run['step']:,}"
    if "members" in run:
        done = sum(own["state"] == FINISHED for own in run["members"])
        text += f", {done} of {counted(run['of'], 'member')} finished"
        text += f"; member {run['member']} at step {run['step']:,}" if run["step"] and done < run["of"] else ""
    if holder := run.get("holder"):
        text += f", by process {holder['pid']} on {holder['host']}"
    return text + (f"; begun {run['started']}" if run["started"] else "")


def _file(about: Mapping[str, Any]) -> str:
    run = about["run"] or {}
    if about["model"] is None and run.get("state") == FINISHED:
        return "none: an earlier version trained, or its writing failed; 'train --resume' writes it"
    if about["model"] is None:
        return "none yet: it is written once training is finished" if run else ""
    return f"{about['model']}, {about['bytes']:,} bytes, version {about['format_version']} of the format"


def _network(about: Mapping[str, Any]) -> str:
    if about["sizes"] is None:
        return ""
    known = (about["activation"], about["dtype"])
    parts = ["-".join(map(str, about["sizes"])), counted(about["parameters"], "parameter"), *filter(None, known)]
    members = about["members"]
    return ", ".join(map(str, parts)) + (f"; a committee of {len(members)}" if isinstance(members, list) else "")


def _data(about: Mapping[str, Any]) -> str:
    """Return which data, from where, and how many images for what."""
    data, test, counts = about["data"], about["test"], about["images"] or {}
    if about["dataset"] is None and not any(counts.values()):
        return ""
    path = data.get("path") if isinstance(data, Mapping) else None
    images = ", ".join(f"{count:,} {part}" for part, count in counts.items() if isinstance(count, int) and count)
    unit = "rows" if _scaling(about["preprocessing"]) else "images"
    text = f"{about['dataset'] or 'data'}, {images} {unit}" if images else f"{about['dataset']}"
    text += f" ({path})" if path and path != about["dataset"] else ""
    if isinstance(data, Mapping) and data.get("corrections"):
        text += f"; labels corrected by {data['corrections']}"
    if isinstance(test, Mapping) and test.get("held_out") is True:
        text += f"; the test {unit} are held out of them"
    elif isinstance(test, Mapping) and test.get("path"):
        text += f"; the test {unit} are {test['path']}"
    return text


def _images(about: Mapping[str, Any]) -> str:
    shape, classes = about["image_shape"], about["classes"]
    if not (shape and classes):
        return ""
    names = ", ".join(map(str, classes[:SHOWN])) + (", ..." if len(classes) > SHOWN else "")
    size = f"{'x'.join(map(str, shape))} pixels"
    size = counted(shape[-1], "column") if _scaling(about["preprocessing"]) else size
    return f"{size}; {counted(len(classes), 'class', 'classes')}: {names}"


def _pixels(known: Mapping[str, Any] | None) -> str:
    """Return how the pixels in files become bytes, and the columns of a table inputs."""
    if not known:
        return ""
    if scaling := _scaling(known):
        names, target = [name for name in scaling["names"] if name], scaling["target"]
        shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        text = "standardised by the training rows" + (f", classes in {target}" if target else "")
        return text + (f": {shown}" if names else "")
    dark = known["ink"] < known["paper"]
    text = f"0 to {known['pixel_max']}, {'dark ink on light paper' if dark else 'light ink on black'}"
    text += f" ({known['paper']} is paper, {known['ink']} ink)" if dark or known["paper"] else ""
    text += ", numbers from -1 to 1" if known.get("signed") else ""
    text += ", stored column by column" if known.get("transpose") else ""
    return text + (", pictures scaled to this size" if known.get("resize") else "")


def _scaling(known: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return how the columns of a table are standardised; None for images."""
    return known.get("scaling") if known else None


def _recipe(about: Mapping[str, Any]) -> str:
    if about["recipe"] is None:
        return ""
    text = f"{about['recipe']}, weights drawn by {about['initialiser']}"
    steps = about["steps"]
    text += f", {counted(steps, 'step')}" if isinstance(steps, int) else ""
    return text + (f"; started from a model, SHA-256 {about['start']}" if about["start"] else "")


def _metrics(about: Mapping[str, Any]) -> str:
    parts = []
    for part in ("test", "dev"):
        loss, share = about[f"{part}_loss"], about[f"{part}_accuracy"]
        if isinstance(loss, float) and isinstance(share, float):
            parts.append(f"{part} accuracy {share:.2%}, loss {loss_text(loss)}")
    return "; ".join(parts)


def _dead(shares: Any) -> str:
    """Return which fraction of each hidden layer is dead, if any is."""
    known = [share for share in shares if isinstance(share, float)] if isinstance(shares, list) else []
    each = [f"{share:.1%} of hidden layer {number}" for number, share in enumerate(known, 1) if share]
    return f"{', '.join(each)}: 0 for every training image" if each else ""


def _versions(about: Mapping[str, Any]) -> str:
    known = about["versions"]
    return ", ".join(f"{name} {version}" for name, version in known.items()) if isinstance(known, Mapping) else ""
