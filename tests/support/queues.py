# SPDX-License-Identifier: MIT
"""A queue as its other users see it: the Azure SDK posts to it and looks into it."""
import base64
import json
from concurrent.futures import ThreadPoolExecutor

from azure.core.exceptions import ResourceNotFoundError

from support.azurite import ACCOUNT, KEY

# Polling quick enough for a test, slow enough for two cores.
QUICK = {"poll_min": "100ms", "poll_max": "1s"}


class Queue:
    def __init__(self, azurite, name, create=True):
        self.azurite = azurite
        self.name = name
        self.url = f"{azurite.url}/{name}"
        self.client = azurite.service().get_queue_client(name)
        if create:
            self.client.create_queue()

    def config(self, **settings):
        """The daemon's settings for this queue, by shared key unless told otherwise."""
        return {"name": self.name, "url": self.url, "identity": "azurite", **QUICK, **settings}

    def post(self, message, encoding="plain", **options):
        """Posts one message, a document or a text as it is; returns its id."""
        text = message if isinstance(message, str) else json.dumps(message)
        if encoding == "base64":
            text = base64.b64encode(text.encode()).decode()
        return self.client.send_message(text, **options).id

    def post_all(self, texts, workers=4):
        """Posts many texts; returns their ids in the same order."""
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self.post, texts))

    def count(self):
        """All messages, hidden ones too; 0 when there is no such queue."""
        try:
            return self.client.get_queue_properties().approximate_message_count
        except ResourceNotFoundError:
            return 0

    def is_empty(self):
        return self.count() == 0

    def visible(self):
        """Messages that somebody else could receive now (the first 32)."""
        return self.client.peek_messages(max_messages=32)

    def poison(self):
        return Queue(self.azurite, self.name + "-poison", create=False)

    def records(self):
        """The documents in this queue's poison queue (the first 32)."""
        poison = self.poison()
        return [json.loads(m.content) for m in poison.visible()] if poison.count() else []

    def all_records(self):
        """Every document of the poison queue, taken out."""
        taken = self.poison().client.receive_messages(messages_per_page=32, visibility_timeout=600)
        return [json.loads(m.content) for m in taken]


IDENTITY = {"name": "azurite", "kind": "shared_key", "account": ACCOUNT, "key": KEY}
