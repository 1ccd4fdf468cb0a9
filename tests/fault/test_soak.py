# SPDX-License-Identifier: MIT
"""Work and idleness leave nothing behind: memory and open files after many messages and many polls."""
import json
import os
import pathlib
import re
import subprocess
import urllib.request

import pytest

from sizes import BUILD, SOAK_MESSAGES, SOAK_POLLS
from support import process
from support.daemon import exec_hook
from support.fake_queue import SAS
from support.wait import wait_until

# What an allocator and SQLite's page cache may keep beyond what the first tenth has grown to.
SLACK_KB = 1024
# Connections that are kept for the next request: as many as were ever busy at once, at most libcurl's share of them.
SLACK_SOCKETS = 8


class Server:
    """The bench's queue, which is in C: it is to be faster than the daemon."""

    def __init__(self):
        self._process = process.start([BUILD / "bench/queue_server", "-n", 0], stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline().split()[1])

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def end(self):
        process.end(self._process)
        self._process.stdout.close()


@pytest.fixture(name="server")
def fixture_server():
    server = Server()
    yield server
    server.end()


def open_files(pid):
    """(sockets, other files)."""
    links = [os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    sockets = [link for link in links if link.startswith("socket:")]
    return len(sockets), len(links) - len(sockets)


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def test_work_and_idleness_leave_nothing_behind(server, place, victim, tell):
    # given the release build at work: a program and a line for each message
    running = victim({"queues": [{"name": "events", "url": f"http://127.0.0.1:{server.port}/account/events", "sas": SAS,
                                  "poll_min": "10ms", "poll_max": "10ms", "parallel": 32}], "hooks": [
        exec_hook("work", "*", "/bin/true", parallel=4),
        {"name": "write", "on": ["*"], "file": {"path": str(place / "lines")}}]}, release=True)

    def do(count):
        server.ask(f"/more?count={count}")
        wait_until(lambda: server.ask("/stats")["left"] == 0, 60 + count / 20, "the messages to be done", 0.1)
        wait_until(lambda: not process.children(running.pid), 10, "the programs to end")

    def idle(count):
        until = server.ask("/stats")["empty_get"] + count
        wait_until(lambda: server.ask("/stats")["empty_get"] >= until, 60 + count / 10, "the idle polls", 0.1)

    # when it has done a tenth, all of them, and been idle for as many polls as in an hour
    measures = []
    for what, amount in ((do, SOAK_MESSAGES // 10), (do, SOAK_MESSAGES - SOAK_MESSAGES // 10), (idle, SOAK_POLLS)):
        what(amount)
        idle(50)
        measures.append((resident_kb(running.pid), *open_files(running.pid)))
    # then it is as large as after the first tenth, and has no more files open
    tell("soak", f"{SOAK_MESSAGES} messages, {SOAK_POLLS} idle polls; (KiB, sockets, other open files) after a tenth of "
                 f"the messages, all, the polls: {measures}")
    first_kb, first_sockets, first_files = measures[0]
    for resident, sockets, files in measures[1:]:
        assert resident <= first_kb + SLACK_KB
        assert files == first_files
        assert sockets <= first_sockets + SLACK_SOCKETS
