/*
 * test_loop.c - the turn and the loop's life: order, stop, wake-ups, nested and foreign runs, close, statistics.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "proactor/proactor.h"
#include "ringport/future.h"
#include "harness/support.h"

static rp_loop *loop;
static char trace[4096];

static void note(void *arg)
{
    strcat(trace, arg);
}

static void note_ready(rp_fd fd, void *arg)
{
    (void)fd;
    note(arg);
}

static void stop(void *arg)
{
    (void)arg;
    rp_loop_stop(loop);
}

static void make_loop(void)
{
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    trace[0] = '\0';
}

/* Turns until nothing is ready any more, and one that waits for nothing. */
static void run_turns(int turns)
{
    for (int i = 0; i < turns; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static rp_loop_stats stats(void)
{
    rp_loop_stats s;

    rp_loop_get_stats(loop, &s);
    return s;
}

TEST(made_and_closed)
{
    make_loop();
    CHECK(!rp_loop_is_running(loop));
    CHECK(!rp_loop_is_closed(loop));
    CHECK_STR(rp_loop_backend_name(loop), test_backend());
    CHECK(rp_loop_proactor(loop) != NULL);
    int64_t before = rp_monotonic(), now = rp_loop_time(loop);
    CHECK(before <= now && now <= rp_monotonic());
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK(rp_loop_is_closed(loop));
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, RP_ECLOSED);
    CHECK_INT(rp_call_soon(loop, NULL, note, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_call_later(loop, NULL, 0, note, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_call_at(loop, NULL, 0, note, "x"), ==, RP_ECLOSED);
    rp_op op;
    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, RP_ECLOSED);
    rp_cancel(loop, &op);
    CHECK_INT(rp_add_reader(loop, 0, note_ready, "x"), ==, RP_ECLOSED);
    CHECK_INT(rp_remove_writer(loop, 0), ==, RP_ECLOSED);
    rp_future *future;
    CHECK_INT(rp_future_new(loop, &future), ==, RP_ECLOSED);
    CHECK(future == NULL);
    CHECK_INT(rp_shutdown_asyncgens(loop), ==, RP_ECLOSED);
    CHECK_INT(stats().operations_in_flight, ==, 0);
    rp_loop_free(loop);
    rp_loop_free(NULL);
}

#ifdef _WIN32
#define ELSEWHERE "epoll" /* another platform's backend */
#else
#define ELSEWHERE "iocp"
#endif

TEST(options)
{
    rp_loop_options bad = {.backend = "no_such"}, both = {.backend = test_backend()};
    rp_proactor *port = open_port();

    CHECK_INT(rp_loop_new(&bad, &loop), ==, -EINVAL);
    CHECK(loop == NULL);
    bad.backend = ELSEWHERE;
    CHECK_INT(rp_loop_new(&bad, &loop), ==, -ENOTSUP);
    both.proactor = port;
    CHECK_INT(rp_loop_new(&both, &loop), ==, -EINVAL);
    rp_loop_options busy = {.proactor = port};
    rp_op op;
    rp_op_nop(&op, NULL, NULL);
    submit(port, &op);
    CHECK_INT(rp_loop_new(&busy, &loop), ==, -EINVAL); /* its completions would be nobody's */
    CHECK_INT(finish(port, &op), ==, 0);
    rp_proactor_close(port);
}

TEST(ready_proactor)
{
    rp_loop_options options = {.proactor = open_port()};
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(perform(options.proactor, &op), ==, 0); /* used before by itself */
    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    CHECK(rp_loop_proactor(loop) == options.proactor);
    trace[0] = '\0';
    CHECK_INT(rp_call_soon(loop, NULL, note, "a"), ==, 0);
    run_turns(1);
    CHECK_STR(trace, "a");
    rp_loop_free(loop); /* and the proactor with it */
}

/* ---- the turn ---- */

TEST(call_soon_in_order)
{
    rp_handle handles[26] = {0};
    char letters[26][2] = {{0}};

    make_loop();
    for (int i = 0; i < 26; i++) {
        letters[i][0] = (char)('a' + i);
        CHECK_INT(rp_call_soon(loop, i % 2 ? &handles[i] : NULL, note, letters[i]), ==, 0);
    }
    run_turns(1);
    CHECK_STR(trace, "abcdefghijklmnopqrstuvwxyz");
    CHECK_INT(stats().callbacks, ==, 26);
    CHECK_INT(stats().turns, ==, 1);
    rp_loop_free(loop);
}

static void note_and_schedule(void *arg)
{
    note(arg);
    CHECK_INT(rp_call_soon(loop, NULL, note, "2"), ==, 0);
    CHECK_INT(rp_call_later(loop, NULL, -1, note, "t"), ==, 0);
}

TEST(scheduled_by_callback)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, note_and_schedule, "1"), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, note, "b"), ==, 0);
    run_turns(1);
    CHECK_STR(trace, "1b");
    run_turns(1);
    CHECK_STR(trace, "1b2t");
    rp_loop_free(loop);
}

