# SPDX-License-Identifier: MIT
"""The storage service goes away, or only seems to be there; and comes back."""
import signal
import time

import pytest

from support import messages, process
from support.azurite import Azurite
from support.daemon import exec_hook
from support.queues import Queue
from support.tap import Knocks, Tap, through
from support.wait import stays_true, wait_until

OUTAGE_S = 30


@pytest.fixture
def tap(azurite):
    """Stands between the daemon and its storage service."""
    tap = Tap(azurite.queue_port)
    yield tap
    tap.close()


def held(scripts, name="slow"):
    """A recording script that runs until its hold is lifted, and the hold."""
    hold = scripts.place / f"hold-{name}"
    hold.touch()
    return scripts.recording(name, f"while [ -e {hold} ]; do sleep 0.05; done"), hold


def test_an_outage_of_half_a_minute(place, scripts, daemon):
    # given a storage service that keeps its data, and a hook that runs while it goes away
    service = Azurite(location=place / "azurite").start()
    try:
        queue = Queue(service, "outage")
        hold = place / "hold"
        hold.touch()
        running = daemon({"queues": [queue.config(lease="5s")], "hooks": [
            exec_hook("slow", "training.*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.1; done")),
            exec_hook("quick", "export.*", scripts.recording("quick"))]})
        before = queue.post(messages.training())
        wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
        # when the service stops for half a minute; the hook ends meanwhile
        service.stop()
        began, cpu = time.monotonic(), process.cpu_seconds(running.pid)
        hold.unlink()
        knocks = Knocks(service.queue_port).count(OUTAGE_S / 2)
        wait_until(lambda: time.monotonic() - began > OUTAGE_S, OUTAGE_S, "the outage to be over", interval=0.2)
        # then the daemon neither exits nor spins
        assert running.is_running()
        spent = process.cpu_seconds(running.pid) - cpu
        assert spent / OUTAGE_S < 0.01, f"{spent} s of CPU"
        assert knocks / (OUTAGE_S / 2) < 5, f"{knocks} connections"
        assert knocks > 0, "it did not try"
        # and when the service is back, it carries on by itself
        service.start()
        after = queue.post(messages.export())
        wait_until(lambda: scripts.runs("quick", after), 75, "the next message to be served")
        wait_until(queue.is_empty, 60, "the queue to be empty")
        # and what ended during the outage is not done again
        assert [r.message for r in scripts.runs("slow")] == [before]
        assert queue.records() == []
    finally:
        service.stop()


@pytest.mark.parametrize("ends", ["before the receipt comes", "after it", "while it is on its way"])
def test_a_message_that_comes_again_while_its_hook_runs(tap, queue, scripts, daemon, ends):
    # given a run whose lease can not be renewed, for updates are never answered
    command, hold = held(scripts)
    running = daemon({"queues": [through(tap, queue, lease="3s")],
                      "hooks": [exec_hook("slow", "*", command, parallel=4)]})
    tap.swallows = {"PUT"}
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when the service gives us the message once more, and the hook ends before, while or after we learn of it
    if ends != "after it":
        tap.withhold_messages()
        wait_until(lambda: tap.withheld, 15, "the message to be given to us again")
    if ends == "before the receipt comes":
        hold.unlink()
        wait_until(lambda: scripts.runs("slow", mark="end"), 5, "the run to end")
        running.wait_logged("hook done")
    elif ends == "while it is on its way":
        hold.unlink()
    tap.deliver_messages()
    if ends == "after it":
        running.wait_logged("delivered to us again")
        hold.unlink()
    # then the hook ran once, and the message is settled although no update ever came through
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [message]
    assert queue.records() == []


def test_a_run_goes_on_under_one_receipt_after_the_other(tap, queue, scripts, daemon):
    # given a run of many leases whose updates are never answered
    command, hold = held(scripts)
    running = daemon({"queues": [through(tap, queue, lease="1s")],
                      "hooks": [exec_hook("slow", "*", command, parallel=4)]})
    tap.swallows = {"PUT"}
    message = queue.post(messages.training())
    # when the message comes again and again
    wait_until(lambda: len(running.logged("delivered to us again")) >= 4, 25, "four more receipts")
    # then it is one run's all the time, and settled once updates come through again
    tap.swallows = set()
    hold.unlink()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [message]


