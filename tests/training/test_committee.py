"""A committee: its members are networks alone with seeds of their own; its run goes on wherever it was stopped."""

import copy
import pickle
import re

import numpy as np
import pytest

import fnnet
from fnnet.core import committee as definition
from fnnet.core.params import weights_sha256
from fnnet.core.state import Committee, networks_of
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.files.log import read_log
from fnnet.files.runs import OtherRunError
from fnnet.limits import MOST_MEMBERS
from fnnet.training import check_run, committee, many, recipes, session
from fnnet.training.session import StoppedError, prepare
from tests.training.test_many import dataset

SETTINGS = {"hidden": (9,), "epochs": 3, "batch_size": 20, "dev": 30, "members": 3, "dropout": 0.2}
SEEDS = [5, 5 + 2**32, 5 + 2**33]


@pytest.fixture(scope="module")
def images():
    return dataset()


def hashes(found):
    return [weights_sha256(*networks_of(each.model.params)) for each in found.members]


def without_seconds(found):
    return [[report._replace(seconds=0.0) for report in each.reports] for each in found.members]


def test_members_are_networks_alone_with_their_seeds(images, kernels):
    job = prepare(images, "classic", SETTINGS | {"dev": 0}, seed=5)
    shown, told = [], []
    found = committee.train(job, kernels=kernels, on_block=shown.append, notify=told.append)
    assert [progress.member for progress in shown] == sorted(progress.member for progress in shown)
    assert {progress.member for progress in shown} == {1, 2, 3}
    assert committee.seeds(5, 3) == [each.model.training["seed"] for each in found.members] == SEEDS
    for seed, member in zip(SEEDS, found.members, strict=True):
        alone = prepare(images, "classic", SETTINGS | {"dev": 0, "members": 1}, seed=seed)
        model, reports = session.train(alone, kernels=kernels)
        assert model.params == member.model.params
        assert model.training == member.model.training
        assert [each._replace(seconds=0) for each in reports] == [each._replace(seconds=0) for each in member.reports]
    trained = [line.partition(":")[0] for line in told if not hasattr(line, "code")]
    assert trained == [f"member {number} of 3 is trained" for number in (1, 2, 3)]
    assert "3 epochs, " in told[0]
    assert "train accuracy" in told[0]
    # Committees of small seeds share no member.
    assert not {*committee.seeds(0, 10)} & {*committee.seeds(1, 10)}
    assert committee.seeds(2**64 - 1, 2) == [2**64 - 1, 2**32 - 1]


def test_its_logits_are_the_mean_and_its_figures_those_of_the_saved_model(images, kernels, tmp_path):
    job = prepare(images, "classic", SETTINGS, seed=5)
    found = committee.train(job, kernels=kernels)
    model, about = found.model, found.model.training
    assert model.params == fnnet.join([each.model.params for each in found.members])
    fnnet.save_model(tmp_path / "m", model)
    loaded = fnnet.load_model(tmp_path / "m")
    assert loaded.training == about
    for part, examples in (("dev", job.dev), ("test", images.test)):
        right = fnnet.evaluate(loaded, examples, kernels=kernels).accuracy
        assert about[f"{part}_accuracy"] == pytest.approx(right)
        assert about[f"{part}_loss"] == pytest.approx(fnnet.loss(loaded, *examples), rel=1e-5)
        for own, each in zip(about["members"], found.members, strict=True):
            right = (fnnet.predict(each.model.params, examples.x, kernels=kernels) == examples.labels).mean()
            assert own[f"{part}_accuracy"] == pytest.approx(right)
    assert [own["seed"] for own in about["members"]] == SEEDS
    assert [own["dev_accuracy"] for own in about["members"]] == [
        each.reports[-1].dev_accuracy for each in found.members
    ]
    assert (about["seed"], about["steps"]) == (5, 3 * found.members[0].model.training["steps"])
    shares = [own["dead_units"][0] for own in about["members"]]
    assert about["dead_units"] == (pytest.approx(np.mean(shares)),)
    # The door of all recipes is the same training.
    again, reports = session.train(job, kernels=kernels)
    assert again.params == model.params
    assert again.training == about
    assert [each.epoch for each in reports] == [1, 2, 3] * 3


