# SPDX-License-Identifier: MIT
"""Every bad answer that the queue service can give, by its status and code: to the Gets and to what follows them."""
import itertools
import signal
import time

import pytest

from support import faults, messages
from support.bad_day import gets_fail_and_recover, in_status, said, waits, what_follows_fails_and_recovers
from support.daemon import exec_hook
from support.faults import error, html, reply
from support.tap import Knocks
from support.process import free_ports
from support.wait import stays_true, wait_until

EXPIRED = "Signature not valid in the specified time frame: Start [Thu] - Expiry [Fri] - Current [Sat]"

# The answer, its cause, and what the one line about it has to say.
ROWS = {
    "401 with a challenge": (faults.challenge(), "auth", ["401 NoAuthenticationInformation", "got no credential"]),
    "401 for a stale token": (faults.challenge(code="InvalidAuthenticationInfo"), "auth", ["the SAS is not valid"]),
    "401 without a code": (error(401), "auth", ["Get Messages: 401", "did not take the credential"]),
    "403 expired": (error(403, "AuthenticationFailed", EXPIRED), "auth", ["403 AuthenticationFailed", "expired", EXPIRED]),
    "403 no right": (error(403, "AuthorizationPermissionMismatch"), "auth", ["the SAS lacks the right", "SAS permission p"]),
    "403 no right on the account": (error(403, "InsufficientAccountPermissions"), "auth", ["the SAS lacks the right", "SAS permission p"]),
    "403 firewall": (error(403, "AuthorizationFailure"), "auth", ["firewall"]),
    "403 https only": (error(403, "AuthorizationProtocolMismatch"), "auth", ["use https in url"]),
    "403 address": (error(403, "AuthorizationSourceIPMismatch"), "auth", ["sip"]),
    "403 service": (error(403, "AuthorizationServiceMismatch"), "auth", ["ss=q"]),
    "403 resource type": (error(403, "AuthorizationResourceTypeMismatch"), "auth", ["srt=co"]),
    "403 disabled": (error(403, "AccountIsDisabled"), "auth", ["see its subscription"]),
    "404 queue": (error(404, "QueueNotFound"), "missing", ["create the queue or mend url"]),
    "404 account": (error(404, "ResourceNotFound"), "missing", ["no such account", "mend url"]),
    "404 without a code": (error(404), "missing", ["mend url"]),
    "409 being deleted": (error(409, "QueueBeingDeleted"), "missing", ["create it again"]),
    "409 disabled": (error(409, "QueueDisabled"), "missing", ["administrator"]),
    "400 parameter": (error(400, "OutOfRangeQueryParameterValue", message="One of the query parameters is out of range."),
                      "missing", ["400 OutOfRangeQueryParameterValue", "One of the query parameters is out of range"]),
    "400 header": (error(400, "InvalidHeaderValue"), "missing", ["400 InvalidHeaderValue", "What went wrong"]),
    "400 name": (error(400, "InvalidResourceName"), "missing", ["mend url"]),
    "400 credential": (error(400, "InvalidAuthenticationInfo"), "auth", ["the SAS is not valid"]),
    "400 without a code": (error(400), "missing", ["400", "refuses the request"]),
    "code in the header alone": (error(404, "QueueNotFound", where="header"), "missing", ["404 QueueNotFound"]),
    "code in the body alone": (error(403, "AuthorizationFailure", where="body"), "auth", ["403 AuthorizationFailure"]),
    "413": (error(413, "RequestBodyTooLarge"), "missing", ["413 RequestBodyTooLarge"]),
    "418": (reply(418), "missing", ["418"]),
    "429": (error(429, "TooManyRequests"), "throttled", ["slow down"]),
    "500": (error(500, "InternalError"), "server", ["500 InternalError", "the service failed"]),
    "500 timed out": (error(500, "OperationTimedOut"), "server", ["took too long"]),
    "503": (error(503, "ServerBusy"), "throttled", ["slow down"]),
    "503 without a code": (error(503), "throttled", ["busy"]),
    "599": (reply(599), "server", ["599"]),
    "202": (reply(202), "server", ["202"]),
    "204": (reply(204), "server", ["204"]),
    "302": (reply(302, Location="/elsewhere"), "missing", ["302", "redirect", "url"]),
    "a portal's page": (html(200), "server", ["200", "http.proxy"]),
    "a proxy's 403": (html(403), "auth", ["403", "no sign of a Storage service", "http.proxy"]),
    "a proxy's 407": (html(407), "auth", ["407", "http.proxy"]),
    "a proxy's 502": (html(502), "server", ["502", "no sign of a Storage service"]),
}


