# SPDX-License-Identifier: MIT
"""A bad way to the storage service: what a network, a load balancer or a failing service can do to a request.

What is fair: anything that some machine between may do to bytes, and any answer of 400 to 599 to a request that the
service never saw. Not fair, for no real service says it: MessageNotFound or PopReceiptMismatch for a message that is
there with that receipt, and a success that did not happen. The service's own words of that kind do come: a request
that is sent twice finds the message gone or its receipt void the second time, and either answer may be the one that
is seen."""
import asyncio
import collections
import random
import socket
import struct
import threading

# Statuses with the service's own codes; others come bare, as from a machine between.
CODES = {400: ["InvalidHeaderValue", "OutOfRangeInput"], 403: ["AuthenticationFailed", "AuthorizationFailure"],
         404: ["QueueNotFound", "ResourceNotFound"], 409: ["QueueBeingDeleted"], 413: ["RequestBodyTooLarge"],
         500: ["InternalError", "OperationTimedOut"], 503: ["ServerBusy"]}
ERROR = ('<?xml version="1.0" encoding="utf-8"?><Error><Code>{0}</Code><Message>Told by the way.\n'
         "RequestId:0\nTime:0</Message></Error>")

Request = collections.namedtuple("Request", "head body operation")
Plan = collections.namedtuple("Plan", "kind dice")


class Reset(Exception):
    """The connection to the daemon is to break."""


class Faults:
    """Which fault meets which request: the same for the same seed. Each kind comes once before any comes again."""

    def __init__(self, seed, kinds):
        self._seed, self._kinds, self._deck = seed, list(kinds), []
        self._dice, self._index = random.Random(f"{seed}/proxy"), 0

    def next(self, rate):
        self._index += 1
        if self._dice.random() >= rate:
            return None
        if not self._deck:
            self._deck = self._dice.sample(self._kinds, len(self._kinds))
        return Plan(self._deck.pop(), random.Random(f"{self._seed}/proxy/{self._index}"))


