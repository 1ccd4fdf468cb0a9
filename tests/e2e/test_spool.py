# SPDX-License-Identifier: MIT
"""Poison records that the poison queue does not take: kept in state_dir, moved over later, never lost."""
import json
import os
import signal
import threading

import pytest

from support import faults, messages
from support.bad_day import in_status, said
from support.daemon import exec_hook, run, write_config
from support.fake_queue import SAS
from support.faults import error, html
from support.wait import stays_true, wait_until

REFUSED = error(403, "AuthorizationPermissionMismatch")
FULL = 256 * 1024 * 1024


def spool(running):
    return running.place / "state/spool"


def files(running):
    return sorted(spool(running).glob("*.json"))


def documents(running):
    return [json.loads(path.read_text()) for path in files(running)]


def ids(queue):
    return [record["message_id"] for record in queue.records()]


def served_by(scripts, daemon, *queues, before=None, hooks=(), **settings):
    """A daemon that hears of poison."""
    return daemon({"http": {"timeout": "1s"}, "queues": [q.config(**{"lease": "4s", **settings}) for q in queues],
                   "hooks": [exec_hook("alarm", "message.poisoned", scripts.recording("alarm")), *hooks]})


def kill(running):
    running.signal(signal.SIGKILL)
    running.process.wait(10)


def test_a_token_for_one_queue_keeps_poison_here_until_there_is_another(azurite, queue, scripts, daemon):
    # given a token that covers one queue, and none for its poison queue, which exists
    poison = queue.poison()
    poison.client.create_queue()
    settings = {k: v for k, v in queue.config(sas=azurite.queue_sas(queue.name)).items() if k != "identity"}
    hooks = [exec_hook("alarm", "message.poisoned", scripts.recording("alarm", f"cat > '{scripts.place}/heard'"))]
    running = daemon({"queues": [settings], "hooks": hooks})
    # when two messages can not be decoded
    posted = [queue.post("{one"), queue.post("{two\t\u00e9")]
    # then both are gone from the queue, and kept in files that only the daemon can read
    wait_until(queue.is_empty, 15, "the queue to be empty")
    kept = {document["message_id"]: document for document in documents(running)}
    assert sorted(kept) == sorted(posted)
    assert all(path.stat().st_mode & 0o7777 == 0o600 for path in files(running))
    assert spool(running).stat().st_mode & 0o7777 == 0o700
    assert {document["queue"] for document in kept.values()} == {queue.url}
    assert json.loads(kept[posted[1]]["text"])["text"] == "{two\t\u00e9"
    assert kept[posted[1]]["text"].isascii()
    # and one line says why, where, and what mends it; the status counts them
    running.wait_logged("poison record can not be put into")
    (line,) = said(running, "poison record can not be put into", "it is kept in", "moved over later")
    assert poison.url in line and str(spool(running)) in line and "403" in line
    wait_until(lambda: in_status(running, "2 spooled"), 5, "the status to count them")
    # and who wants to hear of poison hears of each once
    wait_until(lambda: len(scripts.runs("alarm")) == 2, 10, "the alarms")
    assert json.loads((scripts.place / "heard").read_text())["data"]["reason"] == "not-json"
    # when poison gets a token of its own
    running.reload({"queues": [{**settings, "poison": {"sas": azurite.queue_sas(poison.name, "a")}}], "hooks": hooks})
    # then the records are moved over as they were, and that is said once
    wait_until(lambda: not files(running) and poison.count() == 2, 10, "the records to be moved")
    moved = {record["message_id"]: record for record in queue.records()}
    assert moved == {m: json.loads(kept[m]["text"]) for m in posted}
    running.wait_logged("poison records moved to", f"{poison.url}: 2;")
    wait_until(lambda: not in_status(running, "spooled"), 5, "the status to be clear")
    assert len(scripts.runs("alarm")) == 2
    assert queue.is_empty()


def test_a_restart_moves_what_was_kept_and_makes_the_queue(azurite, queue, scripts, daemon):
    # given a record that was kept, for neither the poison queue nor the right to make it was there
    settings = {k: v for k, v in queue.config(sas=azurite.queue_sas(queue.name)).items() if k != "identity"}
    running = daemon({"queues": [settings]})
    message = queue.post("{oops}")
    wait_until(lambda: queue.is_empty() and files(running), 15, "the record to be kept")
    assert running.terminate() == 0
    # when the daemon is started with a key for the whole account
    running.write({"queues": [queue.config()]})
    running.restart().wait_ready()
    # then the record is in the poison queue
    wait_until(lambda: ids(queue) == [message] and not files(running), 10, "the record to be moved")
    assert len(running.wait_logged("poison records moved to", ": 1;")) == 1


