# SPDX-License-Identifier: MIT
"""A wall clock that jumps by a day (libfaketime), while the monotonic one goes on."""
import collections
import time

from clock import Clock, is_told
from feeder import Posted
from journal import lines_of
from sizes import CLOCK_MESSAGES, TOKENS_A_JUMP, dice
from support import messages, process
from support.daemon import exec_hook
from support.fake_queue import FakeService
from support.managed import Imds
from support.wait import stays_true, wait_until

DAY_S = 24 * 3600
RETRY_S = 2


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


def test_tokens_come_and_go_whatever_the_clock_says(place, victim, tell):
    # given a source whose tokens are good for two seconds, and a queue that takes nothing else
    issuer, service, clock = Imds(), FakeService(), Clock(place / "clock")
    queue, lines = service.queue(), place / "lines"
    issuer.life_s, issuer.longer_s = 2, 2
    service.trust(issuer)
    running = victim({"log": {"level": "debug", "format": "json"}, "allow_insecure": True,
                      "identities": [issuer.config(endpoint=issuer.endpoint)], "queues": [queue.config(identity="machine")],
                      "hooks": [{"name": "write", "on": ["*"], "file": {"path": str(lines)}}]},
                     release=True, env=clock.environment())
    # when the clock jumps, while messages keep coming
    posted, began = [], time.monotonic()
    for shift in (0, DAY_S, 9 * DAY_S, -DAY_S, 0):
        clock.jump(shift)
        for _ in range(TOKENS_A_JUMP):
            known = len(issuer.tokens)
            posted += [queue.post(messages.training()) for _ in range(5)]
            wait_until(lambda: len(issuer.tokens) > known and queue.is_empty(), 15, "another token, and the messages done")
        assert is_told(running, shift)
    spent, asked = time.monotonic() - began, len(issuer.asked())
    tell("tokens", f"{asked} in {spent:.0f} s, 4 jumps")
    # then each came when the one before was near its end, neither sooner nor too late, and each message is done once
    assert asked <= spent / 1.4 + 2 and len(issuer.tokens) == asked
    assert lines_of(lines) == dict.fromkeys(posted, 1)
    assert not [line for line in running.logged("can not be") if '"debug"' not in line]
    assert not issuer.violations and not service.violations
    issuer.close()
    service.close()
