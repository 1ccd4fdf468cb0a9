# SPDX-License-Identifier: MIT
"""Messages through a way that spoils one request in five."""
import collections
import json

from feeder import Posted
from journal import lines_of
from proxy import KINDS
from sizes import MESSAGES, dice
from support.daemon import exec_hook
from support.wait import wait_until

RATE = 0.2


def iteration_of(text):
    """Of a poison record, or of a message's own text, which stands alone where the record is refused as too large."""
    document = json.loads(text)
    if "cvnotifyd" in document:
        document = json.loads(document["text"])
    return document["Content"]["iterationId"]


def test_faults_of_every_kind(queue, place, proxy, victim, journal, tell):
    # given messages of which some will be rejected and some fail once, and a bad way to them
    posted = Posted(queue, dice("faults/messages"), {"TrainingCompleted": 1, "TrainingFailed": 1})
    lines = place / "lines"
    settings = {"url": proxy.through(queue), "lease": "4s", "parallel": 32, "poll_min": "10ms", "poll_max": "100ms",
                "retry_delay": ["1s"]}
    proxy.rate = RATE
    running = victim({"http": {"timeout": "1s"}, "queues": [queue.config(**settings)], "hooks": [
        exec_hook("work", "*", journal.command("-t", 20, "-r", "training.failed"), parallel=4),
        {"name": "write", "on": ["*"], "file": {"path": str(lines)}}]}, wait=False)
    # when they are posted, and all requests of the daemon go that way to the end
    posted.post(MESSAGES)
    good, bad = posted.ids("TrainingCompleted"), posted.ids("TrainingFailed")
    patience = 60 + MESSAGES / 10
    wait_until(lambda: good <= journal.ended("work") and bad <= journal.ended("work", 65), patience, "every run", 0.1)
    wait_until(queue.is_empty, patience, "the queue to be empty", 0.1)
    # then no run whose end is on record is run again
    runs = collections.Counter(m.message for m in journal.begun())
    count = lines_of(lines)
    again = [message for message in posted if runs[message] > 1]
    # and those that a hook rejected are in poison, they alone, perhaps more than once
    records = [m.content for m in queue.poison().client.receive_messages(messages_per_page=32, visibility_timeout=600)]
    found = collections.Counter(map(iteration_of, records))
    tell("faults", f"{len(posted)} messages, {sum(runs.values())} runs, {len(again)} run twice; "
                   f"{len(bad)} rejected, {len(found)} in poison, {sum(found.values()) - len(found)} twice")
    assert set(count) == good and set(count.values()) <= {1}
    assert again == []
    assert set(found) == {posted[message]["Content"]["iterationId"] for message in bad}
    assert journal.overlaps() == []
    # and every kind of fault was met, by a daemon that lives
    assert set(proxy.met) == set(KINDS)
    assert running.is_running()