# The long waits, for what a person must mend, are waited for in full in these rows.
PATIENT = ["401 with a challenge", "403 no right", "404 queue", "400 parameter", "302", "a proxy's 403"]


@pytest.mark.parametrize("row", ROWS)
def test_gets_that_are_answered_badly(fake, scripts, daemon, row):
    answer, cause, needles = ROWS[row]
    patient = row in PATIENT or cause not in ("auth", "missing")
    gets_fail_and_recover(fake, scripts, daemon, answer, cause, needles, patient)


# Where requests after a Get differ by more than the code, one of each kind.
FOLLOWING = ["401 with a challenge", "403 no right", "404 queue", "409 disabled", "400 parameter", "418", "429", "500",
             "503", "202", "302", "a portal's page", "a proxy's 403"]


@pytest.mark.parametrize("row", FOLLOWING)
def test_what_follows_a_get_is_answered_badly(fake, scripts, daemon, row):
    what_follows_fails_and_recovers(fake, scripts, daemon, ROWS[row][0])


# --- what is said, and how often ---

def served_by(fake, scripts, daemon, queue, hook="report", then=":", **settings):
    """A daemon with one recording hook for a queue."""
    settings = {"lease": "4s", **settings}
    return daemon({"queues": [queue.config(**settings)],
                   "hooks": [exec_hook(hook, "*", scripts.recording(hook, then), parallel=4)]})


def test_two_reasons_in_turns_are_two_lines(fake, scripts, daemon):
    # given a service that fails in one way, and in another, and so on
    queue = fake.queue()
    for _ in range(4):
        fake.answer("Get", error(503, "ServerBusy"), times=1)
        fake.answer("Get", error(500, "InternalError"), times=1)
    running = served_by(fake, scripts, daemon, queue)
    for times in range(1, 9):
        wait_until(lambda: len(waits(running)) >= times, 10, f"failure {times}")
        running.signal(signal.SIGUSR1)
    # then each way is said once
    running.wait_logged("queue answers again")
    assert len(said(running, "can not be read")) == 2
    # and anew after good answers
    fake.answer("Get", error(503, "ServerBusy"), times=2)
    wait_until(lambda: len(said(running, "queue answers again")) == 2, 10, "the second recovery")
    assert len(said(running, "can not be read")) == 3


def test_one_failure_of_the_service_is_no_news(fake, scripts, daemon):
    # given one Get that fails in a way that passes, when the next goes well, then nobody is told
    queue = fake.queue()
    running = served_by(fake, scripts, daemon, queue)
    fault = fake.answer("Get", error(500, "InternalError"), times=1)
    wait_until(lambda: fault.count == 1, 5, "the failure")
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("report", message), 10, "the message to be served")
    assert not said(running, "can not be read") and not said(running, "answers again")


# --- Retry-After ---

@pytest.mark.parametrize("answer, least, most", [
    (error(503, "ServerBusy", Retry_After="2"), 2, 2), (error(429, Retry_After="2"), 2, 2),
    (faults.in_seconds(60), 30, 60), (error(500, "InternalError", Retry_After="2"), 2, 2),
    (error(503, "ServerBusy", Retry_After="86400"), 900, 900), (error(503, "ServerBusy", Retry_After="9" * 30), 0.5, 900),
    (error(503, "ServerBusy", Retry_After="-5"), 0.5, 1), (error(503, "ServerBusy", Retry_After="soon"), 0.5, 1),
    (error(503, "ServerBusy", Retry_After="Sat, 01 Jan 2000 00:00:00 GMT"), 0.5, 1),
    (faults.in_seconds(10 * 365 * 86400), 900, 900)])
