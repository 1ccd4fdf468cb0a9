# SPDX-License-Identifier: MIT
"""Azurite, the storage service that the tests run against, on free ports of 127.0.0.1."""
import datetime
import http.client
import pathlib
import ssl
import subprocess

from azure.storage.queue import (AccountSasPermissions, QueueSasPermissions, QueueServiceClient,
                                 ResourceTypes, generate_account_sas, generate_queue_sas)

from support import process
from support.wait import wait_until

PROGRAM = pathlib.Path(__file__).parent.parent / "node_modules/.bin/azurite"
ACCOUNT = "devstoreaccount1"
# Published by the vendor for every emulator: no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Azurite:
    """One emulator. With a location it keeps its data on disk and can be stopped and started again.
    With certificates it speaks HTTPS, and with oauth too it takes tokens beside its key."""

    def __init__(self, location=None, log=None, certificates=None, oauth=False):
        self.location = location
        self.log = log
        self.certificates = certificates
        self.oauth = ["--oauth", "basic"] if oauth else []
        self.blob_port, self.queue_port, self.table_port = process.free_ports(3)
        self.scheme = "https" if certificates else "http"
        self.url = f"{self.scheme}://127.0.0.1:{self.queue_port}/{ACCOUNT}"
        self.process = None

    def start(self):
        data = ["--location", self.location] if self.location else ["--inMemoryPersistence"]
        tls = ["--cert", self.certificates.cert, "--key", self.certificates.key] if self.certificates else []
        out = open(self.log, "ab") if self.log else subprocess.DEVNULL
        self.process = process.start(
            [PROGRAM, "--silent", *data, *tls, *self.oauth, "--disableTelemetry",
             "--blobPort", self.blob_port, "--queuePort", self.queue_port, "--tablePort", self.table_port],
            stdout=out, stderr=subprocess.STDOUT)
        if self.log:
            out.close()
        wait_until(self.answers, 30, "Azurite to answer")
        return self

    def answers(self):
        assert self.process.poll() is None, f"Azurite ended by itself, status {self.process.returncode}"
        connection = self._connection()
        try:
            connection.request("GET", f"/{ACCOUNT}?comp=list")
            return connection.getresponse().status in (400, 401, 403)
        except OSError:
            return False
        finally:
            connection.close()

    def _connection(self):
        if self.certificates:
            context = ssl.create_default_context(cafile=self.certificates.ca)
            return http.client.HTTPSConnection("127.0.0.1", self.queue_port, timeout=5, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.queue_port, timeout=5)

    def stop(self):
        if self.process:
            process.end(self.process)
            self.process = None

    def service(self):
        """The SDK's client for the whole queue service."""
        trust = {"connection_verify": str(self.certificates.ca)} if self.certificates else {}
        return QueueServiceClient(self.url, credential=KEY, **trust)

    def connection_string(self):
        return f"DefaultEndpointsProtocol={self.scheme};AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={self.url};"

    def account_sas(self, permissions="rwdlacup", hours=1, account_key=KEY):
        return generate_account_sas(ACCOUNT, account_key, ResourceTypes.from_string("sco"),
                                    AccountSasPermissions.from_string(permissions), _from_now(hours))

    def queue_sas(self, queue, permissions="raup", hours=1, policy=None):
        if policy:
            return generate_queue_sas(ACCOUNT, queue, KEY, policy_id=policy)
        return generate_queue_sas(ACCOUNT, queue, KEY, permission=QueueSasPermissions.from_string(permissions),
                                  expiry=_from_now(hours))


def _from_now(hours):
    return datetime.datetime.utcnow() + datetime.timedelta(hours=hours)
