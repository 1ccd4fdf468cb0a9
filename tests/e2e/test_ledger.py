# SPDX-License-Identifier: MIT
"""What was done is done, also after a kill: the ledger in state_dir, and what people and disks do to it."""
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import subprocess

import pytest

from support import messages, process
from support.daemon import exec_hook, run
from support.wait import stays_true, wait_until


def query(state, sql):
    """Looks into a ledger that is not in use."""
    with sqlite3.connect(state / "ledger.db") as connection:
        return connection.execute(sql).fetchall()


def small_disk(place, options):
    """What to run the daemon under so that its state_dir is a disk of its own."""
    return ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o {options} none {place}/state && exec "$@"', "sh"]


def remount(running, options):
    subprocess.run(["nsenter", f"--mount=/proc/{running.pid}/ns/mnt", "mount", "-o", f"remount,{options}",
                    running.place / "state"], check=True)


# What to run the daemon under so that its log is no file of its own, which a limit on files would cut.
LOG_THROUGH_A_PIPE = ["bash", "-c", 'exec "$@" > >(exec cat) 2>&1', "bash"]


def let_nothing_be_written(running):
    """From now on no write behind a file's beginning succeeds: the ledger's log can not take a frame."""
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))


def fill(state):
    """Takes what is left of a disk; returns the file to delete."""
    filler = state / "filler"
    with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(1024))
    return filler


def state_of(running):
    """The daemon's state_dir as it sees it."""
    return pathlib.Path(f"/proc/{running.pid}/root{running.place}/state")


def status_with(running, text):
    return any(text in pairs.get("STATUS", "") for _, pairs in list(running.notify.messages))


@pytest.fixture
def chain(place, queue, scripts):
    """Two hooks, of which the second waits for a file; and what ends one that its daemon has left."""
    go = place / "go"
    left = place / "left"
    slow = f'echo $$ > {left}; while [ ! -e {go} ]; do sleep 0.05; done'
    yield go, {"queues": [queue.config(lease="2s", retry_delay=["1s"])],
               "hooks": [exec_hook("first", "*", scripts.recording("first")),
                         exec_hook("second", "*", scripts.recording("second", slow))]}
    go.touch()
    if left.exists():
        wait_until(lambda: not process.is_alive(int(left.read_text())), 10, "the hook to be over")


# --- a kill ---

def test_a_step_that_is_done_is_not_run_again_after_a_kill(queue, scripts, daemon, chain):
    # given a chain of two hooks, whose first is done
    go, config = chain
    running = daemon(config)
    message = queue.post(messages.export())
    wait_until(lambda: scripts.runs("second"), 10, "the second hook to run")
    # when the daemon is killed, and started again
    running.signal(signal.SIGKILL)
    running.wait_end()
    go.touch()
    running.restart().wait_ready()
    wait_until(queue.is_empty, 20, "the message to be done")
    # then the second hook ran again, for its end was not seen; the first did not
    assert [r.message for r in scripts.runs("first")] == [message]
    assert [r.attempt for r in scripts.runs("second")] == ["1", "1"]
    # and what happened stands in the ledger
    assert running.terminate() == 0
    state = running.place / "state"
    assert query(state, "SELECT message_id, event, receipts, outcome FROM message") == [
        (message, "export.completed", 2, "done")]
    assert query(state, "SELECT hook, state, attempts, interruptions, exit_status FROM step ORDER BY hook") == [
        ("first", "done", 0, 0, 0), ("second", "done", 0, 1, 0)]


def test_a_poison_record_is_put_once_though_the_delete_fails_and_the_daemon_is_killed(fake, scripts, daemon):
    # given a service that can not delete, and a message that is poison
    events = fake.queue()
    failing = fake.answer("Delete", lambda exchange: exchange.close(), queue=events)
    config = {"queues": [events.config(lease="2s")], "hooks": [exec_hook("never", "*", "/bin/false")]}
    running = daemon(config)
    events.post("{oops}")
    wait_until(lambda: failing.count > 0, 20, "a delete to fail")
    # when the daemon is killed once it has noted that the record is stored, and started again
    noted = running.place / "state/ledger.db-wal"
    wait_until(lambda: b"truncated" in noted.read_bytes() or b"not-json" in noted.read_bytes(), 5, "the note")
    running.signal(signal.SIGKILL)
    running.wait_end()
    failing.lift()
    running.restart().wait_ready()
    # then the message is deleted, and no second record made
    wait_until(events.is_empty, 20, "the message to be deleted")
    assert len(events.records()) == 1


