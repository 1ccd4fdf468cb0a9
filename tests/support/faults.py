# SPDX-License-Identifier: MIT
"""Bad answers for the fake queue service. Each is a function of one exchange; most are made by a function that takes
what varies. Unless it says so, the work that was asked for is not done."""
import time

from support.exchange import Reply, http_date
from support.fake_queue import error_body, listing

HTML = (b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please accept our terms. <br> "
        b"<code>&nbsp;</code></body></html>")
CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def reply(status, body=b"", **headers):
    """A whole answer, framed well."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.send(Reply(status, headers, body))


def error(status, code=None, detail=None, message="What went wrong.", where="both", **headers):
    """What the service says when it refuses. where: the code stands in the header, the body, both, or no place."""
    def play(exchange):
        extra = {"AuthenticationErrorDetail": detail} if detail else {}
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        if where in ("header", "both") and code:
            own["x-ms-error-code"] = code
        body = error_body(code, message, **extra) if where in ("body", "both") and code else b""
        exchange.send(Reply(status, own, body))
    return play


def challenge(status=401, code="NoAuthenticationInformation"):
    return error(status, code, WWW_Authenticate="Bearer authorization_uri=https://login.microsoftonline.com/tenant/"
                 "oauth2/authorize resource_id=https://storage.azure.com")


def in_seconds(seconds):
    """A Retry-After as an HTTP date."""
    def play(exchange):
        error(503, "ServerBusy", Retry_After=http_date(time.time() + seconds))(exchange)
    return play


def html(status):
    """A page of something between us and the service, which has none of the service's headers."""
    def play(exchange):
        exchange.raw(exchange.head(Reply(status, {"Content-Type": "text/html"}, HTML), Server="proxy",
                                   **{"x-ms-request-id": None, "x-ms-version": None}) + HTML)
    return play


def after_the_work(answer):
    """Does what was asked, and then answers so."""
    def play(exchange):
        exchange.perform()
        answer(exchange)
    return play


# --- bodies that do not end well ---

def cut(status=200, body=listing([])):
    """Content-Length promises more than comes."""
    def play(exchange):
        exchange.raw(exchange.head(Reply(status, {}, body), **{"Content-Length": len(body) + 10}) + body)
        exchange.close()
    return play


def cut_list(exchange):
    """The messages are taken, and the answer that brings them breaks off in the midst of them."""
    real = exchange.perform()
    exchange.raw(exchange.head(real) + real.body[:-30])
    exchange.close()


def only_headers(status=200):
    def play(exchange):
        exchange.raw(exchange.head(Reply(status, {}, b"x" * 100)))
        exchange.close()
    return play


def half_a_header(exchange):
    exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Le")
    exchange.close()


def unended_chunks(status=200, body=listing([])):
    def play(exchange):
        exchange.raw(exchange.head(Reply(status), **CHUNKED) + b"%x\r\n%s\r\n" % (len(body), body))
        exchange.close()
    return play


def bad_chunks(exchange):
    exchange.raw(exchange.head(Reply(200), **CHUNKED)
                 + b"zz\r\n<QueueMessagesList/>\r\n0\r\n\r\n")
    exchange.close()


def tiny_chunks(exchange):
    """The right answer, in well-formed chunks of a byte each."""
    real = exchange.perform()
    exchange.service.told(real, exchange)
    if not real.body:
        exchange.raw(exchange.head(real))
        return
    exchange.raw(exchange.head(real, **CHUNKED))
    for i in range(0, len(real.body), 50):
        exchange.raw(b"".join(b"1\r\n%c\r\n" % byte for byte in real.body[i:i + 50]))
    exchange.raw(b"0\r\n\r\n")


def with_bom(exchange):
    """The right answer behind a byte order mark."""
    real = exchange.perform()
    exchange.send(real._replace(body=b"\xef\xbb\xbf" + real.body if real.body else b""))


def pour(exchange, data):
    """Sends this again and again, as fast as it is taken."""
    try:
        while not exchange.service.closing.is_set():
            exchange.raw(data)
    except OSError:
        pass
    exchange.close()


def endless(exchange):
    """A body that never ends."""
    exchange.raw(exchange.head(Reply(200), **{"Content-Length": None, "Connection": "close"})
                 + b"<?xml version='1.0'?><QueueMessagesList>")
    pour(exchange, b"<QueueMessag/>" * 4096)


def endless_headers(exchange):
    exchange.raw(b"HTTP/1.1 200 OK\r\n")
    pour(exchange, b"x-ms-more: and more of it\r\n" * 64)


def endless_interims(exchange):
    """Promises of an answer."""
    pour(exchange, b"HTTP/1.1 100 Continue\r\n\r\n" * 64)


def with_another_behind(exchange):
    """The right answer, and one behind it that nobody asked for."""
    real = exchange.perform()
    exchange.service.told(real, exchange)
    exchange.raw(exchange.head(real) + real.body + exchange.head(Reply(404, {"x-ms-error-code": "MessageNotFound"})))


# --- time ---

def dribble(exchange):
    """One byte every so often, for ever."""
    exchange.raw(exchange.head(Reply(200, {}, b" " * 1000000)))
    while not exchange.wait_for_client(0.1):
        exchange.raw(b" ")


def dribbled_headers(exchange):
    exchange.raw(b"HTTP/1.1 200 OK\r\nx-ms-slow: ")
    while not exchange.wait_for_client(0.1):
        exchange.raw(b"a")


def silence(exchange):
    exchange.wait_for_client()


# --- connections ---

def reset(exchange):
    exchange.reset()


def hang_up(exchange):
    exchange.close()


def garbage(exchange):
    exchange.raw(b"\x16\x03\x01SSH-2.0-OpenSSH_9.2\r\n\x00\xff\xfe garbage\r\n\r\n")
    exchange.close()
