"""What signs say of a training, by themselves: each limit, what is named first, what is tried."""

import math

import pytest

from fnnet.data.notes import Note
from fnnet.training import advice
from fnnet.training.advice import Advice, explain, together
from fnnet.training.first_steps import Start
from fnnet.training.plan import Plan
from fnnet.training.signs import Signs

PLAN = Plan(epochs=10, batch_size=32, learning_rate=0.1)
FIT = Signs(
    PLAN, (784, 20, 10, 10), (28, 28), images=1000, steps=320, epochs=10, diverged=False, chance_loss=2.3,
    floor_loss=0.0, loss=0.2, accuracy=0.95, rows=1000, start_loss=None, gained=None, train_loss=0.25,
    least_train_loss=0.25, dev_loss=0.3, dev_accuracy=0.92, dev_images=500, least_dev_loss=0.28, late_fall=0.03,
    dead=(0.1, 0.0), saturated=(0.0, 0.0), variation=0.8, input_size=0.3, brightest=None,
)  # fmt: skip
START = Start(moved=(0.5, 0.6, 0.7), kept=1.2, update=0.02, decay=0.0, grad_norm=1.0, rate=0.15)
CHANCE = {"loss": 2.3, "accuracy": 0.1, "gained": 0.01, "train_loss": 2.3, "least_train_loss": 2.3, "late_fall": None}
SLIGHT = 1e-6
HUGE = START._replace(rate=0.03)
"""The start of a training whose rate is too high."""


def test_a_dropout_that_leaves_hardly_a_unit_is_the_cause():
    plan = PLAN._replace(dropout=0.95)
    found = explain(FIT._replace(plan=plan, dead=(0.0, 1.0), loss=1.5))
    assert (found.code, found.option, found.value) == ("dead-units", "dropout", 0.2)
    assert "a dropout of 0.95 leaves 5% of the units in a step" in found.cause
    found = explain(FIT._replace(**CHANCE, plan=plan, start=START))
    assert (found.code, found.option, found.value) == ("at-chance", "dropout", 0.2)
    found = explain(FIT._replace(plan=PLAN._replace(dropout=0.5), dead=(0.0, 1.0), loss=1.5))
    assert found.option == "activation"


def test_what_holds_for_no_dev_image_may_have_labels_of_others():
    others = FIT._replace(accuracy=1.0, dev_accuracy=0.1, dev_loss=5.0, least_dev_loss=2.25)
    found = explain(others)
    assert (found.code, found.option, found.value) == ("overfitted", "", advice.OTHERS)
    assert "never below that of chance" in found.cause
    assert explain(others._replace(least_dev_loss=2.1)).option == "early_stopping"


def test_a_healthy_training_has_no_line():
    assert explain(FIT) is None
    assert explain(FIT._replace(start=START)) is None
    assert explain(FIT._replace(dev_loss=None, dev_accuracy=None, least_dev_loss=None, late_fall=None)) is None
    assert explain(FIT._replace(sizes=(784, 10), dead=(), saturated=(), variation=None)) is None


@pytest.mark.parametrize(
    ("code", "beyond", "within"),
    [
        ("unscaled", {"input_size": advice.LARGE + 0.1, "loss": 0.5}, {"input_size": advice.LARGE, "loss": 0.5}),
        ("unscaled", {"input_size": advice.SMALL - 0.001, "loss": 0.5}, {"input_size": advice.SMALL, "loss": 0.5}),
        ("unscaled", {"input_size": 85.0, "loss": 0.5}, {"input_size": 85.0, "loss": 0.4}),
        ("diverged", {"loss": 2.77}, {"loss": 2.3 * 1.2 - SLIGHT}),
        ("diverged", {"loss": math.inf}, {}),
        ("diverged", {"train_loss": 0.25 + 0.58}, {"train_loss": 0.25 + 0.57}),
        ("diverged", {"loss": 2.77, "start_loss": 2.7}, {"loss": 2.77, "start_loss": 2.77, "accuracy": 0.9}),
        ("dead-units", {"dead": (0.5, 0.0), "loss": 0.5}, {"dead": (0.45, 0.45), "loss": 0.5}),
        ("dead-units", {"dead": (0.0, 1.0), "loss": 0.5}, {"dead": (0.0, 1.0), "loss": 0.4}),
        ("saturated", {"saturated": (0.0, 0.5), "loss": 0.5}, {"saturated": (0.45, 0.45), "loss": 0.5}),
        ("saturated", {"saturated": (1.0, 1.0), "loss": 0.5}, {"saturated": (1.0, 1.0), "loss": 0.4}),
        ("at-chance", CHANCE, {**CHANCE, "gained": 0.05}),
        ("at-chance", {**CHANCE, "gained": -0.5}, {**CHANCE, "gained": None}),
        ("still-falling", {"late_fall": 0.121}, {"late_fall": 0.119}),
        ("still-falling", {"late_fall": 0.25}, {"late_fall": 0.25, "epochs": 9}),
        ("still-falling", {"late_fall": 0.25, "loss": 0.12}, {"late_fall": 0.25, "loss": 0.11}),
        (
            "overfitted",
            {"accuracy": 1.0, "dev_accuracy": 0.8, "dev_loss": 0.4},
            {"accuracy": 1.0, "dev_accuracy": 0.91},
        ),
        ("overfitted", {"accuracy": 1.0, "dev_accuracy": 0.91, "dev_loss": 0.4}, {"dev_loss": 0.4}),
        (
            "overfitted",
            {"accuracy": 1.0, "dev_accuracy": 0.84},
            {"accuracy": 1.0, "dev_accuracy": 0.8, "dev_images": 60},
        ),
    ],
)
def test_each_limit(code, beyond, within):
    """Just beyond it there is a line, with the start measured or not, and just within there is none."""
    for start in (None, START, HUGE):
        found = explain(FIT._replace(start=start, **beyond))
        assert found.code == code
        assert found.note.code == code
        assert explain(FIT._replace(start=start, **within)) is None


