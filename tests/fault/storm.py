# SPDX-License-Identifier: MIT
"""Everything at once: a daemon that is reloaded, stopped, killed and started anew while the service is in bad weather
and its disk fills. What must hold all the same is account.py's."""
import collections
import os
import pathlib
import shutil
import signal
import time

import ledger
from account import Account, Life, story
from feeder import draw_id
from support import messages, process
from support.daemon import exec_hook
from support.wait import wait_until
from victim import reap

# What a step's runs do, by a digit of the iteration: see hook.c.
WORDS = ["", "", "", "", "", "", "", "", "f", "ff", "l", "lf", "fl", "w", "r", "f*"]
DIGITS = {"first": 0, "second": 1, "fresh": 2, "extra": 3}
PARALLEL = {"first": 6, "second": 5, "fresh": 3, "extra": 3}
MATCHED = ["training.*", "export.completed"]
MAX_ATTEMPTS = 3
MAX_AGE_S = 4
LONG_MS = 2500  # longer than the shortest lease
MOST_WAITING = 40
SETTLING_S = 50  # what an end may take beside hooks
SLOW_S = 60  # what a machine may take for anything

# How many moments of a hundred bring what: all; the right to update; the network; ends; this machine.
SEASONS = [{"blow": 12, "reload": 3, "fill": 1, "break": 1, "deny": 1, "kill": 2, "stop": 2},
           {"blow": 12, "reload": 10, "deny": 10, "stop": 0.5},
           {"blow": 20, "reload": 1},
           {"blow": 8, "kill": 4, "stop": 6},
           {"blow": 5, "reload": 2, "fill": 4, "break": 4, "stop": 1, "kill": 0.5}]

WEEK_S = 7 * 24 * 3600
SHORT_S = 9

# kind: work | test | unmatched | bad; reason: of its poison, if it must become poison; hooks: that must be done.
Posted = collections.namedtuple("Posted", "kind document reason hooks wall is_short")


