# SPDX-License-Identifier: MIT
"""Managed identities on a bad day: sources that fail, and what is said; when they are asked again; identities that are
not there; Azure Arc's file."""
import json
import os

import pytest

from support import faults, messages
from support.daemon import exec_hook
from support.issuer import answers, identity, refusal
from support.managed import Arc, AppService, AzureMl, Imds, OldAppService
from support.tokens import Way
from support.wait import wait_until

GRACE_S = 1.5  # for who is late on a busy machine


def said(running, *levels):
    """What was said of the queue; at a level that people see, unless told otherwise."""
    lines = [json.loads(line) for line in running.logged("queue can not be read")]
    return [line["message"] for line in lines if line["level"] in (levels or ("info", "warning", "err"))]


def named(issuer, **settings):
    return Way(issuer, issuer.config(endpoint=issuer.endpoint, **settings), issuer.needed(), getattr(issuer, "before", ()))


def found(issuer, **settings):
    """By the environment. The source is not named, for App Service of before goes by another name."""
    identity = {name: value for name, value in issuer.config(**settings).items() if name != "source"}
    return Way(issuer, identity, issuer.environment(), getattr(issuer, "before", ()))


def check_waits(issuer, table, answered_s=0, first=0):
    """The requests, from that one on, came after these waits and at most a fifth more, each answer having taken so long."""
    times = issuer.asked()[first:]
    for before, after, wait_s in zip(times, times[1:], table):
        assert wait_s <= after - before <= wait_s * 1.2 + answered_s + GRACE_S, [at - times[0] for at in times]