def test_no_member_has_seen_the_dev_images(images, monkeypatch):
    """All are trained on the same cut, that of the committee's seed."""
    seen = []
    trained = session.trained

    def noted(job, **given):
        seen.append(job)
        return trained(job, **given)

    monkeypatch.setattr(session, "trained", noted)
    job = prepare(images, "classic", SETTINGS, seed=5)
    committee.train(job)
    assert [own.seed for own in seen] == SEEDS
    assert all(own.train is job.train and own.dev is job.dev for own in seen)


def test_the_test_images_are_read_once_all_are_trained(images, monkeypatch):
    order = []
    trained, model_of = session.trained, session.model_of
    monkeypatch.setattr(session, "trained", lambda *given, **more: order.append("train") or trained(*given, **more))
    monkeypatch.setattr(session, "model_of", lambda *given: order.append("test") or model_of(*given))
    committee.train(prepare(images, "classic", SETTINGS))
    assert order == ["train"] * 3 + ["test"] * 3


def test_beyond_the_limit_its_members_are_held_apart(images, kernels, monkeypatch, tmp_path):
    job = prepare(images, "classic", SETTINGS, seed=5)
    joined = committee.train(job, kernels=kernels).model
    monkeypatch.setattr(definition, "MOST_JOINED_BYTES", 1000)
    apart = committee.train(job, kernels=kernels).model
    assert isinstance(apart.params, Committee)
    fnnet.save_model(tmp_path / "m", apart)
    loaded, x = fnnet.load_model(tmp_path / "m"), images.test.x
    assert loaded.params == apart.params
    near = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(fnnet.scores(loaded, x, kernels=kernels), fnnet.scores(joined, x), **near)
    for key in ("test_loss", "test_accuracy", "dev_loss", "dev_accuracy"):
        assert apart.training[key] == pytest.approx(joined.training[key], rel=1e-5)
    assert apart.training["members"] == joined.training["members"]


@pytest.mark.parametrize("every", [1, 4])
def test_stopped_again_and_again_and_resumed_it_is_the_same(every, images, kernels, tmp_path):
    job = prepare(images, "classic", SETTINGS, seed=5)
    whole = committee.train(job, kernels=kernels)
    places, resume = [], False
    while True:
        blocks = []

        def on_block(progress, blocks=blocks):
            blocks.append(progress)
            return "cancelled" if len(blocks) == every else None

        try:
            found = committee.train(job, kernels=kernels, run_dir=tmp_path / "run", resume=resume, on_block=on_block)
            break
        except StoppedError as stopped:
            assert stopped.fix == "go on with `resume`"
            places.append(stopped.place)
            resume = True
    assert len(places) >= 2
    named = [re.fullmatch(r"member (\d) of 3, step (\d+)", place) for place in places]
    assert named == sorted(named, key=lambda match: (int(match[1]), int(match[2])))
    assert hashes(found) == hashes(whole)
    assert without_seconds(found) == without_seconds(whole)
    assert found.model.training == whole.model.training
    *folders, kept = sorted((tmp_path / "run").iterdir())
    assert [folder.name for folder in folders] == ["member-01", "member-02", "member-03"]
    assert fnnet.load_model(kept).params == found.model.params
    assert all(read_log(folder)[-1]["reason"] == "finished" for folder in folders)


