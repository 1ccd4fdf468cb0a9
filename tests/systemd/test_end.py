# SPDX-License-Identifier: MIT
"""Stops, hangs, crashes, and what comes after them."""
import os
import pathlib
import signal
import time

from service import LOGS
from support import messages, process
from support.daemon import exec_hook
from support.tap import through
from support.wait import stays_true, wait_until


def pid_of(name):
    """The process that a hook has noted by `echo $$`."""
    path = LOGS / name
    return int(wait_until(lambda: path.exists() and path.read_text(), 5, "the hook's process id"))


def test_a_stop_waits_for_a_hook(either, queue, scripts):
    # given a hook at work
    either.start({"stop_timeout": "20s", "queues": [queue.config()],
                  "hooks": [exec_hook("slow", "*", scripts.recording("slow", "sleep 1.5"))]})
    queue.post(messages.training())
    wait_until(scripts.runs, 10, "the hook to run")
    # when the service is stopped
    either.stop()
    # then the hook has ended by itself, and its message is gone
    assert len(scripts.runs(mark="end")) == 1 and queue.is_empty()
    assert either.state() == "inactive" and either.show("Result") == "success"


def test_a_stop_waits_for_a_hook_beyond_the_time_of_the_unit(either, queue, scripts):
    # given a hook that takes longer than the unit grants, but no longer than stop_timeout
    either.drop_in("impatient", "TimeoutStopSec=2s")
    either.start({"stop_timeout": "20s", "queues": [queue.config()],
                  "hooks": [exec_hook("slow", "*", scripts.recording("slow", "sleep 5"))]})
    queue.post(messages.training())
    wait_until(scripts.runs, 10, "the hook to run")
    # when the service is stopped
    either.stop()
    # then the hook has ended by itself
    assert len(scripts.runs(mark="end")) == 1 and queue.is_empty()
    assert either.show("Result") == "success"


def test_a_hook_that_outlives_the_stop_is_asked_to_end_and_its_message_comes_back(either, queue, scripts):
    # given a hook that would work for a minute, the first time
    command = scripts.recording("slow", f"[ $run -ge 2 ] && exit 0; trap 'echo asked > {LOGS}/term; exit 1' TERM; "
                                        f"sleep 60 & wait")
    either.start({"stop_timeout": "1s", "queues": [queue.config(lease="2s")],
                  "hooks": [exec_hook("slow", "*", command)]})
    message = queue.post(messages.training())
    wait_until(scripts.runs, 10, "the hook to run")
    # when the service is stopped
    began = time.monotonic()
    either.stop()
    # then the hook got TERM after stop_timeout, and the message is still there
    assert 1 <= time.monotonic() - began < 8
    assert (LOGS / "term").exists() and queue.count() == 1
    assert either.show("Result") == "success"
    # and after the next start it is served
    either.start()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message, message]


def test_what_a_hook_left_behind_is_gone_after_a_stop(service, queue, scripts):
    # given a hook that leaves a process in a session of its own
    command = scripts.recording("fork", f"setsid sh -c 'echo $$ > {LOGS}/left; exec sleep 600' >/dev/null 2>&1 &")
    service.start({"queues": [queue.config()], "hooks": [exec_hook("fork", "*", command)]})
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    left = pid_of("left")
    assert process.is_alive(left)
    # when the service is stopped, then that process is gone
    service.stop()
    wait_until(lambda: not process.is_alive(left), 5, "the process to be gone")


def test_the_watchdog_ends_a_daemon_that_hangs(either, queue, scripts):
    # given a watchdog of two seconds
    either.drop_in("watchdog", "WatchdogSec=2s", "RestartSec=100ms")
    either.start({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    pid = either.pid()
    # when the daemon hangs
    os.kill(pid, signal.SIGSTOP)
    either.wait_restart(pid)
    # then the watchdog has seen to it, and the work goes on
    assert either.logged("Watchdog timeout (limit 2s)!") and either.restarts() == 1
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # and no core was dumped
    assert not either.logged("code=dumped") and either.logged("code=killed, status=6/ABRT")


def test_an_outage_does_not_trip_the_watchdog(service, tap, queue, scripts):
    # given a watchdog of two seconds, and a service that was there
    service.drop_in("watchdog", "WatchdogSec=2s", "RestartSec=100ms")
    service.start({"queues": [through(tap, queue)], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    pid = service.pid()
    # when the storage is silent for some seconds, then away for some more
    tap.swallows.add("GET")
    stays_true(lambda: service.pid() == pid, 2.5, "the daemon to live", interval=0.3)
    tap.go_away()
    stays_true(lambda: service.pid() == pid, 2.5, "the daemon to live", interval=0.3)
    # then the service is the same afterwards, and serves
    tap.swallows.clear()
    tap.come_back()
    os.kill(pid, signal.SIGUSR1)
    queue.post(messages.training())
    wait_until(queue.is_empty, 40, "the queue to be empty")
    assert service.pid() == pid and service.restarts() == 0


def test_crashes_never_end_in_failure(service, queue, scripts):
    # given restarts without much waiting
    service.drop_in("impatient", "RestartSec=100ms")
    service.start({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when the daemon is killed more often than the manager's default allows, 5 in 10 s
    began = time.monotonic()
    for _ in range(8):
        pid = service.pid()
        os.kill(pid, signal.SIGKILL)
        service.wait_restart(pid)
    assert time.monotonic() - began < 10
    # then it runs still, and serves
    assert service.is_active() and service.restarts() == 8
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")


def test_a_crash_takes_the_hook_along_and_its_message_comes_back(either, queue, scripts):
    # given a hook at work, which would go on for minutes, the first time
    either.drop_in("impatient", "RestartSec=100ms")
    command = scripts.recording("slow", f"[ $run -ge 2 ] && exit 0; echo $$ > {LOGS}/pid; sleep 600")
    either.start({"queues": [queue.config(lease="2s")], "hooks": [exec_hook("slow", "*", command)]})
    message = queue.post(messages.training())
    wait_until(scripts.runs, 10, "the hook to run")
    hook, pid = pid_of("pid"), either.pid()
    # when the daemon dies
    os.kill(pid, signal.SIGKILL)
    either.wait_restart(pid)
    # then the hook is gone as well, and the message is served anew
    assert not process.is_alive(hook)
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message, message]


def test_no_core_is_dumped(either, queue, scripts):
    # given a hook at work
    either.drop_in("impatient", "RestartSec=100ms")
    command = scripts.recording("slow", f"[ $run -ge 2 ] && exit 0; echo $$ > {LOGS}/pid; sleep 600")
    either.start({"queues": [queue.config(lease="2s")], "hooks": [exec_hook("slow", "*", command)]})
    queue.post(messages.training())
    wait_until(scripts.runs, 10, "the hook to run")
    # then neither it nor the daemon may leave a core
    pid = either.pid()
    for each in pid, pid_of("pid"):
        limits = pathlib.Path(f"/proc/{each}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    # and a daemon that dies of a bad pointer leaves none
    os.kill(pid, signal.SIGSEGV)
    either.wait_restart(pid)
    assert either.logged("code=killed, status=11/SEGV") and not either.logged("code=dumped")
