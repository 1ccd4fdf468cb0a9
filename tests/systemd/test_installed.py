# SPDX-License-Identifier: MIT
"""What an installation is made of: the user, directories, and the unit as the manager reads it."""
import grp
import pathlib
import pwd
import stat

from conftest import harden
from service import CONFIG, UNIT, call, systemctl
from support.daemon import exec_hook


def mode(path):
    """As ls shows it: "drwxr-x--- root cvnotifyd"."""
    st = pathlib.Path(path).stat()
    return f"{stat.filemode(st.st_mode)} {pwd.getpwuid(st.st_uid)[0]} {grp.getgrgid(st.st_gid)[0]}"


def test_the_user_and_the_group_are_made_and_can_not_log_in():
    user = pwd.getpwnam("cvnotifyd")
    assert grp.getgrgid(user.pw_gid)[0] == "cvnotifyd"
    assert user.pw_uid < 1000 and user.pw_dir == "/var/lib/cvnotifyd" and user.pw_shell.endswith("nologin")


def test_only_the_daemon_looks_into_the_configuration():
    # given a configuration that everybody may read
    CONFIG.chmod(0o644)
    CONFIG.parent.chmod(0o755)
    # when tmpfiles has run, as at each boot
    result = call("systemd-tmpfiles", "--create", "cvnotifyd.conf")
    # then it is closed again
    assert result.returncode == 0, result.stdout
    assert mode(CONFIG.parent) == mode(CONFIG.parent / "conf.d") == "drwxr-x--- root cvnotifyd"
    assert mode(CONFIG) == "-rw-r----- root cvnotifyd"


def test_a_start_makes_the_directories(service, queue):
    service.start({"queues": [queue.config()], "hooks": [exec_hook("none", "*", "/bin/true")]})
    assert mode("/var/lib/cvnotifyd") == mode("/var/log/cvnotifyd") == "drwxr-x--- cvnotifyd cvnotifyd"
    assert mode("/run/cvnotifyd") == "drwxr-xr-x cvnotifyd cvnotifyd"


def test_the_manager_reads_the_unit_as_it_is_meant(service, queue):
    service.start({"queues": [queue.config()], "hooks": [exec_hook("none", "*", "/bin/true")]})
    wanted = {"Type": "notify", "NotifyAccess": "main", "KillMode": "mixed", "OOMPolicy": "continue",
              "Restart": "on-failure", "RestartUSec": "5s", "StartLimitIntervalUSec": "0",
              "RestartPreventExitStatus": "64 78", "LimitCORE": "0", "User": "cvnotifyd", "Group": "cvnotifyd",
              "StateDirectory": "cvnotifyd", "LogsDirectory": "cvnotifyd", "RuntimeDirectory": "cvnotifyd",
              "WatchdogUSec": "30s", "TimeoutStopUSec": "1min 30s", "MemoryDenyWriteExecute": "no",
              "NoNewPrivileges": "no"}
    assert {name: service.show(name) for name in wanted} == wanted
    assert call("systemd-analyze", "verify", "--man=no", UNIT).stdout == ""


def test_the_hardened_service_is_little_exposed(service, capsys):
    # given the unit as it is, and with the drop-in
    before = exposure()
    harden(service)
    # when the manager is asked how exposed it is
    after = exposure()
    # then the drop-in makes the difference
    with capsys.disabled():
        print(f"\n  exposure as installed: {before}, hardened: {after}")
    assert float(after.split()[0]) <= 1.5


def exposure():
    systemctl("daemon-reload")
    lines = call("systemd-analyze", "security", "--no-pager", UNIT).stdout.splitlines()
    return lines[-1].partition(f"{UNIT}: ")[2]
