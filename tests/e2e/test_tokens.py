# SPDX-License-Identifier: MIT
"""The main job with tokens: every way to come by one, from the first through refreshes; how tokens are shared, kept,
replaced and dropped."""
import collections
import json
import signal
import urllib.parse
import uuid

import pytest

from support import faults, messages
from support.daemon import exec_hook
from support.fake_queue import TENANT
from support.issuer import oauth
from support.managed import Imds
from support.tokens import WAYS, Way
from support.wait import stays_true, wait_until

REFRESHES, BATCH = 20, 10
FAST = {"poll_min": "20ms", "poll_max": "100ms", "parallel": 32}


def lacked(running):
    """What was said of anything that could not be done."""
    return running.logged_any('"warning"', '"err"', "can not be")


@pytest.mark.parametrize("way", WAYS)
def test_the_main_job_goes_on_while_tokens_come_and_go(world, safe_queue, way):
    # given tokens that are good for a second, as their holder is told, and not for much longer; and a queue that takes
    # nothing else from the daemon
    way = WAYS[way](world)
    way.issuer.life_s, way.issuer.longer_s = 1, 2
    # when messages keep coming while twenty tokens follow the first
    running = world.start(way, [safe_queue.config(identity="machine", **FAST)], [world.lines()])
    posted = []
    for count in range(REFRESHES):
        way.tick()
        posted += safe_queue.post_all([json.dumps(messages.training()) for _ in range(BATCH)])
        wait_until(lambda: len(way.issuer.tokens) >= count + 2, 10, "the next token")
    wait_until(safe_queue.is_empty, 15, "the messages to be done")
    # then each has its line, once, and nothing failed for lack of a token
    assert sorted(world.done()) == sorted(posted) and len(posted) == REFRESHES * BATCH
    assert len(way.issuer.tokens) > REFRESHES and safe_queue.poison().is_empty()
    assert lacked(running) == []
    # and whoever wanted a token, one was asked for at a time
    assert way.issuer.most_at_once == 1


# --- one token for all ---

def test_queues_with_one_identity_share_its_token(world, oauth_azurite, safe_queue, new_safe_queue):
    # given two queues with one identity
    way = WAYS["IMDS"](world)
    queues = [safe_queue, new_safe_queue(), new_safe_queue()]
    configured = [queue.config(identity="machine") for queue in queues]
    running = world.start(way, configured[:2], [world.lines()])
    # when both get messages
    posted = [queue.post(messages.training()) for queue in queues for _ in range(3)]
    wait_until(lambda: all(queue.is_empty() for queue in queues[:2]), 15, "the messages to be done")
    # then their issuer was asked once
    assert len(way.issuer.asked()) == 1
    # and when a third comes with a reload, it serves that too; one more is got, for something may have changed
    running.reload(world.config(way, configured, [world.lines()]))
    wait_until(queues[2].is_empty, 15, "the third queue to be empty")
    wait_until(lambda: len(way.issuer.asked()) == 2, 10, "another token")
    stays_true(lambda: len(way.issuer.asked()) == 2, 1.5, "no third token is got")
    assert sorted(world.done()) == sorted(posted) and lacked(running) == []


def test_two_identities_have_a_token_each(world, safe_queue, new_safe_queue):
    # given two identities of one machine
    other = new_safe_queue()
    issuer = world.issuer(Imds, users=("one", "two"))
    names = [{**issuer.config(endpoint=issuer.endpoint, client_id=user.client_id), "name": name}
             for name, user in zip(("one", "two"), issuer.users)]
    way = Way(issuer, names[0])
    world.start(way, [safe_queue.config(identity="one"), other.config(identity="two")], [world.lines()], identities=names)
    # when each has its message, then each was asked for once
    for queue in (safe_queue, other):
        queue.post(messages.training())
        wait_until(queue.is_empty, 15, "the queue to be empty")
    assert sorted(token.owner for token in issuer.tokens) == sorted(issuer.users)


# --- a service that does not take the token ---

def bearer(queue, **settings):
    return queue.config(identity="machine", **settings)


def times_sent(service, operation):
    """How often each request of that operation was sent."""
    return collections.Counter(r.headers["x-ms-client-request-id"] for r in service.requests if r.operation == operation)