def test_a_finished_member_is_not_trained_again(images, kernels, tmp_path):
    job, told, made = prepare(images, "classic", SETTINGS), [], []
    first = committee.train(job, kernels=kernels, run_dir=tmp_path / "run")
    given = {"kernels": kernels, "run_dir": tmp_path / "run", "on_block": made.append, "notify": told.append}
    again = committee.train(job, resume=True, **given)
    assert not made
    assert [each.reports for each in again.members] == [each.reports for each in first.members]
    assert again.model.params == first.model.params
    assert all("is trained" in line for line in told if not hasattr(line, "code"))
    # A member that was never begun is begun, without a note on each.
    for path in (tmp_path / "run" / "member-03").iterdir():
        path.unlink()
    (tmp_path / "run" / "member-03").rmdir()
    again = committee.train(job, resume=True, **given)
    assert {progress.member for progress in made} == {3}
    assert again.model.params == first.model.params
    assert not [line for line in told if "no checkpoint" in line]


def test_more_epochs_go_on_with_each_member(images, kernels, tmp_path):
    wanted = committee.train(prepare(images, "classic", SETTINGS | {"epochs": 5}), kernels=kernels)
    committee.train(prepare(images, "classic", SETTINGS), kernels=kernels, run_dir=tmp_path / "run")
    more = prepare(images, "classic", SETTINGS | {"epochs": 5})
    found = committee.train(more, kernels=kernels, run_dir=tmp_path / "run", resume=True)
    assert hashes(found) == hashes(wanted)
    assert found.model.training["plan"]["epochs"] == 5


def test_what_is_not_this_committee_s_run_is_refused(images, tmp_path):
    job, run = prepare(images, "classic", SETTINGS), tmp_path / "run"
    committee.train(job, run_dir=run)
    with pytest.raises(UsageError, match=r"member-01: holds a run already; go on with `resume`"):
        committee.train(job, run_dir=run)
    for settings, seed, key in (
        ({"members": 4}, 0, "members"), ({"members": 2}, 0, "members"), ({}, 1, "seed"),
        ({"learning_rate": 0.1}, 0, "plan.learning_rate"),
    ):  # fmt: skip
        other = prepare(images, "classic", SETTINGS | settings, seed=seed)
        before = sorted((path, path.read_bytes()) for path in run.rglob("step-*"))
        with pytest.raises(OtherRunError, match=rf"member-01: {key} differs from the run"):
            committee.train(other, run_dir=run, resume=True)
        with pytest.raises(OtherRunError, match=rf"member-01: {key} differs from the run"):
            check_run.check_run(run, True, "classic", SETTINGS | settings, seed=seed)
        assert before == sorted((path, path.read_bytes()) for path in run.rglob("step-*"))
    with pytest.raises(UsageError, match="holds a run already"):
        check_run.check_run(run, False, "classic", SETTINGS)
    check_run.check_run(run, True, "classic", SETTINGS)
    alone = prepare(images, "classic", SETTINGS | {"members": 1})
    for resume in (False, True):
        with pytest.raises(
            UsageError, match="run: holds the run of a committee; expected the run of one network; give"
        ):
            session.train(alone, run_dir=run, resume=resume)
        with pytest.raises(UsageError, match="run: holds the run of a committee"):
            check_run.check_run(run, resume, "classic", SETTINGS | {"members": 1})
    kept = ["member-01", "member-02", "member-03", "model.safetensors"]
    assert sorted(path.name for path in run.iterdir()) == kept
    session.train(alone, run_dir=tmp_path / "alone")
    for resume in (False, True):
        with pytest.raises(UsageError, match="alone: holds the run of one network; expected the run of a committee"):
            committee.train(job, run_dir=tmp_path / "alone", resume=resume)
        with pytest.raises(UsageError, match="alone: holds the run of one network"):
            check_run.check_run(tmp_path / "alone", resume, "classic", SETTINGS)


def test_a_member_that_diverges_is_named(images, tmp_path):
    wild = prepare(images, "classic", SETTINGS | {"learning_rate": 1e30, "dropout": 0.0})
    for run_dir in (None, tmp_path / "run"):
        with pytest.raises(
            DivergedError, match=r"member 1 of 3, .*: try `learning_rate` [01]\.?\d*, in another folder if"
        ):
            committee.train(wild, run_dir=run_dir)


