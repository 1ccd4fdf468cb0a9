# SPDX-License-Identifier: MIT
"""The file hook and the crash: each event once, whole, whatever happens."""
import json
import os
import random
import signal
import subprocess

import pytest

from support import faults, messages
from support.daemon import exec_hook, run, write_config
from support.wait import wait_until


def note(size):
    document = messages.training()
    document["Content"]["note"] = "n" * size
    return document


def kill(running):
    running.signal(signal.SIGKILL)
    assert running.wait_end(5) == -signal.SIGKILL


@pytest.mark.parametrize("seed", [1, 2])
def test_a_daemon_that_is_killed_twenty_times_writes_each_line_once(place, fake, daemon, seed):
    # given many messages, small and large, and a file of lines
    dice = random.Random(seed)
    queue, path = fake.queue(), place / "events.jsonl"
    sizes = {queue.post(note(size)): size for size in (dice.choice((10, 3000, 30000)) for _ in range(1000))}
    running = daemon({"queues": [queue.config(lease="1s", parallel=64)],
                      "hooks": [{"name": "audit", "on": ["*"], "file": {"path": str(path)}}]})

    def count():
        return path.read_bytes().count(b"\n") if path.exists() else 0
    # when the daemon is killed in the middle of it, again and again
    for _ in range(20):
        goal = min(count() + dice.randint(1, 50), len(sizes) - 50)
        wait_until(lambda: count() >= goal, 20, f"{goal} lines", interval=0.001)
        kill(running)
        running.restart().wait_ready()
    wait_until(queue.is_empty, 60, "the queue to be empty")
    # then each message has one line, whole
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(sizes)
    assert all(len(line["data"]["note"]) == sizes[line["id"]] for line in lines)


def test_a_kill_between_the_lines_and_their_deletes_doubles_none(place, fake, daemon):
    # given a service that leaves every delete without an answer, and lines that are written
    queue, path = fake.queue(), place / "events.jsonl"
    silence = fake.answer("Delete", faults.silence)
    posted = [queue.post(note(100)) for _ in range(50)]
    running = daemon({"queues": [queue.config(lease="1s", parallel=64)],
                      "hooks": [{"name": "audit", "on": ["*"], "file": {"path": str(path)}}]})
    wait_until(lambda: silence.count >= 50, 20, "the lines to be written")
    # when the daemon is killed, its last write is cut short, and it comes again
    kill(running)
    with open(path, "ab") as lines:
        lines.write(path.read_bytes()[:100])
    silence.lift()
    running.restart().wait_ready()
    posted.append(queue.post(note(100)))
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then no line is there twice, and none is torn
    lines = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(posted)


def test_a_daemon_that_is_killed_leaves_whole_files_under_their_names(place, fake, daemon):
    # given many messages, and a folder that gets a file for each
    dice = random.Random(3)
    queue, folder = fake.queue(), place / "each"
    folder.mkdir()
    sizes = {queue.post(note(size)): size for size in (dice.choice((10, 30000)) for _ in range(300))}
    running = daemon({"queues": [queue.config(lease="1s", parallel=32)],
                      "hooks": [{"name": "each", "on": ["*"], "file": {"directory": str(folder), "name": "{message_id}"}}]})

    def names():
        return [name for name in os.listdir(folder) if not name.startswith(".")]

    def whole():
        return all(len(json.loads((folder / name).read_text())["data"]["note"]) == sizes[name] for name in names())
    # when it is killed again and again, then what has a name is whole each time
    for _ in range(5):
        goal = min(len(names()) + dice.randint(1, 30), 290)
        wait_until(lambda: len(names()) >= goal, 20, f"{goal} files", interval=0.001)
        kill(running)
        assert whole()
        running.restart().wait_ready()
    wait_until(queue.is_empty, 60, "the queue to be empty")
    # and all are there
    assert sorted(names()) == sorted(sizes) and whole()


