"""The training session: a job from data to a tested model, stopped, resumed and refused without a command line."""

import contextlib
import fractions
import subprocess
import sys

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core.deform import Deformation
from fnnet.core.params import weights_sha256
from fnnet.core.state import Examples
from fnnet.data import Dataset
from fnnet.data.convert import convert
from fnnet.data.preprocess import Reading
from fnnet.errors import ArgumentTypeError, DataError, DivergedError, FnnetError, UsageError
from fnnet.files.log import read_log
from fnnet.files.runs import OtherRunError
from fnnet.training import recipes
from fnnet.training.dev_set import load_dev_set
from fnnet.training.plan import IGNORED_BY_LBFGS, USED_BY_LBFGS, Plan, check_plan
from fnnet.training.rate_search import find_learning_rate
from fnnet.training.session import StoppedError, plan_of, prepare, train
from tests.conftest import ROOT

SETTINGS = {"hidden": (9,), "epochs": 4, "batch_size": 7, "optimizer": "adam", "learning_rate": 0.01, "dropout": 0.2}


@pytest.fixture
def dataset(small_images):
    x, labels = small_images
    x, labels = x.reshape(len(x), -1), labels.astype(np.int64)
    return Dataset(
        "small", "here", Examples(x[:50], labels[:50]), Examples(x[50:], labels[50:]), tuple("0123456789"), (28, 28)
    )


def without_seconds(reports):
    return [report._replace(seconds=0.0) for report in reports]


ALONE = """
import doctest, signal, sys
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
from fnnet.training import session
failed, tried = doctest.testmod(session)
assert tried and not failed
assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
print([name for name in sys.modules if name == "click" or name.startswith("fnnet.cli")])
"""


def test_the_digits_are_learned_stopped_and_resumed_without_the_command_line():
    """The example of the module, in a process that never sees `fnnet.cli`; nothing is printed, no signal handled."""
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_model_and_its_reports(dataset, kernels):
    job = prepare(dataset, "classic", SETTINGS | {"dev": 10}, seed=3)
    assert (job.sizes, len(job.train.x), len(job.dev.x)) == ((784, 9, 10), 40, 10)
    blocks = []
    model, reports = train(job, kernels=kernels, on_block=blocks.append)
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert sum(report.seconds for report in reports) > 0
    assert {progress.epoch for progress in blocks} == {1, 2, 3, 4}
    again, _ = train(job, kernels=kernels)
    assert weights_sha256(again.params) == weights_sha256(model.params)
    about = model.training
    assert (about["recipe"], about["dataset"], about["seed"], about["steps"]) == ("classic", "small", 3, 24)
    assert about["plan"]["dropout"] == 0.2
    found = fnnet.predict(model.params, dataset.test.x, kernels=kernels)
    assert about["test_accuracy"] == (found == dataset.test.labels).mean()


def test_stopped_after_every_block_and_resumed_it_is_the_same_run(dataset, kernels, tmp_path):
    job = prepare(dataset, "classic", SETTINGS | {"dev": 10})
    model, reports = train(job, kernels=kernels)
    stops, place, resume = 0, tmp_path / "run", False
    while True:
        try:
            resumed, history = train(
                job, kernels=kernels, run_dir=place, resume=resume, on_block=lambda progress: "cancelled"
            )
            break
        except StoppedError as stopped:
            assert stopped.problem == "cancelled"
            last = read_log(place)[-1]
            assert (last["event"], last["reason"], stopped.place) == ("stop", "cancelled", f"step {last['step']}")
            stops, resume = stops + 1, True
    assert stops >= len(reports)
    assert weights_sha256(resumed.params) == weights_sha256(model.params)
    assert without_seconds(history) == without_seconds(reports)
    assert resumed.training == model.training
    assert read_log(place)[-1]["reason"] == "finished"


def test_without_a_run_directory_nothing_is_kept(dataset):
    job = prepare(dataset, "classic", SETTINGS)
    with pytest.raises(StoppedError, match=r"step \d+: enough; nothing is kept without `run_dir`"):
        train(job, on_block=lambda progress: "enough")
    with pytest.raises(UsageError, match="`resume` needs the folder of the run; expected `run_dir`"):
        train(job, resume=True)
    with pytest.raises(UsageError, match="`run_dir` keeps steps, which lbfgs does not make"):
        train(prepare(dataset, "classic", {"optimizer": "lbfgs", "epochs": 2}), run_dir="never-made")