def test_retry_after_is_a_floor_and_no_more_than_a_quarter_of_an_hour(fake, scripts, daemon, answer, least, most):
    # given an answer that tells us when to come again
    queue = fake.queue()
    fault = fake.answer("Get", answer, times=1)
    running = served_by(fake, scripts, daemon, queue)
    (wait,) = wait_until(lambda: waits(running), 5, "the failure")
    # then we do, within reason
    assert least <= wait <= most
    if most <= 2:
        wait_until(lambda: len(fake.asked("Get")) > 1, 8, "the next Get")
        first, second = fake.asked("Get")[:2]
        assert second - first >= least - 0.05
    assert fault.count == 1


def test_retry_after_counts_for_a_delete_too(fake, scripts, daemon):
    # given a delete that is to be tried again in two seconds, which is within the lease
    queue = fake.queue()
    fake.answer("Delete", error(503, "ServerBusy", Retry_After="2"), times=1)
    message = queue.post(messages.training())
    served_by(fake, scripts, daemon, queue, lease="20s")
    wait_until(queue.is_empty, 10, "the queue to be empty")
    # then it is, and not sooner
    first, second = fake.asked("Delete")
    assert second - first >= 2 - 0.05
    assert [r.message for r in scripts.runs()] == [message]


def test_retry_after_counts_for_a_poison_record_too(fake, scripts, daemon):
    # given a poison queue that is to be asked again in two seconds
    queue = fake.queue("events")
    fake.queue("events-poison")
    fake.answer("Put", error(503, "ServerBusy", Retry_After="2"), times=1)
    queue.post("{oops}")
    served_by(fake, scripts, daemon, queue, lease="20s")
    wait_until(queue.is_empty, 10, "the queue to be empty")
    # then it is, and not sooner
    first, second = fake.asked("Put")
    assert second - first >= 2 - 0.05
    assert len(queue.records()) == 1


# --- redirects ---

def test_a_redirect_is_never_followed(fake, scripts, daemon):
    # given a service that sends every request elsewhere, to a host that listens
    (port,) = free_ports(1)
    knocks = Knocks(port)
    queue = fake.queue()
    queue.post(messages.training())
    elsewhere = fake.answer("Get", reply(307, Location=f"http://127.0.0.1:{port}/stolen"), times=1)
    for operation in ("Delete", "Update", "Put"):
        fake.answer(operation, reply(307, Location=f"http://127.0.0.1:{port}/stolen"), times=1)
    queue.post("{oops}")
    running = served_by(fake, scripts, daemon, queue)
    wait_until(lambda: elsewhere.count == 1, 5, "the redirect")
    # then nothing goes there, from the Gets or from what follows them
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert knocks.count(0.1) == 0
    assert len(said(running, "can not be read", "redirect")) == 1
    assert len(scripts.runs()) == 1


# --- what follows the Gets is refused for longer ---

@pytest.mark.parametrize("answer", [error(403, "AuthorizationPermissionMismatch"), error(400, "InvalidHeaderValue"), reply(599)])
def test_deletes_that_are_refused_are_said_once_and_repeat_no_hook(fake, scripts, daemon, answer):
    # given three messages that can not be deleted
    queue = fake.queue()
    fault = fake.answer("Delete", answer)
    posted = [queue.post(messages.training()) for _ in range(3)]
    running = served_by(fake, scripts, daemon, queue, lease="2s")
    # when they come again and again
    wait_until(lambda: all(m.dequeue_count >= 3 for m in queue.messages()), 15, "each to come for the third time")
    # then their hooks do not run again, and one line says why they stay
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)
    running.wait_logged("can not be deleted")
    (line,) = said(running, "can not be deleted")
    assert "Delete Message" in line
    # and there is a delete or two a lease for each, no more
    first, last = fault.times[0], fault.times[-1]
    assert fault.count <= 3 * 3 * ((last - first) + 1)
    # when deletes are let through again, then all is settled, and that is said
    fault.lift()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    running.wait_logged("messages can be deleted again")
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)