def test_once_moves_what_was_kept(fake, scripts, daemon, place):
    # given three records that were kept
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    running = served_by(scripts, daemon, queue)
    posted = {queue.post(f"{{oops {n}}}") for n in range(3)}
    wait_until(lambda: queue.is_empty() and len(files(running)) == 3, 15, "the records to be kept")
    assert running.terminate() == 0
    # when a single run finds the poison queue willing
    fault.lift()
    write_config(place / "once.yaml", {"queues": [queue.config()]}, place)
    result = run("-c", place / "once.yaml", "--once")
    # then it has moved them when it ends
    assert result.returncode == 0
    assert set(ids(queue)) == posted and not files(running)


def test_killed_between_the_file_and_the_delete(fake, scripts, daemon):
    # given a record that was kept, and a delete that gets no answer
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    delete = fake.answer("Delete", faults.silence)
    running = served_by(scripts, daemon, queue, lease="2s")
    message = queue.post("{oops}")
    wait_until(lambda: delete.count > 0, 10, "the delete")
    assert len(files(running)) == 1
    # when the daemon is killed then, and starts again
    kill(running)
    delete.lift()
    running.restart().wait_ready()
    # then the message comes again, and its file is still the only one
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert [document["message_id"] for document in documents(running)] == [message]
    # and it is moved over once
    fault.lift()
    running.signal(signal.SIGUSR1)
    wait_until(lambda: not files(running), 10, "the record to be moved")
    assert ids(queue) == [message]


def test_killed_while_a_record_is_moved(fake, scripts, daemon):
    # given three records that were kept, and a Put that is done and not answered
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    running = served_by(scripts, daemon, queue)
    posted = [queue.post(f"{{oops {n}}}") for n in range(3)]
    wait_until(lambda: queue.is_empty() and len(files(running)) == 3, 15, "the records to be kept")
    fault.lift()
    silent = fake.answer("Put", faults.after_the_work(faults.silence), times=1)
    running.signal(signal.SIGUSR1)
    wait_until(lambda: silent.count == 1, 10, "the Put")
    # when the daemon is killed then, and starts again
    kill(running)
    assert len(files(running)) == 3
    running.restart().wait_ready()
    # then each is moved, the one in between perhaps twice: readers tell by its message_id
    wait_until(lambda: not files(running), 10, "the records to be moved")
    assert set(ids(queue)) == set(posted) and len(ids(queue)) <= 4


def test_records_that_are_out_of_reach_at_the_start_are_moved_later(fake, scripts, daemon, place):
    # given a record that was kept, and a state_dir that is away when the daemon starts again
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    running = served_by(scripts, daemon, queue)
    message = queue.post("{oops}")
    wait_until(lambda: queue.is_empty() and len(files(running)) == 1, 15, "the record to be kept")
    assert running.terminate() == 0
    fault.lift()
    (place / "state").rename(place / "away")
    (place / "state").touch()
    running.restart()
    running.wait_logged("ledger can not be written", "Not a directory")
    # when it is back
    (place / "state").unlink()
    (place / "away").rename(place / "state")
    # then the record is moved
    wait_until(lambda: ids(queue) == [message] and not files(running), 30, "the record to be moved")


@pytest.mark.parametrize("obstacle", ["full", "no directory"])
def test_where_the_spool_takes_nothing_the_message_stays(fake, scripts, daemon, place, obstacle):
    # given a poison queue that refuses, and a spool that is full, or can not be
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    (place / "state").mkdir()
    if obstacle == "full":
        (place / "state/spool").mkdir()
        with open(place / "state/spool/0123456789abcdef-other.json", "wb") as big:
            big.truncate(FULL)
    else:
        (place / "state/spool").touch()
    running = served_by(scripts, daemon, queue)
    message = queue.post("{oops}")
    # when it was tried twice
    wait_until(lambda: queue.messages()[0].dequeue_count >= 2, 15, "the message to come again")
    # then it is in its queue still, nobody was told of poison, and one line names both reasons
    assert [m.id for m in queue.messages()] == [message] and not scripts.runs()
    running.wait_logged("poison record can not be stored")
    (line,) = said(running, "poison record can not be stored", "the message is kept and tried again")
    assert "Put Message" in line and ("is full" in line or "Not a directory" in line)
    # and it is stored when the poison queue takes it
    fault.lift()
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert ids(queue) == [message]


