# SPDX-License-Identifier: MIT
"""The main job: what Custom Vision posts makes things happen on this machine, once."""
import collections
import json
import re
import time

import pytest

from support import messages
from support.daemon import exec_hook
from support.wait import stays_true, wait_until


def test_seed_messages_in_both_encodings_run_the_script_and_write_the_files(place, queue, scripts, daemon):
    # given a script, a file of lines and a folder of files that wait for every training and export
    each = place / "each"
    each.mkdir()
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("report", "*", scripts.recording("report")),
        {"name": "audit", "on": ["*"], "file": {"path": str(place / "events.jsonl"), "mode": "0640"}},
        {"name": "each", "on": ["*"], "file": {"directory": str(each), "name": "{event}-{message_id}.json"}},
        exec_hook("link", "connection.test", scripts.recording("link"))]})
    # when the service posts each kind of message, plain and in base64
    posted = {queue.post(document, encoding): (event, document)
              for encoding in ("plain", "base64") for event, document in messages.seeds()}
    wait_until(queue.is_empty, 30, "the queue to be empty")
    # then each event ran the script once and stands in the files once; the link's test only where it is named
    expected = {i: event for i, (event, _) in posted.items() if event != "connection.test"}
    tests = {i for i, (event, _) in posted.items() if event == "connection.test"}
    assert sorted((r.message, r.event) for r in scripts.runs("report")) == sorted(expected.items())
    assert sorted(r.message for r in scripts.runs("link")) == sorted(tests)
    lines = [json.loads(line) for line in (place / "events.jsonl").read_text().splitlines()]
    assert sorted((d["id"], d["type"]) for d in lines) == sorted((i, "customvision." + e) for i, e in expected.items())
    assert all(d["data"] == posted[d["id"]][1]["Content"] for d in lines)
    assert sorted(p.name for p in each.iterdir()) == sorted(f"{e}-{i}.json" for i, e in expected.items())
    for i, event in expected.items():
        assert json.loads((each / f"{event}-{i}.json").read_text())["id"] == i
    assert (place / "events.jsonl").stat().st_mode & 0o777 == 0o640
    assert queue.records() == []


