# SPDX-License-Identifier: MIT
"""A credential that may receive and delete, but not update: no renewal, no hiding, no giving back."""
import itertools
import json
import re
import signal
import threading
import time

import pytest

from e2e.test_ledger import fill, small_disk, state_of
from support import faults, messages
from support.bad_day import in_status, said
from support.daemon import exec_hook, run, write_config
from support.faults import error
from support.tap import Tap, through
from support.wait import stays_true, wait_until

REFUSED = error(403, "AuthorizationPermissionMismatch")
LINE = "no right to update messages"


def without_update(azurite, queue, permissions="rp", **settings):
    """The daemon's settings for a queue whose SAS lacks u."""
    return {**{k: v for k, v in queue.config(**settings).items() if k != "identity"},
            "sas": azurite.queue_sas(queue.name, permissions=permissions)}


def operations(tap):
    """What the daemon asked for: PUT below a message is an Update."""
    return [(method, path) for _, method, path, _ in tap.requests]


def updates(tap):
    return [path for method, path in operations(tap) if method == "PUT"]


def leases_s(tap):
    return [int(re.search(r"visibilitytimeout=(\d+)", path)[1]) for method, path in operations(tap) if method == "GET"]


def test_azurite_refuses_as_the_service_does(azurite, queue):
    # given a token without u, then an update is refused with the service's code, and a delete is not
    from azure.core.exceptions import HttpResponseError
    from azure.storage.queue import QueueClient
    queue.post(messages.training())
    client = QueueClient(azurite.url, queue.name, credential=azurite.queue_sas(queue.name, permissions="rp"))
    message = next(iter(client.receive_messages(visibility_timeout=30)))
    with pytest.raises(HttpResponseError) as refused:
        client.update_message(message, visibility_timeout=5)
    assert (refused.value.status_code, refused.value.error_code) == (403, "AuthorizationPermissionMismatch")
    client.delete_message(message)
    assert queue.is_empty()