# --- whose it is ---

def test_a_second_daemon_is_refused_by_the_pid_of_the_first(queue, scripts, daemon):
    # given a daemon
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when another is started in the same state_dir
    second = run("-c", running.config_path)
    # then it ends as by a mistake in its configuration, and says who is there
    assert second.returncode == 78
    assert f"in use by another cvnotifyd, pid {running.pid}" in second.stderr
    # and the first goes on
    queue.post(messages.training())
    wait_until(queue.is_empty, 10, "the message to be done")


def test_a_newer_ledger_is_refused_and_left_as_it_is(place, queue, daemon):
    # given a ledger that a later version has written
    (place / "state").mkdir()
    with sqlite3.connect(place / "state/ledger.db") as connection:
        connection.executescript("CREATE TABLE future (a); PRAGMA user_version = 1000;")
    before = (place / "state/ledger.db").read_bytes()
    # when the daemon is started
    running = daemon({"queues": [queue.config()], "hooks": []}, wait=False)
    # then it ends as by a mistake in its configuration
    assert running.wait_end() == 78
    running.wait_logged("was written by a newer cvnotifyd (version 1000")
    assert query(place / "state", "SELECT count(*) FROM future") == [(0,)]
    assert len((place / "state/ledger.db").read_bytes()) == len(before)


def test_others_can_not_read_it(queue, daemon):
    running = daemon({"queues": [queue.config()], "hooks": []})
    for name in ("ledger.db", "ledger.db-wal", "lock"):
        assert os.stat(running.place / "state" / name).st_mode & 0o777 == 0o600, name


# --- what people do to it ---

def test_a_garbage_ledger_is_moved_aside_and_said_so(place, queue, scripts, daemon):
    # given a file that is no ledger
    (place / "state").mkdir()
    (place / "state/ledger.db").write_bytes(b"what is this? " * 1000)
    # when the daemon is started and a message comes
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    queue.post(messages.training())
    # then it is done, the file is kept for a look, and a person is told
    wait_until(queue.is_empty, 10, "the message to be done")
    assert (place / "state/ledger.db.damaged").read_bytes().startswith(b"what is this?")
    assert len(running.logged("the ledger is damaged", "not a database", "ledger.db.damaged")) == 1
    assert len(scripts.runs("report")) == 1


@pytest.mark.parametrize("whole", [False, True], ids=["its-files", "the-directory"])
def test_a_ledger_that_is_deleted_in_use_is_written_anew(queue, scripts, daemon, chain, whole):
    # given a message whose first step is done, and whose second runs
    go, config = chain
    running = daemon(config)
    queue.post(messages.export())
    wait_until(lambda: scripts.runs("second"), 10, "the second hook to run")
    # when somebody deletes what is in state_dir, or all of it
    state = running.place / "state"
    for entry in state.iterdir():
        entry.unlink()
    if whole:
        shutil.rmtree(state)
    # then the ledger is there again as soon as something is to be written, with all that was in it
    go.touch()
    wait_until(queue.is_empty, 20, "the message to be done")
    assert len(running.logged("was deleted or replaced while in use; it is written anew")) == 1
    assert not running.logged("ledger can not be written")
    assert running.terminate() == 0
    assert query(state, "SELECT hook, state FROM step ORDER BY hook") == [("first", "done"), ("second", "done")]
    assert (state / "lock").exists()


# --- a bad disk ---