static int endless_runs;

static void endless(void *arg)
{
    if (++endless_runs == 1000)
        stop(arg);
    else
        CHECK_INT(rp_call_soon(loop, NULL, endless, arg), ==, 0);
}

/* A callback that schedules itself for ever keeps neither timers nor operations nor other threads from their turn. */
TEST(no_callback_starves_the_rest)
{
    rp_op op;

    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, endless, NULL), ==, 0);
    CHECK_INT(rp_call_later(loop, NULL, 0, note, "t"), ==, 0);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, "p"), ==, 0);
    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK(strcmp(trace, "tp") == 0 || strcmp(trace, "pt") == 0);
    CHECK_INT(stats().completions, ==, 1);
    CHECK_INT(stats().turns, ==, 1000);
    rp_loop_free(loop);
}

TEST(stop_finishes_turn)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, note, "a"), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, note_and_schedule, "b"), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "ab");
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0); /* stopped once, it runs again */
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "ab2t");
    rp_loop_free(loop);
}

/* Completions, posts, due timers and ready handles of one turn, in this order of becoming ready. */
static void schedule_from_completion(rp_op *op)
{
    strcat(trace, "c");
    CHECK_INT(rp_call_soon(loop, NULL, note, "s"), ==, 0);
    CHECK_INT(op->result, ==, 0);
}

