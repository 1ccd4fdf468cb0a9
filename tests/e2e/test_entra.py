# SPDX-License-Identifier: MIT
"""Applications of Microsoft Entra on a bad day: secrets, certificates and tokens that are not accepted; what is said; how
a new file mends it."""
import json
import uuid

import pytest

from support import faults, jwt, messages
from support.entra import EXCHANGE, Cluster
from support.issuer import refusal
from support.tokens import Way, principal, secret_file
from support.wait import wait_until


def said(running):
    """What was said of the queue at a level that people see."""
    lines = [json.loads(line) for line in running.logged("queue can not be read")]
    return [line["message"] for line in lines if line["level"] != "debug"]


def start(world, queue, issuer, identity, **more):
    return world.start(Way(issuer, identity), [queue.config(identity="machine")], [world.lines()], **more)


def check_said(running, *words):
    """One line, with all these words."""
    running.wait_logged("queue can not be read", '"err"')
    (line,) = said(running)
    assert [word for word in ("Microsoft Entra", *words) if word not in line] == [], line


def works(world, queue, running):
    """A message is done."""
    message = queue.post(messages.training())
    wait_until(lambda: message in world.done(), 40, "the message's line")
    wait_until(queue.is_empty, 10, "the queue to be empty")
    running.wait_logged("queue answers again")


# --- secrets ---

@pytest.mark.parametrize("wrong, number", [("wrong", 7000215), ("old", 7000222)])
def test_a_secret_that_is_not_accepted_is_mended_by_its_file(world, safe_queue, wrong, number):
    # given a secret in a file that Entra does not take, or not any more
    entra = world.entra()
    application = entra.application()
    application.secret("an old secret of before", days=-1)
    text = "an old secret of before" if wrong == "old" else "a wrong secret, mistyped"
    world.keep_to_yourself(text)
    path = secret_file(world.place, "secret", text)
    running = start(world, safe_queue, entra, principal(entra, application, client_secret_file=path))
    # then one line says so, and where the secret is
    check_said(running, "401", f"AADSTS{number}", "client_secret", path)
    # and when a good one is written there, the daemon goes on by itself
    secret_file(world.place, "secret", application.secret())
    works(world, safe_queue, running)
    assert len(said(running)) == 1


def test_a_secret_that_is_rotated_costs_nothing(world, safe_queue):
    # given a daemon that has a token
    entra = world.entra()
    application = entra.application()
    path = secret_file(world.place, "secret", application.secret("the first secret of two"))
    running = start(world, safe_queue, entra, principal(entra, application, client_secret_file=path))
    wait_until(lambda: entra.tokens, 10, "the first token")
    # when the secret is rotated, and the daemon told
    application.secrets.clear()
    secret_file(world.place, "secret", application.secret("the second secret of two"))
    running.reload()
    # then it shows the new one
    wait_until(lambda: len(entra.tokens) == 2, 15, "the second token")
    message = safe_queue.post(messages.training())
    wait_until(lambda: message in world.done(), 15, "the message's line")
    assert said(running) == [] and not entra.refusals


def test_a_secret_as_a_credential(world, safe_queue):
    # given a secret that the service manager hands over
    entra = world.entra()
    application = entra.application()
    folder = world.place / "credentials"
    folder.mkdir()
    (folder / "app-secret").write_text(application.secret())
    start(world, safe_queue, entra, principal(entra, application, client_secret_credential="app-secret"),
          env={"CREDENTIALS_DIRECTORY": str(folder)})
    # when a message comes, then it is done
    message = safe_queue.post(messages.training())
    wait_until(lambda: message in world.done(), 15, "the message's line")


# --- who and where ---

@pytest.mark.parametrize("key, number", [("tenant_id", 90002), ("client_id", 700016)])
def test_a_wrong_tenant_or_application(world, safe_queue, key, number):
    # given an id that is not known
    entra = world.entra()
    application = entra.application()
    path = secret_file(world.place, "secret", application.secret())
    wrong = str(uuid.uuid4())
    identity = {**principal(entra, application, client_secret_file=path), key: wrong}
    running = start(world, safe_queue, entra, identity)
    # then one line names it
    check_said(running, "400", f"AADSTS{number}", key, wrong)


