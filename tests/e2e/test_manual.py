# SPDX-License-Identifier: MIT
"""The manual's pages and --help: made of the program's rows, true to its code, their examples good."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess

import pytest

from support import messages
from support.daemon import ROOT, exec_hook, program, run, write_config
from test_examples import ENVIRONMENT, known_settings, put_in_place

DAEMON = ROOT / "daemon"
PAGES = ["cvnotifyd.8", "cvnotifyd.yaml.5"]
EXAMPLE = re.compile(r'^\.\\" example: (\S+)\n\.Bd [^\n]*\n(.*?)^\.Ed$', re.M | re.S)


def built(page):
    """A page as it is installed, made beside the program under test."""
    return pathlib.Path(program()).parent / "man" / page


def source(path):
    return (DAEMON / path).read_text()


# Where a map may be one of several kinds, which there are.
KINDS = {"identities": re.findall(r"\brow\((\w+)\)", source("identity/kinds.c").partition("#define DECLARE")[0]),
         "hooks": re.findall(r"&hook_kind_(\w+),\n", source("hook/kinds.c"))}


def shown(page):
    """A page as a reader sees it, without what makes letters bold, its blanks made one."""
    text = subprocess.run(["mandoc", "-T", "ascii", built(page)], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\s+", " ", re.sub(r".\x08", "", text))


def both():
    return shown(PAGES[0]) + shown(PAGES[1])


def examples():
    return [(f"{page}-{name}", text) for page in PAGES
            for name, text in EXAMPLE.findall((ROOT / "man" / f"{page}.in").read_text())]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_good_mdoc(page):
    result = subprocess.run(["mandoc", "-T", "lint", built(page)], capture_output=True, text=True)
    # other programs' pages need not be installed here
    assert [line for line in result.stdout.splitlines() if "referenced manual not found" not in line] == []
    # and those of ours are there
    named = re.findall(r"(?m)^\.Xr (cvnotifyd\S*) (\d)", built(page).read_text())
    assert named and {f"{name}.{section}" for name, section in named} <= set(PAGES)


@pytest.mark.parametrize("text", [text for _, text in examples()], ids=[name for name, _ in examples()])
def test_an_example_of_the_manual_is_good(place, text):
    config = put_in_place(place, text, "example.yaml", 0o600)
    result = run("-t", "-c", config, **ENVIRONMENT)
    assert result.returncode == 0, result.stdout + result.stderr
    for hook in re.findall(r"(?m)^  - name: (\S+)", text.partition("hooks:")[2]):
        assert re.search(rf"(?m)^hook {hook}: ", result.stdout), result.stdout


def literal(page, mark):
    """The block of a page's source behind a comment."""
    text = (ROOT / "man" / f"{page}.in").read_text()
    return re.search(rf'^\.\\" {mark}\n\.Bd [^\n]*\n(.*?)^\.Ed$', text, re.M | re.S)[1]


def test_the_trial_of_the_manual_works(place, azurite):
    # given the page's script that posts, its configuration for the emulator, and this emulator
    post = re.search(r"cat >post.py\n(.*?)\n\$ ", literal("cvnotifyd.8", "trial"), re.S)[1]
    post = post.replace("http://127.0.0.1:10001/devstoreaccount1", azurite.url)
    text = dict(examples())["cvnotifyd.yaml.5-emulator"]
    config = put_in_place(place, text.replace("UseDevelopmentStorage=true", azurite.connection_string()), "test.yaml",
                          0o600)
    # when it is posted to and worked off
    subprocess.run(["/usr/bin/python3", "-c", post], check=True)
    result = run("--once", "-c", config, HOME=str(place))
    # then the hook has shown the event
    assert result.returncode == 0 and "customvision.training.completed" in result.stderr, result.stderr


def test_the_look_into_poison_of_the_manual_works(queue, capsys):
    poison = queue.poison()
    poison.client.create_queue()
    poison.post({"cvnotifyd": 1, "reason": "rejected"})
    exec(literal("cvnotifyd.8", "peek"), {"poison": poison.client})
    assert '"reason": "rejected"' in capsys.readouterr().out


def test_the_replay_of_the_manual_works(queue):
    # given a record in the poison queue
    message = messages.training()
    queue.poison().client.create_queue()
    queue.poison().post({"cvnotifyd": 1, "reason": "rejected", "text": json.dumps(message)})
    queue.poison().post({"cvnotifyd": 1, "reason": "not-json", "text": "{oops}"})
    queue.poison().post("a text that was too large for a record")
    # when the page's lines are run
    exec(literal("cvnotifyd.8", "replay"), {"queue": queue.client, "poison": queue.poison().client})
    # then its message is in the queue again, and what can not be helped stays
    assert [json.loads(m.content) for m in queue.visible()] == [message]
    assert queue.poison().count() == 2


