# SPDX-License-Identifier: MIT
"""The command line, and a configuration's mistakes as its writer sees them."""
import os
import pathlib
import re
import tempfile
import textwrap
import uuid

import pytest

from support import jwt
from support.daemon import run

URL = "http://127.0.0.1:10001/devstoreaccount1/events"


def check(place, text, mode=0o600, name="cvnotifyd.yaml", **env):
    """-t on a configuration of this text."""
    path = place / name
    path.touch()
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    os.chmod(path, mode)
    return run("-t", "-c", path, **env)


def mistakes(result):
    """{line: what is said about it}"""
    found = {}
    for match in re.finditer(r"^\S*?\.yaml:(\d+):(\d+): (.+)$", result.stdout + result.stderr, re.M):
        found.setdefault(int(match[1]), []).append(match[3])
    return {line: " ".join(said) for line, said in found.items()}


GOOD = f"""
    state_dir: /tmp
    stop_timeout: 30s
    queues:
      - name: events
        url: {URL}
        sas: "sv=2021-02-12&se=2999-01-01T00%3A00%3A00Z&sp=raup&sig=AAAA"
    hooks:
      - name: deploy
        on: [export.completed]
        exec: {{command: [/bin/true, "{{iteration_id}}"], timeout: 10m}}
"""


def test_a_good_file_is_good(place):
    result = check(place, GOOD)
    assert result.returncode == 0, result.stdout + result.stderr
    # it prints what would happen, and no secret
    assert "deploy" in result.stdout and "events" in result.stdout
    assert "AAAA" not in result.stdout + result.stderr


def test_all_mistakes_are_told_in_one_pass_with_their_places(place):
    result = check(place, f"""
        stop_timeout: soon
        queues:
          - name: events
            url: {URL}
            pol_min: 250ms
            lease: 8d
            sas: "sv=2021-02-12&sp=raup&sig=AAAA"
          - name: two
            identity: nobody-knows
        hooks:
          - name: deploy
            on: [export.complete]
            exec: {{command: [/bin/true]}}
            file: {{path: /tmp/x}}
          - name: deploy
            on: ["*"]
            exec: {{command: [/bin/true], parallel: 0}}
          - name: "no such name!"
            exec: {{command: [/bin/true]}}
        """)
    assert result.returncode == 78
    said = mistakes(result)
    assert "stop_timeout" in said[1] or "soon" in said[1]
    assert "pol_min" in said[5] and "poll_min" in said[5]
    assert "7d" in said[6]
    assert "url" in said.get(8, "") + said.get(9, "")
    assert "nobody-knows" in said[9]
    assert "export.complete" in said[12]
    assert set(said) & {11, 13, 14}, "two kinds in one hook"
    assert 15 in said, "a name used twice"
    assert 17 in said, "parallel out of its range"
    assert 18 in said, "a name that is none"


def test_a_mistake_is_told_once(place):
    # given a secret that is written twice, and one that is not written
    result = check(place, f"""
        identities:
          - {{name: empty, kind: sas}}
        queues:
          - name: events
            url: {URL}
            sas: "sv=2021-02-12&sp=raup&sig=AAAA"
            sas_file: /nowhere
        """)
    # then there is one line for each
    assert result.returncode == 78
    assert re.findall(r"yaml:(\d+):", result.stderr) == ["2", "7"], result.stderr


def test_a_token_that_can_not_serve_is_told_with_the_plan(place):
    # given a queue's own token, which poison is left to use
    result = check(place, GOOD)
    # then the plan says that it can not
    assert ("  its SAS is for one queue and can not write to the poison queue: give poison its own; till then, poison "
            "records are kept in /tmp/spool\n") in result.stdout
    # but not of an account's
    result = check(place, GOOD.replace("sv=", "ss=q&srt=co&sv="))
    assert result.returncode == 0 and "its SAS" not in result.stdout, result.stdout + result.stderr
    # and when it, or the poison queue's own, has expired, the plan says so
    own = ' "\n        poison: {sas: "sv=2021-02-12&se=2020-01-02T00%3A00%3A00Z&sp=a&sig=AAAA"}\n'
    result = check(place, GOOD.replace("2999", "2020").replace('AAAA"\n', "AAAA" + own))
    assert result.returncode == 0, result.stderr
    assert "  its SAS expired at 2020-01-01T00:00:00Z: make a new one\n" in result.stdout
    assert "  its poison queue's SAS expired at 2020-01-02T00:00:00Z: make a new one\n" in result.stdout
    assert "can not write" not in result.stdout


def check_application(place, kind, settings="", **env):
    """-t with an identity of Microsoft Entra's, as a queue and its poison queue use it."""
    return check(place, f"""
        identities:
          - {{name: app, kind: {kind}{settings}}}
        queues:
          - {{name: events, url: "https://contoso.queue.core.windows.net/events", identity: app}}
        hooks:
          - {{name: none, on: ["*"], exec: {{command: [/bin/true]}}}}
        """, **env)