TEST(completions_come_first)
{
    rp_op op;

    make_loop();
    rp_op_nop(&op, schedule_from_completion, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_STR(trace, "");
    CHECK_INT(rp_call_soon(loop, NULL, note, "r"), ==, 0);
    while (strchr(trace, 'c') == NULL)
        run_turns(1);
    CHECK_STR(trace, "crs"); /* what a completion schedules runs in the same turn */
    rp_loop_free(loop);
}

/* ---- operations ---- */

static int runs;

static void submit_again(rp_op *op)
{
    CHECK_INT(op->result, ==, 0);
    CHECK_INT(op->flags, ==, 0);
    if (++runs == 100) {
        free(op);
        stop(NULL);
        return;
    }
    if (runs % 2)
        rp_op_nop(op, submit_again, NULL);
    CHECK_INT(rp_submit(loop, op), ==, 0);
    CHECK_INT(rp_submit(loop, op), ==, -EBUSY);
}

TEST(op_submitted_in_its_callback)
{
    rp_op *op = malloc(sizeof *op), bad;

    make_loop();
    rp_op_nop(op, submit_again, NULL);
    CHECK_INT(rp_submit(loop, op), ==, 0);
    CHECK_INT(runs, ==, 0); /* never inside of submit */
    CHECK_INT(rp_submit(loop, op), ==, -EBUSY);
    CHECK_INT(stats().operations_in_flight, ==, 1);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(runs, ==, 100);
    CHECK_INT(stats().operations_in_flight, ==, 0);
    CHECK_INT(stats().completions, ==, 100);
    rp_op_nop(&bad, NULL, NULL);
    bad.kind = 200;
    CHECK_INT(rp_submit(loop, &bad), ==, -EINVAL);
    rp_loop_free(loop);
}

static rp_op chain[2];
static char chain_byte;

/* Of two that complete together the first one cancels the second: that one has its result already. */
static void cancel_other(rp_op *op)
{
    CHECK_INT(op->result, ==, 0);
    rp_cancel(loop, op == &chain[0] ? &chain[1] : &chain[0]);
    runs++;
}

TEST(cancel_in_callback)
{
    make_loop();
    for (int i = 0; i < 2; i++) {
        rp_op_nop(&chain[i], cancel_other, NULL);
        CHECK_INT(rp_submit(loop, &chain[i]), ==, 0);
    }
    while (runs < 2)
        run_turns(1);
    run_turns(3);
    CHECK_INT(runs, ==, 2);
    rp_loop_free(loop);
}

static void submit_other(rp_op *op)
{
    rp_op *other = op == &chain[0] ? &chain[1] : &chain[0];

    CHECK_INT(rp_submit(loop, other), ==, runs++ == 0 ? -EBUSY : 0);
}

/* Both have completed, but the second one is not told yet. */
TEST(no_submitting_before_the_completion_is_delivered)
{
    make_loop();
    for (int i = 0; i < 2; i++) {
        rp_op_nop(&chain[i], submit_other, NULL);
        CHECK_INT(rp_submit(loop, &chain[i]), ==, 0);
    }
    while (runs < 2)
        run_turns(1);
    rp_loop_free(loop);
}

static rp_op watches[2];
static int watched; /* completions of both */
static bool both_ended;

/* The first to complete cancels the other, a completion of which was taken in the same batch. */
static void cancel_other_watch(rp_op *op)
{
    rp_op *other = op == &watches[0] ? &watches[1] : &watches[0];

    if (watched++ == 0)
        rp_cancel(loop, other);
    else if (op->flags & RP_OP_MORE)
        CHECK_INT(op->result, ==, RP_POLL_IN);
    else {
        CHECK_INT(op->result, ==, -ECANCELED);
        both_ended = true;
    }
}

TEST(the_end_of_a_multishot_is_not_what_came_before_it)
{
    int pairs[2][2];

    make_loop();
    for (int i = 0; i < 2; i++) {
        tcp_pair(pairs[i]);
        CHECK_INT(send(pairs[i][1], "x", 1, 0), ==, 1);
        rp_op_poll_multi(&watches[i], pairs[i][0], RP_POLL_IN, cancel_other_watch, NULL);
        CHECK_INT(rp_submit(loop, &watches[i]), ==, 0);
    }
    while (!both_ended)
        run_turns(1);
    rp_loop_free(loop);
    close_pair(pairs[0]);
    close_pair(pairs[1]);
}

static uint64_t last_events;

static void note_events(rp_op *op)
{
    last_events = (uint64_t)op->result;
    runs++;
}

TEST(a_multishot_poll_does_not_tell_twice)
{
    static char chunk[65536];
    int pair[2];

    make_loop();
    tcp_pair(pair);
    set_nonblocking(pair[0]);
    set_nonblocking(pair[1]);
    CHECK_INT(send(pair[1], "x", 1, 0), ==, 1);
    rp_op_poll_multi(&watches[0], pair[0], RP_POLL_IN | RP_POLL_OUT, note_events, NULL);
    CHECK_INT(rp_submit(loop, &watches[0]), ==, 0);
    while (!(last_events & RP_POLL_IN))
        run_turns(1);
    CHECK_INT(recv(pair[0], chunk, sizeof chunk, 0), ==, 1);
    while (send(pair[0], chunk, sizeof chunk, 0) > 0)
        ;
    run_turns(3);
    runs = 0;
    while (runs == 0) {
        while (recv(pair[1], chunk, sizeof chunk, 0) > 0)
            ;
        run_turns(1);
    }
    CHECK_INT(last_events, ==, RP_POLL_OUT);
    rp_loop_free(loop);
    close_pair(pair);
}

static void expect_cancelled(rp_op *op)
{
    CHECK_INT(op->result, ==, -ECANCELED);
    rp_op_recv(op, op->fd, &chain_byte, 1, 0, expect_cancelled, NULL);
    if (++runs < 10) {
        CHECK_INT(rp_submit(loop, op), ==, 0);
        rp_cancel(loop, op);
        return;
    }
    stop(NULL);
}

TEST(cancel_and_again)
{
    int fds[2];
    rp_op op;

    make_loop();
    unix_pair(fds);
    rp_op_recv(&op, fds[0], &chain_byte, 1, 0, expect_cancelled, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    rp_cancel(loop, &op);
    CHECK_INT(runs, ==, 0); /* never inside of cancel */
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_free(loop);
    close_pair(fds);
}

/* ---- stopping and running ---- */

TEST(stop_before_run)
{
    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, note, "a"), ==, 0);
    rp_loop_stop(loop);
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "a");
    CHECK_INT(stats().turns, ==, 1);
    rp_loop_free(loop);
}

