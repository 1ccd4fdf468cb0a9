# SPDX-License-Identifier: MIT
"""Fixtures: a place, a storage service, queues, scripts, and daemons that must end well."""
import itertools
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from support.azurite import Azurite  # noqa: E402
from support.certificates import Certificates  # noqa: E402
from support.daemon import Daemon  # noqa: E402
from support.elsewhere import Elsewhere  # noqa: E402
from support.fake_queue import FakeService  # noqa: E402
from support.queues import Queue  # noqa: E402
from support.scripts import Scripts  # noqa: E402
from support.syslog import Rsyslog  # noqa: E402
from support.tokens import World  # noqa: E402

_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)


@pytest.fixture
def place(request):
    """A folder of the test's own, with a path short enough for sockets and open to other users."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cvn-", dir="/tmp"))
    os.chmod(folder, 0o755)
    yield folder
    failed = any(getattr(getattr(request.node, "report_" + when, None), "failed", False) for when in ("setup", "call"))
    if failed and os.environ.get("CVN_KEEP"):
        print(f"kept for a look: {folder}")
    else:
        if failed and (folder / "daemon.log").exists():
            print("the end of the daemon's log:\n" + (folder / "daemon.log").read_text(errors="replace")[-6000:])
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def azurite():
    """One storage service for the session, its data in memory."""
    service = Azurite().start()
    yield service
    service.stop()


@pytest.fixture
def new_queue(azurite):
    """Makes queues that no other test knows."""
    return lambda: Queue(azurite, f"q{os.getpid()}-{next(_numbers)}")


@pytest.fixture
def queue(new_queue):
    return new_queue()


@pytest.fixture
def fake():
    """A strict queue service that can answer badly. It must never be asked for what it has to refuse."""
    service = FakeService()
    yield service
    service.close()
    assert not service.violations


@pytest.fixture(scope="session")
def certificates():
    """An authority for the session, and its certificate for 127.0.0.1. Every user can read them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cvn-tls-", dir="/tmp"))
    os.chmod(folder, 0o755)
    yield Certificates(folder / "certificates")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def oauth_azurite(certificates):
    """A storage service that takes tokens, over HTTPS."""
    service = Azurite(certificates=certificates, oauth=True).start()
    yield service
    service.stop()


@pytest.fixture
def safe_fake(certificates):
    """The strict queue service, over HTTPS."""
    service = FakeService(certificates)
    yield service
    service.close()
    assert not service.violations


@pytest.fixture
def scripts(place):
    return Scripts(place)


@pytest.fixture
def daemon(place):
    """Starts daemons. At the test's end each gets TERM and must end with status 0, no sanitizer's
    report, no zombie."""
    daemons = []

    def start(config, wait=True, **how):
        folder = place if not daemons else place / f"d{len(daemons)}"
        folder.mkdir(exist_ok=True)
        daemons.append(Daemon(folder, config, **how).start())
        return daemons[-1].wait_ready() if wait else daemons[-1]

    yield start
    for each in daemons:
        each.finish()


@pytest.fixture
def new_safe_queue(oauth_azurite):
    """Makes queues over HTTPS that take tokens."""
    return lambda: Queue(oauth_azurite, f"q{os.getpid()}-{next(_numbers)}")


@pytest.fixture
def safe_queue(new_safe_queue):
    return new_safe_queue()


@pytest.fixture
def world(place, certificates, daemon):
    """Issuers of tokens, and daemons that use them. No issuer must be asked for what it has to refuse, and no secret be
    told."""
    made = World(place, certificates, daemon)
    yield made
    made.close()


@pytest.fixture
def elsewhere(certificates):
    """A place where nobody has any business, with and without TLS."""
    place = Elsewhere(certificates)
    yield place
    place.close()


@pytest.fixture
def rsyslog(place):
    server = Rsyslog(place).start()
    yield server
    server.stop()
