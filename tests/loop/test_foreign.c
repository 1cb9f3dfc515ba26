/*
 * test_foreign.c - suspending calls with no coroutine, or with one that does not run: each is refused, and changes
 * nothing. And scopes that a task leaves open.
 */
#include <stdio.h>

#include "harness/tasks.h"
#include "harness/wire.h"

static rp_co *sleeping; /* the `co` of a task that waits */
static rp_event event;

static int sleeps(rp_co *co, void *arg)
{
    (void)arg;
    sleeping = co;
    return rp_event_wait(co, &event);
}

static int answer(void *arg)
{
    (void)arg;
    return 0;
}

static bool yes(void *arg)
{
    (void)arg;
    return true;
}

#define REFUSED(call) CHECK_INT(call, ==, RP_ENOTASK)

static void refuse_waits(rp_co *co, rp_future *pending)
{
    rp_as_completed *it;
    rp_op op;

    REFUSED(rp_await(co, pending));
    REFUSED(rp_shield(co, pending));
    REFUSED(rp_wait_for(co, pending, RP_SEC(1)));
    REFUSED(rp_wait_for(co, pending, 0));
    REFUSED(rp_gather(co, &pending, 1, NULL, 0));
    REFUSED(rp_wait(co, &pending, 1, RP_NEVER, RP_ALL_COMPLETED));
    REFUSED(rp_as_completed_begin(co, &it, &pending, 1, RP_NEVER));
    REFUSED(rp_join(co, rp_future_ref(pending)));
    REFUSED(rp_cancel_and_join(co, rp_future_ref(pending)));
    CHECK(!rp_future_done(pending));
    REFUSED(rp_sleep(co, 0));
    REFUSED(rp_sleep(co, RP_SEC(1)));
    REFUSED(rp_sleep_until(co, rp_monotonic()));
    rp_op_nop(&op, NULL, NULL);
    REFUSED(rp_op_await(co, &op));
    REFUSED(rp_to_thread(co, answer, NULL));
    REFUSED(rp_shutdown_default_executor_wait(co, 0));
}

static void refuse_calls_of_the_system(rp_co *co)
{
    char byte;

    REFUSED(rp_read(co, 0, &byte, 1, -1));
    REFUSED(rp_write(co, 0, &byte, 1, -1));
    REFUSED(rp_open(co, TEST_NULL, O_RDONLY, 0));
    REFUSED(rp_close(co, 12345));
    REFUSED(rp_fsync(co, 0, false));
    REFUSED(rp_recvfrom(co, 0, &byte, 1, 0, NULL, NULL));
    REFUSED(rp_sendto(co, 0, &byte, 1, 0, NULL, 0));
    REFUSED(rp_wait_child(co, 1));
    REFUSED(rp_poll_fd(co, 0, RP_POLL_IN));
    REFUSED(rp_wait_signal(co, SIGTERM));
}

