# SPDX-License-Identifier: MIT
"""Lines to a syslog server: a real rsyslogd that stands, falls, comes late, moves, or stops reading."""
import contextlib
import datetime
import json
import os
import re
import socket
import statistics
import threading
import time

import pytest

from support import messages, process
from support.daemon import exec_hook, run, write_config
from support.syslog import RsyslogServer
from support.wait import stays_true, wait_until

PATIENCE_S = 5  # the daemon's, for a line


def loopbacks():
    """The loopback's addresses: ::1 too where this machine speaks IPv6, which a container's may not."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return ["127.0.0.1", "::1"]
    except OSError:
        return ["127.0.0.1"]


@pytest.fixture
def new_server(place):
    """Makes servers, not yet started, that end with the test."""
    servers = []

    def make(host="127.0.0.1"):
        servers.append(RsyslogServer(place / f"rsyslog{len(servers)}", host))
        return servers[-1]

    yield make
    for each in servers:
        each.stop()


@pytest.fixture
def server(new_server):
    return new_server().start()


def syslog_hook(server, name="ops", on="*", **settings):
    return {"name": name, "on": [on], "syslog": {"server": server, **settings}}


def ids(server):
    """The ids of messages whose text is their id."""
    return [text.split()[0] for text in server.texts()]


def established(running, port):
    """How many connections of a daemon lead to a port of 127.0.0.1."""
    own = set()
    for entry in os.scandir(f"/proc/{running.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            own.add(os.readlink(entry.path))
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return sum(1 for row in rows
               if row[2] == f"0100007F:{port:04X}" and row[3] == "01" and f"socket:[{row[9]}]" in own)


def logged_at(line):
    """When a record of the daemon's log was written."""
    return datetime.datetime.fromisoformat(json.loads(line)["time"].replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize("host", loopbacks())
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_line_arrives_with_all_its_fields(queue, new_server, daemon, scheme, host):
    # given a server, and a hook with settings of its own
    server = new_server(host).start()
    running = daemon({"queues": [queue.config()], "hooks": [
        syslog_hook(getattr(server, scheme), on="training.failed", facility="local5", level="warning", ident="models",
                    text="Größe 100 €: {event} {project_id}")]})
    # when a training fails
    began = time.time()
    failed = messages.training("TrainingFailed")
    queue.post(failed)
    # then rsyslog has taken the line apart as it was meant
    (line,) = wait_until(server.documents, 15, "a line at rsyslogd")
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert (line["facility"], line["severity"], line["version"]) == ("local5", "warning", "1")
    assert (line["host"], line["ident"], line["pid"]) == (socket.gethostname(), "models", str(running.pid))
    assert (line["id"], line["data"]) == ("training.failed", "-")
    assert line["text"] == f"Größe 100 €: training.failed {failed['Content']['projectId']}"
    stamp = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
    assert began - 1 < stamp < time.time() + 1
    assert re.search(r"T\d\d:\d\d:\d\d\.\d{3}Z$", line["time"])


def test_a_name_is_looked_up_and_the_text_is_the_default(queue, server, daemon):
    # given a server by its name
    daemon({"queues": [queue.config()], "hooks": [syslog_hook(f"tcp://localhost:{server.port}")]})
    # when an event comes
    document = messages.training()
    message = queue.post(document)
    # then the line says what the local one says
    (text,) = wait_until(server.texts, 15, "a line at rsyslogd")
    content = document["Content"]
    assert text == (f"training.completed project={content['projectId']} iteration={content['iterationId']} "
                    f"message={message}")


@pytest.mark.parametrize("scheme, limit", [("udp", 2048), ("tcp", 8096)])
def test_a_long_text_is_cut_between_characters(queue, server, daemon, scheme, limit):
    # given a text that no line can hold
    daemon({"queues": [queue.config()], "hooks": [
        syslog_hook(getattr(server, scheme), text="{message_id} " + "{project_id}ü" * 250)]})
    # when an event comes
    message = queue.post(messages.training())
    # then one line of the greatest length comes, and says that it was cut
    (line,) = wait_until(server.documents, 15, "a line at rsyslogd")
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(server.documents()) == 1
    assert line["text"].startswith(message + " ") and line["text"].endswith("...")
    assert "\ufffd" not in line["text"]
    assert limit - 1 <= len(line["raw"].encode()) <= limit
    assert "oversize" not in server.out.read_text()


def test_no_value_begins_a_line_of_its_own(queue, server, daemon):
    # given a hook that tells where the model is
    daemon({"queues": [queue.config()], "hooks": [syslog_hook(server.tcp, text="model {model_uri} of {event}")]})
    # when somebody writes more than one line into a message
    forged = "https://a/x.onnx\n<8>1 - kernel kernel - - - forged\r\x1b[2J\u2028\u0085end"
    queue.post(messages.export(model_uri=forged))
    # then one line comes of it
    (line,) = wait_until(server.documents, 15, "a line at rsyslogd")
    assert (line["facility"], line["ident"]) == ("local3", "cvnotifyd")
    assert line["text"] == "model https://a/x.onnx <8>1 - kernel kernel - - - forged  [2J  end of export.completed"


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_messages_wait_for_a_server_that_is_not_there_and_others_flow(new_queue, scripts, new_server, daemon, scheme):
    # given a server that does not run, and a message that may fail once
    server, queue, other = new_server(), new_queue(), new_queue()
    running = daemon({"queues": [queue.config(max_attempts=1), other.config()], "hooks": [
        syslog_hook(getattr(server, scheme), on="training.*", text="{message_id} attempt={attempt}"),
        exec_hook("quick", "export.*", scripts.recording("quick"))]})
    # when messages come
    waiting = [queue.post(messages.training()) for _ in range(3)]
    # then the log says once what is wrong and what mends it
    (broken,) = running.wait_logged("hook is broken", timeout=PATIENCE_S + 10)
    assert json.loads(broken)["level"] == "err" and getattr(server, scheme) in broken
    assert "Connection refused" in broken and "start or mend it, or correct `server`" in broken
    # and hooks of other messages run, also beside this one in its queue
    for each in (queue, other):
        message = each.post(messages.export())
        wait_until(lambda: scripts.runs("quick", message), 5, "the other hook to run")
    # and when the server comes, each line arrives in its first attempt, and the log says so once
    server.start()
    wait_until(lambda: set(ids(server)) >= set(waiting), 75, "the lines")
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert sorted(server.texts()) == sorted(f"{message} attempt=1" for message in waiting)
    assert queue.records() == []
    assert len(running.logged("hook is broken")) == 1
    assert len(running.logged("hook works again")) == 1


def test_a_server_that_is_killed_while_lines_flow(place, queue, server, daemon):
    # given lines that flow
    running = daemon({"queues": [queue.config(parallel=16)], "hooks": [syslog_hook(server.tcp, text="{message_id}")]})
    posted, stop = [], threading.Event()

    def post():
        while not stop.is_set():
            posted.append(queue.post(messages.training()))

    posting = threading.Thread(target=post)
    posting.start()
    kills = []
    try:
        for _ in range(3):
            # when the server is killed in their midst, and comes again
            target = len(posted) + 15
            wait_until(lambda: len(server.lines()) >= target / 2 and len(posted) >= target, 30, "lines to flow")
            server.kill()
            kills.append(time.time())
            target = len(posted) + 15
            wait_until(lambda: len(posted) >= target, 30, "messages to come meanwhile")
            server.start()
    finally:
        stop.set()
        posting.join()
    # then the daemon goes on by itself
    wait_until(queue.is_empty, 90, "the queue to be empty")
    wait_until(lambda: posted[-1] in ids(server) or not queue.is_empty(), 10, "the last line")
    # and lines are missing at most that the dead server's kernel had acknowledged just before it was killed
    missing = set(posted) - set(ids(server))
    for message in missing:
        (done,) = running.logged("hook done", message)
        at = logged_at(done)
        assert any(kill - 2 < at < kill + 2 for kill in kills), f"{message} is lost; done at {at}, kills {kills}"
    # and no attempt was spent
    assert queue.records() == [] and not running.logged("again in")


def test_a_server_that_restarts_between_two_lines(queue, server, daemon):
    # given a connection over which a line has gone
    running = daemon({"queues": [queue.config()], "hooks": [syslog_hook(server.tcp, text="{message_id}")]})
    sent = [queue.post(messages.training())]
    wait_until(lambda: ids(server) == sent, 15, "the first line")
    for end in (server.stop, server.kill):
        # when the server restarts, and a line follows
        end()
        server.start()
        sent.append(queue.post(messages.training()))
        # then it arrives, once, and nobody was troubled
        wait_until(lambda: ids(server) == sent, 15, "the next line")
    assert not running.logged("hook is broken")


class Deaf:
    """A server that accepts and does not read, until it is told to."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.server = f"tcp://127.0.0.1:{self.port}"
        self.streams = []
        self._may_read = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.streams.append(bytearray())
            threading.Thread(target=self._read, args=(connection, self.streams[-1]), daemon=True).start()

    def _read(self, connection, stream):
        self._may_read.wait()
        with connection:
            while part := connection.recv(65536):
                stream += part

    def read(self):
        self._may_read.set()

    def lines(self):
        """Every whole line of every connection, by its frame."""
        found = []
        for stream in map(bytes, self.streams):
            while b" " in stream:
                length, _, rest = stream.partition(b" ")
                if len(rest) < int(length):
                    break
                found.append(rest[:int(length)].decode())
                stream = rest[int(length):]
        return found

    def close(self):
        self._may_read.set()
        self.listener.close()


@pytest.fixture
def deaf():
    server = Deaf()
    yield server
    server.close()


def test_a_server_that_does_not_read_holds_up_nobody_else(new_queue, scripts, deaf, daemon):
    # given a server that takes connections and reads nothing, and lines too long for its buffers
    queue, other = new_queue(), new_queue()
    running = daemon({"queues": [queue.config(parallel=64, max_attempts=1), other.config()], "hooks": [
        syslog_hook(deaf.server, on="training.*", text="{message_id} attempt={attempt} " + "x" * 3900),
        exec_hook("quick", "export.*", scripts.recording("quick"))]})
    # when more messages come than it has room for
    posted = queue.post_all([json.dumps(messages.training()) for _ in range(80)])
    running.wait_logged("hook is broken", "it took nothing within", timeout=PATIENCE_S + 15)
    # then the loop turns and other hooks run
    cpu = process.cpu_seconds(running.pid)
    took = []
    for _ in range(10):
        message, began = other.post(messages.export()), time.monotonic()
        wait_until(lambda: scripts.runs("quick", message), 5, "the other hook to run")
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 3
    # and it neither spins nor opens one connection after another
    stays_true(lambda: len(deaf.streams) == 1, 8, "one connection")
    assert process.cpu_seconds(running.pid) - cpu < 4
    # and when the server reads again, every line comes, in its first attempt
    deaf.read()
    wait_until(queue.is_empty, 120, "the queue to be empty")
    told = {line.split(" - ", 1)[1].split()[0]: line for line in deaf.lines()}
    assert set(told) == set(posted)
    assert all("attempt=1" in line for line in told.values())
    assert queue.records() == []


def test_a_local_socket_that_is_full_is_not_besieged(place, queue, daemon):
    # given a local socket that nobody reads
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.bind(str(place / "log.sock"))
        running = daemon({"queues": [queue.config(parallel=512)], "hooks": [syslog_hook(f"unix://{place}/log.sock")]})
        # when more messages come than it has room for
        queue.post_all([json.dumps(messages.training()) for _ in range(200)])
        running.wait_logged("hook is broken", "Resource temporarily unavailable", timeout=PATIENCE_S + 15)
        # then some lines try at once, and the others wait with the hook
        stays_true(lambda: len(running.logged("hook is still broken")) < 64, 1, "the others to wait")


@pytest.fixture
def silent_names(place):
    """What to run the daemon under so that it asks a name server that never answers, for half a minute."""
    resolver = place / "resolv.conf"
    resolver.write_text("nameserver 127.9.9.9\noptions timeout:30 attempts:1\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.bind(("127.9.9.9", 53))
        yield ["unshare", "--mount", "sh", "-c", f'mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh"]


def test_a_name_server_that_never_answers_holds_up_neither_others_nor_the_end(queue, server, silent_names, daemon):
    # given a server whose name is asked for in vain, and one that needs no name
    running = daemon({"stop_timeout": "1s", "queues": [queue.config()], "hooks": [
        syslog_hook("tcp://log.example.test", name="named", on="training.*"),
        syslog_hook(server.tcp, on="export.*", text="{message_id}")]}, before=silent_names)
    queue.post(messages.training())
    running.wait_logged("log.example.test", "-> resolving")
    # when there is a line for the other
    message = queue.post(messages.export())
    # then it does not wait
    wait_until(lambda: ids(server) == [message], 4, "the other line")
    (broken,) = running.wait_logged("hook is broken", "its name could not be looked up within 5s")
    (done,) = running.logged("hook done", message)
    assert logged_at(done) < logged_at(broken)
    # and the daemon ends while the name server is still waited for
    began = time.monotonic()
    assert running.terminate() == 0
    assert time.monotonic() - began < 15


def test_a_reload_leads_to_another_server(queue, new_server, daemon):
    # given a connection to one server
    first, second = new_server().start(), new_server().start()
    config = lambda server: {"queues": [queue.config()], "hooks": [syslog_hook(server, text="{message_id}")]}  # noqa: E731
    running = daemon(config(first.tcp))
    before = queue.post(messages.training())
    wait_until(lambda: ids(first) == [before], 15, "the first line")
    assert established(running, first.port) == 1
    # when the configuration names another
    running.reload(config(second.tcp))
    after = queue.post(messages.training())
    # then the next line goes there
    wait_until(lambda: ids(second) == [after], 15, "the next line")
    assert ids(first) == [before]


def test_a_reload_frees_messages_that_wait_for_a_dead_server(queue, new_server, daemon):
    # given a message that waits for a server that is not there
    dead, alive = new_server(), new_server().start()
    config = lambda server: {"queues": [queue.config()], "hooks": [syslog_hook(server, text="{message_id}")]}  # noqa: E731
    running = daemon(config(dead.tcp))
    message = queue.post(messages.training())
    running.wait_logged("hook is broken", timeout=PATIENCE_S + 10)
    # when the mistake is mended
    running.reload(config(alive.tcp))
    # then the line goes out
    wait_until(lambda: ids(alive) == [message], 15, "the line")
    wait_until(queue.is_empty, 15, "the queue to be empty")


def test_two_hooks_on_one_server(queue, server, daemon):
    # given two hooks for one server
    running = daemon({"queues": [queue.config()], "hooks": [
        syslog_hook(server.tcp, name="a", text="a {message_id}"), syslog_hook(server.tcp, name="b", text="b {message_id}")]})
    # when messages come
    posted = [queue.post(messages.training()) for _ in range(5)]
    # then each writes each line once, over a connection of its own
    wait_until(queue.is_empty, 20, "the queue to be empty")
    wait_until(lambda: len(server.texts()) >= 10, 5, "the lines")
    assert sorted(server.texts()) == sorted(f"{hook} {message}" for hook in "ab" for message in posted)
    assert established(running, server.port) == 2


def test_a_stop_does_not_wait_for_a_server(queue, new_server, daemon):
    # given a line that waits for a server that is not there
    server = new_server()
    running = daemon({"stop_timeout": "1s", "queues": [queue.config()], "hooks": [syslog_hook(server.tcp)]})
    queue.post(messages.training())
    running.wait_logged("connecting -> waiting")
    # when the daemon is told to stop
    began = time.monotonic()
    assert running.terminate() == 0
    # then it does, and the message is free for the next
    assert time.monotonic() - began < 4
    assert queue.count() == 1
    assert queue.visible()


def test_a_hook_does_not_inherit_the_connection(place, queue, scripts, server, daemon):
    # given a connection to a server, and a program that looks at what it was given
    seen = place / "fds"
    running = daemon({"queues": [queue.config()], "hooks": [
        syslog_hook(server.tcp, name="a"),
        exec_hook("look", "*", scripts.write("look", f"ls -l /proc/$$/fd > {seen}\n"))]})
    # when both run, one after the other
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then the program has no socket
    assert established(running, server.port) == 1
    assert "socket:" not in seen.read_text()


def test_a_mistake_in_the_server_is_told_with_its_place(place, queue, daemon):
    # given an address with a scheme that syslog does not know
    path = place / "cvnotifyd.yaml"
    write_config(path, {"queues": [queue.config()], "hooks": [syslog_hook("https://logs:514")]}, place)
    # when it is checked
    result = run("-t", "-c", path)
    # then the mistake has its line and column, and says what would be right
    assert result.returncode == 78
    assert re.search(r"cvnotifyd\.yaml:\d+:\d+: server: \"https://logs:514\" is not the address of a syslog server; write "
                     r"unix:///PATH, udp://HOST:PORT or tcp://HOST:PORT", result.stdout + result.stderr)
