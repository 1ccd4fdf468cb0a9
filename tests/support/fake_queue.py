# SPDX-License-Identifier: MIT
"""A strict queue service in memory: does what Azure Queue Storage does, refuses what it refuses, and answers badly when a
test tells it to (faults.py). Azurite shows that we suit the real thing; this shows what we do on a bad day.

    service = FakeService()
    events = service.queue("events")
    fault = service.answer("Delete", faults.error(503, "ServerBusy"), times=2)
    ... events.config() goes to the daemon, events.post(...), fault.count, fault.lift() ...
    assert not service.violations
"""
import base64
import collections
import itertools
import json
import re
import time
import urllib.parse
import uuid
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

from support import jwt
from support.exchange import Refused, Reply, StrictServer, http_date

ACCOUNT = "fakeaccount"
SECRET = "c2VjcmV0LW9mLXRoZS1mYWtl"
SAS = f"sv=2021-12-02&ss=q&srt=co&sp=rwdlacup&se=2099-01-01T00%3A00%3A00Z&sig={SECRET}%2B%2F%3D"
WEEK_S = 7 * 24 * 3600
VERSIONS = ("2017-07-29", "2026-04-06")  # from TTL -1 to the newest that is known
QUICK = {"poll_min": "50ms", "poll_max": "200ms"}
BEARER_VERSION = "2019-12-12"  # from which on the service says which token it wants
TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"  # the account's
CHALLENGE = (f"Bearer authorization_uri=https://login.microsoftonline.com/{TENANT}/oauth2/authorize "
             "resource_id=https://storage.azure.com")

Request = collections.namedtuple("Request", "at operation queue method path query headers body")

# operation: the query parameters that it may have besides the SAS, with their ranges.
PARAMETERS = {
    "Get": {"numofmessages": (1, 32), "visibilitytimeout": (1, WEEK_S)},
    "Peek": {"numofmessages": (1, 32), "peekonly": None},
    "Put": {"visibilitytimeout": (0, WEEK_S), "messagettl": (-1, 2**31)},
    "Update": {"visibilitytimeout": (0, WEEK_S), "popreceipt": None},
    "Delete": {"popreceipt": None},
    "Metadata": {"comp": None},
    "Create": {},
}
NEEDED = {"Update": ("visibilitytimeout", "popreceipt"), "Delete": ("popreceipt",)}


class Message:
    _numbers = itertools.count(1)

    def __init__(self, text, hidden_s, ttl_s):
        self.id, self.text, self.dequeue_count = str(uuid.uuid4()), text, 0
        self.inserted = time.time()
        self.expires = 253402300799 if ttl_s == -1 else self.inserted + ttl_s
        self.told = None, None, 0  # a receipt that went to the daemon, its connection, and the requests on that by then
        self.renew(hidden_s)

    def renew(self, hidden_s):
        """Hides it, under a receipt that voids all before it and has to be encoded in a URL."""
        self.visible_at = time.time() + hidden_s
        self.receipt = f"+/{next(self._numbers)}/+{base64.b64encode(self.id.encode()[:8]).decode()}=="

    def is_visible(self):
        return time.time() >= self.visible_at

    def xml(self, with_receipt=True, with_text=True):
        fields = [("MessageId", self.id), ("InsertionTime", http_date(self.inserted)),
                  ("ExpirationTime", http_date(self.expires))]
        if with_receipt:
            fields += [("PopReceipt", self.receipt), ("TimeNextVisible", http_date(self.visible_at))]
        if with_text:
            fields += [("DequeueCount", self.dequeue_count), ("MessageText", self.text)]
        inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields)
        return f"<QueueMessage>{inner}</QueueMessage>"


