"""Training on a stream: the bits of training in memory on the same images in the order that `core.orders` defines."""

import json
import shutil

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.core.orders import numbers_of, starts_of, stream_order, whole_batches, window_order, windows
from fnnet.core.params import weights_sha256
from fnnet.core.shards import ALONE
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY
from fnnet.data import Dataset
from fnnet.data.convert import convert
from fnnet.data.expand import expand
from fnnet.data.stream_index import INDEX, digest_of
from fnnet.errors import ArgumentTypeError, DataError, DivergedError, FnnetError, UsageError
from fnnet.files.log import read_log
from fnnet.files.runs import OtherRunError, newest
from fnnet.threads import beside
from fnnet.training import epochs, feed, many, memory, parts, record
from fnnet.training.dev_set import load_dev_set
from fnnet.training.many import train_many
from fnnet.training.plan import Plan
from fnnet.training.rate_search import find_learning_rate
from fnnet.training.session import StoppedError, prepare, train
from tests.data.test_arrow import packed, structs
from tests.tools.ranks import run as run_ranks
from tests.tools.written import parquet

DIGITS = data.load("digits")
FEW = DIGITS._replace(
    train=Examples(DIGITS.train.x[:150], DIGITS.train.labels[:150]),
    test=Examples(DIGITS.test.x[:40], DIGITS.test.labels[:40]),
)
DEFORMED = {"shift": 1.0, "rotation": 10.0, "elastic": 1.0}
PLANS = {
    "classic": ("classic", {}),
    "quick": ("quick", {"batch_size": 40}),
    "deep": ("classic", {"hidden": (30, 12), "optimizer": "adam", "learning_rate": 0.01, "dropout": 0.2,
                         "deformation": DEFORMED, "batch_size": 25}),
    "clipped": ("classic", {"hidden": (20,), "optimizer": "momentum", "clip_norm": 0.3, "ema": 0.9, "batch_size": 37,
                            "shards": 4}),
    "faded": ("accurate", {"hidden": (50, 20), "batch_size": 30}),
    "one window": ("classic", {"window": 5000}),
    "windows of a batch": ("classic", {"window": 1}),
    "batch of a window": ("classic", {"batch_size": 70, "window": 60}),
    "batch of all": ("classic", {"batch_size": 5000}),
}  # fmt: skip
SETTINGS = {"epochs": 3, "min_steps": 0, "window": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of 130 images three times over, in shards that no window or batch divides, and 20 for validation."""
    path = tmp_path_factory.mktemp("streams") / "stream"
    expand(FEW, path, 3, dev=20, seed=4, shard_images=53)
    return path


@pytest.fixture(scope="module")
def stream(folder):
    return data.open_stream(folder)


def in_memory(stream):
    """The same images, one behind another."""
    x, labels = (np.concatenate(each) for each in zip(*stream.train.batches(10**6), strict=True))
    return Dataset(stream.name, stream.source, Examples(x, labels), stream.test, stream.classes, stream.image_shape)


def without_seconds(reports):
    return [report._replace(seconds=0.0) for report in reports]


def outcome(job, kernels, **options):
    model, reports = train(job, kernels=kernels, **options)
    return weights_sha256(model.params), model.training["dead_units"], without_seconds(reports)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        *((name, None) for name in PLANS),
        *((name, text) for name in ("classic", "deep") for text in ("balanced", "3=2,4=0")),
    ],
)
def test_a_stream_trains_to_the_bits_of_the_same_images_in_memory(name, weights, stream, kernels, monkeypatch):
    recipe, settings = PLANS[name]
    settings = {**SETTINGS, **settings}
    job = prepare(stream, recipe, settings, seed=7, class_weights=weights)
    found, sizes = outcome(job, kernels), stream.train.sizes
    window = whole_batches(job.plan.window, min(job.plan.batch_size, sum(sizes)))
    monkeypatch.setattr(feed, "epoch_order", lambda seed, epoch, n: stream_order(seed, epoch, sizes, window))
    del settings["window"]
    job = prepare(in_memory(stream), recipe, settings, seed=7, class_weights=weights, dev_set=stream.dev)
    if name == "batch of all":  # in memory, all are read as they lie
        monkeypatch.setattr(
            feed.InMemory, "is_full_batch", property(lambda each: False, lambda each, value: None), raising=False
        )
    assert outcome(job, kernels) == found
    monkeypatch.setattr(feed, "epoch_order", lambda seed, epoch, n: stream_order(seed + 1, epoch, sizes, window))
    assert outcome(job, kernels) != found, "another order gives other bits"


@pytest.mark.parametrize("layout", ["lists", "columns", "PNG"])
def test_parquet_trains_to_the_bits_of_reading_it_in_memory(layout, tmp_path, kernels, monkeypatch):
    table, settings = parquet_of(FEW.train, layout), {**SETTINGS, "hidden": (20,), "deformation": DEFORMED}
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(table, row_group_size=40))
    stream = data.open_parquet(path)
    found = outcome(prepare(stream, "classic", settings, seed=7), kernels)
    monkeypatch.setattr(feed, "epoch_order", lambda seed, epoch, n: stream_order(seed, epoch, (40, 40, 40, 30), 64))
    del settings["window"]
    assert outcome(prepare(data.load(path), "classic", {**settings, "dev": 0}, seed=7), kernels) == found


def parquet_of(examples, layout):
    """A table of the images in one of the ways that Parquet holds them."""
    pa = pytest.importorskip("pyarrow")
    x, cells = examples.x, {}
    if layout == "columns":
        cells = {f"pixel{at}": x[:, at] for at in range(784)}
    elif layout == "lists":
        cells = {"image": pa.array([*x])}
    else:
        cells = {"image": structs([packed(each.reshape(28, 28)) for each in x])}
    return pa.table({"label": examples.labels, **cells})


def test_the_order_of_a_stream_is_each_image_once_in_windows_of_whole_pieces():
    sizes = (5, 0, 3, 8, 1)
    found = stream_order(3, 2, sizes, 6)
    assert sorted(found.tolist()) == [*range(17)]
    assert found.tolist() != stream_order(3, 3, sizes, 6).tolist()
    assert found.tolist() != stream_order(4, 2, sizes, 6).tolist()
    spans = windows(3, 2, sizes, 6)
    assert [sum(span.stop - span.first for span in each) for each in spans] == [6, 6, 5]
    for number, each in enumerate(spans):
        numbers = numbers_of(each, starts_of(sizes))
        assert {*found[6 * number : 6 * number + 6].tolist()} == {*numbers.tolist()}
        assert numbers[window_order(3, 2, number, len(numbers))].tolist() == found[6 * number : 6 * number + 6].tolist()
    pieces = [span.piece for each in spans for span in each]
    assert [piece for at, piece in enumerate(pieces) if piece not in pieces[:at]] == [*dict.fromkeys(pieces)]
    assert {*pieces} == {0, 2, 3, 4}
    assert len({tuple(span.piece for each in windows(s, 1, sizes, 6) for span in each) for s in range(30)}) > 10


@pytest.mark.parametrize("name", ["classic", "deep", "faded"])
def test_stopped_after_every_block_and_resumed_it_is_the_same_run(name, stream, kernels, tmp_path):
    """Thus in the midst of windows and of files."""
    recipe, settings = PLANS[name]
    job = prepare(stream, recipe, {**SETTINGS, **settings, "epochs": 2})
    alone, places = outcome(job, kernels), set()

    def stop(progress):
        places.add(progress.images)
        return "enough"

    for attempt in range(200):
        try:
            found = outcome(job, kernels, run_dir=tmp_path / "run", resume=attempt > 0, on_block=stop)
        except StoppedError:
            continue
        break
    assert found == alone
    assert any(place % 53 and place % 64 for place in places)


def test_a_run_is_resumed_with_its_window_and_its_files_alone(stream, folder, tmp_path):
    settings = {**SETTINGS, "epochs": 1}
    train(prepare(stream, "classic", settings), run_dir=tmp_path / "run")
    for other in ({"window": 96}, {"window": None}):
        with pytest.raises(OtherRunError, match=r"plan\.window differs from the run"):
            train(prepare(stream, "classic", {**settings, **other}), run_dir=tmp_path / "run", resume=True)
    expand(FEW, tmp_path / "other", 3, dev=20, seed=5, shard_images=53)
    with pytest.raises(OtherRunError, match=r"data\.train differs from the run"):
        train(prepare(data.open_stream(tmp_path / "other"), "classic", settings), run_dir=tmp_path / "run", resume=True)


@pytest.mark.parametrize("name", ["classic", "deep"])
def test_ranks_that_each_read_the_stream_train_to_the_same_bits(name, folder, kernels):
    recipe, settings = PLANS[name]

    def work(ranks):
        job = prepare(data.open_stream(folder), recipe, {**SETTINGS, **settings, "epochs": 2, "shards": 8})
        return outcome(job, kernels._replace(threads=1), ranks=ranks)

    alone = work(ALONE)
    for size in (2, 3):
        assert run_ranks(size, work) == [alone] * size


def test_where_the_system_grants_no_thread_windows_are_read_between_blocks(stream, kernels, monkeypatch):
    job = prepare(stream, "classic", SETTINGS)
    found = outcome(job, kernels)
    monkeypatch.setattr(feed, "free_helpers", lambda count: iter(()))
    assert outcome(job, kernels) == found


def test_a_run_whose_file_is_damaged_is_kept_and_goes_on_when_it_is_whole_again(folder, kernels, tmp_path):
    copy, run_dir = tmp_path / "stream", tmp_path / "run"
    shutil.copytree(folder, copy)

    def job():
        return prepare(data.open_stream(copy), "classic", {**SETTINGS, "epochs": 2}, seed=3)

    alone = outcome(job(), kernels)
    last = [*dict.fromkeys(span.piece for each in windows(3, 1, job().train.sizes, 64) for span in each)][-1]
    path = copy / f"train-{last + 1:05}.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    places = []
    with pytest.raises(DataError, match=rf"{path.name}: bytes .*: damaged file; .*step \d+ is kept in .*`resume`"):
        train(job(), kernels=kernels, run_dir=run_dir, on_block=lambda progress: places.append(progress.images))
    assert places
    assert places[-1] % 64 == 0
    assert read_log(run_dir)[-1]["reason"] == "unreadable data"
    assert read_log(run_dir)[-1]["step"] == places[-1] // 32
    path.write_bytes(content)
    assert outcome(job(), kernels, run_dir=run_dir, resume=True) == alone
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=rf"{path.name}: bytes .*: damaged file; .*--skip-damaged$"):
        train(job(), kernels=kernels)
    found = run_ranks(
        2,
        lambda ranks: outcome(
            prepare(data.open_stream(copy), "classic", SETTINGS | {"shards": 2}), kernels, ranks=ranks
        ),
    )
    assert [type(each) for each in found] == [DataError] * 2, "all ranks end"


def test_a_stream_without_its_damaged_files_is_one_that_never_had_them(folder, kernels, tmp_path):
    copy, rest = tmp_path / "stream", tmp_path / "rest"
    shutil.copytree(folder, copy)
    (copy / "train-00002.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"train-00002\.npy: "):
        data.open_stream(copy)
    damaged = prepare(data.open_stream(copy, skip_damaged=True), "classic", SETTINGS)
    shutil.copytree(folder, rest)
    values = json.loads((rest / INDEX).read_text())
    del values["sha256"], values["parts"]["train"][1]
    (rest / INDEX).write_text(json.dumps(values | {"sha256": digest_of(values)}))
    never = prepare(data.open_stream(rest), "classic", SETTINGS)
    assert damaged.train.fingerprint == never.train.fingerprint
    assert outcome(damaged, kernels, run_dir=tmp_path / "run") == outcome(never, kernels)
    with pytest.raises(OtherRunError) as raised:
        train(
            prepare(data.open_stream(folder), "classic", SETTINGS),
            kernels=kernels,
            run_dir=tmp_path / "run",
            resume=True,
        )
    assert raised.value.differences["data.left_out"] == ('["train-00002.npy"]', None)


def test_networks_of_many_seeds_see_the_same_windows(stream, kernels):
    settings = {**SETTINGS, "early_stopping": 1, "epochs": 4}
    each = [{**settings, "learning_rate": rate} for rate in (0.01, 0.9, 3.0)]
    found = train_many(stream, "classic", each, init_seeds=[1, 2, 3], seed=5, kernels=kernels)
    for number, (own, network) in enumerate(zip(each, found.networks, strict=True), 1):
        alone, reports = train(prepare(stream, "classic", own, seed=5, init_seed=number), kernels=kernels)
        assert weights_sha256(network.model.params) == weights_sha256(alone.params)
        assert len(network.reports) == len(reports)
    with pytest.raises(UsageError, match="seeds: each network would read all images; expected images in memory"):
        train_many(stream, "classic", settings, seeds=[1, 2], kernels=kernels)


def test_networks_of_many_seeds_are_tested_one_after_another(stream, kernels, monkeypatch):
    """What is not in memory is not read by several threads, each from where another has not left off."""
    threads = []
    monkeypatch.setattr(many, "run_each", lambda tasks, count: threads.append(count) or [task() for task in tasks])
    kernels = kernels._replace(threads=4)
    for found, window in ((stream, 64), (FEW, None)):
        train_many(found, "classic", {**SETTINGS, "window": window}, init_seeds=[1, 2], kernels=kernels)
    assert threads == [1, 4]


def test_the_members_of_a_committee_read_the_stream_one_after_another(stream, kernels):
    job = prepare(stream, "classic", {**SETTINGS, "members": 2})
    model, _ = train(job, kernels=kernels)
    first, _ = train(prepare(stream, "classic", SETTINGS), kernels=kernels)
    assert len(model.training["members"]) == 2
    assert model.training["members"][0]["test_accuracy"] == first.training["test_accuracy"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"optimizer": "lbfgs"}, "optimizer: reads all images at once"),
        ({"batch_size": None}, "batch_size: reads all images at once; expected a number of images"),
        ({"dev": 5}, "dev: nothing is held out of a stream; .*fnnet data expand --dev N"),
        ({"train_images": 5}, "train_images: a stream is trained on as a whole"),
        ({"window": 0}, "window"),
        ({"early_stopping": 2, "dev": 0}, "no dev images for early stopping"),
    ],
)
def test_what_a_stream_cannot_do_is_refused_by_name(settings, text, stream):
    with pytest.raises(UsageError, match=text):
        prepare(stream, "classic", {**SETTINGS, **settings})


def test_what_needs_a_stream_or_memory_says_so(stream):
    with pytest.raises(UsageError, match="window: has no effect; expected a data set that is streamed"):
        prepare(FEW, "classic", {"window": 5})
    with pytest.raises(UsageError, match="dev_data"):
        prepare(stream, "classic", {"dev": 3}, dev_set=FEW.test)
    with pytest.raises(UsageError, match="reads all images at once; expected a data set that fits in memory"):
        find_learning_rate(prepare(stream, "classic", SETTINGS))
    with pytest.raises(ArgumentTypeError, match="expected a Dataset or a StreamedDataset, found Shards"):
        prepare(stream.train)
    with pytest.raises(UsageError, match="batch_size"):
        next(
            epochs.epochs(
                epochs.start(fnnet.init((784, 10), 0), 0, Plan(1, None, 0.1)), stream.train, Plan(1, None, 0.1)
            )
        )


def test_validation_is_by_the_images_that_come_with_the_stream_or_by_others(stream, folder, tmp_path):
    assert prepare(stream, "classic", SETTINGS).dev is stream.dev
    assert prepare(stream, "classic", {**SETTINGS, "dev": 0}).dev is None
    assert prepare(stream, "classic", SETTINGS, dev_set=FEW.test).dev is FEW.test
    convert(FEW, tmp_path / "few.npz")
    found = load_dev_set(tmp_path / "few.npz", stream)
    np.testing.assert_array_equal(found.x, FEW.train.x)


def test_windows_count_as_memory_that_training_needs(stream, monkeypatch):
    job = prepare(stream, "classic", {**SETTINGS, "window": 300})
    memory.check_job(job, NUMPY)
    monkeypatch.setattr("fnnet.limits.available_bytes", lambda: (2 * 300 * 784, "the test"))
    with pytest.raises(FnnetError, match="use a smaller `hidden` or `window` or `batch_size`"):
        memory.check_job(job, NUMPY)


def test_a_window_is_read_beside_the_team_which_leaves_it_a_processor(stream, kernels, monkeypatch):
    load, counts = feed.Streamed._load, []
    monkeypatch.setattr(feed.Streamed, "_load", lambda *given: counts.append(beside.count) or load(*given))
    outcome(prepare(stream, "classic", SETTINGS), kernels)
    assert counts[0] == 0  # the first window is waited for
    assert {*counts[1:]} == {1}
    assert beside.count == 0


def test_training_that_is_left_waits_for_what_is_being_read(stream, monkeypatch):
    """Its thread is then free for others, and no file is open."""
    closed = []
    monkeypatch.setattr(feed.Streamed, "close", lambda each, close=feed.Streamed.close: closed.append(close(each)))
    with pytest.raises(StoppedError):
        train(prepare(stream, "classic", SETTINGS), on_block=lambda progress: "enough")
    assert closed == [None]


@pytest.mark.parametrize("deformation", [None, DEFORMED])
def test_training_that_diverges_on_a_stream_names_the_step(deformation, stream, kernels, tmp_path):
    job = prepare(stream, "classic", {**SETTINGS, "learning_rate": 1e30, "deformation": deformation})
    with pytest.raises(DivergedError, match=r"step 2, layer 2: training diverged; .*step 0, the last good one"):
        train(job, kernels=kernels, run_dir=tmp_path / "run")


def test_dead_units_of_a_long_stream_are_looked_for_in_a_part_of_it(stream, monkeypatch):
    """One dead unit would have all images read again behind the last step, by one thread, while ranks wait."""
    params = fnnet.init((784, 3, 10), seed=1)
    dead = params.layers[0]._replace(b=np.full(3, -1e6, np.float32))
    params = params._replace(layers=(dead, params.layers[1]))
    read, real = [], type(stream.train).read

    def noted(self, piece, first, stop, x, labels):
        read.append((piece, first, stop))
        real(self, piece, first, stop, x, labels)

    monkeypatch.setattr(type(stream.train), "read", noted)
    assert parts.dead_units(params, stream.train, "relu") == ((3, 3),)
    assert sum(stop - first for _, first, stop in read) == stream.train.images
    read.clear()
    monkeypatch.setattr(parts, "SPREAD", stream.train.images // 10)
    assert parts.dead_units(params, stream.train, "relu") == ((3, 3),)
    assert [piece for piece, *_ in read] == [*range(len(stream.train.sizes))]  # of each file some
    assert parts.SPREAD <= sum(stop - first for _, first, stop in read) <= parts.SPREAD + len(stream.train.sizes)


@pytest.mark.parametrize("name", ["classic", "deep"])
def test_what_an_epoch_has_reached_is_kept_in_its_middle(name, stream, kernels, tmp_path, monkeypatch):
    """An epoch of a stream may take hours, and a process that is killed writes nothing."""
    recipe, settings = PLANS[name]
    job = prepare(stream, recipe, {**settings, **SETTINGS}, seed=1)
    whole = outcome(job, kernels)
    monkeypatch.setattr(record, "WITHIN_EPOCH", 0.0)
    monkeypatch.setattr(record, "FRACTION_SPENT_SAVING", 1e9)
    monkeypatch.setattr(epochs, "BLOCK_SECONDS", 0.0)
    seen = []

    def killed(progress):
        seen.append(progress)
        if progress.epoch == 2 and len(seen) > 1 and progress.images > job.plan.batch_size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, kernels=kernels, run_dir=tmp_path / "run", on_block=killed)
    kept = newest(tmp_path / "run")
    assert (kept.progress["epoch"], kept.progress["images"]) == (1, seen[-2].images)
    assert outcome(job, kernels, run_dir=tmp_path / "run", resume=True) == whole