class Storm:
    def __init__(self, weather, place, journal, disk, victim, dice):
        self.weather, self.place, self.journal, self.disk, self.dice = weather, place, journal, disk, dice
        self.queue, self.lines = weather.queue("events"), place / "lines"
        self.extra_program = pathlib.Path(shutil.copy(journal.program, place / "extra"))
        self.projects = [draw_id(dice) for _ in range(9)]
        self.unmatched = dice.choice(["delete", "poison"])
        self.posted, self.lives, self.counts = {}, [], collections.Counter()
        self.full = self.broken = False
        self.update_at = self.empty_at = self.mend_at = 0
        self._ledger = {}
        self._begin_life(place / "d/daemon.log")
        self.daemon = victim(self.config(), wait=False)

    # --- the daemon's settings ---

    def _hook(self, name, on, program=None, **how):
        command = self.journal.command("-t", 60, "-s", ",".join(WORDS), "-d", DIGITS.get(name, 0), "-w", LONG_MS)
        if name == "told":
            command = self.journal.command("-t", 20)
        command[0] = str(program or command[0])
        return exec_hook(name, on, command, timeout="30s", grace=self.dice.choice(["0s", "1s"]),
                         parallel=PARALLEL.get(name, 2), **how)

    def config(self):
        """One of many."""
        pick, lost = self.dice.choice, lambda: self.dice.choice(["finish", "stop"])
        hooks = [self._hook("first", MATCHED, on_lease_lost=lost()),
                 {"name": "lines", "on": MATCHED, "file": {"path": str(self.lines)}},
                 self._hook("second", MATCHED, on_failure="continue", serialize="project", on_lease_lost=lost()),
                 self._hook("fresh", ["export.completed"], max_age=f"{MAX_AGE_S}s", on_lease_lost=lost()),
                 self._hook("told", "message.poisoned")]
        if self.dice.random() < 0.5:
            hooks.insert(4, self._hook("extra", ["training.failed", "export.completed"], self.extra_program))
        return {"state_dir": str(self.disk.path / "state"), "log": {"level": "debug", "format": "json"},
                "stop_timeout": pick(["200ms", "1s", "3s"]), "http": {"timeout": pick(["1s", "2s"])},
                "queues": [self.queue.config(
                    lease=pick(["1s", "2s", "4s"]), parallel=pick([2, 5, 16]), max_attempts=MAX_ATTEMPTS,
                    retry_delay=pick([["1s"], ["1s", "2s"], ["2s", "1s"]]), expiry_margin="0s",
                    unmatched=self.unmatched)], "hooks": hooks}

    # --- its lives ---

    def _begin_life(self, log_path):
        self.lives.append(Life(len(self.journal.marks()), log_path, self._ledger))
        self.weather.last_get = time.monotonic()

    def _end_life(self, how):
        reap()
        orphans = process.children(os.getpid())
        self._ledger = ledger.read_steps(self.disk.path / "state")
        self.lives[-1].end(how, len(self.journal.marks()), self._ledger, orphans, self.full)
        self.counts[how] += 1

    def kill(self):
        self.daemon.kill()
        self._end_life("killed")

    def stop(self, twice=False):
        """TERM; and a second one that is not waited for the first one's work."""
        self.daemon.signal(signal.SIGTERM)
        if twice:
            time.sleep(self.dice.uniform(0, 0.5))
            if self.daemon.is_running():
                process.kill_quietly(self.daemon.pid, signal.SIGTERM)
        wait_until(lambda: reap() or not self.daemon.is_running(), 3 + 1 + SETTLING_S + SLOW_S, "the daemon to stop")
        status = self.daemon.process.returncode
        # a second one may come when all is done and nobody listens any more
        assert status == 0 or (twice and status == -signal.SIGTERM), f"after TERM: status {status}"
        self._end_life("stopped twice" if twice else "stopped")

    def start(self):
        if self.daemon.notify:
            self.daemon.notify.close()
        self.weather.free()
        self.daemon.write(self.config())
        self._begin_life(self.daemon.log_path)
        self.daemon.start()

    def is_ready(self):
        return self.daemon.notify.count("READY") > 0

    # --- what happens ---

    def _draw(self, kind):
        """(document, the reason why it must become poison, the hooks that must be done)"""
        project, iteration = self.dice.choice(self.projects), draw_id(self.dice)
        if kind == "bad":
            return *reversed(self.dice.choice(messages.malformed())), ()
        if kind == "test":
            return messages.connection_test(project), None, ()
        if kind == "unmatched":
            reason = "unmatched" if self.unmatched == "poison" else None
            return messages.export("ExportFailed", project, iteration), reason, ()
        if self.dice.random() < 0.5:
            status = self.dice.choice(["TrainingCompleted", "TrainingFailed"])
            return messages.training(status, project, iteration), None, ("first", "lines", "second")
        return messages.export(project=project, iteration=iteration), None, ("first", "lines", "second", "fresh")

    def post(self):
        kind = self.dice.choice(["work"] * 8 + ["bad", "unmatched", "test"])
        document, reason, hooks = self._draw(kind)
        is_short = kind == "work" and self.dice.random() < 0.12
        is_coded = kind != "bad" and self.dice.random() < 0.3
        with self.weather.lock:
            message = self.queue.post(messages.base64_text(document) if is_coded else document,
                                      SHORT_S if is_short else WEEK_S)
            self.posted[message] = Posted(kind, document, reason, hooks, time.time(), is_short)

    def _reload(self):
        if self.is_ready():
            self.daemon.write("queues: [{oops" if self.dice.random() < 0.1 else self.config())
            self.daemon.signal(signal.SIGHUP)
            self.counts["reload"] += 1

    def _fill(self):
        if not self.full:
            self.disk.fill()
            self.full, self.empty_at = True, time.monotonic() + self.dice.uniform(0.2, 2)
            self.counts["fill"] += 1

    def _break(self):
        if not self.broken:
            self.extra_program.chmod(0o600)
            self.broken, self.mend_at = True, time.monotonic() + self.dice.uniform(0.2, 1.5)
            self.counts["break"] += 1

    def _deny(self):
        if self.weather.may_update:
            self.weather.odds["Update"] = 0.6
            self.weather.may_update, self.update_at = False, time.monotonic() + self.dice.uniform(0.5, 2)
            self.counts["deny"] += 1

    def _blow(self):
        self.weather.blow()

    def _kill(self):
        self.kill()
        self.start()

    def _stop(self):
        if self.is_ready():
            self.stop(twice=self.dice.random() < 0.3)
            self.start()

    def _let_up(self, all_of_it=False):
        """What is to pass passes."""
        now = time.monotonic()
        if self.full and (all_of_it or now >= self.empty_at):
            self.disk.empty()
            self.full = False
        if self.broken and (all_of_it or now >= self.mend_at):
            self.extra_program.chmod(0o755)
            self.broken = False
        if not self.weather.may_update and now >= self.update_at:
            self.weather.may_update = True

    def step(self, season):
        """A moment, in which one thing may happen."""
        reap()
        self.daemon.must_live()
        self._let_up()
        time.sleep(self.dice.uniform(0.01, 0.1))
        (what,) = self.dice.choices(["", *season], [100 - sum(season.values()), *season.values()])
        if what:
            getattr(self, f"_{what}")()

    def rage(self, count, seconds):
        """All of it happens for that long, while at most so many messages are posted, and never too many wait."""
        began, season, until = time.monotonic(), SEASONS[0], time.monotonic() + 2
        while time.monotonic() < began + seconds:
            due = min(count, 10 + 1.5 * count * (time.monotonic() - began) / seconds)
            while len(self.posted) < due and len(self.queue.messages()) < MOST_WAITING:
                self.post()
            if time.monotonic() >= until:
                season, until = self.dice.choice(SEASONS), time.monotonic() + self.dice.uniform(2, 8)
            self.step(season)
            self._must_poll()

    def _must_poll(self):
        """A queue that is not asked for long has stopped; each back-off here is shorter."""
        silent_s = time.monotonic() - self.weather.last_get
        assert silent_s < SLOW_S, f"no Get for {silent_s:.0f} s"

    # --- the end ---

    def _is_left(self):
        """Whether what is left is to come only when a long lease ends, which nobody works under."""
        left = self.queue.messages()
        return bool(left) and all(m.visible_at > time.time() + 5 for m in left)

    def drain(self):
        """Good weather. Leases that were taken without the right to renew them are too long to wait for."""
        self.weather.calm()
        self._let_up(all_of_it=True)
        began, left, starts = time.monotonic(), len(self.queue.messages()), len(self.lives)
        quiet = None
        deadline = time.monotonic() + 3 * SLOW_S
        while not self.queue.is_empty():
            assert time.monotonic() < deadline, self._stories("left", [m.id for m in self.queue.messages()])
            reap()
            self.daemon.must_live()
            self._must_poll()
            time.sleep(0.05)
            quiet = (quiet or time.monotonic()) if self._is_left() else None
            if quiet and time.monotonic() > quiet + 1 and self.is_ready():
                self._stop()
        self.counts["left at the end"] = left
        self.counts["seconds for them"] = round(time.monotonic() - began)
        self.counts["restarts for them"] = len(self.lives) - starts
        # it polls on, now that nothing is to be done
        asked = len(self.weather.asked("Get"))
        wait_until(lambda: len(self.weather.asked("Get")) >= asked + 3, SLOW_S, "three more Gets")

    def finish(self):
        wait_until(self.is_ready, SLOW_S, "the daemon to be ready")
        self.stop()

    def must_be_right(self):
        """Fails with the stories of the messages that something is wrong with."""
        wrongs = list(Account(self, MAX_ATTEMPTS, MAX_AGE_S).wrongs(PARALLEL))
        assert not wrongs, "\n".join([*(f"{w.message}: {w.text}" for w in wrongs[:20]),
                                      self._stories("wrong", [wrong.message for wrong in wrongs])])

    def _stories(self, what, of):
        chosen = list(dict.fromkeys(of))[:3]
        return "\n".join([f"{len(of)} {what}:", *(story(self, message) for message in chosen)])
