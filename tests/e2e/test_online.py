# SPDX-License-Identifier: MIT
"""`cvnotifyd -t --online`: what each credential may do is tried and told, and nothing is touched."""
import base64
import datetime
import re
import signal
import subprocess
import time

import pytest

from azure.storage.queue import AccessPolicy, QueueSasPermissions

from support import faults, messages, process
from support.azurite import ACCOUNT, Azurite
from support.certificates import Certificates
from support.daemon import SANITIZER, environment, exec_hook, program, run, write_config
from support.faults import error
from support.issuer import refusal
from support.queues import IDENTITY, Queue
from support.tokens import WAYS, secret_file
from support.wait import wait_until
from test_manual import literal

OPERATIONS = {"get": "Get Messages", "delete": "Delete Message", "update": "Update Message",
              "metadata": "Get Queue Metadata"}
FOLLOWS = {"get": "nothing works", "delete": "nothing works", "metadata": "the queue's length is not known",
           "update": "leases are long and not renewed, and retries wait in the daemon"}
RIGHTS = ["credential", "get", "delete", "update", "metadata"]
HOOKS = [exec_hook("show", "*", "/bin/true")]


class Check:
    """One run: its exit status, the table as {queue: {right: state}}, and what stands below its rows."""

    def __init__(self, place, queues, env=None, before=(), **top):
        config = {"queues": queues, "hooks": HOOKS, **top}
        write_config(place / "online.yaml", config, place)
        self.began = time.monotonic()
        done = subprocess.run([*before, program(), "-t", "--online", "-c", place / "online.yaml"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, env=environment(**(env or {})))
        self.seconds = time.monotonic() - self.began
        assert not SANITIZER.search(done.stderr), done.stderr
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert "sig=" not in self.out + self.err
        self.table, self.needs, self.remarks = {}, {}, {}
        head, _, body = self.out.partition("\n\nqueue ")
        assert "configuration is good" in head
        row = None
        for line in body.splitlines()[1:-1]:
            if line.startswith("    "):
                self.remarks[row] = self.remarks.get(row, "") + line.strip() + "\n"
                continue
            queue, right, state, letter, role = re.split(r"  +", line)
            row = queue, right
            self.table.setdefault(queue, {})[right] = state
            self.needs[right] = letter, role

    def states(self, queue, state):
        """The rights of a queue that are in this state."""
        return {right for right, found in self.table[queue.name].items() if found == state}


def without(config, *keys):
    return {key: value for key, value in config.items() if key not in keys}


def with_sas(queue, sas, **more):
    return without(queue.config(sas=sas, **more), "identity")


@pytest.fixture
def poisoned(queue):
    """A queue whose poison queue is there."""
    queue.poison().client.create_queue()
    return queue


# --- what holds ---

def test_a_key_may_do_everything(place, poisoned):
    # given a queue with messages, one of which somebody has in hand
    poisoned.post(messages.training())
    taken = poisoned.client.receive_message(visibility_timeout=600)
    poisoned.post(messages.training())
    before = [(m.id, m.dequeue_count, m.content) for m in poisoned.visible()]
    # when a key is tried
    check = Check(place, [poisoned.config()])
    # then all holds, with what it takes beside it
    assert (check.status, check.err) == (0, "")
    assert list(check.table[poisoned.name]) == RIGHTS and check.states(poisoned, "holds") == set(RIGHTS)
    assert check.table[poisoned.name + ".poison"] == {"credential": "holds", "put": "holds", "is there": "holds"}
    assert check.needs == {
        "credential": ("-", "-"), "get": ("p", "Storage Queue Data Message Processor"),
        "delete": ("p", "Storage Queue Data Message Processor"), "update": ("u", "Storage Queue Data Contributor"),
        "metadata": ("r", "Storage Queue Data Reader"), "put": ("a", "Storage Queue Data Message Sender"),
        "is there": ("-", "-")}
    assert not check.remarks and check.out.endswith("online.yaml: all that was tried holds\n")
    # and nothing was touched: what was visible is, what was in hand is, and nothing came to it
    assert [(m.id, m.dequeue_count, m.content) for m in poisoned.visible()] == before and before[0][1] == 0
    assert (poisoned.count(), poisoned.poison().count()) == (2, 0)
    poisoned.client.update_message(taken, visibility_timeout=0)
    assert sorted(m.dequeue_count for m in poisoned.visible()) == [0, 1]


def test_nothing_is_made(place, queue):
    # given a poison queue that is not there yet
    check = Check(place, [queue.config()])
    # then that is told, as no trouble, and it is not made
    assert check.status == 0
    assert check.table[queue.name + ".poison"] == {"credential": "holds", "put": "holds", "is there": "not yet"}
    assert "made when it is needed" in check.remarks[queue.name + ".poison", "is there"]
    assert not [q for q in queue.azurite.service().list_queues() if q.name == queue.name + "-poison"]


def test_the_rights_that_the_readme_names_hold(azurite, place, poisoned):
    # given a SAS for each of the two queues, with no more letters than are needed
    poison = {"url": poisoned.poison().url, "sas": azurite.queue_sas(poisoned.name + "-poison", "a")}
    check = Check(place, [with_sas(poisoned, azurite.queue_sas(poisoned.name, "rup"), poison=poison)])
    # then all holds; that the second may not look for its queue is no trouble
    assert check.status == 0, check.out
    assert check.states(poisoned, "holds") == set(RIGHTS)
    assert check.table[poisoned.name + ".poison"] == {"credential": "holds", "put": "holds", "is there": "not known"}
    assert "need not" in check.remarks[poisoned.name + ".poison", "is there"]


def test_a_stored_message_would_be_gone_at_once(place, fake):
    # given a strict service, and a message
    queue, poison = fake.queue(), fake.queue("events-poison")
    fake.takes_probes = True
    queue.post(messages.training())
    (before,) = queue.messages()
    receipt, visible_at = before.receipt, before.visible_at
    # when it is asked
    check = Check(place, [queue.config()])
    assert check.status == 0, check.out + check.err
    # then each right was tried once, with what the service has to refuse, and what it holds is as before
    asked = [(r.queue, r.operation) for r in fake.requests]
    assert sorted(asked) == sorted([("events", "Get"), ("events", "Delete"), ("events", "Update"),
                                    ("events", "Metadata"), ("events-poison", "Put"), ("events-poison", "Metadata")])
    (message,) = queue.messages()
    assert (message.receipt, message.visible_at, message.dequeue_count) == (receipt, visible_at, 0)
    assert poison.is_empty()
    # and a put that were taken all the same would be nobody's message
    (put,) = [r for r in fake.requests if r.operation == "Put"]
    assert "messagettl=1&visibilitytimeout=604801" in put.query


# --- a letter, a role ---

@pytest.mark.parametrize("letter, right", [("r", "metadata"), ("u", "update")])
@pytest.mark.parametrize("kind", ["account", "queue"])
def test_a_letter_that_a_sas_lacks_is_named(azurite, place, poisoned, kind, letter, right):
    # given a SAS without one letter
    sas = (azurite.account_sas("rwdlacup".replace(letter, "")) if kind == "account"
           else azurite.queue_sas(poisoned.name, "rup".replace(letter, "")))
    poison = {"url": poisoned.poison().url, "sas": azurite.account_sas()}
    check = Check(place, [with_sas(poisoned, sas, poison=poison)])
    # then the right that needs it is missing, the letter is named, and so is what follows
    assert check.status == 77, check.out
    assert (check.states(poisoned, "missing"), check.states(poisoned, "holds")) == ({right}, set(RIGHTS) - {right})
    remark = check.remarks[poisoned.name, right]
    assert remark.startswith(f"the SAS lacks {letter}: ") and FOLLOWS[right] in remark
    assert check.out.endswith(": something is missing or refused\n")


def test_a_sas_for_both_queues_that_lacks_a(azurite, place, poisoned):
    check = Check(place, [with_sas(poisoned, azurite.account_sas("rwdlcup"))])
    assert check.status == 77, check.out
    assert check.states(poisoned, "holds") == set(RIGHTS)
    assert check.table[poisoned.name + ".poison"] == {"credential": "holds", "put": "missing", "is there": "holds"}
    remark = check.remarks[poisoned.name + ".poison", "put"]
    assert remark.startswith("the SAS lacks a: ") and f"{place}/state/spool" in remark


@pytest.mark.parametrize("letter", "pa")
@pytest.mark.parametrize("kind", ["account", "queue"])
def test_a_letter_without_which_there_is_no_use_is_a_mistake(azurite, place, poisoned, kind, letter):
    # given a SAS, for the queue or the poison queue alone, without the letter that each is nothing without
    name = poisoned.name + ("" if letter == "p" else "-poison")
    sas = azurite.account_sas("rwdlacup".replace(letter, "")) if kind == "account" else azurite.queue_sas(name, "ru")
    queue = (with_sas(poisoned, sas) if letter == "p"
             else poisoned.config(poison={"url": poisoned.poison().url, "sas": sas}))
    write_config(place / "online.yaml", {"queues": [queue], "hooks": HOOKS}, place)
    # then it is a mistake of the configuration's, which names the letter, and nothing is asked
    done = run("-t", "--online", "-c", place / "online.yaml")
    assert (done.returncode, done.stdout) == (78, "") and f"permission {letter}" in done.stderr, done.stderr


@pytest.mark.parametrize("letter, missing", [("r", {"metadata"}), ("u", {"update"}), ("p", {"get", "delete"})])
def test_a_letter_that_a_policy_lacks_is_named(azurite, place, poisoned, letter, missing):
    # given a SAS that does not tell what it may do, for a policy of the queue rules it
    policy = AccessPolicy(permission=QueueSasPermissions.from_string("rup".replace(letter, "")),
                          start=datetime.datetime.utcnow() - datetime.timedelta(minutes=5),
                          expiry=datetime.datetime.utcnow() + datetime.timedelta(hours=1))
    poisoned.client.set_queue_access_policy({"hooks": policy})
    poison = {"url": poisoned.poison().url, "sas": azurite.account_sas()}
    check = Check(place, [with_sas(poisoned, azurite.queue_sas(poisoned.name, policy="hooks"), poison=poison)])
    # then the service tells
    assert check.status == 77, check.out
    assert (check.states(poisoned, "missing"), check.states(poisoned, "holds")) == (missing, set(RIGHTS) - missing)
    for right in missing:
        remark = check.remarks[poisoned.name, right]
        assert f"{OPERATIONS[right]} needs the SAS permission {letter}" in remark and FOLLOWS[right] in remark


def test_a_sas_of_one_queue_is_refused_by_its_poison_queue(azurite, place, poisoned):
    check = Check(place, [with_sas(poisoned, azurite.queue_sas(poisoned.name))])
    assert check.status == 77
    assert check.states(poisoned, "holds") == set(RIGHTS)
    assert check.table[poisoned.name + ".poison"] == {"credential": "holds", "put": "refused", "is there": "not known"}


def test_the_table_of_the_manual_is_what_is_printed(azurite, place, poisoned):
    sas = azurite.account_sas("rwdlacup".replace("u", ""))
    check = Check(place, [{**with_sas(poisoned, sas), "name": "cv"}], identities=[])
    assert literal("cvnotifyd.8", "online") == check.out[check.out.index("\n\n") + 2:check.out.rindex(str(place))]


# --- a credential that is not taken ---

def refused_everywhere(check, queue):
    assert check.status == 77, check.out
    assert check.states(queue, "refused") == set(RIGHTS) - {"credential"}
    assert check.table[queue.name]["credential"] == "holds"
    # the reason is told once
    assert [key for key in check.remarks if key[0] == queue.name] == [(queue.name, "get")]
    return check.remarks[queue.name, "get"]


def test_a_wrong_key_is_refused(place, poisoned):
    wrong = base64.b64encode(b"not the key of that account").decode()
    check = Check(place, [poisoned.config()], identities=[{**IDENTITY, "key": wrong}])
    assert "AuthenticationFailed" in refused_everywhere(check, poisoned)
    assert wrong not in check.out + check.err


def test_a_sas_that_has_expired_is_refused(azurite, place, poisoned):
    check = Check(place, [with_sas(poisoned, azurite.account_sas(hours=-1))])
    assert "the SAS expired at" in refused_everywhere(check, poisoned)


def test_an_account_that_there_is_not(azurite, place):
    # given the URL of another account
    url = azurite.url.replace(ACCOUNT, "otheraccount")
    check = Check(place, [{"name": "events", "url": f"{url}/events", "identity": "azurite"}])
    # then that is told
    assert check.status == 69, check.out
    assert "ResourceNotFound" in check.remarks["events", "get"] and "mend url" in check.remarks["events", "get"]


# --- tokens ---

def by(world, way, queues):
    """A check with such an identity, which tells no secret."""
    check = Check(world.place, queues, way.env, way.before, identities=[way.identity],
                  http={"ca_file": str(world.certificates.ca)})
    assert [secret for secret in way.issuer.secrets() if secret[-40:] in check.out + check.err] == []
    return check


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_a_token_holds(world, safe_queue, way):
    check = by(world, WAYS[way](world), [safe_queue.config(identity="machine")])
    assert check.status == 0, check.out + check.err
    assert check.states(safe_queue, "holds") == set(RIGHTS)


@pytest.mark.parametrize("operation, right, role", [
    ("Update", "update", "Storage Queue Data Contributor"),
    ("Get", "get", "Storage Queue Data Message Processor"),
    ("Delete", "delete", "Storage Queue Data Message Processor"),
    ("Metadata", "metadata", "Storage Queue Data Reader")])
def test_a_role_that_a_token_lacks_is_named(world, safe_fake, operation, right, role):
    # given an identity whose role lacks something
    way = WAYS["IMDS"](world)
    queue = safe_fake.queue()
    safe_fake.queue("events-poison")
    safe_fake.takes_probes = True
    safe_fake.trust(way.issuer)
    safe_fake.rights.remove(operation)
    check = by(world, way, [queue.config(sas=None, identity="machine")])
    # then that alone is missing, and the smallest role that has it is named
    assert check.status == 77, check.out
    assert (check.states(queue, "missing"), check.states(queue, "holds")) == ({right}, set(RIGHTS) - {right})
    remark = check.remarks["events", right]
    assert f"{OPERATIONS[right]} needs the role {role} on the queue" in remark and FOLLOWS[right] in remark
    # and one token did for all
    assert len(way.issuer.tokens) == 1


def test_a_role_that_was_not_given_is_told_at_length_once(world, safe_fake):
    # given an identity without any role
    way = WAYS["IMDS"](world)
    queue = safe_fake.queue()
    safe_fake.queue("events-poison")
    safe_fake.takes_probes = True
    safe_fake.trust(way.issuer)
    safe_fake.rights.clear()
    check = by(world, way, [queue.config(sas=None, identity="machine")])
    # then each right is missing and has its role; who lacks it, and for how long yet, stands with the first alone
    assert check.status == 77 and check.states(queue, "missing") == set(RIGHTS) - {"credential"}, check.out
    for right in ("delete", "update", "metadata"):
        first, follows = check.remarks["events", right].splitlines()
        assert first == f"{OPERATIONS[right]} needs the role {check.needs[right][1]}" and FOLLOWS[right] in follows
    for name, right in (("events", "get"), ("events.poison", "put")):
        remark = check.remarks[name, right]
        assert "minutes to count" in remark and "of the tenant" in remark
    assert check.out.count("minutes to count") == 2


def test_a_token_of_another_tenant_is_told(world, safe_fake):
    # given an identity of another tenant than the account's, which trusts none of its tokens
    way = WAYS["IMDS"](world)
    way.issuer.tenant = "0f1d0000-1111-4000-8000-2d7cd011db47"
    queue = safe_fake.queue()
    safe_fake.tokens = set()
    check = by(world, way, [queue.config(sas=None, identity="machine")])
    # then both are in one line, with the principal that was shown
    assert check.status == 77, check.out
    remark = check.remarks["events", "get"]
    assert "401 InvalidAuthenticationInfo: the token is not valid" in remark
    assert "the account is of the tenant 72f988bf-0000-4000-8000-2d7cd011db47" in remark
    assert re.search(r"the token is for the object id [0-9a-f-]{36} of the tenant 0f1d0000-1111-4000-8000-2d7cd011db47", remark)


def test_an_issuer_that_refuses_is_told(world, safe_queue):
    # given a secret that is not the application's
    way = WAYS["secret v2"](world)
    secret_file(world.place, "client-secret", "another secret")
    check = by(world, way, [safe_queue.config(identity="machine")])
    # then that is told, and nothing else is tried
    assert check.status == 77, check.out + check.err
    assert check.table[safe_queue.name] == {"credential": "refused", **{right: "not known" for right in RIGHTS[1:]}}
    assert "AADSTS7000215" in check.remarks[safe_queue.name, "credential"]
    assert [key for key in check.remarks if key[0] == safe_queue.name] == [(safe_queue.name, "credential")]


def test_an_issuer_that_has_no_time_is_tried_five_times(world, safe_queue):
    # given an issuer that is busy
    way = WAYS["secret v2"](world)
    way.issuer.fails(refusal(503, "temporarily_unavailable"))
    check = by(world, way, [safe_queue.config(identity="machine")])
    # then each try was told as it happened, and was one
    assert check.status == 69, check.out + check.err
    tries = re.findall(rf"(?m)^{safe_queue.name}: credential: try (\d) of 5: .*Microsoft Entra", check.err)
    assert tries == ["1", "2", "3", "4", "5"]
    assert len(way.issuer.requests) == 5
    assert check.states(safe_queue, "not known") == set(RIGHTS)


def test_queues_that_share_an_identity_do_not_repeat_what_is_wrong_with_it(world, safe_fake):
    # given three queues, and an issuer that is busy
    way = WAYS["secret v2"](world)
    way.issuer.fails(refusal(503, "temporarily_unavailable"))
    check = by(world, way, [safe_fake.queue(name).config(sas=None, identity="machine") for name in ("one", "two", "three")])
    # then each try is told once, and so is why there is no credential
    assert check.status == 69, check.out
    assert re.findall(r"try (\d) of 5", check.err) == ["1", "2", "3", "4", "5"], check.err
    assert check.out.count("temporarily_unavailable") == 1
    assert [check.remarks[name, "credential"] for name in ("one.poison", "two", "three.poison")] == ["as above\n"] * 3
    assert len(way.issuer.requests) == 5


@pytest.mark.parametrize("refuses", [False, True])
def test_an_identity_that_no_queue_names_is_tried(world, oauth_azurite, safe_queue, refuses):
    # given a queue with a SAS, and an identity beside it
    way = WAYS["secret v2"](world)
    if refuses:
        secret_file(world.place, "client-secret", "another secret")
    check = by(world, way, [with_sas(safe_queue, oauth_azurite.account_sas())])
    # then it has a line of its own, the last
    assert list(check.table)[-1] == "machine"
    assert check.table["machine"] == {"credential": "refused" if refuses else "holds"}
    assert check.status == (77 if refuses else 0), check.out
    assert ("AADSTS7000215" in check.out) == refuses and check.states(safe_queue, "holds") == set(RIGHTS)


# --- a queue that is not there, a service that does not answer ---

def test_a_queue_that_there_is_not(azurite, place, poisoned):
    config = {**poisoned.config(), "name": "gone", "url": f"{azurite.url}/no-such-queue"}
    check = Check(place, [config, poisoned.config()])
    # then it is told as such, once, and the other queue is tried all the same
    assert check.status == 69, check.out
    assert set(check.table["gone"].values()) == {"holds", "no queue"}
    assert [v for k, v in check.remarks.items() if k[0] == "gone" and "QueueNotFound: create the queue" in v]
    assert len([k for k in check.remarks if k[0] == "gone"]) == 1
    assert check.states(poisoned, "holds") == set(RIGHTS)
    assert check.out.endswith(": something could not be reached or is not there\n")


def test_a_poison_queue_that_can_not_be_made(azurite, place, queue):
    # given a SAS that may look for the poison queue, and not make it
    poison = {"url": queue.poison().url, "sas": azurite.queue_sas(queue.name + "-poison", "ra")}
    check = Check(place, [queue.config(poison=poison)])
    assert check.status == 69, check.out
    remark = check.remarks[queue.name + ".poison", "is there"]
    assert "QueueNotFound" in remark and "may not make it" in remark and f"{place}/state/spool" in remark


def test_a_service_that_does_not_answer_is_tried_five_times(place):
    # given a port that nobody listens on
    (port,) = process.free_ports(1)
    check = Check(place, [{"name": "events", "url": f"http://127.0.0.1:{port}/{ACCOUNT}/events", "identity": "azurite"}])
    # then each try and its reason were told, and nothing more is asked for
    assert check.status == 69, check.out
    for name, right in (("events", "get"), ("events.poison", "put")):
        tries = [line for line in check.err.splitlines() if line.startswith(f"{name}: ")]
        assert [line.split(": ")[:3] for line in tries] == [[name, right, f"try {n} of 5"] for n in range(1, 6)]
        assert all(f"127.0.0.1:{port}" in line for line in tries)
        assert all("; again in " in line for line in tries[:4]) and tries[4].endswith("; giving up")
    assert check.table["events"] == {"credential": "holds", "get": "not known", "delete": "not known",
                                     "update": "not known", "metadata": "not known"}
    assert 1.8 < check.seconds < 40


def test_what_passes_is_no_trouble(place, fake):
    # given a service that is busy twice
    queue = fake.queue()
    fake.queue("events-poison")
    fake.takes_probes = True
    busy = fake.answer("Delete", error(503, "ServerBusy"), times=2)
    check = Check(place, [queue.config()])
    # then it is told while it is waited for, and all holds
    assert check.status == 0 and busy.count == 2 and check.states(queue, "holds") == set(RIGHTS)
    assert re.findall(r"(?m)^events: delete: try (\d) of 5: .*ServerBusy.*; again in ", check.err) == ["1", "2"]


def test_refused_beats_unavailable(place, queue):
    (port,) = process.free_ports(1)
    dead = {"name": "dead", "url": f"http://127.0.0.1:{port}/{ACCOUNT}/events", "identity": "azurite"}
    wrong = {**IDENTITY, "name": "wrong", "key": "AAAA"}
    check = Check(place, [dead, queue.config(identity="wrong")], identities=[IDENTITY, wrong])
    assert check.status == 77
    # and rows stand in the order of the configuration, whatever came first
    assert list(check.table) == ["dead", "dead.poison", queue.name, queue.name + ".poison"]


def test_an_answer_that_is_none_of_the_service_proves_nothing(place, fake):
    # given something in between that answers every request so
    queue = fake.queue()
    fake.takes_probes = True
    fake.answer("*", faults.html(400))
    check = Check(place, [queue.config()])
    # then nothing is said to hold
    assert check.status == 69
    assert check.table["events"] == {"credential": "holds", **{right: "not known" for right in RIGHTS[1:]}}
    assert "a proxy or a portal" in check.remarks["events", "get"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_ctrl_c_or_a_terminal_that_closes_ends_it_at_once(place, fake, number):
    # given a service that is silent
    queue = fake.queue()
    fake.takes_probes = True
    silent = fake.answer("*", faults.silence)
    write_config(place / "online.yaml", {"queues": [queue.config()], "hooks": HOOKS}, place)
    # (whoever runs the tests in the background has these signals ignored)
    running = subprocess.Popen(["env", "--default-signal", program(), "-t", "--online", "-c", place / "online.yaml"],
                               env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: silent.count, 15, "the first request")
        began = time.monotonic()
        running.send_signal(number)
        running.communicate(timeout=20)
        assert running.returncode == -number and time.monotonic() - began < 5
    finally:
        running.kill()
        running.wait()


# --- the configuration ---

def test_mistakes_are_told_as_ever(place):
    write_config(place / "online.yaml", "queues: [{name: a}]\n", place)
    done = run("-t", "--online", "-c", place / "online.yaml")
    assert done.returncode == 78 and "online.yaml:1:" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("arguments", [["-t"], ["-t", "--online"]])
def test_a_table_that_nobody_can_read_is_a_failure(place, poisoned, arguments):
    # given a standard output that takes nothing
    write_config(place / "online.yaml", {"queues": [poisoned.config()], "hooks": HOOKS}, place)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([program(), *arguments, "-c", place / "online.yaml"], env=environment(), text=True,
                              stdout=full, stderr=subprocess.PIPE, timeout=60)
    # then that is told
    assert (done.returncode, done.stderr) == (70, "cvnotifyd: the standard output can not be written\n")


def test_online_goes_with_t():
    done = run("--online")
    assert (done.returncode, done.stdout) == (64, "")
    assert "cvnotifyd -t --online" in done.stderr


def test_a_credential_of_systemd_is_not_checked(place, queue):
    # given a credential, and no service manager
    check = Check(place, [without(queue.config(sas_credential="events.sas"), "identity"),
                          {"name": "string", "connection_string_credential": "account", "queue": "events"}])
    # then it is told, and no failure
    assert check.status == 0, check.out
    assert check.table[queue.name] == {"credential": "not checked"} == check.table["string"]
    assert "$CREDENTIALS_DIRECTORY" in check.remarks[queue.name, "credential"]


def test_a_credential_of_systemd_is_tried_where_it_is(azurite, place, poisoned):
    (place / "events.sas").write_text(azurite.account_sas())
    check = Check(place, [without(poisoned.config(sas_credential="events.sas"), "identity")],
                  env={"CREDENTIALS_DIRECTORY": str(place)})
    assert check.status == 0, check.out
    assert check.states(poisoned, "holds") == set(RIGHTS)


def test_queues_that_share_an_identity_are_tried_each(azurite, place, new_queue):
    # given two queues with one identity, which is good for one
    one, two = new_queue(), new_queue()
    token = {"name": "token", "kind": "sas", "sas": azurite.queue_sas(one.name)}
    check = Check(place, [one.config(identity="token"), two.config(identity="token")], identities=[token])
    assert check.status == 77
    assert check.states(one, "holds") == set(RIGHTS)
    assert check.states(two, "refused") == set(RIGHTS) - {"credential"}


def test_over_https(place):
    # given a service whose certificate is of an authority that nobody knows
    service = Azurite(certificates=Certificates(place / "certificates")).start()
    try:
        queue = Queue(service, "safe")
        check = Check(place, [queue.config()])
        assert check.status == 69 and "certificate" in check.err and "http.ca_file" in check.err
        check = Check(place, [queue.config()], http={"ca_file": str(service.certificates.ca)})
        assert check.status == 0, check.out
    finally:
        service.stop()
