# SPDX-License-Identifier: MIT
"""A strict HTTP server on 127.0.0.1 that notes what it should never have been asked, and answers badly when a test tells
it to (faults.py). What the fake queue service and the fake issuers of tokens have in common."""
import collections
import email.utils
import http.server
import io
import socket
import ssl
import struct
import sys
import threading
import time
import traceback

# receipts: {message: receipt} that the daemon knows once the answer has reached it whole.
Reply = collections.namedtuple("Reply", "status headers body receipts", defaults=({}, b"", {}))


class Refused(Exception):
    """The service says no. With `why`, it should not have been asked."""

    def __init__(self, status, code, why=None, **headers):
        super().__init__(code)
        self.status, self.code, self.why = status, code, why
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Fault:
    """Answers requests of one operation, of one queue or of all, until it is lifted or `times` are over."""

    def __init__(self, operation, answer, times, queue):
        self.operation, self.answer, self.left, self.queue = operation, answer, times, queue
        self.times = []  # when it answered, time.monotonic()

    @property
    def count(self):
        return len(self.times)

    def suits(self, request):
        return (self.operation in (request.operation, "*") and self.queue in (None, request.queue)
                and self.left != 0)

    def take(self):
        self.times.append(time.monotonic())
        if self.left is not None:
            self.left -= 1
        return self.answer

    def lift(self):
        self.left = 0


class StrictServer:
    """What a service adds: read(exchange), a request in its own words (with `at`, `operation` and `queue`); check(request),
    which raises Refused; act(request), the good answer; refusal(request, refused); headers(exchange)."""

    def __init__(self, certificates=None, listen=None):
        self.lock = threading.RLock()
        self.requests, self.violations, self.faults = [], [], []
        self.connections = set()  # those that are open
        self.under_way, self.most_at_once = set(), 0  # requests without an answer
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Exchange, bind_and_activate=False)
        self._server.listen_by(listen)
        self._server.service, self._server.context = self, None
        if certificates:
            self._server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.context.load_cert_chain(*certificates.pair)
        host, self.port = self._server.socket.getsockname()[:2]
        self.origin = f"{'https' if certificates else 'http'}://{host}:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, operation, answer, times=None, queue=None):
        """Plays `answer` to the next requests of the operation ("*": of any): to `times` of them, or until lifted."""
        fault = Fault(operation, answer, times, queue.name if queue else None)
        with self.lock:
            self.faults.append(fault)
        return fault

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    # --- used by the exchange ---

    def fault_for(self, request):
        with self.lock:
            self.requests.append(request)
            fault = next((f for f in self.faults if f.suits(request)), None)
            return fault.take() if fault else None

    def perform(self, request):
        """Does what is asked, or refuses; notes what should not have been asked."""
        with self.lock:
            try:
                self.check(request)
                return self.act(request)
            except Refused as refused:
                self.note(request, refused)
                return self.refusal(request, refused)

    def note(self, request, refused):
        if refused.why:
            self.violations.append(f"{request.method} {request.path}: {refused.why}")

    def begin(self, exchange):
        with self.lock:
            self.under_way.add(exchange)
            self.most_at_once = max(self.most_at_once, len(self.under_way))

    def told(self, reply, exchange):
        """The answer goes out whole."""
        self.end(exchange)

    def end(self, exchange):
        with self.lock:
            self.under_way.discard(exchange)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def listen_by(self, listen):
        """Takes the socket that listen() makes; without it, one of 127.0.0.1."""
        if listen:
            self.socket.close()
            self.socket = listen()
            self.server_address = self.socket.getsockname()
        else:
            self.server_bind()
            self.server_activate()

    def finish_request(self, request, client_address):
        """In the connection's own thread: a handshake must not hold up the others."""
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        """A connection that broke is none of ours; a mistake of ours is."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.service.violations.append(traceback.format_exc())


class _Kept:
    """A connection's input, of which the request's bytes are kept."""

    def __init__(self, source):
        self._source, self.bytes = source, b""

    def readline(self, *limit):
        return self._keep(self._source.readline(*limit))

    def read(self, *size):
        return self._keep(self._source.read(*size))

    def _keep(self, data):
        self.bytes += data
        return data

    def __getattr__(self, name):
        return getattr(self._source, name)


class Exchange(http.server.BaseHTTPRequestHandler):
    """One connection; and, for the answers in faults.py, one request on it."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        self.times = []  # of its requests
        self.service.connections.add(self)
        super().setup()
        self.rfile = _Kept(self.rfile)

    def finish(self):
        self.service.connections.discard(self)
        super().finish()

    def handle_one_request(self):
        self.rfile.bytes = b""
        super().handle_one_request()

    def do_GET(self):
        self.times.append(time.monotonic())
        self.service.begin(self)
        try:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.asked = self.service.read(self)
            answer = self.service.fault_for(self.asked)
            if answer:
                self.service_checks()
                answer(self)
            else:
                self.send(self.perform())
        finally:
            self.service.end(self)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    @property
    def service(self):
        return self.server.service

    @property
    def bytes(self):
        """The request as it came."""
        return self.rfile.bytes

    def log_message(self, *args):
        pass

    def service_checks(self):
        """A request that is answered badly must be a good one all the same."""
        try:
            self.service.check(self.asked)
        except Refused as refused:
            self.service.note(self.asked, refused)

    def perform(self):
        return self.service.perform(self.asked)

    def head(self, reply, **headers):
        """Status line and headers as bytes; a header that is None is left out."""
        headers = {**self.service.headers(self), "Content-Length": str(len(reply.body)), **reply.headers, **headers}
        if reply.status == 204:
            headers["Content-Length"] = None
        lines = [f"HTTP/1.1 {reply.status} Some Reason"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def raw(self, data):
        self.wfile.write(data)
        self.wfile.flush()

    def send(self, reply):
        self.service.told(reply, self)
        self.raw(self.head(reply) + reply.body)

    def close(self):
        self.close_connection = True

    def reset(self):
        """Breaks the connection with a RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        self.wfile = io.BytesIO()  # which is flushed at the end

    def wait_for_client(self, seconds=None):
        """Waits until the client hangs up or the seconds are over; true when it did, or the service ends."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.service.closing.is_set():
            self.connection.settimeout(0.05 if deadline is None else max(min(deadline - time.monotonic(), 0.05), 0.001))
            try:
                if not self.connection.recv(4096):
                    break
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    return False
            except OSError:
                break
        self.close()
        return True


def http_date(seconds):
    return email.utils.formatdate(seconds, usegmt=True)