def test_a_full_disk_holds_all_messages_and_loses_none(place, fake, scripts, daemon):
    # given a state_dir on a disk of its own, which is full
    events = fake.queue()
    running = daemon({"queues": [events.config(lease="4s", parallel=64)],
                      "hooks": [exec_hook("report", "*", scripts.recording("report"))]},
                     before=small_disk(place, "size=512k"))
    filler = fill(state_of(running))
    # when messages come
    for _ in range(20):
        events.post(messages.training())
    # then no hook runs, for its start can not be put on record; a person is told, once
    running.wait_logged("ledger can not be written", "no message is taken until it can be")
    wait_until(lambda: status_with(running, "ledger can not be written"), 5, "the status to tell")
    # and nothing more is asked for
    asked = len(fake.asked("Get"))
    stays_true(lambda: len(fake.asked("Get")) == asked, 3, "no message to be asked for")
    assert not scripts.runs("report")
    assert len([line for line in running.logged("ledger can not be written") if '"err"' in line]) == 1
    assert running.is_running()
    # and when there is room again, it goes on by itself
    filler.unlink()
    wait_until(events.is_empty, 60, "the messages to be done")
    running.wait_logged("ledger can be written again")
    assert sorted(r.message for r in scripts.runs("report")) == sorted({r.message for r in scripts.runs("report")})
    assert len(scripts.runs("report")) == 20


def test_a_message_that_is_gone_when_the_disk_answers_leaves_no_poison(place, fake, daemon):
    # given a message that is to be poison, and a ledger that can not be asked what is known of it
    events = fake.queue()
    running = daemon({"queues": [events.config(lease="2s")], "hooks": []}, before=small_disk(place, "size=512k"))
    filler = fill(state_of(running))
    events.post("{oops}")
    events.messages()[0].dequeue_count = 1
    running.wait_logged("ledger can not be written")
    # when somebody else deletes it, and then there is room again
    with fake.lock:
        fake.queues[events.name].clear()
    running.wait_logged("lease lost")
    filler.unlink()
    running.wait_logged("ledger can be written again", timeout=40)
    # then it is none of our business any more
    wait_until(lambda: status_with(running, " 0 in hand"), 5, "nothing in hand")
    assert not events.records() and not fake.asked("Put")


def test_a_message_that_waits_for_a_disk_is_matched_anew_by_a_reload(place, fake, scripts, daemon):
    # given a message that came before, and a ledger that can not be asked what is known of it
    events = fake.queue()

    def config(hook):
        return {"queues": [events.config(lease="4s")], "hooks": [exec_hook(hook, "*", scripts.recording(hook))]}

    running = daemon(config("old"), before=small_disk(place, "size=512k"))
    filler = fill(state_of(running))
    events.post(messages.training())
    events.messages()[0].dequeue_count = 1
    running.wait_logged("ledger can not be written")
    # when a reload brings another hook
    running.reload(config("new"))
    filler.unlink()
    wait_until(events.is_empty, 40, "the message to be done")
    # then that one has run
    assert [r.hook for r in scripts.runs()] == ["new"]


def test_a_read_only_state_dir_at_the_start_is_waited_for(place, queue, scripts, daemon):
    # given a state_dir that can not be written
    queue.post(messages.training())
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]},
                     before=small_disk(place, "ro"), wait=False)
    # then the daemon stays, says so, and takes nothing
    running.wait_logged("ledger can not be written", "Read-only file system")
    wait_until(lambda: status_with(running, "not polling: the ledger can not be written"), 5, "the status to tell")
    stays_true(lambda: running.is_running() and len(queue.visible()) == 1, 2, "the message to stay")
    # and when it can be written, it goes on by itself
    remount(running, "rw")
    wait_until(queue.is_empty, 40, "the message to be done")
    assert len(scripts.runs("report")) == 1


def test_a_stop_with_a_ledger_that_can_not_be_written_ends_in_time_and_says_so(place, fake, scripts, daemon):
    # given a hook that has ended, and no room to put that on record
    events = fake.queue()
    go = place / "go"
    command = scripts.recording("slow", f"while [ ! -e {go} ]; do sleep 0.05; done")
    running = daemon({"stop_timeout": "2s", "queues": [events.config()], "hooks": [exec_hook("slow", "*", command)]},
                     before=small_disk(place, "size=512k"))
    events.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    fill(state_of(running))
    go.touch()
    running.wait_logged("ledger can not be written")
    # when the daemon is told to stop
    running.signal(signal.SIGTERM)
    # then it ends once stop_timeout has passed; the message is done, for its hook is; and a person is told
    assert running.wait_end(15) == 0
    assert running.logged("ledger can not be written at the end", "may run again")
    assert events.is_empty()


