#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The plain consumer that Azure's SDK for Python makes easy: takes 32 at a time and deletes each.

usage: sdk_drain.py URL-OF-QUEUE SAS
"""
import sys

from azure.storage.queue import QueueClient

with QueueClient.from_queue_url(f"{sys.argv[1]}?{sys.argv[2]}") as queue:
    for message in queue.receive_messages(messages_per_page=32, visibility_timeout=600):
        queue.delete_message(message)
