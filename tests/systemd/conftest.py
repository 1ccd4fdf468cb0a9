# SPDX-License-Identifier: MIT
"""Fixtures of the tests that run inside the machine: its storage service, the service, hooks."""
import itertools
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from service import DROP_INS, LOGS, Service, systemctl  # noqa: E402
from support.azurite import Azurite  # noqa: E402
from support.queues import Queue  # noqa: E402
from support.scripts import Scripts  # noqa: E402
from support.tap import Tap  # noqa: E402

HARDENING = pathlib.Path("/usr/share/doc/cvnotifyd/examples/hardening.conf")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def azurite():
    """The storage service, its data in memory."""
    service = Azurite().start()
    yield service
    service.stop()


@pytest.fixture
def queue(azurite):
    return Queue(azurite, f"events-{next(_numbers)}")


@pytest.fixture
def tap(azurite):
    """Stands between the service and its storage."""
    between = Tap(azurite.queue_port)
    yield between
    between.close()


@pytest.fixture
def scripts():
    """Hook programs that any user may run; they note their runs in the service's log directory."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="hooks-", dir="/srv"))
    place.chmod(0o755)
    made = Scripts(place)
    made.log = LOGS / "runs"
    yield made
    shutil.rmtree(place)


@pytest.fixture
def service(request):
    """The installed service, stopped. What the journal has of it is shown when the test fails."""
    made = Service()
    yield made
    print("the journal:", *(f"{e.get('_COMM', '?')}: {e.get('MESSAGE')}" for e in made.entries()[-60:]), sep="\n")
    made.clean_up()


@pytest.fixture(params=["as-installed", "hardened"])
def either(request, service):
    """The service as installed, and with the hardening drop-in."""
    if request.param == "hardened":
        harden(service)
    return service


def harden(service):
    """As the drop-in itself says."""
    DROP_INS.mkdir(parents=True)
    shutil.copy(HARDENING, DROP_INS)
    systemctl("daemon-reload")
    return service
