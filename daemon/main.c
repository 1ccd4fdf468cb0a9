/* SPDX-License-Identifier: MIT */
/* cvnotifyd: build everything, run, tear down. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/unit.h"
#include "codec/date.h"
#include "flow/flow.h"
#include "flow/settings.h"
#include "identity/source.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "loop/logsink.h"
#include "loop/systemd.h"
#include "loop/timer.h"
#include "loop/watch.h"
#include "loop/worker.h"
#include "online.h"
#include "options.h"
#include "state.h"
#include "store/ledger.h"

#define READY_AFTER_MS  10000
#define STATUS_EVERY_MS 2000 /* at most so often, and only when something happened */
#define ONCE_TRIES      5
#define SLOW_MS         30000 /* a disk that takes so long for one thing is told of */
#define SETTLING_MS     50000 /* what an end may take beside hooks: requests, disks */

enum phase {
    PHASE_STARTING, /* until each queue had its first answer */
    PHASE_RUNNING,
    PHASE_DRAINING,     /* TERM: what has begun may end */
    PHASE_INTERRUPTING, /* stop_timeout has passed: hooks are being ended */
};

struct daemon {
    struct options options;
    enum phase phase;
    int exit_status;
    struct loop *loop;
    struct worker *worker;
    bool is_slow; /* one thing that it does takes longer than SLOW_MS */
    struct children *children;
    struct state *state;
    int64_t started_ms; /* wall clock */
    struct flow *flow;
    struct timer deadline; /* of the phase: for being ready, for stopping */
    struct timer watchdog_timer;
    struct timer status_timer;
    struct timer once_timer;
    struct watch *watch; /* with reload_on_change */
    struct worker_job reload_job;
    bool reloading;
    bool reload_again;
    struct snapshot *fresh; /* the reload's result */
    struct mistakes mistakes;
};

/* --- checking the configuration --- */

static void print_mistakes(const struct mistakes *mistakes)
{
    for (unsigned i = 0; i < mistakes->count; i++)
        fprintf(stderr, "%s\n", mistakes->lines[i]);
}

static void print_list(const char *what, const struct config_texts *list)
{
    for (unsigned i = 0; i < list->count; i++)
        printf("%s%s", i == 0 ? what : ", ", list->items[i]);
}

/* A credential is there only when the service manager starts us, and for the daemon alone. */
static void print_unchecked(const struct identity_settings *identity)
{
    const char *credential = config_credential(&identity_table, identity);

    if (credential != NULL && !source_has_credentials())
        printf("  credential %s: not checked, for there is no $CREDENTIALS_DIRECTORY here\n",
               credential);
}

static void print_expired(const struct identity_settings *identity, const char *whose)
{
    struct identity_facts facts;
    char date[DATE_TEXT_MAX];

    if (!identity_facts(identity, &facts) || !facts.has_expiry || facts.expiry_ms > clock_wall_ms())
        return;
    date_format_iso(facts.expiry_ms, date);
    printf("  %s %s expired at %s: make a new one\n", whose, facts.what, date);
}

/* Would be found out only when the first run is long, or fails. */
static void print_no_update(const struct identity_settings *identity)
{
    struct identity_facts facts;

    if (identity_facts(identity, &facts) && facts.may_not_update)
        printf("  its SAS lacks the permission u: leases are long and not renewed, and retries "
               "wait in "
               "this daemon\n");
}

/* Would be found out only when the first message is poison. */
static void print_uncovered(const struct identity_settings *identity, const char *state_dir)
{
    struct identity_facts facts;

    if (identity_facts(identity, &facts) && facts.of_one_queue)
        printf("  its SAS is for one queue and can not write to the poison queue: give poison its "
               "own; till then, poison records are kept in %s/spool\n",
               state_dir);
}

