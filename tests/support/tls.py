# SPDX-License-Identifier: MIT
"""A TLS front that closes after each answer of an empty queue, and notes which connections resumed a session. What
no real part shows: Azurite does not tell whether a session was resumed."""
import socket
import ssl
import threading

EMPTY = b'<?xml version="1.0" encoding="utf-8"?><QueueMessagesList/>'
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(EMPTY), EMPTY)


class EmptyQueueOverTls:
    def __init__(self, certificates):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.cert, certificates.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.resumed = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._answer(connection)
            except OSError:
                connection.close()

    def _answer(self, connection):
        connection.settimeout(5)
        with self._context.wrap_socket(connection, server_side=True) as safe:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                part = safe.recv(65536)
                if not part:
                    return
                request += part
            self.resumed.append(safe.session_reused)
            safe.sendall(ANSWER)

    def close(self):
        self._listener.close()
