# SPDX-License-Identifier: MIT
"""The demo's other side of the queue, by the Azure SDK for Python.

usage: post.py prepare PORT QUEUE SAS_FILE | post PORT QUEUE | count PORT QUEUE
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from support import messages  # noqa: E402
from support.azurite import ACCOUNT, Azurite  # noqa: E402
from support.queues import Queue  # noqa: E402

command, port, name, *rest = sys.argv[1:]
service = Azurite()
service.url = f"http://127.0.0.1:{port}/{ACCOUNT}"
queue = Queue(service, name, create=command == "prepare")

if command == "prepare":
    with os.fdopen(os.open(rest[0], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(service.account_sas())
elif command == "post":
    for encoding in ("plain", "base64"):
        for event, document in messages.seeds():
            print(f"  {event:19} {encoding:7} {queue.post(document, encoding)}")
elif command == "count":
    print(queue.count())