@pytest.mark.parametrize("operation", ["Get", "Update", "Delete"])
def test_a_revoked_token_is_replaced_and_the_request_repeated_once(world, safe_fake, scripts, operation):
    # given a daemon at work with a token
    queue, issuer = safe_fake.queue(), world.issuer(Imds)
    safe_fake.trust(issuer)
    go = world.place / "go"
    hook = exec_hook("hook", "*", scripts.recording("hook", f"while [ ! -e {go} ]; do sleep 0.05; done"))
    running = world.start(Way(issuer, issuer.config(endpoint=issuer.endpoint)), [bearer(queue, lease="4s")], [hook])
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("hook", message), 10, "the hook to run")
    # when it is revoked, before the next request of this kind
    safe_fake.answer("*", revoke_before(safe_fake, operation))
    if operation == "Update":
        wait_until(lambda: len(issuer.tokens) == 2, 10, "another token")
    go.touch()
    wait_until(queue.is_empty, 10, "the message to be done")
    wait_until(lambda: len(issuer.tokens) == 2, 10, "another token")
    # then that was sent once more with another, and nothing else happened
    running.wait_logged("message done")
    assert max(times_sent(safe_fake, operation).values()) == 2
    assert [run.message for run in scripts.runs()] == [message]
    assert lacked(running) == [] and len(issuer.asked()) == 2


def test_a_token_that_is_revoked_under_many_requests_is_replaced_once(world, safe_fake, scripts):
    # given sixteen hooks that end together
    queue, issuer = safe_fake.queue(), world.issuer(Imds)
    safe_fake.trust(issuer)
    go = world.place / "go"
    hook = exec_hook("hook", "*", scripts.recording("hook", f"while [ ! -e {go} ]; do sleep 0.05; done"), parallel=16)
    running = world.start(Way(issuer, issuer.config(endpoint=issuer.endpoint)), [bearer(queue, parallel=16)], [hook])
    posted = [queue.post(messages.training()) for _ in range(16)]
    wait_until(lambda: len(scripts.runs("hook")) == 16, 20, "the hooks to run")
    # when the token is revoked, and the next answer takes a while
    issuer.fails(slowly)
    safe_fake.tokens.clear()
    go.touch()
    wait_until(queue.is_empty, 20, "the messages to be done")
    # then each message has one delete, which was sent twice at most; and nothing was lost, doubled or told
    assert sorted(run.message for run in scripts.runs()) == sorted(posted)
    sent = times_sent(safe_fake, "Delete")
    assert len(sent) == 16 and max(sent.values()) == 2 and len(issuer.asked()) == 2
    assert lacked(running) == []


def slowly(exchange):
    exchange.wait_for_client(0.5)
    exchange.send(exchange.perform())


def revoke_before(service, operation):
    """The tokens are revoked when the next request of this operation comes."""
    done = []

    def play(exchange):
        if exchange.asked.operation == operation and not done:
            done.append(True)
            service.tokens.clear()
        exchange.send(exchange.perform())
    return play


def test_a_service_that_takes_no_token_costs_the_issuer_little(world, safe_fake):
    # given a service that refuses every token
    queue, issuer = safe_fake.queue(), world.issuer(Imds)
    safe_fake.trust(issuer)
    fault = safe_fake.answer("*", faults.challenge(401, "InvalidAuthenticationInfo"))
    message = queue.post(messages.training())
    running = world.start(Way(issuer, issuer.config(endpoint=issuer.endpoint)), [bearer(queue)], [world.lines()])
    # when it was asked a few times
    wait_until(lambda: len(times_sent(safe_fake, "Get")) >= 3, 30, "some tries")
    # then one other token was tried, and one line says who we are to the service, and what is wrong
    assert len(issuer.tokens) == 2 and max(times_sent(safe_fake, "Get").values()) == 2
    (line,) = running.logged("queue can not be read", '"err"')
    assert all(word in line for word in ("401", "InvalidAuthenticationInfo", issuer.system.object_id, issuer.tenant)), line
    # and when it takes them again, nothing is lost
    fault.lift()
    running.signal(signal.SIGUSR1)
    wait_until(queue.is_empty, 40, "the message to be done")
    assert world.done() == [message]


