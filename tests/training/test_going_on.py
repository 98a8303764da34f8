"""Resumed for more epochs: the bits of a run that had them from its start, or of one with the same cycles."""

import itertools

import numpy as np
import pytest

from fnnet import names
from fnnet.core.params import weights_sha256
from fnnet.core.schedules import follows_length
from fnnet.core.state import Examples
from fnnet.data import Dataset
from fnnet.errors import UsageError
from fnnet.files.log import read_log
from fnnet.files.runs import OtherRunError
from fnnet.names import OPTIMIZERS, STEPPING
from fnnet.training import session
from fnnet.training.advice import NAMES
from fnnet.training.config import config_of
from fnnet.training.plan import Plan
from fnnet.training.session import StoppedError, prepare, train

SCHEDULES = (
    "constant", "constant:warmup=4", "step:every=2,factor=0.5", "exponential:every=3,factor=0.5",
    "exponential:every=1.5,warmup=1", "plateau:patience=0,threshold=0.9,factor=0.5",
    "onecycle", "cosine:final=0.1", "cosine:warmup=1", "step", "exponential",
)  # fmt: skip
"""The last five depend on the number of epochs."""
BASE = {"hidden": (6,), "batch_size": 9, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(4)
    x, labels = rng.integers(0, 256, (50, 16), np.uint8), np.arange(50) % 3
    return Dataset("small", "here", Examples(x, labels), Examples(x[:9], labels[:9]), ("a", "b", "c"), (4, 4))


def is_advice(note):
    return getattr(note, "code", None) in NAMES


@pytest.fixture
def run(dataset, kernels, tmp_path):
    """Train by some settings; the bits of the result and the lines about epochs. With a number, as a run directory.

    `notify` takes the notes on the run, not those on how the training went.
    """

    def course(settings, number=None, resume=False, on_block=lambda progress: None, notify=lambda notice: None):
        folder = None if number is None else tmp_path / f"run{number}"
        job = prepare(dataset, "classic", BASE | settings, seed=2)
        given = {"run_dir": folder, "resume": resume, "on_block": on_block}
        model, reports = train(job, kernels=kernels, notify=lambda note: is_advice(note) or notify(note), **given)
        lines = [without_seconds(event) for event in read_log(folder) if event["event"] == "epoch"] if folder else None
        found = [{**report._asdict(), "seconds": 0} for report in reports]
        assert lines is None or [{**line, "seconds": 0} for line in lines] == found
        return weights_sha256(model.params), found, model.training

    course.folder = lambda number: tmp_path / f"run{number}"
    return course


def without_seconds(event):
    return {name: value for name, value in event.items() if name not in ("event", "time")}


def stop_in(epoch, images=1):
    return lambda progress: "stopped" if progress.epoch == epoch and progress.images >= images else None


@pytest.mark.parametrize("optimizer", sorted(set(STEPPING)))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_three_epochs_and_three_more_are_six(optimizer, schedule, run):
    """Every optimizer with every schedule, whole, and with all else that training carries along."""
    rich = {"ema": 0.9, "dropout": 0.3, "deformation": {}, "clip_norm": 1.0, "dev": 10, "weight_decay": 0.01}
    for number, more in enumerate(({}, rich)):
        settings = more | {"optimizer": optimizer, "schedule": schedule}
        cycles = {"cycles": (3,)} if follows_length(schedule) else {}
        whole = run(settings | {"epochs": 6} | cycles)
        run(settings | {"epochs": 3}, number)
        notes = []
        assert run(settings | {"epochs": 6}, number, resume=True, notify=notes.append) == whole
        (note,) = notes
        assert note.code == "more-epochs"
        said = "resumed for 6 epochs in place of 3"
        if cycles:
            said += f"; schedule {schedule.partition(':')[0]} begins a new cycle of 3 epochs after epoch 3"
        assert note == said
        assert run(settings | {"epochs": 6}, number, resume=True, notify=notes.append) == whole
        assert notes == [note]


def test_local_steps_begin_again_with_the_added_epochs(run):
    """In the second half of each cycle; the steps before them are those of all shards together."""
    settings = {"shards": 4, "local_steps": 2, "batch_size": 20}
    whole = run(settings | {"epochs": 6, "cycles": (3,)})
    notes = []
    run(settings | {"epochs": 3}, 1)
    assert run(settings | {"epochs": 6}, 1, resume=True, notify=notes.append) == whole
    (note,) = notes
    assert note == (
        "resumed for 6 epochs in place of 3; course of local steps begins a new cycle of 3 epochs after epoch 3"
    )


@pytest.mark.parametrize("schedule", ["constant", "onecycle"])
def test_a_deformation_that_fades_begins_again_with_the_added_epochs(schedule, run):
    """Its bits are those of a run with these cycles, and it fades in each; without a fade a constant rate has none."""
    settings = {"schedule": schedule, "deformation": {"fade": 0.6}}
    whole = run(settings | {"epochs": 5, "cycles": (3,)})
    notes = []
    run(settings | {"epochs": 3}, 1)
    assert run(settings | {"epochs": 5}, 1, resume=True, notify=notes.append) == whole
    name = "fading deformation" if schedule == "constant" else "schedule onecycle"
    assert notes == [f"resumed for 5 epochs in place of 3; {name} begins a new cycle of 2 epochs after epoch 3"]
    with pytest.raises(StoppedError):
        run(settings | {"epochs": 3}, 2, on_block=stop_in(2, 20))
    with pytest.raises(UsageError, match=f"fewer `epochs` than the {name} was begun for; expected 3 or more, found 2"):
        run(settings | {"epochs": 2}, 2, resume=True)
    assert run(settings | {"epochs": 5}, 2, resume=True) == whole
    with pytest.raises(UsageError, match=r"cycles have no effect; expected a schedule .* or local steps"):
        run({"schedule": "constant", "deformation": {"fade": 0}, "epochs": 5, "cycles": (3,)}, 3)


def test_all_schedules_are_in_the_matrix():
    assert {text.partition(":")[0] for text in SCHEDULES} == {*names.SCHEDULES}
    assert [follows_length(text) for text in SCHEDULES] == [False] * 6 + [True] * 5
    assert {*OPTIMIZERS} - {*STEPPING} == {"lbfgs"}  # it has no run directory


@pytest.mark.parametrize("schedule", ["constant", "onecycle"])
def test_stopped_anywhere_it_goes_on_for_more(schedule, run):
    """In the first, within an epoch and at the end of one; a cycle that has begun is as long as it was to be."""
    cycles = {"cycles": (4,)} if schedule == "onecycle" else {}
    whole = run({"schedule": schedule, "epochs": 7} | cycles)
    for number, (epoch, images) in enumerate(itertools.product((1, 2, 4), (1, 30, 45))):
        with pytest.raises(StoppedError):
            run({"schedule": schedule, "epochs": 4}, number, on_block=stop_in(epoch, images))
        with pytest.raises(StoppedError):
            run({"schedule": schedule, "epochs": 7}, number, resume=True, on_block=stop_in(5, 20))
        assert run({"schedule": schedule, "epochs": 7}, number, resume=True) == whole


def test_more_and_more(run):
    for number, (schedule, cycles) in enumerate((("step:every=2", ()), ("cosine", (2, 3)))):
        settings = {"schedule": schedule, "optimizer": "adam"}
        for epochs in (2, 3, 6):
            last = run(settings | {"epochs": epochs}, number, resume=epochs > 2)
        assert last == run(settings | {"epochs": 6, "cycles": cycles})
        assert last[2]["plan"].get("cycles", ()) == cycles
        # As before without `epochs` of one's own: what the run has must be said.
        with pytest.raises(OtherRunError, match=r"plan\.epochs differs from the run; expected 6, found"):
            run(settings | {"min_steps": 7}, number, resume=True)


def test_from_no_epoch(run):
    run({"epochs": 0}, 1)
    assert run({"epochs": 2}, 1, resume=True) == run({"epochs": 2})


def test_fewer_epochs_than_made_are_refused(run):
    settings = {"schedule": "exponential:every=2"}
    run(settings | {"epochs": 5}, 1)
    before = {path.name: path.read_bytes() for path in run.folder(1).iterdir()}
    with pytest.raises(UsageError) as refused:
        run(settings | {"epochs": 4}, 1, resume=True)
    said = "fewer `epochs` than the run has made; expected 5 or more, found 4; resume with `epochs` 5, or train into"
    assert str(refused.value) == f"{run.folder(1)}: {said} another folder"
    assert {path.name: path.read_bytes() for path in run.folder(1).iterdir()} == before
    # A run that was stopped may end earlier than it was to.
    with pytest.raises(StoppedError):
        run(settings | {"epochs": 9}, 2, on_block=stop_in(4, 20))
    with pytest.raises(UsageError, match="expected 4 or more, found 3"):
        run(settings | {"epochs": 3}, 2, resume=True)
    assert run(settings | {"epochs": 5}, 2, resume=True) == run(settings | {"epochs": 5})


def test_a_cycle_that_has_begun_keeps_its_length(run):
    with pytest.raises(StoppedError):
        run({"schedule": "onecycle", "epochs": 6}, 1, on_block=stop_in(3, 20))
    with pytest.raises(UsageError, match=r"than the schedule onecycle was begun for; expected 6 or more, found 5"):
        run({"schedule": "onecycle", "epochs": 5}, 1, resume=True)
    run({"schedule": "onecycle", "epochs": 6}, 1, resume=True)
    with pytest.raises(StoppedError):
        run({"schedule": "onecycle", "epochs": 8}, 1, resume=True, on_block=stop_in(7))
    with pytest.raises(UsageError, match=r"expected 8 or more, found 7"):
        run({"schedule": "onecycle", "epochs": 7}, 1, resume=True)
    wanted = run({"schedule": "onecycle", "epochs": 9, "cycles": (6, 8)})
    assert run({"schedule": "onecycle", "epochs": 9}, 1, resume=True) == wanted


@pytest.mark.parametrize("schedule", ["constant", "plateau:patience=0,threshold=0.9,factor=0.5", "cosine"])
@pytest.mark.parametrize("patience", [None, 1, 3])
@pytest.mark.parametrize(("first", "every"), [(7, 3), (2, 3), (6, 3)])
def test_reports_are_those_of_the_run_that_had_the_epochs_from_its_start(schedule, patience, first, every, run):
    """Also where the first run ended between two of them, with a report that the other does not have."""
    settings = {"schedule": schedule, "report_every": every, "early_stopping": patience, "dev": 10}
    for number, rate in enumerate((0.01, 2.0)):
        cycles = {"cycles": (first,)} if schedule == "cosine" else {}
        given = settings | {"learning_rate": rate}
        begun = run(given | {"epochs": first}, number)
        assert begun == run(given | {"epochs": first}, number, resume=True)
        whole = run(given | {"epochs": 14} | cycles)
        try:
            assert run(given | {"epochs": 14}, number, resume=True) == whole
        except UsageError as refused:
            assert "ended by early stopping" in str(refused)
            assert whole[1] == begun[1]
            assert whole[0] == begun[0]


def test_the_best_weights_may_be_those_of_a_report_that_is_taken_back(run):
    """The best is at the end of the first run, between two reports: that run returns it, the longer one does not."""
    settings = {"report_every": 3, "early_stopping": 5, "dev": 10, "learning_rate": 0.05}
    for first in (4, 5, 7, 8):
        begun = run(settings | {"epochs": first}, first)
        losses = [report["dev_loss"] for report in begun[1]]
        assert (
            begun[0] == run({"epochs": begun[1][int(np.argmin(losses))]["epoch"], "dev": 10, "learning_rate": 0.05})[0]
        )
        assert run(settings | {"epochs": 12}, first, resume=True) == run(settings | {"epochs": 12})


def test_a_recipe_s_number_of_reports_stays_that_of_the_run(run):
    """`notebook` reports 24 times: a run of more epochs is not read at other ones in the middle."""
    settings = {"batch_size": None}
    run(settings | {"epochs": 4, "report_every": 2}, 1)
    assert [report["epoch"] for report in run(settings | {"epochs": 7}, 1, resume=True)[1]] == [2, 4, 6, 7]
    with pytest.raises(OtherRunError, match=r"plan\.report_every differs from the run; expected 2, found 1"):
        run(settings | {"epochs": 7, "report_every": 1}, 1, resume=True)


def test_a_run_that_early_stopping_ended_goes_on_with_more_patience(run):
    settings = {"dev": 10, "learning_rate": 2.0, "batch_size": 4}
    ended = run(settings | {"epochs": 30, "early_stopping": 2}, 1)
    made = len(ended[1])
    assert made < 20
    said = f"ended by early stopping after epoch {made}: more `epochs` would change nothing; expected `early_stopping`"
    with pytest.raises(UsageError, match=f"{said} of more reports, found 2; give it, or train into another folder"):
        run(settings | {"epochs": 40, "early_stopping": 2}, 1, resume=True)
    for patience in (None, 1):
        with pytest.raises(OtherRunError, match=r"plan\.early_stopping differs from the run; expected 2"):
            run(settings | {"epochs": 40, "early_stopping": patience}, 1, resume=True)
    more = settings | {"epochs": 30, "early_stopping": made + 3}
    assert run(more, 1, resume=True) == run(more)
    run(settings | {"epochs": 30, "early_stopping": 2}, 2)
    fewer = settings | {"epochs": made, "early_stopping": 2}
    assert run(fewer, 2, resume=True) == run(fewer)
    both = settings | {"epochs": 60, "early_stopping": 60}
    assert run(both, 1, resume=True) == run(both)


def test_other_settings_are_named_before_epochs(run):
    run({"epochs": 3}, 1)
    with pytest.raises(OtherRunError, match="hidden differs"):
        run({"epochs": 1, "hidden": (5,)}, 1, resume=True)
    with pytest.raises(OtherRunError, match="dropout differs"):
        run({"epochs": 6, "dropout": 0.5}, 1, resume=True)


def test_a_diverged_run_goes_on_for_more_with_a_smaller_rate(run):
    from fnnet.errors import DivergedError

    with pytest.raises(DivergedError):
        run({"epochs": 3, "learning_rate": 1e30}, 1)
    assert len(run({"epochs": 5, "learning_rate": 0.01}, 1, resume=True)[1]) == 5


def test_until_its_next_checkpoint_the_run_is_as_it_was(run):
    """Killed at once, it can be resumed as a run of as many epochs as before, or of others."""
    first = run({"schedule": "onecycle", "epochs": 3}, 1)

    class KilledError(Exception):
        pass

    def killed(progress):
        raise KilledError

    with pytest.raises(KilledError):
        run({"schedule": "onecycle", "epochs": 60}, 1, resume=True, on_block=killed)
    assert run({"schedule": "onecycle", "epochs": 3}, 1, resume=True) == first
    wanted = run({"schedule": "onecycle", "epochs": 5, "cycles": (3,)})
    assert run({"schedule": "onecycle", "epochs": 5}, 1, resume=True) == wanted


def test_a_cycle_that_has_not_begun_may_be_of_any_length(run):
    class KilledError(Exception):
        pass

    def killed(progress):
        raise KilledError

    with pytest.raises(KilledError):
        run({"schedule": "onecycle", "epochs": 60}, 1, on_block=killed)
    assert run({"schedule": "onecycle", "epochs": 5}, 1, resume=True) == run({"schedule": "onecycle", "epochs": 5})


def test_cycles_of_one_s_own_are_those_of_the_run(run):
    settings = {"schedule": "cosine", "epochs": 6, "cycles": [2]}
    begun = run(settings, 1)
    assert begun == run(settings, 1, resume=True)
    with pytest.raises(OtherRunError, match=r"plan\.epochs differs from the run; expected 6, found 8"):
        run(settings | {"epochs": 8}, 1, resume=True)
    with pytest.raises(OtherRunError, match=r"plan\.cycles differs"):
        run(settings | {"cycles": (3,)}, 1, resume=True)
    wanted = run(settings | {"epochs": 8, "cycles": (2, 6)})
    assert run({"schedule": "cosine", "epochs": 8}, 1, resume=True) == wanted


def test_the_last_checkpoint_is_lost(run):
    """Then the one before it, of the shorter run, is gone on from, to the same bits."""
    run({"schedule": "cosine", "epochs": 3}, 1)
    with pytest.raises(StoppedError):
        run({"schedule": "cosine", "epochs": 6}, 1, resume=True, on_block=stop_in(4, 30))
    newest = max(run.folder(1).glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    wanted = run({"schedule": "cosine", "epochs": 6, "cycles": (3,)})
    assert run({"schedule": "cosine", "epochs": 6}, 1, resume=True) == wanted


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"schedule": "cosine", "cycles": (6,)}, "rising numbers below 6"),
        ({"schedule": "cosine", "cycles": (3, 3)}, "rising numbers"),
        ({"schedule": "cosine", "cycles": (0,)}, "0"),
        ({"schedule": "cosine", "cycles": 3}, "a sequence of epochs"),
        ({"schedule": "cosine", "cycles": (1.5,)}, r"1\.5"),
        ({"schedule": "step:every=2", "cycles": (3,)}, "depends on the number of epochs"),
    ],
)
def test_cycles_that_do_not_fit(settings, words, dataset):
    with pytest.raises(UsageError, match=words) as refused:
        prepare(dataset, "classic", BASE | {"epochs": 6} | settings)
    assert refused.value.where == "cycles"
    assert Plan._field_defaults["cycles"] == ()


