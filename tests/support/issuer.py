# SPDX-License-Identifier: MIT
"""What all strict fakes of issuers of tokens have in common: a server on 127.0.0.1, the record of each request with its
bytes, the tokens that were given out, and faults that a test puts in.

    issuer = Imds()
    issuer.life_s = 5
    fault = issuer.fails(refusal(500, "server_error"), times=2)
    ... issuer.config() goes to the daemon; issuer.requests, issuer.tokens, issuer.refusals ...
    assert not issuer.violations

Each subclass refuses what the real issuer refuses. What the asker should have known better is a violation; a wrong secret
or an identity that is not there is not.
"""
import collections
import json
import re
import secrets
import time
import urllib.parse
import uuid

from support import jwt
from support.exchange import Refused, Reply, StrictServer, http_date
from support.fake_queue import TENANT

STORAGE = "https://storage.azure.com/"
FORM = "application/x-www-form-urlencoded"
# What only those add who pass a request on.
BETWEEN = ("Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Proxy-Connection",
           "Proxy-Authorization")

Request = collections.namedtuple("Request", "at operation queue method path query headers body bytes connection")
# life_s is what its holder is told; owner: to whom it was given.
Token = collections.namedtuple("Token", "text at life_s owner")
Identity = collections.namedtuple("Identity", "client_id object_id resource_id")


def identity(name):
    """One that Azure could know."""
    return Identity(str(uuid.uuid4()), str(uuid.uuid4()),
                    f"/subscriptions/{uuid.uuid4()}/resourcegroups/rg/providers/"
                    f"Microsoft.ManagedIdentity/userAssignedIdentities/{name}")


class Issuer(StrictServer):
    """A subclass says what it refuses (check), and to whom the token goes (grant)."""

    LABEL = "issuer"  # as sentences name it

    def __init__(self, certificates=None, listen=None):
        self.tenant = TENANT
        self.life_s, self.longer_s = 3600, 0  # what a token's holder is told, and how much longer it really lives
        self.ahead_s = 0  # of its clock
        self.tokens, self.refusals = [], []
        self.on_token = []  # called with each new token's text
        self.shown = []  # what was shown here and must be nowhere else
        super().__init__(certificates, listen)

    def fails(self, answer, times=None):
        """The next requests get this answer, a function of faults.py or of this file, until it is lifted."""
        return self.answer("*", answer, times)

    def asked(self):
        """The times of the requests, as they came."""
        return [r.at for r in list(self.requests)]

    def secrets(self):
        """Everything that must be in no log: tokens, and what was shown to get them."""
        return [token.text for token in list(self.tokens)] + list(self.shown)

    def now(self):
        return time.time() + self.ahead_s

    def grant(self, request):
        """(owner, audience, members): the answer's beside the token."""
        raise NotImplementedError

    def token(self, owner, audience):
        """A new token, such as Azure Storage takes."""
        now = int(self.now())
        text = jwt.encode({
            "aud": audience, "iss": f"https://sts.windows.net/{self.tenant}/", "iat": now, "nbf": now - 300,
            "exp": now + self.life_s + self.longer_s, "tid": self.tenant, "oid": owner.object_id, "sub": owner.object_id,
            "appid": owner.client_id, "uti": secrets.token_urlsafe(16), "ver": "1.0"}, kid="fake")
        self.tokens.append(Token(text, time.monotonic(), self.life_s, owner))
        for tell in self.on_token:
            tell(text)
        return text

    # --- used by the exchange ---

    def read(self, exchange):
        path, _, query = exchange.path.partition("?")
        return Request(exchange.times[-1], "Token", None, exchange.command, path, query, exchange.headers, exchange.body,
                       exchange.bytes, exchange)

    def headers(self, exchange):
        return {"Content-Type": "application/json; charset=utf-8", "Date": http_date(self.now()), "Server": "fake"}

    def act(self, request):
        return Reply(200, {}, json.dumps(self.grant(request)).encode())

    def refusal(self, request, refused):
        self.refusals.append(refused)
        return Reply(refused.status, refused.headers, json.dumps(refused.document).encode())


class Denied(Refused):
    """A refusal with its JSON body."""

    def __init__(self, status, document, why=None, **headers):
        super().__init__(status, str(document.get("error") or status), why, **headers)
        self.document = document


def oauth(status, error, description, why=None, **more):
    return Denied(status, {"error": error, "error_description": description, **more}, why)


def refusal(status, error, description="What went wrong.", **headers):
    """A fault: the form in which IMDS and Entra refuse."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"error": error, "error_description": description}).encode()
    return lambda exchange: exchange.send(Reply(status, headers, body))


def answers(document, status=200):
    """A fault: this JSON, or this text."""
    body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    return lambda exchange: exchange.send(Reply(status, {}, body))


def check_direct(request, refuse):
    """A request that nobody passed on. refuse(why) makes what is raised."""
    if not request.path.startswith("/"):
        raise refuse("it came as to a proxy")
    for name in BETWEEN:
        if name in request.headers:
            raise refuse(f"it came with {name}")
    if len(request.headers.get_all("Host") or []) != 1:
        raise refuse("not one Host")


def one_header(request, name):
    """A header's value; "" when there is none, or when it stands twice."""
    values = request.headers.get_all(name) or []
    return values[0] if len(values) == 1 else ""


def parameters(text, refuse):
    """{name: value} of a query or a form. Each once, encoded well. refuse(why) makes what is raised."""
    values = {}
    for pair in text.split("&") if text else ():
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*", value):
            raise refuse(f"{name} is not encoded")
        if name in values:
            raise refuse(f"{name} stands twice")
        values[name] = urllib.parse.unquote(value)
    return values
