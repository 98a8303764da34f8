"""`bench.scaling --model`, `bench.links`, `bench.scaling_torch`: formulae by hand, and each program once."""

import json
import os
import signal
import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner

from bench import links, scaling, scaling_measure, scaling_model, scaling_report, scaling_torch, scaling_words
from bench.scaling_model import RING, TREE, WINDOW, Link, Machine, Work
from fnnet.core.shards import cuts
from fnnet.training.distributed.exchange import _Plan
from tests.campaigns import lost_ranks
from tests.conftest import ROOT

NO_MPI = lost_ranks.missing() is not None
NEEDS_MPI = pytest.mark.skipif(NO_MPI, reason="needs mpiexec and mpi4py: pip install 'fnnet[mpi]'")
NEEDS_NAMESPACES = pytest.mark.skipif(bool(links.missing()), reason=f"links between namespaces: {links.missing()}")

LINK = Link("a link", 1.0, 0.01)
MACHINE = Machine(Link("messages", 0.5, 0.005), Link("window", 0.25, 0.002), copy=0.001, add=0.002)
WORK = Work((10,), 64, 800, 10, {1: 40.0, 2: 20.0, 4: 10.0}, {1: 0, 2: 4, 4: 4}, 1600)


def test_a_line_is_found_through_times_of_messages():
    assert scaling_model.fit([(8, 1.08), (100, 2.0), (10_000, 101.0)], "line")[1:3] == pytest.approx((1.0, 0.01))
    assert scaling_model.fit([(0, 1.0), (100, 1.0), (1000, 0.5)], "falls").beta == 0
    assert scaling_model.fit([(10, 0.01), (100, 1.0), (1000, 100.0)], "curved").alpha == 0


def test_an_exchange_of_two_ranks_by_hand():
    packed, scattered, added, gathered = 800 * 0.001, 1.0 + 400 * 0.01, 400 * 0.002, 1.0 + 400 * 0.01
    expected = packed + scattered + added + gathered
    assert scaling_model.by_messages(LINK, MACHINE, 2, 8, 800) == pytest.approx(expected)
    assert scaling_model.in_window(MACHINE, 2, 800) == pytest.approx(0.25 + 800 * 0.002)
    assert scaling_model.by_ring(LINK, MACHINE, 2, 800) == pytest.approx(2 * (1 + 400 * 0.01) + 400 * 0.002)


def test_an_exchange_of_three_ranks_by_hand():
    """Of 8 shards they have 2, 3 and 3, which make 1, 2 and 2 subtrees."""
    packed, scattered = 2 * 900 * 0.001, 2 * (1.0 + 2 * 300 * 0.01)
    added, gathered = 4 * 300 * 0.002, 2 * 1.0 + 600 * 0.01
    expected = packed + scattered + added + gathered
    assert scaling_model.by_messages(LINK, MACHINE, 3, 8, 900) == pytest.approx(expected)
    assert scaling_model.in_window(MACHINE, 3, 900) == pytest.approx(2 * 0.25 + 900 * 0.002)


