# SPDX-License-Identifier: MIT
"""The steps of a message: which run when, what a reload changes of them, what a fault of the host does to them."""
import signal
import time

import pytest

from support import messages
from support.daemon import exec_hook
from support.faults import silence
from support.wait import stays_true, wait_until

PROJECT = "6c4a1b52-0a3e-4f0e-9a6e-3d8f5f0a1b2c"


def held(scripts, name):
    """A recording script that runs until its file is gone, and that file."""
    hold = scripts.place / f"hold-{name}"
    hold.touch()
    return scripts.recording(name, f"while [ -e {hold} ]; do sleep 0.05; done"), hold


def test_a_fault_of_the_host_that_lasts_until_the_message_expires_ends_in_poison(queue, scripts, daemon):
    # given a hook that fails once, whose program is gone then, and a message that lives for twelve seconds
    command = scripts.recording("deploy", f"echo half done; rm -f {scripts.place}/deploy; exit 3")
    daemon({"queues": [queue.config(lease="1s", retry_delay=["1s"], expiry_margin="6s")],
            "hooks": [exec_hook("deploy", "*", command)]})
    message = queue.post(messages.training(), time_to_live=12)
    # when the margin is reached
    wait_until(queue.records, 15, "a poison record")
    # then it is kept aside, with the one attempt that was made and how that ended
    (record,) = queue.records()
    assert (record["message_id"], record["reason"], record["hook"]) == (message, "expiring", "deploy")
    assert (record["attempts"], record["exit"]) == (1, 3)
    assert "half done" in record["tail"]


def test_a_broken_hook_that_continues_holds_nobody_back(queue, scripts, daemon):
    # given a hook whose program is missing, which lets others go on, before one that is well
    missing = scripts.place / "first"
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("first", "*", str(missing), on_failure="continue"),
        exec_hook("second", "*", scripts.recording("second"))]})
    # when a message comes
    message = queue.post(messages.training())
    # then the second runs, and once the first can, it runs alone
    wait_until(lambda: scripts.runs("second", message, mark="end"), 10, "the second hook to run")
    scripts.recording("first")
    wait_until(queue.is_empty, 30, "the queue to be empty")
    assert [r.hook for r in scripts.runs()] == ["second", "first"]


def test_a_broken_hook_is_not_tried_for_each_message(queue, scripts, daemon):
    # given a hook whose program is missing
    missing = scripts.place / "deploy"
    running = daemon({"queues": [queue.config(parallel=32)], "hooks": [exec_hook("deploy", "*", str(missing), parallel=1)]})
    # when many messages need it
    posted = [queue.post(messages.training()) for _ in range(20)]
    wait_until(lambda: all(running.logged("message comes again in", message) for message in posted), 15, "all to be put off")
    # then they wait as one: it was tried now and then only
    assert 1 <= len(running.logged("hook is broken")) + len(running.logged("hook is still broken")) <= 5
    # and when it can run, each is served, as a first attempt
    scripts.recording("deploy")
    running.reload()
    wait_until(queue.is_empty, 60, "the queue to be empty")
    assert sorted((r.message, r.attempt) for r in scripts.runs()) == sorted((message, "1") for message in posted)


def test_a_message_that_can_not_be_run_does_not_tell_that_a_broken_hook_works(fake, scripts, daemon):
    # given a hook whose program is missing, as a message has found out that is gone meanwhile
    queue = fake.queue()
    running = daemon({"queues": [queue.config(retry_delay=["60s"])], "hooks": [
        exec_hook("deploy", ["*", "connection.test"], [str(scripts.place / "missing"), "{iteration_id}"])]})
    queue.post(messages.training())
    running.wait_logged("hook is broken")
    with fake.lock:
        fake.queues[queue.name].clear()
    # when one comes that lacks what the command needs, so that nothing is run for it
    queue.post(messages.connection_test())
    running.wait_logged("hook failed", "no value for {iteration_id}")
    # then that is no sign of health
    assert not running.logged("hook works again")


