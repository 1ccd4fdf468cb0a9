# SPDX-License-Identifier: MIT
"""Two small listeners between the daemon and its storage service: one that passes bytes on, keeps the
head of each request and can play an outage, one that only counts who knocks."""
import re
import socket
import threading
import time

from support import process


class Tap:
    """Passes connections on to a port of 127.0.0.1 and keeps each request's head with its time."""

    HEAD = re.compile(rb"^(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.S | re.M)

    def __init__(self, port):
        self.target = port
        self.requests = []  # (monotonic time, method, path, {header: value})
        self.connections = 0
        self.swallows = set()  # methods: such requests are kept here, and never answered
        self.withheld = 0  # answers with messages that came while they were to be withheld
        self._messages_pass = threading.Event()
        self._messages_pass.set()
        self._sockets = []
        self._server = None
        self.port = process.hold_port()
        self.come_back()

    def come_back(self):
        """Listens, again on the same port."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def go_away(self):
        """An outage: connections break and new ones are refused."""
        _shut(self._server)  # wakes the thread that accepts, which would keep it open
        self._server.close()
        for s in self._sockets:
            _shut(s)

    def withhold_messages(self):
        """Answers that bring messages wait from now on."""
        self._messages_pass.clear()

    def deliver_messages(self):
        self._messages_pass.set()

    def _accept(self, server):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            self.connections += 1
            upstream = socket.create_connection(("127.0.0.1", self.target))
            self._sockets += [client, upstream]
            for source, sink, look in ((client, upstream, self._requests()), (upstream, client, self._answer)):
                threading.Thread(target=self._pass, args=(source, sink, look), daemon=True).start()

    @staticmethod
    def _pass(source, sink, look):
        """Passes on what look() does not swallow."""
        try:
            while data := source.recv(65536):
                sink.sendall(look(data))
        except OSError:
            pass
        for s in (source, sink):
            _shut(s)

    def _requests(self):
        """Looks at one connection's requests. Behind a swallowed one there is nothing more to pass on."""
        pending, swallowed = b"", False

        def look(data):
            nonlocal pending, swallowed
            methods, pending = self._keep(pending + data)
            swallowed = swallowed or bool(self.swallows & methods)
            return b"" if swallowed else data
        return look

    def _answer(self, data):
        if b"<QueueMessage>" in data and not self._messages_pass.is_set():
            self.withheld += 1
            self._messages_pass.wait()
        return data

    def _keep(self, data):
        """Notes the whole heads in data; returns their methods, and what may still grow into one."""
        methods, end = set(), 0
        for match in self.HEAD.finditer(data):
            headers = dict(line.split(": ", 1) for line in match[3].decode("latin-1").split("\r\n") if ": " in line)
            self.requests.append((time.monotonic(), match[1].decode(), match[2].decode(),
                                  {name.lower(): value for name, value in headers.items()}))
            methods.add(match[1].decode())
            end = match.end()
        return methods, data[end:][-65536:]

    def puts(self):
        """The times of the requests that renew a lease or put a message back."""
        return [at for at, method, path, _ in list(self.requests) if method == "PUT" and "/messages/" in path]

    def gets(self):
        """The times of the Get Messages requests."""
        return [at for at, method, path, _ in list(self.requests)
                if method == "GET" and "/messages" in path and "peekonly" not in path]

    def close(self):
        self.deliver_messages()
        self.go_away()
        for s in self._sockets:
            s.close()


def through(tap, queue, **settings):
    """The daemon's settings for a queue that it reaches through the tap."""
    return queue.config(url=queue.url.replace(f":{tap.target}/", f":{tap.port}/"), **settings)


def _shut(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


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