@pytest.mark.parametrize("how", ["refuses", "is silent"])
@pytest.mark.parametrize("what", ["a run", "a delete"])
def test_a_stop_in_an_outage_is_bounded(tap, queue, scripts, daemon, how, what):
    # given a message with a long lease, and a service that goes away while its hook runs
    command, hold = held(scripts)
    running = daemon({"stop_timeout": "1s", "http": {"timeout": "1s"},
                      "queues": [through(tap, queue, lease="5m")],
                      "hooks": [exec_hook("slow", "*", command, grace="1s")]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    if how == "refuses":
        tap.go_away()
    else:
        tap.swallows = {"GET", "PUT", "POST", "DELETE"}
    if what == "a delete":
        hold.unlink()
        running.wait_logged("-> settling")
    # when the daemon is told to stop, and has a second for that
    began = time.monotonic()
    status = running.terminate(15)
    # then it is gone in a few, in good order; the message is still there
    assert status == 0
    assert time.monotonic() - began < 20
    assert queue.count() == 1


def test_a_stop_does_not_wait_for_a_get_that_is_not_answered(tap, queue, daemon):
    # given an idle daemon that asks for messages and gets no answer
    running = daemon({"stop_timeout": "1s", "queues": [through(tap, queue)],
                      "hooks": [exec_hook("report", "*", "/bin/true")]})
    tap.swallows = {"GET"}
    before = len(tap.gets())
    wait_until(lambda: len(tap.gets()) > before, 10, "a Get that stays without answer")
    # when it is told to stop
    began = time.monotonic()
    status = running.terminate(15)
    # then it is gone in good order, long before that request would be given up
    assert status == 0
    assert time.monotonic() - began < 20


def test_a_turn_that_comes_after_the_lease_is_lost_is_not_taken(tap, queue, scripts, daemon):
    # given two messages for a hook that serves one at a time
    command, hold = held(scripts)
    running = daemon({"queues": [through(tap, queue, lease="2s", parallel=2)],
                      "hooks": [exec_hook("slow", "*", command, parallel=1)]})
    first = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    second = queue.post(messages.training())
    wait_until(lambda: running.logged(second, "stepping"), 10, "the other to wait for its turn")
    # when the service goes away for longer than the lease, and the turn comes then
    tap.go_away()
    wait_until(lambda: len(queue.visible()) == 2, 15, "both messages to be anybody's")
    hold.unlink()
    wait_until(lambda: scripts.runs("slow", mark="end"), 5, "the run to end")
    # then it is not taken
    stays_true(lambda: len(scripts.runs("slow")) == 1, 2, "the other not to run")
    # and once the service is back and has given the message to us again, it is; what is done is not repeated
    tap.come_back()
    running.signal(signal.SIGUSR1)
    wait_until(queue.is_empty, 30, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [first, second]
    assert queue.records() == []


def test_after_a_standstill_no_turn_is_taken_for_a_message_that_another_has(queue, scripts, daemon):
    # given two messages for a hook that serves one at a time
    command, hold = held(scripts)
    running = daemon({"queues": [queue.config(lease="2s", parallel=2)],
                      "hooks": [exec_hook("slow", "*", command, parallel=1)]})
    first = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    second = queue.post(messages.training())
    wait_until(lambda: running.logged(second, "stepping"), 10, "the other to wait for its turn")
    # when the machine stands still, the run ends, and another reader gets the message that waits
    running.signal(signal.SIGSTOP)
    hold.unlink()
    wait_until(lambda: scripts.runs("slow", mark="end"), 5, "the run to end")
    taken = []
    wait_until(lambda: taken.extend(queue.client.receive_messages(messages_per_page=32, visibility_timeout=5))
               or len(taken) == 2, 15, "the other reader to have both")
    running.signal(signal.SIGCONT)
    # then it does not run here while the other has it
    stays_true(lambda: len(scripts.runs("slow")) == 1, 3, "the other reader to have its time", interval=0.1)
    # and does when that one has given up
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [first, second]
