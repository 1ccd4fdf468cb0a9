# SPDX-License-Identifier: MIT
"""Disks of a test's own, seen by this process and its children alone. Needs root."""
import ctypes
import errno
import os
import subprocess

CLONE_NEWNS = 0x00020000


def hide_mounts():
    """From now on mounts of this thread and of what it starts are nobody else's, and end with the last of them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) < 0:
        raise OSError(ctypes.get_errno(), "no mounts of our own: this needs root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class Disk:
    """A small file system at a path."""

    def __init__(self, path):
        self.path = path
        path.mkdir()

    def mount(self, *options):
        subprocess.run(["mount", *options, str(self.path)], check=True)
        return self

    def unmount(self):
        if self.path.is_mount():
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def fill(self):
        """Takes all the room there is, to the last byte."""
        with open(self.path / "filler", "ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def empty(self):
        os.unlink(self.path / "filler")


def memory(path, size="8M", *options):
    """A disk in memory."""
    return Disk(path).mount("-t", "tmpfs", "-o", ",".join([f"size={size}", "mode=0755", *options]), "tmpfs")


class Failing(Disk):
    """An ext4 that can do what a kernel does to one whose disk fails: let nobody write any more."""

    def __init__(self, path, image):
        super().__init__(path)
        with open(image, "wb") as file:
            file.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        self._image = str(image)
        self.mount("-o", "loop", self._image)

    def fail(self):
        subprocess.run(["mount", "-o", "remount,abort", str(self.path)], check=True)

    def repair(self):
        self.unmount()
        subprocess.run(["fsck.ext4", "-p", self._image], check=False, capture_output=True)
        self.mount("-o", "loop", self._image)
