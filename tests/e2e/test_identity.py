# SPDX-License-Identifier: MIT
"""Every way to be let in, against the real storage service; and what is said when it is not."""
import datetime

import pytest

from azure.storage.queue import AccessPolicy, QueueSasPermissions

from support import messages
from support.azurite import ACCOUNT, KEY, Azurite
from support.certificates import Certificates
from support.daemon import exec_hook
from support.queues import Queue
from support.tls import EmptyQueueOverTls
from support.wait import stays_true, wait_until


def serves(queue, config, daemon, scripts, **top):
    """Starts a daemon with this queue configuration and sees a message served."""
    config = {key: value for key, value in queue.config(**config).items() if value is not None}
    running = daemon({"queues": [config], "hooks": [exec_hook("report", "*", scripts.recording("report"))], **top})
    message = queue.post(messages.training())
    wait_until(lambda: scripts.runs("report", message), 15, "the message to be served")
    wait_until(queue.is_empty, 10, "the queue to be empty")
    return running


def secret_file(place, text, name="secret"):
    path = place / name
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


def test_shared_key(queue, daemon, scripts):
    serves(queue, {}, daemon, scripts)


def test_shared_key_in_a_file(place, queue, daemon, scripts):
    identity = {"name": "filed", "kind": "shared_key", "account": ACCOUNT, "key_file": secret_file(place, KEY + "\n")}
    serves(queue, {"identity": "filed"}, daemon, scripts, identities=[identity])


def test_account_sas(azurite, queue, daemon, scripts):
    running = serves(queue, {"identity": None, "sas": azurite.account_sas()}, daemon, scripts)
    assert "sig=" not in running.log()


def test_account_sas_as_an_identity_with_a_question_mark_before_it(azurite, queue, daemon, scripts):
    identity = {"name": "token", "kind": "sas", "sas": "?" + azurite.account_sas()}
    serves(queue, {"identity": "token"}, daemon, scripts, identities=[identity])


def test_queue_sas_in_a_file(azurite, place, queue, daemon, scripts):
    path = secret_file(place, azurite.queue_sas(queue.name) + "\n")
    serves(queue, {"identity": None, "sas_file": path}, daemon, scripts)


def test_queue_sas_as_a_credential(azurite, place, queue, daemon, scripts):
    folder = place / "credentials"
    folder.mkdir()
    (folder / "events-sas").write_text(azurite.queue_sas(queue.name))
    config = {k: v for k, v in queue.config(sas_credential="events-sas").items() if k != "identity"}
    daemon({"queues": [config], "hooks": [exec_hook("report", "*", scripts.recording("report"))]},
           env={"CREDENTIALS_DIRECTORY": str(folder)})
    queue.post(messages.training())
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs()) == 1


def test_a_sas_that_a_policy_rules(azurite, queue, daemon, scripts):
    policy = AccessPolicy(permission=QueueSasPermissions(read=True, add=True, update=True, process=True),
                          start=datetime.datetime.utcnow() - datetime.timedelta(minutes=5),
                          expiry=datetime.datetime.utcnow() + datetime.timedelta(hours=1))
    queue.client.set_queue_access_policy({"hooks": policy})
    token = azurite.queue_sas(queue.name, policy="hooks")
    assert "se=" not in token
    serves(queue, {"identity": None, "sas": token}, daemon, scripts)


@pytest.mark.parametrize("where", ["connection_string", "connection_string_file"])
def test_connection_string(azurite, place, queue, daemon, scripts, where):
    text = azurite.connection_string()
    value = secret_file(place, text) if where.endswith("_file") else text
    serves(queue, {"url": None, "identity": None, "queue": queue.name, where: value}, daemon, scripts)


def test_connection_string_with_a_token_and_as_an_identity(azurite, queue, daemon, scripts):
    text = f"QueueEndpoint={azurite.url}/;SharedAccessSignature={azurite.account_sas()}"
    identity = {"name": "string", "kind": "connection_string", "connection_string": text}
    serves(queue, {"identity": "string"}, daemon, scripts, identities=[identity])


def test_a_token_near_its_end_is_warned_about(azurite, queue, daemon, scripts):
    # given a token with two minutes to live, when it serves, then a warning says when it ends
    token = azurite.account_sas(hours=1 / 30)
    running = serves(queue, {"identity": None, "sas": token}, daemon, scripts)
    assert running.logged("warning", "expir")