def test_what_is_the_cause_of_others_is_named_first():
    """Take one failure after another away, from the first on: the next is named."""
    failing = {
        "unscaled": {"input_size": 100.0},
        "dead-units": {"dead": (1.0, 0.0)},
        "saturated": {"saturated": (1.0, 0.0)},
        "diverged": {"train_loss": 3.0},
        "at-chance": {"loss": 2.3, "accuracy": 0.1, "gained": 0.01},
        "still-falling": {"late_fall": 0.2},
        "overfitted": {"accuracy": 1.0, "dev_accuracy": 0.5},
    }
    assert [*failing] == [*advice.NAMES]
    for number, code in enumerate(failing):
        left = {**{name: value for each in [*failing.values()][number:] for name, value in each.items()}}
        left |= {"loss": 2.3, "accuracy": 0.1} if number <= 4 else {}
        assert explain(FIT._replace(**left)).code == code


WITHOUT_HIDDEN = {"sizes": (784, 10), "dead": (), "saturated": (), "variation": None}
SHORT = START._replace(moved=(0.01, 0.02, 0.09))


@pytest.mark.parametrize(
    ("signs", "start", "plan", "option", "value"),
    [
        ({"input_size": 0.001, "loss": 2.0, "brightest": 1}, START, {}, "pixel_max", 1),
        ({"input_size": 0.001, "loss": 2.0, "brightest": 0}, START, {}, "pixel_max", 1),
        ({"input_size": 0.001, "loss": 2.0, "brightest": 255}, START, {}, "", "standardise"),
        ({"input_size": 50.0, "diverged": True}, START, {}, "", "standardise"),
        ({"diverged": True}, HUGE, {}, "learning_rate", 0.03),
        ({"diverged": True}, START, {}, "learning_rate", 0.03),  # a third of the plan's
        ({"diverged": True}, START._replace(rate=None), {}, "learning_rate", 0.01),
        ({"diverged": True}, START._replace(decay=5.0), {"weight_decay": 50.0}, "weight_decay", 0.01),
        ({"loss": 9.0}, HUGE, {}, "learning_rate", 0.03),
        ({"loss": 9.0}, None, {"optimizer": "lbfgs"}, "optimizer", "adam"),
        ({"dead": (1.0, 1.0), "loss": 2.3}, HUGE, {}, "learning_rate", 0.03),
        ({"dead": (1.0, 1.0), "loss": 2.3}, START, {}, "activation", "leaky_relu"),
        ({"saturated": (1.0, 1.0), "loss": 2.3}, HUGE, {}, "learning_rate", 0.03),
        ({"saturated": (1.0, 1.0), "loss": 2.3}, START, {"activation": "tanh"}, "activation", "relu"),
        (CHANCE, START._replace(kept=0.05), {"weight_decay": 2.0}, "weight_decay", 0.02),
        (CHANCE, START._replace(grad_norm=0.5), {"clip_norm": 0.01}, "clip_norm", 0.5),
        (CHANCE, SHORT._replace(rate=0.5), {}, "learning_rate", 0.5),
        (CHANCE, SHORT, {}, "epochs", 100),
        ({**CHANCE, "variation": 0.01}, START, {"activation": "sigmoid"}, "activation", "relu"),
        ({**CHANCE, "variation": 0.01}, START, {}, "hidden", (20,)),
        (CHANCE, HUGE, {}, "learning_rate", 0.03),
        ({**CHANCE, **WITHOUT_HIDDEN}, START, {}, "hidden", (32,)),
        (CHANCE, START, {}, "", "look at some images"),
        ({"late_fall": 0.2}, START._replace(rate=0.5), {}, "learning_rate", 0.5),
        ({"late_fall": 0.2}, START, {}, "epochs", 30),
        ({"late_fall": 0.2}, None, {}, "epochs", 30),
    ],
)
def test_what_is_tried(signs, start, plan, option, value):
    """By what is measured at the start; the plan says what is in force."""
    found = explain(FIT._replace(plan=PLAN._replace(**plan), start=start, **signs))
    assert found.option == option
    assert found.value == value or (not option and found.value.startswith(value))


