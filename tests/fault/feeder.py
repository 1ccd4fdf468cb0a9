# SPDX-License-Identifier: MIT
"""Posts messages as Custom Vision would, by the Azure SDK for Python."""
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

from support import messages


def draw_id(dice):
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def draw(dice, odds=None):
    """A message; odds is {training status: weight}."""
    odds = odds or {"TrainingCompleted": 1}
    (status,) = dice.choices(list(odds), odds.values())
    return messages.training(status, project=draw_id(dice), iteration=draw_id(dice))


class Posted(dict):
    """{message id: document}; post() adds to it."""

    def __init__(self, queue, dice, odds=None):
        super().__init__()
        self.queue, self.dice, self.odds = queue, dice, odds

    def post(self, count, workers=4):
        documents = [draw(self.dice, self.odds) for _ in range(count)]
        with ThreadPoolExecutor(workers) as pool:
            self.update(zip(pool.map(self.queue.post, documents), documents))
        return self

    def ids(self, status=None):
        return {key for key, document in list(self.items())
                if status is None or document["Content"]["trainingStatus"] == status}


class Feeder:
    """Keeps messages waiting, for as long as it is wanted."""

    def __init__(self, posted, done, backlog):
        self.posted, self._done, self._backlog = posted, done, backlog
        self._stop, self._failure = threading.Event(), None
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self):
        self.posted.post(self._backlog)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()
        if self._failure and not any(error):
            raise self._failure

    def _feed(self):
        try:
            while not self._stop.wait(0.05):
                missing = self._backlog - (len(self.posted) - self._done())
                if missing > 0:
                    self.posted.post(min(missing, 20), workers=2)
        except Exception as failure:  # pylint: disable=broad-except  # told at the end
            self._failure = failure
