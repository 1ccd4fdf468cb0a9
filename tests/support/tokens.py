# SPDX-License-Identifier: MIT
"""Daemons that work with tokens: every way to come by one, and the check that none of it is told to anybody."""
import collections
import json
import pathlib
import urllib.parse

from support import process
from support.entra import Cluster, Entra
from support.managed import Arc, AppService, AzureMl, CloudShell, Imds, OldAppService

PART = 20  # so many characters of a secret are too many

# An identity as the daemon is told of it, and what it needs beside that. tick: called now and then, as time goes by.
Way = collections.namedtuple("Way", "issuer identity env before tick", defaults=({}, (), lambda: None))


def _told(kind, **how):
    """A source of managed identities that the settings name."""
    def make(world):
        issuer = world.issuer(kind, **how)
        return Way(issuer, issuer.config(endpoint=issuer.endpoint), issuer.needed(),
                   getattr(issuer, "before", ()))
    return make


def _found(kind, **how):
    """One that the environment tells of."""
    def make(world):
        issuer = world.issuer(kind, **how)
        settings = issuer.config()
        del settings["source"]
        return Way(issuer, settings, issuer.environment(), getattr(issuer, "before", ()))
    return make


def secret_file(place, name, text):
    """A file that only its owner reads, put in its place whole."""
    path, new = place / name, place / (name + ".new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.rename(path)
    return str(path)


def principal(entra, application, **settings):
    return {"name": "machine", "kind": "service_principal", "tenant_id": entra.tenant,
            "client_id": application.client_id, "authority": entra.origin, **settings}


def _secret(version):
    def make(world):
        entra = world.entra()
        application = entra.application()
        path = secret_file(world.place, "client-secret", application.secret() + "\n")
        return Way(entra, principal(entra, application, client_secret_file=path, endpoint_version=version))
    return make


def _certificate(version, chain):
    def make(world):
        entra = world.entra()
        application = entra.application()
        key = application.certificate()
        world.keep_to_yourself(*(line for line in key.key_pem().splitlines() if "PRIVATE KEY" not in line))
        path = secret_file(world.place, "certificate.pem", key.pem())
        return Way(entra, principal(entra, application, certificate_file=path, endpoint_version=version,
                                    send_certificate_chain=chain))
    return make


def _workload(by_variables):
    def make(world):
        entra, cluster = world.entra(), Cluster()
        application = entra.application()
        application.federations.append(cluster.federation())

        def rotate():
            """As a kubelet does. What was there before is not good for long."""
            token = cluster.token(life_s=60)
            entra.shown.append(token)
            path = world.place / "azure-identity-token"
            path.with_suffix(".new").write_text(token)
            path.with_suffix(".new").rename(path)
            return str(path)
        settings = {"tenant_id": entra.tenant, "client_id": application.client_id, "token_file": rotate(),
                    "authority": entra.origin}
        env = {}
        if by_variables:
            env = {"AZURE_TENANT_ID": settings["tenant_id"], "AZURE_CLIENT_ID": settings["client_id"],
                   "AZURE_FEDERATED_TOKEN_FILE": settings["token_file"], "AZURE_AUTHORITY_HOST": entra.origin + "/"}
            settings = {}
        return Way(entra, {"name": "machine", "kind": "workload_identity", **settings}, env, (), rotate)
    return make


WAYS = {
    "IMDS": _told(Imds),
    "IMDS by its variable": _found(Imds),
    "App Service": _found(AppService),
    "App Service of before": _found(OldAppService),
    "Azure ML": _found(AzureMl),
    "Cloud Shell": _found(CloudShell),
    "Azure Arc": _found(Arc),
    "workload": _workload(False),
    "workload by its variables": _workload(True),
    "secret v2": _secret("v2"),
    "secret v1": _secret("v1"),
    "certificate v2": _certificate("v2", True),
    "certificate v1": _certificate("v1", False),
}


class World:
    """A place, issuers, and daemons that trust the tests' authority."""

    def __init__(self, place, certificates, daemon):
        self.place, self.certificates, self._daemon = place, certificates, daemon
        self._issuers, self._daemons, self._secrets = [], [], []

    def issuer(self, kind, *args, **how):
        self._issuers.append(kind(*args, **how))
        return self._issuers[-1]

    def entra(self):
        return self.issuer(Entra, self.certificates)

    def keep_to_yourself(self, *secrets):
        """These too must be told nowhere."""
        self._secrets += secrets

    def start(self, way, queues, hooks, wait=True, **more):
        """A daemon with this identity."""
        http = {"ca_file": str(self.certificates.ca), **more.pop("http", {})}
        env, before = {**way.env, **more.pop("env", {})}, more.pop("before", way.before)
        self._daemons.append(self._daemon(self.config(way, queues, hooks, http=http, **more), wait, env=env, before=before))
        return self._daemons[-1]

    def config(self, way, queues, hooks, **more):
        http = {"ca_file": str(self.certificates.ca)}
        return {"http": http, "identities": [way.identity], "queues": queues, "hooks": hooks, **more}

    def lines(self):
        """A hook that writes a line for each message."""
        return {"name": "lines", "on": ["*"], "file": {"path": str(self.place / "lines")}}

    def done(self):
        """The ids of the messages that have their line, in that order."""
        path = self.place / "lines"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line)["id"] for line in text[:text.rfind("\n") + 1].splitlines()]

    # --- the end ---

    def told(self):
        """{where: text} of all that others may read: logs, status, arguments, what is kept on disk."""
        found = {}
        for running in self._daemons:
            found["log"] = found.get("log", "") + running.log()
            if running.notify:
                running.notify.settle()
                found["status"] = found.get("status", "") + str(running.notify.messages)
            if running.process and running.is_running():
                pids = [running.pid, *process.children(running.pid)]
                found["arguments"] = "".join(_read(f"/proc/{pid}/cmdline") for pid in pids)
            for path in (running.place / "state").rglob("*"):
                if path.is_file():
                    found[str(path)] = _read(path)
        return found

    def check_told_nothing(self, texts):
        """Of {where: text}: no secret, nor any PART characters of one; of a token, of what is behind its header."""
        secrets = [*self._secrets, *(secret for issuer in self._issuers for secret in issuer.secrets())]
        secrets = [secret.partition(".")[2] if secret.count(".") == 2 else secret for secret in secrets]
        secrets += [urllib.parse.quote(secret, safe="") for secret in secrets]
        parts = {secret[at:at + PART] for secret in secrets for at in range(max(len(secret) - PART, 0) + 1)}
        for where, text in texts.items():
            assert [text[at:at + PART] for at in range(len(text)) if text[at:at + PART] in parts] == [], f"a secret in {where}"
            assert [part for part in parts if 0 < len(part) < PART and part in text] == [], f"a secret in {where}"

    def close(self):
        try:
            self.check_told_nothing(self.told())
            assert [issuer.violations for issuer in self._issuers if issuer.violations] == []
        finally:
            for issuer in self._issuers:
                issuer.close()


def _read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""