OTHER = {
    "paper": 255, "ink": 0, "pixel_max": 254, "blank": 5, "transpose": True, "faint": 9, "resize": True, "signed": True,
}  # fmt: skip


@pytest.mark.parametrize("field", OTHER)
def test_images_that_are_read_in_another_way_are_refused(field, dataset, tmp_path):
    """Though they become the same bytes, the model would read files otherwise than the run's."""
    settings, other = BASE | {"epochs": 1}, dataset.preprocessing._replace(**{field: OTHER[field]})
    train(prepare(dataset, "classic", settings), run_dir=tmp_path / "run")
    job = prepare(dataset._replace(preprocessing=other), "classic", settings)
    with pytest.raises(OtherRunError, match=f"data.preprocessing.{field} differs from the run; expected") as raised:
        train(job, run_dir=tmp_path / "run", resume=True)
    assert [*raised.value.differences] == [f"data.preprocessing.{field}"]


def test_a_run_that_did_not_keep_how_images_are_read_goes_on_and_keeps_it(dataset, tmp_path, monkeypatch):
    def as_before(job, kernels):
        config = config_of(job, kernels)
        return config | {"data": {key: value for key, value in config["data"].items() if key != "preprocessing"}}

    inverted = dataset._replace(preprocessing=dataset.preprocessing._replace(paper=255, ink=0))
    with monkeypatch.context() as patched:
        patched.setattr(session, "config_of", as_before)
        train(prepare(inverted, "classic", BASE | {"epochs": 1}), run_dir=tmp_path)
    job = prepare(inverted, "classic", BASE | {"epochs": 2})
    assert train(job, run_dir=tmp_path, resume=True)[0].preprocessing == inverted.preprocessing
    with pytest.raises(OtherRunError, match=r"data\.preprocessing\.paper differs from the run; expected 255, found 0"):
        train(prepare(dataset, "classic", BASE | {"epochs": 2}), run_dir=tmp_path, resume=True)