@pytest.mark.parametrize("answer", [faults.reset, error(429, "TooManyRequests"), error(503, "ServerBusy"),
                                    error(500, "InternalError"), html(403), error(409, "QueueBeingDeleted"),
                                    error(404, "QueueNotFound")])
def test_what_passes_by_itself_is_waited_for_in_the_queue(fake, scripts, daemon, answer):
    # given a poison queue that is away, busy, or not there yet
    queue = fake.queue()
    fake.queue("events-poison")
    fault = fake.answer("Put", answer, times=2)
    running = served_by(scripts, daemon, queue)
    message = queue.post("{oops}")
    # then the message waits in its queue, and nothing is kept here
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert ids(queue) == [message] and fault.count == 2
    assert not spool(running).exists()


def test_a_credential_that_is_not_there_yet_is_waited_for_in_the_queue(fake, scripts, daemon, place):
    # given a token for poison whose file is away for a moment
    queue = fake.queue()
    token = place / "poison.sas"
    token.touch(mode=0o600)
    token.write_text(SAS)
    running = served_by(scripts, daemon, queue, poison={"url": f"{queue.url}-poison", "sas_file": str(token)})
    token.rename(place / "away")
    # when a message is poison
    message = queue.post("{oops}")
    running.wait_logged("poison record can not be stored", "poison.sas")
    # then it stays in its queue until the file is back
    assert [m.id for m in queue.messages()] == [message] and not spool(running).exists()
    (place / "away").rename(token)
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert ids(queue) == [message] and not spool(running).exists()


@pytest.mark.parametrize("answer", [error(409, "QueueDisabled"), error(400, "InvalidHeaderValue"),
                                    error(401, "NoAuthenticationInformation"), error(403, "AuthorizationFailure")])
def test_what_a_person_must_mend_is_not_waited_for(fake, scripts, daemon, answer):
    # given a poison queue that refuses for good, in its words
    queue = fake.queue()
    fault = fake.answer("Put", answer)
    running = served_by(scripts, daemon, queue)
    message = queue.post("{oops}")
    # then the record is kept here, and moved by itself when that is mended
    wait_until(lambda: queue.is_empty() and len(files(running)) == 1, 10, "the record to be kept")
    fault.lift()
    wait_until(lambda: not files(running), 10, "the record to be moved")
    assert ids(queue) == [message]
    assert len(running.wait_logged("poison records moved to", ": 1;")) == 1
    assert len(said(running, "poison records can be stored again")) == 1


@pytest.mark.parametrize("cause", ["USR1", "reload", "another record"])
def test_the_wait_is_cut_short(fake, scripts, daemon, cause):
    # given a record that was kept, and a poison queue that is not to be asked again for a minute
    queue = fake.queue()
    fault = fake.answer("Put", error(403, "AuthenticationFailed", Retry_After="60"))
    running = served_by(scripts, daemon, queue)
    posted = {queue.post("{oops}")}
    wait_until(lambda: queue.is_empty() and len(files(running)) == 1, 10, "the record to be kept")
    # when it is mended, and somebody says so, or a record of another message gets there
    fault.lift()
    if cause == "USR1":
        running.signal(signal.SIGUSR1)
    elif cause == "reload":
        running.reload()
    else:
        posted.add(queue.post("{oops again}"))
    # then the record is moved at once
    wait_until(lambda: not files(running), 10, "the record to be moved")
    assert set(ids(queue)) == posted


def test_a_message_that_is_about_to_expire_is_kept_whatever_the_cause(fake, scripts, daemon):
    # given a poison queue that is away, and a message that has not long to live
    queue = fake.queue()
    fault = fake.answer("Put", faults.reset)
    running = served_by(scripts, daemon, queue, expiry_margin="30s")
    message = queue.post("{oops}", ttl_s=25)
    # then its record is safe before it is gone
    wait_until(lambda: queue.is_empty() and len(files(running)) == 1, 10, "the record to be kept")
    fault.lift()
    wait_until(lambda: ids(queue) == [message], 20, "the record to be moved")


