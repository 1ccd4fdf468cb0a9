# SPDX-License-Identifier: MIT
"""Two small listeners between the daemon and its storage service: one that passes bytes on and keeps
the head of each request, one that only counts who knocks."""
import re
import socket
import threading
import time


class Tap:
    """Passes connections on to a port of 127.0.0.1 and keeps each request's head with its time."""

    HEAD = re.compile(rb"^(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.S | re.M)

    def __init__(self, port):
        self.target = port
        self.requests = []  # (monotonic time, method, path, {header: value})
        self.connections = 0
        self._sockets = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            upstream = socket.create_connection(("127.0.0.1", self.target))
            self._sockets += [client, upstream]
            threading.Thread(target=self._pass, args=(client, upstream, self._keep), daemon=True).start()
            threading.Thread(target=self._pass, args=(upstream, client, None), daemon=True).start()

    def _pass(self, source, sink, keep):
        pending = b""
        try:
            while data := source.recv(65536):
                if keep:
                    pending = keep(pending + data)
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _keep(self, data):
        """Notes the whole heads in data, returns what may still grow into one."""
        end = 0
        for match in self.HEAD.finditer(data):
            headers = dict(line.split(": ", 1) for line in match[3].decode("latin-1").split("\r\n") if ": " in line)
            self.requests.append((time.monotonic(), match[1].decode(), match[2].decode(),
                                  {name.lower(): value for name, value in headers.items()}))
            end = match.end()
        return data[end:][-65536:]

    def gets(self):
        """The times of the Get Messages requests."""
        return [at for at, method, path, _ in list(self.requests)
                if method == "GET" and "/messages" in path and "peekonly" not in path]

    def close(self):
        self._server.close()
        for s in self._sockets:
            s.close()


class Knocks:
    """Counts connections on a port for a while and answers none."""

    def __init__(self, port):
        self._server = socket.create_server(("127.0.0.1", port))

    def count(self, seconds):
        deadline, count = time.monotonic() + seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            self._server.settimeout(left)
            try:
                client, _ = self._server.accept()
            except socket.timeout:
                break
            count += 1
            client.close()
        self._server.close()
        return count
