# SPDX-License-Identifier: MIT
"""What the daemon knows of a message outlives it: killed or stopped, it goes on where it was."""
import signal
import time

import pytest

from support import messages
from support.daemon import exec_hook
from support.faults import error, silence
from support.wait import wait_until

ENDS = pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
# A run that only the daemon's own end ends.
UNTIL_THE_DAEMON_IS_GONE = "while [ -e /proc/$PPID ]; do sleep 0.05; done"


def config(place, queue, hooks, **settings):
    """A short lease, for what a killed daemon had comes back only then."""
    return {"state_dir": str(place / "state"), "queues": [queue.config(**{"lease": "1s", **settings})], "hooks": hooks}


def restart(running, end=signal.SIGKILL, new=None):
    """The daemon ends so, and starts again over the same state_dir, with another configuration if given."""
    running.signal(end)
    assert running.wait_end(20) == (-signal.SIGKILL if end == signal.SIGKILL else 0)
    if new is not None:
        running.write(new)
    running.restart().wait_ready()


@ENDS
def test_a_finished_step_is_not_run_again(place, fake, scripts, daemon, end):
    # given two hooks of which the second fails once
    queue = fake.queue()
    running = daemon(config(place, queue, [
        exec_hook("one", "*", scripts.recording("one")),
        exec_hook("two", "*", scripts.recording("two", "[ $run -ge 2 ] || exit 1"))], retry_delay=["2s"]))
    message = queue.post(messages.training())
    running.wait_logged("message comes again in", message)
    # when the daemon ends and comes again
    restart(running, end)
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then only the second ran again, as its second attempt
    assert [(r.hook, r.attempt) for r in scripts.runs()] == [("one", "1"), ("two", "1"), ("two", "2")]
    assert queue.records() == []


@ENDS
def test_a_step_that_is_done_while_the_next_one_runs_is_not_run_again(place, fake, scripts, daemon, end):
    # given a hook that is done, and one that runs for as long as the daemon does, the first time
    queue = fake.queue()
    running = daemon({**config(place, queue, [
        exec_hook("one", "*", scripts.recording("one")),
        exec_hook("two", "*", scripts.recording("two", f"[ $run -ge 2 ] && exit 0; {UNTIL_THE_DAEMON_IS_GONE}"))]),
        "stop_timeout": "1s"})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("two"), 10, "the second hook to run")
    # when the daemon ends in its midst and comes again
    restart(running, end)
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the first was not repeated, and the cut run has cost no attempt
    assert [(r.hook, r.attempt) for r in scripts.runs()] == [("one", "1"), ("two", "1"), ("two", "1")]


def test_attempts_are_counted_across_restarts(place, fake, scripts, daemon):
    # given three attempts and a hook that never succeeds
    queue = fake.queue()
    running = daemon(config(place, queue, [exec_hook("never", "*", scripts.recording("never", "exit 3"))],
                            retry_delay=["1s"], max_attempts=3))
    message = queue.post(messages.training())
    # when the daemon is killed after each of the first two
    for number in (1, 2):
        wait_until(lambda: len(running.logged("message comes again in", message)) >= number, 15, f"attempt {number}")
        restart(running)
    # then three runs are all it gets, and the record knows of them
    wait_until(queue.records, 20, "a poison record")
    (record,) = queue.records()
    assert (record["reason"], record["hook"], record["attempts"], record["exit"]) == ("out-of-attempts", "never", 3, 3)
    assert [r.attempt for r in scripts.runs("never")] == ["1", "2", "3"]
    wait_until(queue.is_empty, 10, "the queue to be empty")


def test_twenty_kills_in_the_midst_of_a_run_are_poison(place, fake, scripts, daemon):
    # given a hook whose every run is cut by the daemon's death
    queue = fake.queue()
    running = daemon(config(place, queue, [exec_hook("deadly", "*", scripts.recording("deadly", UNTIL_THE_DAEMON_IS_GONE))]))
    message = queue.post(messages.training())
    # when that has happened twenty times
    for number in range(1, 21):
        wait_until(lambda: len(scripts.runs("deadly")) >= number, 20, f"run {number}")
        restart(running)
    # then the message is kept aside; none of the runs was an attempt
    wait_until(queue.records, 15, "a poison record")
    (record,) = queue.records()
    assert (record["reason"], record["hook"], record["attempts"]) == ("interrupted", "deadly", 0)
    assert [(r.message, r.attempt) for r in scripts.runs("deadly")] == [(message, "1")] * 20