class FakeService(StrictServer):
    def __init__(self, certificates=None):
        self.queues = {}  # name: [Message]
        self.tokens = None  # those that are good; None: a SAS or a key is wanted
        self.rights = set(PARAMETERS)  # what a token's owner may ask for
        self.takes_probes = False  # a parameter out of its range is a try of a right, and no violation
        super().__init__(certificates)
        self.url = f"{self.origin}/{ACCOUNT}"

    def queue(self, name="events"):
        with self.lock:
            self.queues.setdefault(name, [])
        return FakeQueue(self, name)

    def trust(self, *issuers):
        """From now on a token of one of them is wanted; a test takes away from `tokens` what it wants to be refused."""
        self.tokens = self.tokens or set()
        for issuer in issuers:
            self.tokens.update(token.text for token in issuer.tokens)
            issuer.on_token.append(self.tokens.add)

    def asked(self, operation, queue=None):
        """The times of the requests of an operation, as they came."""
        return [r.at for r in list(self.requests)
                if r.operation == operation and (queue is None or r.queue == queue.name)]

    # --- used by the exchange ---

    def read(self, exchange):
        path, _, query = exchange.path.partition("?")
        operation, queue = operation_of(exchange.command, path, query)
        return Request(exchange.times[-1], operation, queue, exchange.command, path, query, exchange.headers, exchange.body)

    def headers(self, exchange):
        return {"Server": "Windows-Azure-Queue/1.0", "x-ms-request-id": str(uuid.uuid4()),
                "x-ms-version": exchange.headers.get("x-ms-version", ""), "Date": http_date(time.time())}

    def act(self, request):
        return getattr(self, "_" + request.operation.lower())(request, self.messages_of(request))

    def refusal(self, request, refused):
        return Reply(refused.status, {"x-ms-error-code": refused.code, **refused.headers}, error_body(refused.code))

    def told(self, reply, exchange):
        """The answer goes out whole."""
        super().told(reply, exchange)
        with self.lock:
            for message, receipt in reply.receipts.items():
                message.told = receipt, exchange, len(exchange.times)

    def messages_of(self, request):
        if request.operation == "Create":
            return None
        messages = self.queues.get(request.queue)
        if messages is None:
            raise Refused(404, "QueueNotFound")
        now = time.time()
        messages[:] = [m for m in messages if m.expires > now]
        return messages

    def check(self, request):
        """What is refused whatever the queue holds."""
        if request.operation is None:
            raise Refused(400, "InvalidUri", "a path and a method that no operation has")
        if not re.fullmatch(r"[a-z0-9](-?[a-z0-9]){2,62}", request.queue):
            raise Refused(400, "InvalidResourceName", "no name for a queue")
        version = request.headers.get("x-ms-version", "")
        if not (re.fullmatch(r"\d{4}-\d\d-\d\d", version) and VERSIONS[0] <= version <= VERSIONS[1]):
            raise Refused(400, "InvalidHeaderValue", f"x-ms-version is {version!r}")
        if len(request.headers.get("x-ms-client-request-id", "")) > 1024:
            raise Refused(400, "InvalidHeaderValue", "x-ms-client-request-id is too long")
        if request.method in ("PUT", "POST") and "Content-Length" not in request.headers:
            raise Refused(411, "MissingContentLengthHeader", "no Content-Length")
        if request.method in ("GET", "DELETE") and request.body:
            raise Refused(400, "InvalidInput", "a body where none belongs")
        if self.tokens is None:
            self._check_credential(request)
        else:
            self._check_token(request)
        self._check_query(request)

    @staticmethod
    def _check_credential(request):
        authorization = request.headers.get("Authorization")
        pairs = request.query.split("&")
        if authorization is None and not any(pair.startswith("sig=") for pair in pairs):
            raise Refused(401, "NoAuthenticationInformation", "no credential")
        if authorization is None and not set(SAS.split("&")) <= set(pairs):
            raise Refused(403, "AuthenticationFailed", "the SAS is not the one that was given")
        if authorization is not None and not re.match(r"(Bearer |SharedKey \w+:)\S+$", authorization):
            raise Refused(400, "InvalidAuthenticationInfo", "a garbled Authorization header")

    def _check_token(self, request):
        shown = request.headers.get_all("Authorization") or []
        if "sig=" in request.query:
            raise Refused(403, "AuthenticationFailed", "a SAS where a token is wanted")
        if request.headers["x-ms-version"] < BEARER_VERSION:
            raise Refused(400, "InvalidHeaderValue", f"a token with x-ms-version {request.headers['x-ms-version']}")
        if len(shown) != 1:
            raise Refused(401, "NoAuthenticationInformation", "not one token", WWW_Authenticate=CHALLENGE)
        if not re.fullmatch(r"Bearer [A-Za-z0-9._~+/=-]+", shown[0]):
            raise Refused(400, "InvalidAuthenticationInfo", "a garbled token")
        token = shown[0].removeprefix("Bearer ")
        claims = jwt.decode(token)[1]
        if token not in self.tokens or claims["exp"] <= time.time() or claims["tid"] != TENANT:
            raise Refused(401, "InvalidAuthenticationInfo", WWW_Authenticate=CHALLENGE)
        if request.operation not in self.rights:
            raise Refused(403, "AuthorizationPermissionMismatch")

    def _check_query(self, request):
        known, values = PARAMETERS[request.operation], {}
        for pair in filter(None, request.query.split("&")):
            name, _, value = pair.partition("=")
            if not re.fullmatch(r"([A-Za-z0-9._~-]|%[0-9A-F]{2})*", value):
                raise Refused(400, "InvalidQueryParameterValue", f"{name} is not percent-encoded: {value}")
            if name in values:
                raise Refused(400, "InvalidQueryParameterValue", f"{name} stands twice")
            values[name] = urllib.parse.unquote(value)
            if name not in known and pair not in SAS.split("&") and name != "timeout":
                raise Refused(400, "UnsupportedQueryParameter", f"{request.operation} has no parameter {name}")
            if known.get(name) and not (re.fullmatch(r"-?\d+", values[name])
                                        and known[name][0] <= int(values[name]) <= known[name][1]):
                raise Refused(400, "OutOfRangeQueryParameterValue", None if self.takes_probes else f"{name} is {value}")
        for name in NEEDED.get(request.operation, ()):
            if not values.get(name):
                raise Refused(400, "MissingRequiredQueryParameter", f"{name} is missing")

    @staticmethod
    def _parameters(request):
        return dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))

    # --- the operations ---

    def _get(self, request, messages):
        wanted = self._parameters(request)
        taken = [m for m in messages if m.is_visible()][:int(wanted.get("numofmessages", 1))]
        for message in taken:
            message.renew(int(wanted.get("visibilitytimeout", 30)))
            message.dequeue_count += 1
        return Reply(200, {"Content-Type": "application/xml"}, listing(m.xml() for m in taken),
                     {m: m.receipt for m in taken})

    def _peek(self, request, messages):
        seen = [m for m in messages if m.is_visible()][:int(self._parameters(request).get("numofmessages", 1))]
        return Reply(200, {"Content-Type": "application/xml"}, listing(m.xml(with_receipt=False) for m in seen))

    def _put(self, request, messages):
        wanted = self._parameters(request)
        ttl, hidden = int(wanted.get("messagettl", WEEK_S)), int(wanted.get("visibilitytimeout", 0))
        if ttl == 0 or 0 < ttl <= hidden:
            raise Refused(400, "OutOfRangeQueryParameterValue", f"messagettl is {ttl}")
        try:
            text = ElementTree.fromstring(request.body).findtext("MessageText")
        except ElementTree.ParseError as error:
            raise Refused(400, "InvalidXmlDocument", f"the body is no XML: {error}") from error
        if text is None:
            raise Refused(400, "InvalidXmlDocument", "the body has no MessageText")
        if len(text.encode()) > 64 * 1024:
            raise Refused(400, "MessageTooLarge", f"a text of {len(text.encode())} bytes")
        message = Message(text, hidden, ttl)
        messages.append(message)
        return Reply(201, {"Content-Type": "application/xml"}, listing([message.xml(with_text=False)]))

    def _ours(self, request, messages):
        """The message that a receipt is good for. A stale one is a violation if the daemon knew a newer: it had asked
        for more on the connection that brought it, and has had time to think."""
        wanted = urllib.parse.unquote(request.path.rpartition("/")[2])
        message = next((m for m in messages if m.id == wanted), None)
        if message is None:
            raise Refused(404, "MessageNotFound")
        if message.receipt != self._parameters(request)["popreceipt"]:
            told, exchange, asked = message.told
            knew = told == message.receipt and any(at < request.at - 0.3 for at in exchange.times[asked:])
            raise Refused(400, "PopReceiptMismatch", "a stale receipt, and the newer one was known" if knew else None)
        return message

    def _update(self, request, messages):
        message = self._ours(request, messages)
        hidden = int(self._parameters(request)["visibilitytimeout"])
        if time.time() + hidden > message.expires:
            raise Refused(400, "OutOfRangeQueryParameterValue", "hidden for longer than the message lives")
        message.renew(hidden)
        return Reply(204, {"x-ms-popreceipt": message.receipt, "x-ms-time-next-visible": http_date(message.visible_at)},
                     b"", {message: message.receipt})

    def _delete(self, request, messages):
        messages.remove(self._ours(request, messages))
        return Reply(204)

    def _metadata(self, request, messages):
        return Reply(200, {"x-ms-approximate-messages-count": str(len(messages))})

    def _create(self, request, messages):
        existed = request.queue in self.queues
        self.queues.setdefault(request.queue, [])
        return Reply(204 if existed else 201)


