# SPDX-License-Identifier: MIT
"""Hook programs that the tests write, and what they leave behind."""
import collections
import os

# One line a run, written at its start and its end: a short append is atomic, whoever else writes.
RECORD = '''#!/bin/sh
# Notes that it ran, then does what the test wants.
note() { echo "$1 $(date +%s.%N) $CVN_HOOK $CVN_MESSAGE_ID ${CVN_EVENT:-} $CVN_ATTEMPT" >> '@RUNS@'; }
run=$(grep -c "^start .* $CVN_HOOK $CVN_MESSAGE_ID " '@RUNS@' 2>/dev/null)
run=$((${run:-0} + 1))
note start
'''

Run = collections.namedtuple("Run", "mark time hook message event attempt")


def whole_lines(text):
    """The lines of a file that somebody else is writing: its last one may be on its way."""
    return text[:text.rfind("\n") + 1].splitlines()


class Scripts:
    """Writes executable scripts into a folder of their own; they note their runs in one file there."""

    def __init__(self, place):
        self.place = place / "scripts"
        self.place.mkdir()
        self.log = self.place / "runs"

    def write(self, name, body):
        """A program of our own wording."""
        path = self.place / name
        temporary = self.place / (name + ".new")
        temporary.write_text(body if body.startswith("#!") else "#!/bin/sh\n" + body)
        os.chmod(temporary, 0o755)
        temporary.rename(path)
        return str(path)

    def recording(self, name, then=":"):
        """A program that notes its start, does what `then` says ($run is 1 on a message's first run
        under this hook), and notes its end unless that exits."""
        return self.write(name, RECORD.replace("@RUNS@", str(self.log)) + then + "\nnote end\n")

    def runs(self, hook=None, message=None, mark="start"):
        """The runs so far, in the order they were noted."""
        if not self.log.exists():
            return []
        rows = [Run(*line.split(" ")) for line in whole_lines(self.log.read_text())]
        return [r._replace(time=float(r.time)) for r in rows if r.mark == mark
                and (hook is None or r.hook == hook) and (message is None or r.message == message)]

    def most_at_once(self, select=lambda run: True):
        """The largest number of runs that were under way together."""
        marks = [r for mark in ("start", "end") for r in self.runs(mark=mark) if select(r)]
        now = most = 0
        for r in sorted(marks, key=lambda r: (r.time, r.mark == "start")):
            now += 1 if r.mark == "start" else -1
            most = max(most, now)
        return most
