# SPDX-License-Identifier: MIT
"""HUP: a good configuration is taken over at once, a bad one changes nothing, and no run is harmed."""
import json
import os
import signal

import pytest

from support import messages
from support.daemon import exec_hook, run
from support.tap import Tap, through
from support.wait import stays_true, wait_until


@pytest.fixture
def tap(azurite):
    """Stands between the daemon and its storage service."""
    tap = Tap(azurite.queue_port)
    yield tap
    tap.close()


def held(scripts, name, then=":"):
    """A recording script that runs until its hold is lifted, then does what `then` says; and the hold."""
    hold = scripts.place / f"hold-{name}"
    hold.touch()
    return scripts.recording(name, f"while [ -e {hold} ]; do sleep 0.1; done; {then}"), hold


def test_a_broken_file_changes_nothing_and_says_where(queue, scripts, daemon):
    # given a daemon with a hook that is running
    command, hold = held(scripts, "slow")
    config = {"queues": [queue.config()], "hooks": [exec_hook("slow", "training.*", command),
                                                    exec_hook("quick", "export.*", scripts.recording("quick"))]}
    running = daemon(config)
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when its file becomes a wrong one and it is told to reload
    running.write("queues:\n  - name: events\n    pol_min: 1s\nhooks: [\n")
    running.signal(signal.SIGHUP)
    # then the log names file and line
    running.wait_logged(f"{running.config_path}:")
    # and everything goes on as before, the running hook undisturbed
    other = queue.post(messages.export(), encoding="base64")
    wait_until(lambda: scripts.runs("quick", other), 10, "the other hook to run")
    assert not scripts.runs("slow", mark="end")
    hold.unlink()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs("slow")) == len(scripts.runs("slow", mark="end")) == 1


def test_a_reload_that_is_asked_for_while_it_starts_is_done_when_it_has(place, queue, daemon):
    # given a daemon that reads its configuration for the first time
    config = place / "slow.yaml"
    os.mkfifo(config, 0o600)
    running = daemon({"queues": [queue.config()], "hooks": []}, args=["-c", config], wait=False)

    def reader():
        try:
            return os.open(config, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    pipe = wait_until(reader, 10, "the daemon to read")
    # when it is told to read it again
    running.signal(signal.SIGHUP)
    running.config_path.rename(config)
    os.write(pipe, config.read_bytes())
    os.close(pipe)
    # then it starts, and does so
    running.wait_ready()
    running.wait_logged("reloaded: 1 queue, 0 hooks")


def test_every_mistake_of_a_broken_file_is_logged_with_its_line(queue, daemon):
    # given a daemon
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # when its file gets two mistakes
    running.write("stop_timeout: soon\nqueues:\n  - name: events\n    url: http://127.0.0.1:1/devstoreaccount1/q\n"
                  "    pol_min: 1s\nhooks: []\n")
    running.signal(signal.SIGHUP)
    # then both are named with their lines
    running.wait_logged(f"{running.config_path}:1:")
    running.wait_logged(f"{running.config_path}:5:", "poll_min")


def test_a_part_that_is_a_list_is_refused(place, queue, scripts, daemon):
    # given a daemon whose file includes a part
    part = place / "hooks.yaml"
    hooks = [exec_hook("report", "*", scripts.recording("report"))]
    part.write_text(json.dumps({"hooks": hooks}))
    running = daemon({"queues": [queue.config()], "include": part.name})
    # when the part becomes a bare list and the daemon is told to reload
    part.write_text(json.dumps(hooks))
    running.reload()
    # then the log names the part, and the daemon lives on with what it had
    running.wait_logged(f"{part}:1:1:")
    assert not running.logged("reloaded")
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("report", message), 10, "the hook to run")
    wait_until(queue.is_empty, 10, "the queue to be empty")