def test_a_byte_order_mark_line_ends_and_other_case_are_tolerated(queue, scripts, daemon):
    # given a script
    daemon({"queues": [queue.config()],
            "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when messages come as odd producers write them
    document = messages.training()
    pretty = json.dumps(document, indent=2).replace("\n", "\r\n")
    posted = [queue.post("\ufeff" + pretty), queue.post("  \r\n " + pretty),
              queue.post(messages.base64_text(("\ufeff" + pretty).encode())),
              queue.post(messages.base64_text(document) + "\r\n"),
              queue.post(pretty.replace("TrainingCompleted", "TRAININGCOMPLETED").replace("projectId", "ProjectID")),
              queue.post({**document, "version": "1.7", "type": "training", "more": {"than": ["expected"]}})]
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then each is the same event
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)
    assert {r.event for r in scripts.runs()} == {"training.completed"}


def test_a_failed_training_becomes_a_line_in_the_system_log(queue, rsyslog, daemon):
    # given a hook that writes failures to a syslog server
    daemon({"queues": [queue.config()], "hooks": [
        {"name": "ops", "on": ["*.failed"],
         "syslog": {"facility": "local3", "level": "err", "ident": "cvnotifyd", "server": rsyslog.server}}]})
    # when one training fails and one completes
    failed, completed = messages.training("TrainingFailed"), messages.training()
    message = queue.post(failed)
    queue.post(completed)
    # then the failure alone is in the log, with its facility, level, name and ids
    wait_until(rsyslog.lines, 15, "a line at rsyslogd")
    wait_until(queue.is_empty, 15, "the queue to be empty")
    content = failed["Content"]
    (line,) = rsyslog.lines()
    assert line.startswith("local3.err tag=cvnotifyd text=")
    assert line.endswith(f"training.failed project={content['projectId']} iteration={content['iterationId']} message={message}")


def test_syslog_text_is_the_users_and_keeps_a_models_signature_to_itself(queue, rsyslog, daemon):
    # given a text of one's own that names the model
    daemon({"queues": [queue.config()], "hooks": [
        {"name": "ops", "on": ["export.completed"],
         "syslog": {"facility": "user", "level": "notice", "ident": "models", "server": rsyslog.server,
                    "text": "new model {model_uri} for {platform:-any} from {queue}"}}]})
    # when an export ends whose address holds a signature
    queue.post(messages.export())
    # then the line names the model without its query
    wait_until(rsyslog.lines, 15, "a line at rsyslogd")
    (line,) = rsyslog.lines()
    assert line.startswith("user.notice tag=models text=")
    assert f"new model {messages.MODEL_URI.partition('?')[0]} for " in line
    assert queue.name in line and "sig=" not in line and messages.SIGNATURE not in line


def test_a_thousand_mixed_messages(place, queue, scripts, daemon):
    # given hooks of several kinds
    running = daemon({"queues": [queue.config(parallel=32)], "hooks": [
        exec_hook("all", "*", scripts.recording("all"), parallel=4),
        {"name": "audit", "on": ["*"], "file": {"path": str(place / "events.jsonl")}},
        exec_hook("failures", "*.failed", scripts.recording("failures"), parallel=2),
        exec_hook("link", "connection.test", scripts.recording("link"))]})
    # when a thousand messages are posted: every kind, both encodings, one in ten malformed
    bad, texts, expected = messages.malformed(), [], []
    for number in range(1000):
        if number % 10 == 9:
            reason, text = bad[number // 10 % len(bad)]
            expected.append(reason)
        else:
            event, document = messages.seeds()[number % 5]
            text = json.dumps(document) if number // 5 % 2 else messages.base64_text(document)
            expected.append(event)
        texts.append(text)
    ids = queue.post_all(texts)
    wait_until(queue.is_empty, 150, "the queue to be empty", interval=0.2)
    # then each matching hook ran exactly once per message
    of = collections.defaultdict(list)
    for i, what in zip(ids, expected):
        of[what].append(i)
    good = [i for e in ("training.completed", "training.failed", "export.completed", "export.failed") for i in of[e]]
    assert sorted(r.message for r in scripts.runs("all")) == sorted(good)
    assert sorted(r.message for r in scripts.runs("failures")) == sorted(of["training.failed"] + of["export.failed"])
    assert sorted(r.message for r in scripts.runs("link")) == sorted(of["connection.test"])
    lines = [json.loads(line)["id"] for line in (place / "events.jsonl").read_text().splitlines()]
    assert sorted(lines) == sorted(good)
    # and poison holds exactly the malformed ones, with true reasons and their text
    records = {r["message_id"]: r for r in queue.all_records()}
    malformed = {i: (what, text) for i, what, text in zip(ids, expected, texts) if "." not in what}
    assert len(malformed) == 100
    assert {i: r["reason"] for i, r in records.items()} == {i: reason for i, (reason, _) in malformed.items()}
    assert {i: r["text"] for i, r in records.items()} == {i: text for i, (_, text) in malformed.items()}
    # and the daemon is as fit as before
    running.no_zombie()
    last = queue.post(messages.training())
    wait_until(lambda: scripts.runs("all", last), 10, "one more message to be served")


@pytest.mark.parametrize("reason, text", messages.malformed(), ids=lambda v: v if v in {r for r, _ in messages.malformed()} else "")
def test_a_malformed_message_is_poison_at_once(queue, daemon, reason, text):
    # given a queue
    daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # when what can not be decoded arrives
    message = queue.post(text)
    # then the poison queue tells why, with what was received
    wait_until(queue.records, 15, "a poison record")
    (record,) = queue.records()
    assert (record["reason"], record["message_id"], record["text"]) == (reason, message, text)
    wait_until(queue.is_empty, 10, "the queue to be empty")


def test_a_poison_record_is_whole_ascii_and_never_expires(queue, daemon):
    # given a queue
    daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # when a malformed text with letters of other alphabets arrives
    text = '{"version": "1.0", "type": "Äpfel & Bäume <\U0001f333>'
    message = queue.post(text)
    # then its record can be read by anybody for ever
    wait_until(queue.records, 15, "a poison record")
    (peeked,) = queue.poison().visible()
    assert peeked.content.isascii()
    assert peeked.expires_on.year == 9999
    record = json.loads(peeked.content)
    assert record["cvnotifyd"] == 1
    assert record["text"] == text
    assert record["message_id"] == message
    assert queue.name in record["queue"]
    assert record["dequeue_count"] == 1
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", record["inserted"])


def test_a_nul_in_the_text_is_refused(queue, scripts, daemon):
    # given a queue
    daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when a message smuggles a NUL into a value
    queue.post(json.dumps({**messages.training(), "x": "@"}).replace("@", "\\u0000"))
    # then it is poison and nothing ran
    wait_until(queue.records, 15, "a poison record")
    assert scripts.runs() == []


def test_a_message_that_no_hook_wants_is_deleted_or_kept_as_poison(new_queue, daemon):
    # given one queue of each policy, and no hook for trainings
    drop, keep = new_queue(), new_queue()
    daemon({"queues": [drop.config(), keep.config(unmatched="poison")],
            "hooks": [exec_hook("report", "export.*", "/bin/true")]})
    # when a training ends
    drop.post(messages.training())
    keep.post(messages.training())
    # then the one is gone and the other is kept aside
    wait_until(lambda: keep.records(), 15, "a poison record")
    assert keep.records()[0]["reason"] == "unmatched"
    wait_until(drop.is_empty, 10, "the queue to be empty")
    assert drop.records() == []


def test_the_links_test_is_consumed_without_any_hook(queue, scripts, daemon):
    # given a daemon whose hooks want trainings and exports only
    daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when Custom Vision tests the link
    queue.post(messages.connection_test())
    # then the message is consumed and runs nothing
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert scripts.runs() == [] and queue.records() == []


def test_the_links_test_is_no_poison_even_where_unmatched_messages_are(queue, daemon):
    # given a queue that keeps what no hook wants
    running = daemon({"queues": [queue.config(unmatched="poison")], "hooks": [exec_hook("report", "*", "/bin/true")]})
    # when Custom Vision tests the link
    queue.post(messages.connection_test())
    # then the message is consumed, and the log says that the link works
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert running.logged("link works")
    assert not running.logged("no hook matches")
    assert queue.poison().count() == 0


def test_an_unknown_event_goes_to_the_hook_that_names_it(place, queue, daemon):
    # given a hook that asks for what nobody knows yet
    daemon({"queues": [queue.config()], "hooks": [
        {"name": "news", "on": ["unknown"], "file": {"path": str(place / "news.jsonl")}}]})
    # when a new kind of message comes
    document = {"version": "1.0", "type": "Deletion", "Content": {"projectId": "x"}}
    queue.post(document)
    # then the hook gets the whole document
    wait_until(queue.is_empty, 15, "the queue to be empty")
    (line,) = (place / "news.jsonl").read_text().splitlines()
    assert json.loads(line)["data"] == document
    assert json.loads(line)["type"] == "customvision.unknown"
    assert queue.records() == []


def test_a_hook_hears_of_poison(queue, scripts, daemon):
    # given a hook on poison
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("alarm", "message.poisoned", scripts.recording("alarm"))]})
    # when a message is malformed
    queue.post("{oops}")
    # then the hook runs, once the record is stored
    wait_until(lambda: scripts.runs("alarm"), 15, "the alarm")
    assert queue.records()[0]["reason"] == "not-json"


