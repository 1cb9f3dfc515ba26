/*
 * test_loop_post.c - calls from other threads: one wake-up for many, none for a loop that is awake, each thread's in
 * its order.
 */
#include <stdatomic.h>

#include "base/thread.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "proactor/proactor.h"
#include "ringport/future.h"
#include "harness/support.h"
#include "harness/turns.h"

static atomic_int posted;

static void count_post(void *arg)
{
    if (--*(int *)arg == 0)
        stop(NULL);
}

static void post_when_asleep(void *arg)
{
    static rp_handle handles[50];

    while (atomic_load(&loop->proactor->wake_state) != RP_ASLEEP)
        usleep(100);
    rp_mutex_lock(&loop->mutex); /* keeps it from taking the first before all are there */
    for (int i = 0; i < 50; i++) {
        handles[i] = (rp_handle){.loop = loop, .callback = count_post, .arg = arg};
        rp_loop_post(loop, &handles[i]);
    }
    rp_mutex_unlock(&loop->mutex);
}

TEST(many_calls_one_wakeup)
{
    int left;

    make_loop();
    for (unsigned i = 1; i <= 5; i++) {
        left = 50;
        CHECK_INT(rp_thread_start(post_when_asleep, &left), ==, 0);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK_INT(left, ==, 0);
        CHECK_INT(stats().wakeups, ==, i);
    }
    left = 2;
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, count_post, &left), ==, 0); /* from its own thread */
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, count_post, &left), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().wakeups, ==, 5); /* it was awake */
    rp_loop_free(loop);
}

static void post_to_busy_loop(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, ""), ==, 0);
    atomic_store(&posted, 1);
}

static void spin_until_posted(void *arg)
{
    if (atomic_load(&posted))
        stop(arg);
    else
        CHECK_INT(rp_call_soon(loop, NULL, spin_until_posted, arg), ==, 0);
}

/* A loop that is awake is woken by an atomic flag, not by a system call: also while it looks for completions. */
TEST(busy_loop_needs_no_wakeup)
{
    char byte;
    int fds[2];
    rp_op op;

    make_loop();
    unix_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, spin_until_posted, NULL), ==, 0);
    CHECK_INT(rp_thread_start(post_to_busy_loop, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().wakeups, ==, 0);
    run_turns(1);
    rp_loop_free(loop);
    close_pair(fds);
}

enum { THREADS = 8, POSTS = 2000 };

static int last_seen[THREADS], total_seen;

typedef struct post {
    int thread, number;
} post;

static void take_post(void *arg)
{
    post *p = arg;

    CHECK_INT(last_seen[p->thread] + 1, ==, p->number); /* each thread's come in its order */
    last_seen[p->thread] = p->number;
    free(p);
    if (++total_seen == THREADS * POSTS)
        stop(NULL);
}

static void post_many(void *arg)
{
    for (int i = 1; i <= POSTS; i++) {
        post *p = malloc(sizeof *p);

        *p = (post){(int)(intptr_t)arg, i};
        CHECK_INT(rp_call_soon_threadsafe(loop, NULL, take_post, p), ==, 0);
        if (i % 100 == 0)
            usleep(200); /* the loop falls asleep at times */
    }
    atomic_fetch_add(&posted, 1);
}

TEST(threads_post)
{
    make_loop();
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK_INT(rp_thread_start(post_many, (void *)i), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(total_seen, ==, THREADS * POSTS);
    while (atomic_load(&posted) < THREADS)
        usleep(100);
    rp_loop_free(loop);
}

static void post_until_closed(void *arg)
{
    (void)arg;
    /* First a burst, then no faster than the loop can follow: else its turns would get longer and longer. */
    for (int i = 0; rp_call_soon_threadsafe(loop, NULL, note, "") == 0; i++)
        if (i > 1000)
            usleep(50);
    atomic_fetch_add(&posted, 1);
}

TEST(closed_while_threads_post)
{
    make_loop();
    for (int i = 0; i < 4; i++)
        CHECK_INT(rp_thread_start(post_until_closed, NULL), ==, 0);
    run_turns(10);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    while (atomic_load(&posted) < 4)
        usleep(100);
    rp_loop_free(loop);
}
