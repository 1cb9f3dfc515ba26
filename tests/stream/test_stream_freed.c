/*
 * test_stream_freed.c - streams that are used after they were freed: in debug mode each use is reported and does
 * nothing, and the memory comes back when the loop closes.
 */
#include <stdio.h>

#include "harness/streams.h"
#include "harness/tasks.h"

/* What was reported of freed streams. Debug mode has other things to tell, such as that a callback took long. */
static int reports;
static char told[128];
static rp_future *told_of;

static void keep_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    if (strstr(context->message, "freed") == NULL)
        return;
    reports++;
    snprintf(told, sizeof told, "%s: %s", context->message, context->name != NULL ? context->name : "no name");
    told_of = context->future;
    CHECK_INT(context->error, ==, 0);
}

static void listen_to_reports(rp_co *co, bool debug)
{
    reports = 0;
    rp_set_debug(rp_co_loop(co), debug);
    rp_set_exception_handler(rp_co_loop(co), keep_report, NULL);
}

static void run(rp_coro *coro)
{
    CHECK_INT(rp_run(coro, NULL), ==, 0);
}

/* ---- each use ---- */

static char peer[64];

static void check_told(const char *function)
{
    char expected[sizeof told];

    snprintf(expected, sizeof expected, "%s() of a stream that was freed: %s", function, peer);
    CHECK_STR(told, expected);
    CHECK_INT(reports, ==, 1);
    CHECK(told_of == rp_current_task());
    reports = 0;
}