class Proxy:
    """Listens on a port of its own, in a thread of its own. `rate` may be set at any time."""

    def __init__(self, port, seed, rate=0.0, patience_s=1.0):
        self.upstream, self.rate, self.patience_s = port, rate, patience_s
        self.asked, self.met = collections.Counter(), collections.Counter()
        self._faults = Faults(seed, KINDS)
        self._loop, self._thread, self._tasks = asyncio.new_event_loop(), None, set()
        self._server = None
        self.port = None

    def start(self):
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _close(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def through(self, queue):
        """A queue's URL by this way."""
        return queue.url.replace(f":{self.upstream}/", f":{self.port}/")

    def summary(self):
        total, faults = sum(self.asked.values()), sum(self.met.values())
        share = f"{100 * faults / total:.1f} %" if total else "none"
        return f"{dict(self.asked)}; faults {share}: {dict(self.met)}"

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            while (request := await read_request(reader)) is not None:
                self.asked[request.operation] += 1
                plan = self._faults.next(self.rate)
                if plan is None:
                    writer.write(await self.forward(request))
                else:
                    self.met[plan.kind] += 1
                    if not await KINDS[plan.kind](self, request, plan.dice, writer):
                        break
                await writer.drain()
        except Reset:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the daemon hung up, or the service did
        finally:
            self._tasks.discard(task)
            writer.close()

    async def forward(self, request):
        """Has the service answer, on a connection of its own; the answer's bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(request.head + request.body)
            return await read_answer(reader)
        finally:
            writer.close()


async def read_head(reader):
    """(bytes, {lower-case name: value}) up to the empty line."""
    head = await reader.readuntil(b"\r\n\r\n")
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:] if line)
    return head, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def read_request(reader):
    try:
        head, headers = await read_head(reader)
    except asyncio.IncompleteReadError:
        return None
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return Request(head, body, operation_of(method, target.partition("?")[0]))


async def read_answer(reader):
    head, headers = await read_head(reader)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            line = await reader.readuntil(b"\r\n")
            body += line + await reader.readexactly(int(line, 16) + 2)
        return head + body
    return head + await reader.readexactly(int(headers.get("content-length", 0)))


def operation_of(method, path):
    parts = path.strip("/").split("/")
    if len(parts) > 3:
        return {"PUT": "update", "DELETE": "delete"}.get(method, "other")
    if parts[-1] == "messages":
        return {"GET": "get", "POST": "put"}.get(method, "other")
    return {"GET": "metadata", "PUT": "create"}.get(method, "other")


# --- the faults: each returns whether the connection may go on ---


async def cut(_, request, dice, writer):
    """The request does not arrive."""
    del request, dice, writer
    return False


async def lose(proxy, request, dice, writer):
    """The request took effect; its answer does not arrive."""
    del dice, writer
    await proxy.forward(request)
    return False


async def delay(proxy, request, dice, writer):
    """The answer comes late: in time, or after the daemon has given up."""
    answer = await proxy.forward(request)
    await asyncio.sleep(dice.choice([dice.uniform(0.05, 0.5), proxy.patience_s * dice.uniform(1.1, 2)]))
    writer.write(answer)
    return True


async def late(proxy, request, dice, writer):
    """The request itself comes late, perhaps when the daemon has given up and asked again."""
    await asyncio.sleep(dice.choice([dice.uniform(0.05, 0.5), proxy.patience_s * dice.uniform(1.1, 2)]))
    writer.write(await proxy.forward(request))
    return True


async def truncate(proxy, request, dice, writer):
    """The answer ends too early."""
    answer = await proxy.forward(request)
    writer.write(answer[:dice.randrange(1, len(answer))])
    return False


async def repeat(proxy, request, dice, writer):
    """The request arrives twice, and one of the answers comes back."""
    answers = [await proxy.forward(request), await proxy.forward(request)]
    writer.write(dice.choice(answers))
    return True


async def status(_, request, dice, writer):
    """A machine between refuses it, in its own words."""
    del request
    number = dice.randrange(400, 600)
    body = dice.choice([b"", b"<html><body>no</body></html>", dice.randbytes(100)])
    writer.write(answer_of(number, b"Content-Type: text/html\r\n", body))
    return True


async def error(_, request, dice, writer):
    """The service refuses it."""
    del request
    number = dice.choice(list(CODES))
    code = dice.choice(CODES[number])
    writer.write(answer_of(number, f"x-ms-request-id: 0\r\nx-ms-error-code: {code}\r\n".encode(),
                           ERROR.format(code).encode()))
    return True


async def reset(proxy, request, dice, _):
    """The connection breaks, before the request took effect or after."""
    if dice.random() < 0.5:
        await proxy.forward(request)
    raise Reset


async def garbage(proxy, request, dice, writer):
    """Something comes back that is no answer, whether the request took effect or not."""
    if dice.random() < 0.5:
        await proxy.forward(request)
    writer.write(dice.choice([b"", b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"]) + dice.randbytes(300))
    return False


async def slow(proxy, request, dice, writer):
    """The answer trickles in."""
    answer, pieces = await proxy.forward(request), dice.randrange(5, 20)
    pause = proxy.patience_s * dice.uniform(0.1, 1.5) / pieces
    for at in range(0, len(answer), len(answer) // pieces + 1):
        writer.write(answer[at:at + len(answer) // pieces + 1])
        await writer.drain()
        await asyncio.sleep(pause)
    return True


KINDS = {kind.__name__: kind
         for kind in (cut, lose, delay, late, truncate, repeat, status, error, reset, garbage, slow)}


def answer_of(number, headers, body):
    return (f"HTTP/1.1 {number} Some Reason\r\nContent-Length: {len(body)}\r\n".encode() + headers + b"\r\n" + body)
