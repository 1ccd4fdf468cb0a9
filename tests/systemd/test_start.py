# SPDX-License-Identifier: MIT
"""What start, reload and a wrong configuration look like to systemctl."""
import time

from service import CONFIG, UNIT, call, systemctl
from support import messages
from support.daemon import exec_hook
from support.queues import Queue
from support.tap import through
from support.wait import stays_true, wait_until

HOOK = exec_hook("none", "*", "/bin/true")


def test_a_start_is_ready_with_the_queues_first_answer(either, queue):
    # when it starts on a queue that answers
    began = time.monotonic()
    either.start({"queues": [queue.config()], "hooks": [HOOK]})
    # then it is ready soon, and says so
    assert time.monotonic() - began < 5
    assert either.show("StatusText").startswith("queues answering: 1 of 1; ")


def test_a_start_is_ready_with_a_bad_answer_too(service, azurite):
    # when it starts on a queue that nobody has made
    missing = Queue(azurite, "nobody-made-it", create=False)
    began = time.monotonic()
    service.start({"queues": [missing.config()], "hooks": [HOOK]})
    # then it is ready soon as well, and says what the answer was
    assert time.monotonic() - began < 5
    status = service.show("StatusText")
    assert status.startswith("queues answering: 0 of 1; ") and "QueueNotFound" in status


def test_a_start_waits_ten_seconds_for_a_silent_service(service, tap, queue):
    # when it starts on a service that accepts and says nothing
    tap.swallows.add("GET")
    began = time.monotonic()
    service.start({"queues": [through(tap, queue)], "hooks": [HOOK]})
    # then it is ready after 10 s, and says that it knows nothing yet
    assert 9.5 < time.monotonic() - began < 14
    assert service.show("StatusText").endswith(f"; {queue.name}: no answer yet")


def test_a_wrong_configuration_fails_the_start_once(service):
    # given a mistake, and little patience with restarts
    service.drop_in("impatient", "RestartSec=100ms")
    service.configure("queues:\n  - name: events\n    url: nonsense\n")
    # when it starts
    started = call("systemctl", "start", UNIT)
    # then it fails, stays down, and status shows where the mistake is
    assert started.returncode != 0
    stays_true(lambda: service.state() == "failed", 1, "the service to stay down")
    assert service.show("ExecMainStatus") == "78" and service.restarts() == 0
    wait_until(lambda: f"{CONFIG}:3:10: " in call("systemctl", "status", "-l", UNIT).stdout, 5, "the mistake's place")


def test_wrong_usage_fails_the_start_once(service, queue):
    # given an option that does not exist
    service.drop_in("wrong", "RestartSec=100ms", "ExecStart=", "ExecStart=/usr/bin/cvnotifyd --nonsense")
    service.configure({"queues": [queue.config()], "hooks": [HOOK]})
    # when it starts, then it fails and stays down
    assert call("systemctl", "start", UNIT).returncode != 0
    stays_true(lambda: service.state() == "failed", 1, "the service to stay down")
    assert service.show("ExecMainStatus") == "64" and service.restarts() == 0


def test_a_reload_puts_a_good_file_in_force(either, queue, scripts):
    # given a running service
    either.start({"queues": [queue.config()], "hooks": [exec_hook("old", "*", scripts.recording("old"))]})
    pid = either.pid()
    # when it is reloaded with another hook
    either.configure({"queues": [queue.config()], "hooks": [exec_hook("new", "*", scripts.recording("new"))]})
    systemctl("reload", UNIT)
    wait_until(lambda: either.logged("reloaded: 1 queue, 1 hook"), 5, "the reload")
    # then that one runs, in the same process
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.hook for r in scripts.runs()] == ["new"]
    assert either.pid() == pid and either.is_active()


def test_a_reload_of_a_bad_file_fails_and_changes_nothing(either, queue, scripts):
    # given a running service
    either.start({"queues": [queue.config()], "hooks": [exec_hook("old", "*", scripts.recording("old"))]})
    pid = either.pid()
    # when it is reloaded with a file that has a mistake
    either.configure("queues: []\nhocks: []\n")
    reloaded = call("systemctl", "reload", UNIT)
    # then systemctl says so, status shows the mistake
    assert reloaded.returncode != 0
    wait_until(lambda: f"{CONFIG}:2:1: " in call("systemctl", "status", "-l", UNIT).stdout, 5, "the mistake's place")
    # and the service goes on as it was
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.hook for r in scripts.runs()] == ["old"]
    assert either.pid() == pid and either.is_active() and either.restarts() == 0
