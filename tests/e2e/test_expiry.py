# SPDX-License-Identifier: MIT
"""A message that is not done near the end of its life is kept in poison: whatever it waits for, whatever runs."""
import signal
import threading

import pytest

from e2e.test_ledger import fill, small_disk, state_of
from support import messages
from support.daemon import exec_hook
from support.faults import error
from support.wait import wait_until

NO_UPDATE = error(403, "AuthorizationPermissionMismatch")
BUSY = error(503, "ServerBusy", Retry_After="60")


@pytest.fixture
def hold(scripts):
    """While it is there, hooks that look for it go on."""
    path = scripts.place / "hold"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


def until_gone(hold, then=":"):
    return f"while [ -e {hold} ]; do sleep 0.05; done; {then}"


def told(scripts):
    return exec_hook("told", "message.poisoned", scripts.recording("told"))


def is_kept(running, message):
    """Whether its record is in the poison queue, or in the spool."""
    return running.logged("message put into the poison", message)


@pytest.mark.parametrize("may_update", [True, False])
def test_a_lease_that_outlasts_the_message_does_not_hide_its_end(fake, scripts, daemon, hold, may_update):
    # given a hook that serves one at a time, and is busy
    queue = fake.queue()
    if not may_update:
        fake.answer("Update", NO_UPDATE)
    running = daemon({"queues": [queue.config(lease="30s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", until_gone(hold)), parallel=1), told(scripts)]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to be busy")
    # when a message waits for it that expires before half of its lease has passed
    short = queue.post(messages.training(), ttl_s=8)
    wait_until(lambda: is_kept(running, short), 8, "its record")
    # then it is kept aside in time, unrun
    (record,) = queue.records()
    assert (record["message_id"], record["reason"]) == (short, "expiring")
    assert not scripts.runs("slow", short)
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")


def test_a_wait_that_was_too_long_for_max_age_is_no_cause_for_poison(fake, scripts, daemon, hold):
    # given a hook that serves one at a time, is busy, and is not for what is older than three seconds (the service's
    # dates have no less than one)
    queue = fake.queue()
    running = daemon({"queues": [queue.config(lease="2s", expiry_margin="4s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", until_gone(hold)), parallel=1, max_age="3s")]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to be busy")
    # when a message waits for it until it nears its end
    stale = queue.post(messages.training(), ttl_s=9)
    running.wait_logged("message done", stale)
    # then it was too old for the hook, and done so
    assert running.logged("message is older than the hook's max_age", stale, '"outcome":"stale"')
    assert not queue.records() and not scripts.runs("slow", stale)


def test_a_run_that_outlasts_the_message_and_fails_leaves_a_record(fake, scripts, daemon, hold):
    # given a run that does not end before its message does
    queue = fake.queue()
    running = daemon({"queues": [queue.config(lease="2s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", until_gone(hold, "echo no luck; exit 3"))), told(scripts)]})
    message = queue.post(messages.training(), ttl_s=5)
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    running.wait_logged("lease lost: ", "no life left")
    wait_until(queue.is_empty, 10, "the message to be gone")
    # when it fails then
    hold.unlink()
    wait_until(queue.records, 10, "a record")
    # then the message is kept, with what is known of it, and that is told
    (record,) = queue.records()
    assert (record["message_id"], record["reason"], record["hook"]) == (message, "expiring", "slow")
    assert (record["attempts"], record["exit"], record["tail"].strip()) == (1, 3, "no luck")
    wait_until(lambda: scripts.runs("told"), 10, "the hook that is told")


def test_a_run_that_outlasts_the_message_and_is_done_leaves_none(fake, scripts, daemon, hold):
    queue = fake.queue()
    running = daemon({"queues": [queue.config(lease="2s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", until_gone(hold)))]})
    queue.post(messages.training(), ttl_s=5)
    running.wait_logged("lease lost: ", "no life left")
    wait_until(queue.is_empty, 10, "the message to be gone")
    hold.unlink()
    running.wait_logged("message is no longer ours")
    assert not queue.records() and len(scripts.runs("slow", mark="end")) == 1


def test_a_disk_that_takes_nothing_does_not_cost_a_message_its_life(place, fake, scripts, daemon):
    # given a state_dir that is full: no run can be put on record, so none begins
    queue = fake.queue()
    running = daemon({"queues": [queue.config(lease="2s", expiry_margin="4s")], "hooks": [
        exec_hook("report", "*", scripts.recording("report"))]}, before=small_disk(place, "size=512k"))
    filler = fill(state_of(running))
    # when a message waits for that until it expires
    message = queue.post(messages.training(), ttl_s=8)
    wait_until(queue.records, 9, "a record")
    # then it is kept aside in time, unrun
    assert [(r["message_id"], r["reason"]) for r in queue.records()] == [(message, "expiring")]
    wait_until(queue.is_empty, 10, "the queue to be empty")
    filler.unlink()
    running.wait_logged("ledger can be written again", timeout=40)
    assert not scripts.runs("report")