def test_a_message_in_retry_does_not_hold_back_the_next_of_its_project(queue, scripts, daemon):
    # given a hook that serves one project at a time, and fails for the first message
    daemon({"queues": [queue.config(retry_delay=["60s"])], "hooks": [
        exec_hook("deploy", "*", scripts.recording("deploy", f"[ -e {scripts.place}/seen ] || {{ touch {scripts.place}/seen; exit 1; }}"),
                  serialize="project")]})
    first = queue.post(messages.training(project=PROJECT))
    wait_until(lambda: scripts.runs("deploy", first), 10, "the first to fail")
    # when a second of that project comes
    second = queue.post(messages.training(project=PROJECT))
    # then it is served, though the first waits
    wait_until(lambda: scripts.runs("deploy", second, mark="end"), 10, "the second to be served")
    wait_until(lambda: queue.count() == 1, 10, "the first to be left")
    assert len(scripts.runs("deploy", first)) == 1


def test_who_is_told_of_poison_is_told_one_project_at_a_time_too(queue, scripts, daemon):
    # given a hook that refuses, and one that is told, never twice at once for one project
    command, hold = held(scripts, "alarm")
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("judge", "*", scripts.recording("judge", "exit 65")),
        exec_hook("alarm", "message.poisoned", command, serialize="project", parallel=4)]})
    # when two messages of a project and one of another go to poison
    for project in (PROJECT, PROJECT, None):
        queue.post(messages.training(project=project))
    wait_until(lambda: len(queue.records()) == 3, 15, "three poison records")
    # then the one project's second waits for its first, and the other project's does not
    wait_until(lambda: len(scripts.runs("alarm")) == 2, 10, "both projects to be told of")
    stays_true(lambda: len(scripts.runs("alarm")) == 2, 1, "the third to wait")
    hold.unlink()
    wait_until(lambda: len(scripts.runs("alarm", mark="end")) == 3, 10, "the third to be told of")


def test_a_hook_that_fails_to_hear_of_poison_is_not_told_again(queue, scripts, daemon):
    # given a hook that is told of poison, and fails
    running = daemon({"queues": [queue.config(retry_delay=["1s"])], "hooks": [
        exec_hook("alarm", "message.poisoned", scripts.recording("alarm", "exit 3"))]})
    # when a message is poison
    queue.post("{oops}")
    running.wait_logged("hook could not be told of poison", "exit status 3")
    # then that is all: the record is there, the message is gone, and no poison is made of the failure
    wait_until(queue.is_empty, 10, "the queue to be empty")
    stays_true(lambda: len(scripts.runs("alarm")) == len(queue.records()) == 1, 2, "nothing more to happen")


def test_an_edited_hook_is_the_same_step(queue, scripts, daemon):
    # given a hook that is done, and one that has failed
    config = {"queues": [queue.config(retry_delay=["2s"])], "hooks": [
        exec_hook("one", "*", scripts.recording("one")),
        exec_hook("two", "*", scripts.recording("two", "exit 1"))]}
    running = daemon(config)
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("two"), 10, "the second hook to fail")
    # when both get another program
    other = scripts.recording("other")
    running.reload({**config, "hooks": [exec_hook("one", "*", other), exec_hook("two", "*", other)]})
    # then the first stays done, and the second goes on where it was
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [(r.hook, r.attempt) for r in scripts.runs()] == [("one", "1"), ("two", "1"), ("two", "2")]


def test_a_delivery_that_has_begun_keeps_its_steps_and_their_order(queue, scripts, daemon):
    # given a message whose first of two hooks is running
    command, hold = held(scripts, "one")
    config = {"queues": [queue.config()], "hooks": [
        exec_hook("one", "*", command), exec_hook("two", "*", scripts.recording("two"))]}
    running = daemon(config)
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("one"), 10, "the first hook to run")
    # when a configuration comes with another second hook
    running.reload({**config, "hooks": [config["hooks"][0], exec_hook("three", "*", scripts.recording("three"))]})
    hold.unlink()
    # then the message is served as it was begun
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [(r.hook, r.message) for r in scripts.runs()] == [("one", message), ("two", message)]


def test_a_message_that_becomes_too_old_while_it_waits_for_its_turn_is_not_run(queue, scripts, daemon):
    # given a hook that serves one at a time, nothing older than three seconds, and is busy
    command, hold = held(scripts, "deploy")
    running = daemon({"queues": [queue.config()], "hooks": [
        exec_hook("deploy", "*", command, parallel=1, max_age="3s")]})
    first = queue.post(messages.training())
    wait_until(lambda: scripts.runs("deploy"), 10, "the hook to be busy")
    # when a second message waits for longer than that
    second = queue.post(messages.training())
    posted = time.time()
    running.wait_logged("message received", second)
    wait_until(lambda: time.time() > posted + 4.5, 6, "the message to age")
    hold.unlink()
    # then it is done without a run
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs("deploy")] == [first]
    assert running.logged("older than the hook's max_age", second)
    assert queue.records() == []


