# SPDX-License-Identifier: MIT
"""What becomes of a message: done, retried, rejected, kept; and how often its hooks run."""
import json
import time

import pytest

from support import messages
from support.daemon import exec_hook
from support.tap import Tap, through
from support.wait import stays_true, wait_until


def gaps(runs):
    return [b.time - a.time for a, b in zip(runs, runs[1:])]


def test_a_hook_that_needs_ten_times_the_lease_runs_once(queue, scripts, daemon):
    # given a lease of one second and a hook of ten
    running = daemon({"queues": [queue.config(lease="1s")],
                      "hooks": [exec_hook("slow", "*", scripts.recording("slow", "sleep 10"))]})
    # when a message comes
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # then nobody else can see the message while the hook runs, and it ran once
    stays_true(lambda: not queue.visible(), 8, "the message to stay hidden", interval=0.2)
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [message]
    assert len(scripts.runs("slow", mark="end")) == 1
    running.no_zombie()


def test_a_message_that_waits_for_its_hook_stays_leased(queue, scripts, daemon):
    # given a short lease and a hook that serves one at a time, for longer than that
    daemon({"queues": [queue.config(lease="1s", parallel=4)],
            "hooks": [exec_hook("slow", "*", scripts.recording("slow", "sleep 1.3"), parallel=1)]})
    # when four messages come together
    posted = [queue.post(messages.training()) for _ in range(4)]
    # then they are served in turn, each once
    wait_until(queue.is_empty, 30, "the queue to be empty")
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)
    assert scripts.most_at_once() == 1


