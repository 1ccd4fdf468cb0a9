# SPDX-License-Identifier: MIT
"""A network of the test's own: a loopback with two more addresses, a hosts file, and no way out."""
import ctypes
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

from support import process

CLONE_NEWNET = 0x40000000
LOOPBACK = "127.0.0.1 localhost\n"
RESOLVER = "nameserver 127.0.0.1\noptions timeout:{} attempts:1\n"
ENTER = """
ip link set lo up && ip address add "$1/32" dev lo && ip address add "$2/32" dev lo &&
mount --bind "$3" /etc/hosts && mount --bind "$4" /etc/resolv.conf && mount --bind "$5" /etc/ssl/certs &&
echo up && exec sleep infinity
"""


class PrivateNetwork:
    """Needs root. A daemon with `before` runs in it; `listen` makes sockets in it for this process, which stays
    outside. Names are asked of 127.0.0.1 in it, where only what a test puts there listens."""

    ADDRESS = "10.9.8.7"  # for who must be neither loopback nor link-local
    LINK_LOCAL = "169.254.7.7"

    def __init__(self, place):
        place.mkdir()
        self._hosts, self._resolver, self._trusted = place / "hosts", place / "resolv.conf", place / "certs"
        self._trusted.mkdir()
        self._hosts.write_text(LOOPBACK)
        self._resolver.write_text(RESOLVER.format(8))
        self._keeper = process.start(
            ["unshare", "--net", "--mount", "sh", "-c", ENTER, "sh",
             self.ADDRESS, self.LINK_LOCAL, self._hosts, self._resolver, self._trusted],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        up = self._keeper.stdout.readline()
        assert up == b"up\n", f"no network of our own can be made: {self._keeper.stderr.read().decode()}"
        keeper = f"/proc/{self._keeper.pid}"
        namespaces = f"{keeper}/ns"
        # A mount namespace has a root of its own, which is not ours in a chroot.
        self.before = ["nsenter", f"--net={namespaces}/net", f"--mount={namespaces}/mnt", f"--root={keeper}/root", "--"]
        self._namespace = os.open(f"{namespaces}/net", os.O_RDONLY)

    def run(self, *command):
        """The output of a command run in it."""
        return subprocess.run([*self.before, *command], check=True, capture_output=True, text=True).stdout

    def know(self, *names):
        """These names, and no others, resolve to ADDRESS from now on."""
        self._hosts.write_text(LOOPBACK + "".join(f"{self.ADDRESS} {name}\n" for name in names))

    def trust(self, certificates):
        """The system in it trusts this authority, by its file and by its folder."""
        text = certificates.ca.read_text()
        (self._trusted / "ca-certificates.crt").write_text(text)
        (self._trusted / "own.pem").write_text(text)
        subprocess.run(["openssl", "rehash", self._trusted], check=True, capture_output=True)

    def listen(self, port=0, address=ADDRESS):
        """A TCP listener in it."""
        return self._inside(lambda: socket.create_server((address, port)))

    def connect(self, address):
        """A connection from inside."""
        return self._inside(lambda: socket.create_connection(address, timeout=5))

    def silence_names(self, patience_s=8):
        """No name is known, and who asks the name server gets no answer, for which he waits so long."""
        def make():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("127.0.0.1", 53))
            return server
        self._resolver.write_text(RESOLVER.format(patience_s))
        self._name_server = self._inside(make)
        self._hosts.write_text(LOOPBACK)

    def _inside(self, make):
        """Runs make() on a thread that has gone in: a socket stays where it was made."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter():
            if libc.setns(self._namespace, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            return make()
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(enter).result()

    def close(self):
        os.close(self._namespace)
        process.end(self._keeper)
        self._keeper.stdout.close()
        self._keeper.stderr.close()