def test_a_limit_on_the_size_of_files_is_a_fault_of_the_host(place, fake, daemon):
    # given a limit that the second line does not fit under
    queue, path = fake.queue(), place / "events.jsonl"
    running = daemon({"queues": [queue.config()], "log": {"level": "info"}, "hooks": [
        {"name": "audit", "on": ["*"], "file": {"path": str(path)}}]}, before=["prlimit", "--fsize=60000:unlimited", "--"])
    first = queue.post(note(40000))
    wait_until(queue.is_empty, 15, "the first line")
    # when the second comes, then the daemon lives, says why, and the file holds the first line alone
    queue.post(note(40000))
    running.wait_logged("hook is broken", "File too large")
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["id"] == first and not queue.is_empty()
    # and when there is room, the second is written
    subprocess.run(["prlimit", f"--pid={running.pid}", "--fsize=unlimited:unlimited"], check=True)
    wait_until(queue.is_empty, 30, "the second line")
    assert len(path.read_text().splitlines()) == 2


def test_a_limit_on_the_size_of_files_does_not_end_the_daemon(place, fake, daemon):
    # given a log that is a file, nearly as long as it may be
    queue, path = fake.queue(), place / "events.jsonl"
    (place / "daemon.log").write_bytes(b'{"message": "old"}\n' * 9999)
    running = daemon({"queues": [queue.config()], "hooks": [
        {"name": "audit", "on": ["*"], "file": {"path": str(path)}}]}, before=["prlimit", "--fsize=200000:unlimited", "--"])
    # when the log is full
    posted = [queue.post(messages.training()) for _ in range(40)]
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then the daemon goes on: its hook's file has room left
    assert running.is_running() and running.log_path.stat().st_size == 200000
    assert len(path.read_text().splitlines()) == len(posted)


def test_lines_may_go_to_the_standard_output_of_a_container(place, queue):
    # given a file hook on /dev/stdout, which is a pipe, and messages
    posted = [queue.post(messages.training()) for _ in range(5)]
    write_config(place / "cvnotifyd.yaml", {
        "queues": [queue.config()], "hooks": [{"name": "audit", "on": ["*"], "file": {"path": "/dev/stdout"}}]}, place)
    # when the daemon serves them
    result = run("-c", place / "cvnotifyd.yaml", "--once")
    # then whoever reads the pipe has got them
    assert result.returncode == 0, result.stderr
    assert sorted(json.loads(line)["id"] for line in result.stdout.splitlines()) == sorted(posted)


def test_a_pipe_without_a_reader_keeps_the_message(place, queue, daemon):
    # given a named pipe that nobody reads
    pipe = place / "pipe"
    os.mkfifo(pipe)
    running = daemon({"queues": [queue.config()], "hooks": [
        {"name": "audit", "on": ["*"], "file": {"path": str(pipe)}}]})
    # when a message comes, then it is kept
    message = queue.post(messages.training())
    running.wait_logged("hook is broken", str(pipe))
    assert queue.count() == 1
    # and when somebody reads, then it is read
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(reader) as lines:
        line = wait_until(lines.readline, 30, "the line")
    assert json.loads(line)["id"] == message
    wait_until(queue.is_empty, 15, "the queue to be empty")


def test_a_hook_that_keeps_every_event_keeps_the_poison_too(place, queue, scripts, daemon):
    # given a file for all events, poison as well, and a hook that refuses at the second delivery
    path = place / "events.jsonl"
    daemon({"queues": [queue.config(retry_delay=["1s"], max_attempts=2)], "hooks": [
        {"name": "audit", "on": ["*", "message.poisoned"], "file": {"path": str(path)}},
        exec_hook("never", "*", scripts.recording("never", "exit 1"))]})
    # when a message goes to poison
    message = queue.post(messages.training())
    wait_until(queue.records, 20, "a poison record")
    # then the file tells of both, though the message has a line there already
    wait_until(lambda: len(path.read_text().splitlines()) == 2, 10, "both lines")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["id"], line["type"]) for line in lines] == [
        (message, "customvision.training.completed"), (message, "customvision.message.poisoned")]
