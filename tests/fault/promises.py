# SPDX-License-Identifier: MIT
"""What a series of kills must not bring about, told from the hooks' journal and the ledger at each kill."""
import bisect
import collections

Repeat = collections.namedtuple("Repeat", "mark states")


class Kills:
    """The ledger as each kill left it. `at` is the number of the journal's marks at that moment."""

    def __init__(self):
        self.at, self.open, self.first_done = [], [], {}

    def note(self, at, steps):
        for step, state in steps.items():
            if state == "done":
                self.first_done.setdefault(step, at)
        self.at.append(at)
        self.open.append({step: state for step, state in steps.items() if state != "done"})

    def __len__(self):
        return len(self.at)

    def runs_after_done(self, marks):
        """The runs that began after a kill at which the ledger had their step as done."""
        return [m for at, m in enumerate(marks) if m.what == "begin"
                and at >= self.first_done.get((m.message, m.hook), len(marks))]

    def repeats(self, marks):
        """Each run that was not its step's first, with the step's state at each kill since the run before it."""
        found, last = [], {}
        for at, mark in enumerate(marks):
            if mark.what != "begin":
                continue
            step = (mark.message, mark.hook)
            if step in last:
                kills = range(bisect.bisect_right(self.at, last[step]), bisect.bisect_right(self.at, at))
                found.append(Repeat(mark, [self.open[kill].get(step) for kill in kills]))
            last[step] = at
        return found


def is_explained(repeat):
    """A kill cut the run before it, or its record: `started`, and at later kills perhaps seen as cut."""
    return (repeat.states[:1] == ["started"]
            and all(state in ("started", "interrupted") for state in repeat.states))