def test_a_missing_right_to_delete_is_named_at_once(fake, scripts, daemon):
    # given a long lease and a credential that may not delete
    queue = fake.queue()
    fault = fake.answer("Delete", error(403, "AuthorizationPermissionMismatch"))
    queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, lease="10m")
    # then that is said with its mend long before the lease is over
    (line,) = running.wait_logged("can not be deleted", timeout=5)
    assert "Delete Message needs the SAS permission p" in line and '"level":"err"' in line
    wait_until(lambda: in_status(running, "Delete Message: 403"), 5, "the status to tell of it")
    fault.lift()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    running.wait_logged("messages can be deleted again")
    wait_until(lambda: not in_status(running, "Delete Message"), 5, "the status to be good")


def test_the_status_forgets_a_hide_of_an_outage_that_is_over(fake, scripts, daemon):
    # given a hide that the service failed until the message came again by itself
    queue = fake.queue()
    fault = fake.answer("Update", error(500, "InternalError"))
    queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then="[ $run -ge 2 ] || exit 1", lease="2s", retry_delay=["1s"])
    running.wait_logged("can not be put back", "it will come again")
    wait_until(lambda: in_status(running, "Update Message"), 5, "the status to tell")
    # when the service is well again, and the message is done
    fault.lift()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then the status tells of it no more
    wait_until(lambda: not in_status(running, "Update Message"), 8, "the status to forget")


def test_hides_that_are_refused_keep_the_delay_and_the_attempts(fake, scripts, daemon):
    # given a hook that fails once, and a service that does not let its message be put back
    queue = fake.queue()
    fault = fake.answer("Update", error(403, "AuthorizationFailure"))
    message = queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then="[ $run -ge 2 ] || exit 1", lease="1s", retry_delay=["4s"])
    # then the message comes again by itself, and the hook runs when its delay is over, no sooner
    wait_until(queue.is_empty, 15, "the queue to be empty")
    first, second = scripts.runs()
    assert (first.message, second.message, second.attempt) == (message, message, "2")
    assert second.time - first.time >= 4 - 1.6  # the service's clock has a grain of a second
    assert len(said(running, "can not be put back", "firewall")) == 1
    received = running.logged("message received", message)
    assert len(received) >= 2 and fault.count >= len(received) - 1


def test_a_hide_whose_answer_was_lost_is_not_tried_again_once_the_message_has_come(fake, scripts, daemon):
    # given a hook that fails once, and a hide that is done without a word and refused ever after
    queue = fake.queue()
    answers = itertools.chain([faults.after_the_work(faults.reset)], itertools.repeat(error(500, "InternalError")))
    fault = fake.answer("Update", lambda exchange: next(answers)(exchange))
    message = queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then="[ $run -ge 2 ] || exit 1", lease="1m", retry_delay=["1s"])
    # when the message comes again, then its first delivery is over, and the second one does its work
    running.wait_logged("message is no longer ours", "has come again")
    tries = fault.count
    wait_until(queue.is_empty, 10, "the queue to be empty")
    running.wait_logged("message done")
    assert [r.message for r in scripts.runs()] == [message, message]
    assert fault.count == tries >= 2


def test_a_hide_is_not_tried_again_once_the_message_has_come_to_the_listener_that_follows(fake, scripts, daemon):
    # given a hide that is done without a word and refused ever after
    queue = fake.queue()
    answers = itertools.chain([faults.after_the_work(faults.reset)], itertools.repeat(error(500, "InternalError")))
    fault = fake.answer("Update", lambda exchange: next(answers)(exchange))
    message = queue.post(messages.training())
    hook = exec_hook("report", "*", scripts.recording("report", "[ $run -ge 2 ] || exit 1"), parallel=4)
    running = daemon({"queues": [queue.config(lease="1m", retry_delay=["2s"])], "hooks": [hook]})
    # when a reload changes the queue, and the message comes again
    wait_until(lambda: fault.count, 10, "the hide")
    running.reload({"queues": [queue.config(lease="1m", retry_delay=["3s"])], "hooks": [hook]})
    # then its first delivery is over
    running.wait_logged("message is no longer ours", "has come again")
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message, message]