def test_a_token_of_another_tenant(world, safe_fake):
    # given an identity of another tenant than the account's
    queue, issuer = safe_fake.queue(), world.issuer(Imds)
    safe_fake.trust(issuer)
    issuer.tenant = str(uuid.uuid4())
    running = world.start(Way(issuer, issuer.config(endpoint=issuer.endpoint)), [bearer(queue)], [world.lines()])
    # when it was refused, then one line names both
    running.wait_logged("queue can not be read", '"err"')
    (line,) = running.logged("queue can not be read", '"err"')
    assert [word for word in ("401", "the account is of the tenant " + TENANT, issuer.tenant) if word not in line] == [], line


# --- rights ---

def test_without_a_role_the_line_names_it(world, safe_fake):
    # given an identity without a role
    queue, issuer = safe_fake.queue(), world.issuer(Imds)
    safe_fake.trust(issuer)
    safe_fake.rights.clear()
    message = queue.post(messages.training())
    running = world.start(Way(issuer, issuer.config(endpoint=issuer.endpoint)), [bearer(queue)], [world.lines()])
    # then one line names the role, whom to give it to, and that this takes minutes
    running.wait_logged("queue can not be read", '"err"')
    (line,) = running.logged("queue can not be read", '"err"')
    words = ("403", "AuthorizationPermissionMismatch", "Storage Queue Data Message Processor", issuer.system.object_id, "minutes")
    assert [word for word in words if word not in line] == [], line
    # and when it is granted, the daemon goes on by itself, with the token that it has
    safe_fake.rights.update(("Get", "Update", "Delete"))
    wait_until(queue.is_empty, 40, "the message to be done")
    assert world.done() == [message] and len(issuer.asked()) == 1


def test_a_message_processor_works_without_the_right_to_update(world, safe_fake, scripts):
    # given the rights of a Storage Queue Data Message Processor
    queue, issuer = safe_fake.queue(), world.issuer(Imds)
    safe_fake.trust(issuer)
    safe_fake.rights = {"Get", "Peek", "Delete"}
    # when a hook fails once, and one takes longer than the lease
    hook = exec_hook("hook", "*", scripts.recording("hook", "[ $run -ge 2 ] || { sleep 2.5; exit 1; }"), timeout="10s")
    running = world.start(Way(issuer, issuer.config(endpoint=issuer.endpoint)),
                          [bearer(queue, lease="2s", retry_delay=["1s"])], [hook])
    message = queue.post(messages.training())
    # then it is tried again all the same; one line says what follows, and the status which role there should be
    wait_until(queue.is_empty, 30, "the message to be done")
    assert [run.message for run in scripts.runs()] == [message, message]
    (line,) = running.logged("no right to update messages")
    assert all(word in line for word in ('"warning"', "not renewed", "Storage Queue Data Contributor")), line
    wait_until(lambda: "Storage Queue Data Contributor" in str(running.notify.messages[-1]), 5, "the status to tell of it")
    assert len(issuer.asked()) == 1


# --- what an issuer says ---

SHOWING = [way for way in WAYS if not way.startswith(("IMDS", "Cloud"))]  # the ways on which an issuer is shown a secret
HEADERS = ("X-IDENTITY-HEADER", "secret", "Authorization")
FIELDS = ("client_secret", "client_assertion")


def quoting(grant):
    """Instead of a token: what was shown to get it."""
    def quote(request):
        grant(request)
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        (shown,) = [request.headers[name].removeprefix("Basic ") for name in HEADERS if name in request.headers] or \
            [form[name] for name in FIELDS if name in form]
        raise oauth(401, "invalid_client", f"Nobody knows {shown} here.")
    return quote


@pytest.mark.parametrize("way", SHOWING)
def test_an_issuer_that_quotes_what_it_was_shown_is_not_quoted(world, safe_queue, way):
    # given an issuer whose refusals hold the secret
    way = WAYS[way](world)
    way.issuer.grant = quoting(way.issuer.grant)
    # when a daemon wants a token
    running = world.start(way, [safe_queue.config(identity="machine")], [world.lines()])
    # then it says that it was refused; and what it was shown is told nowhere, which is seen to at the end of each test
    running.wait_logged("queue can not be read", "401 invalid_client")
    assert running.logged("Nobody knows") == []
