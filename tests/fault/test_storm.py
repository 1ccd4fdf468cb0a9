# SPDX-License-Identifier: MIT
"""All at once: bad weather, reloads, stops, kills, a full disk, every kind of message and of hook's end."""
import pathlib
import re

import pytest

from disk import hide_mounts, memory
from sizes import STORM_MESSAGES, STORM_SECONDS, dice
from storm import Storm
from support import process
from victim import end_orphans
from weather import Weather

MOST_FILES = 80      # connections and all
MOST_KB = 600 * 1024  # a sanitizer keeps what was freed for long


@pytest.fixture(scope="module", autouse=True, name="own_mounts")
def fixture_own_mounts():
    hide_mounts()


@pytest.fixture(name="disk")
def fixture_disk(place):
    small = memory(place / "disk", "6M")
    (small.path / "state").mkdir()
    yield small
    small.unmount()


@pytest.fixture(name="weather")
def fixture_weather():
    service = Weather(dice("storm/weather"))
    yield service
    service.close()


@pytest.fixture(name="storm")
def fixture_storm(disk, weather, place, journal, victim):
    made = Storm(weather, place, journal, disk, victim, dice("storm"))
    yield made
    if made.full:
        disk.empty()
    end_orphans(made.extra_program)


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def test_a_storm(storm, tell):
    # given messages of all kinds that keep coming
    # when everything happens to the daemon and around it
    storm.rage(STORM_MESSAGES, STORM_SECONDS)
    # then in good weather it does what is left, polls on, and has not grown
    storm.drain()
    tell("storm", f"{len(storm.posted)} messages, {len(storm.journal.begun())} runs, {dict(storm.counts)}, "
                  f"faults met: {dict(storm.weather.met)}")
    assert process.open_files(storm.daemon.pid) <= MOST_FILES
    assert resident_kb(storm.daemon.pid) <= MOST_KB
    storm.finish()
    # and each message came to the end that it had to come to, with every run on record and none too many
    storm.must_be_right()
