# SPDX-License-Identifier: MIT
"""The main job with tokens: every way to come by one, from the first through refreshes; how tokens are shared, kept,
replaced and dropped."""
import json

import pytest

from support import messages, process
from support.daemon import exec_hook
from support.tokens import WAYS
from support.wait import stays_true, wait_until

REFRESHES, BATCH = 20, 10
FAST = {"poll_min": "20ms", "poll_max": "100ms", "parallel": 32}


def lacked(running):
    """What was said of anything that could not be done."""
    return running.logged_any('"warning"', '"err"', "can not be")


@pytest.mark.parametrize("way", WAYS)
def test_the_main_job_goes_on_while_tokens_come_and_go(world, safe_queue, way):
    # given tokens that are good for a second, as their holder is told, and not for much longer; and a queue that takes
    # nothing else from the daemon
    way = WAYS[way](world)
    way.issuer.life_s, way.issuer.longer_s = 1, 2
    # when messages keep coming while twenty tokens follow the first
    running = world.start(way, [safe_queue.config(identity="machine", **FAST)], [world.lines()])
    posted = []
    for count in range(REFRESHES):
        way.tick()
        posted += safe_queue.post_all([json.dumps(messages.training()) for _ in range(BATCH)])
        wait_until(lambda: len(way.issuer.tokens) >= count + 2, 10, "the next token")
    wait_until(safe_queue.is_empty, 15, "the messages to be done")
    # then each has its line, once, and nothing failed for lack of a token
    assert sorted(world.done()) == sorted(posted) and len(posted) == REFRESHES * BATCH
    assert len(way.issuer.tokens) > REFRESHES and safe_queue.poison().is_empty()
    assert lacked(running) == []
    # and whoever wanted a token, one was asked for at a time
    assert way.issuer.most_at_once == 1
