# SPDX-License-Identifier: MIT
"""Waiting for a condition. Tests never sleep a fixed while."""
import time

# A time-out is what a machine needs at the most that does nothing else; others get so many times as much.
PATIENCE = 4


def wait_until(condition, timeout=15, what=None, interval=0.03):
    """Returns the first true value of condition(); fails, naming what was waited for, after PATIENCE times timeout
    seconds. Where a bound is what a test is about, it is asserted."""
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() > deadline  # and looked at once more, whatever held us up
        value = condition()
        if value:
            return value
        if late:
            name = what or getattr(condition, "__name__", "a condition")
            raise AssertionError(f"not within {timeout} s: {name} (last answer: {value!r})")
        time.sleep(interval)


def stays_true(condition, seconds, what=None, interval=0.05):
    """Watches that condition() holds for the whole of a span: for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not hold for {seconds} s: {what or condition}"
        time.sleep(interval)
