"""The watcher of ranks: which rank is lost, and why; by sockets alone, without MPI."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fnnet.training.distributed import watch, watcher

PROGRAM = Path(watcher.__file__)


class Ranks:
    """A watcher, and what connects to it."""

    def __init__(self, size, here=(0, 1, 2), **limits):
        code = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import watcher; "
        code += "".join(f"watcher.{name} = {value}; " for name, value in limits.items())
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", f"{code}sys.exit(watcher.main())"]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        given = {"size": size, "alone": True, "here": [*here], "token": "word", "hint": "go on"}
        self.process.stdin.write(json.dumps(given) + "\n")
        self.process.stdin.flush()
        self.port = int(self.process.stdout.readline())
        self.processes = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(size)]
        self.ranks = [self.connect(number, process.pid) for number, process in enumerate(self.processes)]

    def connect(self, number, process, token="word", more=""):
        rank = socket.create_connection(("127.0.0.1", self.port))
        about = {"rank": number, "process": process, "machine": socket.gethostname(), "token": token}
        rank.sendall(f"{json.dumps(about)}\n{more}".encode())
        return rank

    def say(self, seconds, *words):
        """Let each rank say its word, again and again."""
        last = time.monotonic() + seconds
        while time.monotonic() < last and self.process.poll() is None:
            for rank, word in zip(self.ranks, words, strict=True):
                if word:
                    try:
                        rank.sendall(f"{word(time.monotonic()) if callable(word) else word}\n".encode())
                    except OSError:
                        return
            time.sleep(0.05)

    def end(self):
        code = self.process.wait(20)
        found = code, self.process.stderr.read()
        self.close()
        return found

    def close(self):
        for process in (self.process, *self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()
        for each in (*self.ranks, self.process.stdin, self.process.stdout, self.process.stderr):
            each.close()


COMPUTING = "5 0 {} 0 0".format
FAST = {"SILENT": 1.0, "BEGINNING": 2.0, "STUCK": 1.5, "SLOW": 4.0, "ENDING": 0.2}


@pytest.fixture
def ranks():
    made = []

    def make(size=2, **limits):
        made.append(Ranks(size, **{**FAST, **limits}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def name(found, number):
    return f"error: rank {number} (process {found.processes[number].pid} on {socket.gethostname()})"


def test_ranks_that_take_leave_are_not_lost(ranks):
    found = ranks()
    found.say(0.5, "1 0 0.1 0 0", "1 1 0.1 0 0")
    found.say(0.1, "END", "END")
    assert found.end() == (0, "")


def test_a_rank_that_is_killed_is_named_and_the_others_are_told_to_end(ranks):
    found = ranks(3)
    found.say(0.3, *["1 0 0.1 0 0"] * 3)
    found.ranks[1].close()
    assert found.ranks[0].recv(16) == b"END\n"
    code, told = found.end()
    assert code == 1
    assert told.startswith(f"{name(found, 1)} ended without a word: it was killed, or left early; all ranks end; go on")


def test_those_that_do_not_end_are_killed(ranks):
    found = ranks(2)
    found.ranks[1].close()
    code, _ = found.end()
    assert code == 1
    assert found.processes[0].returncode == -signal.SIGKILL


def test_only_those_are_killed_whose_numbers_mean_the_same_to_the_watcher(ranks):
    """A rank of another container, or one that has left, may have the number of a stranger."""
    found = ranks(3, here=(1, 2))
    found.ranks[1].close()
    found.ranks[2].close()
    assert found.process.wait(20) == 1
    assert [each.poll() for each in found.processes] == [None] * 3


def test_a_rank_that_says_nothing_is_stopped(ranks):
    found = ranks()
    found.say(0.2, "1 1 0.1 0 0", "1 0 0.1 0 0")
    found.say(3, "1 1 0.1 0 0", None)
    code, told = found.end()
    assert (code, told.startswith(f"{name(found, 1)} has not answered for 1 seconds: it is stopped, or")) == (1, True)


def test_a_rank_that_loads_libraries_may_be_silent_for_longer(ranks):
    found = ranks()
    found.say(1.6, "0 0 0.1 0 0", None)
    assert found.process.poll() is None
    found.say(2, "0 0 0.1 0 0", None)
    code, told = found.end()
    assert (code, told.startswith(f"{name(found, 1)} has not answered for 2 seconds: it is stopped, or")) == (1, True)


def test_a_rank_that_neither_computes_nor_comes_is_stuck(ranks):
    found = ranks()
    found.say(3, "2 1 0.1 0 0", "1 0 0.1 0 0")
    code, told = found.end()
    assert (code, told.startswith(f"{name(found, 1)} is stuck: the others have waited for it for ")) == (1, True)


def test_a_rank_that_computes_may_take_longer(ranks):
    found = ranks()
    found.say(2.5, "2 1 0.1 0 0", lambda now: f"1 0 {now} 0 0")
    assert found.process.poll() is None
    found.say(3.5, "2 1 0.1 0 0", lambda now: f"1 0 {now} 0 0")
    code, told = found.end()
    assert (code, "is stuck" in told) == (1, True)


@pytest.mark.parametrize(
    ("does", "steps", "longest", "lost"),
    [(0, 3, 0.1, True), (0, 2, 0.1, False), (0, 3, 0.3, False), (3, 3, 0.1, False), (2, 3, 0.1, False)],
)
def test_of_a_rank_that_has_made_steps_it_is_known_how_long_one_takes(ranks, does, steps, longest, lost):
    found = ranks(SLOW=30.0)
    found.say(2.5, "2 1 0.1 0 0", lambda now: f"1 {does} {now} {steps} {longest}")
    assert (found.process.poll() is not None) == lost
    if lost:
        code, told = found.end()
        assert (code, told.startswith(f"{name(found, 1)} is stuck: the others have waited for it for ")) == (1, True)


def test_a_rank_that_reads_or_writes_may_take_longer(ranks):
    found = ranks(SLOW=2.5)
    found.say(2.0, "2 1 0.1 0 0", "1 2 0.1 0 0")
    assert found.process.poll() is None
    found.say(3.0, "2 1 0.1 0 0", "1 2 0.1 0 0")
    code, told = found.end()
    assert (code, told.startswith(f"{name(found, 1)} is stuck: ")) == (1, True)


def test_ranks_that_wait_for_one_another_for_ever_are_ended(ranks):
    """A message is lost: who has waited longest is the furthest behind."""
    found = ranks(SLOW=1.0)
    found.say(0.8, "2 0 0.1 0 0", "1 1 0.1 0 0")
    found.say(3.0, "2 1 0.1 0 0", "1 1 0.1 0 0")
    code, told = found.end()
    assert (code, told.startswith(f"{name(found, 1)} and all others have waited for 1 seconds; all ")) == (1, True)


def test_a_rank_that_does_not_end_with_the_others_is_stuck(ranks):
    found = ranks()
    found.say(0.1, "END", "3 0 0.1 0 0")
    found.say(3, None, "3 0 0.1 0 0")
    code, told = found.end()
    assert (code, told.startswith(f"{name(found, 1)} is stuck: ")) == (1, True)


def test_ranks_that_all_wait_or_all_work_are_not_stuck(ranks):
    found = ranks()
    found.say(2.5, "2 0 0.1 0 0", "1 0 0.1 0 0")  # nobody waits: data are read, say
    found.say(2.5, "2 1 0.1 0 0", "2 1 0.1 0 0")
    assert found.process.poll() is None


def test_a_rank_that_goes_on_is_not_stuck(ranks):
    found = ranks()
    found.say(2.5, "2 1 0.1 0 0", lambda now: f"{int(now * 2)} 0 0.1 0 0")
    assert found.process.poll() is None


def test_who_does_not_know_the_word_is_not_heard(ranks):
    found = ranks()
    stranger = found.connect(0, os.getpid(), token="other")
    assert stranger.recv(1) == b""
    stranger.close()
    other = socket.create_connection(("127.0.0.1", found.port))
    other.sendall(b"GET / HTTP/1.1\r\n")
    assert other.recv(1) == b""
    other.close()
    found.say(0.1, "END", "END")
    assert found.end() == (0, "")


def test_ranks_that_do_not_start_are_named(ranks):
    found = ranks(2, STARTING=0.5)
    assert found.end()[0] == 1  # nobody says anything

    class Fewer(Ranks):
        def connect(self, number, process, **options):
            return super().connect(number, process, **options) if number != 1 else socket.socket()

    found = Fewer(3, **FAST, STARTING=0.5)
    code, told = found.end()
    assert (code, told) == (1, "error: rank 1 did not start within 0 seconds; all ranks end; go on\n")


def test_a_rank_that_says_why_itself_ends_all_without_a_line(ranks):
    found = ranks()
    found.say(0.1, "ABORT", None)
    assert found.end() == (1, "")


def test_words_that_come_with_the_first_line_are_heard():
    class Short(Ranks):
        def connect(self, number, process, **options):
            rank = super().connect(number, process, more="1 0 0.1 0 0\nEND\n", **options)
            rank.close()
            return rank

    assert Short(2, **FAST).end() == (0, "")


def test_lines_may_come_in_pieces(ranks):
    found = ranks()
    found.ranks[1].sendall(b"1 0 ")
    time.sleep(0.3)
    found.ranks[1].sendall(b"0.1 0 0\nEN")
    time.sleep(0.3)
    found.ranks[1].sendall(b"D\n")
    found.say(0.1, "END", None)
    assert found.end() == (0, "")


class One:
    """A communicator of one rank."""

    def Get_size(self):  # noqa: N802
        return 1

    def Get_rank(self):  # noqa: N802
        return 0

    def bcast(self, value):
        return value

    def allgather(self, value):
        return [value]


def test_a_watch_is_kept_and_ended():
    found = watch.Watch(One(), alone=True)
    found.enter()
    assert (found.count, found.does, found.note) == (1, watch.WAITS, "")
    found.leave()
    with found.slow(computes=False):
        assert found.does == watch.IS_SLOW
    found.end()
    assert found.does == watch.WORKS
    assert found._process.wait(20) == 0  # slower than `end` waits for, on a busy machine


def test_a_watch_knows_the_longest_work_between_exchanges(monkeypatch):
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(now))
    found = watch.Watch(One(), alone=True)
    monkeypatch.setattr(found, "_say", lambda line: None)
    found.leave()
    found.enter(step=True)  # what is before the first step is no step
    assert (found.steps, found.longest) == (1, 0.0)
    found.leave()
    with found.slow(computes=True):
        found.enter()
        found.leave()
        assert found.does == watch.COMPUTES
    found.enter(step=True)
    assert (found.steps, found.longest) == (2, 0.0)
    found.leave()
    found.enter()
    assert (found.steps, found.longest) == (2, 10)
    monkeypatch.undo()
    found.end()


def test_a_watcher_that_cannot_be_reached_is_noted(monkeypatch):
    monkeypatch.setattr(watch, "_connected", lambda host, port: None)
    found = watch.Watch(One(), alone=True)
    assert found.note.startswith(f"ranks are not watched: {socket.gethostname()} cannot connect to 127.0.0.1, port ")
    found.end()


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere"])
def test_ranks_go_on_without_a_watcher_that_cannot_start(program, monkeypatch):
    """Without a port for one, or where there are too many processes."""
    monkeypatch.setattr(watch.sys, "executable", program)
    found = watch.Watch(One(), alone=True)
    assert found.note.endswith(" cannot connect to 127.0.0.1, which opens no port")
    found.end()


def test_a_watcher_without_a_port_ends_without_a_word():
    given = json.dumps({"size": 1, "alone": True})
    code = "import socket, runpy, sys; socket.create_server = lambda *a, **b: socket.socket().bind(('192.0.2.1', 0)); "
    code += f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_machine_that_was_suspended_has_lost_no_rank(ranks):
    """A paused container: watcher and ranks stand still for longer than a rank may be silent."""
    found = ranks(HELD_UP=0.5)
    found.say(0.5, "1 0 0.1 0 0", "1 0 0.1 0 0")
    os.kill(found.process.pid, signal.SIGSTOP)
    time.sleep(FAST["SILENT"] + 1)
    os.kill(found.process.pid, signal.SIGCONT)
    found.say(0.7, "1 0 0.1 0 0", "1 0 0.1 0 0")
    assert found.process.poll() is None
    found.say(2.5, "1 0 0.1 0 0", None)
    code, told = found.end()
    assert (code, told.startswith(f"{name(found, 1)} has not answered")) == (1, True)


def test_a_watcher_that_may_not_open_a_file_for_each_rank_does_not_begin():
    given = json.dumps({"size": 1000, "alone": True})
    code = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (500, 1000)); "
    code += f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_watcher_raises_the_limit_of_open_files_as_far_as_it_may():
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1000)); "
    code += f"sys.path.insert(0, {str(PROGRAM.parent)!r}); import watcher; "
    code += "print(watcher._may_open(90), watcher._may_open(900), resource.getrlimit(resource.RLIMIT_NOFILE))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True (900, 1000)\n"


def test_of_a_thousand_ranks_a_lost_one_is_found_in_one_pass():
    """A pass over all ranks for each of them took longer than the words of a thousand came in."""
    made = []
    for number in range(1000):
        rank = watcher.Rank(None, {"rank": number, "process": 1, "machine": "a"})
        rank.hear(b"1 1 0.1 0 0")
        made.append(rank)
    made[700].hear(b"1 0 0.1 0 0")
    made[700].since -= watcher.SLOW + 1
    seen = watcher.Watcher.__new__(watcher.Watcher)
    seen._ranks = {rank.number: rank for rank in made}
    lost, why = seen._lost()
    assert (lost is made[700], why.startswith("is stuck")) == (True, True)