def test_a_hook_that_fails_twice_then_succeeds_runs_three_times(queue, scripts, daemon):
    # given delays of one and two seconds
    daemon({"queues": [queue.config(retry_delay=["1s", "2s"])],
            "hooks": [exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 3 ] || exit 1"))]})
    # when the hook fails twice
    queue.post(messages.training())
    wait_until(queue.is_empty, 25, "the queue to be empty")
    # then it ran three times, after those delays, and each run knew its number
    runs = scripts.runs("flaky")
    assert [r.attempt for r in runs] == ["1", "2", "3"]
    first, second = gaps(runs)
    assert 0.9 <= first < 20 and 1.9 <= second < 20
    assert queue.records() == []


def test_the_retry_delay_is_kept_in_the_queue_for_others_to_see(queue, scripts, daemon):
    # given a delay longer than the lease
    daemon({"queues": [queue.config(lease="1s", retry_delay=["6s"])],
            "hooks": [exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"))]})
    # when the hook failed
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("flaky"), 10, "the first run")
    # then the message stays hidden for the delay, lease or no lease
    stays_true(lambda: not queue.visible() and len(scripts.runs("flaky")) == 1, 4, "the message to be hidden", interval=0.2)
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs("flaky")) == 2


def test_later_spends_no_attempt(queue, scripts, daemon):
    # given a single attempt and a hook that asks for patience twice
    running = daemon({"queues": [queue.config(retry_delay=["1s"], max_attempts=1)],
                      "hooks": [exec_hook("later", "*", scripts.recording("later", "[ $run -ge 3 ] || exit 75"))]})
    # when a message comes
    queue.post(messages.training())
    wait_until(queue.is_empty, 25, "the queue to be empty")
    # then it ran until it was done, always its first attempt, delayed each time
    runs = scripts.runs("later")
    assert [r.attempt for r in runs] == ["1", "1", "1"]
    assert all(gap >= 0.9 for gap in gaps(runs))
    assert len(running.logged("hook said later after", ": exit status 75; again in 1s")) == 2
    assert queue.records() == []


def test_a_rejection_is_poison_at_once_with_the_scripts_last_words(queue, scripts, daemon):
    # given a hook that rejects
    running = daemon({"queues": [queue.config()], "hooks": [
        exec_hook("judge", "*", scripts.recording("judge", "echo looked at it; echo 'no such model here' >&2; exit 65"))]})
    # when a message comes
    document = messages.training()
    message = queue.post(document)
    # then one run was enough, and the record says who refused, how and why
    wait_until(queue.records, 15, "a poison record")
    (record,) = queue.records()
    assert record["reason"] == "rejected"
    assert record["hook"] == "judge"
    assert record["exit"] == 65
    assert "no such model here" in record["tail"]
    assert record["message_id"] == message
    assert document["Content"]["projectId"] in record["text"]
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert len(scripts.runs("judge")) == 1
    assert running.logged("hook rejected after", ": exit status 65; to poison, reason rejected")


def test_out_of_attempts_is_poison(queue, scripts, daemon):
    # given two attempts and a hook that never succeeds
    daemon({"queues": [queue.config(retry_delay=["1s"], max_attempts=2)],
            "hooks": [exec_hook("never", "*", scripts.recording("never", "echo still broken; exit 3"))]})
    # when a message comes
    queue.post(messages.training(), encoding="base64")
    # then two runs are all it gets
    wait_until(queue.records, 20, "a poison record")
    (record,) = queue.records()
    assert (record["reason"], record["hook"], record["exit"], record["attempts"]) == ("out-of-attempts", "never", 3, 2)
    assert "still broken" in record["tail"]
    assert record["encoding"] == "base64"
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.attempt for r in scripts.runs("never")] == ["1", "2"]


def test_a_signal_is_a_failure_and_a_timeout_too(queue, scripts, daemon):
    # given a hook that dies of a signal, then hangs, then works
    then = "case $run in 1) kill -SEGV $$;; 2) exec sleep 60;; esac"
    daemon({"queues": [queue.config(retry_delay=["1s"])],
            "hooks": [exec_hook("unwell", "*", scripts.recording("unwell", then), timeout="1s", grace="1s")]})
    # when a message comes
    queue.post(messages.training())
    wait_until(queue.is_empty, 25, "the queue to be empty")
    # then both cost an attempt
    assert [r.attempt for r in scripts.runs("unwell")] == ["1", "2", "3"]


def test_a_slow_hook_for_poison_does_not_hold_up_others(fake, scripts, daemon):
    # given a hook that takes long to be told of poison, and more poison than may be settled at once
    queue = fake.queue()
    hold = scripts.place / "hold"
    hold.touch()
    running = daemon({"queues": [queue.config()], "hooks": [
        exec_hook("note", "message.poisoned", scripts.recording("note", f"while [ -e {hold} ]; do sleep 0.05; done")),
        exec_hook("report", "training.*", scripts.recording("report"))]})
    for _ in range(70):
        queue.post("{oops}")
    wait_until(lambda: len(queue.records()) == 70, 15, "all to be put into poison")
    # when a good message comes
    message = queue.post(messages.training())
    # then its hook runs meanwhile
    wait_until(lambda: [r.message for r in scripts.runs("report")] == [message], 10, "the other hook to run")
    assert len(scripts.runs("note")) == 1
    hold.unlink()
    assert running.terminate(30) == 0


def test_stop_holds_the_later_steps_back(queue, scripts, daemon):
    # given three hooks of which the second fails once
    daemon({"queues": [queue.config(retry_delay=["1s"])], "hooks": [
        exec_hook("one", "*", scripts.recording("one")),
        exec_hook("two", "*", scripts.recording("two", "[ $run -ge 2 ] || exit 1")),
        exec_hook("three", "*", scripts.recording("three"))]})
    # when a message comes
    queue.post(messages.training())
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the third waited for the second, and the first did not run again
    assert [r.hook for r in scripts.runs()] == ["one", "two", "two", "three"]


def test_continue_lets_the_later_steps_run_and_retries_the_failed_one_alone(queue, scripts, daemon):
    # given three hooks of which the second fails once and says to go on
    daemon({"queues": [queue.config(retry_delay=["1s"])], "hooks": [
        exec_hook("one", "*", scripts.recording("one")),
        exec_hook("two", "*", scripts.recording("two", "[ $run -ge 2 ] || exit 1"), on_failure="continue"),
        exec_hook("three", "*", scripts.recording("three"))]})
    # when a message comes
    queue.post(messages.training())
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the third ran at once and only the second again
    assert [r.hook for r in scripts.runs()] == ["one", "two", "three", "two"]


def test_after_continue_the_message_comes_when_its_first_step_is_due(queue, scripts, daemon):
    # given a hook that has failed twice, so that its next delay is the long one
    config = {"queues": [queue.config(retry_delay=["1s", "5s"])], "hooks": [
        exec_hook("old", "*", scripts.recording("old", "[ $run -ge 4 ] || exit 1"), on_failure="continue")]}
    running = daemon(config)
    queue.post(messages.training())
    wait_until(lambda: len(scripts.runs("old", mark="start")) == 2, 10, "two runs")
    # when a second hook, new at this message, fails beside it for the first time
    running.reload({**config, "hooks": [*config["hooks"], exec_hook(
        "new", "*", scripts.recording("new", "[ $run -ge 2 ] || exit 1"), on_failure="continue")]})
    wait_until(queue.is_empty, 25, "the queue to be empty")
    # then the new one was run again after its own short delay, and the old one waited on for its long one
    (short,), long = gaps(scripts.runs("new")), gaps(scripts.runs("old"))
    assert 0.9 <= short < 4
    assert len(long) == 3
    assert all(4.9 <= gap < 30 for gap in long[1:])
    assert queue.records() == []


def test_after_a_rejection_stop_skips_and_continue_goes_on(new_queue, scripts, daemon):
    # given a hook that rejects between two others, once with stop, once with continue
    stop, go_on = new_queue(), new_queue()
    one, two, three = (scripts.recording(n, t) for n, t in (("one", ":"), ("two", "exit 65"), ("three", ":")))
    daemon({"queues": [stop.config(), go_on.config()], "hooks": [
        exec_hook("one", "*", one),
        exec_hook("two-stop", "*", two, queues=[stop.name]),
        exec_hook("two-continue", "*", two, queues=[go_on.name], on_failure="continue"),
        exec_hook("three", "*", three)]})
    # when each queue gets a message
    stopped, continued = stop.post(messages.training()), go_on.post(messages.training())
    wait_until(lambda: stop.records() and go_on.records(), 20, "both poison records")
    # then the third hook ran only after continue, and the records name what was done
    assert [r.hook for r in scripts.runs(message=stopped)] == ["one", "two-stop"]
    assert [r.hook for r in scripts.runs(message=continued)] == ["one", "two-continue", "three"]
    assert (stop.records()[0]["hook"], stop.records()[0]["done"]) == ("two-stop", ["one"])
    assert (go_on.records()[0]["hook"], sorted(go_on.records()[0]["done"])) == ("two-continue", ["one", "three"])


def test_a_fault_of_the_host_keeps_the_message_and_lets_others_flow(queue, scripts, daemon):
    # given one hook whose program is not there, for exports, and a healthy one for trainings
    missing = scripts.place / "deploy"
    running = daemon({"queues": [queue.config(max_attempts=1, retry_delay=["1s"])], "hooks": [
        exec_hook("deploy", "export.completed", str(missing)),
        exec_hook("report", "training.*", scripts.recording("report"))]})
    # when both kinds of message come
    export = queue.post(messages.export())
    trainings = [queue.post(messages.training()) for _ in range(5)]
    # then trainings flow on; the export is kept although its one attempt would be spent by any failure
    wait_until(lambda: len(scripts.runs("report")) == 5, 15, "the trainings to be served")
    stays_true(lambda: queue.count() >= 1 and not queue.records(), 3, "the export to be kept", interval=0.3)
    assert {r.message for r in scripts.runs("report")} == set(trainings)
    running.no_zombie()
    # and when the program appears, it runs, as a first attempt
    scripts.recording("deploy")
    wait_until(queue.is_empty, 90, "the export to be served", interval=0.2)
    assert [(r.message, r.attempt) for r in scripts.runs("deploy")] == [(export, "1")]


def test_a_reload_tries_a_broken_hook_at_once(queue, scripts, daemon):
    # given a file that can not be written: its folder is missing
    folder = scripts.place / "later"
    running = daemon({"queues": [queue.config()], "hooks": [
        {"name": "audit", "on": ["*"], "file": {"path": str(folder / "events.jsonl")}}]})
    message = queue.post(messages.training())
    running.wait_logged("audit", str(folder))
    stays_true(lambda: queue.count() == 1, 2, "the message to be kept", interval=0.2)
    # when the folder is made and the daemon is told
    folder.mkdir()
    running.reload()
    # then the message is served
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert message in (folder / "events.jsonl").read_text()


def test_a_script_that_can_not_be_started_differs_from_one_that_fails(new_queue, scripts, daemon):
    # given a file that is not executable, and a script that exits as shells do for a missing command
    host, script = new_queue(), new_queue()
    plain = scripts.place / "plain"
    plain.write_text("#!/bin/sh\n")
    daemon({"queues": [host.config(max_attempts=1), script.config(max_attempts=1)], "hooks": [
        exec_hook("plain", "*", str(plain), queues=[host.name]),
        exec_hook("shell", "*", scripts.recording("shell", "no-such-command-at-all || exit $?"), queues=[script.name])]})
    # when both are needed
    host.post(messages.training())
    script.post(messages.training())
    # then the script's failure is the message's, the other is the host's
    wait_until(script.records, 15, "a poison record")
    assert script.records()[0]["exit"] == 127
    stays_true(lambda: host.count() == 1 and not host.records(), 2, "the other to be kept", interval=0.2)


def test_a_message_near_its_expiry_goes_to_poison(queue, scripts, daemon):
    # given a hook that fails for ever and a message that lives for twenty seconds
    daemon({"queues": [queue.config(lease="1s", retry_delay=["1s"], max_attempts=100, expiry_margin="12s")],
            "hooks": [exec_hook("never", "*", scripts.recording("never", "exit 1"))]})
    before = time.time()
    queue.post(messages.training(), time_to_live=20)
    # when the margin is reached
    wait_until(queue.records, 25, "a poison record")
    # then it is kept aside, ahead of being lost
    assert queue.records()[0]["reason"] == "expiring"
    assert 6 < time.time() - before < 19
    assert len(scripts.runs("never")) >= 2


def test_a_message_that_expires_while_it_waits_for_its_hook_goes_to_poison(queue, scripts, daemon):
    # given a hook that serves one at a time, and is busy
    hold = scripts.place / "hold"
    hold.touch()
    daemon({"queues": [queue.config(lease="1s", expiry_margin="3s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.1; done"), parallel=1)]})
    first = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to be busy")
    # when a message of eight seconds waits for it in vain
    before = time.time()
    short = queue.post(messages.training(), time_to_live=8)
    wait_until(queue.records, 15, "a poison record")
    # then it is kept aside unrun, while there was time for that
    (record,) = queue.records()
    assert (record["reason"], record["message_id"], record["hook"]) == ("expiring", short, "slow")
    assert 4 < time.time() - before < 8
    # and the one that ran is done as ever
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [first]


def test_near_its_expiry_a_message_is_not_renewed_without_end(azurite, queue, scripts, daemon):
    # given a run that outlasts the message, which lives only a little longer than its lease
    tap = Tap(azurite.queue_port)
    hold = scripts.place / "hold"
    hold.touch()
    running = daemon({"queues": [through(tap, queue, lease="10s", expiry_margin="1s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.1; done"))]})
    began = time.monotonic()
    queue.post(messages.training(), time_to_live=13)
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when the message comes near its end, and passes it
    wait_until(lambda: queue.is_empty() and time.monotonic() - began > 13, 18, "the message to expire", interval=0.2)
    # then its lease was renewed in growing haste, but never without a pause
    assert 2 <= len(tap.puts()) < 15
    # and the run ends as ever
    hold.unlink()
    running.wait_logged("hook done")
    assert len(scripts.runs("slow")) == 1
    tap.close()


