# SPDX-License-Identifier: MIT
"""A directory tree that loses what was not synced: the other half of synced.c, which says what counts."""
import ctypes
import os
import shutil
import struct

from sizes import BUILD

LIBRARY = BUILD / "fault/synced.so"
AT_FDCWD, NO_FOLLOW, INO, BTIME = -100, 0x100, 0x100, 0x800


class Tree:
    """A tree and its shadow. All that is in it when the shadow is made counts as durable."""

    def __init__(self, root, shadow):
        self.root, self.shadow = root, shadow
        self.remember()

    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "SYNCED_TREE": str(self.root), "SYNCED_SHADOW": str(self.shadow)}

    def remember(self):
        shutil.rmtree(self.shadow, ignore_errors=True)
        self.shadow.mkdir()
        for folder, directories, files in os.walk(self.root):
            path = self.root / folder
            names = [f"{identity(path / name)} d {name}\n" for name in directories]
            names += [f"{identity(path / name)} f {name}\n" for name in files]
            (self.shadow / f"{identity(path)}.names").write_text("".join(names))
            for name in files:
                shutil.copy(path / name, self.shadow / f"{identity(path / name)}.file")

    def lose_power(self):
        """Puts the tree back to what is durable. Nobody may have it open."""
        restored = self.root.with_name(self.root.name + ".restored")
        self._restore(identity(self.root), restored)
        shutil.copystat(self.root, restored)
        shutil.rmtree(self.root)
        restored.rename(self.root)
        self.remember()

    def _restore(self, directory, to):
        to.mkdir()
        names = self.shadow / f"{directory}.names"
        for line in names.read_text().splitlines() if names.exists() else ():
            key, kind, name = line.split(" ", 2)
            content = self.shadow / f"{key}.file"
            if kind == "d":
                self._restore(key, to / name)
            elif content.exists():
                shutil.copy(content, to / name)
            else:
                (to / name).touch()


def identity(path):
    """The ID that synced.c gives a file."""
    found = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).statx(AT_FDCWD, os.fsencode(path), NO_FOLLOW, INO | BTIME, found):
        raise OSError(ctypes.get_errno(), "statx", str(path))
    (inode,) = struct.unpack_from("=Q", found, 32)
    seconds, nanoseconds = struct.unpack_from("=qI", found, 80)
    return f"{inode}-{seconds}.{nanoseconds:09}"
