# SPDX-License-Identifier: MIT
"""Where tokens go, and where they never do: hosts, redirects, proxies, plain HTTP, hooks, the log. The tests look at what
was on the wire."""
import json
import types

import pytest

from support import faults, messages
from support.daemon import exec_hook, run, write_config
from support.entra import Entra
from support.exchange import Reply
from support.fake_queue import FakeService, error_body
from support.fronts import Proxy
from support.managed import Imds
from support.network import PrivateNetwork
from support.tokens import WAYS, Way, principal, secret_file
from support.wait import wait_until

LOGIN = "login.test"


def named(issuer, **settings):
    return Way(issuer, issuer.config(endpoint=issuer.endpoint, **settings))


# --- plain HTTP ---

@pytest.mark.parametrize("host, allowed", [("queue.test", False), ("queue.test", True), ("10.9.8.7", True),
                                           ("169.254.7.7", True), ("127.0.0.1", False), ("localhost", False)])
def test_a_token_over_plain_http_is_a_mistake(place, world, host, allowed):
    # given a queue without TLS, on another machine, or on this one without permission
    way = named(world.issuer(Imds))
    path = "events" if host == "queue.test" else "fakeaccount/events"
    queue = {"name": "events", "url": f"http://{host}/{path}", "identity": "machine"}
    write_config(place / "plain.yaml", world.config(way, [queue], [world.lines()], allow_insecure=allowed), place)
    # when the configuration is checked
    result = run("-t", "-c", place / "plain.yaml")
    # then that is a mistake, with its line
    assert result.returncode == 78 and "plain.yaml:" in result.stderr and "https://" in result.stderr, result.stderr
    assert ("allow_insecure" in result.stderr) == (not allowed), result.stderr
    # and nobody was asked for a token
    assert not way.issuer.requests


def test_to_this_machine_a_token_may_go_without_tls_when_that_is_allowed(world, fake):
    # given a queue of this machine without TLS
    queue, way = fake.queue(), named(world.issuer(Imds))
    fake.trust(way.issuer)
    message = queue.post(messages.training())
    # when that is allowed, then it works
    world.start(way, [queue.config(identity="machine")], [world.lines()], allow_insecure=True)
    wait_until(queue.is_empty, 15, "the message to be done")
    assert world.done() == [message]
    # and the token went in its header, and nowhere else
    (token,) = way.issuer.tokens
    for request in fake.requests:
        assert request.headers.get_all("Authorization") == [f"Bearer {token.text}"]
        others = [value for name, value in request.headers.items() if name != "Authorization"]
        assert not any(token.text in text for text in (request.path, request.query, request.body.decode(), *others))


def test_a_reload_that_would_send_it_without_tls_changes_nothing(world, safe_fake, fake):
    # given a daemon that works over HTTPS
    queue, way = safe_fake.queue(), named(world.issuer(Imds))
    safe_fake.trust(way.issuer)
    good = world.config(way, [queue.config(identity="machine")], [world.lines()])
    running = world.start(way, good["queues"], good["hooks"])
    wait_until(lambda: way.issuer.tokens, 10, "the first token")
    # when it is told to go to a queue without TLS
    running.reload({**good, "queues": [fake.queue().config(identity="machine")]})
    # then it goes on as before
    running.wait_logged("https://", "token")
    message = queue.post(messages.training())
    wait_until(lambda: message in world.done(), 15, "the message's line")
    assert not fake.requests


# --- other hosts ---

@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_the_queue_gets_nothing(world, safe_fake, elsewhere, status, tls):
    # given a service that sends us to another port
    queue, way = safe_fake.queue(), named(world.issuer(Imds))
    safe_fake.trust(way.issuer)
    message = queue.post(messages.training())
    where = elsewhere.url if tls else elsewhere.plain_url
    fault = safe_fake.answer("*", faults.reply(status, Location=f"{where}/fakeaccount/events/messages"), times=2)
    # when a daemon asks it
    running = world.start(way, [queue.config(identity="machine")], [world.lines()])
    # then it goes nowhere, says so, and works when the service does
    wait_until(queue.is_empty, 20, "the message to be done")
    assert fault.count == 2 and world.done() == [message]
    assert elsewhere.connections == 0 and running.logged(str(status))


def test_a_models_uri_is_not_gone_to(world, safe_fake, elsewhere):
    # given a message that names a model on a port where somebody listens
    queue, way = safe_fake.queue(), named(world.issuer(Imds))
    safe_fake.trust(way.issuer)
    posted = [queue.post(messages.export(model_uri=f"{url}/models/model.onnx"))
              for url in (elsewhere.url, elsewhere.plain_url)]
    # when it is done
    world.start(way, [queue.config(identity="machine")], [world.lines()])
    wait_until(queue.is_empty, 15, "the messages to be done")
    # then nobody has gone there
    assert sorted(world.done()) == sorted(posted) and elsewhere.connections == 0


def test_a_challenge_does_not_say_where_to_show_who_we_are(world, safe_fake, elsewhere):
    # given a service that refuses a token, and names an authority of its own
    queue, way = safe_fake.queue(), named(world.issuer(Imds))
    safe_fake.trust(way.issuer)
    challenge = f"Bearer authorization_uri={elsewhere.url}/tenant/oauth2/authorize resource_id={elsewhere.url}"
    reply = Reply(401, {"x-ms-error-code": "InvalidAuthenticationInfo", "WWW-Authenticate": challenge},
                  error_body("InvalidAuthenticationInfo"))
    safe_fake.answer("*", lambda exchange: exchange.send(reply), times=1)
    queue.post(messages.training())
    world.start(way, [queue.config(identity="machine")], [world.lines()])
    # when another token has been got, then it was of the issuer that we know
    wait_until(queue.is_empty, 15, "the message to be done")
    assert len(way.issuer.tokens) == 2 and elsewhere.connections == 0


