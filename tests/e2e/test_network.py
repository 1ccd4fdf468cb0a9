# SPDX-License-Identifier: MIT
"""The way to the storage service fails: names, connections, TLS, proxies. The daemon runs in a network of its own, of
which no packet gets out."""
import json
import re
import socket
import time

import pytest

from support import messages, process
from support.azurite import ACCOUNT
from support.certificates import Certificates
from support.daemon import exec_hook
from support.fronts import Proxy, TlsFront
from support.network import PrivateNetwork
from support.wait import wait_until

HOST = f"{ACCOUNT}.queue.test"


class World:
    """A network with a TLS front of the storage service in it, and a daemon there."""

    def __init__(self, place, azurite, queue, scripts, daemon):
        self.network = PrivateNetwork(place / "network")
        self.network.know(HOST)
        self.certificates = Certificates(place / "certificates", f"DNS:{HOST}")
        self.stranger = Certificates(place / "stranger", f"DNS:{HOST}")
        self.ca_file = place / "ca.pem"
        self.trust(self.certificates)
        self.front = TlsFront(self.network.listen, self.certificates.pair, azurite.queue_port)
        self._queue, self._scripts, self._daemon = queue, scripts, daemon
        self._proxies = []

    def trust(self, certificates):
        """The daemon's CA file: a copy of an authority's certificate."""
        self.ca_file.write_bytes(certificates.ca.read_bytes())

    def proxy(self):
        """A proxy in the network, through which one comes to a TLS front outside; and its URL."""
        outside = TlsFront(lambda port: socket.create_server(("127.0.0.1", port)), self.certificates.pair,
                           self.front.target)
        proxy = Proxy(self.network.listen, outside.port)
        self._proxies += [proxy, outside]
        return proxy, f"http://{self.network.ADDRESS}:{proxy.port}"

    def start(self, url, env=None, queues=(), **http):
        """A daemon with a queue at this URL, others beside it, and one hook that records."""
        settings = {"ca_file": str(self.ca_file), "timeout": "20s", **http}
        return self._daemon({"http": {name: value for name, value in settings.items() if value is not None},
                             "queues": [self._queue.config(url=f"{url}/{self._queue.name}"), *queues],
                             "hooks": [exec_hook("hook", "*", self._scripts.recording("hook"))]},
                            before=self.network.before, env=env)

    def close(self):
        for front in (*self._proxies, self.front):
            front.go_away()
        self.network.close()


@pytest.fixture
def world(place, azurite, queue, scripts, daemon):
    world = World(place, azurite, queue, scripts, daemon)
    yield world
    world.close()


WAIT = re.compile(r"retrying in ([0-9.]+)(ms|s)$")


def check_waits(running):
    """Each wait is between half and the whole of a span that doubles from 500 ms, to 15 s at most."""
    span = 500
    for line in queue_lines(running):
        value, unit = WAIT.search(line["message"]).groups()
        wait_ms = float(value) * (1000 if unit == "s" else 1)
        assert span / 2 - 50 <= wait_ms <= span + 50, line
        span = min(2 * span, 15000)


def queue_lines(running, level=None):
    """What was said of the queue: failures at a level that a person sees, or at debug."""
    lines = [json.loads(line) for line in running.logged("queue can not be read")]
    return [line for line in lines if (line["level"] != "debug") == (level != "debug")] if level else lines


def said(running):
    return [line["message"] for line in queue_lines(running, "seen")]


def failures(running):
    return len(queue_lines(running))


SILENCE = "within 2s"


def patience(words):
    """Where silence is what is to be said, it must not last long."""
    return {"timeout": "2s"} if SILENCE in words else {}