@pytest.mark.parametrize("more", [{}, WITHOUT_HIDDEN, {"late_fall": 0.3, "loss": 2.25}])
def test_after_few_steps_chance_is_named_only_with_a_measured_cause(more):
    few = FIT._replace(**{**CHANCE, **more}, steps=advice.FEW - 1)
    assert explain(few).code == "at-chance", "the start is to be measured"
    assert explain(few._replace(start=START)) is None
    assert explain(few._replace(start=START, steps=advice.FEW)).code == "at-chance"
    assert explain(few._replace(start=SHORT)).option == "epochs"
    assert explain(few._replace(start=HUGE)).option == "learning_rate"


OVER = {"accuracy": 1.0, "dev_accuracy": 0.7}


@pytest.mark.parametrize(
    ("signs", "plan", "option", "value"),
    [
        ({"dev_loss": 1.0}, {}, "early_stopping", 2),
        ({"dev_loss": 1.0}, {"epochs": 50}, "early_stopping", 5),
        ({"dev_loss": 1.0}, {"epochs": 1000}, "early_stopping", 10),
        ({"dev_loss": 1.0}, {"epochs": 1000, "report_every": 50}, "early_stopping", 2),
        ({"dev_loss": 1.0}, {"early_stopping": 5}, "deformation", {}),
        ({}, {}, "deformation", {}),
        ({"image_shape": (1, 30)}, {}, "dropout", 0.3),
        ({"image_shape": (1, 30)}, {"dropout": 0.3}, "weight_decay", 1e-3),
        ({"image_shape": (1, 30), **WITHOUT_HIDDEN}, {}, "weight_decay", 1e-3),
        ({"image_shape": (1, 30), **WITHOUT_HIDDEN}, {"weight_decay": 1e-3}, "weight_decay", 0.01),
        ({"image_shape": (1, 30)}, {"dropout": 0.3, "weight_decay": 1e-4}, "hidden", (10, 5)),
        ({}, {"optimizer": "lbfgs"}, "weight_decay", 1e-3),
    ],
)
def test_against_overfitting_the_first_that_is_not_in_use_is_tried(signs, plan, option, value):
    found = explain(FIT._replace(plan=PLAN._replace(**plan), epochs=plan.get("epochs", 10), **{**OVER, **signs}))
    assert (found.option, found.value) == (option, value)


def test_the_line():
    note = Advice("still-falling", "it fell", "epochs", 30).note
    assert isinstance(note, Note)
    assert (note.code, note) == ("still-falling", "still falling: it fell; try `epochs` 30")
    assert Advice("overfitted", "so", "hidden", (20, 10)).note.endswith("; try `hidden` 20,10")
    assert Advice("diverged", "so", "learning_rate", 3e-6).note.endswith("; try `learning_rate` 3e-06")
    assert Advice("at-chance", "so", "", "look").note == "at chance: so; look"


def test_networks_share_the_line_of_each_code():
    falling, over = (Advice(code, "so", "epochs", 3) for code in ("still-falling", "overfitted"))
    found = [("1", over), ("2", falling), ("3", None), ("4", falling)]
    assert together(found, "member") == [f"members 2, 4: {falling.note}", f"member 1: {over.note}"]
    assert [note.code for note in together(found, "member")] == ["still-falling", "overfitted"]
    assert together([("1", None)], "seed") == []
    many = [(str(number), over) for number in range(9)]
    assert together(many, "seed") == [f"seeds 0, 1, 2, 3, 4, 5, 6, 7, ...: {over.note}"]