def test_a_refused_token_is_said_once_and_mended_by_a_new_file(azurite, place, queue, daemon, scripts):
    # given a token that ended an hour ago
    path = secret_file(place, azurite.account_sas(hours=-1))
    config = {k: v for k, v in queue.config(sas_file=path).items() if k != "identity"}
    running = daemon({"queues": [config], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    queue.post(messages.training())
    running.wait_logged("expir")
    stays_true(lambda: running.is_running() and not scripts.runs(), 2, "the daemon to wait")
    # when a good one takes its place and the daemon is told
    secret_file(place, azurite.account_sas())
    running.reload()
    # then it carries on
    wait_until(queue.is_empty, 15, "the queue to be empty")
    assert len(scripts.runs()) == 1
    assert "sig=" not in running.log()


def test_a_new_token_in_an_unchanged_file_counts_from_the_reload_on(azurite, place, queue, daemon, scripts):
    # given a daemon that is let in by a token in a file
    path = secret_file(place, azurite.account_sas())
    running = serves(queue, {"identity": None, "sas_file": path}, daemon, scripts)
    # when another takes its place, which has expired, and the daemon is told
    secret_file(place, azurite.account_sas(hours=-1))
    running.reload()
    # then it is that one that counts, although nothing else has changed
    running.wait_logged("can not be read", "expir", timeout=5)
    message = queue.post(messages.training())
    stays_true(lambda: not scripts.runs("report", message), 1.5, "the daemon to be kept out")
    # and the next good one does at once
    secret_file(place, azurite.account_sas())
    running.reload()
    wait_until(lambda: scripts.runs("report", message), 5, "the message to be served")
    wait_until(queue.is_empty, 5, "the queue to be empty")
    assert "sig=" not in running.log()


def test_several_queues_with_identities_of_their_own(azurite, new_queue, daemon, scripts):
    # given three queues, each with its own way in
    one, two, three = new_queue(), new_queue(), new_queue()
    without = lambda config, *keys: {k: v for k, v in config.items() if k not in keys}
    daemon({"queues": [one.config(), without(two.config(sas=azurite.queue_sas(two.name)), "identity"),
                       without(three.config(connection_string=azurite.connection_string(), queue=three.name), "identity", "url")],
            "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when each gets messages
    posted = [q.post(messages.training()) for q in (one, two, three) for _ in range(3)]
    # then all are served
    wait_until(lambda: all(q.is_empty() for q in (one, two, three)), 20, "the queues to be empty")
    assert sorted(r.message for r in scripts.runs()) == sorted(posted)


def test_one_refused_queue_does_not_hold_the_others(azurite, new_queue, daemon, scripts):
    # given two queues, one with a token that is for another queue
    good, bad = new_queue(), new_queue()
    refused = {k: v for k, v in bad.config(sas=azurite.queue_sas(good.name)).items() if k != "identity"}
    daemon({"queues": [refused, good.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when both get a message
    bad.post(messages.training())
    message = good.post(messages.training())
    # then the good one is served
    wait_until(good.is_empty, 15, "the good queue to be empty")
    assert [r.message for r in scripts.runs()] == [message]
    assert bad.count() == 1


def test_poison_without_the_right_to_create_its_queue(azurite, queue, daemon, scripts):
    # given a token for this queue, and one of its own for the poison queue, which exists
    poison = queue.poison()
    poison.client.create_queue()
    config = {k: v for k, v in queue.config(sas=azurite.queue_sas(queue.name), poison={
        "url": poison.url, "sas": azurite.queue_sas(poison.name, "a")}).items() if k != "identity"}
    daemon({"queues": [config], "hooks": [exec_hook("report", "*", scripts.recording("report"))]})
    # when a malformed message comes
    queue.post("{oops}")
    # then its record is stored there
    wait_until(queue.records, 15, "a poison record")
    wait_until(queue.is_empty, 10, "the queue to be empty")


def test_https_needs_an_authority_that_is_trusted(place, daemon, scripts):
    # given a storage service whose certificate is of an authority that nobody knows
    service = Azurite(certificates=Certificates(place / "certificates")).start()
    try:
        queue = Queue(service, "safe")
        config = {"queues": [queue.config()], "hooks": [exec_hook("report", "*", scripts.recording("report"))]}
        running = daemon(config)
        message = queue.post(messages.training(), encoding="base64")
        # then the log says whom, why, and what would help, and the daemon goes on trying
        running.wait_logged("127.0.0.1", "certificate", "http.ca_file")
        stays_true(lambda: running.is_running() and not scripts.runs(), 1.5, "the daemon to wait")
        # when it is told to trust that authority
        running.reload({**config, "http": {"ca_file": str(service.certificates.ca)}})
        # then the message is served
        wait_until(lambda: scripts.runs("report", message), 10, "the message to be served")
        wait_until(queue.is_empty, 10, "the queue to be empty")
        # and so is poison
        queue.post("{oops}")
        wait_until(queue.records, 10, "a poison record")
        running.finish()
    finally:
        service.stop()


def test_a_new_connection_resumes_the_tls_session(place, daemon):
    # given a service that closes each connection after its answer
    certificates = Certificates(place / "certificates")
    service = EmptyQueueOverTls(certificates)
    # when the daemon asks again and again
    daemon({"http": {"ca_file": str(certificates.ca)}, "hooks": [exec_hook("none", "*", "/bin/true")],
            "queues": [{"name": "q", "url": f"https://127.0.0.1:{service.port}/{ACCOUNT}/events",
                        "poll_min": "50ms", "poll_max": "100ms",
                        "connection_string": f"AccountName={ACCOUNT};AccountKey={KEY};"
                                             f"QueueEndpoint=https://127.0.0.1:{service.port}/{ACCOUNT}"}]})
    wait_until(lambda: len(service.resumed) >= 6, 10, "six connections")
    # then the first shakes hands in full, and those behind it need not
    assert not service.resumed[0]
    assert sum(service.resumed[1:]) >= len(service.resumed) - 2
    service.close()