def test_a_hook_that_can_not_begin_for_want_of_a_record_is_not_waited_for_at_a_stop(place, fake, scripts, daemon):
    # given a message whose hook has not begun, for there is no room to put that on record
    events = fake.queue()
    running = daemon({"queues": [events.config()], "hooks": [exec_hook("never", "*", scripts.recording("never"))]},
                     before=small_disk(place, "size=512k"))
    fill(state_of(running))
    events.post(messages.training())
    running.wait_logged("ledger can not be written")
    # when the daemon is told to stop
    running.signal(signal.SIGTERM)
    # then it gives the message back at once, and ends
    assert running.wait_end(5) == 0
    assert events.messages()[0].is_visible() and not scripts.runs()


def test_a_hook_that_a_stop_cuts_is_not_waited_for_when_its_end_can_not_be_written(place, fake, scripts, daemon):
    # given a hook that runs on, and a disk that takes nothing any more
    events = fake.queue()
    command = scripts.recording("slow", "sleep 60 & wait")
    running = daemon({"stop_timeout": "1s", "queues": [events.config()], "hooks": [exec_hook("slow", "*", command)]},
                     before=LOG_THROUGH_A_PIPE)
    events.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    let_nothing_be_written(running)
    # when the daemon is told to stop, and its second for that passes
    running.signal(signal.SIGTERM)
    # then it ends the hook, gives the message back, and ends
    assert running.wait_end(30) == 0
    running.wait_logged("hook interrupted after")
    running.wait_logged("ledger can not be written at the end", "may run again")
    assert events.messages()[0].is_visible()


# --- --once ---

def test_once_with_a_ledger_that_can_not_be_written_is_69(place, queue, daemon):
    # given a state_dir that can not be written, and a message
    queue.post(messages.training())
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]},
                     args=["--once"], before=small_disk(place, "ro"), wait=False)
    # when --once has tried five times, then it gives up, and the message is still there
    assert running.wait_end(60) == 69
    assert running.logged("giving up: ")
    assert len(queue.visible()) == 1


def test_once_that_can_not_tell_at_its_end_what_is_left_is_69(place, fake, scripts, daemon):
    # given a single pass that is at work on a message, and a disk that takes nothing any more
    events = fake.queue()
    events.post(messages.training())
    running = daemon({"stop_timeout": "1s", "queues": [events.config()],
                      "hooks": [exec_hook("slow", "*", scripts.recording("slow", "sleep 60 & wait"))]},
                     args=["--once"], before=LOG_THROUGH_A_PIPE, wait=False)
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    let_nothing_be_written(running)
    # when it is told to stop, and the hook outlasts that
    status = running.terminate(30)
    # then it does not say that all is well, for the message is left
    assert status == 69
    assert len(events.messages()) == 1


def test_once_knows_what_the_last_run_did(place, queue, scripts, daemon):
    # given a chain whose second step fails
    ok = place / "ok"
    config = {"queues": [queue.config(retry_delay=["1s"])],
              "hooks": [exec_hook("first", "*", scripts.recording("first")),
                        exec_hook("second", "*", scripts.recording("second", f"[ -e {ok} ] || exit 1"))]}
    queue.post(messages.export())
    running = daemon(config, args=["--once"], wait=False)
    assert running.wait_end() == 75
    # when a later run finds it
    ok.touch()
    wait_until(queue.visible, 10, "the message to come again")
    assert running.restart().wait_end() == 0
    # then the first step is not run again, and the second knows its number
    assert len(scripts.runs("first")) == 1
    assert [r.attempt for r in scripts.runs("second")] == ["1", "2"]
    assert queue.is_empty()