def test_a_secret_where_a_file_is_due_is_refused_and_not_shown(azurite, queue, scripts, daemon):
    # given a daemon
    config = {"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]}
    running = daemon(config)
    # when the token itself is pasted where its file should be named
    token = azurite.queue_sas(queue.name)
    settings = {key: value for key, value in queue.config(sas_file=token).items() if key != "identity"}
    running.reload({**config, "queues": [settings]})
    checked = run("-t", "-c", running.config_path)
    # then both the daemon and the check refuse it and say where it belongs, and neither repeats it
    assert checked.returncode == 78
    running.wait_logged("sas_file")
    for said in (checked.stdout + checked.stderr, running.log()):
        assert "sas_file" in said and "`sas`" in said
        assert "sig=" not in said and token.partition("sig=")[2][:12] not in said
    # and the daemon lives on
    queue.post(messages.training())
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert len(scripts.runs("report")) == 1


def test_new_hooks_work_at_once_and_a_running_one_ends_undisturbed(queue, scripts, daemon):
    # given a hook that is running
    command, hold = held(scripts, "slow")
    config = {"queues": [queue.config(lease="2s")], "hooks": [exec_hook("slow", "training.*", command)]}
    running = daemon(config)
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when a configuration comes without that hook and with a new one
    running.reload({**config, "hooks": [exec_hook("fresh", "*", scripts.recording("fresh"))]})
    # then the new one serves what comes
    export = queue.post(messages.export())
    wait_until(lambda: scripts.runs("fresh", export), 10, "the new hook to run")
    # and the old run, which outlasts its lease, ends under the configuration it began with
    stays_true(lambda: len(scripts.runs("slow")) == 1 and not scripts.runs("fresh", message), 2.5, "nothing to run again")
    hold.unlink()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs("slow")) == len(scripts.runs("slow", mark="end")) == 1
    assert not scripts.runs("fresh", message)


def test_a_hook_that_is_serialised_from_now_on_waits_for_what_runs(fake, scripts, daemon):
    # given a hook that runs for a message, without minding its project
    queue = fake.queue()
    command, hold = held(scripts, "one")
    project = "6c4a1b52-0a3e-4f0e-9a6e-3d8f5f0a1b2c"
    config = {"queues": [queue.config()], "hooks": [exec_hook("one", "*", command, parallel=4)]}
    running = daemon(config)
    first = queue.post(messages.training(project=project))
    wait_until(lambda: scripts.runs("one", first), 10, "the hook to run")
    # when a reload serialises it, and a message of that project comes, and then one of another
    running.reload({**config, "hooks": [exec_hook("one", "*", command, parallel=4, serialize="project")]})
    second = queue.post(messages.training(project=project))
    other = queue.post(messages.training())
    wait_until(lambda: scripts.runs("one", other), 10, "the other project's message to be served")
    # then the project's second waits for its first
    assert not scripts.runs("one", second)
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert scripts.most_at_once(lambda run: run.message in (first, second)) == 1