class FakeQueue:
    """A queue as its other users see it."""

    def __init__(self, service, name):
        self.service, self.name, self.url = service, name, f"{service.url}/{name}"

    def config(self, **settings):
        """The daemon's settings for this queue, by a SAS unless an identity is named."""
        credential = {} if "identity" in settings else {"sas": SAS}
        return {"name": self.name, "url": self.url, **credential, **QUICK, **settings}

    def post(self, message, ttl_s=WEEK_S):
        """Posts a document, or a text as it is; returns its id."""
        posted = Message(message if isinstance(message, str) else json.dumps(message), 0, ttl_s)
        with self.service.lock:
            self.service.queues[self.name].append(posted)
        return posted.id

    def messages(self):
        with self.service.lock:
            return list(self.service.queues.get(self.name, []))

    def is_empty(self):
        return not self.messages()

    def records(self):
        """The documents in its poison queue."""
        return [json.loads(m.text) for m in FakeQueue(self.service, self.name + "-poison").messages()]


def operation_of(method, path, query):
    """(operation, queue) of a request; (None, "") where there is no such operation. Clear Messages is none of ours."""
    parts = path.split("/")[1:]
    if parts[0] != ACCOUNT or len(parts) not in (2, 3, 4):
        return None, ""
    names = {pair.partition("=")[0]: pair.partition("=")[2] for pair in query.split("&")}
    operation = None
    if len(parts) == 2:
        if method in ("GET", "HEAD") and names.get("comp") == "metadata":
            operation = "Metadata"
        elif method == "PUT" and "comp" not in names:
            operation = "Create"
    elif parts[2] == "messages" and len(parts) == 3:
        operation = {"GET": "Peek" if names.get("peekonly") == "true" else "Get", "POST": "Put"}.get(method)
    elif parts[2] == "messages" and parts[3]:
        operation = {"PUT": "Update", "DELETE": "Delete"}.get(method)
    return operation, parts[1] if operation else ""


def listing(messages):
    """The document of Get, Peek and Put."""
    return ('<?xml version="1.0" encoding="utf-8"?><QueueMessagesList>' + "".join(messages)
            + "</QueueMessagesList>").encode()


def error_body(code, message="What went wrong.", **extra):
    more = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in extra.items())
    return (f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
            f"<Message>{escape(message)}\nRequestId:{uuid.uuid4()}\nTime:{http_date(time.time())}</Message>"
            f"{more}</Error>").encode()
