# SPDX-License-Identifier: MIT
"""Bodies that are cut, garbled or hostile, connections that break, bytes that never end: to the Gets and to what
follows them."""
import pytest

from support import faults, messages
from support.bad_day import QUICK_HTTP, gets_fail_and_recover, said, what_follows_fails_and_recovers
from support.certificates import Certificates
from support.daemon import exec_hook, run, write_config
from support.fake_queue import FakeService, listing
from support.faults import reply
from support.wait import wait_until

WIRE = {
    "a cut body": (faults.cut(), "server", ["no whole answer"]),
    "headers alone": (faults.only_headers(), "server", ["no whole answer"]),
    "half a header": (faults.half_a_header, "server", ["200, but", "no element found"]),
    "chunks without an end": (faults.unended_chunks(), "server", ["no whole answer"]),
    "bad chunks": (faults.bad_chunks, "server", ["no whole answer"]),
    "an endless body": (faults.endless, "server", ["larger answer than"]),
    "endless headers": (faults.endless_headers, "server", ["larger"]),
    "endless promises": (faults.endless_interims, "server", ["larger"]),
    "a dribble": (faults.dribble, "network", ["no whole answer", "within 1s"]),
    "dribbled headers": (faults.dribbled_headers, "network", ["within 1s"]),
    "silence": (faults.silence, "network", ["no answer", "within 1s"]),
    "a reset": (faults.reset, "network", ["connection to 127.0.0.1", "broke", "reset"]),
    "a hang-up": (faults.hang_up, "network", ["no answer"]),
    "garbage": (faults.garbage, "server", ["no whole answer"]),
}


@pytest.mark.parametrize("row", WIRE)
def test_gets_whose_answers_break_off(fake, scripts, daemon, row):
    answer, cause, needles = WIRE[row]
    gets_fail_and_recover(fake, scripts, daemon, answer, cause, needles)


FOLLOWING = {
    "a cut body": faults.cut(500, b"<Error>"),
    "headers alone": faults.only_headers(500),
    "chunks without an end": faults.unended_chunks(500, b"<Error>"),
    "a dribble": faults.dribbled_headers,
    "silence": faults.silence,
    "a reset": faults.reset,
    "a hang-up": faults.hang_up,
    "garbage": faults.garbage,
}


@pytest.mark.parametrize("row", FOLLOWING)
def test_what_follows_a_get_breaks_off(fake, scripts, daemon, row):
    what_follows_fails_and_recovers(fake, scripts, daemon, FOLLOWING[row], http=QUICK_HTTP)


# --- the work was done, and the answer was lost ---

LOST = {"a reset": faults.reset, "a hang-up": faults.hang_up, "silence": faults.silence, "garbage": faults.garbage}


@pytest.mark.parametrize("row", ["a reset", "a hang-up", "silence"])
def test_the_work_was_done_and_its_answer_is_lost(fake, scripts, daemon, row):
    running = what_follows_fails_and_recovers(fake, scripts, daemon, faults.after_the_work(LOST[row]), most_records=2,
                                              http=QUICK_HTTP)
    # the repeated delete finds nothing: the message is done, once, and nobody is told of trouble
    wait_until(lambda: len(running.logged("message done")) == 3, 5, "all three to be done")
    assert not said(running, "can not be deleted") and not said(running, "could not be")


@pytest.mark.parametrize("row", ["a reset", "silence"])
def test_a_run_to_the_queues_end_counts_a_lost_answer_as_done(fake, scripts, place, row):
    # given a message whose delete is done, and whose answer is lost
    queue = fake.queue()
    queue.post(messages.training())
    fake.answer("Delete", faults.after_the_work(LOST[row]), times=1)
    config = place / "once.yaml"
    write_config(config, {"http": {"timeout": "1s"}, "queues": [queue.config(lease="4s")],
                          "hooks": [exec_hook("report", "*", scripts.recording("report"))]}, place)
    # when the queue is worked off, then nothing is left to do
    assert run("-c", config, "--once", timeout=20).returncode == 0
    assert queue.is_empty() and len(scripts.runs()) == 1


