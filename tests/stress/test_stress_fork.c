/*
 * test_stress_fork.c - a program that forks in the middle of a run, with all that a loop can have under way: the child
 * is refused its parent's loop, nothing of it runs there, and it may have one of its own; the parent does not notice.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "fiber/sanitizer.h"
#include "harness/process.h"
#include "harness/wire.h"

enum { FORKS = 20, CLIENTS = 8, MESSAGE = 1000 };

/*
 * A child of a process with threads: ThreadSanitizer sees there the races and locks of threads that are gone. Its own
 * lock on its own heap (internal_allocator_cache_mu) may be among these: to announce a coroutine then waits for ever.
 * AddressSanitizer does not hold its heap's locks over a fork, either: when a thread of the parent was just starting,
 * one that the child starts waits for ever.
 */
#if defined(RP_TSAN) || defined(RP_ASAN)
static const bool blind = true;
#else
static const bool blind = false;
#endif

/*
 * qemu is no better than a program that forks among threads: its child waits for a lock of GLib's that a thread held,
 * or fails an assertion when it makes a thread.
 */
static void skip_in_qemu(void)
{
    if (process_emulated())
        SKIP("qemu does not survive fork() in a process with threads");
}

static pid_t parent;

static void in_the_parent(void)
{
    CHECK_INT(getpid(), ==, parent);
}

/* What the child of a fork comes to in the end: the others' status is its own. */
static void expect_end(pid_t pid)
{
    int status;

    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
}

/* ---- what is under way: connections, timers, jobs ---- */

static atomic_bool over;

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char bytes[MESSAGE];
    ssize_t n;

    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0) {
        in_the_parent();
        RP_TRY(rp_stream_write(co, stream, bytes, (size_t)n));
        in_the_parent();
    }
    return (int)n;
}

static int converse(rp_co *co, void *arg)
{
    rp_server *server = arg;
    char sent[MESSAGE], got[MESSAGE];
    rp_stream *stream;

    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), NULL), ==, 0);
    for (uint64_t at = 0; !over; at += MESSAGE) {
        wire_fill(sent, sizeof sent, at);
        CHECK_INT(rp_stream_write(co, stream, sent, sizeof sent), ==, 0);
        CHECK_INT(rp_stream_read_exactly(co, stream, got, sizeof got), ==, sizeof got);
        CHECK(memcmp(sent, got, sizeof got) == 0);
        in_the_parent();
    }
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    return 0;
}

static int yield_always(rp_co *co, void *arg)
{
    while (!over) {
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        in_the_parent();
        CHECK_INT(rp_sleep(co, 100000), ==, 0);
        in_the_parent();
    }
    return 0;
}

static int short_job(void *arg)
{
    return 7;
}

static int work_always(rp_co *co, void *arg)
{
    while (!over) {
        CHECK_INT(rp_to_thread(co, short_job, NULL), ==, 7);
        in_the_parent();
    }
    return 0;
}

/* ---- the child ---- */

typedef struct belongings {
    rp_future *pending;
    rp_task *task;
    rp_executor *executor;
    rp_event event;
} belongings;

/* Every call that would suspend says so instead. */
static void refused(rp_co *co, belongings *b)
{
    rp_stream *stream;
    rp_server *server;
    rp_future *job;
    rp_op op;

    CHECK_INT(rp_sleep(co, 0), ==, RP_EFORK);
    CHECK_INT(rp_sleep(co, 1), ==, RP_EFORK);
    CHECK_INT(rp_sleep_until(co, 0), ==, RP_EFORK);
    CHECK_INT(rp_await(co, b->pending), ==, RP_EFORK);
    CHECK_INT(rp_await(co, b->task), ==, RP_EFORK);
    CHECK_INT(rp_shield(co, b->pending), ==, RP_EFORK);
    CHECK_INT(rp_wait_for(co, b->pending, RP_SEC(1)), ==, RP_EFORK);
    CHECK_INT(rp_gather(co, &b->pending, 1, NULL, 0), ==, RP_EFORK);
    CHECK_INT(rp_wait(co, &b->pending, 1, RP_NEVER, RP_ALL_COMPLETED), ==, RP_EFORK);
    CHECK_INT(rp_event_wait(co, &b->event), ==, RP_EFORK);
    CHECK_INT(rp_to_thread(co, short_job, NULL), ==, RP_EFORK);
    CHECK_INT(rp_run_in_executor(rp_co_loop(co), b->executor, short_job, NULL, &job), ==, RP_EFORK);
    CHECK_INT(rp_executor_shutdown(b->executor, RP_SEC(1)), ==, RP_EFORK);
    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, RP_EFORK);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", 1, NULL), ==, RP_EFORK);
    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, RP_EFORK);
    rp_task_cancel(b->task);
}

