# SPDX-License-Identifier: MIT
"""A token's life on bad days: issuers that hang, fail and talk nonsense, services that refuse, stops and reloads between."""
import json
import signal
import time

import pytest

from support import messages
from support.issuer import refusal
from support.tokens import WAYS
from support.wait import wait_until

FAST = {"poll_min": "20ms", "poll_max": "100ms"}


@pytest.fixture
def imds(world):
    """A way by a metadata service."""
    return WAYS["IMDS"](world)


@pytest.fixture
def events(safe_fake, imds):
    """A queue that wants its tokens."""
    safe_fake.trust(imds.issuer)
    return safe_fake.queue()


def config(queue, **settings):
    """The daemon's entry for a queue, with the identity that all share."""
    with_sas = queue.config(**{**FAST, **settings})
    return {"identity": "machine", **{name: value for name, value in with_sas.items() if name != "sas"}}


def status(running):
    """The last that was told to the service manager."""
    return [pairs["STATUS"] for _, pairs in list(running.notify.messages) if "STATUS" in pairs][-1]


def hang(exchange):
    exchange.wait_for_client()


def test_a_stop_does_not_wait_for_a_token(world, imds, events):
    # given a daemon whose issuer takes a request and never answers
    fault = imds.issuer.fails(hang)
    running = world.start(imds, [config(events)], [world.lines()], wait=False)
    wait_until(lambda: fault.count, 15, "the issuer to be asked")
    # when it is told to stop, then it does, long before the request's time is over
    start = time.monotonic()
    running.terminate()
    assert time.monotonic() - start < 5


def test_the_status_tells_that_a_token_can_not_be_renewed(world, imds, events):
    # given a queue that stays empty, and a token that is to be replaced, for somebody has changed something
    running = world.start(imds, [config(events)], [world.lines()])
    fault = imds.issuer.fails(refusal(503, "busy"))
    running.reload()
    # when that fails for a while, then the status says so while the old one serves
    wait_until(lambda: "IMDS: 503" in status(running), 15, "the status")
    assert fault.count == 2 and not running.logged_any("can not be read")
    # and when it is over, the status is as before
    fault.lift()
    wait_until(lambda: "IMDS" not in status(running), 15, "the status")


def test_usr1_asks_the_issuer_at_once(world, imds, events):
    # given an issuer that does not want to be asked again for two minutes
    fault = imds.issuer.fails(refusal(503, "busy", Retry_After="120"))
    running = world.start(imds, [config(events)], [world.lines()])
    wait_until(lambda: fault.count, 15)
    # when an operator knows better, then it does not wait
    fault.lift()
    message = events.post(json.dumps(messages.training()))
    running.signal(signal.SIGUSR1)
    wait_until(lambda: message in world.done(), 3, "the message to be done")
