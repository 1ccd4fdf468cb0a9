# SPDX-License-Identifier: MIT
"""Power that fails: what was not synced is gone."""
import itertools
import json
import os
import shutil
import subprocess
import sys

import pytest

from feeder import Feeder, Posted
from journal import lines_of, whole_lines
from promises import Kills, is_explained
from rollback import Tree
from sizes import LOSSES, dice
from support.wait import wait_until
from test_kills import PARALLEL, QUEUE, hooks, settle
import ledger
from victim import kill_while_hooks_run


def test_power_fails_at_any_instant(queue, place, victim, journal, tell):
    # given a daemon whose state, its directory too, and whose file lie on a disk that keeps only what was synced
    # (the release build: sanitizers and a preloaded library do not mix)
    (place / "disk/lib").mkdir(parents=True)
    disk, state, lines = Tree(place / "disk", place / "shadow"), place / "disk/lib/state", place / "disk/lines"
    posted, chance = Posted(queue, dice("rollback/messages")), dice("rollback")
    kills, losses, early, lost_lines, unstarted = Kills(), 0, set(), 0, set()
    running = victim({"state_dir": str(state), "queues": [queue.config(**QUEUE)],
                      "hooks": hooks(journal, lines)}, release=True, env=disk.environment())
    # when the power fails again and again
    with Feeder(posted, lambda: len(journal.ended("work")), backlog=120):
        while losses < LOSSES:
            losses += kill_while_hooks_run(running, journal, chance, power=True)
            written = whole_lines(lines)
            disk.lose_power()
            steps, marks = ledger.read(state), journal.marks()
            kills.note(len(marks), steps)
            lost_lines += len(written - whole_lines(lines))
            early |= {message for message in written if steps.get((message, "work")) != "done"}
            unstarted |= {m.message for m in journal.begun() if (m.message, m.hook) not in steps}
            running.start()
    # then every message has had every hook, though it may have been deleted before the power failed
    settle(queue, posted, journal, 60)
    marks, count = journal.marks(), lines_of(lines)
    repeats, late = kills.repeats(marks), kills.runs_after_done(marks)
    unexplained = [repeat for repeat in repeats if not is_explained(repeat)]
    tell("power failures", f"{losses} while programs ran, {len(kills)} in all; {len(posted)} messages, "
         f"{len(journal.begun())} runs, of these {len(repeats)} repeats, {len(unexplained)} of them unexplained, "
         f"{len(late)} after done was recorded; {lost_lines} lines gone and written again; "
         f"{len(early)} lines before the program's end was durable, {len(unstarted)} runs before their start was")
    assert queue.poison().is_empty()
    assert set(count) == posted.ids() and set(count.values()) == {1}
    # and what was recorded was durable when the next thing began
    assert early == set()
    assert unstarted == set()
    assert late == []
    assert unexplained == []
    assert len(repeats) <= len(kills) * PARALLEL


def test_power_fails_while_the_state_is_made(queue, place, victim, journal, tell):
    # given a disk on which no state is yet
    (place / "disk").mkdir()
    disk, state = Tree(place / "disk", place / "shadow"), place / "disk/state"
    config = {"state_dir": str(state), "queues": [queue.config(**QUEUE)], "hooks": hooks(journal, place / "lines")}
    for last in itertools.count(1):
        # when the power fails after one of the syncs of the start, whichever it is
        running = victim(config, folder=f"d{last}", wait=False, release=True,
                         env={**disk.environment(), "SYNCED_LAST": str(last)})
        wait_until(lambda: running.process.poll() is not None or running.notify.count("READY"), 30, "the start or its end")
        if running.is_running():
            break
        disk.lose_power()
        # then the next daemon has nothing to say against what is left
        running.env = disk.environment()
        running.restart().wait_ready()
        assert running.terminate() == 0
        assert {json.loads(line)["level"] for line in running.log().splitlines()} == {"info"}
        # and the one after the next start anew
        shutil.rmtree(state)
        disk.remember()
    tell("power failures at the start", last - 1)
    assert last > 2


# --- the disk itself ---

WRITE = "def write(name, text, flags=0): fd = os.open(name, os.O_WRONLY | os.O_CREAT | flags, 0o644); os.write(fd, text); return fd"
SYNC = "def sync(name='.'): fd = os.open(name, os.O_RDONLY); os.fsync(fd); os.close(fd)"

DEEDS = {
    "nothing is synced": ("write('new', b'text')", {"old": "old"}),
    "a file is, its name is not": ("os.fsync(write('new', b'text'))", {"old": "old"}),
    "a name is, its file is not": ("write('new', b'text'); sync()", {"old": "old", "new": ""}),
    "file and name are": ("os.fsync(write('new', b'text')); sync()", {"old": "old", "new": "text"}),
    "only its content": ("os.fdatasync(write('old', b'new')); write('old', b'NEWER')", {"old": "new"}),
    "what was added later is not": ("fd = write('old', b'new'); os.fsync(fd); os.write(fd, b'er')", {"old": "new"}),
    "cut short": ("fd = write('old', b''); os.ftruncate(fd, 1); os.fsync(fd); os.ftruncate(fd, 0)", {"old": "o"}),
    "written in place": ("fd = write('old', b''); os.pwrite(fd, b'X', 1); os.fsync(fd)", {"old": "oXd"}),
    "renamed, and that is not": ("os.fsync(write('new', b'text')); os.rename('new', 'old')", {"old": "old"}),
    "renamed, and that is": ("os.fsync(write('new', b'text')); os.rename('new', 'old'); sync()", {"old": "text"}),
    "unlinked, and that is not": ("os.unlink('old')", {"old": "old"}),
    "unlinked, and that is": ("os.unlink('old'); sync()", {}),
    "unlinked and made anew": ("os.unlink('old'); os.fsync(write('old', b'anew'))", {"old": "old"}),
    "a directory that is not": ("os.mkdir('sub'); os.fsync(write('sub/new', b'text')); sync('sub')", {"old": "old"}),
    "a directory that is": ("os.mkdir('sub'); os.fsync(write('sub/new', b'text')); sync('sub'); sync()",
                            {"old": "old", "sub/new": "text"}),
    "what is outside": ("os.fsync(write('../outside', b'text'))", {"old": "old"}),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_the_disk_keeps_what_was_synced(place, deed):
    # given a file that is durable
    deeds, left = DEEDS[deed]
    (place / "tree").mkdir()
    (place / "tree/old").write_text("old")
    tree = Tree(place / "tree", place / "shadow")
    # when a program changes it, and the power fails
    subprocess.run([sys.executable, "-S", "-c", f"import os\n{WRITE}\n{SYNC}\n{deeds}"], check=True, cwd=tree.root,
                   env={**os.environ, **tree.environment()})
    tree.lose_power()
    # then what was synced is there, and nothing else
    found = {str(p.relative_to(tree.root)): p.read_text() for p in tree.root.glob("**/*") if p.is_file()}
    assert found == left


def test_the_disk_may_lose_power_again(place):
    # given a tree that was put back once
    (place / "tree").mkdir()
    tree = Tree(place / "tree", place / "shadow")
    for number in (b"1", b"2"):
        # when a file is written anew, durably, and then not
        subprocess.run([sys.executable, "-S", "-c",
                        f"import os\n{WRITE}\n{SYNC}\nfd = write('file', {number!r}); os.fsync(fd); sync(); os.write(fd, b'!')"],
                       check=True, cwd=tree.root, env={**os.environ, **tree.environment()})
        tree.lose_power()
        # then each time the durable part is left
        assert (tree.root / "file").read_bytes() == number