# --- proxies ---

class Far:
    """A network of the daemon's own: a queue service that only a proxy reaches, and proxies named in every way."""

    def __init__(self, place, certificates):
        self.network = PrivateNetwork(place / "network")
        self.network.know()
        self.host = self.network.ADDRESS
        pair = certificates.issue("far", f"IP:{self.host},DNS:{LOGIN}")
        self.certificates = types.SimpleNamespace(pair=pair)
        self.service = FakeService(self.certificates)
        self.targets = {f"{self.host}:443": self.service.port}
        self.proxy = Proxy(self.network.listen, self.targets)
        url = f"http://{self.host}:{self.proxy.port}"
        self.env = {name: url for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")}
        self.queue = self.service.queue("events")
        self.config = self.queue.config(identity="machine", url=f"https://{self.host}/fakeaccount/events")

    def close(self):
        self.proxy.go_away()
        self.service.close()
        self.network.close()
        assert not self.service.violations


@pytest.fixture
def far(place, certificates):
    made = Far(place, certificates)
    yield made
    made.close()


def check_proxy_learnt_nothing(far, *secrets):
    """Neither by what it was told, nor by what it passed on."""
    assert all(not {"authorization", "metadata", "x-identity-header"} & set(headers) for _, headers in far.proxy.requests)
    seen = far.proxy.passed + repr(far.proxy.requests).encode()
    assert far.proxy.passed and not any(secret.encode() in seen for secret in secrets)


@pytest.mark.parametrize("setting", [False, True])
def test_a_managed_identitys_source_is_never_asked_through_a_proxy(world, far, setting):
    # given proxies all around, and a source that is neither this machine nor link-local
    issuer = world.issuer(Imds, listen=far.network.listen)
    far.service.trust(issuer)
    message = far.queue.post(messages.training())
    http = {"proxy": far.env["http_proxy"]} if setting else {}
    # when a daemon works
    world.start(named(issuer), [far.config], [world.lines()], env=far.env, before=far.network.before, http=http)
    wait_until(far.queue.is_empty, 20, "the message to be done")
    # then it asked the source itself, and went to the queue through the proxy, which has seen no token
    assert world.done() == [message] and len(issuer.requests) == 1
    assert {target for target, _ in far.proxy.requests} == {f"{far.host}:443"}
    check_proxy_learnt_nothing(far, issuer.tokens[0].text, "Bearer")


def test_entra_is_asked_through_the_proxy_which_sees_no_secret(world, far):
    # given an Entra that only a proxy reaches
    entra = world.issuer(Entra, far.certificates)
    far.targets[f"{LOGIN}:443"] = entra.port
    far.service.trust(entra)
    application = entra.application()
    path = secret_file(world.place, "secret", application.secret())
    identity = {**principal(entra, application, client_secret_file=path), "authority": f"https://{LOGIN}"}
    message = far.queue.post(messages.training())
    # when a daemon works
    world.start(Way(entra, identity), [far.config], [world.lines()], env=far.env, before=far.network.before)
    wait_until(far.queue.is_empty, 20, "the message to be done")
    # then both went through the proxy, and it has learnt nothing
    assert world.done() == [message]
    assert {target for target, _ in far.proxy.requests} == {f"{far.host}:443", f"{LOGIN}:443"}
    check_proxy_learnt_nothing(far, entra.tokens[0].text, *entra.shown, "client_secret", "Bearer")


# --- what stays here ---

DUMP = """env > {0}/env.$$
tr '\\0' '\\n' < /proc/$$/cmdline > {0}/own.$$
tr '\\0' '\\n' < /proc/$PPID/cmdline > {0}/parent.$$
cat > {0}/input.$$
echo "and what it says"
"""


@pytest.mark.parametrize("way", ["App Service", "Azure ML", "Azure Arc", "workload by its variables", "secret v2", "certificate v2"])
def test_hooks_and_files_know_no_secret(world, safe_queue, scripts, way):
    # given a hook that looks around
    seen = world.place / "seen"
    seen.mkdir()
    way = WAYS[way](world)
    hook = exec_hook("look", "*", scripts.write("look", DUMP.format(seen)), pass_env=["LANG"])
    running = world.start(way, [safe_queue.config(identity="machine", poison={"url": safe_queue.poison().url})],
                          [hook, world.lines()])
    # when a message, poison, and a reload have come, with a token each
    safe_queue.post(messages.export())
    safe_queue.post("{oops}")
    wait_until(lambda: safe_queue.is_empty() and safe_queue.records(), 20, "the messages to be done")
    running.reload()
    wait_until(lambda: len(way.issuer.tokens) == 2, 15, "another token")
    safe_queue.post(messages.training())
    wait_until(safe_queue.is_empty, 15, "the message to be done")
    # then it has seen nothing of how we come by them
    texts = {path.name: path.read_text() for path in seen.iterdir()}
    assert len(texts) == 8 and all(texts[name] for name in texts if name.startswith(("env", "own", "input")))
    world.check_told_nothing({**texts, "lines": (world.place / "lines").read_text(),
                              "poison": json.dumps(safe_queue.records())})
    for name, text in texts.items():
        if name.startswith("env"):
            assert not set(way.env) & {line.partition("=")[0] for line in text.splitlines()}, name
    # nor would a core of the daemon tell, for there is none
    (limit,) = [line for line in open(f"/proc/{running.pid}/limits", encoding="ascii") if line.startswith("Max core file size")]
    assert limit.split()[4:6] == ["0", "0"]
