# SPDX-License-Identifier: MIT
"""What a daemon that was killed left running: ended before the next one asks for messages."""
import os
import signal

import pytest

from support import messages, process
from support.daemon import exec_hook, run, write_config
from support.wait import stays_true, wait_until

# Runs until it is ended, with a child in its group; the second run of a message just ends.
LINGER = """
[ $run = 1 ] || { note end; exit 0; }
%s
sleep 300 &
echo $$ $! > '%s'
while :; do wait; sleep 0.1; done
"""


@pytest.fixture
def linger(place, scripts):
    """A hook that lingers, and the two processes of its first run."""
    def command(before=""):
        return scripts.recording("linger", LINGER % (before, place / "pids"))

    def pids():
        path = place / "pids"
        text = wait_until(lambda: path.exists() and path.read_text(), 15, "the hook to run")
        return [int(word) for word in text.split()]

    command.pids = pids
    yield command
    if (place / "pids").exists():
        for pid in pids():
            process.kill_quietly(pid)


def config_of(events, command, **settings):
    return {"queues": [events.config(lease="2s")], "hooks": [exec_hook("linger", "*", command, **settings)]}


def kill(running):
    """As the kernel does it when memory is short."""
    running.signal(signal.SIGKILL)
    wait_until(lambda: not running.is_running(), 10, "the daemon to be gone")


def alive_at_first_get(fake, pids):
    """Notes who of them lives when the next Get comes; the Get is answered as ever."""
    alive = []

    def answer(exchange):
        alive.append([pid for pid in pids if process.is_alive(pid)])
        exchange.send(exchange.perform())

    fake.answer("Get", answer, times=1)
    return alive


def test_runs_of_a_killed_daemon_are_ended_before_the_first_get(fake, daemon, scripts, linger):
    # given a run with a child of its own, whose daemon is killed
    events = fake.queue()
    running = daemon(config_of(events, linger()))
    message = events.post(messages.training())
    pids = linger.pids()
    kill(running)
    assert all(process.is_alive(pid) for pid in pids)
    # when the next daemon starts
    alive = alive_at_first_get(fake, pids)
    running.restart().wait_ready()
    wait_until(lambda: alive, 10, "the first Get")
    # then both were gone when it asked for messages
    assert alive == [[]]
    # and it was told, once
    line, = running.logged("that outlived its daemon is told to end", "grace of 10s")
    assert '"hook":"linger"' in line and f'"message_id":"{message}"' in line
    assert len(running.logged("that outlived its daemon has ended")) == 1
    # and the message comes again and is done
    wait_until(events.is_empty, 20, "the message to be done")
    assert len(scripts.runs(message=message)) == 2
    assert [r.attempt for r in scripts.runs(message=message)] == ["1", "1"]


def test_who_does_not_want_to_end_is_killed_before_the_first_get(fake, daemon, linger):
    # given a run that TERM does not end, and its child neither
    events = fake.queue()
    running = daemon(config_of(events, linger("trap '' TERM"), grace="300ms"))
    events.post(messages.training())
    pids = linger.pids()
    kill(running)
    # when the next daemon starts
    alive = alive_at_first_get(fake, pids)
    running.restart().wait_ready()
    wait_until(lambda: alive, 10, "the first Get")
    # then both were gone when it asked for messages
    assert alive == [[]]
    assert len(running.logged("that outlived its daemon has been killed after its grace")) == 1
    wait_until(events.is_empty, 20, "the message to be done")


def test_a_stop_does_not_wait_for_them(fake, daemon, linger):
    # given a run that takes its time to end, and a daemon that waits for it
    events = fake.queue()
    running = daemon(config_of(events, linger("trap '' TERM"), grace="10m"))
    events.post(messages.training())
    pids = linger.pids()
    kill(running)
    wait_until(lambda: not fake.connections, 10, "its last request to be read")
    asked = len(fake.asked("Get"))
    running.restart()
    running.wait_logged("is told to end")
    # when that one is stopped
    # then it ends at once, without having asked for anything
    assert running.terminate(5) == 0
    assert len(fake.asked("Get")) == asked and process.is_alive(pids[0])
    # and the next one knows of the run still, and asks when it has ended
    running.restart()
    wait_until(lambda: len(running.logged("is told to end")) == 2, 10, "the run to be told again")
    stays_true(lambda: len(fake.asked("Get")) == asked, 0.3, "no Get")
    os.killpg(pids[0], signal.SIGKILL)
    wait_until(events.is_empty, 20, "the message to be done")


@pytest.fixture
def job(place):
    """Where a hook writes the process that it leaves behind, which is ended with the test."""
    path = place / "job"
    yield path
    if path.exists():
        process.kill_quietly(int(path.read_text()))


def test_a_run_that_ended_before_the_kill_is_nobodys(fake, daemon, scripts, job):
    # given a daemon whose runs have ended, though one left a job behind
    events = fake.queue()
    command = scripts.recording("leave", f"sleep 300 >/dev/null 2>&1 </dev/null & echo $! > '{job}'")
    running = daemon({"queues": [events.config()], "hooks": [exec_hook("leave", "*", command)]})
    events.post(messages.training())
    wait_until(events.is_empty, 20, "the message to be done")
    # when it is killed and the next one starts
    kill(running)
    running.restart().wait_ready()
    # then there is nothing to end, and the job goes on
    assert not running.logged("outlived")
    assert process.is_alive(int(job.read_text()))


@pytest.mark.parametrize("garbage", [b"\0" * 4096, b"runs\n" * 500, bytes(range(256)) * 17], ids=["zeros", "text", "bytes"])
def test_a_file_of_garbage_harms_nobody(place, fake, daemon, garbage):
    # given something else in the place of what is kept about runs
    (place / "state").mkdir()
    (place / "state" / "runs").write_bytes(garbage)
    # when a daemon starts
    events = fake.queue()
    running = daemon({"queues": [events.config()], "hooks": [exec_hook("report", "*", "/bin/true")]})
    events.post(messages.training())
    # then it does its work
    wait_until(events.is_empty, 20, "the message to be done")
    assert not running.logged("outlived")


def test_a_state_dir_that_is_missing_is_made(place, fake, daemon):
    events = fake.queue()
    daemon({"state_dir": str(place / "elsewhere"), "queues": [events.config()],
            "hooks": [exec_hook("report", "*", "/bin/true")]})
    events.post(messages.training())
    wait_until(events.is_empty, 20, "the message to be done")
    assert (place / "elsewhere").stat().st_mode & 0o7777 == 0o700
    assert (place / "elsewhere" / "runs").stat().st_mode & 0o7777 == 0o600


def test_a_state_dir_that_can_not_be_used_keeps_the_daemon_from_starting(place, fake):
    # given a state_dir whose parent is missing
    path = place / "cvnotifyd.yaml"
    write_config(path, {"state_dir": str(place / "no" / "where"), "queues": [fake.queue().config()],
                        "hooks": [exec_hook("report", "*", "/bin/true")]}, place)
    # when a daemon starts
    result = run("-c", path)
    # then it says so, with a status that tells the service manager that no further try helps
    assert result.returncode == 78
    told = f"can not make state_dir {place}/no/where: No such file or directory; make the directory above it first"
    assert told in result.stdout + result.stderr
    assert not fake.requests
