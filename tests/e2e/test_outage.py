# SPDX-License-Identifier: MIT
"""The storage service goes away for half a minute, and comes back."""
import time

from support import messages, process
from support.azurite import Azurite
from support.daemon import exec_hook
from support.queues import Queue
from support.tap import Knocks
from support.wait import wait_until

OUTAGE_S = 30


def test_an_outage_of_half_a_minute(place, scripts, daemon):
    # given a storage service that keeps its data, and a hook that runs while it goes away
    service = Azurite(location=place / "azurite").start()
    try:
        queue = Queue(service, "outage")
        hold = place / "hold"
        hold.touch()
        running = daemon({"queues": [queue.config(lease="5s")], "hooks": [
            exec_hook("slow", "training.*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.1; done")),
            exec_hook("quick", "export.*", scripts.recording("quick"))]})
        before = queue.post(messages.training())
        wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
        # when the service stops for half a minute; the hook ends meanwhile
        service.stop()
        began, cpu = time.monotonic(), process.cpu_seconds(running.pid)
        hold.unlink()
        knocks = Knocks(service.queue_port).count(OUTAGE_S / 2)
        wait_until(lambda: time.monotonic() - began > OUTAGE_S, OUTAGE_S, "the outage to be over", interval=0.2)
        # then the daemon neither exits nor spins
        assert running.is_running()
        spent = process.cpu_seconds(running.pid) - cpu
        assert spent / OUTAGE_S < 0.01, f"{spent} s of CPU"
        assert knocks / (OUTAGE_S / 2) < 5, f"{knocks} connections"
        assert knocks > 0, "it did not try"
        # and when the service is back, it carries on by itself
        service.start()
        after = queue.post(messages.export())
        wait_until(lambda: scripts.runs("quick", after), 75, "the next message to be served")
        wait_until(queue.is_empty, 60, "the queue to be empty")
        # and what ended during the outage is not done again
        assert [r.message for r in scripts.runs("slow")] == [before]
        assert queue.records() == []
    finally:
        service.stop()