def test_a_hide_that_is_under_way_when_the_message_comes_again_is_the_last(fake, scripts, daemon):
    # given a hide that is done without a word, and one that is answered when the message has come again
    queue = fake.queue()

    def fail_when_it_has_come(exchange):
        running.wait_logged("message received", "dequeue count 2", timeout=10)
        error(500, "InternalError")(exchange)

    answers = itertools.chain([faults.after_the_work(faults.reset)], itertools.repeat(fail_when_it_has_come))
    fault = fake.answer("Update", lambda exchange: next(answers)(exchange))
    running = served_by(fake, scripts, daemon, queue, then="[ $run -ge 2 ] || exit 1; sleep 1.5", lease="1m",
                        retry_delay=["1s"], parallel=2)
    message = queue.post(messages.training())
    # then its first delivery is over
    running.wait_logged("message is no longer ours", "has come again")
    tries = fault.count
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message, message]
    assert fault.count == tries


@pytest.mark.parametrize("answer", [error(500, "InternalError"), error(503, "ServerBusy"), html(403)])
def test_poison_that_can_not_be_stored_is_kept_and_said_once(fake, scripts, daemon, answer):
    # given three poisonous messages, and a poison queue that takes nothing
    queue, poison = fake.queue("events"), fake.queue("events-poison")
    posted = {queue.post("{oops}") for _ in range(3)}
    fault = fake.answer("Put", answer)
    running = served_by(fake, scripts, daemon, queue)
    # when each was tried twice
    wait_until(lambda: all(m.dequeue_count >= 2 for m in queue.messages()), 15, "each to come again")
    # then none is lost, and one line says why
    assert {m.id for m in queue.messages()} == posted
    running.wait_logged("poison record can not be stored")
    (line,) = said(running, "poison record can not be stored")
    assert "Put Message" in line
    wait_until(lambda: in_status(running, "Put Message: "), 5, "the status to tell of it")
    # and when the poison queue takes them, each is stored once
    fault.lift()
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert len(poison.messages()) == 3
    assert len(running.wait_logged("poison records can be stored again")) == 1


def test_records_that_fail_together_wait_as_one(fake, scripts, daemon):
    # given eight poisonous messages, and a poison queue that fails for each of them once
    queue = fake.queue("events")
    fake.queue("events-poison")
    for _ in range(8):
        queue.post("{oops}")
    fake.answer("Put", error(500, "InternalError"), times=8)
    running = served_by(fake, scripts, daemon, queue)
    # then all are stored after the first wait of that cause, and not the eighth
    wait_until(queue.is_empty, 5, "the queue to be empty")
    assert len(queue.records()) == 8
    assert len(said(running, "poison record can not be stored")) == 1


def test_a_record_that_the_service_finds_too_large_goes_as_its_text(fake, scripts, daemon):
    # given a poison queue that takes short texts alone
    queue, poison = fake.queue("events"), fake.queue("events-poison")

    def short_ones(exchange):
        if len(exchange.asked.body) > 200:
            error(413, "RequestBodyTooLarge")(exchange)
        else:
            exchange.send(exchange.perform())
    fake.answer("Put", short_ones)
    queue.post("{oops}")
    running = served_by(fake, scripts, daemon, queue)
    # then the message is safe there, without its record
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [m.text for m in poison.messages()] == ["{oops}"]
    running.wait_logged("text alone")
    assert len(said(running, "text alone")) == 1
    assert not said(running, "can not be stored")


@pytest.mark.parametrize("answer", [error(403, "AuthorizationPermissionMismatch"), error(409, "QueueBeingDeleted"),
                                    error(500, "InternalError"), faults.reset, faults.after_the_work(faults.reset),
                                    error(409, "QueueAlreadyExists")])
def test_a_poison_queue_that_can_not_be_made_at_first(fake, scripts, daemon, answer):
    # given a poisonous message, no poison queue, and a service that does not make one at once
    queue = fake.queue("events")
    message = queue.post("{oops}")
    fault = fake.answer("Create", answer, times=1)
    running = served_by(fake, scripts, daemon, queue)
    # then it is tried again, and the message is stored
    wait_until(lambda: queue.is_empty() and queue.records(), 15, "the queue to be empty, and a record")
    assert fault.count == 1 and [r["message_id"] for r in queue.records()] == [message]
    assert len(said(running, "poison record can not be stored")) <= 1