def test_a_rejection_waits_for_the_steps_that_are_still_to_be_tried(queue, scripts, daemon):
    # given a hook that rejects and one that fails once, both of which let others go on
    daemon({"queues": [queue.config(retry_delay=["1s"])], "hooks": [
        exec_hook("judge", "*", scripts.recording("judge", "exit 65"), on_failure="continue"),
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"), on_failure="continue"),
        exec_hook("last", "*", scripts.recording("last"))]})
    # when a message comes
    queue.post(messages.training())
    wait_until(queue.records, 20, "a poison record")
    # then the second was tried again before the message went to poison, and the first was not
    (record,) = queue.records()
    assert [r.hook for r in scripts.runs()] == ["judge", "flaky", "last", "flaky"]
    assert (record["hook"], record["reason"], sorted(record["done"])) == ("judge", "rejected", ["flaky", "last"])


def test_a_message_that_waits_for_its_turn_is_matched_anew_by_a_reload(queue, scripts, daemon):
    # given a hook that serves one at a time, and is busy with the first of two messages
    command, hold = held(scripts, "slow")
    config = {"queues": [queue.config()], "hooks": [exec_hook("slow", "*", command, parallel=1)]}
    running = daemon(config)
    first = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to be busy")
    second = queue.post(messages.training())
    running.wait_logged("delivery: reading -> stepping", second)
    # when a configuration comes with another hook before that one
    running.reload({**config, "hooks": [exec_hook("fresh", "*", scripts.recording("fresh")), *config["hooks"]]})
    # then the one that waited runs the other at once, and the one that runs does not
    wait_until(lambda: scripts.runs("fresh", second), 10, "the new hook to run")
    hold.unlink()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [(r.hook, r.message) for r in scripts.runs()] == [("slow", first), ("fresh", second), ("slow", second)]


def test_a_stop_lets_a_message_that_has_begun_go_to_its_end(queue, scripts, daemon):
    # given a message whose first of two hooks is running
    command, hold = held(scripts, "one")
    running = daemon({"stop_timeout": "20s", "queues": [queue.config()], "hooks": [
        exec_hook("one", "*", command), exec_hook("two", "*", scripts.recording("two"))]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("one"), 10, "the first hook to run")
    # when the daemon is told to stop before that hook ends
    running.signal(signal.SIGTERM)
    running.wait_logged("stopping")
    hold.unlink()
    # then the second runs too, and the message is gone with the daemon
    assert running.wait_end(15) == 0
    assert [r.hook for r in scripts.runs(mark="end")] == ["one", "two"]
    assert queue.is_empty()


def test_a_message_whose_only_hook_so_far_could_not_run_has_not_begun(queue, scripts, daemon):
    # given a hook whose program is missing, which lets others go on, and one that is busy with another message
    command, hold = held(scripts, "slow")
    running = daemon({"stop_timeout": "20s", "queues": [queue.config(lease="60s")], "hooks": [
        exec_hook("broken", "export.*", str(scripts.place / "missing"), on_failure="continue"),
        exec_hook("slow", "*", command, parallel=1)]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to be busy")
    export = queue.post(messages.export())
    running.wait_logged("hook is broken", export)
    # when the daemon is told to stop
    running.signal(signal.SIGTERM)
    # then the message of the broken hook is given back at once, while the run may end
    wait_until(lambda: [m.id for m in queue.visible()] == [export], 10, "the message to be given back")
    assert running.is_running()
    hold.unlink()
    assert running.wait_end(15) == 0
    assert len(scripts.runs("slow")) == 1


def test_a_request_on_a_message_has_a_quarter_of_the_lease(fake, scripts, daemon):
    # given a service that leaves the first delete without an answer, and time enough for any other request
    queue = fake.queue()
    fake.answer("Delete", silence, times=1)
    daemon({"http": {"timeout": "30s"}, "queues": [queue.config(lease="8s")],
            "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when a message is done
    queue.post(messages.training())
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the delete was given up after two seconds, and tried again while the message was ours
    first, second = fake.asked("Delete")
    assert 1.9 < second - first < 8
    assert len(scripts.runs("report")) == 1
