# SPDX-License-Identifier: MIT
"""What must hold of a storm, told from the hooks' journal, the lines, the poison and each life's log and ledger."""
import collections
import datetime
import json
import re
import time

from journal import lines_of

Wrong = collections.namedtuple("Wrong", "message text")
Run = collections.namedtuple("Run", "begin end")  # marks; end is None for one that was cut

RESULT = re.compile(r"hook (done in|said later after|\w+ after) ")
OUTCOMES = {None: "interrupted", 0: "done", 1: "failed", 75: "later", 65: "rejected"}
# What the ledger may say after such an end. What was about to begin once more, and did not, is interrupted.
STATES = {"done": ("done",), "failed": ("failed", "rejected", "interrupted"), "later": ("later", "interrupted"),
          "rejected": ("rejected",), "interrupted": ("interrupted", "rejected")}
MAX_INTERRUPTIONS = 20


class Life:
    """One daemon's, from its start to its end. base: the ledger as it was before."""

    def __init__(self, first_mark, log_path, base):
        self.born, self.base, self.known, self.how, self.full = time.time(), base, {}, None, False
        self.first, self.last, self.died = first_mark, None, None
        self.orphans, self.foreign = set(), set()  # pids: those it left, those that were left to it
        self._log, self._from, self._to = log_path, log_path.stat().st_size if log_path.exists() else 0, None

    def end(self, how, last_mark, known, orphans=(), full=False):
        self.how, self.last, self.known, self.orphans, self.full = how, last_mark, known, set(orphans), full
        self.died = time.time()
        self._to = self._log.stat().st_size

    @property
    def was_cut(self):
        return self.how != "stopped"

    def lines(self):
        """Its log as documents; what is none (a sanitizer's report, a line that a kill cut) is left out."""
        with open(self._log, "rb") as log:
            log.seek(self._from)
            for line in log.read(self._to - self._from if self._to else -1).splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    pass

    def results(self):
        """{step: the outcomes that the daemon told, in turn}."""
        found = collections.defaultdict(list)
        for line in self.lines():
            if "outcome" in line and "hook" in line and RESULT.match(line["message"]):
                found[line["message_id"], line["hook"]].append(line["outcome"])
        return found


def runs_by_step(marks):
    """{step: its runs, in turn}; an end whose begin is not among the marks is left out."""
    found, open_ = collections.defaultdict(list), {}
    for mark in marks:
        step = mark.message, mark.hook
        if mark.what == "begin":
            open_[mark.pid, step] = len(found[step])
            found[step].append(Run(mark, None))
        elif mark.what == "end" and (mark.pid, step) in open_:
            at = open_.pop((mark.pid, step))
            found[step][at] = Run(found[step][at].begin, mark)
    return found


def _wrongs_of_step(life, step, runs, told):
    """What is wrong with a step's runs in one life, given the outcomes that the daemon told."""
    known = life.base.get(step)
    attempts = known.attempts if known else 0
    if known and known.state in ("done", "rejected"):
        yield f"{step[1]} was run although the ledger had it as {known.state}"
    for number, run in enumerate(runs):
        is_last = number == len(runs) - 1
        outcome = told[number] if number < len(told) else None
        if int(run.begin.attempt) != attempts + 1:
            yield f"{step[1]} began as attempt {run.begin.attempt}, with {attempts} spent"
        if outcome is None and not (is_last and life.was_cut):
            yield f"{step[1]}: nothing was told of a run's end"
        if outcome not in (None, "interrupted", OUTCOMES[run.end.status if run.end else None]):
            yield f"{step[1]} ended as {run.end}, and the daemon took it as {outcome}"
        if outcome in ("done", "rejected") and not is_last:
            yield f"{step[1]} was run again after it was {outcome}"
        attempts += outcome == "failed"
    now = life.known.get(step)
    if now is None:
        yield f"{step[1]} was run and is not on record"
    elif not life.was_cut and not life.full and told and now.state not in STATES[told[-1]]:
        yield f"{step[1]} was {told[-1]}, and the ledger has it as {now.state}"
    elif not life.was_cut and not life.full and now.attempts != attempts:
        yield f"{step[1]} has spent {attempts} attempts, and the ledger has {now.attempts}"


def wrongs_of_life(life, marks):
    own = [m for m in marks[life.first:life.last] if m.pid not in life.foreign]
    own += [m for m in marks[life.last:] if m.pid in life.orphans and m.what == "begin"]
    runs, told = runs_by_step(own), life.results()
    for step, its_runs in runs.items():
        if step[1] != "told":
            for text in _wrongs_of_step(life, step, its_runs, told.get(step, [])):
                yield Wrong(step[0], f"{text} ({life.how})")
    for step, outcomes in told.items():
        known = life.base.get(step)
        if step[1] == "lines" and known and known.state == "done":
            yield Wrong(step[0], f"lines was {outcomes} although the ledger had it as done")
        if step[1] == "lines" and outcomes.count("done") > 1:
            yield Wrong(step[0], f"lines was {outcomes} in one life")


def _wrongs_of_lanes(storm, marks, parallel):
    """Never more runs of a hook at once than may be, nor two of one project of a hook that is serialised. A run that
    was cut has no end that we know."""
    by_hook = collections.defaultdict(list)
    for (_, hook), runs in runs_by_step(marks).items():
        by_hook[hook] += [run for run in runs if run.end and run.end.ms > run.begin.ms]
    for hook, runs in by_hook.items():
        edges = sorted([(r.begin.ms, 1, r) for r in runs] + [(r.end.ms, 0, r) for r in runs], key=lambda e: e[:2])
        now = []
        for _, begins, run in edges:
            if not begins:
                now.remove(run)
                continue
            now.append(run)
            if len(now) > parallel.get(hook, 99):
                yield Wrong(run.begin.message, f"{len(now)} runs of {hook} at once")
            if hook == "second" and len({storm.project_of(r.begin.message) for r in now}) < len(now):
                yield Wrong(run.begin.message, f"two runs of {hook} at once for one project: {now}")