# What goes wrong, how it is mended, and what the one line about it must hold.
FAULTS = {
    "a name that is not known": (
        lambda world: world.network.know(),
        lambda world: world.network.know(HOST),
        (HOST, "name is not known", "DNS")),
    "a name server that never answers": (
        lambda world: world.network.silence_names(),
        lambda world: world.network.know(HOST),
        (HOST, SILENCE, "not resolved", "DNS")),
    "a refused connection": (
        lambda world: world.front.go_away(),
        lambda world: world.front.come_back(),
        (f"{HOST}:PORT", "Connection refused")),
    "a handshake that is never answered": (
        lambda world: world.front.behave("silent"),
        lambda world: world.front.behave("serve"),
        (f"{HOST}:PORT", SILENCE, "TLS handshake")),
    "plain HTTP at the TLS port": (
        lambda world: world.front.behave("plain"),
        lambda world: world.front.behave("serve"),
        (f"{HOST}:PORT", "is TLS spoken at this port?")),
    "an unknown authority": (
        lambda world: world.front.use(world.stranger.pair),
        lambda world: world.front.use(world.certificates.pair),
        (f"{HOST}:PORT", "issuer", "http.ca_file")),
    "a CA file without the authority": (
        lambda world: world.trust(world.stranger),
        lambda world: world.trust(world.certificates),
        (f"{HOST}:PORT", "issuer", "http.ca_file")),
    "a certificate for another host": (
        lambda world: world.front.use(world.certificates.issue("other", "DNS:other.test")),
        lambda world: world.front.use(world.certificates.pair),
        (f"{HOST}:PORT", "another host", "URL")),
    "a certificate that is not for servers": (
        lambda world: world.front.use(world.certificates.issue("client", f"DNS:{HOST}", use="clientAuth")),
        lambda world: world.front.use(world.certificates.pair),
        (f"{HOST}:PORT", "purpose", "see the host's certificate")),
    "a certificate of tomorrow": (
        lambda world: world.front.use(world.certificates.issue("new", f"DNS:{HOST}", days=(1, 2))),
        lambda world: world.front.use(world.certificates.pair),
        (f"{HOST}:PORT", "not yet valid", "clock")),
    "an expired certificate": (
        lambda world: world.front.use(world.certificates.issue("old", f"DNS:{HOST}", days=(-2, -1))),
        lambda world: world.front.use(world.certificates.pair),
        (f"{HOST}:PORT", "expired", "renewed", "clock")),
}