def test_renewals_that_are_refused_for_ever(fake, scripts, daemon):
    # given a service that lets us do all but update, and a hook that needs many leases
    queue = fake.queue()
    fault = fake.answer("Update", error(403, "AuthorizationFailure"))
    hold = scripts.place / "hold"
    hold.touch()
    message = queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then=f"while [ -e {hold} ]; do sleep 0.05; done", lease="1s")
    # when the message has come to us again and again
    wait_until(lambda: len(running.logged("delivered to us again")) >= 3, 10, "three more receipts")
    hold.unlink()
    # then its hook ran once, and one line says why
    wait_until(queue.is_empty, 5, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message]
    (line,) = said(running, "lease lost")
    assert "firewall" in line
    # and there was a pause between two tries
    assert fault.count <= 2 + 5 * (fault.times[-1] - fault.times[0])


def test_a_delete_after_a_renewal_without_an_answer_proves_nothing(fake, scripts, daemon):
    # given a renewal that was done and whose answer is lost, and a hook that ends then
    queue = fake.queue()
    renewed = fake.answer("Update", faults.after_the_work(error(500, "InternalError")), times=1)
    hold = scripts.place / "hold"
    hold.touch()
    message = queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then=f"while [ -e {hold} ]; do sleep 0.05; done", lease="8s")
    # when the delete fails, and the next one finds the receipt void, which this service calls gone
    fake.answer("Delete", error(500, "InternalError"), times=1)
    fake.answer("Delete", error(404, "MessageNotFound"), times=1)
    wait_until(lambda: renewed.count == 1, 10, "the renewal")
    hold.unlink()
    # then the message comes again, is known, and is deleted without another run
    wait_until(queue.is_empty, 20, "the queue to be empty")
    running.wait_logged("message done")
    assert [r.message for r in scripts.runs()] == [message]
    assert len(fake.asked("Delete")) == 3


def test_a_message_that_is_lost_before_its_poison_record_gets_one_record(fake, scripts, daemon):
    # given a hook that rejects while a renewal is under way, whose receipt is void when it goes out anew
    def says_gone_when_released(exchange):
        wait_until(lambda: started and started[0].logged("to poison, reason"), 10, "the daemon to hear of the end")
        error(404, "MessageNotFound")(exchange)
    started = []
    queue = fake.queue()
    renewal = fake.answer("Update", faults.after_the_work(says_gone_when_released), times=1)
    hold = scripts.place / "hold"
    hold.touch()
    message = queue.post(messages.training())
    started.append(served_by(fake, scripts, daemon, queue, hook="judge",
                             then=f"while [ -e {hold} ]; do sleep 0.05; done; note end; exit 65", lease="4s"))
    wait_until(lambda: renewal.count == 1, 10, "the renewal")
    # when the service says then that the message is not ours
    hold.unlink()
    # then nothing is stored for it before it has come again, and its hook ran once
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert [record["message_id"] for record in queue.records()] == [message]
    assert [r.message for r in scripts.runs()] == [message]


def test_a_run_that_is_to_stop_with_its_lease_is_stopped_and_runs_again(fake, scripts, daemon):
    # given a hook that is not to go on when another reader may have its message, and a renewal that says so
    queue = fake.queue()
    fault = fake.answer("Update", error(404, "MessageNotFound"), times=1)
    message = queue.post(messages.training())
    command = scripts.recording("deploy", "[ $run -ge 2 ] || { trap 'note asked; exit 3' TERM; sleep 60 & wait; }")
    running = daemon({"queues": [queue.config(lease="2s")],
                      "hooks": [exec_hook("deploy", "*", command, on_lease_lost="stop")]})
    # when the renewal comes
    wait_until(lambda: fault.count == 1, 10, "the renewal")
    # then the run is asked to end, and the message is served when it comes again
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs("deploy", message)) == 2 and len(scripts.runs("deploy", mark="asked")) == 1
    (line,) = said(running, "lease lost")
    assert "the run is stopped" in line
    assert queue.records() == []


