# SPDX-License-Identifier: MIT
"""make install, and what systemd's own tools say of the unit, the drop-in, the user and the directories.
tests/systemd boots a machine with them."""
import os
import pathlib
import shutil
import subprocess

import pytest

from support.daemon import ROOT, environment, program

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")


def call(*argv, **how):
    return subprocess.run([str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, env=environment(), **how)


def make(target, **variables):
    """Installs what has been built for the tests: -o, for nothing may be built meanwhile."""
    result = call("make", "-s", "-o", "all", target, f"BUILD={pathlib.Path(program()).parent}",
                  *(f"{name}={value}" for name, value in variables.items()), cwd=ROOT)
    assert result.returncode == 0, result.stdout


def files(place):
    """{path: mode} of all files but the manuals."""
    return {str(path.relative_to(place)): oct(path.stat().st_mode)[-3:] for path in place.rglob("*")
            if path.is_file() and "/man/" not in str(path)}


def installation(prefix="usr", etc="etc"):
    """What files() finds after an installation."""
    doc = f"{prefix}/share/doc/cvnotifyd"
    examples = [path.name for path in (ROOT / "conf").glob("*.yaml")] + ["hardening.conf"]
    return {f"{prefix}/bin/cvnotifyd": "755", f"{etc}/cvnotifyd/cvnotifyd.yaml": "640",
            f"{prefix}/lib/systemd/system/cvnotifyd.service": "644", f"{prefix}/lib/sysusers.d/cvnotifyd.conf": "644",
            f"{prefix}/lib/tmpfiles.d/cvnotifyd.conf": "644", f"{doc}/README.md": "644", f"{doc}/LICENSE": "644",
            **{f"{doc}/examples/{name}": "644" for name in examples}}


def test_everything_is_installed_in_its_place(place):
    # when it is installed, then each file is there, with its mode
    make("install", DESTDIR=place)
    assert files(place) == installation()
    assert (place / "etc/cvnotifyd/conf.d").is_dir()


def test_another_prefix_is_meant_throughout(place):
    # when it is installed elsewhere
    make("install", DESTDIR=place, PREFIX="/usr/local", SYSCONFDIR="/opt/etc")
    # then the files are there, and name what is there
    assert files(place) == installation("usr/local", "opt/etc")
    unit = (place / "usr/local/lib/systemd/system/cvnotifyd.service").read_text()
    command = "/usr/local/bin/cvnotifyd -c /opt/etc/cvnotifyd/cvnotifyd.yaml"
    assert f"\nExecStart={command}\n" in unit and f"\nExecReload={command} -t\n" in unit
    for path in place.rglob("*"):
        if path.name in ("cvnotifyd.service", "cvnotifyd.conf", "hardening.conf"):
            assert "/usr/bin/" not in path.read_text() and " /etc/cvnotifyd" not in path.read_text(), path
    # and UNITDIR puts the unit where it says
    make("install", DESTDIR=place, UNITDIR="/etc/systemd/system")
    assert (place / "etc/systemd/system/cvnotifyd.service").is_file()


def test_a_configuration_that_is_there_stays(place):
    # given an installation with a configuration of its owner's, closed to others, and an old unit
    make("install", DESTDIR=place)
    config = place / "etc/cvnotifyd/cvnotifyd.yaml"
    unit = place / "usr/lib/systemd/system/cvnotifyd.service"
    config.write_text("queues: []\n")
    config.chmod(0o600)
    config.parent.chmod(0o750)
    unit.write_text("old")
    # when it is installed anew
    make("install", DESTDIR=place)
    # then the unit is new, and the configuration as it was
    assert unit.read_text() == (ROOT / "systemd/cvnotifyd.service").read_text()
    assert config.read_text() == "queues: []\n"
    assert config.stat().st_mode & 0o777 == 0o600 and config.parent.stat().st_mode & 0o777 == 0o750
    # and when it is taken away, the configuration stays
    make("uninstall", DESTDIR=place)
    assert files(place) == {"etc/cvnotifyd/cvnotifyd.yaml": "600"}


@pytest.fixture
def unit(place):
    """The unit, installed with paths that exist."""
    make("install", PREFIX=place, SYSCONFDIR=place / "etc")
    return place / "lib/systemd/system/cvnotifyd.service"


def test_systemd_finds_nothing_wrong_with_the_unit(place, unit):
    # --man=no: the manuals are not installed where man looks
    result = call("systemd-analyze", "verify", "--man=no", unit)
    assert (result.returncode, result.stdout) == (0, "")
    # not with the drop-in either
    harden(place, unit)
    result = call("systemd-analyze", "verify", "--man=no", unit)
    assert (result.returncode, result.stdout) == (0, "")


def test_the_drop_in_leaves_the_service_little_exposed(place, unit):
    # given the unit, which leaves hooks room
    assert security(unit).returncode != 0
    # when the drop-in is put beside it, then its exposure is 1.5 or less of 10
    harden(place, unit)
    result = security(unit)
    assert result.returncode == 0, result.stdout


def test_the_unit_outlasts_stop_timeout(unit):
    # given the times that the program and the unit have by default
    assert "\nstop_timeout: 30s " in (ROOT / "conf/all-options.yaml").read_text()
    assert "      grace: 10s " in (ROOT / "conf/all-options.yaml").read_text()
    # then the manager is the more patient
    (limit,) = [line for line in unit.read_text().splitlines() if line.startswith("TimeoutStopSec=")]
    assert int(limit.partition("=")[2].rstrip("s")) > 30 + 10


@needs_root
def test_the_user_and_the_directories_are_made(place):
    # given an installation in a root of its own
    make("install", DESTDIR=place)
    # when sysusers and tmpfiles have been there
    for tool in ["systemd-sysusers"], ["systemd-tmpfiles", "--create"]:
        result = call(*tool, f"--root={place}", "cvnotifyd.conf")
        assert result.returncode == 0, result.stdout
    # then there is a user who can not log in, and whose group alone reads the configuration
    name, _, uid, gid, _, home, shell = (place / "etc/passwd").read_text().strip().split(":")
    assert (name, home, shell) == ("cvnotifyd", "/var/lib/cvnotifyd", "/usr/sbin/nologin")
    for path, mode in {"": 0o750, "conf.d": 0o750, "cvnotifyd.yaml": 0o640}.items():
        st = (place / "etc/cvnotifyd" / path).stat()
        assert (st.st_mode & 0o777, st.st_uid, str(st.st_gid)) == (mode, 0, gid), path


def harden(place, unit):
    folder = pathlib.Path(f"{unit}.d")
    folder.mkdir()
    shutil.copy(place / "share/doc/cvnotifyd/examples/hardening.conf", folder)


def security(unit):
    return call("systemd-analyze", "security", "--offline=true", "--threshold=15", unit)