def test_divergence_is_kept_and_resumed_with_a_smaller_rate(dataset, kernels, tmp_path):
    settings = SETTINGS | {"optimizer": "sgd"}
    job = prepare(dataset, "classic", settings | {"learning_rate": 1e30})
    with pytest.raises(DivergedError, match="training diverged"):
        train(job, kernels=kernels)
    remedy = r"the first update, at rate 1e\+30, is \d\S+ times the size of the weights.*: {}`learning_rate` 0\.\d+$"
    with pytest.raises(DivergedError, match=remedy.format("try ")):
        train(job, kernels=kernels)
    remedy = r"step \d+, the last good one, is kept; " + remedy.format("go on with `resume` and ")
    with pytest.raises(DivergedError, match=remedy) as diverged:
        train(job, kernels=kernels, run_dir=tmp_path / "run")
    assert diverged.value.where == str(tmp_path / "run")
    assert read_log(tmp_path / "run")[-1]["reason"] == "diverged"
    model, reports = train(
        prepare(dataset, "classic", settings), kernels=kernels, run_dir=tmp_path / "run", resume=True
    )
    assert len(reports) == 4
    assert all(np.isfinite(array).all() for layer in model.params.layers for array in layer)


def test_a_run_of_another_job_is_refused_by_its_key(dataset, tmp_path):
    train(prepare(dataset, "classic", SETTINGS), run_dir=tmp_path / "run")
    with pytest.raises(OtherRunError, match=r"plan\.dropout differs from the run; expected 0\.2, found 0\.3") as other:
        train(prepare(dataset, "classic", SETTINGS | {"dropout": 0.3}), run_dir=tmp_path / "run", resume=True)
    assert dict(other.value.differences) == {"plan.dropout": ("0.2", "0.3")}
    with pytest.raises(UsageError, match="holds a run already; go on with `resume`"):
        train(prepare(dataset, "classic", SETTINGS), run_dir=tmp_path / "run")


@pytest.mark.parametrize("end", ["finished", "stopped", "failed"])
def test_a_context_is_entered_while_steps_are_made(end, dataset):
    events = []

    @contextlib.contextmanager
    def during():
        events.append("entered")
        try:
            yield
        finally:
            events.append("left")

    def on_block(progress):
        events.append("block")
        if end == "failed":
            raise ZeroDivisionError
        return "enough" if end == "stopped" else None

    expected = {"stopped": StoppedError, "failed": ZeroDivisionError}.get(end)
    with pytest.raises(expected) if expected else contextlib.nullcontext():
        train(prepare(dataset, "classic", SETTINGS), on_block=on_block, during=during())
    assert events[:2] == ["entered", "block"]
    assert events[-1] == "left"
    assert set(events[1:-1]) == {"block"}


@pytest.mark.parametrize(
    ("settings", "where", "words"),
    [
        ({"learning_rate": 0.0}, "learning_rate", "> 0, found 0.0"),
        ({"epochs": "3"}, "epochs", "found '3'"),
        ({"batch_size": "full"}, "batch_size", "found 'full'"),
        ({"schedule": "cubic"}, "schedule", "unknown schedule"),
        ({"early_stopping": 2, "dev": 0}, "early_stopping", "hold some out with `dev`"),
        ({"dev": 50}, "dev", "expected 0 to 49, found 50"),
        ({"deformation": {"twist": 2}}, "deformation", "expected shift or rotation .* found 'twist'"),
        ({"deformation": {"rotation": 180}}, "deformation", "180"),
        ({"deformation": Deformation()}, "deformation", "has no effect; expected a figure above 0, found 0 for all"),
        ({"deformation": Deformation(correlation=3.0)}, "deformation", "has no effect"),
        ({"deformation": dict.fromkeys(Deformation._fields, 0)}, "deformation", "has no effect"),
        ({"momentum": 0.5}, "momentum", "has no effect with `optimizer` sgd; expected momentum or nesterov"),
        ({"dropout": 0.5, "hidden": ()}, "dropout", "has no effect without hidden layers"),
        ({"optimizer": "lbfgs", "learning_rate": 1.0}, "learning_rate", "has no effect with `optimizer` lbfgs"),
        ({"colour": 1}, "colour", "unknown setting"),
        ({"plan": {}}, "plan", "unknown setting"),
    ],
    ids=str,
)
def test_errors_name_fields(settings, where, words, dataset):
    with pytest.raises(UsageError, match=words) as refused:
        prepare(dataset, "classic", settings)
    assert refused.value.where == where


