# SPDX-License-Identifier: MIT
"""The strict queue service of tests/support in bad weather: any request may meet any fault, the right to update comes
and goes, and it notes what became of each message."""
import collections
import time

from support import faults
from support.exchange import Refused
from support.fake_queue import FakeService

Gone = collections.namedtuple("Gone", "how wall")  # how: deleted | expired


def late(answer):
    """What else is going on has half a second for it."""
    def play(exchange):
        if not exchange.wait_for_client(0.5):
            answer(exchange)
    return play


def right(exchange):
    exchange.send(exchange.perform())


OUTAGE = faults.error(500, "InternalError")
BUSY = faults.error(503, "ServerBusy")
DENIED = faults.error(403, "AuthorizationPermissionMismatch")
ANY = [OUTAGE, BUSY, faults.reset, faults.hang_up, faults.silence, late(right), faults.garbage, faults.only_headers(),
       faults.half_a_header, faults.html(502), faults.after_the_work(OUTAGE), faults.after_the_work(faults.reset),
       faults.after_the_work(faults.hang_up), faults.after_the_work(faults.silence)]
MORE = {"Get": [faults.cut_list, faults.unended_chunks()], "Put": [DENIED, DENIED], "Update": [], "Delete": []}
OPERATIONS = tuple(MORE)


class Weather(FakeService):
    """Calm until somebody blows."""

    def __init__(self, dice):
        super().__init__()
        self._dice = dice
        self.odds = dict.fromkeys(OPERATIONS, 0.0)
        self.may_update, self.last_get = True, 0
        self.gone, self.met = {}, collections.Counter()
        self.tale = []  # (wall, message id, what was asked)

    def blow(self):
        """New odds for each operation."""
        for operation in OPERATIONS:
            self.odds[operation] = self._dice.choice([0, 0, 0.1, 0.3, 0.6])
        if self._dice.random() < 0.1:
            self.odds = dict.fromkeys(OPERATIONS, 1.0)

    def calm(self):
        self.odds = dict.fromkeys(OPERATIONS, 0.0)
        self.may_update = True

    def free(self, longest_s=1.0):
        """For a daemon that is dead: its leases end soon, so that nobody has to wait for them."""
        with self.lock:
            for messages in self.queues.values():
                for message in messages:
                    message.visible_at = min(message.visible_at, time.time() + self._dice.uniform(0, longest_s))

    # --- what the exchange asks ---

    def fault_for(self, request):
        fault = super().fault_for(request)
        if request.operation == "Get":
            self.last_get = request.at
        if fault is not None or request.operation not in MORE:
            return fault
        with self.lock:
            if request.operation == "Update" and not self.may_update:
                fault = self._dice.choice([DENIED, late(DENIED)])
            elif self._dice.random() < self.odds[request.operation]:
                fault = self._dice.choice(ANY + MORE[request.operation])
            self.met[request.operation] += fault is not None
            self._tell(request, "meets a fault" if fault else "asked")
        return fault

    def _tell(self, request, what):
        if request.operation in ("Update", "Delete"):
            self.tale.append((time.time(), request.path.rpartition("/")[2], f"{request.operation} {what}"))

    # --- the operations ---

    def _get(self, request, messages):
        reply = super()._get(request, messages)
        self.tale += [(time.time(), m.id, f"Get takes it for {m.visible_at - time.time():.0f} s, "
                                          f"count {m.dequeue_count}") for m in reply.receipts]
        return reply

    def messages_of(self, request):
        before = list(self.queues.get(request.queue, ()))
        after = super().messages_of(request)
        for message in before if after is not None and len(after) < len(before) else ():
            if message not in after:
                self.gone[message.id] = Gone("expired", time.time())
        return after

    def _ours(self, request, messages):
        """The service may say of a void receipt what it says of a message that is gone."""
        try:
            return super()._ours(request, messages)
        except Refused as refused:
            self._tell(request, f"is refused: {refused.code}, {refused.why or 'as may be'}")
            if refused.status == 400 and self._dice.random() < 0.5:
                raise Refused(404, "MessageNotFound", refused.why) from refused
            raise

    def _delete(self, request, messages):
        before = list(messages)
        reply = super()._delete(request, messages)
        (message,) = (m for m in before if m not in messages)
        self.gone[message.id] = Gone("deleted", time.time())
        self.tale.append((time.time(), message.id, "deleted"))
        return reply