static void print_queue(const struct queue_plan *plan, const char *state_dir)
{
    const struct queue_settings *queue = plan->settings;
    char fast[UNIT_TEXT_MAX], slow[UNIT_TEXT_MAX], lease[UNIT_TEXT_MAX];

    printf("queue %s: reads %s as %s, polling every %s to %s, lease %s, %lld at once, poison %s\n",
           queue->name, plan->url != NULL ? plan->url : queue->queue,
           plan->identity->name != NULL ? plan->identity->name
                                        : identity_kinds[plan->identity->kind.kind]->name,
           unit_duration_text(queue->poll_min_ms, fast),
           unit_duration_text(queue->poll_max_ms, slow), unit_duration_text(queue->lease_ms, lease),
           (long long)queue->parallel, plan->poison_url != NULL ? plan->poison_url : "beside it");
    print_unchecked(plan->identity);
    print_expired(plan->identity, "its");
    print_no_update(plan->identity);
    if (plan->poison_identity == plan->identity) {
        print_uncovered(plan->identity, state_dir);
    } else {
        print_unchecked(plan->poison_identity);
        print_expired(plan->poison_identity, "its poison queue's");
    }
}

static void print_hook(const struct hook_settings *hook)
{
    printf("hook %s: %s", hook->name, hook_kinds[hook->kind.kind]->name);
    print_list(" on ", &hook->on);
    print_list(" from queues ", &hook->queues);
    print_list(" for projects ", &hook->projects);
    print_list(" for platforms ", &hook->platforms);
    printf("\n");
}

/* -t: what would happen, on stdout. */
static void print_plan(const struct snapshot *snapshot)
{
    const struct config_objects *hooks = &snapshot->settings->hooks;

    for (unsigned i = 0; i < snapshot->queue_count; i++)
        print_queue(&snapshot->queues[i], snapshot->settings->state_dir);
    for (unsigned i = 0; i < hooks->count; i++)
        print_hook(hooks->items[i]);
    if (hooks->count == 0)
        printf("no hooks: every message would be deleted as unmatched\n");
    printf("%s: configuration is good\n", snapshot->path);
}

/* -t, with --online if wanted; takes the snapshot. The exit status. */
static int check(const struct daemon *daemon, struct snapshot *snapshot)
{
    int status = EX_OK;

    print_plan(snapshot);
    if (daemon->options.online)
        status = online_check(snapshot);
    else
        snapshot_free(snapshot);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "cvnotifyd: the standard output can not be written\n");
    return status == EX_OK ? EX_SOFTWARE : status; /* nobody has seen what would happen */
}

/* --- the log --- */

static void set_up_log(const struct daemon *daemon, const struct settings *settings)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING,
                                            LOG_LEVEL_ERR};

    logsink_choose((enum logsink_format)settings->log->format);
    log_set_level(daemon->options.verbose ? LOG_LEVEL_DEBUG : levels[settings->log->level]);
}

/* --- stopping --- */

static void stop_if_idle(struct daemon *daemon)
{
    if (daemon->phase >= PHASE_DRAINING && flow_is_idle(daemon->flow))
        loop_stop(daemon->loop);
}

static void interrupt(struct daemon *daemon)
{
    log_warning(NULL, "stop_timeout has passed; ending the hooks that still run");
    daemon->phase = PHASE_INTERRUPTING;
    /* From here a hook has its grace, then a message's last requests their time (flow/ending); a disk that
     * hangs needs a second TERM. */
    flow_interrupt(daemon->flow);
    systemd_stopping(children_grace_ms(daemon->children) + SETTLING_MS);
    stop_if_idle(daemon);
}

static void drain(struct daemon *daemon)
{
    const struct settings *settings = flow_snapshot(daemon->flow)->settings;

    log_info(NULL, "stopping: what runs may end");
    systemd_stopping(settings->stop_timeout_ms + SETTLING_MS);
    daemon->phase = PHASE_DRAINING;
    flow_drain(daemon->flow);
    timer_set(&daemon->deadline, settings->stop_timeout_ms);
    stop_if_idle(daemon);
}

static void on_terminate(void *arg)
{
    struct daemon *daemon = arg;

    if (daemon->phase < PHASE_DRAINING) {
        drain(daemon);
        return;
    }
    log_warning(NULL, "told to stop twice; ending now, what runs is killed and comes again");
    if (daemon->options.once && daemon->exit_status == EX_OK)
        daemon->exit_status = EX_TEMPFAIL; /* or we would be gone by now */
    /* No waiting for a disk that may hang: the worker is left as it is. */
    children_kill(daemon->children);
    _exit(daemon->exit_status);
}

/* --- being ready --- */

