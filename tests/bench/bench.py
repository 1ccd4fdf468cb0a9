#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the daemon against libcurl and friends, in one run.

usage: bench.py BUILD
"""
import statistics
import sys

from parts import SAS, Daemon, Place, Program, Server

NO_HOOK = [{"name": "none", "on": ["unknown"], "exec": {"command": ["/bin/true"]}}]


def file_hook(place):
    return [{"name": "audit", "on": ["*"], "file": {"path": str(place.scratch / "events.jsonl")}}]


def rates(program, server, messages):
    stats = server.stats()
    assert stats["delete"] == messages, stats
    seconds = stats["last_delete"] - stats["first_get"]
    return {"msg/s": messages / seconds, "cpu us": program.cpu / messages * 1e6,
            "start ms": (stats["first_request"] - program.exec_time) * 1e3, "server %": stats["cpu"] / seconds * 100,
            "gets": stats["get"] - stats["empty_get"]}


def drain_curl(place, messages, *options, delay=0):
    with Server(place, messages, delay) as server:
        program = Program(place, [place.program("curl_drain"), *options, server.url, SAS]).wait()
        return rates(program, server, messages)


def drain_daemon(place, messages, hooks, delay=0, **queue):
    with Server(place, messages, delay) as server:
        with Daemon(place, server, hooks, **queue) as program:
            server.line("drained")
        return rates(program, server, messages)


def main(build):
    place = Place(build)
    count = 30000
    try:
        rows = {"curl": lambda: drain_curl(place, count), "perform": lambda: drain_curl(place, count, "-p"),
                "delay curl": lambda: drain_curl(place, 5000, "-c", "64", delay=10)}
        for parallel in (32, 64, 128, 256):
            rows[f"none {parallel}"] = lambda p=parallel: drain_daemon(place, count, NO_HOOK, parallel=p)
            rows[f"file {parallel}"] = lambda p=parallel: drain_daemon(place, count, file_hook(place), parallel=p)
            rows[f"delay {parallel}"] = lambda p=parallel: drain_daemon(place, 5000, file_hook(place), delay=10, parallel=p)
        found = {name: [] for name in rows}
        for _ in range(3):
            for name, row in rows.items():
                found[name].append(row())
        for name, values in found.items():
            print(f"{name:12}", {k: round(statistics.median(v[k] for v in values), 1) for k in values[0]})
    finally:
        place.done()


main(sys.argv[1])