static int own_life(rp_co *co, void *arg)
{
    CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    return rp_to_thread(co, short_job, NULL);
}

/* A loop of the child's own; with an executor from before the fork it cannot work. */
static int own_loop(rp_co *co, void *arg)
{
    rp_future *job;

    CHECK_INT(rp_run_in_executor(rp_co_loop(co), arg, short_job, NULL, &job), ==, RP_EFORK);
    rp_executor_free(arg);
    return own_life(co, NULL);
}

static int fork_again_and_again(rp_co *co, void *arg)
{
    belongings b;
    rp_group group;

    rp_event_init(&b.event);
    CHECK_INT(rp_future_new(rp_co_loop(co), &b.pending), ==, 0);
    CHECK_INT(rp_executor_new(1, &b.executor), ==, 0);
    CHECK_INT(rp_create_task(&b.task, work_always, NULL), ==, 0);
    rp_group_begin(co, &group);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_INT(rp_group_create_task(&group, NULL, i % 4 == 3 ? yield_always : converse, arg), ==, 0);
    for (int i = 0; i < FORKS; i++) {
        CHECK_INT(rp_sleep(co, i % 2 == 0 ? 0 : RP_MSEC(1)), ==, 0);
        pid_t pid = fork();
        if (pid == 0) {
            refused(co, &b);
            if (i % 4 == 0 && !blind) /* in the coroutine itself, */
                CHECK_INT(rp_run(own_loop, b.executor), ==, 7);
            if (i % 4 == 1 || blind) /* at once, */
                _exit(0);
            if (i % 4 == 2) /* with tasks to be joined, which will never end, */
                CHECK_INT(rp_group_end(co, &group, 0), ==, RP_EFORK);
            return 42; /* or as the run's end, which gives its own opinion */
        }
        expect_end(pid);
    }
    over = true;
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    CHECK_INT(rp_join(co, b.task), ==, 0);
    rp_future_cancel(b.pending);
    rp_future_unref(b.pending);
    rp_executor_free(b.executor);
    return 0;
}

static int host(rp_co *co, void *arg)
{
    rp_server *server;

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    int rc = fork_again_and_again(co, server);
    if (getpid() != parent)
        return rc;
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
    return rc;
}

TEST(a_child_is_refused_and_the_parent_goes_on)
{
    skip_in_qemu();
    parent = getpid();
    int rc = rp_run(host, NULL);
    if (getpid() != parent) {
        CHECK_INT(rc, ==, RP_EFORK);
        CHECK_INT(rp_run(own_life, NULL), ==, 7);
        _exit(0);
    }
    CHECK_INT(rc, ==, 0);
}

/* ---- a fork while other threads are anywhere ---- */

enum { THREADS = 3 };

static void *run_loops(void *arg)
{
    rp_event_loop_policy *policy = rp_get_event_loop_policy();

    while (!over) {
        CHECK_INT(rp_run(own_life, NULL), ==, 7);
        CHECK(rp_get_event_loop_policy() == policy);
    }
    return NULL;
}

static int nap(rp_co *co, void *arg)
{
    return rp_sleep(co, 1);
}

/* The child has one thread, and must not wait for what another of its parent's held at that moment. */
TEST(a_child_can_run_a_loop_wherever_the_other_threads_were)
{
    pthread_t threads[THREADS];

    skip_in_qemu();
    if (blind)
        SKIP("a sanitizer may fork while a thread holds its heap's lock: a loop in the child waits for that");
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_loops, NULL), ==, 0);
    for (int i = 0; i < (test_slow() ? 30 : 300); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            CHECK(rp_get_event_loop_policy() != NULL);
            CHECK_INT(rp_run(nap, NULL), ==, 0);
            _exit(0);
        }
        expect_end(pid);
    }
    over = true;
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
}

/* ---- a worker forks ---- */

static int fork_once(rp_co *co, void *arg)
{
    pid_t *child = arg;

    RP_TRY(rp_sleep(co, RP_MSEC(5)));
    if (rp_worker_index() == 0) {
        *child = fork();
        CHECK_INT(*child, >=, 0);
        if (*child == 0)
            return 0;
    }
    return rp_sleep(co, RP_MSEC(20));
}

/* The child has none of the threads, and does not wait for them. */
TEST(a_worker_forks)
{
    pid_t child = 0;
    int rc;

    skip_in_qemu();
    if (blind)
        SKIP("a sanitizer's heap may be locked, for good, in a child of a process with threads");
    parent = getpid();
    rc = rp_run_workers(2, fork_once, &child);
    if (getpid() != parent)
        _exit(rc == RP_EFORK ? 0 : 1);
    CHECK_INT(rc, ==, 0);
    expect_end(child);
}