def test_the_look_into_the_ledger_of_the_manual_works(place, queue):
    # given a message that was done
    message = queue.post(messages.training())
    state = place / "state"
    write_config(place / "once.yaml", {"state_dir": str(state), "queues": [queue.config()],
                                       "hooks": [exec_hook("show", "*", "/bin/true")]}, place)
    result = run("--once", "-c", place / "once.yaml")
    assert result.returncode == 0, result.stderr
    # when the page's question is asked
    (question,) = re.findall(r'sqlite3 /root/ledger.db "([^"]*)"', literal("cvnotifyd.8", "ledger"))
    with sqlite3.connect(state / "ledger.db") as connection:
        rows = connection.execute(question).fetchall()
    # then it answers
    assert rows == [(message, "training.completed", "done", "show", "done", 0, 0)]


def test_there_are_examples_to_check():
    assert len(examples()) >= 7


def test_every_setting_is_in_the_table_of_its_map():
    # given the built page, cut at its headings
    text = built("cvnotifyd.yaml.5").read_text()
    parts = {heading: body for heading, body in re.findall(r"(?ms)^\.S[sh] (.*?)\n(.*?)(?=^\.S[sh] |\Z)", text)}
    parts[""] = parts["The whole file"]
    for path, default in known_settings().items():
        where, _, key = path.rpartition(".")
        # then each key has its entry there, an identity kind's in its kind's part
        places = [where] + [f"{where}.{kind}" for kind in KINDS.get(where, ())]
        entries = [entry for place in places
                   for entry in re.findall(r"(?ms)^\.It(.*?)(?=^\.It |^\.El)", parts.get(place, ""))
                   if f'Ic "{key}"' in entry.splitlines()[0]]
        assert entries, path
        # and says its default
        if default:
            text = default.replace(" ", ", ") if f"[{default.split()[0]}" in entries[0] else default
            assert text in entries[0], f"{path}: {entries[0]}"


def test_every_kind_has_its_part():
    text = built("cvnotifyd.yaml.5").read_text()
    for list_name, kinds in KINDS.items():
        assert len(kinds) >= 3
        for kind in kinds:
            assert f"\n.Ss {list_name}.{kind}\n" in text


def test_every_option_is_in_the_page_and_in_the_help():
    rows = re.findall(r"\{(?:\.letter = '(\w)',\s*)?\.name = \"([a-z-]+)\"", source("options.c"))
    assert len(rows) >= 6
    page, text = shown("cvnotifyd.8"), run("--help").stdout
    for letter, name in rows:
        assert f"--{name}" in page and f"--{name}" in text
        assert not letter or (f"-{letter}, --{name}" in page and f"-{letter}, --{name}" in text)


def test_every_exit_status_is_in_the_page():
    names = set(re.findall(r"\bEX_[A-Z]+\b", "".join(map(source, ("main.c", "options.c", "online.c", "base/alloc.c")))))
    body = re.search(r"(?ms)^\.Sh EXIT STATUS\n(.*?)^\.Sh ", built("cvnotifyd.8").read_text())[1]
    assert len(names) >= 6
    assert {getattr(os, name) for name in names} == {int(status) for status in re.findall(r"(?m)^\.It (\d+)$", body)}


def test_every_signal_is_in_the_page():
    names = set(re.findall(r"loop_on_signal\(.*?, SIG(\w+)", source("main.c")))
    body = re.search(r"(?ms)^\.Sh SIGNALS\n(.*?)^\.Sh ", built("cvnotifyd.8").read_text())[1]
    assert names == {name for line in re.findall(r"(?m)^\.It (.*)$", body) for name in re.findall(r"[A-Z0-9]+", line)}
    assert all(hasattr(signal, f"SIG{name}") for name in names)


def test_every_value_of_a_message_is_in_the_page():
    own = re.findall(r'\{"(\w+)", get_', source("hook/values.c"))
    of_event = re.findall(r'"(\w+)"', re.search(r"field_names\[\] = \{(.*?)\}", source("event/event.c"), re.S)[1])
    page = shown("cvnotifyd.yaml.5")
    assert len(own) >= 5 and len(of_event) >= 7
    for name in own + of_event:
        assert f"{{{name}}} CVN_{name.upper()} " in page, name


def test_every_event_is_in_the_page():
    names = re.search(r"names\[\] = \{(.*?)\}", source("event/event.c"), re.S)[1]
    page = built("cvnotifyd.yaml.5").read_text()
    for name in re.findall(r'"([\w.]+)"', names):
        assert f"\n.It {name}\n" in page, name