static void tell_status(const struct daemon *daemon)
{
    autofree char *status = flow_status(daemon->flow);
    const char *words;
    bool broken = state_trouble(daemon->state, &words) > 0;

    systemd_status("%s%s%s%s", status, broken ? "; state_dir: " : "", broken ? words : "",
                   daemon->is_slow ? "; a disk does not answer" : "");
}

static void become_ready(struct daemon *daemon)
{
    if (daemon->phase != PHASE_STARTING)
        return;
    daemon->phase = PHASE_RUNNING;
    timer_clear(&daemon->deadline);
    log_info(NULL, "ready");
    tell_status(daemon);
    systemd_ready();
}

/* The one deadline of each phase. */
static void on_deadline(void *arg)
{
    struct daemon *daemon = arg;

    switch (daemon->phase) {
    case PHASE_STARTING:
        become_ready(daemon);
        break;
    case PHASE_DRAINING:
        interrupt(daemon);
        break;
    case PHASE_RUNNING:
    case PHASE_INTERRUPTING:
        break;
    }
}

/* --- `--once` --- */

/* Ends the run when there is nothing more to do, or no hope of doing it. */
static void end_once(struct daemon *daemon)
{
    const struct err *err;

    if (daemon->phase >= PHASE_DRAINING || !flow_is_exhausted(daemon->flow, ONCE_TRIES, &err))
        return;
    if (err != NULL)
        daemon->exit_status = err->code == ERR_AUTH ? EX_NOPERM : EX_UNAVAILABLE;
    if (err != NULL)
        log_err(NULL, "giving up: %s", err->text);
    drain(daemon);
}

static void on_once(void *arg)
{
    end_once(arg);
}

/* --- status and watchdog --- */

static void on_status(void *arg)
{
    tell_status(arg);
}

static void status_changed(struct daemon *daemon)
{
    if (!timer_is_set(&daemon->status_timer))
        timer_set(&daemon->status_timer, STATUS_EVERY_MS);
}

/* state_dir, a file hook's file, a program's directory: all wait for it. */
static void on_slow(void *arg, bool is_slow)
{
    struct daemon *daemon = arg;

    daemon->is_slow = is_slow;
    if (is_slow)
        log_err(NULL,
                "a disk or network file system has not answered for %d s: no hook begins or ends "
                "until it does; messages in hand stay leased",
                SLOW_MS / 1000);
    else
        log_info(NULL, "the disk answers again");
    status_changed(daemon);
}

static void on_watchdog(void *arg)
{
    struct daemon *daemon = arg;

    if (flow_is_alive(daemon->flow))
        systemd_watchdog();
    timer_set(&daemon->watchdog_timer, systemd_watchdog_interval_ms());
}

/* A disk that does not mend within some tries is no hope for `--once`. */
static void on_state_changed(void *arg)
{
    struct daemon *daemon = arg;
    const char *words;

    status_changed(daemon);
    if (!daemon->options.once || daemon->phase >= PHASE_DRAINING ||
        state_trouble(daemon->state, &words) < ONCE_TRIES)
        return;
    log_err(NULL, "giving up: %s", words);
    daemon->exit_status = EX_UNAVAILABLE;
    drain(daemon);
}

/* Something happened in the flow: what was waited for may be there. Acts from timers of its own, for
 * the caller stands in the middle of it. */
static void on_changed(void *arg, bool news)
{
    struct daemon *daemon = arg;

    if (daemon->phase == PHASE_STARTING && flow_has_answered(daemon->flow))
        timer_set(&daemon->deadline, 0);
    if (news)
        status_changed(daemon);
    if (daemon->options.once)
        timer_set(&daemon->once_timer, 0);
    stop_if_idle(daemon);
}

/* --- reload --- */

/* On the worker thread: files and users are asked for. */
static void load_fresh(void *arg)
{
    struct daemon *daemon = arg;

    daemon->fresh = snapshot_load(daemon->options.config, true, &daemon->mistakes);
}

/* How much a configuration holds, for a sentence; the caller frees. */
static char *size_of(const struct snapshot *snapshot)
{
    unsigned queues = snapshot->queue_count, hooks = snapshot->settings->hooks.count;

    return xasprintf("%u queue%s, %u hook%s", queues, str_plural(queues), hooks, str_plural(hooks));
}

