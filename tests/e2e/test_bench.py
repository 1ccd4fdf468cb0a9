# SPDX-License-Identifier: MIT
"""The bench works: each of its programs runs, and each row of its table has figures. How good they are is not for a
test to say."""
import json
import os
import pathlib
import subprocess

from support.daemon import ROOT, program


def test_the_bench_measures_each_row(tmp_path):
    # given the bench's programs beside the daemon, when they drain a few messages
    build = pathlib.Path(program()).parent
    assert (build / "bench/queue_server").exists(), "make bench-programs, for the build under test"
    bench = subprocess.run(["/usr/bin/python3", "-B", ROOT / "tests/bench/bench.py", build, tmp_path / "bench.json"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
                           env={**os.environ, "BENCH": "smoke", "BENCH_LONG": ""})
    # then nothing failed, and every row has a value, a reference if it is a ratio, and a verdict if it has a budget
    assert bench.returncode == 0, bench.stdout + bench.stderr
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert len(rows) >= 20
    for row in rows:
        assert row["value"] is not None, row
        assert (row["within"] is not None) == (row["budget"] != ""), row
        assert row["row"] in bench.stdout, row