static void run_nested(void *arg)
{
    rp_loop *other = arg;
    rp_future *future;

    CHECK(rp_get_running_loop() == loop);
    CHECK(rp_loop_is_running(loop));
    CHECK_INT(rp_run_forever(loop), ==, RP_ERUNNING);
    CHECK_INT(rp_run_forever(other), ==, RP_ERUNNING);
    CHECK(!rp_loop_is_running(other));
    CHECK_INT(rp_loop_close(loop), ==, RP_ERUNNING);
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_ERUNNING);
    rp_future_unref(future);
    CHECK_INT(rp_future_new(other, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(other, future), ==, RP_ERUNNING);
    rp_future_unref(future);
    CHECK_INT(rp_shutdown_default_executor(loop, 0), ==, RP_ERUNNING);
    note("n");
    stop(NULL);
}

TEST(nested_runs_refused)
{
    rp_loop *other;

    make_loop();
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK(rp_get_running_loop() == NULL);
    CHECK_INT(rp_call_soon(loop, NULL, run_nested, other), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_STR(trace, "n");
    CHECK(rp_get_running_loop() == NULL);
    CHECK(!rp_loop_is_running(loop));
    rp_loop_free(other);
    rp_loop_free(loop);
}

static void *run_in_thread(void *arg)
{
    *(int *)arg = rp_run_forever(loop);
    return NULL;
}

static void start_second_run(void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, run_in_thread, arg), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    stop(NULL);
}

TEST(second_thread_refused)
{
    int rc = 0;

    make_loop();
    CHECK_INT(rp_call_soon(loop, NULL, start_second_run, &rc), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(rc, ==, RP_ERUNNING);
    rp_loop_free(loop);
}

static rp_op thread_op;

/* Made here, run there, then elsewhere, then here, and closed in yet another place. */
static void *run_a_while(void *arg)
{
    CHECK_INT(rp_call_soon(loop, NULL, note, arg), ==, 0);
    rp_op_nop(&thread_op, NULL, NULL);
    CHECK_INT(rp_submit(loop, &thread_op), ==, 0);
    uint64_t before = stats().completions;
    while (stats().completions == before)
        run_turns(1);
    return NULL;
}

static void *free_loop(void *arg)
{
    rp_loop_free(loop);
    return arg;
}

static void in_thread(void *function(void *), void *arg)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, function, arg), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
}

TEST(thread_after_thread)
{
    make_loop();
    in_thread(run_a_while, "a");
    in_thread(run_a_while, "b");
    run_a_while("c");
    CHECK_INT(rp_call_soon(loop, NULL, note, "d"), ==, 0);
    in_thread(run_a_while, "e");
    CHECK_STR(trace, "abcde");
    in_thread(free_loop, NULL);
}

static int thread_fds[2];