def test_a_hook_that_is_gone_is_not_told_of_as_broken(fake, scripts, daemon):
    # given a message whose first of two hooks runs, and a second whose program is missing
    queue = fake.queue()
    command, hold = held(scripts, "one")
    one, two = exec_hook("one", "*", command), exec_hook("two", "*", str(scripts.place / "missing"))
    running = daemon({"queues": [queue.config()], "hooks": [one, two]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("one"), 10, "the first hook to run")
    # when a reload takes the second away before the message finds it broken
    running.reload({"queues": [queue.config()], "hooks": [one]})
    hold.unlink()
    running.wait_logged("hook is broken")

    def status():
        return [pairs["STATUS"] for _, pairs in list(running.notify.messages) if "STATUS" in pairs][-1]
    # then the status does not speak of it for ever: the message comes again, and is done
    wait_until(lambda: "1 done" in status(), 15, "the message to be done")
    assert "broken" not in status()


def test_queues_come_and_go_and_the_unchanged_one_is_undisturbed(new_queue, scripts, daemon):
    # given two queues, each with a run under way
    stay, go, come = new_queue(), new_queue(), new_queue()
    command, hold = held(scripts, "slow")
    hooks = [exec_hook("slow", "training.*", command, parallel=8),
             exec_hook("quick", "export.*", scripts.recording("quick"), parallel=8)]
    running = daemon({"queues": [stay.config(), go.config()], "hooks": hooks})
    first, second = stay.post(messages.training()), go.post(messages.training())
    wait_until(lambda: len(scripts.runs("slow")) == 2, 10, "both hooks to run")
    # when one queue is taken out and another put in
    running.reload({"queues": [stay.config(), come.config()], "hooks": hooks})
    # then the new one and the old one are served, the removed one no more
    left = go.post(messages.export())
    new, old = come.post(messages.export()), stay.post(messages.export())
    wait_until(lambda: scripts.runs("quick", new), 10, "the new queue to be served")
    wait_until(lambda: scripts.runs("quick", old), 10, "the unchanged queue to be served")
    stays_true(lambda: not scripts.runs("quick", left), 1.5, "the removed queue to be left alone")
    # and both runs end well
    hold.unlink()
    wait_until(stay.is_empty, 15, "the unchanged queue to be empty")
    wait_until(lambda: go.count() == 1, 15, "the removed queue's running message to be done")
    assert sorted(r.message for r in scripts.runs("slow")) == sorted([first, second])


def test_what_only_a_restart_can_change_is_named_and_the_rest_applies(place, queue, scripts, daemon):
    # given a daemon
    config = {"queues": [queue.config()], "hooks": [exec_hook("old", "*", scripts.recording("old"))]}
    running = daemon(config)
    # when state_dir and a hook change together
    (place / "elsewhere").mkdir()
    running.reload({**config, "state_dir": str(place / "elsewhere"),
                    "hooks": [exec_hook("new", "*", scripts.recording("new"))]})
    # then the log names the one, and the other works
    running.wait_logged("state_dir")
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("new"), 10, "the new hook to run")
    assert not scripts.runs("old")


def test_a_message_in_retry_is_matched_afresh(queue, scripts, daemon):
    # given a message whose only hook fails for now
    config = {"queues": [queue.config(retry_delay=["2s"])], "hooks": [
        exec_hook("done", "*", scripts.recording("done")),
        exec_hook("bad", "*", scripts.recording("bad", "exit 1"))]}
    running = daemon(config)
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("bad"), 10, "the hook to fail")
    # when the failing hook is taken out and another put in
    running.reload({**config, "hooks": [config["hooks"][0], exec_hook("good", "*", scripts.recording("good"))]})
    # then the next delivery runs the new one, not what is done, and forgets the removed one
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert [r.hook for r in scripts.runs()] == ["done", "bad", "good"]


def test_many_reloads_under_load_lose_and_repeat_nothing(queue, scripts, daemon):
    # given a daemon at work
    config = {"queues": [queue.config(parallel=8)],
              "hooks": [exec_hook("report", "*", scripts.recording("report", "sleep 0.05"), parallel=4)]}
    running = daemon(config)
    posted = queue.post_all([json.dumps(messages.training()) for _ in range(60)])
    # when it is told to reload again and again
    for number in range(8):
        running.reload({**config, "queues": [queue.config(parallel=8 + number % 2)]})
    # then each message ran once
    wait_until(queue.is_empty, 30, "the queue to be empty")
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)


def test_who_waits_to_be_told_of_poison_is_told_when_a_reload_changes_the_queue(place, queue, scripts, daemon):
    # given a hook that is told of poison, one at a time, and three messages that are poison
    hold = place / "hold"
    hold.touch()
    note = exec_hook("note", "message.poisoned", parallel=1,
                     command=scripts.recording("note", f"while [ -e {hold} ]; do sleep 0.05; done"))
    running = daemon({"queues": [queue.config()], "hooks": [note]})
    posted = [queue.post("{oops}") for _ in range(3)]
    wait_until(lambda: len(running.logged("put into the poison queue")) == 3, 15, "three messages to be poison")
    wait_until(lambda: scripts.runs("note"), 10, "the hook to run")
    # when a reload changes the queue while two of them wait for their turn
    running.reload({"queues": [queue.config(parallel=4)], "hooks": [note]})
    hold.unlink()
    # then all are told of
    wait_until(lambda: len(scripts.runs("note", mark="end")) == 3, 10, "all three to be told of")
    assert sorted(r.message for r in scripts.runs("note")) == sorted(posted)


