"""Teams of threads: each call is told how many run, at every run anew."""

import itertools

import pytest

from fnnet.kernels import team


class Call:
    """A compiled function that notes how many threads it was told."""

    def __init__(self, seen):
        self.at, self.words, self._seen = {"threads": 0}, [4], seen

    def __call__(self):
        self._seen.append(self.words[0])


@pytest.mark.parametrize("granted", [0, 1, 2])
def test_threads_that_the_system_refused_once_are_counted_when_they_are_there(granted, monkeypatch):
    """Ranks keep their calls from step to step: with too small a number, threads would not wait for all others."""
    seen, free, most = [], team.free_helpers, [granted, 3, granted, 3]
    calls = [Call(seen) for _ in range(4)]
    monkeypatch.setattr(team, "free_helpers", lambda count: itertools.islice(free(count), min(count, most.pop(0))))
    for count in (granted + 1, 4, granted + 1, 4):
        seen.clear()
        team.run_team(calls)
        assert seen == [count] * count
    most.append(0)
    seen.clear()
    team.run_team(calls[:1])
    assert seen == [1]
