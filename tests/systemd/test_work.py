# SPDX-License-Identifier: MIT
"""The main job under systemd, as installed and hardened; what the journal has of it; credentials."""
import json
import os
import pathlib
import re
import signal

from service import LOGS, call
from support import messages
from support.azurite import ACCOUNT
from support.daemon import exec_hook
from support.wait import wait_until

STATE = pathlib.Path("/var/lib/cvnotifyd")
FILE = {"name": "keep", "on": ["*"], "file": {"path": str(LOGS / "events.jsonl")}}
SYSLOG = {"name": "tell", "on": ["*"], "syslog": {"facility": "local3", "level": "notice", "ident": "cv-told"}}


def test_a_message_runs_a_program_a_file_and_syslog(either, azurite, queue, scripts):
    # given one hook of each kind, and a queue in an account that has a name
    command = scripts.recording("deploy", "touch /tmp/mark")
    pathlib.Path("/etc/hosts").write_text(f"127.0.0.1 {ACCOUNT}.queue.storage.test\n")
    url = f"http://{ACCOUNT}.queue.storage.test:{azurite.queue_port}/{queue.name}"
    either.start({"allow_insecure": True, "queues": [queue.config(url=url)],
                  "hooks": [exec_hook("deploy", "export.*", command), FILE, SYSLOG]})
    # when an export ends
    document = messages.export()
    message = queue.post(document)
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then the program ran once, the file has the event, and syslog has the line
    assert [(r.hook, r.message) for r in scripts.runs(mark="end")] == [("deploy", message)]
    (line,) = (LOGS / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["data"]["iterationId"] == document["Content"]["iterationId"]
    told = wait_until(lambda: either.entries(SYSLOG_IDENTIFIER="cv-told"), 5, "the line in syslog")
    assert told[0]["PRIORITY"] == "5" and message in told[0]["MESSAGE"]


def test_what_was_done_outlives_a_crash(either, azurite, queue, scripts):
    # given a SAS that does not cover the poison queue, a hook that is done, and one that is at work, the first time
    either.drop_in("impatient", "RestartSec=100ms")
    settings = {name: value for name, value in queue.config(sas=azurite.queue_sas(queue.name), lease="2s").items()
                if name != "identity"}
    either.start({"queues": [settings], "hooks": [
        exec_hook("first", "*", scripts.recording("first")),
        exec_hook("slow", "*", scripts.recording("slow", "[ $run -ge 2 ] || sleep 600"))]})
    queue.post(messages.training())
    wait_until(lambda: scripts.runs("slow"), 10, "the second hook to run")
    # and a message that is poison, whose record is kept on this machine
    queue.post("{oops}")
    wait_until(lambda: list(STATE.glob("spool/*.json")), 10, "the record to be kept")
    # when the daemon is killed
    pid = either.pid()
    os.kill(pid, signal.SIGKILL)
    either.wait_restart(pid)
    # then the first hook is not run again, and the record is still there
    wait_until(queue.is_empty, 20, "the queue to be empty")
    assert [r.hook for r in scripts.runs()] == ["first", "slow", "slow"]
    assert len(list(STATE.glob("spool/*.json"))) == 1
    assert not either.logged("can not be written")
    # and all of it is the daemon's own
    assert {path.name for path in STATE.iterdir()} >= {"ledger.db", "lock", "runs", "spool"}
    assert (STATE.owner(), STATE.stat().st_mode & 0o7777) == ("cvnotifyd", 0o750)
    for path in STATE.rglob("*"):
        assert path.owner() == "cvnotifyd" and path.stat().st_mode & 0o077 == 0, path


def test_the_journal_has_fields(either, queue, scripts):
    # given a hook that says something
    either.start({"queues": [queue.config()],
                  "hooks": [exec_hook("deploy", "*", scripts.recording("deploy", "echo hello from the hook"))]})
    # when it has run
    message = queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    # then its words and its end are found by message and by hook, each a native entry of the daemon
    entries = wait_until(lambda: either.entries(CVN_MESSAGE_ID=message, CVN_HOOK="deploy"), 5, "entries in the journal")
    assert {e["MESSAGE"] for e in entries} >= {"hello from the hook"}
    assert any(e["MESSAGE"].startswith("hook done in") and e["CVN_OUTCOME"] == "done" for e in entries)
    for entry in entries:
        assert entry["_TRANSPORT"] == "journal" and entry["SYSLOG_IDENTIFIER"] == "cvnotifyd"
        assert entry["_SYSTEMD_UNIT"] == "cvnotifyd.service" and entry["CVN_QUEUE"] == queue.name


def test_a_hook_writes_only_where_it_may(either, queue, scripts, request):
    # given a hook that tries to write in several places
    places = "/srv/x /usr/x /etc/x /root/x /home/x"
    script = scripts.recording("try", f"for p in {places}; do touch $p 2>/dev/null && echo wrote $p; done; "
                                      f"grep NoNewPrivs: /proc/self/status; exit 0")
    pathlib.Path("/srv").chmod(0o777)
    either.start({"queues": [queue.config()], "hooks": [exec_hook("try", "*", script)]})
    # when it has run
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    said = wait_until(lambda: [e["MESSAGE"] for e in either.entries(CVN_HOOK="try")], 5, "the hook's words")
    # then as installed /srv is its own to use, and hardened it is not; nobody writes to /usr and /etc
    hardened = request.node.callspec.params["either"] == "hardened"
    assert [text for text in said if text.startswith("wrote")] == ([] if hardened else ["wrote /srv/x"])
    assert f"NoNewPrivs:\t{int(hardened)}" in said
    pathlib.Path("/srv").chmod(0o755)
    pathlib.Path("/srv/x").unlink(missing_ok=True)


def test_a_sas_comes_as_a_credential(either, azurite, queue, scripts):
    # given a SAS that only root can read, handed over by the manager
    secret = pathlib.Path("/etc/cvnotifyd/events.sas")
    secret.write_text(azurite.account_sas() + "\n")
    os.chmod(secret, 0o600)
    either.drop_in("credential", f"LoadCredential=events.sas:{secret}")
    settings = {name: value for name, value in queue.config(sas_credential="events.sas").items() if name != "identity"}
    either.start({"queues": [settings], "hooks": [exec_hook("deploy", "*", scripts.recording("deploy"))]})
    # when a message comes, then it is served
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs()) == 1
    # and a reload works as well, though -t runs beside the daemon
    assert call("systemctl", "reload", "cvnotifyd").returncode == 0
    assert wait_until(lambda: either.logged("reloaded: 1 queue, 1 hook"), 5, "the reload")
    # and the SAS is nowhere in the journal
    signature = secret.read_text().strip().partition("sig=")[2].partition("&")[0]
    assert signature and not either.logged(signature[:20])
    secret.unlink()


def test_the_daemon_may_open_as_much_as_the_unit_allows(either, queue):
    # given a unit whose soft limit is below the hard one, as systemd's own is
    either.drop_in("files", "LimitNOFILE=1024:4096")
    # when it runs
    either.start({"queues": [queue.config()], "hooks": [exec_hook("true", "*", "/bin/true")]})
    # then it has raised the one to the other
    limits = pathlib.Path(f"/proc/{either.pid()}/limits").read_text()
    assert re.search(r"^Max open files +4096 +4096 ", limits, re.MULTILINE)