static void *leave_operations(void *arg)
{
    static char byte;

    CHECK_INT(rp_add_reader(loop, thread_fds[0], note_ready, "x"), ==, 0);
    rp_op_recv(&thread_op, thread_fds[0], &byte, 1, 0, NULL, NULL);
    CHECK_INT(rp_submit(loop, &thread_op), ==, 0);
    run_turns(3);
    return arg;
}

TEST(closed_by_another_thread_with_operations)
{
    char byte;

    make_loop();
    unix_pair(thread_fds);
    in_thread(leave_operations, NULL);
    rp_loop_free(loop);
    close(thread_fds[0]);
    CHECK_INT(recv(thread_fds[1], &byte, 1, MSG_DONTWAIT), ==, 0);
    close(thread_fds[1]);
}

/* ---- until complete ---- */

static void finish_future(void *arg)
{
    CHECK_INT(rp_future_set_result(arg, trace), ==, 0);
}

static void fail_future(void *arg)
{
    CHECK_INT(rp_future_set_error(arg, -EPROTO), ==, 0);
}

static void cancel_future(void *arg)
{
    CHECK(rp_future_cancel(arg));
}

TEST(run_until_complete)
{
    rp_callback *ends[] = {finish_future, fail_future, cancel_future};
    int results[] = {0, -EPROTO, RP_EFUTCANCELED};
    rp_future *future;
    rp_loop *other;

    make_loop();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_future_new(loop, &future), ==, 0);
        CHECK_INT(rp_call_later(loop, NULL, RP_USEC(100), ends[i], future), ==, 0);
        CHECK_INT(rp_run_until_complete(loop, future), ==, results[i]);
        uint64_t turns = stats().turns;
        CHECK_INT(rp_run_until_complete(loop, future), ==, results[i]); /* it is done already */
        CHECK_INT(stats().turns, ==, turns + 1);
        rp_future_unref(future);
    }
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_ESTOPPED);
    /* It was not stopped by that future's later end. */
    CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
    rp_future_unref(future);

    CHECK_INT(rp_run_until_complete(loop, NULL), ==, -EINVAL);
    CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
    CHECK_INT(rp_future_new(other, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, -EINVAL);
    CHECK_INT(rp_loop_close(other), ==, 0);
    CHECK_INT(rp_run_until_complete(other, future), ==, RP_ECLOSED);
    rp_future_unref(future);
    rp_loop_free(other);
    rp_loop_free(loop);
}

/* ---- waking ---- */

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

/* ---- statistics ---- */

TEST(statistics)
{
    rp_timer timers[3] = {0};

    make_loop();
    CHECK_STR(stats().backend, test_backend());
    CHECK(stats().fallback_reason == NULL);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_call_later(loop, &timers[i], i == 2 ? 0 : RP_SEC(100), note, "t"), ==, 0);
    CHECK_INT(stats().timers_scheduled, ==, 3);
    CHECK_INT(stats().timers_pending, ==, 3);
    CHECK(rp_timer_cancel(&timers[0]));
    CHECK_INT(stats().timers_cancelled, ==, 1);
    CHECK_INT(stats().timers_pending, ==, 2);
    run_turns(1);
    CHECK_STR(trace, "t");
    CHECK_INT(stats().timers_pending, ==, 1);
    CHECK_INT(stats().timers_cancelled, ==, 1);
    CHECK_INT(stats().longest_turn, >, 0);
    rp_loop_free(loop);
}

