# SPDX-License-Identifier: MIT
"""cvnotifyd.service in this machine, as its administrator handles it."""
import json
import os
import pathlib
import shutil
import subprocess

from support.queues import IDENTITY
from support.wait import wait_until

UNIT = "cvnotifyd.service"
CONFIG = pathlib.Path("/etc/cvnotifyd/cvnotifyd.yaml")
DROP_INS = pathlib.Path(f"/etc/systemd/system/{UNIT}.d")
LOGS = pathlib.Path("/var/log/cvnotifyd")


def call(*argv, timeout=100):
    """Runs a program to its end; the result has its output, both streams as one text."""
    return subprocess.run([str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=timeout)


def systemctl(*arguments):
    result = call("systemctl", "--no-pager", *arguments)
    assert result.returncode == 0, f"systemctl {arguments}: status {result.returncode}\n{result.stdout}"
    return result.stdout


class Service:
    def __init__(self):
        self.cursor = json.loads(call("journalctl", "-n", "1", "-o", "json").stdout)["__CURSOR"]

    def configure(self, config):
        """Puts a configuration in place: a value, with the identity that queues use, or a text."""
        if not isinstance(config, str):
            config = json.dumps({"identities": [IDENTITY], **config}, indent=2)
        CONFIG.write_text(config)
        os.chmod(CONFIG, 0o640)
        shutil.chown(CONFIG, "root", "cvnotifyd")

    def drop_in(self, name, *lines):
        """Lines for the unit's [Service], until the test is over."""
        DROP_INS.mkdir(parents=True, exist_ok=True)
        (DROP_INS / f"{name}.conf").write_text("\n".join(["[Service]", *lines, ""]))
        systemctl("daemon-reload")

    def start(self, config=None):
        if config is not None:
            self.configure(config)
        systemctl("start", UNIT)
        return self

    def stop(self):
        systemctl("stop", UNIT)

    def show(self, name):
        return systemctl("show", "--value", "--property", name, UNIT).strip()

    def state(self):
        return self.show("ActiveState")

    def is_active(self):
        return self.state() == "active"

    def pid(self):
        return int(self.show("MainPID"))

    def restarts(self):
        return int(self.show("NRestarts"))

    def wait_restart(self, old_pid, timeout=20):
        """Waits until the service is ready again as another process; returns its id."""
        wait_until(lambda: self.is_active() and self.pid() not in (0, old_pid), timeout, "the service to be restarted")
        return self.pid()

    def entries(self, **fields):
        """The journal's entries since this test began, of the unit or about it, with these fields."""
        out = call("journalctl", "-u", UNIT, "--after-cursor", self.cursor, "-o", "json").stdout
        entries = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return [e for e in entries if all(e.get(name) == value for name, value in fields.items())]

    def logged(self, text):
        return [e for e in self.entries() if text in str(e.get("MESSAGE"))]

    def clean_up(self):
        """As if it had never run: stopped, without drop-ins, its directories empty."""
        call("systemctl", "stop", UNIT)
        shutil.rmtree(DROP_INS, ignore_errors=True)
        systemctl("daemon-reload")
        call("systemctl", "reset-failed", UNIT)
        for directory in LOGS, pathlib.Path("/var/lib/cvnotifyd"):
            shutil.rmtree(directory, ignore_errors=True)