@ENDS
def test_a_delay_is_kept_across_a_restart(place, fake, scripts, daemon, end):
    # given a hook that has failed, and a queue that did not get to hear of its delay
    queue = fake.queue()
    running = daemon(config(place, queue, [exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"))],
                            retry_delay=["6s"]))
    deaf = fake.answer("Update", silence)
    message = queue.post(messages.training())
    running.wait_logged("message comes again in", message)
    # when the daemon ends, and the message is back long before its time
    restart(running, end)
    deaf.lift()
    wait_until(lambda: all(m.dequeue_count >= 2 for m in queue.messages()), 10, "the message to come again")
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the second run came after the delay, not sooner
    first, second = scripts.runs("flaky")
    assert 4 < second.time - first.time < 40


def test_the_number_of_a_delay_goes_on_across_a_restart(place, fake, scripts, daemon):
    # given a short first delay, a long second one, and a hook that asks for patience and fails
    queue = fake.queue()
    running = daemon(config(place, queue, [
        exec_hook("slow", "*", scripts.recording("slow", "case $run in 1) exit 75;; 2) exit 1;; esac"))],
        retry_delay=["1s", "5s"]))
    message = queue.post(messages.training())
    running.wait_logged("message comes again in", message)
    # when the daemon is killed after the first
    restart(running)
    wait_until(queue.is_empty, 25, "the queue to be empty")
    # then the second delay is the long one, and patience has cost no attempt
    runs = scripts.runs("slow")
    assert [r.attempt for r in runs] == ["1", "1", "2"]
    assert 4 < runs[2].time - runs[1].time < 40


def test_receipts_that_the_ledger_explains_are_no_poison(place, fake, scripts, daemon):
    # given a hook that asks for patience, and a queue that hides its message from nobody
    queue = fake.queue()
    running = daemon(config(place, queue, [
        exec_hook("patient", "*", scripts.recording("patient", f"[ -e {place}/go ] || exit 75"))], retry_delay=["1s"]))
    queue.post(messages.training())

    def received(times):
        """Puts the message back at once, each time, until the daemon has had it so often."""
        assert not queue.is_empty(), f"the message is gone: {queue.records()}"
        (message,) = queue.messages()
        if message.dequeue_count < times:
            with fake.lock:
                message.visible_at = 0
        return message.dequeue_count >= times
    # when it has come to a daemon more than a hundred times, and comes to the next one
    wait_until(lambda: received(120), 60, "a hundred and twenty receipts")
    restart(running)
    wait_until(lambda: received(125), 60, "some more")
    # then it is no poison, and is served in the end
    (place / "go").touch()
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert queue.records() == []
    assert {r.attempt for r in scripts.runs("patient")} == {"1"}


def test_a_hook_that_is_removed_meanwhile_is_forgotten(place, fake, scripts, daemon):
    # given a hook that is done, and one that has failed
    queue = fake.queue()
    one = exec_hook("one", "*", scripts.recording("one"))
    running = daemon(config(place, queue, [one, exec_hook("two", "*", scripts.recording("two", "exit 1"))], retry_delay=["2s"]))
    message = queue.post(messages.training())
    running.wait_logged("message comes again in", message)
    # when the daemon comes again without the second, and with a third
    restart(running, new=config(place, queue, [one, exec_hook("three", "*", scripts.recording("three"))]))
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the third ran, and the message is done
    assert [(r.hook, r.attempt) for r in scripts.runs()] == [("one", "1"), ("two", "1"), ("three", "1")]
    assert queue.records() == []


def test_a_hook_that_is_edited_meanwhile_is_the_same_step(place, fake, scripts, daemon):
    # given a hook that is done, and one that has failed
    queue = fake.queue()
    running = daemon(config(place, queue, [
        exec_hook("one", "*", scripts.recording("one")),
        exec_hook("two", "*", scripts.recording("two", "exit 1"))], retry_delay=["2s"]))
    message = queue.post(messages.training())
    running.wait_logged("message comes again in", message)
    # when the daemon comes again with other programs under their names
    other = scripts.recording("other")
    restart(running, new=config(place, queue, [exec_hook("one", "*", other), exec_hook("two", "*", other)]))
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the first stays done, and the second is at its second attempt
    assert [(r.hook, r.attempt) for r in scripts.runs()] == [("one", "1"), ("two", "1"), ("two", "2")]


def test_a_rejection_whose_poison_record_could_not_be_stored_goes_to_poison_after_a_kill(place, fake, scripts, daemon):
    # given a hook that rejects, and a poison queue that takes nothing
    queue = fake.queue()
    full = fake.answer("Put", error(503, "ServerBusy"))
    running = daemon(config(place, queue, [
        exec_hook("judge", "*", scripts.recording("judge", "echo no such model; exit 65"))]))
    message = queue.post(messages.training())
    wait_until(lambda: full.count, 15, "a poison record to be refused")
    # when the daemon is killed, and the poison queue is well again
    restart(running)
    full.lift()
    # then the record says what the hook said, which did not run again
    wait_until(queue.records, 20, "a poison record")
    (record,) = queue.records()
    assert (record["message_id"], record["reason"], record["hook"], record["exit"]) == (message, "rejected", "judge", 65)
    assert "no such model" in record["tail"]
    assert len(scripts.runs("judge")) == 1
    wait_until(queue.is_empty, 10, "the queue to be empty")


@ENDS
def test_a_message_that_is_done_and_could_not_be_deleted_is_deleted_without_a_run(place, fake, scripts, daemon, end):
    # given a hook that is done, and a service that does not delete
    queue = fake.queue()
    refused = fake.answer("Delete", error(503, "ServerBusy"))
    running = daemon(config(place, queue, [exec_hook("report", "*", scripts.recording("report"))]))
    queue.post(messages.training())
    wait_until(lambda: refused.count, 15, "a delete to be refused")
    # when the daemon ends and comes again, and the service is well
    restart(running, end)
    refused.lift()
    # then the message is deleted, and the hook ran once
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert len(scripts.runs("report")) == 1


def test_two_state_dirs_do_not_know_of_each_other(place, fake, scripts, daemon):
    # given a message that a daemon is done with and could not delete
    queue = fake.queue()
    refused = fake.answer("Delete", error(503, "ServerBusy"))
    hooks = [exec_hook("report", "*", scripts.recording("report"))]
    running = daemon(config(place, queue, hooks))
    message = queue.post(messages.training())
    wait_until(lambda: refused.count, 15, "a delete to be refused")
    # when one with another state_dir gets it
    (place / "other").mkdir()
    restart(running, new={**config(place, queue, hooks), "state_dir": str(place / "other")})
    refused.lift()
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the hook has run for each
    assert [r.message for r in scripts.runs("report")] == [message] * 2