def test_every_reason_of_poison_is_in_the_page():
    reasons = set(re.findall(r'"([a-z]+-[a-z0-9-]+)"', source("event/event.c") + source("event/custom_vision.c")))
    for name in ("delivery", "ending", "keeping"):
        reasons |= set(re.findall(r'\bending_poison\(delivery, "([\w-]+)"', source(f"flow/{name}.c")))
    reasons |= set(re.findall(r'\breject\(step, "([\w-]+)"', source("flow/dispatch.c")))
    assert len(reasons) >= 15
    page = built("cvnotifyd.yaml.5").read_text()
    for reason in reasons:
        assert f"\n.It {reason}\n" in page, reason


def test_every_member_of_a_poison_record_is_in_the_page():
    members = re.findall(r'put_\w+\(json, "(\w+)"', source("flow/poison.c")) + ["done"]
    page = shown("cvnotifyd.yaml.5")
    for member in members:
        assert f'"{member}":' in page, member


def test_every_variable_that_the_daemon_reads_is_in_the_page():
    code = "".join(path.read_text() for path in DAEMON.rglob("*.c"))
    names = set(re.findall(r'\b(?:getenv|put_own_env)\((?:env, )?"(\w+)"', code))
    for platform in re.findall(r"\.variables = \{(.*?)\}", code):
        names |= set(re.findall(r"\w+", platform))
    names |= set(re.findall(r'"(AZURE_\w+)"', code))
    assert {"CREDENTIALS_DIRECTORY", "PATH", "no_proxy", "MSI_SECRET", "AZURE_CLIENT_ID"} <= names
    page = shown("cvnotifyd.8")
    assert {name for name in names if name not in page} == set()


def test_every_line_of_the_diagnostics_is_one_of_the_program():
    code = "".join(path.read_text() for path in DAEMON.rglob("*.c"))
    code = re.sub(r'"\s*\n\s*"', "", code)
    body = re.search(r"(?ms)^\.Sh DIAGNOSTICS\n(.*?)^\.Sh ", built("cvnotifyd.8").read_text())[1]
    lines = re.findall(r"(?m)^\.It (.*)$", body)
    assert len(lines) >= 10
    for line in lines:
        said = re.split(r"\.\.\.|:| N | failed| interrupted", line)[0].split()
        assert " ".join(said[:4]) in code, line


def test_every_warning_of_the_program_is_in_the_diagnostics():
    code = "".join(path.read_text() for path in DAEMON.rglob("*.c"))
    code = re.sub(r'"\s*\n\s*"', "", code)
    texts = re.findall(r'\blog_(?:err|warning)\((?:[^"();]|\([^()]*\))*"([^"]+)"', code)
    page = shown("cvnotifyd.8").partition(" DIAGNOSTICS ")[2]
    # what begins with a value has no words to look for
    beginnings = [re.split(r"[%:;]", text)[0].split() for text in texts]
    said = {" ".join(words[:4]) for words in beginnings if words}
    assert len(said) >= 15
    assert {words for words in said if words not in page} == set()


# --- --help KEY ---

def test_help_tells_all_of_a_setting():
    result = run("--help", "queues.poll_min")
    assert (result.returncode, result.stderr) == (0, "")
    assert "queues.poll_min" in result.stdout and "duration, 10ms..1h, default 250ms" in result.stdout
    # the end of the path will do, and so does -h, or a =
    assert run("--help", "poll_min").stdout == run("-h", "poll_min").stdout == run("--help=poll_min").stdout \
        == result.stdout


def test_help_tells_all_settings_of_a_map():
    text = run("--help", "hooks.exec").stdout
    assert "Runs a program" in text
    keys = [path.rpartition(".")[2] for path in known_settings() if path.startswith("hooks.exec.")]
    for key in keys:
        assert re.search(rf"(?m)^  {key}\b", text), key
    # of hooks: the kinds, each with what it is for
    text = run("--help", "hooks").stdout
    assert "exec, file, syslog" in text and "exec: Runs a program" in text
    # and where their own settings are told
    for path, kinds in (("hooks", ["exec", "file", "syslog"]), ("identities", ["sas", "managed_identity", "service_principal"])):
        for kind in kinds:
            assert f"{path}.{kind}" in run("--help", path).stdout
            assert run("--help", f"{path}.{kind}").stdout.startswith(f"{path}.{kind}\n")


def test_help_settings_tells_everything_in_80_columns():
    text = run("--help", "settings").stdout
    for path in known_settings():
        assert re.search(rf"(?m)^  (.*, )?{path.rpartition('.')[2]}\b", text), path
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_help_about_an_unknown_setting_names_the_nearest():
    result = run("--help", "hooks.exec.timeuot")
    assert (result.returncode, result.stdout) == (64, "")
    assert '"hooks.exec.timeout"?' in result.stderr


def test_help_takes_one_setting():
    result = run("--help", "queues", "hooks")
    assert result.returncode == 0 and result.stdout.startswith("queues")
    # and an option behind it is no setting
    assert run("--help", "-t").stdout.startswith("usage:")
