# SPDX-License-Identifier: MIT
"""What befalls state_dir: a full disk, one that fails, a ledger that is deleted or overwritten."""
import collections

import pytest

from disk import Failing, hide_mounts, memory
from feeder import Posted
from journal import lines_of
from sizes import DISK_MESSAGES, dice
import ledger
from support.bad_day import said
from support.daemon import exec_hook
from support.wait import stays_true, wait_until

BROKEN, WORKS = "ledger can not be written", "ledger can be written again"


@pytest.fixture(scope="module", autouse=True, name="own_mounts")
def fixture_own_mounts():
    hide_mounts()


@pytest.fixture(name="disk")
def fixture_disk(place):
    """What `make` mounts is unmounted when the daemons are gone: ask for it before `victim`."""
    made = []

    def mount(make, *how):
        made.append(make(place / "disk", *how))
        (made[0].path / "state").mkdir(exist_ok=True)
        return made[0]

    yield mount
    for each in made:
        each.unmount()


class Story:
    """Messages that flow while something befalls the state_dir, which is on a disk of its own."""

    def __init__(self, queue, place, victim, journal):
        self.queue, self.lines, self.journal, self.victim = queue, place / "lines", journal, victim
        self.posted = Posted(queue, dice("disk/messages"))
        self.state, self.running = place / "disk/state", None

    def start(self, wait=True):
        settings = {"lease": "2s", "poll_min": "20ms", "poll_max": "200ms"}
        self.running = self.victim({"state_dir": str(self.state), "queues": [self.queue.config(**settings)], "hooks": [
            exec_hook("work", "*", self.journal.command("-t", 20), parallel=4),
            {"name": "write", "on": ["*"], "file": {"path": str(self.lines)}}]}, wait=wait)

    def post(self):
        self.posted.post(max(DISK_MESSAGES // 3, 4))

    def wait_done(self, timeout=90):
        wait_until(lambda: self.posted.ids() <= self.journal.ended("work"), timeout, "every message's run", 0.1)
        wait_until(self.queue.is_empty, timeout, "the queue to be empty", 0.1)
        assert set(lines_of(self.lines)) == self.posted.ids()
        assert self.queue.poison().is_empty()

    def again(self):
        """How many runs there were of what had been done."""
        runs = collections.Counter(m.message for m in self.journal.begun())
        return sum(runs.values()) - len(runs)

    def wait_said(self, *texts, timeout=30):
        """A line that a person sees."""
        return wait_until(lambda: said(self.running, *texts), timeout, f"a line with {texts}")

    def nothing_begins(self):
        """While nothing can be put on record no run may begin."""
        begun = len(self.journal.begun())
        stays_true(lambda: len(self.journal.begun()) == begun and self.running.is_running(), 1, "no run begins")


@pytest.fixture(name="story")
def fixture_story(queue, place, victim, journal):
    return Story(queue, place, victim, journal)


def test_a_full_disk(disk, story, tell):
    # given a small disk, and messages that flow
    small = disk(memory)
    story.start()
    story.post()
    story.wait_done()
    for times in (1, 2):
        # when the disk fills while more of them come
        small.fill()
        story.post()
        # then the daemon says so, and begins nothing that it could not put on record
        wait_until(lambda: len(said(story.running, BROKEN)) >= times, 30, "words about the full disk")
        story.nothing_begins()
        # and when there is room again, it goes on by itself
        small.empty()
        wait_until(lambda: len(said(story.running, WORKS)) >= times, 90, "words that it goes on")
        story.wait_done()
    # and nothing was lost or run twice
    words = len(said(story.running, BROKEN))
    tell("full disk", f"{len(story.posted)} messages, {story.again()} run again, {words} lines of the log")
    assert story.again() == 0
    assert words <= 6


def test_a_disk_that_fails(disk, story, place, tell):
    # given a disk that the kernel stops writing to while messages flow
    failing = disk(Failing, place / "image")
    story.start()
    story.post()
    story.wait_done()
    failing.fail()
    story.post()
    # then the daemon says so, lives on, and begins nothing
    story.wait_said(BROKEN)
    story.nothing_begins()
    # and when it is started on the repaired disk, all is done, and once
    story.running.kill()
    failing.repair()
    story.running.start()
    story.wait_done()
    tell("failing disk", f"{len(story.posted)} messages, {story.again()} run again")
    assert story.again() == 0


def test_a_state_dir_that_can_not_be_written_at_the_start(disk, story, tell):
    # given messages, and a state_dir that is read-only
    readonly = disk(memory)
    readonly.mount("-o", "remount,ro")
    story.post()
    # when the daemon starts
    story.start(wait=False)
    # then it says what is wrong, lives on, and begins nothing
    story.wait_said(BROKEN)
    story.nothing_begins()
    # and when it can be written, it goes on by itself
    readonly.mount("-o", "remount,rw")
    story.wait_done()
    assert said(story.running, WORKS)
    tell("read-only at the start", f"{len(story.posted)} messages, {story.again()} run again")
    assert story.again() == 0


def test_a_ledger_that_is_deleted_in_use(disk, story, tell):
    # given messages that flow
    disk(memory)
    story.start()
    story.post()
    story.wait_done()
    # when somebody deletes the ledger
    files = list(story.state.glob("ledger.db*"))
    assert files
    for file in files:
        file.unlink()
    story.post()
    story.wait_done()
    # then it is written anew, and the log says so
    story.wait_said("ledger", "written anew")
    # and what is done from then on is on record, also when the daemon is killed
    news = story.posted.ids()
    story.post()
    news = story.posted.ids() - news
    story.wait_done()
    story.running.kill()
    steps = ledger.read(story.state)
    assert {steps.get((message, "work")) for message in news} == {"done"}
    tell("deleted ledger", f"{len(story.posted)} messages, {story.again()} run again")
    assert story.again() == 0


def test_a_ledger_that_is_garbage_at_the_start(disk, story, tell):
    # given a ledger with something else in it
    disk(memory)
    story.start()
    story.post()
    story.wait_done()
    story.running.terminate()
    for file in story.state.glob("ledger.db*"):
        file.unlink()
    garbage = dice("garbage").randbytes(30000)
    (story.state / "ledger.db").write_bytes(garbage)
    # when the daemon starts
    story.running.restart().wait_ready()
    story.post()
    # then it says that it begins a new one, keeps the old one aside, and goes on
    story.wait_done()
    story.wait_said("ledger is damaged")
    assert garbage in [file.read_bytes() for file in story.state.iterdir() if file.is_file()]
    tell("garbage at the start", f"{len(story.posted)} messages, {story.again()} run again")


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal"])
def test_a_ledger_that_is_overwritten_in_use(disk, story, tell, name):
    # given messages that flow
    disk(memory)
    story.start()
    story.post()
    story.wait_done()
    # when somebody writes over it
    chance = dice("garbage")
    path = story.state / name
    assert path.exists(), f"there is no {name} while the daemon runs"
    with open(path, "r+b") as file:
        file.write(chance.randbytes(max(path.stat().st_size, 8192)))
    story.post()
    # then nothing is lost: not now, and not after a kill
    story.wait_done()
    story.running.kill()
    story.post()
    story.running.start().wait_ready()
    story.wait_done()
    tell(f"{name} overwritten", f"{len(story.posted)} messages, {story.again()} run again")