def test_receipts_that_nobody_explains_are_poison(queue, scripts, daemon):
    # given a message that others received and put back a hundred times and more
    message = queue.post(messages.training())
    for _ in range(110):
        received = next(iter(queue.client.receive_messages(visibility_timeout=30)))
        queue.client.update_message(received, visibility_timeout=0)
    # when the daemon gets it
    daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # then it is kept aside
    wait_until(queue.records, 15, "a poison record")
    assert (queue.records()[0]["reason"], queue.records()[0]["message_id"]) == ("unexplained-dequeues", message)
    assert scripts.runs() == []


def test_a_few_receipts_of_others_do_no_harm(queue, scripts, daemon):
    # given a message that others put back ten times
    message = queue.post(messages.training())
    for _ in range(10):
        received = next(iter(queue.client.receive_messages(visibility_timeout=30)))
        queue.client.update_message(received, visibility_timeout=0)
    # when the daemon gets it
    daemon({"queues": [queue.config(max_attempts=1)], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # then it runs as a first attempt
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [(r.message, r.attempt) for r in scripts.runs()] == [(message, "1")]


def test_the_poison_queue_can_be_named(new_queue, daemon):
    # given poison queues of one's own, by name and by address
    one, two = new_queue(), new_queue()
    aside = new_queue()
    daemon({"queues": [one.config(poison=aside.name), two.config(poison={"url": aside.url, "identity": "azurite"})],
            "hooks": [exec_hook("report", "*", "/bin/true")]})
    # when both queues get what can not be decoded
    posted = {one.post("{oops}"), two.post("{oops}")}
    # then both records stand there
    wait_until(lambda: aside.count() == 2, 15, "two poison records")
    wait_until(lambda: one.is_empty() and two.is_empty(), 10, "both queues to be empty")
    assert {json.loads(m.content)["message_id"] for m in aside.visible()} == posted
    assert one.poison().count() == 0


def test_a_poison_queue_without_a_name_has_the_usual_one_and_its_own_token(azurite, queue, scripts, daemon):
    # given a token that lets us read the queue but not post, and one that lets us post poison
    poison = queue.poison()
    poison.client.create_queue()
    settings = {key: value for key, value in queue.config(
        sas=azurite.queue_sas(queue.name, permissions="rup"),
        poison={"sas": azurite.queue_sas(poison.name, permissions="ra")}).items() if key != "identity"}
    running = daemon({"queues": [settings], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when the queue gets what can not be decoded
    message = queue.post("{oops}")
    # then its record stands in the queue's own poison queue, and the message is gone
    wait_until(queue.records, 15, "a poison record")
    assert [(record["message_id"], record["reason"]) for record in queue.records()] == [(message, "not-json")]
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert scripts.runs() == []
    # and the log tells the two tokens apart, which both have less than a day
    name = settings["name"]
    assert running.logged("the SAS expires in", f'"identity":"{name}"', "permissions rup")
    assert running.logged("the SAS expires in", f'"identity":"{name}.poison"', "permissions ra")


def test_a_project_is_served_one_at_a_time_where_asked(queue, scripts, daemon):
    # given a hook that must not run twice at once for one project
    daemon({"queues": [queue.config(parallel=8)], "hooks": [
        exec_hook("deploy", "*", scripts.recording("deploy", "sleep 0.4"), parallel=4, serialize="project")]})
    # when two projects have three messages each
    projects = ["6c4a1b52-0a3e-4f0e-9a6e-3d8f5f0a1b2c", "7d5b2c63-1b4f-4a1f-8b7f-4e9a6a1b2c3d"]
    of = {queue.post(messages.training(project=p)): p for p in projects * 3}
    wait_until(queue.is_empty, 25, "the queue to be empty")
    # then one project never ran twice at once, and the two ran side by side
    assert sorted(r.message for r in scripts.runs()) == sorted(of)
    for project in projects:
        assert scripts.most_at_once(lambda r: of[r.message] == project) == 1
    assert scripts.most_at_once() == 2


def test_a_message_that_was_taken_away_meanwhile_is_let_go(queue, scripts, daemon):
    # given a hook that is running
    hold = scripts.place / "hold"
    hold.touch()
    running = daemon({"queues": [queue.config(lease="2s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.1; done"))]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when somebody clears the queue under it
    queue.client.clear_messages()
    stays_true(running.is_running, 2.5, "the daemon to live")
    hold.unlink()
    # then the run ends, and the next message is served as ever
    wait_until(lambda: scripts.runs("slow", mark="end"), 10, "the run to end")
    after = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow", after), 15, "the next message to be served")
    wait_until(queue.is_empty, 10, "the queue to be empty")