def _wrong_record(storm, message, record):
    """Whether a poison record is true; what is wrong, or None."""
    posted, hook, reason = storm.posted[message], record["hook"], record["reason"]
    ended = storm.journal.ended
    undone = [h for h in record["done"] if message not in (storm.count if h == "lines" else ended(h))]
    if undone:
        return f"its record says that these are done: {undone}"
    if posted.kind != "work":
        return None if reason == posted.reason else f"poison for {reason}, not {posted.reason}"
    if reason == "rejected":
        is_true = message in ended(hook, 65)
    elif reason == "out-of-attempts":
        is_true = storm.fails[message, hook] >= record["attempts"] == storm.max_attempts
    elif reason == "interrupted":
        is_true = storm.known[message, hook].interruptions >= MAX_INTERRUPTIONS
    else:
        is_true = reason == "expiring" and posted.is_short
    return None if is_true else f"poison without cause: {record}"


def _wrongs_of_poisonous(storm, message, records):
    for record in records:
        text = _wrong_record(storm, message, record)
        if text:
            yield text
    if any(r["hook"] == "first" and r["reason"] != "expiring" for r in records):
        late = [h for h in ("second", "fresh", "extra") if (message, h) in storm.runs]
        if late or message in storm.count:
            yield f"first was rejected, and these went on: {late or 'lines'}"


def _is_done(storm, message, hook):
    if hook == "lines":
        return message in storm.count
    if hook == "fresh" and storm.age_of(message) > storm.max_age_s - 1.5:
        return True
    return message in storm.journal.ended(hook)


def _wrongs_of_message(storm, message, posted):
    records, gone = storm.records.get(message, []), storm.weather.gone.get(message)
    if gone is None:
        yield "it is still there"
    elif gone.how == "expired" and not posted.is_short:
        yield "it expired"
    yield from _wrongs_of_poisonous(storm, message, records)
    if posted.reason and not records:
        yield f"no poison for {posted.reason}"
    if gone and gone.how == "deleted" and not records:
        undone = [hook for hook in posted.hooks if not _is_done(storm, message, hook)]
        if undone:
            yield f"it was deleted, and these are not done: {undone}"
    if storm.count[message] > 1:
        yield f"{storm.count[message]} lines"
    if message in storm.count and message not in storm.journal.ended("first"):
        yield "a line before first was done"
    if (message, "told") in storm.runs and not records:
        yield "told of poison that is none"


class Account:
    """A storm that is over, as account's functions want it."""

    def __init__(self, storm, max_attempts, max_age_s):
        self.journal, self.weather, self.posted = storm.journal, storm.weather, storm.posted
        self.max_attempts, self.max_age_s = max_attempts, max_age_s
        self.marks = list(storm.journal.marks())
        self.runs, self.known = runs_by_step(self.marks), storm.lives[-1].known
        self.count = lines_of(storm.lines)
        self.fails = collections.Counter((m.message, m.hook) for m in self.marks if m.what == "end" and m.status == 1)
        self.records = collections.defaultdict(list)
        spooled = (storm.disk.path / "state/spool").glob("*.json")
        for record in storm.queue.records() + [json.loads(json.loads(f.read_text())["text"]) for f in spooled]:
            self.records[record["message_id"]].append(record)
        self.lives = storm.lives

    def project_of(self, message):
        return self.posted[message].document["Content"]["projectId"]

    def age_of(self, message):
        """How old it was when it went."""
        return self.weather.gone[message].wall - self.posted[message].wall

    def wrongs(self, parallel):
        foreign = set()
        for life in self.lives:
            life.foreign = set(foreign)
            yield from wrongs_of_life(life, self.marks)
            foreign |= life.orphans
        yield from _wrongs_of_lanes(self, self.marks, parallel)
        for mark in self.marks:
            if mark.what == "overlap":
                yield Wrong(mark.message, f"{mark.hook} ran beside another run of it")
        for message, posted in self.posted.items():
            for text in _wrongs_of_message(self, message, posted):
                yield Wrong(message, text)
        for violation in self.weather.violations:
            yield Wrong(violation.partition(":")[0].rpartition("/")[2], f"should not have been asked: {violation}")
        for message in (set(self.count) | set(self.records)) - set(self.posted):
            yield Wrong(message, "nobody posted it")


def story(storm, message):
    """What happened to a message, from all who saw it."""
    ahead = time.time() - time.monotonic()
    told = [(wall, "service", what) for wall, whose, what in list(storm.weather.tale) if whose == message]
    told += [(m.ms / 1000 + ahead, "hook", f"{m.what} {m.hook} {m.pid} {m.status} attempt {m.attempt}")
             for m in storm.journal.marks() if m.message == message]
    for life in storm.lives:
        told.append((life.born, "daemon", "started"))
        told += [(datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp(), "daemon",
                  " ".join(filter(None, (line["message"], line.get("hook"), line.get("outcome")))))
                 for line in life.lines() if line.get("message_id") == message]
        if life.how:
            told.append((life.died, "daemon", life.how))
    text = "\n".join(f"{wall - storm.lives[0].born:9.3f} {who:8} {what}" for wall, who, what in sorted(told))
    return f"{message} {storm.posted.get(message)}\n{text}"
