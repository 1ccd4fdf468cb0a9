# SPDX-License-Identifier: MIT
"""The examples under conf/: each is good as it stands, and all-options.yaml tells the whole truth."""
import os
import pathlib
import pwd
import re

import pytest

from support.azurite import KEY
from support.daemon import ROOT, run

EXAMPLES = sorted((ROOT / "conf").glob("*.yaml"))
SAS = "sv=2021-12-02&se=2999-01-01T00%3A00%3A00Z&sp=raup&sig=AAAA"
SECRETS = {"sas_file": SAS, "key_file": KEY, "connection_string_file": "UseDevelopmentStorage=true",
           "client_secret_file": "8Q~secret", "token_file": "e30.e30.AA",
           "certificate_file": (ROOT / "tests/fuzz/seeds/certificate/pkcs8").read_text()}
QUEUE = "https://contoso.queue.core.windows.net/cv-events"
ENVIRONMENT = {"CV_QUEUE_URL": QUEUE, "CV_QUEUE_SAS": SAS, "CV_POISON_URL": QUEUE + "-poison", "CV_POISON_SAS": SAS,
               "AZURE_TENANT_ID": "contoso.com", "AZURE_CLIENT_ID": "0c9f5a52-7a44-4d6c-8f0e-6c1f2f6d3b10",
               "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token"}

# Where each table of rows stands in a configuration.
TABLES = {
    ("flow/settings.c", "rows"): "", ("flow/settings.c", "log_rows"): "log", ("flow/settings.c", "http_rows"): "http",
    ("flow/settings.c", "control_rows"): "control", ("flow/settings.c", "queue_rows"): "queues",
    ("flow/settings.c", "poison_rows"): "queues.poison",
    ("identity/identity.c", "rows"): "identities", ("identity/sas.c", "rows"): "identities",
    ("identity/shared_key.c", "rows"): "identities", ("identity/connection_string_kind.c", "rows"): "identities",
    ("identity/managed_identity.c", "rows"): "identities", ("identity/workload_identity.c", "rows"): "identities",
    ("identity/service_principal.c", "rows"): "identities",
    ("hook/hook.c", "rows"): "hooks", ("hook/exec.c", "rows"): "hooks.exec", ("hook/file.c", "rows"): "hooks.file",
    ("hook/syslog.c", "rows"): "hooks.syslog",
}
# snapshot.c reads `include` by a table of its own before the whole file is read.
TWICE = ("flow/snapshot.c", "include_rows")
ROW = re.compile(r'\.name = "(\w+)",[\s\\]*\.type = CONFIG_(\w+)((?:(?!\.name = ).)*)', re.S)
TABLE = re.compile(r"struct config_row (\w+)\[\] = \{(.*?)\n\};", re.S)
MACRO = re.compile(r"#define (\w+_ROWS)\(\w+\)(.*?[^\\])\n", re.S)


def tables():
    """{(file, array): its rows as text, shared rows put in place}"""
    found = {}
    for path in (ROOT / "daemon").rglob("*.c"):
        text = path.read_text()
        macros = dict(MACRO.findall(text))
        for array, body in TABLE.findall(text):
            body = re.sub(r"\b(\w+_ROWS)\(\w+\)", lambda use: macros[use[1]], body)
            found[str(path.relative_to(ROOT / "daemon")), array] = body
    return found


def known_settings():
    """{"queues.poll_min": its default as written, None without one}, of every row that is a key"""
    known = {}
    for where, body in tables().items():
        if where == TWICE:
            continue
        for name, kind, rest in ROW.findall(body):
            default = re.search(r'\.text = "(.*?)"', rest)
            default = default[1] if default and kind != "OBJECT" else None
            spellings = ("", "_file", "_credential") if kind == "SECRET" else ("",)
            for spelling in spellings if kind != "ONE_OF" else ():
                known[f"{TABLES[where]}.{name}{spelling}".lstrip(".")] = default
    return known


def shown_settings():
    """[(path, value, whether it is in force)] of all-options.yaml, whose lines hold one key each"""
    shown, parents = [], []
    for line in (ROOT / "conf/all-options.yaml").read_text().splitlines():
        match = re.match(r"( *)(- |# )?([a-z_]+):(?: +([^#\s].*?))?(?: +#.*)?$", line)
        if not match:
            continue
        indent = len(match[1]) + (2 if match[2] == "- " else 0)
        parents = [parent for parent in parents if parent[0] < indent]
        shown.append((".".join([name for _, name in parents] + [match[3]]), plain(match[4]), match[2] != "# "))
        if match[2] != "# ":
            parents.append((indent, match[3]))
    return shown


def plain(value):
    """A value without quotes; a list as its items with blanks between."""
    value = (value or "").strip()
    if value.startswith("["):
        return " ".join(plain(item) for item in value[1:-1].split(","))
    return value.strip('"')


def put_in_place(place, text, name, mode=0o644):
    """Writes an example with the files and the user that it names, here instead of there; its path."""
    text = re.sub("/etc/cvnotifyd/|/var/run/secrets/azure/tokens/", f"{place}/", text)
    text = re.sub(r"^( +user:) \w+", rf"\1 {pwd.getpwuid(os.getuid())[0]}", text, flags=re.M)
    for key, path in re.findall(r"(?m)^[^#\n]*?\b(\w+_file): ([^\s,}]+)", text):
        pathlib.Path(path).touch(mode=0o600)
        pathlib.Path(path).write_text(SECRETS[key])
    config = place / name
    config.write_text(text)
    config.chmod(mode)
    return config


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_good(place, example):
    # given the files, the user and the variables that it names, here instead of there
    # in a file for everybody's eyes, for none holds a secret
    config = put_in_place(place, example.read_text(), example.name)
    # when it is checked
    result = run("-t", "-c", config, **ENVIRONMENT)
    # then it is good, and the plan names each of its queues and hooks
    assert result.returncode == 0, result.stdout + result.stderr
    names = re.findall(r"(?m)^  - name: (\S+)", config.read_text().partition("\nqueues:")[2])
    assert len(names) >= 2
    for name in names:
        assert re.search(rf"(?m)^(queue|hook) {name}: ", result.stdout), result.stdout


def test_every_table_of_rows_has_its_place():
    assert set(tables()) == set(TABLES) | {TWICE}


def test_all_options_names_every_setting_and_no_other():
    shown = {path for path, _, _ in shown_settings()}
    groups = {path.rpartition(".")[0] for path in shown if "." in path}
    assert set(known_settings()) - shown == set()
    assert shown - set(known_settings()) - groups == set()


def test_all_options_shows_the_defaults():
    known, wrong = known_settings(), []
    in_force = [(path, value) for path, value, is_in_force in shown_settings() if is_in_force and value]
    for path, value in in_force:
        if known.get(path) is not None and value != known[path]:
            wrong.append(f"{path}: {value}, but the row says {known[path]}")
    assert wrong == []
    assert {path for path, default in known.items() if default is not None} - {path for path, _ in in_force} == set()
