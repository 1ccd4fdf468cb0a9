# SPDX-License-Identifier: MIT
"""The service manager's end of sd_notify: a datagram socket that keeps every message with its time."""
import os
import socket
import threading
import time


class NotifySocket:
    def __init__(self, path):
        self.path = str(path)
        self.messages = []  # (monotonic time, {key: value})
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(65536, 4096)
            if data == b"close":
                return
            if data == b"settle":
                self._settled.set()
                continue
            pairs = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            self.messages.append((time.monotonic(), pairs))

    def times(self, key, value="1"):
        return [at for at, pairs in list(self.messages) if pairs.get(key) == value]

    def count(self, key, value="1"):
        return len(self.times(key, value))

    def settle(self):
        """Returns when what was sent so far is in `messages`."""
        self._settled.clear()
        self._tell(b"settle")
        self._settled.wait()

    def _tell(self, word):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(word, self.path)

    def close(self):
        self._tell(b"close")
        self._thread.join()
        self._socket.close()