static void warn_of_restart(const struct settings *old, const struct settings *fresh)
{
    bool state_dir = !str_equal(old->state_dir, fresh->state_dir);
    bool socket = !str_equal(old->control->socket, fresh->control->socket);

    if (state_dir || socket)
        log_warning(NULL, "%s%s%s changes only at a restart; the rest is in force",
                    state_dir ? "state_dir" : "", state_dir && socket ? " and " : "",
                    socket ? "control.socket" : "");
}

static void refuse_fresh(struct daemon *daemon)
{
    for (unsigned i = 0; i < daemon->mistakes.count; i++)
        log_err(NULL, "%s", daemon->mistakes.lines[i]);
    log_err(NULL, "reload refused: %u mistake%s; the configuration in force stays",
            daemon->mistakes.count, str_plural(daemon->mistakes.count));
    mistakes_done(&daemon->mistakes);
}

static void start_reload(struct daemon *daemon);

static void on_file_changed(void *arg)
{
    log_info(NULL, "configuration file changed");
    start_reload(arg);
}

/* Watches the directories that the configuration in force came from, if it wants that. */
static void watch_files(struct daemon *daemon)
{
    const struct snapshot *snapshot = flow_snapshot(daemon->flow);

    watch_free(take(daemon->watch));
    if (!snapshot->settings->reload_on_change)
        return;
    daemon->watch = watch_new(daemon->loop, on_file_changed, daemon);
    for (unsigned i = 0; i < snapshot->directories.count; i++)
        watch_directory(daemon->watch, snapshot->directories.items[i]);
}

static void apply_fresh(void *arg)
{
    struct daemon *daemon = arg;
    struct snapshot *fresh = take(daemon->fresh);

    daemon->reloading = false;
    if (fresh == NULL) {
        refuse_fresh(daemon);
    } else if (daemon->phase >= PHASE_DRAINING) {
        snapshot_free(fresh);
    } else {
        warn_of_restart(flow_snapshot(daemon->flow)->settings, fresh->settings);
        set_up_log(daemon, fresh->settings);
        flow_apply(daemon->flow, fresh);
        ledger_keep_history(state_ledger(daemon->state), fresh->settings->history_days);
        watch_files(daemon);
        autofree char *size = size_of(fresh);
        log_info(NULL, "reloaded: %s", size);
    }
    if (daemon->phase == PHASE_RUNNING)
        systemd_ready();
    if (daemon->reload_again)
        start_reload(daemon);
}

static void start_reload(struct daemon *daemon)
{
    daemon->reload_again = daemon->reloading;
    if (daemon->reloading || daemon->phase >= PHASE_DRAINING)
        return;
    daemon->reloading = true;
    systemd_reloading();
    daemon->reload_job = (struct worker_job){.run = load_fresh, .done = apply_fresh, .arg = daemon};
    worker_submit(daemon->worker, &daemon->reload_job);
}

static void on_hup(void *arg)
{
    start_reload(arg);
}

static void on_usr1(void *arg)
{
    struct daemon *daemon = arg;

    log_info(NULL, "polling now");
    flow_poll_now(daemon->flow);
}

static void on_usr2(void *arg)
{
    (void)arg;
    /* Each batch opens its file anew: there is nothing to reopen but the next time. */
    log_info(NULL, "files are opened anew for each write");
}

/* --- life --- */

/* Those that end a process that has no handler for them, and must not end us before we have one. */
static void hold_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(how, &set, NULL);
}

/* Standard descriptors exist, no core is dumped with secrets in it, a broken pipe is an error code. */
static void prepare_process(void)
{
    const struct rlimit none = {0, 0};
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on a file's size is a write's error */
    hold_signals(SIG_BLOCK);
    umask(022);
}

