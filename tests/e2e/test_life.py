# SPDX-License-Identifier: MIT
"""Start, idle, stop: signals, the service manager's protocol, and a single pass."""
import json
import signal
import statistics
import time

from support import faults, messages, process
from support.daemon import exec_hook, run, write_config
from support.queues import Queue
from support.tap import Tap
from support.wait import stays_true, wait_until


def once(place, config, **env):
    """One pass over the queues; returns the finished process."""
    path = place / "cvnotifyd.yaml"
    write_config(path, config, place)
    return run("-c", path, "--once", timeout=120, **env)


def status_of(running):
    """What the service manager was last told."""
    return [pairs["STATUS"] for _, pairs in running.notify.messages if "STATUS" in pairs][-1]


def test_usr1_polls_now(queue, scripts, daemon):
    # given a daemon that has slowed down on an idle queue
    running = daemon({"queues": [queue.config(poll_min="10m", poll_max="20m")],
                      "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    queue.post(messages.training())
    stays_true(lambda: not scripts.runs(), 1, "nothing to run yet")
    # when it is told to look
    running.signal(signal.SIGUSR1)
    # then it does, at once
    wait_until(scripts.runs, 5, "the message to be served")


def test_polling_slows_down_when_idle_and_hurries_after_a_hit(azurite, queue, scripts, daemon):
    # given a queue that is watched from 100 ms to 2 s
    tap = Tap(azurite.queue_port)
    url = queue.url.replace(str(azurite.queue_port), str(tap.port))
    daemon({"queues": [queue.config(url=url, poll_min="100ms", poll_max="2s")],
            "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when nothing comes
    wait_until(lambda: len(tap.gets()) >= 8, 25, "eight polls")
    # then the waits grow up to the limit, give or take the jitter
    gaps = [b - a for a, b in zip(tap.gets(), tap.gets()[1:])]
    assert min(gaps[:2]) < 0.5
    assert 0.95 < statistics.median(gaps[4:7]) < 3.5
    # and after a hit it looks again quickly
    queue.post(messages.training())
    wait_until(queue.is_empty, 10, "the queue to be empty")
    hit = scripts.runs()[0].time - time.time() + time.monotonic()
    wait_until(lambda: tap.gets()[-1] > hit + 2, 5, "polls after the hit")
    assert [at for at in tap.gets() if 0 < at - hit < 0.8]
    # and each request says who asks, in which version, and when
    for _, _, _, headers in tap.requests:
        assert headers["x-ms-version"] and headers["x-ms-date"] and headers["x-ms-client-request-id"]
    # over few connections
    assert tap.connections <= 4
    tap.close()


def test_term_drains(queue, scripts, daemon):
    # given a running hook and messages that wait for it
    hold = scripts.place / "hold"
    hold.touch()
    command = scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done")
    running = daemon({"queues": [queue.config(lease="60s", parallel=4)], "hooks": [exec_hook("slow", "*", command)]})
    for _ in range(3):
        queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when the daemon is told to stop
    running.signal(signal.SIGTERM)
    # then what has not begun is released, for others, while the hook runs
    wait_until(lambda: len(queue.visible()) == 2, 5, "the waiting messages to be visible")
    assert running.is_running() and not scripts.runs("slow", mark="end")
    # and the running hook ends, is settled, and the daemon goes
    hold.unlink()
    assert running.wait_end(15) == 0
    assert len(scripts.runs("slow")) == len(scripts.runs("slow", mark="end")) == 1
    assert queue.count() == 2


def test_those_who_wait_to_be_told_of_poison_do_not_outlast_term(place, queue, scripts, daemon):
    # given a hook that is told of poison, one at a time, and three messages that are poison
    hold = place / "hold"
    hold.touch()
    command = scripts.recording("note", f"while [ -e {hold} ]; do sleep 0.05; done")
    running = daemon({"queues": [queue.config()],
                      "hooks": [exec_hook("note", "message.poisoned", command, parallel=1)]})
    for _ in range(3):
        queue.post("{oops}")
    wait_until(lambda: len(running.logged("put into the poison queue")) == 3, 15, "three messages to be poison")
    wait_until(lambda: scripts.runs("note"), 10, "the hook to run")
    # when the daemon is told to stop while two of them wait for their turn
    running.signal(signal.SIGTERM)
    running.wait_logged("stopping")
    stays_true(running.is_running, 0.5, "the daemon to wait for the run")
    hold.unlink()
    # then the run ends, the others never begin, and the daemon goes in good order
    assert running.wait_end(10) == 0
    assert len(scripts.runs("note")) == len(scripts.runs("note", mark="end")) == 1
    assert queue.is_empty() and len(queue.records()) == 3
    # and says who was not told of what
    assert len(running.logged("hook is not told of the poison: we are stopping", '"hook":"note"')) == 2


def test_poison_that_is_settled_when_the_stop_is_over_is_told_to_nobody(queue, scripts, daemon):
    # given a message that one hook has rejected, another that runs on until it is asked to end, and
    # one that would tell of poison for a minute
    running = daemon({"stop_timeout": "1s", "queues": [queue.config()], "hooks": [
        exec_hook("judge", "training.*", scripts.recording("judge", "exit 65"), on_failure="continue"),
        exec_hook("slow", "training.*", scripts.recording("slow", "trap 'exit 0' TERM; sleep 100 & wait")),
        exec_hook("note", "message.poisoned", scripts.recording("note", "sleep 60"))]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the second hook to run")
    # when the daemon is told to stop, and its second for that passes
    began = time.monotonic()
    status = running.terminate(20)
    # then the poison is kept, nobody is told, and the daemon is gone
    assert status == 0
    assert time.monotonic() - began < 20
    assert [record["hook"] for record in queue.records()] == ["judge"]
    assert queue.is_empty() and not scripts.runs("note")
    assert running.logged("no hook is told of the poison")


def test_the_last_requests_of_a_stop_have_one_deadline(fake, scripts, daemon):
    # given a message that one hook has rejected and another keeps until a stop, and a service that takes long for each
    # request, and longer and longer
    def slow(answer):
        def play(exchange):
            if not exchange.wait_for_client(0.4):
                answer(exchange)
        return play

    events = fake.queue()
    running = daemon({"stop_timeout": "0s", "http": {"timeout": "1s"}, "queues": [events.config(lease="30s")], "hooks": [
        exec_hook("judge", "training.*", scripts.recording("judge", "exit 65"), on_failure="continue"),
        exec_hook("slow", "training.*", scripts.recording("slow", "trap 'exit 0' TERM; sleep 100 & wait"))]})
    fake.answer("Put", slow(faults.error(404, "QueueNotFound")), times=1)
    fake.answer("Create", slow(lambda exchange: exchange.send(exchange.perform())))
    for operation in ("Put", "Update"):
        fake.answer(operation, faults.silence)
    events.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the second hook to run")
    # when the daemon is told to stop, and the second hook ends
    status = running.terminate(20)
    # then no request has its whole time-out after those before it, and nothing is lost
    assert status == 0
    assert running.logged("message can not be", "no time left to wait for an answer", "it will come again")
    assert len(events.messages()) == 1


def test_who_is_told_of_poison_has_the_time_of_a_stop_too(queue, scripts, daemon):
    # given a message in poison, and a hook that tells of it for a minute
    running = daemon({"stop_timeout": "1s", "queues": [queue.config()], "hooks": [
        exec_hook("note", "message.poisoned", scripts.recording("note", "trap 'note asked; exit 0' TERM; sleep 60 & wait"))]})
    queue.post("{oops}")
    wait_until(lambda: scripts.runs("note"), 10, "the telling to begin")
    # when the daemon is told to stop, and its second for that passes
    began = time.monotonic()
    # then the hook is asked to end, and the record is kept
    assert running.terminate(20) == 0
    assert 1 <= time.monotonic() - began < 20
    assert len(scripts.runs("note", mark="asked")) == 1
    assert len(queue.records()) == 1 and queue.is_empty()


def test_v_logs_every_step(queue, scripts, daemon):
    # given a configuration that logs little, and -v
    running = daemon({"log": {"level": "warning"}, "queues": [queue.config()],
                      "hooks": [exec_hook("report", "*", scripts.recording("report"))]}, args=["-v"])
    # when a message is served, each step is in the log
    queue.post(messages.training())
    running.wait_logged("delivery: reading -> stepping")
    running.wait_logged("message done")


def test_an_idle_daemon_stops_at_once(queue, daemon):
    # given an idle daemon
    running = daemon({"queues": [queue.config(poll_min="20s", poll_max="60s")], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # when it is told to stop, it is gone
    running.signal(signal.SIGINT)
    assert running.wait_end(3) == 0


def test_a_second_term_ends_now(place, queue, scripts, daemon):
    # given a hook that would run for a minute, and time to drain
    command = scripts.recording("slow", f"echo $$ > {place}/pid.new; mv {place}/pid.new {place}/pid; sleep 60")
    running = daemon({"stop_timeout": "50s", "queues": [queue.config()], "hooks": [exec_hook("slow", "*", command)]})
    queue.post(messages.training())
    wait_until((place / "pid").exists, 10, "the hook to run")
    running.signal(signal.SIGTERM)
    stays_true(running.is_running, 1, "the daemon to drain")
    # when TERM comes again
    running.signal(signal.SIGTERM)
    # then the daemon is gone, its hook too, and the message is still there
    assert running.wait_end(5) == 0
    wait_until(lambda: not process.is_alive(int((place / "pid").read_text())), 5, "the hook to be gone")
    assert queue.count() == 1


def test_a_hook_that_outlasts_the_stop_is_ended_and_runs_again_at_the_next_start(place, queue, scripts, daemon):
    # given a hook that ignores TERM and would run for a minute, the first time
    command = scripts.recording("slow", f"[ $run -ge 2 ] && exit 0; trap 'echo asked > {place}/term' TERM; "
                                        f"echo $$ > {place}/pid; while :; do sleep 0.1; done")
    running = daemon({"stop_timeout": "2s", "queues": [queue.config(lease="3s")],
                      "hooks": [exec_hook("slow", "*", command, grace="1s")]})
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when the daemon is told to stop
    began = time.monotonic()
    assert running.terminate(15) == 0
    # then the hook was asked, then ended, and the message is still in the queue
    assert 2 <= time.monotonic() - began < 20
    assert (place / "term").exists()
    assert not process.is_alive(int((place / "pid").read_text()))
    assert queue.count() == 1 and queue.records() == []
    # and at the next start the message is served, as a first attempt: the cut run spent none
    running.restart().wait_ready()
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert [(r.message, r.attempt) for r in scripts.runs("slow")] == [(message, "1"), (message, "1")]


def test_once_on_an_empty_queue_is_0(place, queue):
    # given an empty queue, when there is a single pass, then all is well
    result = once(place, {"queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]})
    assert result.returncode == 0, result.stderr


def test_once_serves_what_is_there_and_ends(place, queue, scripts):
    # given some messages
    posted = [queue.post(messages.training()) for _ in range(5)]
    # when there is a single pass
    result = once(place, {"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report", "sleep 0.2"))]})
    # then all are served
    assert result.returncode == 0, result.stderr
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)
    assert queue.is_empty()


def test_once_with_messages_put_back_is_75(place, queue, scripts):
    # given a hook that asks for patience
    queue.post(messages.training())
    # when there is a single pass
    result = once(place, {"queues": [queue.config(retry_delay=["30s"])],
                          "hooks": [exec_hook("later", "*", scripts.recording("later", "exit 75"))]})
    # then it says that something is left
    assert result.returncode == 75, result.stderr
    assert len(scripts.runs()) == 1 and queue.count() == 1


def test_once_that_is_told_to_stop_with_messages_put_back_is_75(queue, scripts, daemon):
    # given a single pass that is at work on a message
    queue.post(messages.training())
    running = daemon({"stop_timeout": "1s", "queues": [queue.config()],
                      "hooks": [exec_hook("slow", "*", scripts.recording("slow", "sleep 60"))]},
                     args=["--once"], wait=False)
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when it is told to stop, and the hook outlasts that
    status = running.terminate(15)
    # then it says that something is left
    assert status == 75
    assert queue.count() == 1 and queue.records() == []


def test_once_that_is_told_to_stop_twice_is_75(queue, scripts, daemon):
    # given a single pass whose hook would run for a minute
    queue.post(messages.training())
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("slow", "*", scripts.recording("slow", "sleep 60"))]},
                     args=["--once"], wait=False)
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # when it is told to stop, twice
    running.signal(signal.SIGTERM)
    running.wait_logged("stopping")
    running.signal(signal.SIGTERM)
    # then it says that its message is left
    assert running.wait_end(5) == 75
    assert queue.count() == 1


def test_once_refused_is_77(place, azurite, queue):
    # given a token that somebody else signed
    stranger = azurite.account_sas(account_key="QUJDREVGR0g=")
    # when there is a single pass
    config = queue.config(sas=stranger)
    del config["identity"]
    result = once(place, {"queues": [config], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # then it says so, without the token
    assert result.returncode == 77, result.stderr
    assert "AuthenticationFailed" in result.stderr + result.stdout
    assert stranger.partition("sig=")[2][:20] not in result.stderr + result.stdout


def test_once_with_nobody_there_is_69(place, queue):
    # given a storage service that is not there
    (port,) = process.free_ports(1)
    url = f"http://127.0.0.1:{port}/devstoreaccount1/{queue.name}"
    # when there is a single pass
    result = once(place, {"queues": [queue.config(url=url)], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # then it gives up after some tries
    assert result.returncode == 69, result.stderr


def test_the_service_manager_is_told(queue, daemon):
    # given a daemon under a service manager that wants a sign of life every two seconds
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]},
                     env={"WATCHDOG_USEC": "2000000"})
    notify = running.notify
    assert notify.count("READY") == 1
    assert status_of(running).startswith("queues answering: 1 of 1; 0 received, 0 done")
    # when it lives on, then it gives the sign in time
    wait_until(lambda: notify.count("WATCHDOG") >= 4, 8, "four signs of life")
    beats = notify.times("WATCHDOG")
    assert statistics.median(b - a for a, b in zip(beats, beats[1:])) < 2
    # when it reloads, then it says so before and after
    running.reload()
    assert notify.count("RELOADING") == 1 and notify.count("READY") == 2
    assert notify.times("RELOADING")[0] < notify.times("READY")[1]
    # when it stops, then it says that too
    assert running.terminate() == 0
    assert notify.count("STOPPING") == 1


def test_the_service_manager_is_asked_for_the_time_that_hooks_may_take(queue, scripts, daemon):
    # given a hook that takes no notice of TERM, for longer than a manager may be used to
    running = daemon({"stop_timeout": "2s", "queues": [queue.config()], "hooks": [
        exec_hook("stubborn", "*", scripts.recording("stubborn", "trap '' TERM; while :; do sleep 0.2; done"),
                  grace="3s")]})
    queue.post(messages.training())
    wait_until(scripts.runs, 15, "the hook to run")
    # when the daemon is told to stop
    assert running.terminate() == 0
    # then it asked for stop_timeout, and when that was over for the grace, each with some time for the rest
    asked = [int(pairs["EXTEND_TIMEOUT_USEC"]) / 1e6 for _, pairs in running.notify.messages
             if "EXTEND_TIMEOUT_USEC" in pairs]
    assert asked == [2 + 50, 3 + 50]
    first, second = running.notify.times("STOPPING")
    assert 1.5 < second - first < 30


def test_a_refused_reload_ends_with_ready_as_well(queue, daemon):
    # given a daemon
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # when it gets a broken configuration
    running.reload("queues: 5\n")
    # then the service manager is not left waiting, and the daemon lives
    assert running.is_running()


def test_ready_comes_even_when_the_service_does_not_answer(place, queue, daemon):
    # given nobody at the queue's address
    (port,) = process.free_ports(1)
    url = f"http://127.0.0.1:{port}/devstoreaccount1/{queue.name}"
    running = daemon({"queues": [queue.config(url=url)], "hooks": [exec_hook("report", "*", "/bin/true")]}, wait=False)
    # then the daemon is ready all the same, says what is wrong, and stays
    running.wait_ready(12)
    assert "queues answering: 0 of 1; " in status_of(running)
    wait_until(lambda: f"; {queue.name}: " in status_of(running), 5, "the status to tell")
    stays_true(running.is_running, 1, "the daemon to live")


def test_a_missing_queue_is_waited_for(new_queue, azurite, scripts, daemon):
    # given a queue that is not there yet
    queue = Queue(azurite, new_queue().name + "-later", create=False)
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    running.wait_logged("QueueNotFound")
    # when it is made, and the daemon told to look
    queue.client.create_queue()
    queue.post(messages.training())
    running.signal(signal.SIGUSR1)
    # then its messages are served
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert len(scripts.runs()) == 1


def test_the_log_goes_where_it_is_asked_to(place, queue):
    # given the text format
    config = {"log": {"format": "text"}, "queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]}
    path = place / "cvnotifyd.yaml"
    write_config(path, config, place)
    # when the daemon runs
    text = run("-c", path, "--once")
    write_config(path, {**config, "log": {"format": "json", "level": "info"}}, place)
    as_json = run("-c", path, "--once")
    # then its lines are for people, or for programs
    said = (text.stdout + text.stderr).splitlines()
    assert said and not any(line.startswith("{") for line in said)
    said = [json.loads(line) for line in (as_json.stdout + as_json.stderr).splitlines()]
    assert said and all({"time", "level", "message"} <= set(entry) for entry in said)


def test_killed_while_hooks_run_it_loses_nothing_and_repeats_no_line(place, queue, scripts, daemon):
    # given messages for a file of lines and for a script, and a daemon
    path = place / "events.jsonl"
    running = daemon({"queues": [queue.config(lease="2s", parallel=8)], "hooks": [
        {"name": "audit", "on": ["*"], "file": {"path": str(path)}},
        exec_hook("slow", "*", scripts.recording("slow", "sleep 0.3"), parallel=3)]})
    documents = [messages.training() for _ in range(24)]
    for document in documents:
        document["Content"]["note"] = "x" * 20000
    posted = queue.post_all([json.dumps(document) for document in documents])
    # when it is killed in the middle of its work, again and again, and started anew
    for count in (3, 9, 15):
        wait_until(lambda: len(scripts.runs("slow")) >= count, 20, "hooks to run")
        running.signal(signal.SIGKILL)
        assert running.wait_end(5) == -signal.SIGKILL
        running.restart().wait_ready()
    wait_until(queue.is_empty, 60, "the queue to be empty", interval=0.2)
    # then every message's script has run, and its line stands in the file once, whole
    assert {r.message for r in scripts.runs("slow")} == set(posted)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(posted)
    assert all(len(line["data"]["note"]) == 20000 for line in lines)
    assert queue.records() == []
