# SPDX-License-Identifier: MIT
"""Bodies that are cut, garbled or hostile, connections that break, bytes that never end: to the Gets and to what
follows them."""
import pytest

from support import faults, messages
from support.bad_day import gets_fail_and_recover, said, what_follows_fails_and_recovers
from support.daemon import exec_hook
from support.fake_queue import listing
from support.faults import reply
from support.wait import stays_true, wait_until

WIRE = {
    "a cut body": (faults.cut(), "server", ["no whole answer"]),
    "headers alone": (faults.only_headers(), "server", ["no whole answer"]),
    "half a header": (faults.half_a_header, "server", ["no whole answer"]),
    "chunks without an end": (faults.unended_chunks(), "server", ["no whole answer"]),
    "bad chunks": (faults.bad_chunks, "server", ["no whole answer"]),
    "an endless body": (faults.endless, "server", ["larger answer than"]),
    "endless headers": (faults.endless_headers, "server", ["larger"]),
    "a dribble": (faults.dribble, "network", ["no whole answer", "within 1s"]),
    "dribbled headers": (faults.dribbled_headers, "network", ["within 1s"]),
    "silence": (faults.silence, "network", ["no answer", "within 1s"]),
    "a reset": (faults.reset, "network", ["reset"]),
    "a hang-up": (faults.hang_up, "network", ["no answer"]),
    "garbage": (faults.garbage, "server", ["no whole answer"]),
}


@pytest.mark.parametrize("row", WIRE)
def test_gets_whose_answers_break_off(fake, scripts, daemon, row):
    answer, cause, needles = WIRE[row]
    gets_fail_and_recover(fake, scripts, daemon, answer, cause, needles)


FOLLOWING = {
    "a cut body": faults.cut(500, b"<Error>"),
    "headers alone": faults.only_headers(500),
    "chunks without an end": faults.unended_chunks(500, b"<Error>"),
    "a dribble": faults.dribbled_headers,
    "silence": faults.silence,
    "a reset": faults.reset,
    "a hang-up": faults.hang_up,
    "garbage": faults.garbage,
}


@pytest.mark.parametrize("row", FOLLOWING)
def test_what_follows_a_get_breaks_off(fake, scripts, daemon, row):
    what_follows_fails_and_recovers(fake, scripts, daemon, FOLLOWING[row])