def test_a_poison_queue_that_asks_for_patience_gets_no_more_than_the_message_has(fake, scripts, daemon):
    # given a poison queue that wants to be left alone for a minute
    queue = fake.queue()
    fake.answer("Put", BUSY)
    running = daemon({"queues": [queue.config(lease="1s", expiry_margin="10s")], "hooks": []})
    # when there is a record for it of a message that lives for less than that
    message = queue.post("{oops}", ttl_s=14)
    # then it is tried again while there is time to keep it here
    running.wait_logged("message comes again in", message)
    wait_until(lambda: is_kept(running, message), 8, "the record to be kept")
    wait_until(queue.is_empty, 5, "the queue to be empty")


def test_poison_that_is_not_gone_at_its_end_is_known_when_it_comes_again(fake, scripts, daemon):
    # given a message near its end that is poison, and whose delete finds the receipt void
    queue = fake.queue()

    def refuse(exchange):
        (message,) = queue.messages()
        message.renew(2)
        message.expires += 60  # for a slow machine
        exchange.send(exchange.perform())

    fake.answer("Delete", refuse, times=1)
    running = daemon({"queues": [queue.config(lease="20s")], "hooks": [exec_hook("any", "*", scripts.recording("any"))]})
    message = queue.post("{oops", ttl_s=3)
    # when it comes again
    running.wait_logged("message received", "dequeue count 2", message)
    # then it is deleted without a second record
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [record["message_id"] for record in queue.records()] == [message]


@pytest.mark.parametrize("late", ["Delete", "Get"])
def test_poison_that_comes_again_at_its_end_is_told_of_once(fake, scripts, daemon, late):
    # given a hook that is told of poison
    queue = fake.queue()
    running = daemon({"queues": [queue.config(lease="20s")], "hooks": [
        exec_hook("told", "message.poisoned", scripts.recording("told", "sleep 0.5"), parallel=2)]})
    taken = threading.Event()

    def late_get(exchange):
        reply = exchange.perform()
        taken.set()
        if late == "Get":
            wait_until(lambda: scripts.runs("told"), 10, "the hook to be told")
        exchange.send(reply)

    def refused_delete(exchange):
        (message,) = queue.messages()
        message.visible_at, message.expires = 0, message.expires + 60  # for a slow machine
        fake.answer("Get", late_get, times=1)
        taken.wait(10)
        if late == "Delete":
            running.wait_logged("message received", "dequeue count 2")
        exchange.send(exchange.perform())

    # when a message near its end is poison, and comes again before its delete is answered, or after
    fake.answer("Delete", refused_delete, times=1)
    message = queue.post("{oops", ttl_s=3)
    running.wait_logged("it was put into poison before", message)
    wait_until(queue.is_empty, 10, "the queue to be empty")
    # then the hook is told of it once
    wait_until(lambda: scripts.runs("told"), 10, "the hook to be told")
    assert running.terminate() == 0
    assert len(scripts.runs("told")) == 1


@pytest.mark.parametrize("waits_for", ["retry", "turn", "poison"])
def test_a_stop_leaves_no_message_to_a_lease_that_outlasts_it(fake, scripts, daemon, hold, waits_for):
    # given a credential that may not update, so leases of more than a minute
    queue = fake.queue()
    fake.answer("Update", NO_UPDATE)
    then = {"retry": "exit 1", "turn": until_gone(hold), "poison": "exit 65"}[waits_for]
    running = daemon({"stop_timeout": "1s", "queues": [queue.config(lease="1s", retry_delay=["20s"], expiry_margin="0s")],
                      "hooks": [exec_hook("main", "training.*", scripts.recording("main", then), timeout="30s",
                                          grace="1s", parallel=1),
                                exec_hook("first", "export.*", scripts.recording("first", "exit 1"), timeout="1s")]})
    queue.post(messages.export())
    running.wait_logged("no right to update")
    if waits_for == "turn":
        queue.post(messages.training())
        wait_until(lambda: scripts.runs("main"), 10, "the hook to be busy")
    if waits_for == "poison":
        fake.answer("Put", BUSY)
    # when a message of 45 seconds waits
    message = queue.post(messages.training(), ttl_s=45)
    wait_until(lambda: running.logged({"retry": "message is kept here", "turn": "reading -> stepping",
                                       "poison": "hook rejected"}[waits_for], message), 10, "the message to wait")
    # and the daemon is stopped, so that nobody could have it before it expires
    running.signal(signal.SIGTERM)
    assert running.wait_end(20) == 0
    # then it is kept in poison
    assert is_kept(running, message)
    assert message not in [m.id for m in queue.messages()]
