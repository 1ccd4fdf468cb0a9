# SPDX-License-Identifier: MIT
"""What stands between the daemon and its storage service in another network: a TLS front and an HTTP proxy, which
can fail in many ways."""
import re
import select
import socket
import ssl
import threading
import time


class Front:
    """Listens by listen(port) and gives each connection to serve(client), on a thread of its own."""

    def __init__(self, listen):
        self._listen, self._listener, self._open = listen, None, []
        self.port = 0
        self.knocks = []  # when each connection came
        self.passed = b""  # of what clients sent on, the first MiB
        self.come_back()

    def come_back(self):
        """Listens, again on the same port."""
        self._listener = self._listen(self.port)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def go_away(self):
        """New connections are refused, those that are open break."""
        _shut(self._listener)
        self._listener.close()
        self.hang_up()

    def hang_up(self):
        """The connections that are open break."""
        while self._open:
            _shut(self._open.pop())

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.knocks.append(time.monotonic())
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            self.serve(client)
        except OSError:
            pass
        _shut(client)
        client.close()

    def serve(self, client):
        raise NotImplementedError

    def pass_on(self, client, port):
        """Bytes go both ways between a client and a port of 127.0.0.1 outside, until one side ends. One thread: a
        TLS socket must not be read and written at once."""
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self._open += [client, upstream]
            while True:
                ready = [client] if _has_pending(client) else select.select([client, upstream], [], [])[0]
                for source, sink in ((client, upstream), (upstream, client)):
                    if source in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        if source is client and len(self.passed) < 1 << 20:
                            self.passed += data
                        sink.sendall(data)


class TlsFront(Front):
    """Takes the TLS off and passes on to a port of 127.0.0.1 outside."""

    def __init__(self, listen, certificate, target):
        self.target, self.manner = target, "serve"
        self.use(certificate)
        super().__init__(listen)

    def use(self, certificate):
        """Shows another (certificate, key) from now on; who has a session of before can not resume it."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)

    def behave(self, manner):
        """serve; silent: takes connections and answers nothing; plain: answers without TLS."""
        self.manner = manner
        self.hang_up()

    def serve(self, client):
        if self.manner == "silent":
            while client.recv(65536):
                pass
        elif self.manner == "plain":
            client.recv(65536)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        else:
            with self._context.wrap_socket(client, server_side=True) as safe:
                self.pass_on(safe, self.target)


class Proxy(Front):
    """An HTTP proxy that knows CONNECT alone. Wherever one wants to go, one comes to `target`, a port of 127.0.0.1
    outside; or to the one that is there for that host and port: {"HOST:PORT": port}."""

    HEAD = re.compile(rb"^(CONNECT) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.S)

    def __init__(self, listen, target):
        self.target, self.answer = target, None
        self.requests = []  # (target, {header: value})
        super().__init__(listen)

    def refuse(self, answer):
        """With a status and its words; "silence": without answering; "": by hanging up; None: not any more."""
        self.answer = answer
        self.hang_up()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(65536)
            if not part:
                return
            head += part
        match = self.HEAD.match(head)
        lines = match[3].decode("latin-1").split("\r\n") if match else []
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.requests.append((match[2].decode() if match else head.decode("latin-1"), headers))
        if self.answer == "silence":
            while client.recv(65536):
                pass
        elif self.answer is not None or not match:
            answer = f"HTTP/1.1 {self.answer}\r\nContent-Length: 0\r\n\r\n" if self.answer else ""
            client.sendall(answer.encode())
        else:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.pass_on(client, self.target[match[2].decode()] if isinstance(self.target, dict) else self.target)


def _has_pending(s):
    return isinstance(s, ssl.SSLSocket) and s.pending() > 0


def _shut(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