def test_entra_that_fails_is_said_once_and_outlived(world, safe_queue):
    # given an Entra that fails twice
    entra = world.entra()
    application = entra.application()
    entra.fails(refusal(503, "temporarily_unavailable"), times=2)
    path = secret_file(world.place, "secret", application.secret())
    message = safe_queue.post(messages.training())
    # when a daemon starts, then it goes on as soon as it can
    running = start(world, safe_queue, entra, principal(entra, application, client_secret_file=path))
    wait_until(lambda: message in world.done(), 15, "the message's line")
    (line,) = said(running)
    assert "Microsoft Entra: 503 temporarily_unavailable" in line


def test_entra_behind_an_unknown_authority(world, safe_queue, place):
    # given an authority that the daemon does not trust, as when something on the way opens TLS
    entra = world.entra()
    application = entra.application()
    path = secret_file(world.place, "secret", application.secret())
    running = world.start(Way(entra, principal(entra, application, client_secret_file=path)),
                          [safe_queue.config(identity="machine")], [world.lines()], http={"ca_file": "/etc/hostname"})
    # then it says so, and shows nothing
    running.wait_logged("queue can not be read", "Microsoft Entra", "http.ca_file")
    assert not entra.requests and place.exists()


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_gets_no_secret(world, safe_queue, elsewhere, status):
    # given an Entra that sends us elsewhere
    entra = world.entra()
    application = entra.application()
    fault = entra.fails(faults.reply(status, Location=f"{elsewhere.url}/{entra.tenant}/oauth2/v2.0/token"))
    path = secret_file(world.place, "secret", application.secret())
    # when a daemon wants a token
    running = start(world, safe_queue, entra, principal(entra, application, client_secret_file=path))
    check_said(running, str(status), "redirect")
    wait_until(lambda: fault.count >= 2, 15, "another try")
    # then nobody is asked there
    assert elsewhere.connections == 0


# --- certificates ---

def test_a_certificate_that_is_not_the_applications(world, safe_queue):
    # given a certificate that nobody has registered
    entra = world.entra()
    application, key = entra.application(), jwt.Key()
    path = secret_file(world.place, "certificate.pem", key.pem())
    running = start(world, safe_queue, entra, principal(entra, application, certificate_file=path))
    # then one line says so; the certificate is told by what the portal shows
    check_said(running, "401", "AADSTS700027", "certificate")
    # and when it is registered, the daemon goes on by itself
    application.certificate(key)
    works(world, safe_queue, running)


def test_a_certificate_is_rotated_in_its_file(world, safe_queue):
    # given a certificate that was taken away from the application
    entra = world.entra()
    application, key = entra.application(), jwt.Key()
    path = secret_file(world.place, "certificate.pem", key.pem())
    running = start(world, safe_queue, entra, principal(entra, application, certificate_file=path))
    check_said(running, "AADSTS700027")
    # when the file gets the one that is registered
    secret_file(world.place, "certificate.pem", application.certificate().pem())
    # then the daemon goes on by itself
    works(world, safe_queue, running)


def test_a_certificate_that_nears_its_end_is_looked_for_again(world, safe_queue):
    # given a certificate with an hour and some seconds to live, and tokens that want replacement all the time
    entra = world.entra()
    application = entra.application()
    entra.life_s, entra.longer_s = 1, 2
    old = application.certificate(jwt.Key(days=(-1, 3612 / 86400)))
    path = secret_file(world.place, "certificate.pem", old.pem())
    running = start(world, safe_queue, entra, principal(entra, application, certificate_file=path))
    # then the log warns of it
    running.wait_logged("the certificate expires in", '"warning"')
    # and when another one is in its place before the next warning, then the daemon finds it without being told
    new = application.certificate()
    secret_file(world.place, "certificate.pem", new.pem())
    wait_until(lambda: jwt.is_signed_by(entra.shown[-1], new.public), 30, "the new certificate's use")
    assert len(running.logged("the certificate expires")) == 1 and not entra.refusals