@pytest.mark.parametrize("ranks", [2, 3, 5, 8, 13])
def test_the_model_counts_what_an_exchange_does(ranks):
    """Without latency and rates of the machine what is left are the bytes on the link: those of Alltoallv's buffers."""
    shards, length = 16, 16 * ranks * 40
    plan = _Plan(ranks, length, shards)
    counts = [len(tree) for tree in plan.trees]
    still = MACHINE._replace(copy=0.0, add=0.0)
    sent = max(counts) * (length - length // ranks) + (length - length // ranks)
    assert scaling_model.by_messages(Link("", 0.0, 1.0), still, ranks, shards, length) == pytest.approx(sent)
    adding = MACHINE._replace(copy=0.0, add=1.0)
    found = scaling_model.by_messages(Link("", 0.0, 0.0), adding, ranks, shards, length)
    assert found == pytest.approx(len(plan.additions()) * length / ranks)


@pytest.mark.parametrize(
    ("ranks", "length", "messages"),
    [(1, 1000, 0), (8, 1000, 3), (8, 512 * 1024, 7), (7, 1000, 3), (7, 80 * 1024, 6), (8, 80 * 1024, 3)],
)
def test_sums_are_gathered_as_mpich_does(ranks, length, messages):
    assert scaling_model.gather(Link("", 1.0, 0.0), ranks, length) == messages
    assert scaling_model.gather(Link("", 0.0, 1.0), ranks, length) == pytest.approx(length - length / ranks)


def test_one_rank_exchanges_nothing():
    for how in (TREE, RING, WINDOW):
        assert scaling_model.epoch(WORK, MACHINE, 1, how, LINK) == 40.0


def test_an_epoch_by_hand():
    exchange, marks = scaling_model.by_messages(LINK, MACHINE, 4, 8, 800), 4 * (2 * 1.0 + 0.75 * 400 * 0.01)
    found = scaling_model.epoch(WORK, MACHINE, 4, TREE, LINK)
    assert found == pytest.approx(10.0 + 10 * exchange + marks)
    assert scaling_model.epoch(WORK, MACHINE, 4, TREE, LINK, overlap=True) == pytest.approx(10 * exchange + marks)
    quick = Link("quick", 1e-6, 1e-9)
    assert scaling_model.epoch(WORK, MACHINE._replace(copy=0.0, add=0.0), 4, TREE, quick, overlap=True) < 10.001
    assert scaling_model.best(WORK, MACHINE, TREE, LINK) == 1
    assert scaling_model.best(WORK, MACHINE._replace(copy=0.0, add=0.0), TREE, quick) == 4


@pytest.mark.parametrize("how", [TREE, RING])
def test_an_epoch_takes_longer_with_latency_bytes_and_slower_links(how):
    def taken(link=LINK, work=WORK, ranks=4):
        return scaling_model.epoch(work, MACHINE, ranks, how, link)

    assert taken(LINK._replace(alpha=1.1)) > taken()
    assert taken(LINK._replace(beta=0.011)) > taken()
    assert taken(work=WORK._replace(length=880)) > taken()
    slow, *_, quick = scaling_model.NETWORKS
    for ranks in (2, 4):
        assert taken(slow, ranks=ranks) > taken(quick, ranks=ranks) > WORK.computing[ranks]


def test_networks_have_their_rates_and_sources():
    for link in scaling_model.NETWORKS:
        bits = float(link.name.split()[0]) * 1e9
        assert bits / 1.05 < 8 / link.beta <= bits
        assert link.source
        assert 1e-7 < link.alpha < 1e-4


def test_computing_is_that_of_the_last_of_some_ranks():
    found = scaling_measure.computing((10,), 64, (1, 2, 256), images=200)
    assert found["steps"] == 4
    assert found["length"] >= 4 * 7960
    assert set(found["seconds"]) == set(found["gathers"]) == {"1", "2", "256"}
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert found["gathers"]["1"] == 0 < found["gathers"]["2"]
    pretended = scaling_measure.Pretended(8)
    assert pretended.own(16) == cuts(16, 8)[7]
    rows = pretended.rows(48, 16, 16)
    assert len(rows) == 8
    assert rows[0].tolist() == rows[7].tolist() == [14, 15, 30, 31, 46, 47]


def results():
    return json.loads(scaling_report.RESULTS.read_text())


def test_the_page_is_that_of_its_json():
    text = scaling_report.PAGE.read_text()
    inside = text.partition(scaling_report.BEGIN)[2].partition(scaling_report.END)[0]
    assert inside == scaling_report.section(results())
    text = scaling_report.SCALE.read_text()
    inside = text.partition(scaling_report.BEGIN)[2].partition(scaling_report.END)[0]
    works, machine = scaling_report.works_of(results()), scaling_report.machine_of(results())
    assert inside == f"\n{scaling_words.on_paper(works, machine)}\n"


def test_exchanges_are_shown_as_they_were_predicted_and_measured():
    found = results()
    found["exchanges"] = {"window": [[4096, 1e-3]], "messages": [[4096, 2e-3]]}
    machine = MACHINE._replace(copy=0.0, add=0.0, message=Link("", 1e-3, 0.0), window=Link("", 1e-3, 0.0))
    table = scaling_words.exchange_table(found, machine)
    assert "| 4,096 | shared memory | 1.00 ms | 1.00 ms | +0 % |" in table
    assert "| 4,096 | messages | 2.00 ms | 2.00 ms | +0 % |" in table
    whole = scaling_words.exchange_table(results(), scaling_report.machine_of(results()))
    assert whole in scaling_report.section(results())


def said(found):
    works, machine = scaling_report.works_of(found), scaling_report.machine_of(found)
    return " ".join(scaling_words.sentences(found, works, machine).split())


def test_sentences_follow_from_the_figures():
    found = results()
    machine = scaling_report.machine_of(found)
    for row in found["exchanges"]["messages"]:
        row[1] = 3 * scaling_model.by_messages(machine.message, machine, 2, 2, row[0])
    for row in found["exchanges"]["messages"][-2:]:
        row[1] *= 2
    assert "512 KiB and more by messages took 3.0 to 6.0 times what the model predicts, smaller ones 3.0 times" in said(
        found
    )
    for each in found["works"]:
        each["seconds"] = {"1": 4.0, "2": 2.0}
        each["gathers"] = {"1": 0, "2": 1}
        each["two"] = {"tree": 3.0}
    text = said(found)
    assert "On networks an epoch is fastest with batches of 512 on 2, with batches of 2,048 on 2 ranks" in text
    assert "on 2 it takes longer than on one for 0 of 6 works" in text
    assert "Not to be trusted" not in text
    found["works"][2]["seconds"]["2"] = 4.3
    assert "Not to be trusted: 784-128-10, batch 512, where one of 2 ranks computed longer than an epoch" in said(found)
    del found["links"]
    assert "Of an epoch of two ranks on links" in text
    assert "Of an epoch of two ranks on links" not in said(found)


def test_who_has_half_of_the_work_is_not_slower():
    seconds = {1: 1.0, 2: 1.04, 4: 0.5, 8: 0.6, 16: 0.61, 32: 0.3}
    assert [*scaling_words.too_long(seconds, {})] == [8]
    assert [*scaling_words.too_long(seconds, {"tree": 0.9, "window": 2.0})] == [8, 2]
    assert scaling_words.too_long({1: 1.0, 2: 0.9}, {"tree": 0.9}) == {}


def test_what_contradicts_other_figures_is_measured_again_in_more_epochs(monkeypatch, capsys):
    asked, times = [], iter([{"8": 0.9}, {"8": 0.4}, {"16": 0.2}])

    def again(task, hidden, batch, ranks, images, passes):
        asked.append((task, [*ranks], passes))
        return [{"seconds": next(times)}, {"seconds": dict.fromkeys(map(str, ranks), 0.1)}]

    monkeypatch.setattr(scaling_report, "side_by_side", again)
    work = {"hidden": [800], "batch": 512, "images": 60000, "two": {}}
    work["seconds"] = {"1": 2.0, "2": 1.0, "4": 0.6, "8": 0.7, "16": 0.5}
    scaling_report.settle(work)
    assert asked == [("computing", [8], 8), ("computing", [8], 12), ("computing", [16], 16)]
    assert work["seconds"] == {"1": 2.0, "2": 1.0, "4": 0.6, "8": 0.4, "16": 0.2}
    told = capsys.readouterr().err.splitlines()
    assert told[0] == (
        "784-800-10, batch 512: one of 8 ranks computed longer than one of 4, which has twice the work: "
        "measured again, 1 of 4"
    )
    assert len(told) == 3


def test_it_is_measured_again_some_times_only(monkeypatch):
    asked = []
    monkeypatch.setattr(
        scaling_report, "side_by_side", lambda *given: asked.append(given) or [{"seconds": {"2": 9.0}}] * 2
    )
    work = {"hidden": [10], "batch": 512, "images": 60000, "two": {}, "seconds": {"1": 1.0, "2": 2.0}}
    scaling_report.settle(work)
    assert len(asked) == scaling_report.AGAIN
    assert work["seconds"] == {"1": 1.0, "2": 2.0}


def test_the_saved_results_have_all_works_and_reach_what_is_asked_for():
    found = results()
    works = [(tuple(each["hidden"]), each["batch"]) for each in found["works"]]
    assert works == [(hidden, batch) for hidden in scaling_report.SHAPES for batch in scaling_report.BATCHES]
    assert all(tuple(map(int, each["seconds"])) == scaling_model.RANKS for each in found["works"])
    assert found["torch"]["ratio"] >= scaling_torch.LEAST == found["torch"]["least"]
    assert {row["name"] for row in found["links"]["rows"]} == {"as fast as the machine", *links.RATES[1:]}


def test_a_result_that_a_machine_lacks_is_left_out():
    found = results()
    text = scaling_report.section({name: each for name, each in found.items() if name not in ("links", "torch")})
    assert "bench.links" not in text
    assert "PyTorch" not in text
    assert text.count("\n| 784-") == 6 * 2 + 6 * 4


def test_the_picture_is_drawn(tmp_path):
    from bench.scaling_picture import draw

    found = results()
    draw(scaling_report.works_of(found), scaling_report.machine_of(found), found, tmp_path / "scaling.svg")
    assert (tmp_path / "scaling.svg").read_text().startswith("<?xml")


def test_parts_are_written_into_their_place(tmp_path, monkeypatch):
    for name in ("RESULTS", "PAGE", "SCALE"):
        copy = tmp_path / getattr(scaling_report, name).name
        copy.write_text(getattr(scaling_report, name).read_text())
        monkeypatch.setattr(scaling_report, name, copy)
    monkeypatch.setattr(scaling_report, "PICTURE", tmp_path / "scaling.svg")
    row = {"name": "784-128-10", "fnnet": 1.0, "torch": 4.0, "ratio": 4.0, "least": 2.5, "version": "2"}
    scaling_report.publish_part("torch", row)
    assert "| 784-128-10 | 1.00 s | 4.00 s | **4.00** | 2.5 |" in scaling_report.PAGE.read_text()
    assert results()["works"]
    scaling_report.RESULTS.unlink()
    with pytest.raises(SystemExit, match=r"scaling-model.json is missing: python -m bench.scaling --model"):
        scaling_report.publish_part("torch", row)


@pytest.mark.parametrize("option", ["--write", "--once"])
def test_options_of_the_model_need_it(option):
    done = CliRunner().invoke(scaling.main, [option])
    assert (done.exit_code, "--write and --once are options of --model" in done.output) == (2, True)


def program(*arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@NEEDS_MPI
def test_the_model_is_made_once():
    printed = program("bench.scaling", "--model", "--once")
    for name in ("shared memory", "messages on one machine", *(link.name for link in scaling_model.NETWORKS)):
        assert f"| {name} |" in printed


@NEEDS_MPI
def test_ranks_that_share_no_memory_exchange_messages_and_get_the_same_bits(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    text = """
import json, sys
from fnnet import data, load_kernels
from fnnet.core.params import weights_sha256
from fnnet.training import session
from fnnet.training.distributed.world import world
from bench import scaling
if sys.argv[1] == "messages":
    scaling._share_no_memory()
ranks = world()
job = session.prepare(data.load("digits"), "classic", {"hidden": (16,), "shards": 8, "epochs": 1})
model, _ = session.train(job, kernels=load_kernels("numba", threads=1), ranks=ranks)
if ranks.rank == 0:
    print(json.dumps([weights_sha256(model.params), ranks._messages is not None, ranks._memory is not None]))
ranks.meet()
ranks.leave()
"""
    (tmp_path / "train.py").write_text(text)
    found = {}
    for how in ("tree", "messages"):
        command = [scaling.MPIEXEC, "-n", "2", sys.executable, "-m", "mpi4py", str(tmp_path / "train.py"), how]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        found[how] = json.loads(done.stdout)
    assert found["tree"][1:] == [False, True]
    assert found["messages"][1:] == [True, False]
    assert found["tree"][0] == found["messages"][0]


def test_torch_trains_once():
    pytest.importorskip("torch", reason="needs torch: pip install -e '.[peers]'")
    assert program("bench.scaling_torch", "--once").startswith("PyTorch, 2 ranks: ")


def test_links_are_measured_once_or_the_reason_is_given():
    printed = program("bench.links", "--once")
    if lacks := links.missing():
        assert printed == f"links: skipped: {lacks}\n"
        return
    assert [line.split()[:2] for line in printed.splitlines()] == [["8", "bytes"], ["1,000,000", "bytes"]]


def test_who_is_not_root_skips_links(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = CliRunner().invoke(links.main, [])
    assert (done.exit_code, done.output) == (0, "links: skipped: needs root\n")


def test_a_machine_without_tc_skips_links(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(links.shutil, "which", lambda name: None if name == "tc" else name)
    assert links.missing().startswith("needs tc: ")


@pytest.mark.parametrize("rate", ["1", "gbit", "0gbit", "1.5gbit", "fast"])
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(click.BadParameter, match="expected none or 10gbit"):
        links.bits_of(rate)


def test_a_link_is_no_faster_than_its_rate_nor_than_the_machine():
    plain = Link("none", 2e-5, 2e-9)
    assert links.link_of("none", plain)[1:3] == plain[1:3]
    assert links.link_of("10gbit", plain).beta == 2e-9
    assert links.link_of("100mbit", plain).beta == pytest.approx(8e-8 * (links.MTU + 14) / (links.MTU - 52))


def test_packets_carry_headers_by_their_size():
    assert scaling_model.headers() == pytest.approx(1514 / 1448)
    assert scaling_model.headers(9000) == pytest.approx(9014 / 8948)


def test_ranks_that_go_around_a_link_are_an_error():
    links.check_sent(1000, 1000)
    with pytest.raises(SystemExit, match="gone around the link: 999 bytes on it; expected at least 1,000"):
        links.check_sent(999, 1000)


def namespaces():
    done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in done.stdout.splitlines() if line.startswith(links.WORD)}


@NEEDS_NAMESPACES
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_namespaces_go_with_the_program(end):
    """At once, or, if it is killed, with the next one; so do the processes in them."""
    text = """
import signal, subprocess, time
from bench import links
signal.signal(signal.SIGTERM, links._stop)
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
with links.linked("1gbit") as made:
    command = ["ip", "netns", "exec", made._names[1], "sleep", "100"]
    inside = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    print("ready", inside.pid, flush=True)
    time.sleep(100)
"""
    env, pipe = {**os.environ, "PYTHONPATH": str(ROOT)}, subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", text], env=env, stdout=pipe, stderr=pipe, text=True)
    inside = int(process.stdout.readline().split()[1])
    assert namespaces() >= {f"{links.WORD}-{process.pid}-1", f"{links.WORD}-{process.pid}-2"}
    process.send_signal(end)
    try:
        process.communicate(timeout=30)
    finally:
        process.kill()
    if end == signal.SIGKILL:
        with links.linked("none"):
            pass
    assert not {name for name in namespaces() if str(process.pid) in name}
    for _ in range(100):
        if not os.path.exists(f"/proc/{inside}"):
            return
        time.sleep(0.1)
    pytest.fail("the process in the namespace goes on")


def test_an_undisturbed_epoch_has_the_least_time_of_each_step():
    """Of epochs of 3 steps; another step of each is disturbed, and what lies between epochs does not count."""
    ends, now = [], 0.0
    for steps in ([9, 9, 9], [0.5, 1.0, 5.0], [0.5, 4.0, 2.0], [3.5, 1.0, 2.0]):
        for step in steps:
            now += step
            ends.append(now)
        now += 100
    assert scaling.undisturbed(ends, 4) == pytest.approx((1.0 + 2.0) * 3 / 2)
    for few in (ends[:-1], ends[:4]):
        with pytest.raises(ValueError, match="ends of steps for 4 epochs"):
            scaling.undisturbed(few, 4)


def test_figures_of_turns_are_the_least():
    one = {"messages": [(8, 2.0), (16, 3.0)], "two": {"tree": 1.0}, "steps": 4}
    other = {"messages": [[8, 1.0], [16, 4.0]], "two": {"tree": 2.0}, "steps": 4}
    assert scaling_report.least(one, other) == {"messages": [[8, 1.0], [16, 3.0]], "two": {"tree": 1.0}, "steps": 4}