def test_what_is_no_job_is_refused(dataset):
    with pytest.raises(UsageError, match=r"recipe: unknown recipe; expected classic or notebook .* found 'magic'"):
        prepare(dataset, "magic")
    with pytest.raises(ArgumentTypeError, match="hidden; expected a size for each hidden layer, found 9"):
        prepare(dataset, "classic", {"hidden": 9})
    with pytest.raises(UsageError, match=r"class_weights: weight for an unknown class; .* found '11=2'"):
        prepare(dataset, "classic", class_weights="11=2")
    with pytest.raises(UsageError, match="dev: cannot be combined with `dev_data`; expected one of them, found 5"):
        prepare(dataset, "classic", {"dev": 5}, dev_set=dataset.test)
    with pytest.raises(FnnetError, match="network too large"):
        prepare(dataset, "classic", {"hidden": (10**9, 10**9)})


def test_dev_images_and_class_weights(dataset, tmp_path):
    job = prepare(dataset, "classic", dev_set=dataset.test, class_weights={3: 2.0})
    assert len(job.train.x) == 50
    assert job.dev is dataset.test
    assert job.weights.tolist() == [2.0 if label == 3 else 1.0 for label in dataset.train.labels]
    assert prepare(dataset, "classic", class_weights="3=2").weights.max() == 2.0
    np.savez(tmp_path / "own.npz", x_train=dataset.test.x.reshape(10, 28, 28), y_train=dataset.test.labels)
    assert load_dev_set(tmp_path / "own.npz", dataset).x.tobytes() == dataset.test.x.tobytes()
    notices = []
    for name, x, known in (
        ("same", dataset.train.x, True),
        ("part", dataset.train.x[9:4:-1], True),
        ("more", np.concatenate([dataset.train.x, dataset.test.x[:1]]), False),
        ("other", dataset.test.x, False),
    ):
        labels = np.resize(dataset.train.labels, len(x))
        np.savez(tmp_path / f"{name}.npz", x_train=x.reshape(-1, 28, 28), y_train=labels)
        notices.clear()
        load_dev_set(tmp_path / f"{name}.npz", dataset, notices.append)
        assert [each.code for each in notices if "very images trained on" in each] == ["dev-in-train"] * known, name
    np.savez(tmp_path / "small.npz", x_train=np.zeros((10, 20, 20), np.uint8), y_train=dataset.test.labels)
    with pytest.raises(UsageError, match=r"dev_data: .*small.npz: images differ; expected \(28, 28\) pixels"):
        load_dev_set(tmp_path / "small.npz", dataset)
    with pytest.raises(DataError, match="dev_data: no such data set"):
        load_dev_set(str(tmp_path / "none"), dataset)


def test_figures_of_a_deformation_replace_those_of_the_recipe(dataset):
    usual, record = (Deformation(**figures) for figures in (recipes.DEFORMATION, recipes.UNSHEARED))
    assert plan_of(recipes.get("classic")).deformation is None
    assert plan_of(recipes.get("record")).deformation == record
    for recipe, deformation, wanted in (
        ("classic", {}, usual),
        ("classic", {"shift": 0.5}, usual._replace(shift=0.5)),
        ("record", {}, record),
        ("record", {"shear": 0.1}, record._replace(shear=0.1)),
        ("record", None, None),
        ("record", Deformation(shift=1.0), Deformation(shift=1.0)),
    ):
        assert prepare(dataset, recipe, {"deformation": deformation}).plan.deformation == wanted


def test_a_recipe_is_fitted_to_the_images(dataset):
    job = prepare(dataset, "notebook")
    assert (len(job.dev.x), job.plan.epochs, job.plan.report_every) == (5, 1200, 50)
    assert prepare(dataset, "notebook", {"epochs": 48}).plan.report_every == 2
    assert prepare(dataset, "quick").plan.epochs == 1000  # at least as many steps, of 50 images each
    assert prepare(dataset, "quick", {"epochs": 2}).plan.epochs == 2
    lbfgs = prepare(dataset, "quick", {"optimizer": "lbfgs"}).plan
    assert (lbfgs.epochs, lbfgs.batch_size, lbfgs.schedule) == (100, None, "constant")


def test_recipes_differ_from_a_plan_only_where_they_say_so():
    for recipe in recipes.RECIPES.values():
        assert {"epochs", "batch_size", "learning_rate"} <= {*recipe.plan} <= {*Plan._fields}
        for name, value in recipe.plan.items():
            assert value != Plan._field_defaults.get(name, ...), (recipe.name, name)


