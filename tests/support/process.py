# SPDX-License-Identifier: MIT
"""Processes: started so that they can not outlive the tests, ended by their id, looked at in /proc."""
import os
import pathlib
import signal
import socket
import subprocess


def start(argv, **how):
    """Starts a program that gets TERM should this process die first. The id is the program's own:
    setpriv replaces itself."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *map(str, argv)],
                            stdin=subprocess.DEVNULL, **how)


def end(process, timeout=10):
    """TERM, and KILL when that does not help. Returns the exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


_held = []


def hold_port(host="127.0.0.1"):
    """A TCP port that nobody listens on, and nobody else is given for as long as this process lives: who names it,
    and sets SO_REUSEADDR as servers do, may listen there."""
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    _held.append(holder)
    return holder.getsockname()[1]


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on."""
    return [hold_port() for _ in range(count)]


def _stat(pid):
    """The fields of /proc/PID/stat after the command's name: state, parent, group, ..."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid):
    """{pid: state} of a process's children."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(entry)
            if stat and int(stat[1]) == pid:
                found[int(entry)] = stat[0]
    return found


def zombies(pid):
    return [child for child, state in children(pid).items() if state == "Z"]


def is_alive(pid):
    """Whether a process runs; a zombie does not."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def program(pid):
    """The path of the program that a process runs; None when it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except FileNotFoundError:
        return None


def open_files(pid):
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def kill_quietly(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass
