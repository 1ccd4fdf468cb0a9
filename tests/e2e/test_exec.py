# SPDX-License-Identifier: MIT
"""What an exec hook gets, and how its program is held and let go."""
import json
import os
import pathlib
import re
import shutil
import signal
import time

import pytest

from support import messages, process
from support.daemon import exec_hook, program
from support.wait import wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing users needs root")


def variables(path):
    """The environment that `env -0` wrote down."""
    return dict(pair.split("=", 1) for pair in path.read_text().split("\0") if pair)


def test_standard_input_is_one_cloudevents_document(place, queue, scripts, daemon):
    # given a script that keeps its input
    command = scripts.write("keep", f'cat > "{place}/$CVN_EVENT.json"')
    daemon({"queues": [queue.config()], "hooks": [exec_hook("keep", ["*", "connection.test"], command)]})
    # when an export, a training and a link test come
    documents = [messages.export(), messages.training(), messages.connection_test()]
    ids = [queue.post(document) for document in documents]
    inserted = {m.id: m.inserted_on for m in queue.visible()}
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then each got the event in the standard's form
    for i, document in zip(ids, documents):
        event, content = messages.event_of(document), document["Content"]
        got = json.loads((place / f"{event}.json").read_text())
        subject = "/".join(filter(None, (content["projectId"], content.get("iterationId"))))
        assert {k: got[k] for k in ("specversion", "id", "source", "type", "subject", "data")} == {
            "specversion": "1.0", "id": i, "source": queue.url, "type": "customvision." + event,
            "subject": subject, "data": content}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", got["time"])
        if i in inserted:
            assert got["time"].startswith(inserted[i].strftime("%Y-%m-%dT%H:%M:%S"))


def test_the_environment_is_clean_and_tells_all_about_the_event(place, queue, scripts, daemon):
    # given a daemon with variables of its own, of which one is passed on
    command = scripts.write("keep", f'/usr/bin/env -0 > {place}/env.new; mv {place}/env.new "{place}/env.$CVN_TYPE"')
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("keep", "*", command, env={"GREETING": "good $$ day"}, pass_env=["PASSED", "ABSENT"])]},
        env={"PASSED": "yes", "SECRET_OF_THE_DAEMON": "no", "CREDENTIALS_DIRECTORY": str(place)})
    # when an export and a training come
    export, training = messages.export(), messages.training("TrainingFailed")
    ids = {"Export": queue.post(export), "Training": queue.post(training)}
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then the script sees the event, its own settings, and nothing of the daemon's
    seen = variables(place / "env.Export")
    inserted = seen["CVN_INSERTED"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", inserted)
    content = export["Content"]
    assert {k: v for k, v in seen.items() if k.startswith("CVN_")} == {
        "CVN_EVENT": "export.completed", "CVN_TYPE": "Export", "CVN_STATUS": "ExportCompleted",
        "CVN_PROJECT_ID": content["projectId"], "CVN_ITERATION_ID": content["iterationId"],
        "CVN_MODEL_URI": messages.MODEL_URI, "CVN_PLATFORM": seen["CVN_PLATFORM"], "CVN_MESSAGE_ID": ids["Export"],
        "CVN_QUEUE": queue.name, "CVN_INSERTED": inserted, "CVN_ATTEMPT": "1", "CVN_HOOK": "keep"}
    assert seen["CVN_PLATFORM"].upper() == "ONNX"
    assert (seen["GREETING"], seen["PASSED"]) == ("good $ day", "yes")
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {k for k in seen if not k.startswith("CVN_")} - shells_own <= {"PATH", "HOME", "LANG", "GREETING", "PASSED"}
    assert {"PATH", "HOME", "LANG"} <= set(seen)
    # and absent values are unset
    seen = variables(place / "env.Training")
    assert seen["CVN_STATUS"] == "TrainingFailed"
    assert not {"CVN_MODEL_URI", "CVN_PLATFORM", "ABSENT"} & set(seen)


def test_a_program_starts_with_clean_descriptors_and_signals(place, queue, scripts, daemon):
    # given a program that notes what it inherited
    command = scripts.write("look", f"""#!/usr/bin/python3 -I
import json, os, signal
mask = [line for line in open("/proc/self/status") if line.startswith(("SigBlk", "SigIgn"))]
own = os.open("/proc/self/fd", os.O_RDONLY)
found = {{"fds": sorted(int(f) for f in os.listdir(own) if int(f) < own), "mask": mask,
          "leader": os.getpgid(0) == os.getpid()}}
open("{place}/found.new", "w").write(json.dumps(found))
os.rename("{place}/found.new", "{place}/found")
""")
    daemon({"queues": [queue.config()], "hooks": [exec_hook("look", "*", command)]})
    # when it runs
    queue.post(messages.training())
    wait_until((place / "found").exists, 15, "the program to run")
    found = json.loads((place / "found").read_text())
    # then it has its three streams, no signal blocked, and leads a process group
    assert found["fds"] == [0, 1, 2]
    assert found["leader"]
    blocked = {line.split()[0]: int(line.split()[1], 16) for line in found["mask"]}
    assert blocked["SigBlk:"] == 0
    # Python itself ignores PIPE and XFSZ
    assert blocked["SigIgn:"] & ~(1 << 12 | 1 << 24) == 0


def test_placeholders_fill_the_command_and_no_shell_reads_it(place, queue, scripts, daemon):
    # given a command with placeholders and with words that a shell would act on
    command = scripts.write("words", f'printf "%s\\n" "$@" > {place}/words.new; printf "%s" "$CVN_MODEL_URI" > {place}/uri; mv {place}/words.new {place}/words')
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("words", "export.*", [
        command, "{event}", "--iteration={iteration_id}", "{project_id}/{message_id}", "{{literal", "{platform:-any}",
        "{hook} {queue} {attempt}", "$(reboot) `id` $HOME; *".replace("$", "$$"), "{model_uri}"])]})
    # when an export ends
    document = messages.export()
    content = document["Content"]
    message = queue.post(document)
    wait_until((place / "words").exists, 15, "the program to run")
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then each word is one argument, and the model's signature is only where it belongs
    words = (place / "words").read_text().splitlines()
    assert words[4].lower() == "onnx"
    assert words[:4] + words[5:] == [
        "export.completed", f"--iteration={content['iterationId']}", f"{content['projectId']}/{message}", "{literal",
        f"words {queue.name} 1", "$(reboot) `id` $HOME; *", messages.MODEL_URI.partition("?")[0]]
    assert (place / "uri").read_text() == messages.MODEL_URI
    assert messages.SIGNATURE not in running.log()


def test_a_missing_value_takes_its_default(place, queue, scripts, daemon):
    # given a command that names what a training has not
    command = scripts.write("words", f'printf "%s\\n" "$@" > {place}/words.new; mv {place}/words.new {place}/words')
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("words", "training.*", [command, "{model_uri:-none}", "[{platform:-}]"])]})
    # when a training ends
    queue.post(messages.training())
    wait_until((place / "words").exists, 15, "the program to run")
    # then the defaults stand there
    assert (place / "words").read_text().splitlines() == ["none", "[]"]


def test_output_goes_to_the_log_line_by_line_without_signatures(queue, scripts, daemon):
    # given a script that talks on both streams and repeats the model's address
    command = scripts.write("talk", 'echo "first line"; echo "second line" >&2; echo "uri $CVN_MODEL_URI"; printf "no end"')
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("talk", "*", command)]})
    # when it runs
    message = queue.post(messages.export())
    # then each line is in the log, tagged with hook and message
    for text in ("first line", "second line", "no end"):
        (line,) = running.wait_logged(text)
        entry = json.loads(line)
        assert entry["hook"] == "talk" and entry["message_id"] == message
    wait_until(queue.is_empty, 10, "the queue to be empty")
    # and the signature is masked
    assert running.logged("uri https://") and messages.SIGNATURE not in running.log()


LINE_LIMIT = 4096


@pytest.mark.parametrize("name", ["sig=", "sig%3D"])
def test_a_signature_across_the_limit_of_a_line_is_masked(queue, scripts, daemon, name):
    # given a script whose long line holds a signature at a place that the iteration's number tells
    command = scripts.recording("talk", rf"""
place=$(echo "${{CVN_ITERATION_ID##*-}}" | sed 's/^0*//')
head -c "$place" /dev/zero | tr '\0' 'a'
echo "{name}$(printf '%300s' | sed 's/ /SECRETPART/g')&se=after"
printf '\377\376 bad\n'
exit 65""")
    running = daemon({"queues": [queue.config(parallel=16)], "hooks": [exec_hook("talk", "*", command, parallel=4)]})
    # when the limit falls before it, into its name, and into its value
    places = [1, 1000, 2500, *range(LINE_LIMIT - 8, LINE_LIMIT + 1)]
    for place in places:
        queue.post(messages.training(iteration=f"00000000-0000-4000-8000-{place:012}"))
    wait_until(lambda: queue.poison().count() == len(places), 30, "every poison record")
    # then no part of it is in the log or in a record, and the words around it are
    assert "SECRETPART" not in running.log()
    assert len(running.logged(f"a{name}")) > 0 and len(running.logged("se=after")) == len(places)
    tails = [record["tail"] for record in queue.all_records()]
    assert len(tails) == len(places)
    assert not any("SECRETPART" in tail for tail in tails)
    assert all("bad" in tail for tail in tails)


def test_output_is_bounded_and_a_talker_is_not_held(queue, scripts, daemon):
    # given a script that says far more than its limit
    command = scripts.recording("talk", "head -c 8000000 /dev/zero | tr '\\0' 'x' | fold -w 79")
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("talk", "*", command, output_limit="16K")]})
    # when it runs
    queue.post(messages.training())
    # then it ends well and the log keeps the bounded part
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert len(scripts.runs("talk", mark="end")) == 1
    kept = sum(line.count("x" * 70) for line in running.log().splitlines())
    assert 10 <= kept * 79 / 1000 <= 40


def test_a_background_job_that_holds_the_pipe_does_not_hold_the_hook(place, queue, scripts, daemon):
    # given a script that leaves a job behind with its output open
    command = scripts.recording("leave", f"sleep 300 & echo $! > {place}/job; echo said")
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("leave", "*", command)]})
    # when it runs
    queue.post(messages.training())
    # then its message is done at once, with its words in the log
    try:
        wait_until(queue.is_empty, 8, "the queue to be empty")
        assert running.logged("said")
        running.no_zombie()
    finally:
        if (place / "job").exists():
            process.kill_quietly(int((place / "job").read_text()))


def test_a_timeout_ends_the_whole_group_first_kindly_then_not(place, queue, scripts, daemon):
    # given a script that shrugs at TERM, with a child that does the same
    command = scripts.recording("stubborn", f"""
trap 'date +%s.%N > {place}/term' TERM
sh -c 'trap "" TERM; echo $$ > {place}/child; while :; do sleep 0.2; done' &
echo $$ > {place}/parent
while :; do sleep 0.2; done""")
    running = daemon({"queues": [queue.config(retry_delay=["60s"])], "hooks": [
        exec_hook("stubborn", "*", command, timeout="1s", grace="2s")]})
    queue.post(messages.training())
    wait_until(lambda: (place / "parent").exists() and (place / "child").exists(), 10, "the script to run")
    parent, child = (int(wait_until((place / n).read_text)) for n in ("parent", "child"))
    # when its time is over
    wait_until((place / "term").exists, 10, "TERM")
    # then it has its grace, and after it nobody of the group is left
    term = float(wait_until((place / "term").read_text))
    wait_until(lambda: not process.is_alive(parent) and not process.is_alive(child), 10, "the group to be gone")
    assert 1.5 <= time.time() - term <= 20
    assert term - scripts.runs()[0].time >= 0.8
    running.no_zombie()


def test_a_scripts_child_has_the_grace_too(place, queue, scripts, daemon):
    # given a shell script, which TERM ends at once, and its child, which first puts things in order
    worker = scripts.write("worker", f"""#!/usr/bin/python3 -I
import pathlib, signal, sys, time
def tidy(*_):
    time.sleep(1.5)
    pathlib.Path("{place}/tidy").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, tidy)
pathlib.Path("{place}/ready").touch()
time.sleep(60)
""")
    running = daemon({"queues": [queue.config(retry_delay=["60s"])], "hooks": [
        exec_hook("script", "*", scripts.recording("script", f"{worker}; echo not reached"), timeout="2s", grace="60s")]})
    # when its time is over
    queue.post(messages.training())
    wait_until((place / "ready").exists, 10, "the child to work")
    # then the child has the time that it needs, and the run is over with it, not with the grace
    wait_until((place / "tidy").exists, 10, "the child to put things in order")
    running.wait_logged("not done within its timeout", timeout=5)
    assert len(scripts.runs("script")) == 1 and not running.logged("not reached")


def test_parallel_bounds_the_runs_of_a_hook(queue, scripts, daemon):
    # given hooks of which one may run twice at once
    daemon({"queues": [queue.config(parallel=16)], "hooks": [
        exec_hook("two", "*", scripts.recording("two", "sleep 0.5"), parallel=2)]})
    # when eight messages come
    for _ in range(8):
        queue.post(messages.training())
    wait_until(queue.is_empty, 25, "the queue to be empty")
    # then two ran at once and never more
    assert len(scripts.runs()) == 8
    assert scripts.most_at_once() == 2


@needs_root
def test_user_group_directory_and_umask(place, queue, scripts, daemon):
    # given a hook of another user
    out = place / "out"
    out.mkdir()
    os.chown(out, 65534, 65534)
    command = scripts.write("who", f"""
{{ id -un; id -gn; id -G; pwd; umask; echo "$HOME"; }} > {out}/who.new
mv {out}/who.new {out}/who""")
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("who", "*", command, user="nobody", group="nogroup", directory=str(out), umask="027")]})
    # when it runs
    queue.post(messages.training())
    wait_until((out / "who").exists, 15, "the program to run")
    # then it is that user in all respects
    user, group, groups, directory, umask, home = (out / "who").read_text().splitlines()
    assert (user, group, groups, directory, int(umask, 8), home) == (
        "nobody", "nogroup", "65534", str(out), 0o027, "/nonexistent")
    assert (out / "who").stat().st_uid == 65534
    assert (out / "who").stat().st_mode & 0o777 == 0o640


@needs_root
def test_the_users_own_group_is_the_default(place, queue, scripts, daemon):
    # given a hook that names a user only
    command = scripts.write("who", "id -gn; id -G; id -un")
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("who", "*", command, user="nobody")]})
    # when it runs
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then none of root's groups is left
    assert running.logged("nogroup") and running.logged("65534") and running.logged("nobody")


def capabilities(lines):
    """{name: bits} of the capability lines of a /proc/PID/status."""
    return {line[:6]: int(line[7:], 16) for line in lines if line.startswith("Cap")}


@needs_root
def test_a_hook_of_another_user_gets_none_of_the_daemons_rights(place, queue, scripts, daemon, monkeypatch):
    # given a daemon that is not root but may become any user, as its unit could allow
    own = place / "cvnotifyd"
    shutil.copy(program(), own)
    monkeypatch.setenv("CVNOTIFYD", str(own))
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # its search is forbidden without CAP_SYS_PTRACE
    command = scripts.write("look", "grep ^Cap /proc/self/status; id -un")
    os.chown(place, 1, 1)
    rights = "+setuid,+setgid"
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("look", "*", command, user="nobody")]}, before=[
        "setpriv", "--reuid=1", "--regid=1", "--clear-groups", "--pdeathsig=TERM",
        f"--inh-caps={rights}", f"--ambient-caps={rights}"])
    assert capabilities(pathlib.Path(f"/proc/{running.pid}/status").read_text().splitlines())["CapAmb"] != 0
    # when the hook runs
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then it is that user, with no right beyond it
    assert running.logged("nobody")
    seen = capabilities(json.loads(line)["message"] for line in running.logged("Cap"))
    assert (seen["CapEff"], seen["CapPrm"], seen["CapAmb"]) == (0, 0, 0)