def test_lbfgs_refuses_every_field_that_it_would_ignore():
    """Also one that is added to the plan later."""
    plain = Plan(3, None, 0.1, optimizer="lbfgs")
    others = {
        "batch_size": 5, "schedule": "cosine", "clip_norm": 1.0, "ema": 0.5, "dropout": 0.5, "early_stopping": 2,
        "deformation": Deformation(shift=1.0), "cycles": (1,), "shards": 2, "window": 100,
        "message_bits": 16, "local_steps": 2,
    }  # fmt: skip
    assert {*others, *USED_BY_LBFGS, *IGNORED_BY_LBFGS} == {*Plan._fields}
    check_plan(plain)
    for name, value in others.items():
        with pytest.raises(UsageError, match=f"{name}: not with lbfgs; .*choose another optimizer"):
            check_plan(plain._replace(**{name: value}))


def test_the_learning_rate_range_test_of_a_job(dataset, kernels):
    job = prepare(
        dataset, "classic", {"hidden": (9,), "batch_size": 10, "deformation": {}, "epochs": 3, "min_steps": 0}
    )
    found = find_learning_rate(job, low=1e-3, high=1.0, steps=30, kernels=kernels)
    assert found.seconds > 0
    assert len(found.test.rates) == 30
    plain = find_learning_rate(job._replace(plan=job.plan._replace(deformation=None)), steps=30, kernels=kernels)
    assert plain.test.losses != found.test.losses


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"train_images": 0}, "train_images"),
        ({"train_images": "a"}, "train_images"),
        ({"min_steps": "a"}, "min_steps"),
        ({"min_steps": -1}, "min_steps"),
        ({"initialiser": "x"}, "initialiser"),
        ({"dev": -1}, "dev"),
        ({"ema": 1}, "ema"),
        ({"clip_norm": -1}, "clip_norm"),
        ({"weight_decay": float("nan")}, "weight_decay"),
        ({"reports": 0}, "reports"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_by_its_field(settings, where):
    with pytest.raises(UsageError) as told:
        prepare(data.load("digits"), "classic", settings)
    assert told.value.where == where


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((None,), "dataset"), ((data.load("digits"), 3), "recipe"), ((data.load("digits"), "classic", [1]), "settings")],
)
def test_arguments_of_another_kind_are_refused(arguments, word):
    with pytest.raises(UsageError, match=word):
        prepare(*arguments)
    with pytest.raises(UsageError, match="Examples"):
        prepare(data.load("digits"), dev_set=3)


def test_numbers_of_other_kinds_are_stored_as_python_s_own(dataset, tmp_path):
    """Where one cannot be stored, the training would be lost at its end."""
    settings = {
        "epochs": np.int64(2),
        "learning_rate": fractions.Fraction(1, 10),
        "hidden": np.array([3, 4]),
        "dropout": (np.float32(0.25), np.float64(0.5)),
        "batch_size": np.int32(8),
        "label_smoothing": np.float32(0.125),
        "deformation": {"shift": np.float32(1)},
        "activation": np.str_("tanh"),
    }
    job = prepare(dataset, "classic", settings, seed=np.int64(3))
    kinds = {
        type(value) for value in (*job.plan._asdict().values(), *job.plan.dropout, *job.plan.deformation, job.seed)
    }
    assert not {kind for kind in kinds if kind.__module__ == "numpy"}
    assert job.plan.learning_rate == 0.1
    assert job.sizes[1:-1] == (3, 4)
    model, _ = train(job, run_dir=tmp_path / "run")
    fnnet.save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(UsageError, match="seed"):
        prepare(dataset, "classic", seed=1.5)


@pytest.mark.parametrize(
    ("schedule", "epochs", "end"),
    [
        ("cosine:warmup=99", 1, "0.00101"),
        ("constant:warmup=2", 2, "0.1"),
        ("step:warmup=4", 2, "0.05"),
        ("plateau:warmup=1e308", 2, "1.99e-309"),
        ("cosine:warmup=1", 2, ""),
        ("onecycle:warmup=0.5", 1, ""),
        ("constant", 0, ""),
        ("constant:warmup=3", 0, ""),
    ],
)
def test_a_run_that_lies_in_the_warm_up_is_noted(schedule, epochs, end, dataset):
    settings, notices = {"schedule": schedule, "epochs": epochs, "learning_rate": 0.1}, []
    train(prepare(dataset, "classic", settings), notify=notices.append)
    found = [each for each in notices if each.code == "warm-up"]
    assert len(found) == bool(end)
    if end:
        name = schedule.partition(":")[0]
        assert found[0].startswith(f"schedule {name}: its warm-up of ")
        reached = float(found[0].rpartition("rises to ")[2].partition(" of ")[0])
        assert reached == pytest.approx(float(end), rel=0.05)