def test_a_delete_that_follows_late_is_no_news_of_the_poison_queue(fake, scripts, daemon):
    # given a poison queue that refuses, and a record that is kept, but its message not deleted
    queue = fake.queue()
    fake.answer("Put", REFUSED)
    deletes = fake.answer("Delete", error(500, "InternalError"))
    heard = scripts.place / "heard"
    hooks = [exec_hook("bad", "*", scripts.recording("bad", "echo no luck; exit 65"))]
    running = daemon({"queues": [queue.config(lease="2s")], "hooks": [
        exec_hook("alarm", "message.poisoned", scripts.recording("alarm", f"cat > {heard}")), *hooks]})
    message = queue.post(messages.training())
    wait_until(lambda: len(running.logged("message received", message)) > 1, 20, "the message to come again")
    # when it can be deleted
    deletes.lift()
    wait_until(queue.is_empty, 10, "the queue to be empty")
    wait_until(lambda: scripts.runs("alarm", mark="end"), 10, "the hook that is told")
    # then nobody says that the poison queue works, or that the record was put there
    assert not running.logged("can be stored again") and not running.logged("message put into the poison queue")
    wait_until(lambda: in_status(running, "AuthorizationPermissionMismatch"), 5, "the status to tell")
    # and the hook was told once, of what the record says
    kept = json.loads(documents(running)[0]["text"])
    named = {key: kept[key] for key in ("reason", "hook", "exit", "tail")}
    assert named == {"reason": "rejected", "hook": "bad", "exit": 65, "tail": kept["tail"]} and "no luck" in kept["tail"]
    data = json.loads(heard.read_text())["data"]
    assert {key: data[key] for key in named} == named and len(scripts.runs("alarm")) == 1


def test_a_record_that_is_too_large_there_does_not_hold_up_the_others(fake, scripts, daemon):
    # given a poison queue that refuses all, later only what is long, and a long message before a short one
    queue, poison = fake.queue(), fake.queue("events-poison")
    fault = fake.answer("Put", error(413, "RequestBodyTooLarge"))
    running = served_by(scripts, daemon, queue)
    queue.post("x" * 500)
    wait_until(lambda: len(files(running)) == 1, 10, "the long one to be kept")
    queue.post("short")
    wait_until(lambda: queue.is_empty() and len(files(running)) == 2, 10, "both to be kept")
    assert sorted(document["text"] for document in documents(running)) == ["short", "x" * 500]

    def short_ones(exchange):
        if len(exchange.asked.body) > 400:
            error(413, "RequestBodyTooLarge")(exchange)
        else:
            exchange.send(exchange.perform())
    fake.answer("Put", short_ones)
    fault.lift()
    # then the short one gets there, and the long one is kept
    wait_until(lambda: [m.text for m in poison.messages()] == ["short"], 20, "the short one to be moved")
    wait_until(lambda: len(files(running)) == 1, 10, "its file to go")
    stays_true(lambda: [document["text"] for document in documents(running)] == ["x" * 500], 1, "the long one to be kept")


def test_a_reload_while_a_record_is_moved_does_not_double_it(fake, scripts, daemon):
    # given a record whose Put takes its time
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    running = served_by(scripts, daemon, queue)
    message = queue.post("{oops}")
    wait_until(lambda: queue.is_empty() and len(files(running)) == 1, 10, "the record to be kept")
    go_on = threading.Event()

    def slow(exchange):
        go_on.wait(10)
        exchange.send(exchange.perform())
    fault.lift()
    held = fake.answer("Put", slow, times=1)
    running.signal(signal.SIGUSR1)
    wait_until(lambda: held.count == 1, 10, "the Put")
    # when the queue gets other settings meanwhile
    running.reload({"queues": [queue.config(lease="5s")]})
    go_on.set()
    # then the record is there once
    wait_until(lambda: not files(running), 10, "the record to be moved")
    stays_true(lambda: ids(queue) == [message], 1, "one record")


