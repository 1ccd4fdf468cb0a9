/* SPDX-License-Identifier: MIT */
/* What generations share across reloads, and that none of them stays for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "flow/generation.h"
#include "flow/settings.h"
#include "identity/identity.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/worker.h"

#define RELOADS   40
#define MAX_BYTES ((size_t)64 * 1024) /* of growth; a few generations have as much */

#define IDENTITY  "{name: %s, kind: managed_identity, source: imds, endpoint: 'http://127.0.0.1:%u'}"
#define QUEUE     "{name: %s, url: 'https://contoso.queue.core.windows.net/%s', identity: %s}"

struct fixture {
    struct loop *loop;
    struct worker *worker;
    char directory[64];
    char path[96];
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/cvnotifyd-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->path, sizeof(fixture->path), "%s/cvnotifyd.yaml", fixture->directory);
    umask(077);
    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    worker_free(fixture->worker);
    loop_free(fixture->loop);
    unlink(fixture->path);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

/* A configuration with two identities, told apart by their ports, and one large hook. */
static struct snapshot *load(const struct fixture *fixture, unsigned one, unsigned two)
{
    struct mistakes mistakes = {0};
    FILE *file = fopen(fixture->path, "w");

    assert_non_null(file);
    fprintf(file, "identities: [" IDENTITY ", " IDENTITY "]\n", "one", one, "two", two);
    fprintf(file, "queues: [" QUEUE ", " QUEUE "]\n", "first", "first", "one", "second", "second",
            "two");
    fprintf(file, "hooks: [{name: large, on: ['*'], syslog: {text: '%04000d'}}]\n", 0);
    fclose(file);
    struct snapshot *snapshot = snapshot_load(fixture->path, true, &mistakes);
    if (snapshot == NULL)
        fail_msg("%s", mistakes.lines[0]);
    mistakes_done(&mistakes);
    return snapshot;
}

static struct identity *identity_of(struct generation *generation, unsigned queue)
{
    const struct queue_plan *plan = &generation_snapshot(generation)->queues[queue];

    return generation_identity(generation, plan->identity, plan->settings->name);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* Lets happen what was put off. */
static void turn(struct fixture *fixture)
{
    struct timer timer;

    timer_init(&timer, fixture->loop, stop, fixture->loop);
    timer_set(&timer, 1);
    loop_run(fixture->loop);
    timer_done(&timer);
}

/* A reload, in whose place nothing of the one before is in use any more. */
static struct generation *reload(struct fixture *fixture, struct generation *previous, unsigned one,
                                 unsigned two)
{
    const struct generation_context context = {.loop = fixture->loop, .worker = fixture->worker};
    struct generation *generation = generation_new(&context, load(fixture, one, two), previous);

    identity_of(generation, 0);
    identity_of(generation, 1);
    generation_drop(previous);
    turn(fixture);
    return generation;
}

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#ifdef HAS_SANITIZER
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

static size_t bytes_in_use(void)
{
#ifdef HAS_SANITIZER
    return __sanitizer_get_current_allocated_bytes();
#else
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
#endif
}

static void an_identity_that_did_not_change_is_the_same(void **state)
{
    struct generation *generation = reload(*state, NULL, 1, 2);
    const struct identity *one = identity_of(generation, 0), *two = identity_of(generation, 1);

    generation = reload(*state, generation, 1, 3);
    assert_ptr_equal(identity_of(generation, 0), one);
    assert_ptr_not_equal(identity_of(generation, 1), two);
    /* however long ago it was made */
    two = identity_of(generation, 1);
    generation = reload(*state, generation, 1, 3);
    assert_ptr_equal(identity_of(generation, 0), one);
    assert_ptr_equal(identity_of(generation, 1), two);
    generation_drop(generation);
}

static void what_is_shared_keeps_no_row_of_generations(void **state)
{
    struct generation *generation = reload(*state, NULL, 1, 2);

    for (unsigned i = 0; i < 4; i++)
        generation = reload(*state, generation, 3 + i / 2, 3 + (i + 1) / 2);
    size_t before = bytes_in_use();
    /* One changes, then the other: there is always one that an earlier generation made. */
    for (unsigned i = 4; i < RELOADS; i++)
        generation = reload(*state, generation, 3 + i / 2, 3 + (i + 1) / 2);
    assert_in_range(bytes_in_use(), 0, before + MAX_BYTES);
    generation_drop(generation);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_identity_that_did_not_change_is_the_same),
        TEST(what_is_shared_keeps_no_row_of_generations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
