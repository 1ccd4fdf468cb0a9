# SPDX-License-Identifier: MIT
"""Folders that only a daemon of ours sees: /opt and /var/opt, where agents of the platform keep their files."""
import pathlib
import subprocess

from support import process

ENTER = "for place; do mount -t tmpfs -o mode=0755 tmpfs \"$place\" || exit; done; echo up; exec sleep infinity"


class PrivateOpt:
    """Needs root. A daemon with `before` finds /opt and /var/opt empty but for what we put at path(...)."""

    PLACES = ("/opt", "/var/opt")

    def __init__(self):
        self._keeper = process.start(["unshare", "--mount", "sh", "-c", ENTER, "sh", *self.PLACES],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        up = self._keeper.stdout.readline()
        assert up == b"up\n", f"no mounts of our own can be made: {self._keeper.stderr.read().decode()}"
        self._root = pathlib.Path(f"/proc/{self._keeper.pid}/root")
        # A mount namespace has a root of its own, which is not ours in a chroot.
        self.before = ["nsenter", f"--mount=/proc/{self._keeper.pid}/ns/mnt", f"--root={self._root}", "--"]

    def path(self, name):
        """What is called so in there, as we can reach it."""
        assert name.startswith(tuple(place + "/" for place in self.PLACES)), name
        return self._root / name.lstrip("/")

    def close(self):
        process.end(self._keeper)
        self._keeper.stdout.close()
        self._keeper.stderr.close()