def test_a_reload_that_fails_to_help_leaves_the_record_to_the_new_configuration(fake, scripts, daemon):
    # given a record whose Put is slow to fail
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    running = served_by(scripts, daemon, queue)
    message = queue.post("{oops}")
    wait_until(lambda: queue.is_empty() and len(files(running)) == 1, 10, "the record to be kept")
    go_on = threading.Event()

    def slow(exchange):
        go_on.wait(10)
        REFUSED(exchange)
    fault.lift()
    held = fake.answer("Put", slow, times=1)
    running.signal(signal.SIGUSR1)
    wait_until(lambda: held.count == 1, 10, "the Put")
    # when the queue gets other settings meanwhile, and then the old ones fail
    running.reload({"queues": [queue.config(lease="5s")]})
    go_on.set()
    # then the new ones move it without being told
    wait_until(lambda: ids(queue) == [message] and not files(running), 10, "the record to be moved")


def test_what_a_retired_queue_keeps_is_moved_while_it_still_works(fake, scripts, daemon):
    # given two messages in work: one that runs on, and one that will be rejected
    queue = fake.queue()
    hold, go = scripts.place / "hold", scripts.place / "go"
    hold.touch()
    hooks = [exec_hook("slow", "training.*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done")),
             exec_hook("judge", "export.*", scripts.recording("judge", f"while [ ! -e {go} ]; do sleep 0.05; done; exit 65"))]
    running = daemon({"queues": [queue.config()], "hooks": hooks})
    queue.post(messages.training())
    rejected = queue.post(messages.export())
    wait_until(lambda: scripts.runs("slow") and scripts.runs("judge"), 10, "both hooks to run")
    # when the queue gets other settings meanwhile, which ask rarely, and the record that the old ones make is refused
    running.reload({"queues": [queue.config(poll_min="30s", poll_max="30s")], "hooks": hooks})
    fault = fake.answer("Put", REFUSED, times=1)
    go.touch()
    running.wait_logged("put into the poison spool")
    # then the new ones move it, though the first message is still in work under the old
    wait_until(lambda: ids(queue) == [rejected] and not files(running), 10, "the record to be moved")
    assert fault.count == 1 and not scripts.runs("slow", mark="end")
    hold.unlink()
    wait_until(queue.is_empty, 10, "the first message to be done")


def test_a_stop_does_not_wait_for_a_record_that_hangs(fake, scripts, daemon):
    # given a record whose Put gets no answer
    queue = fake.queue()
    fault = fake.answer("Put", REFUSED)
    running = daemon({"stop_timeout": "1s", "http": {"timeout": "60s"}, "queues": [queue.config()]})
    queue.post("{oops}")
    wait_until(lambda: queue.is_empty() and len(files(running)) == 1, 10, "the record to be kept")
    fault.lift()
    silent = fake.answer("Put", faults.silence)
    running.signal(signal.SIGUSR1)
    wait_until(lambda: silent.count == 1, 10, "the Put")
    # when the daemon is stopped
    status = running.terminate(timeout=10)
    # then it ends in time, and the record is kept
    assert status == 0 and len(files(running)) == 1


def test_what_nobody_will_move_is_told_at_the_start(fake, scripts, daemon):
    # given records of two queues
    queue, other = fake.queue(), fake.queue("other")
    fault = fake.answer("Put", REFUSED)
    running = served_by(scripts, daemon, queue, other)
    message = queue.post("{oops}")
    other.post("{oops}")
    wait_until(lambda: len(files(running)) == 2, 10, "the records to be kept")
    assert running.terminate() == 0
    # when one queue is no longer named, a file is damaged, and another was put there by hand
    (mine,) = [path for path in files(running) if message in path.name]
    damaged = mine.with_name(mine.name.replace(message, "damaged"))
    damaged.write_text("{")
    os.utime(damaged, (1, 1))
    (spool(running) / "notes").write_text("mine")
    fault.lift()
    running.write({"queues": [queue.config()]})
    running.restart().wait_ready()
    # then the good record of the queue that is named is moved, and the others are told of and left
    wait_until(lambda: ids(queue) == [message] and len(files(running)) == 1, 10, "the record to be moved")
    assert len(said(running, "poison records of queues that the configuration does not name: 1;")) == 1
    assert len(said(running, "notes")) == 1
    assert len(said(running, "set aside as", "damaged")) == 1
    assert (spool(running) / "notes").exists()
    assert damaged.with_name(damaged.name + ".bad").read_text() == "{"
    # and the first queue's are moved when it is named again
    running.reload({"queues": [queue.config(), other.config()]})
    wait_until(lambda: not files(running), 10, "the other record to be moved")
    assert len(ids(other)) == 1