static void refuse_synchronisation(rp_co *co)
{
    rp_event set;
    rp_lock lock;
    rp_condition condition;
    rp_semaphore semaphore;
    rp_barrier barrier;
    rp_queue queue;
    void *item;

    rp_event_init(&set);
    rp_event_set(&set);
    REFUSED(rp_event_wait(co, &event));
    REFUSED(rp_event_wait(co, &set));
    rp_lock_init(&lock);
    REFUSED(rp_lock_acquire(co, &lock));
    CHECK(!rp_lock_locked(&lock));
    rp_condition_init(&condition, NULL);
    REFUSED(rp_condition_acquire(co, &condition));
    REFUSED(rp_condition_wait(co, &condition));
    REFUSED(rp_condition_wait_for(co, &condition, yes, NULL));
    CHECK_INT(rp_condition_fini(&condition), ==, 0);
    rp_semaphore_init(&semaphore, 1);
    REFUSED(rp_semaphore_acquire(co, &semaphore));
    CHECK(!rp_semaphore_locked(&semaphore));
    CHECK_INT(rp_barrier_init(&barrier, 1), ==, 0);
    REFUSED(rp_barrier_wait(co, &barrier));
    rp_queue_init(&queue, 1);
    REFUSED(rp_queue_put(co, &queue, &queue));
    REFUSED(rp_queue_get(co, &queue, &item));
    REFUSED(rp_queue_join(co, &queue));
    CHECK_INT(rp_queue_size(&queue), ==, 0);
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

static void refuse_all(rp_co *co, rp_future *pending)
{
    refuse_waits(co, pending);
    refuse_calls_of_the_system(co);
    refuse_synchronisation(co);
}

static void call_from_callback(void *arg)
{
    refuse_all(sleeping, arg);
    refuse_all(NULL, arg);
}

CO_TEST(a_call_with_a_foreign_co_is_refused)
{
    rp_future *pending;
    rp_task *task;

    rp_event_init(&event);
    CHECK_INT(rp_future_new(rp_co_loop(co), &pending), ==, 0);
    task = spawn(sleeps, NULL);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    refuse_all(sleeping, pending);
    refuse_all(NULL, pending);
    CHECK_INT(rp_call_soon(rp_co_loop(co), NULL, call_from_callback, pending), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_event_set(&event); /* the one that sleeps is where it was */
    CHECK_INT(rp_join(co, task), ==, 0);
    rp_future_unref(pending);
}

/* ---- streams ---- */

/* Streams in each state, and servers, that no refused call may change. */
typedef struct network {
    rp_stream *buffered; /* has read ahead "line\nrest", and waits for no more */
    rp_stream *fresh;    /* "data" waits in its socket */
    rp_stream *ended;    /* its end was seen */
    rp_stream *closed;
    rp_server *server;        /* does not serve yet */
    rp_server *closed_server; /* and is gone */
    int fds[2];               /* connected, nobody's */
    int listener;
} network;

static int serve_nobody(rp_co *co, rp_stream *stream, void *arg)
{
    (void)co;
    (void)stream;
    (void)arg;
    return 0;
}

static void refuse_reads(rp_co *co, rp_stream *stream)
{
    char bytes[8192] = "untouched";

    REFUSED(rp_stream_read(co, stream, bytes, sizeof bytes));
    REFUSED(rp_stream_read(co, stream, bytes, 0));
    REFUSED(rp_stream_peek(co, stream, bytes, 4));
    REFUSED(rp_stream_peek(co, stream, bytes, SIZE_MAX));
    REFUSED(rp_stream_read_exactly(co, stream, bytes, 4));
    REFUSED(rp_stream_read_exactly(co, stream, bytes, sizeof bytes));
    REFUSED(rp_stream_read_exactly(co, stream, bytes, SIZE_MAX));
    REFUSED(rp_stream_read_until(co, stream, bytes, sizeof bytes, "\n", 1));
    REFUSED(rp_stream_read_until(co, stream, bytes, sizeof bytes, "", 0));
    REFUSED(rp_stream_read_line(co, stream, bytes, sizeof bytes));
    REFUSED(rp_stream_read_line(co, stream, bytes, 0));
    CHECK_STR(bytes, "untouched");
}

static void refuse_streams(rp_co *co, const network *n)
{
    rp_stream *const streams[] = {n->buffered, n->fresh, n->ended, n->closed};

    for (int i = 0; i < 4; i++) {
        struct iovec vector = {.iov_base = "x", .iov_len = 1};

        refuse_reads(co, streams[i]);
        REFUSED(rp_stream_write(co, streams[i], "x", 1));
        REFUSED(rp_stream_write(co, streams[i], "", 0));
        REFUSED(rp_stream_writev(co, streams[i], &vector, 1));
        REFUSED(rp_stream_drain(co, streams[i]));
        REFUSED(rp_stream_wait_closed(co, streams[i]));
    }
}

static void refuse_network(rp_co *co, const network *n)
{
    struct addrinfo *addresses = NULL;
    rp_stream *stream = NULL;
    rp_server *server = NULL;

    REFUSED(rp_getaddrinfo(co, &addresses, "127.0.0.1", "1", NULL));
    REFUSED(rp_open_connection(co, &stream, "127.0.0.1", 1, NULL));
    REFUSED(rp_open_unix_connection(co, &stream, TEST_TMP "/nobody"));
    REFUSED(rp_stream_from_fd(co, &stream, n->fds[0]));
    REFUSED(rp_start_server(co, &server, serve_nobody, NULL, "127.0.0.1", 0, NULL));
    REFUSED(rp_start_server(co, &server, NULL, NULL, "127.0.0.1", 0, NULL));
    REFUSED(rp_start_unix_server(co, &server, serve_nobody, NULL, TEST_TMP "/nobody", NULL));
    REFUSED(rp_start_server_fd(co, &server, serve_nobody, NULL, n->listener, NULL));
    REFUSED(rp_server_serve_forever(co, n->server));
    REFUSED(rp_server_wait_closed(co, n->server));
    REFUSED(rp_server_wait_closed(co, n->closed_server));
    CHECK(!rp_server_is_serving(n->server));
    CHECK(addresses == NULL && stream == NULL && server == NULL);
    refuse_streams(co, n);
}

static void refuse_network_in_callback(void *arg)
{
    refuse_network(sleeping, arg);
    refuse_network(NULL, arg);
}

static rp_stream *stream_with(rp_co *co, int *there, const char *text)
{
    rp_stream *stream;
    int here;

    wire_pair(&here, there);
    CHECK_INT(rp_stream_from_fd(co, &stream, here), ==, 0);
    CHECK_INT(send(*there, text, strlen(text), MSG_NOSIGNAL), ==, strlen(text));
    return stream;
}

static void check_streams(rp_co *co, const network *n, int there)
{
    char bytes[16];

    CHECK_INT(rp_stream_buffered(n->buffered), ==, 9);
    CHECK_INT(rp_stream_partial(n->buffered), ==, 0);
    CHECK_INT(rp_stream_read_line(co, n->buffered, bytes, sizeof bytes), ==, 5);
    CHECK_STR(bytes, "line\n");
    CHECK_INT(rp_stream_write(co, n->buffered, "y", 1), ==, 0);
    CHECK_INT(recv(there, bytes, sizeof bytes, 0), ==, 1);
    CHECK(bytes[0] == 'y');
    CHECK_INT(rp_stream_buffered(n->fresh), ==, 0);
    CHECK_INT(rp_stream_read_exactly(co, n->fresh, bytes, 4), ==, 4);
    CHECK(rp_stream_at_eof(n->ended));
    CHECK_INT(rp_stream_read(co, n->ended, bytes, 1), ==, 0);
    CHECK_INT(rp_stream_wait_closed(co, n->closed), ==, 0);
}

CO_TEST(a_call_on_a_stream_or_server_with_a_foreign_co_is_refused)
{
    network n;
    int there[4], port;
    char bytes[9];
    rp_task *task;

    rp_event_init(&event);
    task = spawn(sleeps, NULL);
    n.buffered = stream_with(co, &there[0], "line\nrest");
    CHECK_INT(rp_stream_peek(co, n.buffered, bytes, 9), ==, 9);
    n.fresh = stream_with(co, &there[1], "data");
    n.ended = stream_with(co, &there[2], "");
    close(there[2]);
    CHECK_INT(rp_stream_read(co, n.ended, bytes, 1), ==, 0);
    n.closed = stream_with(co, &there[3], "");
    rp_stream_close(n.closed);
    CHECK_INT(rp_stream_wait_closed(co, n.closed), ==, 0);
    wire_pair(&n.fds[0], &n.fds[1]);
    n.listener = wire_listen(&port);
    CHECK_INT(rp_start_server(co, &n.server, serve_nobody, NULL, "127.0.0.1", 0,
                              &(rp_server_options){.delay_start = true}),
              ==, 0);
    CHECK_INT(rp_start_server(co, &n.closed_server, serve_nobody, NULL, "127.0.0.1", 0, NULL), ==, 0);
    rp_server_close(n.closed_server);
    CHECK_INT(rp_server_wait_closed(co, n.closed_server), ==, 0);

    refuse_network(sleeping, &n);
    refuse_network(NULL, &n);
    CHECK_INT(rp_call_soon(rp_co_loop(co), NULL, refuse_network_in_callback, &n), ==, 0);
    settle(co);
    check_streams(co, &n, there[0]);

    rp_event_set(&event);
    CHECK_INT(rp_join(co, task), ==, 0);
    rp_stream_free(n.buffered);
    rp_stream_free(n.fresh);
    rp_stream_free(n.ended);
    rp_stream_free(n.closed);
    rp_server_free(n.server);
    rp_server_free(n.closed_server);
    close(n.fds[0]); /* still the caller's, as the listener is */
    close(n.fds[1]);
    close(n.listener);
    close(there[0]);
    close(there[1]);
    close(there[3]);
}

/* ---- scopes ---- */

static char told[128];

static void keep_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    snprintf(told, sizeof told, "%s: %s", context->message, context->name);
}

static rp_timeout open_timeout;
static rp_group open_group;

static int leaves_timeout(rp_co *co, void *arg)
{
    (void)arg;
    rp_timeout_begin(co, &open_timeout, RP_NEVER);
    return 0;
}

static int leaves_group(rp_co *co, void *arg)
{
    (void)arg;
    rp_group_begin(co, &open_group);
    return 0;
}

static int leaves_nothing(rp_co *co, void *arg)
{
    rp_timeout timeout;
    rp_group group;

    (void)arg;
    rp_group_begin(co, &group);
    rp_timeout_begin(co, &timeout, RP_SEC(1000));
    CHECK_INT(rp_timeout_end(co, &timeout, 0), ==, 0);
    return rp_group_end(co, &group, 0);
}

static int leave_scopes(rp_co *co, void *arg)
{
    rp_coro *const coros[] = {leaves_timeout, leaves_group, leaves_nothing};
    const char *const expected[] = {"a task ended in a timeout that it had begun, and not ended: careless",
                                    "a task ended in a group that it had begun, and not ended: careless", ""};

    rp_set_debug(rp_co_loop(co), arg != NULL);
    rp_set_exception_handler(rp_co_loop(co), keep_report, NULL);
    for (int i = 0; i < 3; i++) {
        rp_task *task = spawn(coros[i], NULL);

        told[0] = '\0';
        rp_task_set_name(task, "careless");
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_STR(told, arg != NULL ? expected[i] : "");
    }
    return 0;
}

TEST(debug_mode_reports_scopes_left_open)
{
    CHECK_INT(rp_run(leave_scopes, told), ==, 0);
    CHECK_INT(rp_run(leave_scopes, NULL), ==, 0);
}