def test_seeds_of_initial_weights_are_apart_too(images):
    job = prepare(images, "classic", SETTINGS, seed=5, init_seed=8)
    found = committee.train(job)
    assert [each.model.training["init_seed"] for each in found.members] == committee.seeds(8, 3)
    assert len({*hashes(found)}) == 3


def test_a_committee_without_epochs_test_images_or_steps(images):
    plain = images._replace(test=None)
    for settings in ({"epochs": 0, "dev": 0}, {"optimizer": "lbfgs", "epochs": 2, "dev": 0, "dropout": 0.0}):
        own = {key: value for key, value in (SETTINGS | settings).items() if key != "batch_size"}
        found = committee.train(prepare(plain, "classic", own))
        about = found.model.training
        assert [about[f"{part}_{key}"] for part in ("dev", "test") for key in ("loss", "accuracy")] == [None] * 4
        assert len({*hashes(found)}) == 3


def test_what_a_committee_cannot_be_combined_with(images):
    start = fnnet.Model(fnnet.init((64, 9, 5)), classes=images.classes, image_shape=images.image_shape)
    with pytest.raises(UsageError, match="members: members start from weights of their own; expected 1 with `start`"):
        prepare(images, "classic", {"members": 2}, start=start)
    for given in ({"init_seeds": range(2)}, {"seeds": range(2)}):
        with pytest.raises(UsageError, match="members: each network is a committee; expected 1, found 3"):
            many.train_many(images, "classic", SETTINGS, **given)
    for members in (0, 501, 1.5):
        with pytest.raises(UsageError, match=r"^members: "):
            prepare(images, "classic", {"members": members})
    with pytest.raises(ArgumentTypeError, match="job; expected a Job"):
        committee.train("committee")
    with pytest.raises(UsageError, match="`resume` needs the folder of the run"):
        committee.train(prepare(images, "classic", SETTINGS), resume=True)
    with pytest.raises(UsageError, match="`run_dir` keeps steps"):
        committee.train(prepare(images, "classic", {"optimizer": "lbfgs", "members": 2}), run_dir="never-made")


def test_the_largest_committee_can_be_described(tmp_path):
    """Each member of seven layers has its tensors and its figures in the description."""
    member = fnnet.init((2, *[1] * 6, 2))
    figures = {f"{part}_{key}": 0.1 + 0.2 for part in ("dev", "test") for key in ("loss", "accuracy")}
    own = figures | {"seed": 2**53, "steps": 10**6, "dead_units": [0.1 + 0.2] * 6}
    made = fnnet.Model(Committee((member,) * MOST_MEMBERS), "relu", ("a", "b"), (1, 2))
    made = made._replace(training={"members": [own] * MOST_MEMBERS})
    fnnet.save_model(tmp_path / "m", made)
    assert len(fnnet.load_model(tmp_path / "m").params.members) == MOST_MEMBERS


def test_a_committee_can_be_copied():
    made = fnnet.Model(Committee((fnnet.init((4, 2)), fnnet.init((4, 2), 1))))
    for again in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again.params == made.params
        assert not again.params.members[1][0].W.flags.writeable


def test_the_recipe(images):
    recipe = recipes.get("committee")
    job = prepare(images, "committee")
    assert (job.members, job.sizes[1:-1], job.recipe) == (10, (1024, 512), "committee")
    assert prepare(images, "committee", {"members": 4}).members == 4
    assert all(other.members == 1 for other in recipes.RECIPES.values() if other is not recipe)
    # Joined it is larger than the limit: its members are held apart.
    wide = (784, *(10 * width for width in recipe.hidden), 10)
    assert 4 * definition.count_parameters(wide) > definition.MOST_JOINED_BYTES