def test_a_run_outlasts_its_token_and_goes_on_under_the_new_one(azurite, queue, scripts, daemon):
    # given a hook that is running when the token that let us in expires, and the lease with it
    command, hold = held(scripts, "slow")
    def config(token):
        settings = {key: value for key, value in queue.config(lease="3s", sas=token).items() if key != "identity"}
        return {"queues": [settings], "hooks": [exec_hook("slow", "*", command, parallel=4)]}
    running = daemon(config(azurite.account_sas(hours=8 / 3600)))
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 7, "the hook to run")
    running.wait_logged("lease lost", timeout=20)
    # when a new token comes with a reload, and the message with it
    running.reload(config(azurite.account_sas()))
    running.wait_logged("delivered to us again")
    # then the run is that message's only one, and settles it
    stays_true(lambda: len(scripts.runs("slow")) == 1, 4, "the run to go on", interval=0.2)
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [message]
    assert len(scripts.runs("slow", mark="end")) == 1
    assert queue.records() == []


def test_a_run_that_two_reloads_outlive_ends_by_settings_that_are_there(tap, queue, scripts, daemon):
    # given a daemon whose hooks were reloaded, and then, while one of them runs, its queue as well
    command, hold = held(scripts, "slow", "[ $run -ge 2 ] || exit 1")
    slow = exec_hook("slow", "training.*", command)
    other = exec_hook("other", "export.failed", "/bin/true")
    def config(hooks, **settings):
        return {"queues": [through(tap, queue, lease="2s", retry_delay=["1s"], **settings)], "hooks": hooks}
    running = daemon(config([slow]))
    running.reload(config([slow, other]))
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    running.reload(config([slow, other], poll_max="900ms"))
    # when its lease is lost and the message comes again, to the queue's new settings
    tap.swallows = {"PUT"}
    running.wait_logged("delivered to us again")
    tap.swallows = set()
    # then the run that fails is judged, and the message retried, as if nothing had happened
    hold.unlink()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [(r.message, r.attempt) for r in scripts.runs("slow")] == [(message, "1"), (message, "2")]
    assert queue.records() == []


def test_a_shorter_lease_holds_for_a_message_that_is_adopted(tap, queue, scripts, daemon):
    # given a run under a lease of six seconds, and a reload that makes it two
    command, hold = held(scripts, "slow")
    def config(lease):
        return {"queues": [through(tap, queue, lease=lease, poll_max="300ms")],
                "hooks": [exec_hook("slow", "*", command, parallel=4)]}
    running = daemon(config("6s"))
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    running.reload(config("2s"))
    # when the message is lost and comes again, and updates come through from then on
    tap.swallows = {"PUT"}
    running.wait_logged("delivered to us again")
    tap.swallows = set()
    # then it is renewed in time for its new lease: it does not come again and again
    stays_true(lambda: len(running.logged("delivered to us again")) <= 2, 6, "the message to stay ours", interval=0.2)
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [message]


def test_a_changed_file_is_taken_over_by_itself_where_that_is_wanted(queue, scripts, daemon):
    # given a daemon that is to watch its file
    config = {"queues": [queue.config()], "reload_on_change": True, "hooks": []}
    running = daemon(config)
    # when the file is replaced, as editors and deploy tools do
    fresh = running.config_path.with_suffix(".new")
    text = running.config_path.read_text()
    fresh.write_text(text.replace('"hooks": []', '"hooks": ' + json.dumps(
        [exec_hook("fresh", "*", scripts.recording("fresh"))])))
    fresh.chmod(0o600)
    assert fresh.read_text() != text
    fresh.rename(running.config_path)
    running.wait_logged("reloaded")
    # then its hook works, without a signal
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("fresh", message), 10, "the new hook to run")
