# SPDX-License-Identifier: MIT
"""What the ledger of a daemon that is dead holds, read on a copy: to open the original would change it."""
import collections
import shutil
import sqlite3
import sys
import tempfile

Step = collections.namedtuple("Step", "state attempts interruptions")

STEPS = ("SELECT message.message_id, step.hook, step.state, step.attempts, step.interruptions"
         " FROM step JOIN message ON message.id = step.message")


def read(state_dir):
    """{(message id, hook): state}."""
    return {step: known.state for step, known in read_steps(state_dir).items()}


def read_steps(state_dir):
    """{(message id, hook): Step}; empty while there is no ledger yet. A damaged ledger fails."""
    if not (state_dir / "ledger.db").exists():
        return {}
    with tempfile.TemporaryDirectory(prefix="cvn-ledger-", dir="/tmp") as copy:
        for name in ("ledger.db", "ledger.db-wal"):
            if (state_dir / name).exists():
                shutil.copy(state_dir / name, copy)
        connection = sqlite3.connect(f"{copy}/ledger.db")
        try:
            (verdict,) = connection.execute("PRAGMA quick_check").fetchone()
            assert verdict == "ok", f"the ledger is damaged: {verdict}"
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'step'").fetchone():
                return {}
            return {(sys.intern(message), sys.intern(hook)): Step(sys.intern(state), *counts)
                    for message, hook, state, *counts in connection.execute(STEPS)}
        finally:
            connection.close()