def check_said(running, *words):
    """One line, with all these words in it."""
    assert len(said(running)) == 1, said(running)
    assert [word for word in words if word not in said(running)[0]] == [], said(running)[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_network_is_said_once_and_outlived(world, fault, queue, scripts):
    begin, mend, words = FAULTS[fault]
    # given a way to the queue that does not lead there, and a message
    begin(world)
    message = queue.post(messages.training())
    # when a daemon starts
    running = world.start(f"https://{HOST}:{world.front.port}", **patience(words))
    wait_until(lambda: failures(running) >= 4, 25, "some tries")
    # then it waits longer each time, knocks no more often than it says, and says once what is wrong and what mends it
    assert len(world.front.knocks) <= failures(running) + 1  # one may be under way
    check_waits(running)
    files = process.open_files(running.pid)
    check_said(running, *(word.replace("PORT", str(world.front.port)) for word in words))
    # and when the way is mended, it carries on by itself: nothing lost, nothing twice
    mend(world)
    wait_until(queue.is_empty, 30, "the message to be done")
    running.wait_logged("queue answers again")
    wait_until(lambda: process.open_files(running.pid) <= files + 2, 15, "no more files to be open than before")
    assert [r.message for r in scripts.runs("hook")] == [message]
    assert len(said(running)) == 1 and queue.records() == []




def test_the_network_of_these_tests_has_no_way_out(world):
    links = world.network.run("ip", "-o", "link").splitlines()
    assert len(links) == 1 and " lo:" in links[0]
    with pytest.raises(OSError):
        world.network.connect(("192.0.2.1", 443))


def test_a_ca_file_that_is_not_there(world, queue, scripts):
    # given a CA file that somebody moved away, and a message
    world.ca_file.unlink()
    message = queue.post(messages.training())
    # when a daemon starts
    running = world.start(f"https://{HOST}:{world.front.port}")
    wait_until(lambda: failures(running) >= 2, 15, "some tries")
    # then it says once which file that is
    check_said(running, "http.ca_file", str(world.ca_file))
    # and when it is back, it carries on by itself
    world.trust(world.certificates)
    wait_until(queue.is_empty, 30, "the message to be done")
    assert [r.message for r in scripts.runs("hook")] == [message]


def test_the_systems_certificates_count_where_no_file_is_named(world, queue):
    # given a system that trusts the front's authority
    world.network.trust(world.certificates)
    queue.post(messages.training())
    # when a daemon without a CA file starts
    world.start(f"https://{HOST}:{world.front.port}", ca_file=None)
    # then the message is done
    wait_until(queue.is_empty, 15, "the message to be done")


def test_where_a_ca_file_is_named_it_counts_alone(world, queue):
    # given a system that trusts the front's authority, and a CA file with another
    world.network.trust(world.certificates)
    world.trust(world.stranger)
    # when a daemon starts
    running = world.start(f"https://{HOST}:{world.front.port}")
    # then it trusts the other alone
    wait_until(lambda: failures(running) >= 2, 15, "some tries")
    check_said(running, HOST, "issuer", "http.ca_file")


def test_a_silent_name_server_holds_nothing_else_up(world, queue, new_queue, scripts):
    # given a queue whose name nobody resolves, and one that needs no name
    world.network.silence_names(patience_s=30)
    world.front.use(world.certificates.issue("address", f"IP:{world.network.ADDRESS}"))
    beside = new_queue()
    url = f"https://{world.network.ADDRESS}:{world.front.port}/{ACCOUNT}/{beside.name}"
    # when a daemon serves both (a message whose answer is lost comes again soon)
    running = world.start(f"https://{HOST}", timeout="1s", queues=[beside.config(url=url, poll_max="100ms", lease="4s")])
    running.wait_logged("not resolved")
    # then the one does not wait for the other's name
    for _ in range(5):
        posted, began = beside.post(messages.training()), time.monotonic()
        wait_until(lambda: scripts.runs("hook", posted), 5, "the message to be served")
        assert time.monotonic() - began < 15
    # and a stop does not either
    began = time.monotonic()
    assert running.terminate(30) == 0
    assert time.monotonic() - began < 15


# --- proxies ---

@pytest.mark.parametrize("where", ["http.proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_is_used(world, queue, scripts, where):
    # given a name that only a proxy knows
    world.network.know()
    proxy, url = world.proxy()
    message = queue.post(messages.training())
    # when the configuration or the environment names that proxy, with a password
    url = url.replace("://", "://somebody:proxy-secret@")
    how = {"proxy": url} if where == "http.proxy" else {"env": {where: url}}
    running = world.start(f"https://{HOST}:443", **how)
    # then the message comes through it
    wait_until(queue.is_empty, 15, "the message to be done")
    assert [r.message for r in scripts.runs("hook")] == [message]
    assert {target for target, _ in proxy.requests} == {f"{HOST}:443"}
    assert all(headers["proxy-authorization"].startswith("Basic ") for _, headers in proxy.requests)
    # and one connection serves all requests; what is for the service, a signature, is not for the proxy
    assert len(proxy.requests) <= 2
    assert all("authorization" not in headers for _, headers in proxy.requests)
    assert said(running) == [] and "proxy-secret" not in running.log()


def test_the_settings_proxy_goes_before_the_environments(world, queue):
    # given one proxy in the configuration and another in the environment
    proxy, url = world.proxy()
    other, other_url = world.proxy()
    queue.post(messages.training())
    # when a daemon starts
    world.start(f"https://{HOST}:443", proxy=url, env={"https_proxy": other_url})
    # then it uses the first
    wait_until(queue.is_empty, 15, "the message to be done")
    assert proxy.requests and not other.requests


@pytest.mark.parametrize("where", ["127.0.0.1", "localhost", "169.254.7.7", f"example.test,{HOST}", "*"])
def test_no_proxy_for_this_machine_its_link_and_whom_no_proxy_names(world, queue, where):
    # given a front at a place that is not to be reached through a proxy, and proxies all around
    no_proxy = where if where == "*" or HOST in where else "example.test"
    host = HOST if no_proxy == where else where
    names = {"localhost": "DNS:localhost", HOST: f"DNS:{HOST}"}.get(host, f"IP:{host}")
    front = TlsFront(lambda port: world.network.listen(port, "0.0.0.0"), world.certificates.issue("near", names),
                     world.front.target)
    proxy, url = world.proxy()
    environment = {"https_proxy": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "no_proxy": no_proxy}
    queue.post(messages.training())
    # when a daemon is told of them in every way
    account = "" if host == HOST else f"/{ACCOUNT}"
    world.start(f"https://{host}:{front.port}{account}", proxy=url, env=environment)
    # then it goes there directly
    wait_until(queue.is_empty, 15, "the message to be done")
    assert front.knocks and not proxy.knocks
    front.go_away()


PROXY_FAULTS = {
    "wants a password": (
        lambda proxy: proxy.refuse("407 Proxy Authentication Required"), lambda proxy: proxy.refuse(None),
        (HOST, "the proxy answered 407", "http.proxy: http://USER:PASSWORD@")),
    "forbids it": (
        lambda proxy: proxy.refuse("403 Forbidden"), lambda proxy: proxy.refuse(None),
        (HOST, "the proxy answered 403", "does not let this machine through")),
    "can not get there": (
        lambda proxy: proxy.refuse("502 Bad Gateway"), lambda proxy: proxy.refuse(None),
        (HOST, "the proxy answered 502", "could not reach the host")),
    "is down": (
        lambda proxy: proxy.go_away(), lambda proxy: proxy.come_back(),
        (HOST, "10.9.8.7 port PORT", "Connection refused", "http.proxy")),
    "never answers": (
        lambda proxy: proxy.refuse("silence"), lambda proxy: proxy.refuse(None),
        (HOST, SILENCE, "no connection", "proxies")),
    "hangs up": (
        lambda proxy: proxy.refuse(""), lambda proxy: proxy.refuse(None),
        (HOST, "no connection", "Proxy CONNECT aborted")),
}


@pytest.mark.parametrize("fault", PROXY_FAULTS)
def test_a_proxy_that_fails_is_said_once_and_outlived(world, queue, scripts, fault):
    begin, mend, words = PROXY_FAULTS[fault]
    # given a proxy that does not let us through, and a message
    proxy, url = world.proxy()
    begin(proxy)
    message = queue.post(messages.training())
    # when a daemon has no other way
    running = world.start(f"https://{HOST}:443", proxy=url.replace("://", "://somebody:proxy-secret@"),
                          **patience(words))
    wait_until(lambda: failures(running) >= 4, 25, "some tries")
    # then it waits longer each time, and says once what is wrong and what mends it
    check_waits(running)
    check_said(running, *(word.replace("PORT", str(proxy.port)) for word in words))
    # and when the proxy is mended, it carries on by itself: nothing lost, nothing twice, no secret said
    mend(proxy)
    wait_until(queue.is_empty, 30, "the message to be done")
    assert [r.message for r in scripts.runs("hook")] == [message]
    assert len(said(running)) == 1 and queue.records() == []
    assert "proxy-secret" not in running.log()


@pytest.mark.parametrize("proxy", ["ftp://somebody:proxy-secret@10.9.8.7:1", "http://somebody:proxy-secret@[x]:1"])
def test_a_proxy_that_can_not_be_one_is_said_without_its_password(world, queue, proxy):
    # given a proxy's URL in the environment that libcurl can not use (in http.proxy it would be a mistake)
    # when a daemon starts
    running = world.start(f"https://{HOST}:443", env={"https_proxy": proxy})
    # then it says so, and keeps the password to itself
    check_said(running, "http.proxy", "environment", "http://HOST:PORT")
    assert "proxy-secret" not in running.log()