/* That a call gives this, and is reported once, by its name. */
#define USE(result, function, ...)                                                                                \
    do {                                                                                                          \
        CHECK(function(__VA_ARGS__) == (result));                                                                 \
        check_told(#function);                                                                                    \
    } while (0)

#define USE_VOID(function, ...)                                                                                   \
    do {                                                                                                          \
        function(__VA_ARGS__);                                                                                    \
        check_told(#function);                                                                                    \
    } while (0)

static void read_freed(rp_co *co, rp_stream *stream)
{
    char bytes[8192] = "untouched";

    USE(-EBADF, rp_stream_read, co, stream, bytes, sizeof bytes);
    USE(-EBADF, rp_stream_read, co, stream, bytes, 0);
    USE(-EBADF, rp_stream_peek, co, stream, bytes, 1);
    USE(-EBADF, rp_stream_peek, co, stream, bytes, SIZE_MAX);
    USE(-EBADF, rp_stream_read_exactly, co, stream, bytes, 1);
    USE(-EBADF, rp_stream_read_exactly, co, stream, bytes, sizeof bytes);
    USE(-EBADF, rp_stream_read_exactly, co, stream, bytes, SIZE_MAX);
    USE(-EBADF, rp_stream_read_until, co, stream, bytes, sizeof bytes, "\n", 1);
    USE(-EBADF, rp_stream_read_until, co, stream, bytes, sizeof bytes, "", 0);
    USE(-EBADF, rp_stream_read_line, co, stream, bytes, sizeof bytes);
    USE(-EBADF, rp_stream_read_line, co, stream, bytes, 0);
    USE(-EBADF, rp_stream_set_limit, stream, 10);
    USE(0, rp_stream_partial, stream);
    USE(0, rp_stream_buffered, stream);
    USE(true, rp_stream_at_eof, stream);
    CHECK_STR(bytes, "untouched");
}

static void write_freed(rp_co *co, rp_stream *stream)
{
    struct iovec vector = {.iov_base = "x", .iov_len = 1};

    USE(-EBADF, rp_stream_write, co, stream, "x", 1);
    USE(-EBADF, rp_stream_writev, co, stream, &vector, 1);
    USE(-EBADF, rp_stream_drain, co, stream);
    USE_VOID(rp_stream_cork, stream);
    USE(-EBADF, rp_stream_uncork, stream);
    USE(-EBADF, rp_stream_write_eof, stream);
}

static void use_freed(rp_co *co, rp_stream *stream)
{
    char text[64] = "untouched";

    CHECK_INT(reports, ==, 0);
    read_freed(co, stream);
    write_freed(co, stream);
    USE(-EBADF, rp_stream_wait_closed, co, stream);
    USE(true, rp_stream_is_closing, stream);
    USE(-EBADF, rp_stream_peername, stream, text, sizeof text);
    USE(-EBADF, rp_stream_sockname, stream, text, sizeof text);
    CHECK_STR(text, "untouched");
    USE(NULL, rp_stream_transport, stream);
    USE_VOID(rp_stream_close, stream);
    USE_VOID(rp_stream_abort, stream);
    USE_VOID(rp_stream_free, stream);
    USE_VOID(rp_stream_free, stream);
    CHECK_INT(rp_stream_read(NULL, stream, text, 1), ==, RP_ENOTASK); /* which comes first */
    CHECK_INT(reports, ==, 0);
}

static void name_peer(rp_stream *stream)
{
    CHECK_INT(rp_stream_peername(stream, peer, sizeof peer), ==, 0);
    CHECK(strstr(peer, "127.0.0.1:") == peer);
}

/* The usual end. */
static int use_closed(rp_co *co, void *arg)
{
    rp_stream *stream;
    int there;

    (void)arg;
    listen_to_reports(co, true);
    stream = open_stream(co, &there);
    name_peer(stream);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    use_freed(co, stream);
    rp_stream_free(NULL);
    CHECK_INT(reports, ==, 0);
    close(there);
    return 0;
}

/* With bytes that were read ahead, and a connection that is still there. */
static int use_connected(rp_co *co, void *arg)
{
    rp_stream *stream;
    char byte;
    int there;

    (void)arg;
    listen_to_reports(co, true);
    stream = open_stream(co, &there);
    name_peer(stream);
    CHECK_INT(send(there, "abc", 3, 0), ==, 3);
    CHECK_INT(rp_stream_peek(co, stream, &byte, 1), ==, 1);
    rp_stream_free(stream);
    use_freed(co, stream);
    settle(co);
    use_freed(co, stream);
    close(there);
    return 0;
}

static int use_lost(rp_co *co, void *arg)
{
    rp_stream *stream;
    char byte;
    int there;

    (void)arg;
    listen_to_reports(co, true);
    stream = open_stream(co, &there);
    name_peer(stream);
    close_with_reset(there);
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, -ECONNRESET);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, -ECONNRESET);
    rp_stream_free(stream);
    use_freed(co, stream);
    return 0;
}

TEST(each_use_of_a_freed_stream_is_refused_and_reported)
{
    run(use_closed);
    run(use_connected);
    run(use_lost);
}

CO_TEST(debug_mode_counts_when_the_stream_is_freed)
{
    rp_stream *stream;
    int there;

    listen_to_reports(co, false);
    stream = open_stream(co, &there);
    name_peer(stream);
    rp_set_debug(rp_co_loop(co), true);
    rp_stream_free(stream);
    rp_set_debug(rp_co_loop(co), false);
    use_freed(co, stream);
    close(there);
}

/* ---- handlers ---- */

static rp_stream *handled;
static bool frees_it;

static int handle(rp_co *co, rp_stream *stream, void *arg)
{
    (void)co;
    (void)arg;
    handled = stream;
    name_peer(stream);
    if (frees_it)
        rp_stream_free(stream);
    return 0;
}

static void be_served(rp_co *co, rp_server *server)
{
    int fd = wire_connect(rp_server_port(server));
    char byte;

    CHECK_INT(wire_await_in(co, fd, &byte, 1), ==, 0); /* the handler has returned */
    close(fd);
    settle(co);
}