def test_a_wrong_clock_is_named(world, safe_queue):
    # given an Entra whose clock is an hour ahead of ours, for which an assertion has expired
    entra = world.entra()
    application = entra.application()
    entra.ahead_s = 3600
    path = secret_file(world.place, "certificate.pem", application.certificate().pem())
    running = start(world, safe_queue, entra, principal(entra, application, certificate_file=path))
    # then one line says that the clocks differ, and by how much
    check_said(running, "AADSTS700024", "clock", "behind")
    # and when the clock is right, it goes on by itself
    entra.ahead_s = 0
    works(world, safe_queue, running)


# --- workload identity ---

def workload(entra, application, path):
    return {"name": "machine", "kind": "workload_identity", "tenant_id": entra.tenant, "client_id": application.client_id,
            "token_file": str(path), "authority": entra.origin}


MISMATCHES = {
    "issuer": ({"issuer": "https://other.example.com/"}, 700211, "issuer"),
    "subject": ({"subject": "system:serviceaccount:other:name"}, 700213, "subject"),
    "audience": ({"audience": "api://other"}, 700212, "audience"),
}


@pytest.mark.parametrize("mismatch", MISMATCHES)
def test_a_federated_credential_that_does_not_match(world, safe_queue, mismatch):
    # given an application that trusts somebody else
    other, number, word = MISMATCHES[mismatch]
    entra, cluster = world.entra(), Cluster()
    application = entra.application()
    application.federations.append(cluster.federation(**other))
    path = world.place / "token"
    path.write_text(cluster.token())
    running = start(world, safe_queue, entra, workload(entra, application, path))
    # then one line says what does not match, and what the token has
    check_said(running, "401", f"AADSTS{number}", word, cluster.subject, cluster.issuer, EXCHANGE, application.client_id,
               entra.tenant)
    # and when it trusts us, the daemon goes on by itself
    application.federations.append(cluster.federation())
    works(world, safe_queue, running)


BAD_FILES = {"missing": (None, ("can not be", "No such file")), "empty": ("", ("token",)), "no token": ("hello", ("no token",))}


@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_token_file_that_is_none(world, safe_queue, bad):
    # given a file without a token
    text, words = BAD_FILES[bad]
    entra, cluster = world.entra(), Cluster()
    application = entra.application()
    application.federations.append(cluster.federation())
    path = world.place / "token"
    if text is not None:
        path.write_text(text)
    running = start(world, safe_queue, entra, workload(entra, application, path))
    # then one line says which file, and nobody is asked
    running.wait_logged("queue can not be read", '"err"')
    (line,) = said(running)
    assert [word for word in (str(path), *words) if word not in line] == [], line
    assert not entra.requests
    # and when it has one, the daemon goes on by itself; everybody may read it
    path.write_text(cluster.token())
    path.chmod(0o644)
    works(world, safe_queue, running)


def test_an_expired_token_of_a_workload(world, safe_queue):
    # given a file that nobody rotates
    entra, cluster = world.entra(), Cluster()
    application = entra.application()
    application.federations.append(cluster.federation())
    path = world.place / "token"
    path.write_text(cluster.token(life_s=-30))
    running = start(world, safe_queue, entra, workload(entra, application, path))
    # then one line says that it is the token of the file that has expired
    check_said(running, "AADSTS700024", str(path), "expired")
    path.write_text(cluster.token())
    works(world, safe_queue, running)


def test_the_file_is_read_again_for_each_token(world, safe_queue):
    # given a daemon with a token that was got for one in the file, and is not good for long
    entra, cluster = world.entra(), Cluster()
    application = entra.application()
    application.federations.append(cluster.federation())
    entra.life_s, entra.longer_s = 2, 2
    path = world.place / "token"
    path.write_text(cluster.token())
    start(world, safe_queue, entra, workload(entra, application, path))
    wait_until(lambda: entra.tokens, 10, "the first token")
    # when the platform writes another
    another = cluster.token()
    path.write_text(another)
    # then that is shown for the next
    known = len(entra.tokens)
    wait_until(lambda: len(entra.tokens) > known + 1, 15, "the next tokens")
    assert entra.shown[-1] == another and not entra.refusals