def test_a_certificate_that_has_expired_is_told_with_the_plan(place):
    # given an application with a certificate of the day before yesterday
    path = place / "app.pem"
    path.touch(mode=0o600)
    path.write_text(jwt.Key(days=(-2, -1)).pem())
    application = f", tenant_id: contoso.com, client_id: {uuid.uuid4()}, certificate_file: {path}"
    # then the plan says so, once
    result = check_application(place, "service_principal", application)
    assert result.returncode == 0, result.stderr
    assert re.findall(r"(?m)^  its certificate expired at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: make a new one$",
                      result.stdout) and "poison queue's" not in result.stdout
    # but not of one that is good
    path.write_text(jwt.Key().pem())
    assert "expired" not in check_application(place, "service_principal", application).stdout
    # and one without its key is a mistake, of which nothing is shown
    path.write_text(jwt.Key().pem().partition("-----BEGIN PRIVATE")[0])
    result = check_application(place, "service_principal", application)
    assert result.returncode == 78
    assert "certificate_file: there is no private key in it" in mistakes(result)[2]


def test_what_a_pods_variables_do_not_say_is_named(place):
    # given a workload identity where no webhook has set anything
    result = check_application(place, "workload_identity")
    # then each setting and its variable is named, all in one pass
    assert result.returncode == 78
    for setting, variable in (("tenant_id", "AZURE_TENANT_ID"), ("client_id", "AZURE_CLIENT_ID"),
                              ("token_file", "AZURE_FEDERATED_TOKEN_FILE")):
        assert f"{setting}, and ${variable}, which may stand for it" in mistakes(result)[2]
    # and with them, all is well
    result = check_application(place, "workload_identity", AZURE_TENANT_ID="contoso.com",
                               AZURE_CLIENT_ID=str(uuid.uuid4()), AZURE_FEDERATED_TOKEN_FILE="/nowhere/yet")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_mistake_has_its_column(place):
    result = check(place, GOOD + "    log: {level: loud}\n")
    assert result.returncode == 78
    assert re.search(r"\.yaml:11:(7|14): ", result.stdout + result.stderr), result.stderr


@pytest.mark.parametrize("text, line, words", [
    ("stop_timeout: 30s\nstop_timeout: 40s\n", 2, "stop_timeout"),
    ("queues: []\nhooks: [\n", None, ""),
    ("stop_timeout: ${NOT_SET_ANYWHERE}\n", 1, "NOT_SET_ANYWHERE"),
    ("history_days: many\n", 1, ""),
    ("stop_timeout: [30s]\n", 1, ""),
    ("hooks:\n  - name: a\n    on: ['*']\n    exec: {command: [/bin/true, {iteration_id}]}\n", 4, "quot"),
    ("queues:\n  - name: a\n    url: http://contoso.example/q\n    sas: sig=AAAA\n", 3, "allow_insecure"),
    (f"queues:\n  - name: a\n    url: '{URL}?sv=1&sig=AAAA'\n    sas: sig=AAAA\n", 3, "sas"),
    (f"queues:\n  - name: a\n    url: {URL}\n    sas: sig=AAAA\n    poison: {'x' * 64}\n", 5, "63"),
    (f"queues:\n  - name: a\n    url: {URL}\n    sas: sig=AAAA\n    sas_file: /tmp/x\n", None, "sas"),
    (f"queues:\n  - name: a\n    url: {URL}\n    sas_file: /nowhere/at/all\n", 4, "/nowhere/at/all"),
    ("hooks:\n  - name: a\n    on: ['*']\n    exec: {command: [/bin/true], user: no-such-user}\n", 4, "no-such-user"),
    ("hooks:\n  - name: a\n    on: ['*']\n    exec: {command: []}\n", 4, ""),
    ("hooks:\n  - name: a\n    on: ['*']\n    exec: {command: [/bin/echo, '{no_such_name}']}\n", 4, "no_such_name"),
], ids=lambda v: v.splitlines()[-1].strip()[:40].replace("/", "_") if isinstance(v, str) and "\n" in v else "")
def test_a_mistake_is_told_with_its_line(place, text, line, words):
    result = check(place, text)
    assert result.returncode == 78
    said = mistakes(result)
    assert said, result.stderr
    assert line is None or line in said, said
    assert words in (said[line] if line else " ".join(said.values()))
    assert "AAAA" not in result.stdout + result.stderr


def test_variables_expand_inside_values_and_never_as_structure(place):
    text = GOOD.replace("30s", "${STOP:-20s}").replace("name: events", 'name: "${QUEUE}"')
    assert check(place, text, QUEUE="events").returncode == 0
    assert check(place, text, QUEUE="events", STOP="1m").returncode == 0
    assert 2 in mistakes(check(place, text, QUEUE="events", STOP="a while"))
    result = check(place, text, QUEUE="x, y: z\n  - name: w")
    assert result.returncode == 78 and 4 in mistakes(result)