def test_the_warm_up_of_a_run_that_goes_on_is_that_of_its_cycles(dataset, tmp_path):
    for epochs, noted in ((1, True), (2, True), (5, False)):
        settings, notices = {"schedule": "cosine:warmup=2", "epochs": epochs}, []
        job = prepare(dataset, "classic", settings)
        train(job, run_dir=tmp_path / "run", resume=epochs > 1, notify=notices.append)
        assert ("warm-up" in [getattr(each, "code", "") for each in notices]) == noted


def test_the_warm_up_of_a_schedule_does_not_begin_again_with_the_deformation(dataset, tmp_path):
    for epochs, noted in ((2, True), (5, False)):
        settings, notices = {"schedule": "constant:warmup=4", "epochs": epochs, "deformation": {"fade": 0.5}}, []
        job = prepare(dataset, "classic", settings)
        _, reports = train(job, run_dir=tmp_path / "run", resume=epochs > 2, notify=notices.append)
        assert ("warm-up" in [getattr(each, "code", "") for each in notices]) == noted
    rates = [report.learning_rate for report in reports]
    assert rates[-2:] == [0.05, 0.05]


def rows_of(examples, name="label", first=0):
    head = ",".join([name, *(f"pixel{k}" for k in range(examples.x.shape[1]))])
    return head, np.column_stack([examples.labels + first, examples.x])


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("form", ["csv", "npz", "folder"])
def test_what_is_said_of_the_data_for_training_holds_for_validation(named, form, tmp_path):
    """Where it has a meaning: class folders have no first label, and an archive no columns."""
    digits = data.load("digits")
    names = tuple("abcdefghij") if named else tuple(map(str, range(1, 11)))
    reading = Reading(first_label=1, label_column="q")
    train, other = Examples(digits.train.x[:100], digits.train.labels[:100]), digits.test
    for path, examples in (("train", train), ("dev", other)):
        head, rows = rows_of(examples, "q", 1)
        np.savetxt(tmp_path / f"{path}.csv", rows, "%d", delimiter=",", header=head, comments="")
    dataset = data.load(str(tmp_path / "train.csv"), classes=names, reading=reading)
    path = tmp_path / f"dev.{form}"
    if form == "npz":
        np.savez(path, x=other.x.reshape(-1, 28, 28), y=other.labels + 1)
    elif form == "folder":
        convert(digits._replace(train=other, test=None, classes=names), path, "png")
    notes = []
    found = load_dev_set(path, dataset, notes.append, reading)
    order = np.lexsort([*found.x.T, found.labels]) if form == "folder" else slice(None)
    wanted = np.lexsort([*other.x.T, other.labels]) if form == "folder" else slice(None)
    np.testing.assert_array_equal(found.labels[order], other.labels[wanted])
    np.testing.assert_array_equal(found.x[order], other.x[wanted])
    told = [note for note in notes if note.code == "numbered-classes"]
    assert len(told) == (named and form != "folder")
    assert all("1 is a, 2 is b" in note and "--class-names" not in note for note in told)


def test_notes_on_images_for_validation_say_so(tmp_path):
    digits = data.load("digits")
    np.savez(tmp_path / "dark.npz", x=255 - digits.test.x.reshape(-1, 28, 28), y=digits.test.labels)
    np.savez(tmp_path / "dim.npz", x=digits.test.x.reshape(-1, 28, 28) // 3, y=digits.test.labels)
    np.savez(tmp_path / "empty.npz", x=np.zeros((20, 28, 28), np.uint8), y=np.arange(20) % 9)
    notes = []
    for name in ("dark", "dim", "empty"):
        load_dev_set(tmp_path / f"{name}.npz", digits, notes.append)
    assert [note.code for note in notes] == ["other-ink", "dim-pixels", "blank", "empty-class"]
    text = " ".join(notes)
    assert "labelled" not in text
    assert "model" not in text
    assert text.count("validation images") == 4
