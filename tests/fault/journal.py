# SPDX-License-Identifier: MIT
"""What the hooks themselves say of their runs: hook.c's journal, and the file that the file hook writes."""
import collections
import json
import shutil
import sys
import threading

from sizes import BUILD

Mark = collections.namedtuple("Mark", "what hook message pid status ms iteration attempt")


class Journal:
    """A folder with the hook program, which is its own copy, and the marks that the program leaves. Any thread may
    look."""

    def __init__(self, place):
        self.place = place
        for folder in ("locks", "said"):
            (place / folder).mkdir(parents=True)
        self.program = shutil.copy(BUILD / "fault/hook", place / "hook")
        self._path, self._read, self._marks = place / "journal", 0, []
        self._ended = collections.defaultdict(set)
        self._lock = threading.Lock()

    def command(self, *options):
        return [str(self.program), *map(str, options), str(self.place)]

    def marks(self):
        """All marks so far, in the order they were made."""
        with self._lock:
            if self._path.exists():
                self._read_on()
            return self._marks

    def _read_on(self):
        with open(self._path, encoding="ascii") as lines:
            lines.seek(self._read)
            news = lines.read()
        whole = news[:news.rfind("\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            what, hook, message, pid, status, ms, iteration, attempt = line.split(" ")
            self._marks.append(Mark(what, sys.intern(hook), sys.intern(message), int(pid), int(status), int(ms),
                                    iteration, attempt))
            if what == "end":
                self._ended[hook, int(status)].add(sys.intern(message))

    def begun(self, first=0):
        return [m for m in self.marks()[first:] if m.what == "begin"]

    def ended(self, hook, status=0):
        """The messages whose run of a hook ended so."""
        self.marks()
        with self._lock:
            return set(self._ended[hook, status])

    def open_runs(self, first=0):
        """The runs that began, from one mark on, and have not ended: {pid: mark}."""
        runs = {}
        for mark in self.marks()[first:]:
            if mark.what == "begin":
                runs[mark.pid] = mark
            elif mark.what == "end":
                runs.pop(mark.pid, None)
        return runs

    def overlaps(self):
        return [m for m in self.marks() if m.what == "overlap"]


def lines_of(path):
    """How many lines each message has in a file hook's file. A torn line fails."""
    if not path.exists():
        return collections.Counter()
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"\n"), f"a torn line at the end: {text[-200:]!r}"
    return collections.Counter(json.loads(line)["id"] for line in text.splitlines())


def whole_lines(path):
    """The messages in the whole lines of a file whose writer was killed."""
    if not path.exists():
        return set()
    text = path.read_bytes()
    return {json.loads(line)["id"] for line in text[:text.rfind(b"\n") + 1].splitlines()}
