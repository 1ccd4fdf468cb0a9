# SPDX-License-Identifier: MIT
"""The two stories that each bad answer has to pass: it comes to the Gets, it comes to what follows them."""
import json
import re
import signal

from support import messages
from support.daemon import exec_hook
from support.fake_queue import SECRET
from support.wait import wait_until

# The first wait after a failure, by its cause (daemon/README, Back-off), in seconds.
FIRST = {"network": 0.5, "server": 1, "throttled": 1, "auth": 2, "missing": 2}
PASSING = ("network", "server", "throttled")  # said only when it lasts
SLACK = 10  # of a machine with other things to do
UNITS = {"ms": 0.001, "s": 1, "m": 60}
LEASE_S = 4  # a request on a message may take a quarter of it
SILENCE = "within 1s"  # where it is what fails, it is not to last long
QUICK_HTTP = {"timeout": "1s"}


def level(line):
    return json.loads(line)["level"]


def said(running, *texts):
    """The lines with these texts that a person sees: all but the debug ones."""
    return [line for line in running.logged(*texts) if level(line) != "debug"]


def waits(running):
    """How long the daemon meant to wait after each Get that failed, in seconds."""
    found = re.findall(r"queue can not be read: .*?; retrying in ([\d.]+)(ms|s|m)\b", running.log())
    return [float(number) * UNITS[unit] for number, unit in found]


def waits_undisturbed(running, signals):
    """Whether so many USR1 were heard, and a Get has failed after the last of them."""
    lines = running.logged_any("polling now", "queue can not be read")
    heard = [at for at, line in enumerate(lines) if "polling now" in line]
    return len(heard) == signals and heard[-1] < len(lines) - 1


def in_status(running, text):
    """Whether the service manager's newest status holds a text."""
    statuses = [pairs["STATUS"] for _, pairs in list(running.notify.messages) if "STATUS" in pairs]
    return bool(statuses) and text in statuses[-1]


def no_secret(running):
    assert SECRET not in running.log() and "sig=" not in running.log()


def gets_fail_and_recover(fake, scripts, daemon, answer, cause, needles, patient=True):
    """Every Get is answered so. Without patience, the last wait is cut short by an operator too."""
    # given a message in a queue whose every Get is answered so
    queue = fake.queue()
    message = queue.post(messages.training())
    fault = fake.answer("Get", answer)
    running = daemon({"http": QUICK_HTTP if SILENCE in needles else {}, "queues": [queue.config(lease="1s")],
                      "hooks": [exec_hook("report", "*", scripts.recording("report"))]}, wait=False)
    # when it goes on so for three times (an operator's USR1 shortens the waits)
    for times in range(1, 4):
        wait_until(lambda: len(waits(running)) >= times, 10, f"failure {times}")
        if times < 3:
            running.signal(signal.SIGUSR1)
    wait_until(lambda: waits_undisturbed(running, 2), 10, "a wait that USR1 does not shorten")
    # then the daemon waits as its cause wants after each; longer each time where USR1 came too late
    for number, wait in enumerate(waits(running)):
        assert FIRST[cause] / 2 <= wait <= FIRST[cause] * 2 ** number, f"{wait} s for {cause}"
    # and says once what is wrong and what mends it
    (line,) = said(running, "can not be read")
    for needle in needles:
        assert needle in line
    assert level(line) == ("warning" if cause in ("network", "throttled") else "err")
    # and when the answers are good again, it goes on by itself, and no sooner than its wait was over
    fault.lift()
    if not patient:
        running.signal(signal.SIGUSR1)
    wait_until(lambda: scripts.runs("report", message), 10, "the message to be served")
    wait_until(queue.is_empty, 5, "the queue to be empty")
    running.wait_logged("queue answers again")
    asked = fake.asked("Get")
    pause, meant = asked[fault.count] - asked[fault.count - 1], waits(running)[-1]
    assert not patient or meant - 0.05 <= pause <= meant + 1 + SLACK, f"asked again after {pause} s, not {meant} s"
    allowed = 3 + (fault.times[-1] - fault.times[0]) / (FIRST[cause] / 2)
    assert fault.count <= allowed, "it asked more often than its back-off allows"
    # and says that too; the message was done once
    assert len(said(running, "queue answers again")) == 1
    assert len(scripts.runs()) == 1
    assert running.is_running()
    no_secret(running)


def what_follows_fails_and_recovers(fake, scripts, daemon, answer, times=1, most_records=1, http=None):
    """The first Delete, renewal, hide and poison Put are answered so, each in a queue of its own. `http` suits
    answers that are silence; a record whose Put is given up may be there twice."""
    deleted, renewed, hidden, poisoned = (fake.queue(name) for name in ("deleted", "renewed", "hidden", "poisoned"))
    faults = [fake.answer("Delete", answer, times, deleted), fake.answer("Update", answer, times, renewed),
              fake.answer("Update", answer, times, hidden),
              fake.answer("Put", answer, times, fake.queue("poisoned-poison"))]
    # given four messages: one that is done, one whose hook needs longer than its lease is renewed in, one whose hook
    # fails at first, and one that is poison
    hold = scripts.place / "hold"
    hold.touch()
    posted = {"quick": deleted.post(messages.training()), "slow": renewed.post(messages.training()),
              "flaky": hidden.post(messages.training()), "told": poisoned.post("{oops}")}
    lease = f"{LEASE_S}s"
    running = daemon({"http": http or {}, "queues": [
        deleted.config(lease=lease), renewed.config(lease=lease), hidden.config(lease=lease, retry_delay=["1s"]),
        poisoned.config(lease="20s")], "hooks": [
        exec_hook("quick", "*", scripts.recording("quick"), queues=["deleted"]),
        exec_hook("slow", "*", scripts.recording("slow", f"while [ -e {hold} ]; do sleep 0.05; done"), queues=["renewed"]),
        exec_hook("flaky", "*", scripts.recording("flaky", "[ $run -ge 2 ] || exit 1"), queues=["hidden"]),
        exec_hook("told", "message.poisoned", scripts.recording("told"))]})
    # when what follows the Gets is answered so, and well after that
    wait_until(lambda: all(fault.count == times for fault in faults), 15, "the bad answers")
    wait_until(lambda: len(fake.asked("Update", renewed)) > times, 5, "a renewal after it")
    hold.unlink()
    # then every message is settled
    for queue in (deleted, renewed, hidden, poisoned):
        wait_until(queue.is_empty, 15, f"{queue.name} to be empty")
    running.wait_logged("outcome", "poisoned")
    wait_until(lambda: scripts.runs("told"), 5, "the poison to be told")
    # and each hook ran as often as it should
    assert [r.message for r in scripts.runs("quick")] == [posted["quick"]]
    assert [r.message for r in scripts.runs("slow")] == [posted["slow"]]
    assert [r.message for r in scripts.runs("flaky")] == [posted["flaky"]] * 2
    assert [r.message for r in scripts.runs("told")] == [posted["told"]]
    assert 1 <= len(poisoned.records()) <= most_records
    assert {record["message_id"] for record in poisoned.records()} == {posted["told"]}
    assert running.is_running()
    no_secret(running)
    return running