# What the metadata service answers, how often, the waits that follow, and what must be said of it: nothing of what passed
# at the second try.
FAULTS = {
    "404": (refusal(404, "not_found"), 2, (2, 6), ("404 not_found", "being updated")),
    "408": (refusal(408, "timeout"), 2, (2, 6), ("408 timeout", "too long")),
    "410": (refusal(410, "gone"), 1, (10,), ()),
    "429": (refusal(429, "too_many_requests", Retry_After="4"), 2, (4, 6), ("429 too_many_requests", "too often")),
    "500": (refusal(500, "server_error"), 2, (2, 6), ("500 server_error", "failed")),
    "503": (refusal(503, "service_unavailable"), 2, (2, 6), ("503 service_unavailable",)),
    "silence": (faults.silence, 2, (2, 6), ("no answer", "within")),
    "hanging up": (faults.hang_up, 2, (2, 6), ("127.0.0.1", "Azure machine")),
    "garbage": (faults.garbage, 2, (2, 6), ("no whole answer",)),
    "a page": (faults.html(200), 2, (2, 6), ("200", "not JSON", "proxy")),
    "no token": (answers({"token_type": "Bearer"}), 2, (2, 6), ("access_token",)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_metadata_service_that_fails_is_said_once_and_outlived(world, safe_queue, fault):
    answer, times, table, words = FAULTS[fault]
    # given a message, and a metadata service that fails
    issuer = world.issuer(Imds)
    fault = issuer.fails(answer, times)
    message = safe_queue.post(messages.training())
    # when a daemon starts
    running = world.start(named(issuer), [safe_queue.config(identity="machine")], [world.lines()], http={"timeout": "2s"})
    # then the message is done as soon as the service gives a token, and it was asked no more often than is published
    wait_until(safe_queue.is_empty, 40, "the message to be done")
    assert world.done() == [message] and fault.count == times and len(issuer.asked()) == times + 1
    check_waits(issuer, table, answered_s=2)
    # and one line said whom, what, and what mends it
    if words:
        (line,) = said(running)
        assert [word for word in ("IMDS", *words) if word not in line] == [], line
        running.wait_logged("queue answers again")
    else:
        assert said(running) == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(world, safe_queue, elsewhere, status):
    # given a metadata service that sends us elsewhere
    issuer = world.issuer(Imds)
    fault = issuer.fails(faults.reply(status, Location=f"{elsewhere.url}/metadata/identity/oauth2/token"))
    # when a daemon wants a token
    running = world.start(named(issuer), [safe_queue.config(identity="machine")], [world.lines()])
    running.wait_logged("queue can not be read", "IMDS", str(status), "redirect")
    wait_until(lambda: fault.count >= 2, 10, "another try")
    # then nobody is asked there
    assert elsewhere.connections == 0 and len(said(running)) == 1


def test_others_are_asked_again_after_a_second(world, safe_queue):
    # given a failing issuer that is no metadata service
    issuer = world.issuer(AppService)
    issuer.fails(answers({"statusCode": 500, "message": "An unexpected error."}, 500), times=4)
    # when a daemon starts, then it asks thrice after a second, and not so soon after that
    running = world.start(found(issuer), [safe_queue.config(identity="machine")],
                          [world.lines()])
    running.wait_logged("queue answers again", timeout=30)
    check_waits(issuer, (1, 1, 1, 6))
    (line,) = said(running)
    assert "App Service" in line and "500" in line


def test_whoever_wants_a_token_it_is_asked_for_no_sooner(world, safe_queue, new_safe_queue, scripts):
    # given sixteen hooks at work, and a token that ends while no other is to be had
    issuer, other = world.issuer(Imds), new_safe_queue()
    issuer.life_s, issuer.longer_s = 3, 600
    go = world.place / "go"
    hook = exec_hook("hook", "*", scripts.recording("hook", f"while [ ! -e {go} ]; do sleep 0.05; done"), parallel=16)
    settings = {"identity": "machine", "parallel": 16, "lease": "1m"}
    running = world.start(named(issuer), [queue.config(**settings) for queue in (safe_queue, other)], [hook])
    posted = [queue.post(messages.training()) for queue in (safe_queue, other) for _ in range(8)]
    wait_until(lambda: len(scripts.runs("hook")) == 16, 20, "the hooks to run")
    issuer.life_s = 3600
    before = len(issuer.asked())
    fault = issuer.fails(refusal(500, "server_error"))
    running.wait_logged("queue can not be read", "IMDS", timeout=20)
    # when all of them end, and want to be settled
    go.touch()
    wait_until(lambda: len(scripts.runs("hook", mark="end")) == 16, 20, "the hooks to end")
    wait_until(lambda: fault.count >= 2, 20, "another try")
    # and when it gives a token, each is done, none has run twice, and the issuer was asked no more often than for one
    fault.lift()
    wait_until(lambda: safe_queue.is_empty() and other.is_empty(), 60, "the messages to be done")
    assert sorted(run.message for run in scripts.runs()) == sorted(posted)
    check_waits(issuer, (2, 6), first=before)


def test_nobody_at_the_endpoint(world, safe_queue):
    # given an endpoint where nobody listens; when a daemon starts; then it says so, and what to think of
    issuer = world.issuer(Imds)
    issuer.close()
    running = world.start(named(issuer), [safe_queue.config(identity="machine")], [world.lines()])
    running.wait_logged("IMDS", "Connection refused", "Azure machine", "retrying")


def test_the_token_in_use_serves_while_it_can_not_be_replaced(world, safe_queue):
    # given a daemon with a token that is good for an hour
    issuer = world.issuer(Imds)
    running = world.start(named(issuer), [safe_queue.config(identity="machine")], [world.lines()])
    wait_until(lambda: issuer.tokens, 10, "the first token")
    # when the issuer fails, and the daemon is told to look again
    fault = issuer.fails(refusal(500, "server_error"))
    running.reload()
    posted = []
    for count in range(2):
        posted.append(safe_queue.post(messages.training()))
        wait_until(lambda: fault.count > count, 15, "another try")
        wait_until(safe_queue.is_empty, 5, "the message to be done")
    # then it works on, and says once that the token is not renewed, for how long that does not matter, and what is wrong
    (line,) = running.wait_logged("can not be renewed")
    assert all(word in line for word in ("warning", "IMDS", "500 server_error", "is good for 59m"))
    assert sorted(world.done()) == sorted(posted) and said(running) == []
    wait_until(lambda: "500 server_error" in str(running.notify.messages[-1]), 5, "the status to tell of it")
    # and when it gives tokens again, that is said too
    fault.lift()
    running.wait_logged("info", "gives tokens again", timeout=30)
    assert len(running.logged("can not be renewed")) == 1
    wait_until(lambda: "500 server_error" not in str(running.notify.messages[-1]), 5, "the status to be well")


def test_a_renewal_that_hangs_holds_nothing_up(world, safe_queue):
    # given a daemon with a token, whose issuer falls silent
    issuer = world.issuer(Imds)
    running = world.start(named(issuer), [safe_queue.config(identity="machine")], [world.lines()])
    wait_until(lambda: issuer.tokens, 10, "the first token")
    fault = issuer.fails(faults.silence)
    # when it wants another token
    running.reload()
    wait_until(lambda: fault.count == 1 and issuer.under_way, 10, "the request")
    # then messages are done meanwhile
    posted = [safe_queue.post(messages.training()) for _ in range(5)]
    wait_until(safe_queue.is_empty, 5, "the messages to be done")
    assert sorted(world.done()) == sorted(posted) and issuer.under_way


# --- which identity ---

SELECTED = [(Imds, "client_id"), (Imds, "object_id"), (Imds, "resource_id"), (AppService, "client_id"),
            (AppService, "object_id"), (AppService, "resource_id"), (OldAppService, "client_id"), (AzureMl, "client_id"),
            (Arc, "client_id")]


@pytest.mark.parametrize("kind, key", SELECTED, ids=lambda value: getattr(value, "__name__", value))
def test_one_of_several_identities_is_asked_for(world, safe_queue, kind, key):
    # given several identities
    issuer = world.issuer(kind, users=("one", "two"))
    wanted = issuer.users[1]
    # when one of them is named
    way = found(issuer, **{key: getattr(wanted, key)})
    message = safe_queue.post(messages.training())
    world.start(way, [safe_queue.config(identity="machine")], [world.lines()])
    # then the token is that one's
    wait_until(safe_queue.is_empty, 15, "the message to be done")
    assert world.done() == [message] and {token.owner for token in issuer.tokens} == {wanted}


def test_azure_mls_environment_names_its_identity(world, safe_queue):
    issuer = world.issuer(AzureMl, users=("compute",))
    safe_queue.post(messages.training())
    world.start(found(issuer), [safe_queue.config(identity="machine")], [world.lines()])
    wait_until(safe_queue.is_empty, 15, "the message to be done")
    assert "clientid=" + issuer.users[0].client_id in issuer.requests[0].query


NOBODY = identity("nobody")
# What is wrong, and what must be said of it: (kind, how it is made, settings, words)
WRONG = {
    "several": (Imds, {"system": False, "users": ("one", "two")}, {}, ("IMDS", "400 invalid_request", "several", "client_id")),
    "not there": (Imds, {}, {"client_id": NOBODY.client_id}, ("IMDS", "400 invalid_request", "assign", "client_id")),
    "object not there": (Imds, {}, {"object_id": NOBODY.object_id}, ("IMDS", "400 invalid_request", "assign", "object_id")),
    "none at all": (Imds, {"system": False}, {}, ("IMDS", "400 invalid_request", "system-assigned")),
    "not there, App Service": (AppService, {}, {"client_id": NOBODY.client_id}, ("App Service", "400", "client_id")),
    "none at all, App Service": (AppService, {"system": False}, {}, ("App Service", "400", "system-assigned")),
    "not there, Azure ML": (AzureMl, {}, {"client_id": NOBODY.client_id}, ("Azure ML", "400", "client_id")),
    "not there, Arc": (Arc, {}, {"client_id": NOBODY.client_id}, ("Azure Arc", "400", "client_id")),
    "Arc heeds no id": (Arc, {"knows_users": False}, {"client_id": NOBODY.client_id},
                        ("Azure Arc", "another identity", "client_id")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_identity_that_can_not_be_had_is_said_once(world, safe_queue, wrong):
    kind, how, settings, words = WRONG[wrong]
    # given a machine without the identity that is wanted
    issuer = world.issuer(kind, **how)
    running = world.start(found(issuer, **settings), [safe_queue.config(identity="machine")], [world.lines()])
    # when it was asked for twice
    wait_until(lambda: len(issuer.refusals) >= 2 or len(issuer.tokens) >= 2, 15, "two tries")
    # then one line says whom, what and the mend
    (line,) = said(running)
    assert [word for word in words if word not in line] == [], line
    # and when the identity is there, the daemon goes on by itself
    if kind is not Arc and not how:
        issuer.users.append(NOBODY)
        running.wait_logged("queue answers again", timeout=30)
        assert issuer.tokens[-1].owner == NOBODY


@pytest.mark.parametrize("kind, variable", [(AppService, "IDENTITY_HEADER"), (AzureMl, "MSI_SECRET")])
def test_a_wrong_secret_of_the_platform(world, safe_queue, kind, variable):
    # given an environment of before
    issuer = world.issuer(kind)
    environment = issuer.environment()
    issuer.secret = "0123456789ABCDEF"
    # when a daemon starts with it, then it says which variable that is
    running = world.start(found(issuer)._replace(env=environment), [safe_queue.config(identity="machine")], [world.lines()])
    (line,) = running.wait_logged("queue can not be read", '"err"')
    assert issuer.LABEL in line and "401" in line and variable in line


# --- Azure Arc's file ---

def missing(issuer):
    issuer.opt.path(issuer.TOKENS).rename(issuer.opt.path("/var/opt/azcmagent/moved"))


def elsewhere_dir(issuer):
    issuer.opt.path("/var/opt/other").mkdir()
    issuer.realm = "/var/opt/other/{}.key"


def a_link(issuer):
    """What lies there by the name that it says is a link to what it wrote."""
    issuer.after = lambda file: (file.rename(file.with_suffix(".real")), file.symlink_to(file.with_suffix(".real").name))


# What is odd about the file or its name, and the words that tell of it.
ODD = {
    "is missing": (missing, ("can not be read", "No such file")),
    "is in another directory": (elsewhere_dir, (Arc.TOKENS, "not read")),
    "leaves its directory": (lambda issuer: setattr(issuer, "realm", Arc.TOKENS + "/../../../etc/{}.key"), ("not read",)),
    "has another suffix": (lambda issuer: setattr(issuer, "realm", Arc.TOKENS + "/{}.txt"), (".key", "not read")),
    "is a link": (a_link, ("symbolic link", "not read")),
    "is too large": (lambda issuer: setattr(issuer, "size", 4097), ("4097", "4096")),
    "is empty": (lambda issuer: setattr(issuer, "size", 0), ("bytes",)),
    "is somebody else's": (lambda issuer: setattr(issuer, "owner_ids", (12345, 12345)), ("root", "himds", "not read")),
    "is of another scheme": (lambda issuer: setattr(issuer, "scheme", "Digest"), ("challenge",)),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_file_of_arc_that_is_odd_is_not_read(world, safe_queue, odd):
    # given an agent whose file is not as it should be
    issuer = world.issuer(Arc)
    make, words = ODD[odd]
    make(issuer)
    # when a daemon wants a token
    running = world.start(found(issuer), [safe_queue.config(identity="machine")], [world.lines()])
    # then it says what is odd, and shows the agent nothing
    running.wait_logged("queue can not be read", '"err"')
    line = said(running)[0]
    assert [word for word in ("Azure Arc", *words) if word not in line] == [], line
    assert not issuer.tokens and not any("Authorization" in request.headers for request in issuer.requests)


def test_a_file_of_arc_that_is_not_for_us_to_read(world, safe_queue):
    # given a daemon that is neither root nor in the agent's group
    issuer = world.issuer(Arc)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    os.chown(world.place, 65534, 65534)
    running = world.start(found(issuer)._replace(before=[*issuer.before, *nobody]), [safe_queue.config(identity="machine")], [world.lines()])
    # then it says what to do about that
    running.wait_logged("queue can not be read", "Azure Arc", "group himds", "restart")
    # and when it may, it goes on by itself
    issuer.mode = 0o644
    running.wait_logged("queue answers again", timeout=30)


def test_arcs_agent_is_found_where_it_is_installed(world, safe_queue):
    # given an agent's program, and nothing in the environment
    issuer = world.issuer(Arc)
    program = issuer.opt.path("/opt/azcmagent/bin/himds")
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    settings = issuer.config(endpoint=issuer.endpoint)
    del settings["source"]
    safe_queue.post(messages.training())
    # when a daemon starts, then it knows whom it asks
    world.start(Way(issuer, settings, {}, issuer.before), [safe_queue.config(identity="machine")], [world.lines()])
    wait_until(safe_queue.is_empty, 15, "the message to be done")
    assert issuer.challenges == len(issuer.tokens) == 1