def test_a_run_longer_than_the_lease_runs_once_without_an_update(azurite, queue, scripts, daemon):
    # given a token that says itself that it may not update, a short lease, and a hook that needs more than that
    tap = Tap(azurite.queue_port)
    settings = {**without_update(azurite, queue, lease="1s"), "url": through(tap, queue)["url"]}
    running = daemon({"queues": [settings], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", "sleep 3"), timeout="20s", grace="5s")]})
    # when a message comes
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    # then nobody else sees it, it ran once and is done
    stays_true(lambda: not queue.visible(), 2, "the message to stay hidden", interval=0.2)
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.message for r in scripts.runs("slow")] == [message]
    # and not one update was sent: each Get asked for the longest run and a minute
    assert updates(tap) == []
    assert set(leases_s(tap)) == {20 + 5 + 60}
    # and one line says so, with what follows and what mends it
    (line,) = said(running, LINE)
    assert json.loads(line)["level"] == "warning"
    for part in ("1m 25s", "permission u", "Storage Queue Data Contributor", queue.name):
        assert part in line
    wait_until(lambda: in_status(running, LINE), 5, "the status to tell")
    assert not running.logged("lease lost")


def test_a_hook_that_fails_twice_is_tried_again_by_a_clock_of_ours(azurite, queue, scripts, daemon):
    # given a token without u, and a hook that fails twice
    tap = Tap(azurite.queue_port)
    settings = {**without_update(azurite, queue, lease="2s", retry_delay=["1s"]), "url": through(tap, queue)["url"]}
    running = daemon({"queues": [settings], "hooks": [
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 3 ] || exit 1"))]})
    # when a message comes
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then it ran three times, each after its delay, knowing its number
    runs = scripts.runs("flaky")
    assert [r.attempt for r in runs] == ["1", "2", "3"]
    assert all(0.9 <= b.time - a.time < 30 for a, b in zip(runs, runs[1:]))
    # and the queue never heard of it
    assert updates(tap) == [] and len([m for m, _ in operations(tap) if m == "DELETE"]) == 1
    assert len(running.logged("message received, dequeue count")) == 1


def test_later_and_faults_of_the_host_use_the_same_clock(azurite, new_queue, scripts, daemon):
    # given a hook that asks for patience once, and one whose program is missing
    later, broken = new_queue(), new_queue()
    missing = scripts.place / "deploy"
    daemon({"queues": [without_update(azurite, later, retry_delay=["1s"], max_attempts=1),
                       without_update(azurite, broken, retry_delay=["1s"], max_attempts=1)], "hooks": [
        exec_hook("later", "*", scripts.recording("later", "[ $run -ge 2 ] || exit 75"), queues=[later.name]),
        exec_hook("deploy", "*", str(missing), queues=[broken.name])]})
    # when both get messages
    later.post(messages.training())
    posted = broken.post(messages.training())
    wait_until(later.is_empty, 15, "the patient one's end")
    assert [r.attempt for r in scripts.runs("later")] == ["1", "1"]
    # then the other waits, and runs when its program is there
    assert broken.count() == 1 and not broken.records()
    scripts.recording("deploy")
    wait_until(broken.is_empty, 30, "the other one's end")
    assert [(r.message, r.attempt) for r in scripts.runs("deploy")] == [(posted, "1")]


def test_one_that_waits_takes_no_place(azurite, queue, scripts, daemon):
    # given a queue that is served one message at a time, and a hook that fails for the first message
    daemon({"queues": [without_update(azurite, queue, parallel=1, retry_delay=["2s"])], "hooks": [
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $CVN_EVENT = export.completed ] || [ $run -ge 2 ] || exit 1"))]})
    first = queue.post(messages.training())
    wait_until(lambda: scripts.runs("flaky"), 10, "the first run")
    # when others come while it waits
    others = [queue.post(messages.export()) for _ in range(3)]
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then they were served meanwhile, and it at its time
    assert [r.message for r in scripts.runs("flaky")] == [first, *others, first]


def test_one_that_is_due_waits_for_a_place(azurite, queue, scripts, daemon):
    # given a queue that is served one message at a time, one that waits for a retry, and one that takes its time
    hold = scripts.place / "hold"
    hold.touch()
    then = f"if [ $CVN_EVENT = export.completed ]; then while [ -e {hold} ]; do sleep 0.05; done; else [ $run -ge 2 ]; fi || exit 1"
    running = daemon({"queues": [without_update(azurite, queue, parallel=1, retry_delay=["1s"])],
                      "hooks": [exec_hook("busy", "*", scripts.recording("busy", then), parallel=4)]})
    first = queue.post(messages.training())
    running.wait_logged("message is kept here and tried again in 1s")
    slow = queue.post(messages.export())
    wait_until(lambda: scripts.runs("busy", slow), 10, "the slow one")
    # then the first does not run beside it, though its time has come
    stays_true(lambda: len(scripts.runs("busy", first)) == 1, 2, "the first to wait")
    # but as soon as it is over
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs("busy")] == [first, slow, first]


def test_poison_works_without_it(azurite, queue, scripts, daemon):
    # given tokens that can receive here and post there, and a hook with two attempts
    poison = queue.poison()
    settings = without_update(azurite, queue, retry_delay=["1s"], max_attempts=2,
                              poison={"sas": azurite.queue_sas(poison.name, permissions="a")})
    running = daemon({"queues": [settings], "hooks": [exec_hook("never", "*", scripts.recording("never", "exit 3"))]})
    # when messages come while there is no poison queue, which that token may not make
    failing, garbage = queue.post(messages.training()), queue.post("{oops}")
    running.wait_logged("poison record can not be put into")
    wait_until(lambda: len(scripts.runs("never")) == 2, 10, "two attempts")
    # then they are there once it is, and deleted
    poison.client.create_queue()
    running.signal(signal.SIGUSR1)
    wait_until(lambda: len(queue.records()) == 2, 30, "the records")
    wait_until(queue.is_empty, 30, "the queue to be empty")
    assert {(r["message_id"], r["reason"], r["attempts"]) for r in queue.records()} == {
        (failing, "out-of-attempts", 2), (garbage, "not-json", 0)}
    assert len(scripts.runs("never")) == 2


def test_a_message_that_would_expire_while_it_waits_goes_to_poison(azurite, queue, scripts, daemon):
    # given a hook that fails for ever, and a message whose life ends before its long lease does
    account = {k: v for k, v in without_update(azurite, queue, lease="1s", retry_delay=["1s"], max_attempts=100,
                                               expiry_margin="3s").items()}
    account["poison"] = {"connection_string": azurite.connection_string()}
    daemon({"queues": [account], "hooks": [exec_hook("never", "*", scripts.recording("never", "exit 1"))]})
    before = time.time()
    queue.post(messages.training(), time_to_live=8)
    # then it is tried a few times, and kept aside in time
    wait_until(queue.records, 10, "a poison record")
    assert queue.records()[0]["reason"] == "expiring"
    assert 2 < time.time() - before < 8 and len(scripts.runs("never")) >= 2


def test_a_wait_for_a_turn_ends_in_poison_before_the_message_does(azurite, queue, scripts, daemon):
    # given a hook that serves one at a time, and is busy
    hold = scripts.place / "hold"
    hold.touch()
    settings = without_update(azurite, queue, lease="1s", expiry_margin="3s")
    settings["poison"] = {"connection_string": azurite.connection_string()}
    daemon({"queues": [settings], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.1; done"), parallel=1)]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to be busy")
    # when a message of eight seconds waits for it in vain, under a lease of ten minutes
    before = time.time()
    short = queue.post(messages.training(), time_to_live=8)
    wait_until(queue.records, 12, "a poison record")
    # then it is kept aside unrun, while there was time for that
    assert [(r["reason"], r["message_id"]) for r in queue.records()] == [("expiring", short)]
    assert 4 < time.time() - before < 8
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")


def test_many_that_begin_to_wait_at_once_do_not_end_the_polling(azurite, queue, place, fake, daemon):
    # given as many messages for poison as may be settled at once, and a poison queue that takes its time
    answered = threading.Event()

    def busy_after_a_while(exchange):
        answered.wait(15)
        error(503, "ServerBusy", Retry_After="60")(exchange)

    puts = fake.answer("Put", busy_after_a_while)
    poison = fake.queue("events-poison").config()
    settings = without_update(azurite, queue, parallel=100, poison={k: poison[k] for k in ("url", "sas")})
    running = daemon({"queues": [settings], "hooks": [
        {"name": "audit", "on": ["*"], "file": {"path": str(place / "audit.jsonl")}}]})
    for _ in range(64):
        queue.post("{oops}")
    wait_until(lambda: len(running.logged("reading -> settling")) == 64, 10, "all to be settled")
    # when another message comes, and all of them are told to wait a minute
    queue.post(messages.training())
    answered.set()
    wait_until(lambda: len(running.logged("message is kept here")) == 64, 10, "all to wait")
    # then it is served meanwhile
    wait_until((place / "audit.jsonl").exists, 10, "the line")
    assert puts.count == 64


# --- stopping ---

@pytest.mark.parametrize("text", ["{oops}", messages.training()], ids=["undecodable", "unmatched"])
def test_a_stop_before_the_ledger_has_answered_does_not_delete(place, fake, scripts, daemon, text):
    # given a message for poison that came before, a ledger that can not be asked what is known of it, and a credential of
    # which nobody knows that it may not update
    queue = fake.queue()
    refused = fake.answer("Update", REFUSED)
    running = daemon({"queues": [queue.config(lease="10m", unmatched="poison")],
                      "hooks": [exec_hook("report", "export.*", scripts.recording("report"))]},
                     before=small_disk(place, "size=512k"))
    fill(state_of(running))
    with fake.lock:
        message = queue.post(text)
        queue.messages()[0].dequeue_count = 1
    running.wait_logged("ledger can not be written")
    # when the daemon is stopped, and may not give the message back
    running.signal(signal.SIGTERM)
    assert running.wait_end(15) == 0
    # then it is still there, left to its lease
    assert refused.count == 1 and [m.id for m in queue.messages()] == [message]
    running.wait_logged("message comes again when its lease ends", message)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_messages_wait_is_quick(azurite, queue, scripts, daemon, sig):
    # given messages that wait a minute for their retries
    tap = Tap(azurite.queue_port)
    settings = {**without_update(azurite, queue, retry_delay=["1m"]), "url": through(tap, queue)["url"]}
    running = daemon({"queues": [settings], "hooks": [
        exec_hook("never", "*", scripts.recording("never", "exit 1"), parallel=4)]})
    for _ in range(5):
        queue.post(messages.training())
    wait_until(lambda: len(running.logged("message is kept here")) == 5, 15, "all to wait")
    # when the daemon is stopped
    asked = len(tap.requests)
    before = time.monotonic()
    running.signal(sig)
    assert running.wait_end(10) == 0
    # then it ends at once, asks nothing in vain, and one line says what comes of the messages
    assert time.monotonic() - before < 30
    assert [m for m, _ in operations(tap)[asked:] if m != "GET"] == []
    (line,) = said(running, "come again when their leases end, within")
    assert '"level":"warning"' in line
    assert queue.count() == 5


def test_a_stop_before_it_is_known_asks_once(fake, scripts, daemon):
    # given messages that wait for their turn, and a credential of which nobody knows that it may not update
    queue = fake.queue()
    fault = fake.answer("Update", REFUSED)
    hold = scripts.place / "hold"
    hold.touch()
    running = daemon({"queues": [queue.config(lease="10m")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done"), parallel=1)]})
    posted = [queue.post(messages.training()) for _ in range(4)]
    wait_until(lambda: scripts.runs("slow") and all(m.dequeue_count for m in queue.messages()), 10, "all to be taken")
    # when the daemon is stopped
    running.signal(signal.SIGTERM)
    wait_until(lambda: fault.count, 5, "the first refusal")
    hold.unlink()
    assert running.wait_end(10) == 0
    # then each that waited was tried at most once, and the one that ran is done
    assert fault.count <= 3
    assert len(scripts.runs("slow", mark="end")) == 1 and len(queue.messages()) == len(posted) - 1
    assert len(said(running, "come again when their leases end, within")) == 1


def test_once_does_not_wait_for_the_clock(azurite, place, queue, scripts):
    # given a message whose hook fails, and a retry in five minutes
    queue.post(messages.training())
    write_config(place / "once.yaml", {
        "queues": [without_update(azurite, queue, retry_delay=["5m"])],
        "hooks": [exec_hook("never", "*", scripts.recording("never", "exit 1"))]}, place)
    # when the daemon runs once, then it says that a message is left
    result = run("--once", "-c", place / "once.yaml", timeout=20)
    assert result.returncode == 75, result.stderr
    assert len(scripts.runs("never")) == 1 and queue.count() == 1


# --- learning it, and unlearning ---

def test_it_is_learnt_from_the_first_refusal(fake, scripts, daemon):
    # given a credential that does not tell, and a hook that needs many leases
    queue = fake.queue()
    fault = fake.answer("Update", REFUSED)
    hold = scripts.place / "hold"
    hold.touch()
    running = daemon({"queues": [queue.config(lease="2s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done"),
                  timeout="30s", grace="0s")]})
    first = queue.post(messages.training())
    # when its first renewal is refused, then that is said, its lease runs out, and it comes again to us
    # under a long lease, while its run goes on
    (line,) = running.wait_logged(LINE)
    running.wait_logged("delivered to us again")
    tries = fault.count
    (message,) = queue.messages()
    assert message.visible_at - time.time() > 60
    second = queue.post(messages.training())
    wait_until(lambda: all(m.dequeue_count for m in queue.messages()), 5, "the second to be taken")
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    # then both ran once, no update was tried under a long lease, and there was one line
    assert [r.message for r in scripts.runs()] == [first, second]
    assert fault.count == tries <= 6
    assert len(said(running, LINE)) == 1


def test_a_right_that_comes_and_goes_is_said_once(fake, scripts, daemon):
    # given a role that spreads: every other update is refused
    queue, answers = fake.queue(), itertools.cycle([REFUSED, lambda exchange: exchange.send(exchange.perform())])
    fault = fake.answer("Update", lambda exchange: next(answers)(exchange))
    hold = scripts.place / "hold"
    hold.touch()
    running = daemon({"queues": [queue.config(lease="4s", parallel=16)], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done"), parallel=16)]})
    posted = [queue.post(messages.training()) for _ in range(4)]
    wait_until(lambda: fault.count >= 12, 30, "a dozen updates")
    posted.append(queue.post(messages.training()))
    wait_until(lambda: scripts.runs("slow", posted[-1]), 10, "a late one")
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    # then one line says so, and each message ran once
    assert len(said(running, LINE)) == 1 and not said(running, "the right to update is there")
    assert sorted(r.message for r in scripts.runs("slow")) == sorted(posted)


def test_a_retry_that_can_not_be_hidden_is_kept_at_once(fake, scripts, daemon):
    # given a credential that does not tell, and a long lease
    queue = fake.queue()
    fault = fake.answer("Update", REFUSED)
    queue.post(messages.training())
    running = daemon({"queues": [queue.config(lease="10m", retry_delay=["1s"])], "hooks": [
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 3 ] || exit 1"))]})
    # when its hook fails twice, then it is asked once, and the retries come in time
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.attempt for r in scripts.runs()] == ["1", "2", "3"]
    assert fault.count == 1 and not said(running, "can not be put back")


def test_a_credential_that_is_refused_as_a_whole_is_something_else(fake, scripts, daemon):
    # given a credential that is revoked while a hook runs: each request is refused
    queue = fake.queue()
    hold = scripts.place / "hold"
    hold.touch()
    running = daemon({"queues": [queue.config(lease="4s", parallel=2)], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done"))]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the hook to run")
    refusals = [fake.answer(operation, REFUSED) for operation in ("Get", "Update")]
    wait_until(lambda: all(f.count for f in refusals), 10, "both to be refused")
    # when it is good again
    for fault in refusals:
        fault.lift()
    running.wait_logged("queue answers again")
    # then leases are renewed as before, and nobody spoke of the right to update
    renewed = len(fake.asked("Update"))
    wait_until(lambda: len(fake.asked("Update")) > renewed + 1, 10, "renewals")
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert not said(running, LINE)


@pytest.mark.parametrize("answer", [error(403, "AuthenticationFailed"), error(403, "AuthorizationFailure"),
                                    faults.challenge(), error(500, "InternalError")])
def test_other_refusals_of_an_update_are_no_missing_right(fake, scripts, daemon, answer):
    # given an update that fails for another reason
    queue = fake.queue()
    fault = fake.answer("Update", answer, times=2)
    hold = scripts.place / "hold"
    hold.touch()
    queue.post(messages.training())
    running = daemon({"queues": [queue.config(lease="8s")], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done"))]})
    # then the renewal is tried again, and the message kept
    wait_until(lambda: fault.count == 2 and len(fake.asked("Update")) > 2, 15, "a renewal that goes well")
    hold.unlink()
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs()) == 1 and not said(running, LINE)


def test_a_mended_file_is_used_after_a_reload(azurite, place, queue, scripts, daemon):
    # given a SAS without u in a file
    secret = place / "sas"

    def put(permissions):
        secret.touch(mode=0o600)
        secret.write_text(azurite.queue_sas(queue.name, permissions=permissions))
    put("rp")
    tap = Tap(azurite.queue_port)
    hold = scripts.place / "hold"
    hold.touch()
    settings = {k: v for k, v in through(tap, queue, lease="2s").items() if k != "identity"}
    running = daemon({"queues": [{**settings, "sas_file": str(secret)}], "hooks": [
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.1; done"))]})
    running.wait_logged(LINE)
    # when a reload finds the same, it is said again
    running.reload()
    wait_until(lambda: len(said(running, LINE)) == 2, 5, "the second line")
    assert updates(tap) == []
    # when it gets u, then the next message has the short lease again, renewed
    put("rup")
    running.reload()
    wait_until(lambda: leases_s(tap)[-1] == 2, 5, "the short lease")
    queue.post(messages.training())
    wait_until(lambda: len(updates(tap)) >= 2, 10, "renewals")
    running.wait_logged("the right to update is there")
    wait_until(lambda: not in_status(running, LINE), 5, "the status to be good")
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert len(said(running, LINE)) == 2 and len(scripts.runs()) == 1


def test_a_policy_s_sas_is_asked_for_what_it_may(azurite, queue, scripts, daemon):
    # given a SAS whose rights stand in a policy of the queue, which lacks u
    from azure.storage.queue import AccessPolicy, QueueSasPermissions
    import datetime
    queue.client.set_queue_access_policy({"reader": AccessPolicy(
        permission=QueueSasPermissions(read=True, process=True), start=None,
        expiry=datetime.datetime.utcnow() + datetime.timedelta(hours=1))})
    tap = Tap(azurite.queue_port)
    settings = {**without_update(azurite, queue, lease="10m", retry_delay=["1s"]), "url": through(tap, queue)["url"],
                "sas": azurite.queue_sas(queue.name, policy="reader")}
    queue.post(messages.training())
    running = daemon({"queues": [settings], "hooks": [
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 3 ] || exit 1"))]})
    # when a hook fails twice, then one update is tried, and the rest is as ever
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [r.attempt for r in scripts.runs()] == ["1", "2", "3"]
    assert len(updates(tap)) == 1 and len(said(running, LINE)) == 1


def test_more_than_may_wait_come_again_by_themselves(fake, scripts, daemon):
    # given more messages than may wait here, and a broken hook
    queue = fake.queue()
    fake.answer("Update", REFUSED)
    missing = scripts.place / "deploy"
    running = daemon({"queues": [queue.config(lease="1s", parallel=32, retry_delay=["1s"])], "hooks": [
        exec_hook("deploy", "*", str(missing), timeout="100ms", grace="0s")]})
    posted = {queue.post(messages.training()) for _ in range(300)}
    wait_until(lambda: running.logged("message comes again when its lease ends"), 30, "one that finds no place")
    # then all are there, and in this daemon's hands are no more than may be
    wait_until(lambda: in_status(running, " in hand"), 5, "a status")
    assert {m.id for m in queue.messages()} == posted
    # and when all is well, those that waited are served
    scripts.recording("deploy")
    running.reload()
    wait_until(lambda: len(scripts.runs("deploy")) >= 256, 60, "those that waited", interval=0.2)


def test_t_names_the_missing_right(azurite, place, queue):
    # given a token without u, then -t says what comes of it
    write_config(place / "t.yaml", {"queues": [without_update(azurite, queue)], "hooks": [
        {"name": "audit", "on": ["*"], "file": {"path": str(place / "x.jsonl")}}]}, place)
    result = run("-t", "-c", place / "t.yaml")
    assert result.returncode == 0 and "lacks the permission u" in result.stdout, result.stdout + result.stderr
    write_config(place / "t.yaml", {"queues": [{**without_update(azurite, queue, permissions="rup")}], "hooks": []}, place)
    assert "lacks the permission" not in run("-t", "-c", place / "t.yaml").stdout


def test_a_retry_after_the_end_of_its_lease_keeps_its_delay(fake, scripts, daemon):
    # given a credential that does not tell, and a delay longer than the first lease
    queue = fake.queue()
    fault = fake.answer("Update", REFUSED)
    message = queue.post(messages.training())
    running = daemon({"queues": [queue.config(lease="1s", retry_delay=["4s"])], "hooks": [
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"))]})
    # then the message comes again when its lease ends, waits here for the rest, and runs no sooner
    wait_until(queue.is_empty, 15, "the queue to be empty")
    first, second = scripts.runs()
    assert (first.message, second.message, second.attempt) == (message, message, "2")
    assert second.time - first.time >= 4 - 1.6  # the service's clock has a grain of a second
    assert running.logged("message comes again when its lease ends") and running.logged("message is kept here")
    assert fault.count == 1 and len(said(running, LINE)) == 1


def test_one_that_finds_no_place_and_would_expire_goes_to_poison(fake, scripts, daemon):
    # given a broken hook, and more messages than may wait here, whose lives end before the long lease does
    queue = fake.queue()
    fake.queue("events-poison")
    fake.answer("Update", REFUSED)
    missing = scripts.place / "deploy"
    running = daemon({"queues": [queue.config(lease="1s", parallel=32, retry_delay=["1s"], expiry_margin="5s")],
                      "hooks": [exec_hook("deploy", "*", str(missing), timeout="100ms", grace="0s")]})
    queue.post(messages.training())
    running.wait_logged(LINE)
    for _ in range(300):
        queue.post(messages.training(), ttl_s=50)
    # then those beyond the ceiling are kept aside at once, for they would not come again
    wait_until(lambda: len(queue.records()) >= 40, 25, "poison records", interval=0.2)
    assert {r["reason"] for r in queue.records()} == {"expiring"}
    # and those that wait are served
    scripts.recording("deploy")
    running.reload()
    wait_until(queue.is_empty, 60, "the queue to be empty", interval=0.2)


def test_one_that_is_due_and_would_expire_for_want_of_a_place_goes_to_poison(azurite, queue, scripts, daemon):
    # given one message at a time, one that waits for a retry, and one that takes the place
    hold = scripts.place / "hold"
    hold.touch()
    then = f"if [ $CVN_EVENT = export.completed ]; then while [ -e {hold} ]; do sleep 0.05; done; else exit 1; fi"
    settings = without_update(azurite, queue, parallel=1, lease="1s", retry_delay=["1s"], expiry_margin="4s")
    settings["poison"] = {"connection_string": azurite.connection_string()}
    running = daemon({"queues": [settings], "hooks": [exec_hook("busy", "*", scripts.recording("busy", then), parallel=4)]})
    short = queue.post(messages.training(), time_to_live=9)
    running.wait_logged("message is kept here and tried again in 1s")
    slow = queue.post(messages.export())
    wait_until(lambda: scripts.runs("busy", slow), 10, "the slow one")
    # then it is kept aside while there is time for that
    wait_until(queue.records, 10, "a poison record")
    assert [(r["message_id"], r["reason"], r["hook"]) for r in queue.records()] == [(short, "expiring", "busy")]
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs("busy")] == [short, slow]


def test_no_update_is_tried_at_half_of_a_long_lease(azurite, queue, scripts, daemon):
    # given the shortest lease that there is without the right to update, 61 s, and a retry after more than its half
    tap = Tap(azurite.queue_port)
    settings = {**without_update(azurite, queue, lease="1s", retry_delay=["32s"]), "url": through(tap, queue)["url"]}
    daemon({"queues": [settings], "hooks": [
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"), timeout="1s", grace="0s")]})
    queue.post(messages.training())
    wait_until(queue.is_empty, 45, "the queue to be empty", interval=0.2)
    # then the retry came in time, and nothing was sent before it
    first, second = scripts.runs("flaky")
    assert 32 - 0.1 <= second.time - first.time < 55
    assert set(leases_s(tap)) == {61} and updates(tap) == []


def test_what_waits_goes_on_when_a_reload_changes_its_queue(azurite, queue, scripts, daemon):
    # given messages that wait for their retries
    tap = Tap(azurite.queue_port)
    settings = {**without_update(azurite, queue, retry_delay=["4s"]), "url": through(tap, queue)["url"]}
    hook = exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"), parallel=4)
    running = daemon({"queues": [settings], "hooks": [hook]})
    posted = [queue.post(messages.training()) for _ in range(3)]
    wait_until(lambda: len(running.logged("message is kept here")) == 3, 15, "all to wait")
    # when a reload gives the queue other settings
    running.reload({"queues": [{**settings, "parallel": 2}], "hooks": [hook]})
    # then they are tried again at their time, though their leases are long
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert sorted(r.message for r in scripts.runs("flaky")) == sorted(posted * 2)
    assert all(scripts.runs("flaky", m)[1].time - scripts.runs("flaky", m)[0].time >= 3.9 for m in posted)
    assert updates(tap) == [] and not said(running, "come again when their leases end")


def test_what_waits_for_its_turn_goes_on_when_a_reload_changes_its_queue(azurite, queue, scripts, daemon):
    # given a hook that is busy, and messages that wait for their turn under long leases
    hold = scripts.place / "hold"
    hold.touch()
    settings = without_update(azurite, queue)
    hook = exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done"), parallel=1)
    running = daemon({"queues": [settings], "hooks": [hook]})
    posted = [queue.post(messages.training()) for _ in range(3)]
    wait_until(lambda: len(running.logged("reading -> stepping")) == 3, 15, "all to wait")
    # when a reload gives the queue other settings
    running.reload({"queues": [{**settings, "parallel": 2}], "hooks": [hook]})
    # then each has its turn, once, long before the leases end
    hold.unlink()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert sorted(r.message for r in scripts.runs("slow")) == sorted(posted)
    assert not said(running, "come again when their leases end")


def test_what_waits_is_let_go_when_a_reload_removes_its_queue(azurite, new_queue, scripts, daemon):
    # given two queues, and a message that waits
    one, two = new_queue(), new_queue()
    hook = exec_hook("flaky", "*", scripts.recording("flaky", "exit 1"))
    both = [without_update(azurite, q, retry_delay=["1m"]) for q in (one, two)]
    running = daemon({"queues": both, "hooks": [hook]})
    one.post(messages.training())
    running.wait_logged("message is kept here")
    # when its queue is gone from the configuration, then it is not held on to
    running.reload({"queues": both[1:], "hooks": [hook]})
    running.wait_logged("come again when their leases end")
    wait_until(lambda: in_status(running, " 0 in hand"), 5, "nothing in hand")


def test_a_renewal_that_a_reload_cuts_off_may_have_been_done(fake, scripts, daemon):
    # given a message that waits for its retry, and whose renewal is done and not answered
    queue = fake.queue()
    fake.answer("Update", REFUSED, times=1)
    renewal = fake.answer("Update", faults.after_the_work(faults.silence), times=1)
    message = queue.post(messages.training())
    hook = exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"))
    settings = queue.config(lease="4s", retry_delay=["2500ms"])
    running = daemon({"queues": [settings], "hooks": [hook]})
    wait_until(lambda: renewal.count, 10, "the renewal")
    # when a reload gives the queue other settings, and then a delete fails and the next finds the receipt void, which this
    # service calls gone
    fake.answer("Delete", error(500, "InternalError"), times=1)
    fake.answer("Delete", error(404, "MessageNotFound"), times=1)
    running.reload({"queues": [{**settings, "parallel": 2}], "hooks": [hook]})
    # then the message comes again, is known, and is deleted without another run
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message] * 2


def test_a_message_that_may_have_been_hidden_is_not_kept_here(fake, scripts, daemon):
    # given a message that is hidden for its retry without an answer, and comes again while that is tried anew
    queue = fake.queue()

    def refuse_when_it_has_come(exchange):
        wait_until(lambda: queue.messages()[0].dequeue_count == 2, 10, "it to come again")
        REFUSED(exchange)
    fake.answer("Update", faults.after_the_work(error(500, "InternalError")), times=1)
    refused = fake.answer("Update", refuse_when_it_has_come, times=1)
    message = queue.post(messages.training())
    daemon({"queues": [queue.config(lease="20s", retry_delay=["1s"])], "hooks": [
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1; sleep 1.5"), parallel=2)]})
    # when the right to update ends then
    wait_until(lambda: refused.count and len(scripts.runs()) == 2, 10, "the refusal, and the retry")
    # then there is no other retry beside the one that runs
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert [r.message for r in scripts.runs()] == [message] * 2


def test_one_that_is_due_has_not_to_wait_for_the_next_poll(azurite, queue, scripts, daemon):
    # given one message at a time, rare polls, and two messages that wait for retries which take a while
    then = "[ $run -ge 2 ] || exit 1; sleep 1.5"
    posted = [queue.post(messages.training()) for _ in range(2)]
    daemon({"queues": [without_update(azurite, queue, parallel=1, retry_delay=["2s"], poll_min="20s", poll_max="40s")],
            "hooks": [exec_hook("flaky", "*", scripts.recording("flaky", then))]})
    wait_until(lambda: len(scripts.runs("flaky")) == 2, 15, "both first runs")
    # then the second is tried again as soon as the first is over
    wait_until(lambda: len(scripts.runs("flaky")) == 4, 30, "both retries")
    ends = {r.message: r.time for r in scripts.runs("flaky", mark="end")}
    second = scripts.runs("flaky")[3]
    (before,) = [m for m in posted if m != second.message]
    assert second.time - ends[before] < 8
    wait_until(queue.is_empty, 10, "the queue to be empty")