# --- lies ---

@pytest.mark.parametrize("answer", [error(404, "MessageNotFound"), error(400, "PopReceiptMismatch")])
def test_a_message_that_is_said_to_be_gone_and_is_not(fake, scripts, daemon, answer):
    # given a service that says of every message that it is not ours, at first
    what_follows_gone = fake.answer("Delete", answer, times=1), fake.answer("Update", answer, times=1)
    queue = fake.queue()
    hold = scripts.place / "hold"
    hold.touch()
    message = queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then=f"while [ -e {hold} ]; do sleep 0.05; done", lease="2s")
    wait_until(lambda: what_follows_gone[1].count, 10, "the renewal")
    # when the message comes to us again while its hook runs, and then once more after its delete
    running.wait_logged("delivered to us again")
    hold.unlink()
    # then it is settled in the end, and its hook ran once
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message]
    (line,) = said(running, "lease lost")
    assert "the run goes on" in line


def test_more_messages_than_asked_for_are_served_all(fake, scripts, daemon):
    # given a service that always gives eight
    queue = fake.queue()
    posted = [queue.post(messages.training()) for _ in range(8)]

    def generous(exchange):
        exchange.asked = exchange.asked._replace(query=exchange.asked.query.replace("numofmessages=1", "numofmessages=8"))
        exchange.send(exchange.perform())
    fake.answer("Get", generous)
    served_by(fake, scripts, daemon, queue, parallel=1)
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)


def test_a_service_that_hides_nothing_is_not_asked_without_end(fake, scripts, daemon):
    # given a service that gives us the message that we have at every Get
    queue = fake.queue()
    hold = scripts.place / "hold"
    hold.touch()

    def forgetful(exchange):
        for message in queue.messages():
            message.visible_at = 0
        exchange.send(exchange.perform())
    fake.answer("Get", forgetful)
    message = queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then=f"while [ -e {hold} ]; do sleep 0.05; done")
    wait_until(lambda: scripts.runs("report"), 5, "the hook to run")
    # then the daemon asks no more often than for an empty queue
    began = time.monotonic()
    stays_true(running.is_running, 1.5, "the daemon to live")
    assert len([at for at in fake.asked("Get") if began < at < began + 1.5]) < 1.5 / 0.05
    # and its hook runs once
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message]


def test_an_answer_that_somebody_repeats_runs_nothing_twice(fake, scripts, daemon):
    # given something between us and the service that gives an old answer again and again
    queue = fake.queue()
    hold = scripts.place / "hold"
    hold.touch()
    old = []

    def cached(exchange):
        if not old and queue.messages():
            old.append(exchange.perform())
        exchange.send(old[0] if old else exchange.perform())
    fault = fake.answer("Get", cached)
    message = queue.post(messages.training())
    running = served_by(fake, scripts, daemon, queue, then=f"while [ -e {hold} ]; do sleep 0.05; done", lease="2s")
    wait_until(lambda: scripts.runs("report"), 5, "the hook to run")
    # when its lease has been renewed, so that the old receipt is void
    wait_until(lambda: len(fake.asked("Update")) >= 2, 10, "two renewals")
    fault.lift()
    hold.unlink()
    # then the hook has run once, the message is deleted under the newest receipt, and a person is told, once
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message]
    assert len(said(running, "an old answer has come again")) == 1


# --- the service's own rules ---

def test_near_its_expiry_a_message_is_never_hidden_for_longer_than_it_lives(fake, scripts, daemon):
    # given a message that lives for eleven seconds, and a hook that needs five of them under a lease of eight
    queue = fake.queue()
    message = queue.post(messages.training(), ttl_s=11)
    began = time.monotonic()
    served_by(fake, scripts, daemon, queue, then="sleep 5", lease="8s", expiry_margin="100ms")
    # then its renewal asks for what is left (the fake service notes more as a violation), and it is deleted in time
    wait_until(lambda: fake.asked("Delete"), 10, "the delete")
    assert time.monotonic() - began < 11
    wait_until(queue.is_empty, 5, "the message to be gone")
    assert fake.asked("Update")
    assert [r.message for r in scripts.runs()] == [message]
