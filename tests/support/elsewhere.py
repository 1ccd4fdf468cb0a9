# SPDX-License-Identifier: MIT
"""A place of 127.0.0.1 that must not be gone to: it keeps all that comes there."""
import socket
import ssl
import threading


class Elsewhere:
    """Two ports, `url` with TLS under the tests' authority and `plain_url` without; each answers whoever asks."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    def __init__(self, certificates):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificates.pair)
        self.connections, self.bytes = 0, b""
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        safe, plain = (listener.getsockname()[1] for listener in self._listeners)
        self.url, self.plain_url = f"https://127.0.0.1:{safe}", f"http://127.0.0.1:{plain}"
        for listener, wrap in zip(self._listeners, (self._wrap, lambda client: client)):
            threading.Thread(target=self._accept, args=(listener, wrap), daemon=True).start()

    def _wrap(self, client):
        return self._context.wrap_socket(client, server_side=True)

    def _accept(self, listener, wrap):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._listen, args=(client, wrap), daemon=True).start()

    def _listen(self, client, wrap):
        try:
            with wrap(client) as safe:
                while data := safe.recv(65536):
                    self.bytes += data
                    safe.sendall(self.ANSWER)
        except OSError:
            pass

    def close(self):
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
