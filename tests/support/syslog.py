# SPDX-License-Identifier: MIT
"""A real rsyslogd on a private socket, writing what it receives to a file."""
import shutil
import subprocess

from support import process
from support.wait import wait_until

CONF = """\
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{place}/log.sock" UseSpecialParser="on" RateLimit.Interval="0")
template(name="seen" type="string"
         string="%syslogfacility-text%.%syslogseverity-text% tag=%programname% text=%msg%\\n")
*.* action(type="omfile" file="{place}/seen" template="seen")
"""


class Rsyslog:
    def __init__(self, place):
        self.place = place
        self.server = f"unix://{place}/log.sock"
        self.seen = place / "seen"
        self.process = None

    def start(self):
        conf = self.place / "rsyslog.conf"
        conf.write_text(CONF.format(place=self.place))
        program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin:/bin")
        with open(self.place / "rsyslogd.out", "wb") as out:
            self.process = process.start([program, "-n", "-f", conf, "-i", self.place / "rsyslogd.pid"],
                                         stdout=out, stderr=subprocess.STDOUT)
        wait_until((self.place / "log.sock").exists, 10, "rsyslogd's socket")
        return self

    def lines(self):
        return self.seen.read_text(errors="replace").splitlines() if self.seen.exists() else []

    def stop(self):
        if self.process:
            process.end(self.process)
            self.process = None