@pytest.mark.parametrize("row", [*LOST, "a cut list"])
def test_messages_whose_list_is_lost_come_again(fake, scripts, daemon, row):
    # given a Get that takes the messages, and whose answer never arrives
    answer = faults.cut_list if row == "a cut list" else faults.after_the_work(LOST[row])
    queue = fake.queue()
    posted = [queue.post(messages.training()) for _ in range(3)]
    fault = fake.answer("Get", answer, times=1)
    running = daemon({"http": {"timeout": "1s"}, "queues": [queue.config(lease="1s")],
                      "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # then they are served once the service lets go of them, each once
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert fault.count == 1
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)
    assert not said(running, "unexplained")


# --- odd, and good ---

@pytest.mark.parametrize("answer", [faults.tiny_chunks, faults.with_bom, faults.with_another_behind])
def test_answers_that_are_odd_and_good(fake, scripts, daemon, answer):
    # given a service whose every answer comes so
    fake.answer("*", answer)
    queue = fake.queue()
    posted = [queue.post(messages.training()) for _ in range(3)]
    running = daemon({"queues": [queue.config(lease="1s")],
                      "hooks": [exec_hook("report", "*", scripts.recording("report", "sleep 1"), parallel=4)]})
    poison = queue.post("{oops}")
    # then all is as ever
    wait_until(queue.is_empty, 10, "the queue to be empty")
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)
    assert [record["message_id"] for record in queue.records()] == [poison]
    assert not [line for line in said(running) if '"level":"err"' in line]


# --- documents ---

def message_xml(**fields):
    """A message that would fire the hook, with other fields; None leaves one out."""
    known = {"MessageId": "5974b586-0df3-4e2d-ad0c-18e3892bfca2", "InsertionTime": "Sat, 21 Nov 2026 03:23:37 GMT",
             "ExpirationTime": "Fri, 31 Dec 9999 23:59:59 GMT", "PopReceipt": "abc+/=",
             "TimeNextVisible": "Sat, 21 Nov 2026 03:25:37 GMT", "DequeueCount": "1",
             "MessageText": messages.base64_text(messages.training())}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in {**known, **fields}.items() if value is not None)
    return f"<QueueMessage>{inner}</QueueMessage>"


def one(**fields):
    return listing([message_xml(**fields)])


def declared(doctype, document):
    """A document with a type declaration, where that belongs."""
    head, _, rest = document.partition(b"?>")
    return head + b"?>" + doctype.encode() + rest