def test_filters_choose_the_hooks(new_queue, scripts, daemon):
    # given hooks for one queue, one project, one platform
    one, two = new_queue(), new_queue()
    project = "6c4a1b52-0a3e-4f0e-9a6e-3d8f5f0a1b2c"
    command = scripts.recording("note")
    daemon({"queues": [one.config(), two.config()], "hooks": [
        exec_hook("queue", "*", command, queues=[two.name]),
        exec_hook("project", "*", command, projects=[project.upper()]),
        exec_hook("onnx", "export.completed", command, platforms=["ONNX"]),
        exec_hook("any", "*", command)]})
    # when messages differ in these
    plain = one.post(messages.training())
    mine = one.post(messages.training(project=project))
    model = one.post(messages.export())
    other = one.post(messages.export(model_uri="https://contoso.blob.core.windows.net/m/model.mlmodel"))
    elsewhere = two.post(messages.training())
    wait_until(lambda: one.is_empty() and two.is_empty(), 20, "both queues to be empty")
    # then each hook ran for its own only
    assert {r.message for r in scripts.runs("queue")} == {elsewhere}
    assert {r.message for r in scripts.runs("project")} == {mine}
    assert {r.message for r in scripts.runs("onnx")} == {model}
    assert {r.message for r in scripts.runs("any")} == {plain, mine, model, other, elsewhere}


def test_a_stale_message_is_done_without_a_run(queue, scripts, daemon):
    # given a message that is older than one of the hooks cares for
    message = queue.post(messages.training())
    old = queue.visible()[0].inserted_on.timestamp()
    wait_until(lambda: time.time() > old + 2.5, 5, "the message to age")
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("fresh", "*", scripts.recording("fresh"), max_age="1s"),
        exec_hook("any", "*", scripts.recording("any"), max_age="1h")]})
    # when it is received
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then only the patient hook ran
    assert [r.message for r in scripts.runs()] == [message]
    assert scripts.runs("fresh") == []


def test_each_message_is_itself_even_with_equal_text(queue, scripts, daemon):
    # given a script
    daemon({"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when the same text is posted three times: one iteration, three exports
    document = messages.export()
    posted = [queue.post(document) for _ in range(3)]
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then each ran
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)


def test_nothing_is_hoarded(queue, scripts, daemon):
    # given a queue with room for two and a hook that waits to be let go
    hold = scripts.place / "hold"
    hold.touch()
    daemon({"queues": [queue.config(parallel=2)], "hooks": [
        exec_hook("report", "*", scripts.recording("report", f"while [ -e {hold} ]; do sleep 0.1; done"), parallel=2)]})
    # when five messages are posted
    for _ in range(5):
        queue.post(messages.training())
    wait_until(lambda: len(scripts.runs()) == 2, 15, "two runs")
    # then three stay for other consumers
    stays_true(lambda: len(queue.visible()) == 3, 1.5, "three messages visible to others")
    hold.unlink()
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert len(scripts.runs()) == 5
