#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the daemon against libcurl, posix_spawn and others: speed and memory as ratios within one run. The client
runs on one core, the queue on another; all is repeated in turn, and the medians count.

usage: bench.py BUILD [RESULTS.json]

BENCH=quick is shorter; BENCH=smoke only shows that it works; BENCH_LONG=1 drains a million
"""
import collections
import json
import os
import pathlib
import statistics
import sys
import time

import figures
from parts import Disturbance, Place

# After news the daemon tells systemd its status, two seconds later at most; then it has nothing to do.
SETTLE_S = 2.5

Scale = collections.namedtuple("Scale", "repeats patience_s drain slow sdk runs starts settle_s idle_s held tired letters")
SCALES = {"full": Scale(3, 300, 30000, 6000, 3000, 2000, 15, SETTLE_S, 5, 1000, 30000, 40),
          "quick": Scale(1, 60, 10000, 2000, 500, 600, 9, SETTLE_S, 3, 1000, 10000, 20),
          "smoke": Scale(1, 0, 200, 100, 40, 20, 1, 0.1, 0.1, 50, 100, 3)}

# A run during which others used more of the cores than this is done again.
QUIET = 0.04
# How long to wait for a quiet moment before each run, and how often to try it; both end when patience_s has passed.
PATIENCE_S, TRIES = 15, 5
# What others can not disturb.
STEADY = {"minimal", "idle", "held", "tired"}

# The SDK for C++ can not be had here. Where it was measured beside libcurl by socket_action, it drained 34,600
# messages a second, and libcurl 43,300.
CPP_OF_CURL = 34600 / 43300


def measurements(place, scale):
    """What to run, by name, in the order of each repeat."""
    tired = 1000000 if os.environ.get("BENCH_LONG") == "1" else scale.tired
    wide = str(figures.CONNECTIONS)
    slow = {"delay_ms": figures.DELAY_MS}
    return {
        "curl": lambda: figures.drain_curl(place, scale.drain),
        "file": lambda: figures.drain_daemon(place, scale.drain, figures.file_hook(place)),
        "none": lambda: figures.drain_daemon(place, scale.drain, figures.no_hook(place)),
        "perform": lambda: figures.drain_curl(place, scale.drain, "-p"),
        "sdk": lambda: figures.drain_sdk(place, scale.sdk),
        "slow_curl": lambda: figures.drain_curl(place, scale.slow, "-c", wide, **slow),
        "slow_file": lambda: figures.drain_daemon(place, scale.slow, figures.file_hook(place), **slow),
        "spawn": lambda: figures.spawn(place, scale.runs),
        "exec": lambda: figures.drain_exec(place, scale.runs),
        "spawn_two": lambda: figures.spawn(place, scale.runs, figures.TWO_CORES),
        "exec_two": lambda: figures.drain_exec(place, scale.runs, figures.TWO_CORES),
        "start_minimal": lambda: figures.start_minimal(place, scale.starts),
        "start_curl": lambda: figures.start_curl(place, scale.starts),
        "start": lambda: figures.start_daemon(place, scale.starts),
        "minimal": lambda: figures.rest_minimal(place),
        "idle": lambda: figures.rest_daemon(place, scale.settle_s, scale.idle_s),
        "held": lambda: figures.hold_daemon(place, scale.held),
        "tired": lambda: figures.tire_daemon(place, tired),
        "latency": lambda: figures.latency(place, scale.letters),
    }


def at_most(limit):
    return f"<= {limit} x", lambda value, reference: value <= limit * reference


def at_least(limit):
    return f">= {limit} x", lambda value, reference: value >= limit * reference


def at_most_more(limit, unit):
    return f"<= + {limit} {unit}", lambda value, reference: value <= reference + limit


# Every row of the table, and the budgets: title, unit, value, reference, budget. A row without a budget informs.
ROWS = [
    ("CPU a message, file hook : libcurl socket_action", "us", "file.cpu", "curl.cpu", at_most(1.6)),
    ("CPU a message, no hook : libcurl socket_action", "us", "none.cpu", "curl.cpu", None),
    ("CPU a message, libcurl multi_perform : socket_action", "us", "perform.cpu", "curl.cpu", None),
    ("CPU a message, SDK for Python : libcurl socket_action", "us", "sdk.cpu", "curl.cpu", None),
    ("messages/s, file hook : SDK for C++ (0.8 x libcurl)", "/s", "file.rate", "cpp.rate", at_least(0.9)),
    ("messages/s, file hook : libcurl socket_action", "/s", "file.rate", "curl.rate", None),
    ("messages/s, no hook : libcurl socket_action", "/s", "none.rate", "curl.rate", None),
    ("messages/s, libcurl multi_perform : socket_action", "/s", "perform.rate", "curl.rate", None),
    ("messages/s, SDK for Python : libcurl socket_action", "/s", "sdk.rate", "curl.rate", None),
    ("messages/s, 10 ms a request, file hook : libcurl, 64", "/s", "slow_file.rate", "slow_curl.rate", at_least(1.0)),
    ("CPU a message, 10 ms a request : libcurl, 64", "us", "slow_file.cpu", "slow_curl.cpu", None),
    ("exec hooks/s, parallel 4 : posix_spawn, 4 at once", "/s", "exec.rate", "spawn.rate", at_least(0.85)),
    ("exec hooks/s : posix_spawn, both on two cores", "/s", "exec_two.rate", "spawn_two.rate", None),
    ("resident, idle : minimal program", "MB", "idle.rss", "minimal.rss", at_most(1.1)),
    ("private, idle : minimal program", "MB", "idle.private", "minimal.private", None),
    ("resident, 1,000 messages in flight : minimal program", "MB", "held.rss", "minimal.rss", at_most_more(4, "MB")),
    ("exec to first request : libcurl", "ms", "start.ms", "start_curl.ms", at_most(1.25)),
    ("exec to first request : minimal program's readiness", "ms", "start.ms", "start_minimal.ms", None),
    ("wake-ups while idle", "", "idle.wake_ups", None, at_most_more(0, "")),
    ("CPU while idle", "ms", "idle.cpu_ms", None, at_most_more(0, "ms")),
    ("visible to program started, 95 % : poll interval", "ms", "latency.whole_ms", "poll.ms", at_most_more(2, "ms")),
    ("Get answered to program started, median", "ms", "latency.own_ms", None, at_most_more(2, "ms")),
    ("resident after all messages : after the first 1,000", "MB", "tired.all_rss", "tired.first_rss", at_most(1.05)),
    ("open files after all : after the first 1,000", "", "tired.all_files", "tired.first_files", at_most_more(0, "")),
    ("the server's share of its core, libcurl multi_perform", "", "perform.server_share", None, None),
]


def medians(runs):
    """{measurement.figure: median}, with the references that are not measured."""
    found = {f"{name}.{figure}": statistics.median(run[figure] for run in taken)
             for name, taken in runs.items() for figure in taken[0]}
    return {**found, "cpp.rate": found["curl.rate"] * CPP_OF_CURL, "poll.ms": figures.POLL_MS}


def judge(row, found):
    title, unit, value, reference, budget = row
    value, reference = found[value], found[reference] if reference else 0
    words, holds = budget or ("", None)
    return {"row": title, "unit": unit, "value": value, "reference": reference if row[3] else None,
            "ratio": value / reference if reference else None, "budget": words,
            "within": holds(value, reference) if holds else None}


def table(rows):
    def number(value, unit=""):
        return "" if value is None else f"{value:,.{0 if abs(value) >= 1000 else 2}f} {unit}".rstrip()

    lines = [("row", "value", "reference", "ratio", "budget", "")]
    lines += [(r["row"], number(r["value"], r["unit"]), number(r["reference"], r["unit"]), number(r["ratio"]), r["budget"],
               {True: "within", False: "OVER", None: ""}[r["within"]]) for r in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.rjust(width) if 1 <= at <= 3 else cell.ljust(width)
                               for at, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def undisturbed(run, until):
    """Waits for a quiet moment, and runs it again while others use the machine, but not past `until`; returns the
    least disturbed run's figures."""
    taken = []
    while not taken or (time.monotonic() < until and len(taken) < TRIES):
        Disturbance.wait_quiet(QUIET, min(until, time.monotonic() + PATIENCE_S))
        others = Disturbance()
        taken.append({**run(), "others": others.share()})
        if taken[-1]["others"] <= QUIET:
            break
    return min(taken, key=lambda figure: figure["others"])


def measure(place, scale):
    work = measurements(place, scale)
    runs = {name: [] for name in work}
    until = time.monotonic() + scale.patience_s
    for repeat in range(scale.repeats):
        for name, run in work.items():
            started = time.monotonic()
            runs[name].append(undisturbed(run, 0 if name in STEADY else until))
            print(f"{repeat + 1}/{scale.repeats} {name}: {time.monotonic() - started:.1f} s, others used "
                  f"{runs[name][-1]['others']:.0%} of the cores", file=sys.stderr)
    return runs


def main(build, results=None):
    name = os.environ.get("BENCH") or "full"
    place = Place(build)
    try:
        runs = measure(place, SCALES[name])
    finally:
        place.done()
    rows = [judge(row, medians(runs)) for row in ROWS]
    pathlib.Path(results or place.results).write_text(json.dumps({"scale": name, "rows": rows, "runs": runs}, indent=1) + "\n")
    print(table(rows))
    disturbed = [name for name in runs if name not in STEADY and medians(runs)[name + ".others"] > QUIET]
    if disturbed:
        print(f"Not to be trusted, as others used more than {QUIET:.0%} of the cores during: {' '.join(disturbed)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