/* The clock is read after a wait: what was waited for is due in the same turn. */
TEST(a_timer_takes_one_turn)
{
    rp_timer timer = {0};

    make_loop();
    CHECK_INT(rp_call_later(loop, &timer, RP_MSEC(2), stop, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().turns, ==, 1);
    rp_loop_free(loop);
}

static int spins;

static void spin(void *arg)
{
    if (--spins == 0)
        stop(arg);
    else
        CHECK_INT(rp_call_soon(loop, NULL, spin, NULL), ==, 0);
}

/* A loop that only calls back does not enter the kernel (test_epoll.c has the one that has operations, too). */
TEST(kernel_entries)
{
    rp_op ops[10];
    char byte;
    int fds[2];

    make_loop();
    unix_pair(fds);
    spins = 100;
    CHECK_INT(rp_call_soon(loop, NULL, spin, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().turns, ==, 100);
    CHECK_INT(stats().kernel_entries, ==, 0);
    if (on_uring()) {
        for (int i = 0; i < 10; i++) {
            rp_op_recv(&ops[i], fds[0], &byte, 1, 0, NULL, NULL);
            CHECK_INT(rp_submit(loop, &ops[i]), ==, 0);
        }
        CHECK_INT(stats().kernel_entries, ==, 0);
        run_turns(1);
        CHECK_INT(stats().kernel_entries, ==, 1); /* all at once */
        spins = 100;
        CHECK_INT(rp_call_soon(loop, NULL, spin, NULL), ==, 0);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK_INT(stats().kernel_entries, ==, 1); /* they wait in the kernel at no cost */
    }
    rp_loop_free(loop);
    close_pair(fds);
}

static void recv_again(rp_op *op)
{
    CHECK_INT(op->result, ==, 1);
    if (--spins == 0) {
        stop(NULL);
        return;
    }
    CHECK_INT(write(*(int *)op->data, "x", 1), ==, 1);
    CHECK_INT(rp_submit(loop, op), ==, 0);
}

TEST(one_entry_a_turn)
{
    static char byte;
    int fds[2];
    rp_op op;

    if (!on_uring())
        return;
    make_loop();
    unix_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    rp_op_recv(&op, fds[0], &byte, 1, 0, recv_again, &fds[1]);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    spins = 100;
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().kernel_entries, ==, 100); /* submit and wait, a hundred times */
    CHECK_INT(stats().turns, ==, 100);
    rp_loop_free(loop);
    close_pair(fds);
}

/* ---- close ---- */

static void must_not_run(void *arg)
{
    (void)arg;
    CHECK(false);
}

static void must_not_be_ready(rp_fd fd, void *arg)
{
    (void)fd;
    must_not_run(arg);
}

static void must_not_complete(rp_op *op)
{
    (void)op;
    CHECK(false);
}

TEST(close_with_everything_scheduled)
{
    static char byte;
    rp_handle handle = {0}, from_thread = {0};
    rp_timer timer = {0}, never = {0};
    rp_future *future;
    rp_done_callback done = {0};
    int fds[2];
    rp_op ops[2];

    make_loop();
    rp_set_debug(loop, true);
    unix_pair(fds);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_call_soon(loop, i ? &handle : NULL, must_not_run, NULL), ==, 0);
        CHECK_INT(rp_call_soon_threadsafe(loop, i ? &from_thread : NULL, must_not_run, NULL), ==, 0);
        CHECK_INT(rp_call_later(loop, i ? &timer : NULL, 0, must_not_run, NULL), ==, 0);
        CHECK_INT(rp_call_at(loop, i ? &never : NULL, RP_NEVER, must_not_run, NULL), ==, 0);
    }
    rp_op_recv(&ops[0], fds[0], &byte, 1, 0, must_not_complete, NULL);
    rp_op_nop(&ops[1], must_not_complete, NULL);
    CHECK_INT(rp_submit(loop, &ops[0]), ==, 0);
    CHECK_INT(rp_submit(loop, &ops[1]), ==, 0);
    CHECK_INT(rp_add_reader(loop, fds[0], must_not_be_ready, NULL), ==, 0);
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
    CHECK_INT(rp_future_add_done_callback(future, &done, (rp_future_callback *)(void *)must_not_run, NULL), ==, 0);
    rp_future_unref(future);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK(!rp_handle_scheduled(&handle));
    CHECK(!rp_handle_scheduled(&from_thread));
    CHECK(!rp_timer_scheduled(&timer));
    CHECK(!rp_timer_scheduled(&never));
    CHECK(!rp_handle_cancel(&handle));
    rp_loop_free(loop);
    close_pair(fds);
}

