# SPDX-License-Identifier: MIT
"""The check of includes finds what it is for."""
import pathlib
import subprocess
import sys

import pytest

CHECK = pathlib.Path(__file__).parent.parent / "support/includes.py"


def check(tree):
    done = subprocess.run([sys.executable, CHECK, tree], capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.fixture
def house(tmp_path):
    """A small house in order."""
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    write("base/err.h", "#include <stddef.h>\nsize_t err_size(void);\n")
    write("net/http.h", '#include "base/err.h"\n#include <curl/curl.h>\n')
    write("flow/lease.c", '#include "net/http.h"\n#include "lease.h"\n')
    write("flow/lease.h", "struct lease;\n")
    write("main.c", '#include "flow/lease.h"\n')
    write("ctl/show.c", '#include "net/http.h"\n')
    return tmp_path, write


def test_a_house_in_order_passes(house):
    tree, _ = house
    status, said = check(tree)
    assert status == 0, said


@pytest.mark.parametrize("name, text, words", [
    ("base/err.h", '#include "flow/lease.h"\n', "base/err.h:1: base/ may not include flow/lease.h"),
    ("base/log.c", '\n#include "../net/http.h"\n', "base/log.c:2: base/ may not include net/http.h"),
    ("net/retry.c", "#  include <yajl/yajl_parse.h>\n", "net/retry.c:1: <yajl/yajl_parse.h> belongs in codec/ only"),
    ("flow/lease.c", "#include <sqlite3.h>\n", "flow/lease.c:1: <sqlite3.h> belongs in store/ only"),
    ("ctl/show.c", '#include "flow/lease.h"\n', "ctl/show.c:1: ctl/ may not include flow/lease.h"),
    ("flow/lease.h", "size_t lease_size(void);\n", "flow/lease.h: does not compile alone"),
    ("misc/util.c", "", "misc/util.c: the folder misc/ has no floor in the house"),
    ("flow/lease.c", '#include "net/htp.h"\n', "flow/lease.c:1: no such file in the house: net/htp.h"),
], ids=["upward", "upward by a path", "a library away from home", "another one", "the client into the daemon",
        "a header that leans on others", "a folder without a floor", "a header that is not there"])
def test_a_violation_is_named(house, name, text, words):
    tree, write = house
    write(name, text)
    status, said = check(tree)
    assert status == 1
    assert f"{tree}/{words}" in said
    assert len([line for line in said.splitlines() if line.startswith(str(tree))]) == 1
