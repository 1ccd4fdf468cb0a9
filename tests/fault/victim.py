# SPDX-License-Identifier: MIT
"""A daemon to be killed: with KILL, at an instant of chance, its runs with it."""
import ctypes
import os
import time

from journal import Journal
from support import process
from support.daemon import Daemon
from support.wait import wait_until

PR_SET_CHILD_SUBREAPER = 36


class Victim(Daemon):
    started = set()  # all of them: each has its own who waits for it

    def start(self):
        super().start()
        Victim.started.add(self.process.pid)
        return self

    def kill(self):
        """As a power cut or the kernel's OOM killer would."""
        process.kill_quietly(self.process.pid)
        self.process.wait()
        self.notify.close()
        self.notify = None


def adopt_orphans():
    """From now on what a killed daemon leaves is this process's child."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans(*programs):
    """Ends what killed daemons left: hooks, and what was about to become one. Returns how many."""
    ended = 0
    for pid in process.children(os.getpid()):
        if process.program(pid) in map(str, programs):
            process.kill_quietly(pid)
            os.waitpid(pid, 0)
            ended += 1
    return ended


def reap():
    """Buries what killed daemons left and others have ended, as a machine's first process does."""
    for pid in process.zombies(os.getpid()):
        if pid not in Victim.started:
            os.waitpid(pid, 0)


def kill_while_hooks_run(victim: Victim, journal: Journal, dice, longest_s=0.15, power=False):
    """Kills at a moment of chance after a run of this daemon has begun; true when a run was under way then. What runs
    is left to the next daemon, unless it is the power that goes."""
    first = len(journal.marks())
    wait_until(lambda: reap() or journal.begun(first) or victim.must_live(), 120, "a hook to run", 0.002)
    time.sleep(dice.uniform(0, longest_s))
    victim.kill()
    running = {pid for pid in journal.open_runs(first) if process.is_alive(pid)}
    if power:
        end_orphans(journal.program, victim.program)
    return bool(running)