def test_an_unreadable_input_does_not_hold_or_fail_a_hook(queue, scripts, daemon):
    # given a script that closes its input at once, and a document bigger than a pipe
    daemon({"queues": [queue.config()], "hooks": [
        exec_hook("deaf", "*", scripts.recording("deaf", "exec 0<&-; sleep 0.2"))]})
    # when it runs
    document = messages.training()
    document["Content"]["note"] = "x" * 60000
    queue.post(document)
    wait_until(lambda: scripts.runs("deaf"), 15, "the hook to run")
    # then that is no failure
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs("deaf")) == 1


def test_a_large_document_arrives_whole(place, queue, scripts, daemon):
    # given a script that keeps its input
    command = scripts.write("keep", f"sleep 0.3; cat > {place}/in.new; mv {place}/in.new {place}/in")
    daemon({"queues": [queue.config()], "hooks": [exec_hook("keep", "*", command)]})
    # when a message near the limit comes
    document = messages.training()
    document["Content"]["note"] = "x" * 63000
    queue.post(document)
    wait_until((place / "in").exists, 15, "the program to run")
    # then nothing of it is missing
    assert json.loads((place / "in").read_text())["data"] == document["Content"]


def test_as_the_first_process_it_reaps_orphans(place, queue, scripts, daemon):
    # given a daemon that is process 1 of its own little world, as in a container
    command = scripts.recording("orphan", "(sh -c 'sleep 0.3; exit 3' & ) ; (true & ); echo from $PPID")
    running = daemon({"queues": [queue.config()], "hooks": [exec_hook("orphan", "*", command, parallel=4)]},
                     before=["unshare", "--fork", "--pid", "--mount-proc", "--kill-child=TERM"])
    assert running.pid != running.process.pid
    # when scripts leave orphans that end later
    for _ in range(5):
        queue.post(messages.training())
    wait_until(queue.is_empty, 20, "the queue to be empty")
    # then none is left as a zombie
    assert running.logged("from 1")
    wait_until(lambda: not process.children(running.pid), 5, "every orphan to be gone")
    running.no_zombie()


def test_a_rotated_file_is_opened_anew(place, queue, daemon):
    # given a file that another program rotates away
    path = place / "events.jsonl"
    running = daemon({"queues": [queue.config()], "hooks": [{"name": "audit", "on": ["*"], "file": {"path": str(path)}}]})
    first = queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    path.rename(place / "events.jsonl.1")
    # when the daemon is told to reopen its files
    running.signal(signal.SIGUSR2)
    second = queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then the next event is in the new file
    wait_until(path.exists, 5, "the new file")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [second]
    assert [json.loads(line)["id"] for line in (place / "events.jsonl.1").read_text().splitlines()] == [first]


def test_many_hooks_at_once_get_by_with_the_descriptors_that_the_daemon_may_have(place, queue, scripts, daemon):
    # given a daemon that starts with few descriptors and may have more, as under systemd
    command = scripts.recording("wait", f"ulimit -n >> {place}/limits; while ! [ -e {place}/go ]; do sleep 0.1; done")
    running = daemon({"queues": [queue.config(parallel=64)], "hooks": [exec_hook("wait", "*", command, parallel=64)]},
                     before=["prlimit", "--nofile=64:1024"])
    # when more hooks run than these are enough for
    queue.post_all([json.dumps(messages.training()) for _ in range(64)])
    wait_until(lambda: len(scripts.runs()) == 64, 30, "all hooks to run at once")
    (place / "go").touch()
    wait_until(queue.is_empty, 30, "the queue to be empty")
    # then none was at fault, and each had the limit that the daemon was started with
    assert not running.logged("hook is broken")
    assert set((place / "limits").read_text().split()) == {"64"}
