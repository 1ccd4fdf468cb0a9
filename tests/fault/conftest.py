# SPDX-License-Identifier: MIT
"""Fixtures of the fault bench: a place, a storage service, daemons to be killed, and the counts that are printed."""
import itertools
import os
import pathlib
import random
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
# Before the sizes are read, and for xdist's workers too.
os.environ.setdefault("FAULT_SEED", str(random.SystemRandom().randrange(10**6)))

from journal import Journal  # noqa: E402
from proxy import Proxy  # noqa: E402
from sizes import BUILD, LONG, SEED  # noqa: E402
from support.azurite import Azurite  # noqa: E402
from support.daemon import program  # noqa: E402
from support.queues import Queue  # noqa: E402
from victim import Victim, adopt_orphans, end_orphans  # noqa: E402

_numbers = itertools.count(1)


def pytest_report_header():
    return f"the {'long' if LONG else 'short'} part; to have its chances again: FAULT_SEED={SEED}"


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)
    if report.failed:
        report.sections.append(("to have its chances again", f"FAULT_SEED={SEED} ({item.name})"))


def pytest_terminal_summary(terminalreporter):
    """What each story counted, passed or failed."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = report.user_properties if getattr(report, "when", "") == "teardown" else ()
            for name, text in told:
                terminalreporter.write_line(f"{report.nodeid.split('::')[-1]}: {name}: {text}")


@pytest.fixture(name="tell")
def fixture_tell(request):
    """Has a count printed at the end, whether the story passes or not."""
    return lambda name, text: request.node.user_properties.append((name, str(text)))


@pytest.fixture(name="place")
def fixture_place(request):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cvn-", dir="/tmp"))
    os.chmod(folder, 0o755)
    yield folder
    failed = any(getattr(getattr(request.node, "report_" + when, None), "failed", False) for when in ("setup", "call"))
    if failed and os.environ.get("CVN_KEEP"):
        print(f"kept for a look: {folder}")
        return
    for log in sorted(folder.glob("**/daemon.log")) if failed else ():
        print(f"the end of {log}:\n" + log.read_text(errors="replace")[-5000:])
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", name="azurite")
def fixture_azurite():
    service = Azurite().start()
    yield service
    service.stop()


@pytest.fixture(name="queue")
def fixture_queue(azurite):
    return Queue(azurite, f"fault{os.getpid()}-{next(_numbers)}")


@pytest.fixture(name="proxy")
def fixture_proxy(azurite, tell):
    between = Proxy(azurite.queue_port, SEED).start()
    yield between
    tell("through the proxy", between.summary())
    between.stop()


@pytest.fixture(name="journal")
def fixture_journal(place):
    return Journal(place / "hooks")


@pytest.fixture(name="victim")
def fixture_victim(place, journal):
    """Starts daemons that may be killed. Those that live at the end must end well; nothing is left behind."""
    adopt_orphans()
    daemons = []

    def start(config, folder="d", wait=True, release=False, **how):
        (place / folder).mkdir(exist_ok=True)
        daemons.append(Victim(place / folder, {"log": {"level": "info", "format": "json"}, **config}, **how))
        if release:
            daemons[-1].program = str(BUILD / "cvnotifyd")
        daemons[-1].start()
        return daemons[-1].wait_ready() if wait else daemons[-1]

    try:
        yield start
        for each in daemons:
            each.finish()
    finally:
        for each in daemons:
            if each.process and each.is_running():
                each.kill()
        end_orphans(journal.program, program(), BUILD / "cvnotifyd")