/* ---- fork ---- */

#ifndef _WIN32
static void fork_in_callback(void *arg)
{
    rp_loop *other;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        CHECK(rp_get_running_loop() == NULL);
        CHECK_INT(rp_call_soon(loop, NULL, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_run_forever(loop), ==, RP_EFORK);
        CHECK_INT(rp_loop_close(loop), ==, RP_EFORK);
        CHECK_INT(rp_loop_new(NULL, &other), ==, 0);
        rp_loop_stop(other);
        CHECK_INT(rp_run_forever(other), ==, 0);
        rp_loop_free(other);
        _exit(42);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    stop(arg);
}

TEST(fork_refused)
{
    rp_future *future, *waiting;
    rp_handle handle = {0};
    char byte;
    int fds[2], status;
    rp_op op, nop;

    make_loop();
    unix_pair(fds);
    CHECK_INT(rp_add_reader(loop, fds[0], note_ready, "r"), ==, 0);
    rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
    CHECK_INT(rp_submit(loop, &op), ==, 0);
    CHECK_INT(rp_future_new(loop, &waiting), ==, 0);
    run_turns(2);
    pid_t pid = fork();
    if (pid == 0) {
        rp_op_nop(&nop, NULL, NULL);
        CHECK_INT(rp_submit(loop, &nop), ==, RP_EFORK);
        rp_cancel(loop, &op);
        CHECK_INT(rp_call_soon(loop, &handle, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_call_soon_threadsafe(loop, NULL, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_call_later(loop, NULL, 0, note, "x"), ==, RP_EFORK);
        CHECK_INT(rp_add_reader(loop, fds[0], note_ready, "x"), ==, RP_EFORK);
        CHECK_INT(rp_remove_reader(loop, fds[0]), ==, RP_EFORK);
        CHECK_INT(rp_future_new(loop, &future), ==, RP_EFORK);
        CHECK_INT(rp_run_forever(loop), ==, RP_EFORK);
        CHECK_INT(rp_run_until_complete(loop, waiting), ==, RP_EFORK);
        rp_future_unref(waiting);
        CHECK_INT(rp_loop_close(loop), ==, 0);
        rp_loop_free(loop);
        _exit(42);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_INT(rp_call_soon(loop, NULL, fork_in_callback, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(stats().operations_in_flight, ==, 2); /* the children have harmed nothing */
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    while (strchr(trace, 'r') == NULL)
        run_turns(1);
    CHECK_INT(read(fds[0], &byte, 1), ==, 1);
    rp_future_unref(waiting);
    rp_loop_free(loop);
    close_pair(fds);
}

static int exit_status(pid_t pid)
{
    int status;

    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Whoever held the loop's lock when the process was forked does not keep the child from its copies. */
TEST(a_child_takes_its_copy_of_what_was_posted_back)
{
    rp_handle handle = {0};
    int status;

    test_need_locks_after_fork();
    make_loop();
    CHECK_INT(rp_call_soon_threadsafe(loop, &handle, note, "p"), ==, 0);
    rp_mutex_lock(&loop->mutex);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        CHECK(rp_handle_cancel(&handle));
        CHECK(!rp_handle_scheduled(&handle));
        rp_loop_free(loop);
        _exit(42);
    }
    rp_mutex_unlock(&loop->mutex);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 42);
    run_turns(1);
    CHECK_STR(trace, "p");
    rp_loop_free(loop);
}

static pid_t child;
static bool with_loop_of_its_own;

static void free_in_child(void *arg)
{
    rp_loop *own;

    child = fork();
    if (child != 0) {
        rp_loop_stop(loop);
        return;
    }
    CHECK_INT(rp_loop_close(loop), ==, RP_EFORK);
    rp_loop_free(loop);
    if (with_loop_of_its_own) {
        CHECK_INT(rp_loop_new(NULL, &own), ==, 0);
        CHECK_INT(rp_call_soon(own, NULL, note, arg), ==, 0);
        rp_loop_stop(own);
        CHECK_INT(rp_run_forever(own), ==, 0);
        rp_loop_free(own);
    }
    CHECK_INT(rp_call_soon(loop, NULL, note, "x"), ==, RP_EFORK); /* it is there yet */
}

/* The child ends with its heap looked over: the copy of the loop is freed once, and wholly. */
TEST(a_child_frees_the_loop_in_the_callback_that_forked)
{
    for (int i = 0; i < 2; i++) {
        with_loop_of_its_own = i == 1;
        make_loop();
        CHECK_INT(rp_call_soon(loop, NULL, free_in_child, "c"), ==, 0);
        CHECK_INT(rp_call_soon(loop, NULL, note, "p"), ==, 0);
        int rc = rp_run_forever(loop);
        if (child == 0) {
            CHECK_INT(rc, ==, RP_EFORK);
            CHECK_STR(trace, with_loop_of_its_own ? "c" : "");
            CHECK_INT(test_live_allocations(), ==, 0);
            _exit(42);
        }
        CHECK_INT(rc, ==, 0);
        CHECK_INT(exit_status(child), ==, 42);
        rp_loop_free(loop);
    }
}

static void *fork_elsewhere(void *arg)
{
    (void)arg;
    child = fork();
    if (child == 0) {
        rp_loop_free(loop);
        CHECK_INT(test_live_allocations(), ==, 0);
        _exit(42);
    }
    rp_call_soon_threadsafe(loop, NULL, stop, NULL);
    return NULL;
}

/* The run is on the stack of a thread that the child does not have. */
TEST(a_child_of_another_thread_frees_the_loop)
{
    pthread_t thread;

    make_loop();
    CHECK_INT(pthread_create(&thread, NULL, fork_elsewhere, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_INT(exit_status(child), ==, 42);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_child_takes_its_copy_of_what_was_posted_back, "Windows has no fork()");
TEST_ABSENT(a_child_frees_the_loop_in_the_callback_that_forked, "Windows has no fork()");
TEST_ABSENT(a_child_of_another_thread_frees_the_loop, "Windows has no fork()");
TEST_ABSENT(fork_refused, "Windows has no fork()");
#endif

static void count_reports(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    CHECK(owner == loop);
    CHECK_INT(context->error, ==, RP_ERUNNING);
    ++*(int *)arg;
}

static void free_running(void *arg)
{
    (void)arg;
    rp_loop_free(loop);
    CHECK(!rp_loop_is_closed(loop));
    CHECK_INT(rp_call_soon(loop, NULL, stop, NULL), ==, 0);
}

TEST(a_running_loop_is_not_freed)
{
    int reports = 0;

    make_loop();
    rp_set_exception_handler(loop, count_reports, &reports);
    CHECK_INT(rp_call_soon(loop, NULL, free_running, NULL), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(reports, ==, 1);
    rp_loop_free(loop);
}

/* ---- memory ---- */

/* What a backend finds missing when it watches is told later. */
static void note_error(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    (void)owner;
    *(int *)arg = context->error;
}

TEST(allocations_fail)
{
    bool failed = true;
    int fds[2];

    unix_pair(fds);
    for (uint64_t nth = 1; failed; nth++) {
        test_fail_allocation(nth);
        int rc = rp_loop_new(NULL, &loop);
        if (rc == 0) {
            rp_set_exception_handler(loop, note_error, &rc);
            rc = rp_call_soon(loop, NULL, note, "");
            if (rc == 0)
                rc = rp_call_later(loop, NULL, 0, note, "");
            if (rc == 0)
                rc = rp_call_soon_threadsafe(loop, NULL, note, "");
            if (rc == 0)
                rc = rp_add_reader(loop, fds[0], note_ready, "");
            if (rc == 0)
                run_turns(1);
            rp_loop_free(loop);
        }
        failed = test_allocation_failed();
        CHECK_INT(rc, ==, failed ? -ENOMEM : 0);
        test_fail_allocation(0);
    }
    close_pair(fds);
}