CO_TEST(a_handlers_stream_is_freed_when_it_returns)
{
    rp_server *server;

    listen_to_reports(co, true);
    CHECK_INT(rp_start_server(co, &server, handle, NULL, "127.0.0.1", 0, NULL), ==, 0);
    be_served(co, server);
    use_freed(co, handled);
    frees_it = true;
    be_served(co, server);
    CHECK_INT(reports, ==, 1);
    reports = 0;
    use_freed(co, handled);
    rp_server_free(server);
}

/* ---- calls that began before ---- */

static ssize_t result_of_read;

static int read_one(rp_co *co, void *arg)
{
    char byte;

    result_of_read = rp_stream_read(co, arg, &byte, 1);
    return 0;
}

CO_TEST(a_call_that_began_before_the_stream_was_freed_is_not_reported)
{
    rp_stream *stream;
    rp_task *waiting;
    int there;

    listen_to_reports(co, true);
    stream = open_stream(co, &there);
    name_peer(stream);
    waiting = spawn(read_one, stream);
    settle(co);
    rp_stream_free(stream);
    use_freed(co, stream); /* never -EBUSY, though the reader has not woken up yet */
    CHECK_INT(rp_join(co, waiting), ==, 0);
    CHECK_INT(result_of_read, ==, -EPIPE);
    CHECK_INT(reports, ==, 0);
    use_freed(co, stream);
    close(there);
}

/* ---- a handler of exceptions that uses the stream itself ---- */

static void use_again(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    keep_report(loop, context, NULL);
    CHECK(rp_stream_is_closing(arg));
    CHECK_INT(rp_stream_write_eof(arg), ==, -EBADF);
}

CO_TEST(a_use_by_the_exception_handler_itself_is_not_reported)
{
    rp_stream *stream;
    int there;

    listen_to_reports(co, true);
    stream = open_stream(co, &there);
    name_peer(stream);
    rp_stream_free(stream);
    rp_set_exception_handler(rp_co_loop(co), use_again, stream);
    use_freed(co, stream);
    rp_set_exception_handler(rp_co_loop(co), keep_report, NULL);
    close(there);
}

/* ---- memory ---- */

#ifdef _WIN32
enum { CONNECTIONS = 300 }; /* TCP's, and Wine is slow */

static void cheap_pair(int fds[2])
{
    wire_pair(&fds[0], &fds[1]);
}
#else
enum { CONNECTIONS = 10000 };

static void cheap_pair(int fds[2])
{
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
}
#endif

static void connect_shortly(rp_co *co)
{
    rp_stream *stream;
    char byte = 'x';
    int fds[2];

    cheap_pair(fds);
    CHECK_INT(rp_stream_from_fd(co, &stream, fds[0]), ==, 0);
    CHECK_INT(send(fds[1], &byte, 1, 0), ==, 1);
    CHECK_INT(rp_stream_peek(co, stream, &byte, 1), ==, 1); /* so that it has memory for bytes */
    CHECK_INT(rp_stream_write(co, stream, &byte, 1), ==, 0);
    CHECK_INT(recv(fds[1], &byte, 1, 0), ==, 1);
    close(fds[1]);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
}

/* How many blocks so many connections leave. */
static int64_t blocks_left(rp_co *co, int connections)
{
    uint64_t before = test_live_allocations();

    for (int i = 0; i < connections; i++)
        connect_shortly(co);
    return (int64_t)(test_live_allocations() - before);
}

/* They are given back at the end: the harness counts them. */
CO_TEST(a_loop_in_debug_mode_keeps_of_many_connections_the_streams_alone)
{
    int64_t left;

    listen_to_reports(co, false);
    CHECK_INT(blocks_left(co, 1), >=, 0); /* what the loop makes once */
    CHECK_INT(blocks_left(co, 100), ==, 0);
    rp_set_debug(rp_co_loop(co), true);
    left = blocks_left(co, CONNECTIONS);
    CHECK_INT(left, >=, CONNECTIONS);
    CHECK_INT(left, <=, 2 * CONNECTIONS + 10); /* the stream and its name; and what the loop makes once */
    CHECK_INT(reports, ==, 0);
}