def test_parts_are_included_in_their_order(place):
    (place / "conf.d").mkdir()
    part = place / "conf.d/10-audit.yaml"
    part.write_text("hooks:\n  - name: audit\n    on: ['*']\n    file: {path: /tmp/events.jsonl}\n")
    text = GOOD + "    include: conf.d/*.yaml\n"
    result = check(place, text)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 0 < result.stdout.index("deploy") < result.stdout.index("audit")
    # a mistake in a part names the part
    part.write_text("hooks:\n  - name: audit\n    on: ['*']\n    file: {pth: /tmp/events.jsonl}\n")
    result = check(place, text)
    assert result.returncode == 78
    assert "10-audit.yaml:4:" in result.stdout + result.stderr
    # no part is fine
    part.unlink()
    assert check(place, text).returncode == 0


def on_tmpfs(path):
    best = ("", "")
    for line in open("/proc/mounts"):
        _, point, kind, *_ = line.split()
        if str(path).startswith(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1] in ("tmpfs", "ramfs")


@pytest.fixture(name="disk")
def fixture_disk(place):
    """A place that is not on tmpfs, where files may be readable."""
    if not on_tmpfs(place):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="cvn-", dir="/var/tmp") as folder:
        assert not on_tmpfs(folder)
        yield pathlib.Path(folder)


def test_secrets_that_others_can_read_are_refused(disk):
    place = disk
    # a configuration with a secret in it
    assert check(place, GOOD, mode=0o600).returncode == 0
    assert check(place, GOOD, mode=0o644).returncode == 78
    # one that only names a file may be read by all, but the file may not
    secret = place / "sas"
    secret.write_text("sv=2021-02-12&se=2999-01-01T00%3A00%3A00Z&sp=raup&sig=AAAA\n")
    secret.chmod(0o600)
    text = re.sub(r"sas: .*", f"sas_file: {secret}", GOOD)
    assert check(place, text, mode=0o644).returncode == 0
    secret.chmod(0o644)
    result = check(place, text, mode=0o644)
    assert result.returncode == 78 and str(secret) in result.stdout + result.stderr
    (place / "link").symlink_to(secret)
    assert check(place, text.replace(str(secret), f"{place}/link")).returncode == 78


def test_a_credential_is_checked_where_there_are_credentials(place):
    text = re.sub(r"sas: .*", "sas_credential: queue-sas", GOOD)
    # without the folder it can not be checked, which is no mistake
    result = check(place, text)
    assert result.returncode == 0
    assert "not checked" in result.stdout + result.stderr
    # with it, it must be there
    folder = place / "credentials"
    folder.mkdir()
    assert check(place, text, CREDENTIALS_DIRECTORY=str(folder)).returncode == 78
    (folder / "queue-sas").write_text("sv=2021-02-12&sp=raup&sig=AAAA")
    assert check(place, text, CREDENTIALS_DIRECTORY=str(folder)).returncode == 0
    # one that is hidden, as systemd does it for ExecReload=, is as good as none
    hidden = check(place, text, CREDENTIALS_DIRECTORY=f"{place}/hidden")
    assert hidden.returncode == 0 and "not checked" in hidden.stdout


def test_json_is_yaml(place):
    assert check(place, """
        {"queues": [{"name": "events", "url": "%s", "sas": "sv=2021-02-12&sp=raup&sig=AAAA"}],
         "hooks": [{"name": "a", "on": ["*"], "exec": {"command": ["/bin/true"]}}]}
        """ % URL).returncode == 0


def test_a_file_that_is_not_there(place):
    result = run("-t", "-c", place / "absent.yaml")
    assert result.returncode == 78
    assert "absent.yaml" in result.stdout + result.stderr


def test_a_broken_file_keeps_the_daemon_from_starting(place):
    path = place / "cvnotifyd.yaml"
    path.write_text("stop_timeout: soon\n")
    result = run("-c", path)
    assert result.returncode == 78
    assert f"{path}:1:" in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["-c"], ["a-word-too-many"], ["-x"]], ids=" ".join)
def test_usage_errors_are_64(arguments):
    result = run(*arguments)
    assert result.returncode == 64
    assert result.stderr and not result.stdout


def test_a_configuration_without_c_is_told_where_it_goes():
    assert "a configuration is named by -c FILE" in run("-t", "my.yaml").stderr


def test_help_and_version():
    for option in ("-h", "--help"):
        result = run(option)
        assert result.returncode == 0 and not result.stderr
        assert all(word in result.stdout for word in ("-c", "-t", "--once", "-V"))
    for option in ("-V", "--version"):
        result = run(option)
        assert result.returncode == 0 and re.search(r"cvnotifyd \d+\.\d+", result.stdout)
