# SPDX-License-Identifier: MIT
"""Waiting for a condition. Tests never sleep a fixed while."""
import time


def wait_until(condition, timeout=15, what=None, interval=0.03):
    """Returns the first true value of condition(); fails, naming what was waited for, after timeout
    seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "a condition")
            raise AssertionError(f"not within {timeout} s: {name} (last answer: {value!r})")
        time.sleep(interval)


def stays_true(condition, seconds, what=None, interval=0.05):
    """Watches that condition() holds for the whole of a span: for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not hold for {seconds} s: {what or condition}"
        time.sleep(interval)
