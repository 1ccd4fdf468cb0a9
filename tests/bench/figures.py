# SPDX-License-Identifier: MIT
"""What is measured: each function runs programs once and returns their figures by name."""
import os
import random
import select
import statistics
import time

from parts import CLIENT_CORE, CORES, SAS, Daemon, Program, Server

# More at once than a Get can bring, so that one is under way while the deletes of the last go.
PARALLEL = 64
CONNECTIONS = 64
# Of a slow line: a request's service time.
DELAY_MS = 10
POLL_MS = 20

TWO_CORES = ",".join(sorted({str(CORES[0]), str(CORES[-1])}))


def no_hook(place):
    """No message matches: each is decoded and deleted."""
    return [{"name": "none", "on": ["unknown"], "file": {"path": str(place.scratch / "none.jsonl")}}]


def file_hook(place):
    path = place.scratch / "events.jsonl"
    path.unlink(missing_ok=True)
    return [{"name": "audit", "on": ["*"], "file": {"path": str(path)}}]


def exec_hook(*command, **settings):
    return [{"name": "run", "on": ["*"], "exec": {"command": list(command), "grace": "1s", **settings}}]


# --- draining a queue ---

def drained(program, server, messages):
    stats = server.stats()
    if (stats["delete"], stats["refused"]) != (messages, 0):
        raise RuntimeError(f"not drained: {stats}\n{program.log()}")
    seconds = stats["last_delete"] - stats["first_get"]
    return {"rate": messages / seconds, "cpu": program.cpu / messages * 1e6,
            "gets": stats["get"] - stats["empty_get"], "server_share": stats["cpu"] / seconds}


def drain_by(place, messages, argv, delay_ms=0):
    with Server(place, messages, delay_ms) as server:
        program = Program(place, [*argv, server.url, SAS]).wait()
        return drained(program, server, messages)


def drain_curl(place, messages, *options, delay_ms=0):
    return drain_by(place, messages, [place.program("curl_drain"), *options], delay_ms)


def drain_sdk(place, messages):
    return drain_by(place, messages, ["/usr/bin/python3", os.path.join(os.path.dirname(__file__), "sdk_drain.py")])


def drain_daemon(place, messages, hooks, delay_ms=0, core=CLIENT_CORE, parallel=PARALLEL):
    with Server(place, messages, delay_ms) as server:
        with Daemon(place, server, hooks, core, parallel=parallel) as program:
            server.line("drained")
        return drained(program, server, messages)


def drain_exec(place, messages, core=CLIENT_CORE):
    return drain_daemon(place, messages, exec_hook("/bin/true", parallel=4), core=core)


def spawn(place, count, core=CLIENT_CORE):
    return {"rate": float(Program(place, [place.program("spawn"), count, 4, "/bin/true"], core).line("rate"))}


# --- starting ---

def start_minimal(place, times):
    spans = []
    for _ in range(times):
        with Program(place, [place.program("minimal")]) as program:
            spans.append(float(program.line("ready")) - program.exec_time)
    return {"ms": statistics.median(spans) * 1e3}


def start_times(place, times, begin):
    """Milliseconds from exec to the first request; begin(server) starts the program."""
    spans = []
    with Server(place, 0) as server:
        for _ in range(times):
            server.stats("reset")
            with begin(server) as program:
                spans.append(float(server.line("first")) - program.exec_time)
    return {"ms": statistics.median(spans) * 1e3}


def start_curl(place, times):
    return start_times(place, times,
                       lambda server: Program(place, [place.program("curl_drain"), server.url, SAS]))


def start_daemon(place, times):
    return start_times(place, times, lambda server: Daemon(place, server, file_hook(place)))


# --- memory, and doing nothing ---

def rest_minimal(place):
    with Program(place, [place.program("minimal")]) as program:
        program.line("ready")
        program.wait_idle()
        return program.memory()


def rest_daemon(place, settle_s, seconds):
    """Between two polls: memory, CPU and wake-ups, once it has not woken up for settle_s."""
    with Server(place, 0) as server, \
            Daemon(place, server, file_hook(place), poll_min="30s", poll_max="30s") as program:
        server.wait_counts(empty_get=1)
        program.wait_idle(settle_s)
        cpu, wake_ups = program.cpu_now(), program.wake_ups()
        time.sleep(seconds)
        return {**program.memory(), "cpu_ms": (program.cpu_now() - cpu) * 1e3,
                "wake_ups": program.wake_ups() - wake_ups}


def hold_daemon(place, messages):
    """Memory with so many messages in flight, all but one waiting for their hook's turn."""
    with Server(place, messages) as server, \
            Daemon(place, server, exec_hook("/bin/sleep", "1000", parallel=1), parallel=messages) as program:
        server.wait_counts(handed_out=messages)
        program.wait_idle()
        return program.memory()


def tire_daemon(place, messages):
    """Memory and open files after the first thousand messages, and after all."""
    found = {}
    first = min(1000, messages // 2)
    with Server(place, first) as server, \
            Daemon(place, server, file_hook(place), parallel=PARALLEL, poll_max="1s") as program:
        for name, count in (("first", first), ("all", messages)):
            server.line("drained", timeout=600)
            server.wait_counts(empty_get=server.stats()["empty_get"] + 1)
            found[name + "_rss"] = program.memory()["rss"]
            found[name + "_files"] = program.open_files()
            if count < messages:
                server.stats(f"more?count={messages - count}")
    return found


# --- latency ---

def read_stamp(fifo):
    ready, _, _ = select.select([fifo], [], [], 30)
    if not ready:
        raise RuntimeError("a hook was not started within 30 s")
    return float(os.read(fifo, 4096))


def latency(place, times):
    """From a message's becoming visible, and from the Get that found it, to its program's start."""
    path = place.scratch / "stamps"
    if not path.exists():
        os.mkfifo(path)
    fifo = os.open(path, os.O_RDWR)
    whole, own = [], []
    poll = f"{POLL_MS}ms"
    with Server(place, 0) as server, \
            Daemon(place, server, exec_hook(place.program("stamp"), str(path)), poll_min=poll, poll_max=poll):
        server.wait_counts(empty_get=1)
        for number in range(times):
            visible = server.put(number)
            started = read_stamp(fifo)
            whole.append((started - visible) * 1e3)
            own.append((started - server.stats()["last_handed_out"]) * 1e3)
            time.sleep(random.uniform(1, 3) * POLL_MS / 1e3)
    os.close(fifo)
    return {"whole_ms": statistics.quantiles(whole, n=20)[-1], "own_ms": statistics.median(own)}