LAUGHS = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
DOCUMENTS = {
    "nothing": b"",
    "blanks": b"  \r\n ",
    "no XML": b"OK",
    "JSON": b'{"value": []}',
    "another root": b"<Messages>" + message_xml().encode() + b"</Messages>",
    "an Error": b"<Error><Code>InternalError</Code></Error>",
    "two roots": listing([]) + b"<QueueMessagesList/>",
    "cut": one()[:-20],
    "a billion laughs": declared(f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>', one(MessageText="&l9;")),
    "one laugh": declared('<!DOCTYPE x [<!ENTITY l0 "ha">]>', one(MessageText="&l0;")),
    "an external entity": declared('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', one(MessageText="&e;")),
    "an external subset": declared('<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">', one()),
    "an unknown entity": one(MessageText="&nbsp;"),
    "depth": listing(["<a>" * 5000 + "</a>" * 5000]),
    "a million attributes": listing(["<a " + " ".join(f"a{i}=''" for i in range(400000)) + ">"]),
    "one attribute twice": listing(["<a b='1' b='2'/>"]),
    "a long name": listing(["<" + "n" * 1000000 + ">"]),
    "a NUL": one(MessageText="a\0b"),
    "a NUL reference": one(MessageText="&#0;"),
    "bad UTF-8": one(MessageText="@").replace(b"@", b"\xff\xfe\xc0\x80"),
    "a surrogate": one(MessageText="@").replace(b"@", b"\xed\xa0\x80"),
    "an unknown encoding": b"<?xml version='1.0' encoding='klingon'?>" + one().partition(b"?>")[2],
    "the wrong encoding": one().decode().encode("utf-16"),
    "no receipt": one(PopReceipt=None),
    "an empty receipt": one(PopReceipt=""),
    "a long receipt": one(PopReceipt="r" * 300000),
    "no id": one(MessageId=None),
    "an empty id": one(MessageId=""),
    "a long id": one(MessageId="i" * 300000),
    "no text": one(MessageText=None),
    "no count": one(DequeueCount=None),
    "a count that is none": one(DequeueCount="many"),
    "a negative count": one(DequeueCount="-1"),
    "a huge count": one(DequeueCount="9" * 40),
    "a broken date": one(InsertionTime="yesterday"),
    "a date that is none": one(ExpirationTime="Mon, 31 Feb 2026 00:00:00 GMT"),
    "a year too far": one(ExpirationTime="Fri, 31 Dec 99999 23:59:59 GMT"),
    "a field twice": one(More="</More><MessageId>x</MessageId><More>"),
    "one message twice": listing([message_xml(), message_xml()]),
    "too many messages": listing(message_xml(MessageId=f"id-{i}") for i in range(33)),
}


def test_documents_that_are_no_list_of_messages(fake, scripts, daemon):
    # given a queue for each document that can come with a good status
    queues = {name: fake.queue(f"q{i:03}") for i, name in enumerate(DOCUMENTS)}
    bad = {name: fake.answer("Get", reply(200, DOCUMENTS[name]), queue=queue) for name, queue in queues.items()}
    running = daemon({"queues": [queue.config(lease="1s") for queue in queues.values()],
                      "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when each has come three times
    for name, fault in bad.items():
        wait_until(lambda: fault.count >= 3, 20, f"three Gets of {name}")
    # then nothing was made of any, one line for each queue says so, and none was asked in haste
    assert not scripts.runs()
    for name, queue in queues.items():
        lines = said(running, "can not be read", f'"queue":"{queue.name}"')
        assert len(lines) == 1 and "Get Messages: 200, but " in lines[0], (name, lines)
        first, second, third = bad[name].times[:3]
        assert second - first >= 0.45 and third - second >= 0.95, name
    # and when good ones come, each queue is served
    posted = [queue.post(messages.training()) for queue in queues.values()]
    for fault in bad.values():
        fault.lift()
    wait_until(lambda: all(queue.is_empty() for queue in queues.values()), 30, "all queues to be empty")
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)


def test_ids_and_receipts_of_any_letters_do_no_harm(fake, scripts, daemon):
    # given a message whose id and receipt try to be more than that
    evil = "../../x?popreceipt=a&amp;b#c%0d%0aX: y&#10;&lt;&quot;'$(id)"
    queue = fake.queue()
    fake.answer("Get", reply(200, one(MessageId=evil, PopReceipt=evil)), times=1)
    running = daemon({"queues": [queue.config(lease="1s")],
                      "hooks": [exec_hook("report", "*", scripts.write("mark", f'echo "$CVN_MESSAGE_ID" > {scripts.place}/id'))]})
    # then it is one message, asked for by that very id (the fake service would note a path that is none)
    wait_until(lambda: fake.asked("Delete"), 10, "the delete")
    assert (scripts.place / "id").read_text().startswith("../../x?popreceipt=a&b#c%0d%0aX: y\n<\"'$(id)")
    assert len([r for r in fake.requests if r.operation == "Delete"]) >= 1
    assert running.is_running()


# --- over TLS ---

@pytest.mark.parametrize("row", ["a cut body", "a reset", "a dribble"])
def test_the_same_over_tls(place, scripts, daemon, row):
    # given a service behind TLS whose Gets break off three times
    certificates = Certificates(place / "certificates")
    service = FakeService(certificates)
    queue = service.queue()
    message = queue.post(messages.training())
    service.answer("Get", WIRE[row][0], times=2)
    service.answer("Delete", faults.after_the_work(faults.reset), times=1)
    running = daemon({"http": {"timeout": "1s", "ca_file": str(certificates.ca)},
                      "queues": [queue.config(lease="4s")],
                      "hooks": [exec_hook("report", "*", scripts.recording("report"))]}, wait=False)
    # then the message is served once all the same, and the delete whose answer was lost is one
    wait_until(queue.is_empty, 15, "the queue to be empty")
    running.wait_logged("message done")
    assert [r.message for r in scripts.runs()] == [message]
    assert len(said(running, "can not be read")) == 1
    running.finish()
    service.close()
    assert not service.violations
