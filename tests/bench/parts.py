# SPDX-License-Identifier: MIT
"""What the bench is made of: the queue server on one core, a program to measure on the other."""
import base64
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

SAS = "sv=2021-12-02&ss=q&srt=sco&sp=raup&se=2099-01-01T00%3A00%3A00Z&spr=https,http&sig=bm90IGEgc2lnbmF0dXJl"
CORES = sorted(os.sched_getaffinity(0))
CLIENT_CORE, SERVER_CORE = str(CORES[0]), str(CORES[-1])


def wait_until(condition, what, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


class Disturbance:
    """How much of the cores went to others than this process and the children it has waited for."""

    def __init__(self):
        self._start = self._now()

    @staticmethod
    def _now():
        fields = pathlib.Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
        user, nice, system, _, _, irq, softirq, steal = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields)
        own = sum(usage.ru_utime + usage.ru_stime for usage in map(
            resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
        return time.monotonic(), user + nice + system + irq + softirq + steal - own

    def share(self):
        """Of all the cores' time since it was made."""
        (started, before), (now, after) = self._start, self._now()
        return max(0, after - before) / (now - started) / os.cpu_count()

    @classmethod
    def wait_quiet(cls, share, until):
        """Waits, not beyond `until`, for others to use no more than this."""
        while time.monotonic() < until:
            others = cls()
            time.sleep(0.3)
            if others.share() <= share:
                return


class Place:
    """The programs under measure, and a folder for what they write."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        out = self.build.parent / "bench"
        out.mkdir(parents=True, exist_ok=True)
        self.results = out / "bench.json"
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=out))

    def program(self, name):
        return str(self.build / name if name == "cvnotifyd" else self.build / "bench" / name)

    def done(self):
        shutil.rmtree(self.scratch, ignore_errors=True)


class Program:
    """A running program, pinned. `cpu` is known when it has ended: its own and that of the children
    it waited for, in seconds."""

    def __init__(self, place, argv, core=CLIENT_CORE):
        self._exec_file = place.scratch / f"exec-{time.monotonic_ns()}"
        self._log = tempfile.TemporaryFile(dir=place.scratch)
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1",
                       **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}
        self.process = subprocess.Popen([place.program("launch"), core, str(self._exec_file), *map(str, argv)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log,
                                        env=environment, cwd="/")
        self.pid = self.process.pid
        self.cpu = None
        self._lines = b""

    @property
    def exec_time(self):
        return float(self._exec_file.read_text())

    def line(self, word, timeout=120):
        """The rest of the next line of its output that begins with this word."""
        deadline = time.monotonic() + timeout
        while True:
            while b"\n" in self._lines:
                line, _, self._lines = self._lines.partition(b"\n")
                if line.startswith(word.encode() + b" "):
                    return line.decode().partition(" ")[2]
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not more:
                raise RuntimeError(f"no '{word}' from {self.process.args[3]} within {timeout} s:\n{self.log()}")
            self._lines += more

    def _tasks(self, file):
        """This file of each of its threads."""
        return [task.joinpath(file).read_text() for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()]

    def cpu_now(self):
        """Seconds that its threads have used; not its children's."""
        return sum(int(text.split()[0]) for text in self._tasks("schedstat")) / 1e9

    def wake_ups(self):
        """How often its threads have waited and been woken."""
        return sum(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M)[1]) for text in self._tasks("status"))

    def wait_idle(self, seconds=0.3):
        """Waits until it has not woken up for so long."""
        seen, since = self.wake_ups(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.02)
            now = self.wake_ups()
            if now != seen:
                seen, since = now, time.monotonic()

    def memory(self):
        """Resident and private, in MB."""
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        size = {name: int(kb) / 1024 for name, kb in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
        return {"rss": size["Rss"], "private": size["Private_Clean"] + size["Private_Dirty"]}

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def log(self):
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    def wait(self):
        """Waits for its end, which must be a good one."""
        if self.cpu is None:
            _, status, usage = os.wait4(self.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.process.stdout.close()
            self.cpu = usage.ru_utime + usage.ru_stime
            if self.process.returncode not in (0, -signal.SIGTERM):
                raise RuntimeError(f"{self.process.args[3]} ended with {self.process.returncode}:\n{self.log()}")
        return self

    def stop(self):
        if self.cpu is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def end(self):
        """On the way out of a failure: TERM, so that a daemon ends its hooks, and KILL when that does not help."""
        if self.cpu is None:
            self.cpu = 0
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if failure[0]:
            self.end()
        else:
            self.stop()


class Server(Program):
    def __init__(self, place, messages, delay_ms=0):
        super().__init__(place, [place.program("queue_server"), "-n", messages, "-d", delay_ms], core=SERVER_CORE)
        self.port = int(self.line("port"))
        self.url = f"http://127.0.0.1:{self.port}/account/events"

    def stats(self, path="stats"):
        """What it counted; /reset and /more answer with it too."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=60) as answer:
            return json.load(answer)

    def wait_counts(self, **least):
        """Waits until it has counted as many."""
        wait_until(lambda: all(self.stats()[name] >= count for name, count in least.items()), f"{least}")

    def put(self, number):
        """Puts a message; returns when it became visible."""
        identifier = f"{number:08x}-1111-4222-8333-{number:012x}"
        text = json.dumps({"version": "1.0", "type": "Training", "Content": {
            "projectId": identifier, "iterationId": identifier, "trainingStatus": "TrainingCompleted"}})
        body = f"<QueueMessage><MessageText>{base64.b64encode(text.encode()).decode()}</MessageText></QueueMessage>"
        request = urllib.request.Request(f"{self.url}/messages?{SAS}", body.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return float(answer.headers["x-bench-time"])


class Daemon(Program):
    """cvnotifyd, with hooks and with settings of its queue. A stop does not wait for hooks."""

    def __init__(self, place, server, hooks, core=CLIENT_CORE, **queue):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="d", dir=place.scratch))
        config = folder / "cvnotifyd.yaml"
        (folder / "state").mkdir()
        config.touch(mode=0o600)
        config.write_text(json.dumps({
            "state_dir": str(folder / "state"), "stop_timeout": "100ms", "control": {"socket": str(folder / "control.sock")},
            "log": {"level": "warning", "format": "text"}, "identities": [{"name": "token", "kind": "sas", "sas": SAS}],
            "queues": [{"name": "events", "url": server.url, "identity": "token", **queue}], "hooks": hooks}))
        super().__init__(place, [place.program("cvnotifyd"), "-c", config], core)
