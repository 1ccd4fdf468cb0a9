# SPDX-License-Identifier: MIT
"""cvnotifyd as a process: its configuration, its signals, its log, its end."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from support import process
from support.notify import NotifySocket
from support.queues import IDENTITY
from support.wait import wait_until

ROOT = pathlib.Path(__file__).parent.parent.parent
SANITIZER = re.compile(r"ERROR: AddressSanitizer|LeakSanitizer|runtime error:|ERROR: ThreadSanitizer")


def program():
    """The program under test: $CVNOTIFYD, or the newest habit's build."""
    candidates = [os.environ.get("CVNOTIFYD"), ROOT / "build/asan/cvnotifyd", ROOT / "build/release/cvnotifyd"]
    for path in filter(None, candidates):
        if os.access(path, os.X_OK):
            return str(pathlib.Path(path).resolve())
    raise AssertionError("no cvnotifyd to test: run make, or name one in $CVNOTIFYD")


def environment(**more):
    """A small environment of our own: what runs the tests must not change what the daemon does."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": "/root"}
    options = {name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
               if name in os.environ}
    return {**base, **options, **more}


def run(*arguments, timeout=60, **env):
    """Runs the program to its end: for -t, -V, --once and their like."""
    return subprocess.run([program(), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, env=environment(**env))


class Daemon:
    """One daemon, with its files in `place`. A configuration is a Python value, written as JSON,
    which is YAML; a text is written as it is."""

    def __init__(self, place, config, args=(), before=(), env=None):
        self.place = place
        self.config_path = place / "cvnotifyd.yaml"
        self.log_path = place / "daemon.log"
        self.args, self.before, self.env = args, before, env or {}
        self.process = self.notify = None
        self.program = program()
        self.starts = 0
        self.write(config)

    def write(self, config):
        """Puts a configuration in place; a started daemon reads it at HUP."""
        write_config(self.config_path, config, self.place)

    def start(self):
        self.starts += 1
        self.notify = NotifySocket(self.place / f"notify{self.starts}")
        env = environment(NOTIFY_SOCKET=self.notify.path, **self.env)
        with open(self.log_path, "ab") as log:
            self.process = process.start([*self.before, self.program, "-c", self.config_path, *self.args],
                                         stdout=log, stderr=subprocess.STDOUT, env=env, cwd="/")
        return self

    def wait_ready(self, timeout=30):
        wait_until(lambda: self.notify.count("READY") or self.must_live(), timeout, "the daemon to be ready")
        return self

    def must_live(self):
        assert self.process.poll() is None, f"the daemon ended, status {self.process.returncode}:\n{self.tail()}"

    @property
    def pid(self):
        """The daemon's own id, also when another program runs it."""
        if not self.before or self._is_exec():
            return self.process.pid
        return wait_until(lambda: [c for c in process.children(self.process.pid)
                                   if process.is_alive(c)], 10, "the daemon under its parent")[0]

    def _is_exec(self):
        """Whether what ran before has become the daemon, as setpriv does; or what runs the daemon, as valgrind does."""
        starters = [os.path.realpath(shutil.which(name)) for name in ("setpriv", self.before[0])]
        return process.program(self.process.pid) not in starters

    def is_running(self):
        return self.process.poll() is None

    def signal(self, sig):
        os.kill(self.pid, sig)

    def reload(self, config=None, timeout=15):
        """HUP, with a new configuration if given; returns when the reload is over."""
        if config is not None:
            self.write(config)
        over = self.notify.count("READY")
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.notify.count("READY") > over, timeout, "the reload to be over")

    def wait_end(self, timeout=60):
        """Waits until the daemon ends by itself; returns its exit status."""
        wait_until(lambda: self.process.poll() is not None, timeout, "the daemon to end")
        if self.notify:
            self.notify.settle()
        return self.process.returncode

    def terminate(self, timeout=60):
        """TERM, and its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_end(timeout)

    def finish(self):
        """Ends the daemon if it still runs, and checks that it was in good health throughout."""
        try:
            if self.process and self.is_running():
                self.no_zombie()
                status = self.terminate()
                assert status == 0, f"the daemon ended with {status} after TERM:\n{self.tail()}"
            report = SANITIZER.search(self.log())
            assert not report, f"a sanitizer's report:\n{self.log()[max(0, report.start() - 200):][:4000]}"
        finally:
            if self.process and self.is_running():
                process.kill_quietly(self.pid)
                process.end(self.process)
            if self.notify:
                self.notify.close()
                self.notify = None

    def restart(self):
        """Starts once more in the same place, after an end."""
        self.notify.close()
        return self.start()

    def no_zombie(self):
        wait_until(lambda: not process.zombies(self.pid), 3, "every child to be reaped")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, size=3000):
        return self.log()[-size:]

    def logged(self, *texts):
        """The log's lines that hold all these texts."""
        return [line for line in self.log().splitlines() if all(text in line for text in texts)]

    def logged_any(self, *texts):
        """The log's lines that hold one of these texts."""
        return [line for line in self.log().splitlines() if any(text in line for text in texts)]

    def wait_logged(self, *texts, timeout=15):
        return wait_until(lambda: self.logged(*texts), timeout, f"a log line with {texts}")


def write_config(path, config, place):
    """Writes a configuration; a value gets what every test needs: private paths, a log of one JSON
    object a line, the identity that queues use. What is made belongs to the folder's owner."""
    owner = place.stat()
    if not isinstance(config, str):
        config = json.dumps({
            "state_dir": str(place / "state"),
            "control": {"socket": str(place / "control.sock")},
            "log": {"level": "debug", "format": "json"},
            "identities": [IDENTITY],
            **config,
        }, indent=2)
    (place / "state").mkdir(exist_ok=True)
    os.chown(place / "state", owner.st_uid, owner.st_gid)
    temporary = pathlib.Path(str(path) + ".new")
    temporary.touch(mode=0o600)
    os.chown(temporary, owner.st_uid, owner.st_gid)
    temporary.write_text(config)
    temporary.rename(path)


def exec_hook(name, on, command, **settings):
    """An exec hook; settings that belong to exec go there, the rest to the hook."""
    inner = ("timeout", "grace", "parallel", "user", "group", "directory", "umask", "env", "pass_env", "output_limit")
    own = {k: v for k, v in settings.items() if k not in inner}
    how = {k: v for k, v in settings.items() if k in inner}
    return {"name": name, "on": [on] if isinstance(on, str) else on, **own,
            "exec": {"command": [command] if isinstance(command, str) else command, **how}}
