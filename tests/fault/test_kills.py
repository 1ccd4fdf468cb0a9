# SPDX-License-Identifier: MIT
"""kill -9 at any instant, while hooks run."""
from feeder import Feeder, Posted
from journal import lines_of, whole_lines
from promises import Kills, is_explained
from sizes import KILLS, REPLICA_KILLS, dice
import ledger
from support.daemon import exec_hook
from support.wait import wait_until
from victim import kill_while_hooks_run

PARALLEL = 4
QUEUE = {"lease": "2s", "poll_min": "10ms", "poll_max": "200ms"}


def hooks(journal, lines):
    return [exec_hook("work", "*", journal.command("-t", 80), parallel=PARALLEL),
            {"name": "write", "on": ["*"], "file": {"path": str(lines)}}]


def settle(queue, posted, journal, timeout):
    """Waits until every message has had its run and is gone."""
    wait_until(lambda: posted.ids() <= journal.ended("work"), timeout, "every message's run", 0.1)
    wait_until(queue.is_empty, timeout, "the queue to be empty", 0.1)


def test_kills_at_any_instant(queue, place, victim, journal, tell):
    # given messages that keep coming, a program and a file for each
    lines = place / "lines"
    posted, chance = Posted(queue, dice("kills/messages")), dice("kills")
    kills, busy, early = Kills(), 0, set()
    running = victim({"queues": [queue.config(**QUEUE)], "hooks": hooks(journal, lines)})
    state = running.place / "state"
    # when the daemon is killed again and again while programs run
    with Feeder(posted, lambda: len(journal.ended("work")), backlog=120):
        while busy < KILLS:
            busy += kill_while_hooks_run(running, journal, chance)
            steps = ledger.read(state)
            kills.note(len(journal.marks()), steps)
            early |= {message for message in whole_lines(lines) if steps.get((message, "work")) != "done"}
            running.start()
    # then every message has had every hook, and is gone
    settle(queue, posted, journal, 60)
    marks, count = journal.marks(), lines_of(lines)
    repeats, late = kills.repeats(marks), kills.runs_after_done(marks)
    unexplained = [repeat for repeat in repeats if not is_explained(repeat)]
    tell("kills", f"{busy} while programs ran, {len(kills)} in all; {len(posted)} messages, "
                  f"{len(journal.begun())} runs, of these {len(repeats)} repeats, {len(unexplained)} of them unexplained, "
                  f"{len(late)} after done was recorded, {len(journal.overlaps())} beside another of the same step; "
                  f"{len(early)} lines before the program's end was recorded")
    assert queue.poison().is_empty()
    assert early == set()
    # and the file has one whole line for each
    assert set(count) == posted.ids() and set(count.values()) == {1}, (count - count.fromkeys(posted, 1)).most_common(3)
    # and no step was run again that was recorded done; a repeat is one that a kill cut
    assert late == []
    assert unexplained == []
    assert len(repeats) <= len(kills) * PARALLEL
    assert journal.overlaps() == []


def test_kills_among_replicas(queue, place, victim, journal, tell):
    # given three daemons at one queue, each with a ledger of its own
    lines, chance = place / "lines", dice("replicas")
    posted = Posted(queue, dice("replicas/messages"))
    replicas = [victim({"queues": [queue.config(**QUEUE)], "hooks": hooks(journal, lines)}, folder=f"r{number}")
                for number in range(3)]
    # when one of them is killed every while, and comes back
    with Feeder(posted, lambda: len(journal.ended("work")), backlog=120):
        for _ in range(REPLICA_KILLS):
            one = chance.choice(replicas)
            kill_while_hooks_run(one, journal, chance, longest_s=2)
            one.start()
    # then nothing is lost; a step may have been repeated by another replica, which shares no ledger
    settle(queue, posted, journal, 60)
    wait_until(lambda: posted.ids() <= whole_lines(lines), 10, "every message's line")
    begun = journal.begun()
    tell("replicas", f"{REPLICA_KILLS} kills, {len(posted)} messages, {len(begun)} runs, "
                     f"{len(begun) - len(posted)} repeats, {sum(lines_of(lines).values()) - len(posted)} lines twice")
    assert queue.poison().is_empty()
