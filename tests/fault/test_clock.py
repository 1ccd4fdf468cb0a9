# SPDX-License-Identifier: MIT
"""A wall clock that jumps by a day (libfaketime), while the monotonic one goes on."""
import collections
import pathlib
import time

from feeder import Posted
from journal import lines_of
from sizes import CLOCK_MESSAGES, dice
from support import process
from support.daemon import exec_hook
from support.wait import stays_true, wait_until

DAY_S = 24 * 3600
RETRY_S = 2


class Clock:
    """What a program takes for the time of day; it may be set at any moment."""

    def __init__(self, path):
        self._path = path
        self.jump(0)

    def jump(self, seconds):
        new = self._path.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._path)

    def environment(self):
        (library,) = pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
        return {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self._path), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


def is_told(running, shift_s):
    """Whether the log's newest line bears a time of that shift."""
    lines = running.log().splitlines()
    return bool(lines) and time.strftime("%Y-%m-%d", time.gmtime(time.time() + shift_s)) in lines[-1][:60]


def test_the_clock_jumps(queue, place, proxy, victim, journal, tell):
    # given messages whose program fails at first, or says later (the release build: sanitizers and a preloaded
    # library do not mix)
    posted = Posted(queue, dice("clock/messages"), {"TrainingCompleted": 2, "TrainingFailed": 1})
    clock, lines = Clock(place / "clock"), place / "lines"
    command = journal.command("-t", 20, "-f", "training.failed", "-l", "training.completed")
    settings = {"url": proxy.through(queue), "lease": "4s", "parallel": 8, "poll_min": "20ms", "poll_max": "200ms",
                "retry_delay": [f"{RETRY_S}s"]}
    running = victim({"log": {"level": "debug", "format": "json"}, "queues": [queue.config(**settings)], "hooks": [
        exec_hook("work", "*", command, parallel=4, max_age="1h"), {"name": "write", "on": ["*"], "file": {"path": str(lines)}}]},
        release=True, env=clock.environment())
    # when the clock jumps while they are waiting for their second run: a day ahead, past the end of their lives, a day
    # behind, back
    for shift in (DAY_S, 9 * DAY_S, -DAY_S, 0):
        before = set(posted)
        posted.post(max(CLOCK_MESSAGES // 4, 4))
        news = set(posted) - before
        wait_until(lambda: len(news & {m.message for m in journal.begun()}) > len(news) / 2, 30, "half the first runs")
        clock.jump(shift)
        wait_until(lambda: is_told(running, shift), 10, "the daemon to see the new time")
        wait_until(lambda: news <= journal.ended("work"), 60, "every message's last run")
    wait_until(queue.is_empty, 30, "the queue to be empty")
    # then every message ran twice, once to fail and once to be done, and was written once
    begun = collections.defaultdict(list)
    for mark in journal.begun():
        begun[mark.message].append(mark.ms)
    waits = [second - first for first, second in (begun[message][:2] for message in posted)]
    polls, spent = proxy.asked["get"], process.cpu_seconds(running.pid)
    tell("clock", f"{len(posted)} messages, 4 jumps; waits from {min(waits)} to {max(waits)} ms for a delay of "
                  f"{RETRY_S} s; {polls} polls")
    assert set(begun) == posted.ids() and {len(runs) for runs in begun.values()} == {2}
    assert set(lines_of(lines).values()) == {1} and set(lines_of(lines)) == posted.ids()
    # and no wait was cut short or stretched, nor did it spin
    assert RETRY_S * 1000 - 1000 <= min(waits) and max(waits) < RETRY_S * 1000 + 3000
    assert len(running.logged("hook done")) == 2 * len(posted)
    assert queue.poison().is_empty()
    began = time.monotonic()
    stays_true(running.is_running, 1)
    idle = process.cpu_seconds(running.pid) - spent
    assert proxy.asked["get"] - polls < 20 and idle < 0.5 * (time.monotonic() - began), "it spins"
