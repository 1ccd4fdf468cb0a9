# SPDX-License-Identifier: MIT
"""A real rsyslogd, writing what it receives to a file: on a private socket, or as a server on the loopback."""
import json
import shutil
import signal
import socket
import subprocess

from support import process
from support.scripts import whole_lines
from support.wait import wait_until

LOCAL = """\
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{place}/log.sock" UseSpecialParser="on" RateLimit.Interval="0")
template(name="seen" type="string"
         string="%syslogfacility-text%.%syslogseverity-text% tag=%programname% text=%msg%\\n")
*.* action(type="omfile" file="{place}/seen" template="seen")
"""

# The main queue is off: a line that was read is written before the next one is.
SERVER = """\
module(load="imudp")
module(load="imtcp")
main_queue(queue.type="Direct")
input(type="imudp" address="{host}" port="{port}")
input(type="imtcp" address="{host}" port="{port}")
template(name="seen" type="list" option.jsonf="on") {{
    property(outname="facility" name="syslogfacility-text" format="jsonf")
    property(outname="severity" name="syslogseverity-text" format="jsonf")
    property(outname="version" name="protocol-version" format="jsonf")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="ident" name="app-name" format="jsonf")
    property(outname="pid" name="procid" format="jsonf")
    property(outname="id" name="msgid" format="jsonf")
    property(outname="data" name="structured-data" format="jsonf")
    property(outname="text" name="msg" format="jsonf")
    property(outname="raw" name="rawmsg" format="jsonf")
}}
if $inputname == "imudp" or $inputname == "imtcp" then action(type="omfile" file="{place}/seen" template="seen")
"""


class Rsyslog:
    """On a private socket."""

    def __init__(self, place):
        self.place = place
        self.server = f"unix://{place}/log.sock"
        self.seen = place / "seen"
        self.out = place / "rsyslogd.out"
        self.process = None

    def _conf(self):
        return LOCAL.format(place=self.place)

    def _is_there(self):
        return (self.place / "log.sock").exists()

    def start(self):
        conf = self.place / "rsyslog.conf"
        conf.write_text(self._conf())
        (self.place / "rsyslogd.pid").unlink(missing_ok=True)  # one that was killed leaves it
        program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin:/bin")
        with open(self.out, "ab") as out:
            self.process = process.start([program, "-n", "-f", conf, "-i", self.place / "rsyslogd.pid"],
                                         stdout=out, stderr=subprocess.STDOUT)
        wait_until(self._is_there, 10, "rsyslogd to listen")
        return self

    def lines(self):
        return whole_lines(self.seen.read_text(errors="replace")) if self.seen.exists() else []

    def stop(self):
        if self.process:
            process.end(self.process)
            self.process = None


class RsyslogServer(Rsyslog):
    """On a port of the loopback, UDP and TCP; its lines are documents."""

    def __init__(self, place, host="127.0.0.1"):
        super().__init__(place)
        place.mkdir(exist_ok=True)
        self.host = host
        self.port = free_port(host)
        self.udp, self.tcp = (f"{scheme}://{bracketed(host)}:{self.port}" for scheme in ("udp", "tcp"))

    def _conf(self):
        return SERVER.format(place=self.place, host=self.host, port=self.port)

    def _is_there(self):
        with socket.socket(family(self.host)) as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def documents(self):
        return [json.loads(line) for line in self.lines()]

    def texts(self):
        return [document["text"] for document in self.documents()]

    def kill(self):
        """As a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def bracketed(host):
    return f"[{host}]" if ":" in host else host


def free_port(host):
    """A port that nobody has, neither TCP nor UDP."""
    while True:
        port = process.hold_port(host)
        with socket.socket(family(host), socket.SOCK_DGRAM) as udp:
            try:
                udp.bind((host, port))
                return port
            except OSError:
                continue