/* Takes the snapshot. False when the ledger must not be used. */
static bool build(struct daemon *daemon, struct snapshot *snapshot, struct err *err)
{
    struct flow_context context;

    daemon->started_ms = clock_wall_ms();
    daemon->loop = loop_new();
    daemon->worker = worker_new(daemon->loop);
    worker_on_slow(daemon->worker, SLOW_MS, on_slow, daemon);
    daemon->children = children_new(daemon->loop, daemon->worker);
    daemon->state = state_open(&(struct state_context){.loop = daemon->loop,
                                                       .worker = daemon->worker,
                                                       .children = daemon->children,
                                                       .changed = on_state_changed,
                                                       .arg = daemon},
                               snapshot->settings->state_dir, err);
    if (daemon->state == NULL) {
        snapshot_free(snapshot);
        return false;
    }
    timer_init(&daemon->deadline, daemon->loop, on_deadline, daemon);
    timer_init(&daemon->watchdog_timer, daemon->loop, on_watchdog, daemon);
    timer_init(&daemon->status_timer, daemon->loop, on_status, daemon);
    timer_init(&daemon->once_timer, daemon->loop, on_once, daemon);
    loop_on_signal(daemon->loop, SIGHUP, on_hup, daemon);
    loop_on_signal(daemon->loop, SIGTERM, on_terminate, daemon);
    loop_on_signal(daemon->loop, SIGINT, on_terminate, daemon);
    loop_on_signal(daemon->loop, SIGUSR1, on_usr1, daemon);
    loop_on_signal(daemon->loop, SIGUSR2, on_usr2, daemon);
    hold_signals(SIG_UNBLOCK);
    context = (struct flow_context){
        .loop = daemon->loop,
        .worker = daemon->worker,
        .children = daemon->children,
        .ledger = state_ledger(daemon->state),
        .spool = state_spool(daemon->state),
        .changed = on_changed,
        .arg = daemon,
    };
    daemon->flow = flow_new(&context, snapshot);
    watch_files(daemon);
    timer_set(&daemon->deadline, READY_AFTER_MS);
    if (systemd_watchdog_interval_ms() > 0)
        timer_set(&daemon->watchdog_timer, systemd_watchdog_interval_ms());
    state_begin(daemon->state, daemon->flow);
    ledger_keep_history(state_ledger(daemon->state), snapshot->settings->history_days);
    return true;
}

/* With `--once`: whether messages of this run are still in their queues. */
static void note_undeleted(struct daemon *daemon)
{
    unsigned count;

    if (!daemon->options.once || daemon->exit_status != EX_OK)
        return;
    if (!ledger_count_undeleted(state_ledger(daemon->state), daemon->started_ms, &count))
        daemon->exit_status = EX_UNAVAILABLE;
    else if (count > 0)
        daemon->exit_status = EX_TEMPFAIL;
}

/* The reverse of build. Nothing runs any more. */
static void tear_down(struct daemon *daemon)
{
    worker_free(daemon->worker);
    note_undeleted(daemon);
    children_free(daemon->children);
    watch_free(daemon->watch);
    flow_free(daemon->flow);
    state_close(daemon->state);
    timer_done(&daemon->deadline);
    timer_done(&daemon->watchdog_timer);
    timer_done(&daemon->status_timer);
    timer_done(&daemon->once_timer);
    snapshot_free(daemon->fresh);
    mistakes_done(&daemon->mistakes);
    loop_free(daemon->loop);
}

int main(int argc, char **argv)
{
    struct daemon daemon = {.options = options_parse(argc, argv)};
    struct err err;

    prepare_process();
    struct snapshot *snapshot =
        snapshot_load(daemon.options.config, !daemon.options.test, &daemon.mistakes);
    if (snapshot == NULL) {
        print_mistakes(&daemon.mistakes);
        mistakes_done(&daemon.mistakes);
        return EX_CONFIG;
    }
    if (daemon.options.test) {
        hold_signals(SIG_UNBLOCK); /* they may end it */
        return check(&daemon, snapshot);
    }
    set_up_log(&daemon, snapshot->settings);
    autofree char *size = size_of(snapshot);
    log_info(NULL, "cvnotifyd %s, configuration %s: %s", CVNOTIFYD_VERSION, snapshot->path, size);
    if (!build(&daemon, snapshot, &err)) {
        log_err(NULL, "%s", err.text);
        daemon.exit_status = EX_CONFIG;
        worker_free(daemon.worker);
        children_free(daemon.children);
        loop_free(daemon.loop);
        return daemon.exit_status;
    }
    loop_run(daemon.loop);
    /* The worker may hang in a file that does not answer: then the next TERM ends us. */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    tear_down(&daemon);
    log_info(NULL, "ended");
    return daemon.exit_status;
}
