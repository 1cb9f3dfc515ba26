/*
 * test_stream_tls.c - streams over TLS, and TLS that begins on open streams: what has been read ahead, who is busy
 * meanwhile, half-closes, and what a failure, a cancellation or the loop's end leaves. The engine is a toy, so that
 * tests can be the peer by hand.
 */
#include "harness/co_test.h"
#include "harness/files.h"
#include "harness/streams.h"
#include "harness/tasks.h"
#include "harness/toy_engine.h"
#include "stream/stream.h"

enum { LARGE = 1 << 20 };

/* ---- the peer, by hand ---- */

/* The type of the next record that comes, with its text. */
static int hear_record(rp_co *co, int fd, char *text)
{
    static char plain[TOY_PLAIN];
    unsigned char header[TOY_HEADER];
    size_t length, got = 0;

    for (size_t i = 0; i < TOY_HEADER; i++)
        CHECK_INT(wire_await_in(co, fd, header + i, 1), ==, 1);
    length = (size_t)header[1] << 8 | header[2];
    while (got < length) {
        ssize_t n = wire_await_in(co, fd, plain + got, length - got);

        CHECK_INT(n, >, 0);
        got += (size_t)n;
    }
    for (size_t i = 0; text && i < length; i++)
        text[i] = (char)~plain[i];
    if (text)
        text[length] = '\0';
    return header[0];
}

/* Only the end is left, or a reset. */
static bool hears_end(rp_co *co, int fd)
{
    char byte;
    ssize_t n;

    while ((n = wire_await_in(co, fd, &byte, 1)) > 0)
        ;
    return n == 0 || errno == ECONNRESET;
}

/* ---- a stream that begins TLS ---- */

typedef struct beginner {
    rp_stream *stream;
    rp_tls_options options;
    int result;
    bool done;
} beginner;

static int begin_in_task(rp_co *co, void *arg)
{
    beginner *b = arg;

    b->result = rp_start_tls(co, b->stream, toy_context(), &b->options);
    b->done = true;
    return b->result;
}

static rp_task *begin_tls(rp_co *co, beginner *b, bool server)
{
    rp_task *task;

    b->options = (rp_tls_options){.server_side = server, .server_name = server ? NULL : "peer.test"};
    CHECK_INT(rp_create_task(&task, begin_in_task, b), ==, 0);
    wire_settle_in(co);
    return task;
}

/* The peer's part, as a client. */
static void shake_as_client(rp_co *co, int there)
{
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_HELLO);
    toy_send(there, TOY_FINISHED, "");
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_TICKET);
}

/* A stream over TLS, as a server, with the test as its client. */
static rp_stream *open_secure(rp_co *co, int *there)
{
    beginner b = {.stream = open_stream(co, there)};
    rp_task *task = begin_tls(co, &b, true);

    toy_send(*there, TOY_HELLO, "");
    shake_as_client(co, *there);
    CHECK_INT(rp_join(co, task), ==, 0);
    return b.stream;
}

CO_TEST(what_was_read_ahead_is_the_handshakes)
{
    beginner b = {0};
    char bytes[200], line[20];
    int there;
    size_t length = 9;
    rp_task *task;

    b.stream = open_stream(co, &there);
    memcpy(bytes, "STARTTLS\n", 9);
    length += toy_record(bytes + length, TOY_HELLO, "hello", 5);
    CHECK_INT(send(there, bytes, length, MSG_NOSIGNAL), ==, (ssize_t)length);
    CHECK_INT(rp_stream_read_line(co, b.stream, line, sizeof line), ==, 9);
    CHECK_INT(rp_stream_buffered(b.stream), ==, TOY_HEADER + 5);
    CHECK_INT(rp_stream_write(co, b.stream, "go on\n", 6), ==, 0);
    task = begin_tls(co, &b, true);
    for (int i = 0; i < 6; i++)
        CHECK_INT(wire_await_in(co, there, bytes + i, 1), ==, 1);
    CHECK(memcmp(bytes, "go on\n", 6) == 0);
    shake_as_client(co, there);
    toy_send(there, TOY_DATA, "secret");
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(rp_stream_buffered(b.stream), ==, 0);
    CHECK_INT(rp_stream_read(co, b.stream, bytes, sizeof bytes), ==, 6);
    CHECK(memcmp(bytes, "secret", 6) == 0);
    CHECK_INT(rp_stream_write(co, b.stream, "answer", 6), ==, 0);
    CHECK_INT(hear_record(co, there, bytes), ==, TOY_DATA);
    CHECK_STR(bytes, "answer");
    rp_stream_free(b.stream);
    close(there);
}

CO_TEST(meanwhile_the_stream_is_busy)
{
    beginner b = {0}, again = {0};
    char byte = 'x';
    int there;
    rp_task *task;

    b.stream = again.stream = open_stream(co, &there);
    task = begin_tls(co, &b, false);
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_HELLO);
    CHECK_STR(toy_engines()->client_name, "peer.test");
    CHECK_INT(rp_stream_read(co, b.stream, &byte, 1), ==, -EBUSY);
    CHECK_INT(rp_stream_write(co, b.stream, &byte, 1), ==, -EBUSY);
    CHECK_INT(rp_stream_write_eof(b.stream), ==, -EBUSY);
    CHECK_INT(rp_start_tls(co, again.stream, toy_context(), NULL), ==, -EBUSY);
    CHECK(!rp_stream_is_closing(b.stream));
    CHECK(!b.done);
    toy_send(there, TOY_HELLO, "");
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(rp_stream_write(co, b.stream, &byte, 1), ==, 0);
    rp_stream_free(b.stream);
    close(there);
}

static int end_reader(rp_co *co, void *arg)
{
    reader *r = arg;

    read_in_task(co, r);
    return 0;
}

CO_TEST(a_reader_keeps_tls_from_beginning)
{
    char byte;
    reader r = {.buffer = &byte, .length = 1, .how = SOMETHING};
    rp_tls_options options = {.server_side = true};
    rp_task *task;
    int there;

    r.stream = open_stream(co, &there);
    CHECK_INT(rp_create_task(&task, end_reader, &r), ==, 0);
    wire_settle_in(co);
    CHECK_INT(rp_start_tls(co, r.stream, toy_context(), &options), ==, -EBUSY);
    say(there, "x");
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(r.result, ==, 1);
    rp_stream_free(r.stream);
    close(there);
}

CO_TEST(nonsense_is_refused_and_the_stream_goes_on)
{
    rp_tls_options negative = {.server_side = true, .handshake_timeout = -1};
    char byte;
    int there;
    rp_stream *stream = open_stream(co, &there);

    CHECK_INT(rp_start_tls(NULL, stream, toy_context(), NULL), ==, RP_ENOTASK);
    CHECK_INT(rp_start_tls(co, stream, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_start_tls(co, stream, toy_context(), NULL), ==, -EINVAL);
    CHECK_INT(rp_start_tls(co, stream, toy_context(), &negative), ==, -EINVAL);
    toy_engines()->make_error = -ENOMEM;
    CHECK_INT(rp_start_tls(co, stream, toy_context(), &(rp_tls_options){.server_side = true}), ==, -ENOMEM);
    toy_engines()->make_error = 0;
    say(there, "x");
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, 1);
    CHECK_INT(rp_stream_write(co, stream, &byte, 1), ==, 0);
    CHECK_INT(wire_await_in(co, there, &byte, 1), ==, 1);
    rp_stream_close(stream);
    CHECK_INT(rp_start_tls(co, stream, toy_context(), &negative), ==, -EPIPE);
    rp_stream_free(stream);
    close(there);
}

CO_TEST(a_handshake_that_fails_closes_the_stream_and_tells_why)
{
    rp_tls_failure failure;
    rp_tls_options options = {.server_side = true, .failure = &failure};
    char byte;
    int there;
    rp_stream *stream = open_stream(co, &there);

    toy_engines()->refuses = RP_ETLS_NO_CERTIFICATE;
    toy_send(there, TOY_HELLO, "");
    CHECK_INT(rp_start_tls(co, stream, toy_context(), &options), ==, RP_ETLS_NO_CERTIFICATE);
    CHECK_STR(failure.text, "it is a toy");
    CHECK_INT(failure.alert, ==, -1);
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_ALERT);
    CHECK(hears_end(co, there));
    CHECK(rp_stream_is_closing(stream));
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, RP_ETLS_NO_CERTIFICATE);
    CHECK_INT(rp_stream_write(co, stream, &byte, 1), ==, RP_ETLS_NO_CERTIFICATE);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, RP_ETLS_NO_CERTIFICATE);
    rp_stream_free(stream);
    close(there);
}

/* Whatever it waits for: turn by turn. */
CO_TEST(a_cancelled_handshake_closes_the_stream)
{
    for (int turns = 0; turns < 6; turns++) {
        beginner b = {.options = {.server_side = true}};
        char byte;
        rp_task *task;
        int there;

        b.stream = open_stream(co, &there);
        CHECK_INT(rp_create_task(&task, begin_in_task, &b), ==, 0);
        for (int i = 0; i < turns; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK(rp_task_cancel(task));
        CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
        if (b.done) { /* else it had not begun */
            CHECK_INT(b.result, ==, -ECANCELED);
            CHECK_INT(rp_stream_read(co, b.stream, &byte, 1), ==, -EPIPE);
            CHECK_INT(rp_stream_wait_closed(co, b.stream), ==, 0);
        }
        rp_stream_free(b.stream);
        CHECK(hears_end(co, there));
        close(there);
    }
}

static int wait_in_task(rp_co *co, void *arg)
{
    return rp_stream_wait_closed(co, arg);
}

CO_TEST(closing_or_freeing_the_stream_ends_the_handshake)
{
    for (int how = 0; how < 3; how++) {
        beginner b = {0};
        rp_task *task, *waiter;
        int there;

        b.stream = open_stream(co, &there);
        task = begin_tls(co, &b, true);
        CHECK_INT(rp_create_task(&waiter, wait_in_task, b.stream), ==, 0);
        wire_settle_in(co);
        if (how == 0)
            rp_stream_close(b.stream);
        else if (how == 1)
            rp_stream_abort(b.stream);
        else
            rp_stream_free(b.stream);
        CHECK_INT(rp_join(co, task), ==, -EPIPE);
        CHECK_INT(rp_join(co, waiter), ==, 0);
        CHECK(hears_end(co, there));
        if (how < 2)
            rp_stream_free(b.stream);
        close(there);
    }
}

/* The last record of the handshake and the end come together. */
CO_TEST(a_stream_may_be_lost_before_its_task_goes_on)
{
    beginner b = {0};
    char bytes[300];
    size_t length = 0;
    int there;
    rp_task *task;

    b.stream = open_stream(co, &there);
    task = begin_tls(co, &b, true);
    length += toy_record(bytes + length, TOY_HELLO, "", 0);
    length += toy_record(bytes + length, TOY_FINISHED, "", 0);
    length += toy_record(bytes + length, TOY_DATA, "last", 4);
    CHECK_INT(send(there, bytes, length, MSG_NOSIGNAL), ==, (ssize_t)length);
    shutdown(there, SHUT_WR);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(rp_stream_read(co, b.stream, bytes, sizeof bytes), ==, 4);
    CHECK_INT(rp_stream_read(co, b.stream, bytes, sizeof bytes), ==, RP_ETLS_TRUNCATED);
    rp_stream_free(b.stream);
    close(there);
}

/* Turn by turn: in the handshake, between its end and its task's next step, and after that. No peer is waited for. */
CO_TEST(an_aborted_stream_waits_for_nobody)
{
    for (int turns = 0; turns < 8; turns++) {
        beginner b = {0};
        int there;
        rp_task *task;

        b.stream = open_stream(co, &there);
        task = begin_tls(co, &b, true);
        toy_send(there, TOY_HELLO, "");
        toy_send(there, TOY_FINISHED, "");
        for (int i = 0; i < turns; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_stream_abort(b.stream);
        CHECK_INT(rp_join(co, task), ==, b.done && b.result == 0 ? 0 : -EPIPE);
        CHECK_INT(rp_stream_wait_closed(co, b.stream), ==, 0);
        CHECK(hears_end(co, there));
        rp_stream_free(b.stream);
        close(there);
    }
}

static int wait_for_ever(rp_co *co, void *arg)
{
    beginner *b = arg;

    b->options = (rp_tls_options){.server_side = true};
    return rp_start_tls(co, b->stream, toy_context(), &b->options);
}

static int leave_in_handshake(rp_co *co, void *arg)
{
    static beginner b;
    int *there = arg;
    rp_task *task;

    b.stream = open_stream(co, there);
    CHECK_INT(rp_create_task(&task, wait_for_ever, &b), ==, 0);
    wire_settle_in(co);
    rp_task_detach(task);
    return 0;
}

TEST(a_loop_may_end_in_the_handshake)
{
    rp_loop *loop = wire_loop();
    rp_task *task;
    int there;

    CHECK_INT(rp_loop_create_task(loop, &task, leave_in_handshake, &there), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, task), ==, 0);
    rp_future_unref(task);
    rp_loop_free(loop);
    CHECK_INT(toy_engines()->made, ==, toy_engines()->freed);
    close(there);
}

/* ---- over TLS ---- */

CO_TEST(half_a_connection_may_be_closed)
{
    char bytes[200];
    int there;
    rp_stream *stream = open_secure(co, &there);

    CHECK_INT(rp_stream_write(co, stream, "last", 4), ==, 0);
    CHECK_INT(rp_stream_write_eof(stream), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "more", 4), ==, -EPIPE);
    CHECK_INT(hear_record(co, there, bytes), ==, TOY_DATA);
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_CLOSE);
    toy_send(there, TOY_DATA, "answer");
    CHECK_INT(rp_stream_read(co, stream, bytes, sizeof bytes), ==, 6);
    toy_send(there, TOY_CLOSE, "");
    CHECK_INT(rp_stream_read(co, stream, bytes, sizeof bytes), ==, 0);
    CHECK(rp_stream_at_eof(stream));
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    CHECK(hears_end(co, there));
    rp_stream_free(stream);
    close(there);
}

CO_TEST(the_peers_half_may_be_closed_first)
{
    char bytes[200];
    int there;
    rp_stream *stream = open_secure(co, &there);

    toy_send(there, TOY_CLOSE, "");
    CHECK_INT(rp_stream_read(co, stream, bytes, sizeof bytes), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "answer", 6), ==, 0);
    CHECK_INT(hear_record(co, there, bytes), ==, TOY_DATA);
    CHECK_STR(bytes, "answer");
    rp_stream_free(stream);
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_CLOSE);
    CHECK(hears_end(co, there));
    close(there);
}

CO_TEST(a_line_that_is_cut_off_is_no_last_line)
{
    char line[100];
    int there;
    rp_stream *stream = open_secure(co, &there);

    toy_send(there, TOY_DATA, "whole\ncut");
    shutdown(there, SHUT_WR);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 6);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, RP_ETLS_TRUNCATED);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, RP_ETLS_TRUNCATED);
    rp_stream_free(stream);
    close(there);
}

/* Takes so many bytes of data from records: they are those of the stream from that place on. */
static void take_data(rp_co *co, int there, size_t total, uint64_t at)
{
    static char plain[TOY_PLAIN + 1];

    while (total > 0) {
        unsigned char header[TOY_HEADER];
        size_t length, got = 0;

        for (size_t i = 0; i < TOY_HEADER; i++)
            CHECK_INT(wire_await_in(co, there, header + i, 1), ==, 1);
        CHECK_INT(header[0], ==, TOY_DATA);
        length = (size_t)header[1] << 8 | header[2];
        CHECK_INT(length, <=, total);
        while (got < length) {
            ssize_t n = wire_await_in(co, there, plain + got, length - got);

            CHECK_INT(n, >, 0);
            got += (size_t)n;
        }
        for (size_t i = 0; i < length; i++)
            plain[i] = (char)~plain[i];
        CHECK(wire_same(plain, length, at));
        at += length;
        total -= length;
    }
}

CO_TEST(a_writer_waits_for_a_peer_that_does_not_read_and_a_cancelled_one_has_taken_its_bytes)
{
    writer first = {.length = 32 * LARGE}, second = {.length = LARGE, .at = 32 * LARGE};
    rp_task *one, *two;
    int there;

    first.stream = second.stream = open_secure(co, &there);
    CHECK_INT(rp_create_task(&one, write_in_task, &first), ==, 0);
    wire_settle_in(co);
    CHECK(!rp_future_done(one));
    CHECK_INT(rp_create_task(&two, write_in_task, &second), ==, 0);
    wire_settle_in(co);
    CHECK(rp_task_cancel(two));
    CHECK_INT(rp_join(co, two), ==, RP_EFUTCANCELED);
    CHECK_INT(second.result, ==, -ECANCELED);
    take_data(co, there, 33 * LARGE, 0);
    CHECK_INT(rp_join(co, one), ==, 0);
    rp_stream_free(first.stream);
    close(there);
}

CO_TEST(a_file_is_sent_by_reads_and_writes)
{
    int there, file = file_of(LARGE);
    rp_stream *stream = open_secure(co, &there);
    int64_t sent;

    CHECK_INT(rp_stream_sendfile(co, stream, file, 0, 1000, RP_SENDFILE_IN_KERNEL, &sent), ==, 1000);
    CHECK_INT(sent, ==, 1000);
    take_data(co, there, 1000, 0);
    CHECK_INT(rp_stream_sendfile(co, stream, file, 1000, 5000, 0, NULL), ==, 5000);
    take_data(co, there, 5000, 1000);
    rp_stream_free(stream);
    close(there);
    close(file);
}

CO_TEST(a_cancelled_reader_loses_nothing)
{
    char bytes[200];
    reader r = {.buffer = bytes, .length = 10, .how = EXACTLY};
    rp_task *task;
    int there;

    r.stream = open_secure(co, &there);
    CHECK_INT(rp_create_task(&task, read_in_task, &r), ==, 0);
    toy_send(there, TOY_DATA, "12345");
    wire_settle_in(co);
    cancel_and_join(co, task);
    CHECK_INT(r.result, ==, -ECANCELED);
    toy_send(there, TOY_DATA, "67890");
    CHECK_INT(rp_stream_read_exactly(co, r.stream, bytes, 10), ==, 10);
    CHECK(memcmp(bytes, "1234567890", 10) == 0);
    rp_stream_free(r.stream);
    close(there);
}

CO_TEST(a_cancelled_wait_for_the_end_leaves_it_to_come)
{
    rp_task *task;
    int there;
    rp_stream *stream = open_secure(co, &there);

    rp_stream_close(stream);
    CHECK_INT(rp_create_task(&task, wait_in_task, stream), ==, 0);
    wire_settle_in(co);
    CHECK(!rp_future_done(task)); /* the peer has not said that it ends */
    cancel_and_join(co, task);
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_CLOSE);
    toy_send(there, TOY_CLOSE, "");
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    close(there);
}

/* The limit that the options have, of rp_start_tls() and of connecting alike: both are handed on in the same way. */
CO_TEST(a_peer_that_never_says_its_end_has_so_much_time)
{
    rp_tls_options options = {.server_side = true, .shutdown_timeout = RP_MSEC(1)};
    int there;
    rp_stream *stream = open_stream(co, &there);

    toy_send(there, TOY_HELLO, "");
    toy_send(there, TOY_FINISHED, "");
    CHECK_INT(rp_start_tls(co, stream, toy_context(), &options), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, -ETIMEDOUT);
    CHECK(hears_end(co, there));
    rp_stream_free(stream);
    close(there);
}

/* ---- connecting and serving ---- */

static int answer(rp_co *co, rp_stream *stream, void *arg)
{
    char line[100];
    ssize_t n;

    ++*(int *)arg;
    while ((n = rp_stream_read_line(co, stream, line, sizeof line)) > 0)
        RP_TRY(rp_stream_write(co, stream, line, (size_t)n));
    return (int)n;
}

CO_TEST(a_handler_begins_after_the_handshake)
{
    rp_server_options options = {.tls = toy_context()};
    rp_connect_options client = {.tls = toy_context()};
    rp_server *server;
    rp_stream *stream;
    char line[100];
    int handlers = 0, silent;

    CHECK_INT(rp_start_server(co, &server, answer, &handlers, "127.0.0.1", 0, &options), ==, 0);
    silent = wire_connect(rp_server_port(server));
    while (rp_server_connections(server) == 0)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    wire_settle_in(co);
    CHECK_INT(handlers, ==, 0);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), &client), ==, 0);
    CHECK_STR(toy_engines()->client_name, "127.0.0.1");
    CHECK_INT(rp_stream_write(co, stream, "hello\n", 6), ==, 0);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 6);
    CHECK_INT(handlers, ==, 1);
    rp_stream_free(stream);
    rp_server_close(server);
    rp_server_close_clients(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    CHECK_INT(handlers, ==, 1);
    rp_server_free(server);
    close(silent);
}

static int begin_as_server(rp_co *co, rp_stream *stream, void *arg)
{
    char line[100];

    RP_TRY(rp_stream_read_line(co, stream, line, sizeof line));
    RP_TRY(rp_start_tls(co, stream, toy_context(), NULL));
    return answer(co, stream, arg);
}

/* As asyncio's StreamWriter.start_tls() has it. The handler is called once. */
CO_TEST(a_handlers_stream_begins_tls_as_a_server)
{
    rp_server *server;
    rp_stream *stream;
    char line[100];
    int handlers = 0;

    CHECK_INT(rp_start_server(co, &server, begin_as_server, &handlers, "127.0.0.1", 0, NULL), ==, 0);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), NULL), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "STARTTLS\n", 9), ==, 0);
    CHECK_INT(rp_start_tls(co, stream, toy_context(), &(rp_tls_options){.server_name = "x"}), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "hello\n", 6), ==, 0);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 6);
    CHECK_INT(handlers, ==, 1);
    rp_stream_free(stream);
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
}

/* A filter on a filter, as a proxy of HTTPS has it. The server counts it as one connection. */
CO_TEST(tls_may_go_through_tls)
{
    rp_server_options options = {.tls = toy_context()};
    rp_connect_options client = {.tls = toy_context()};
    rp_server *server;
    rp_stream *stream;
    char line[100];
    int handlers = 0;

    CHECK_INT(rp_start_server(co, &server, begin_as_server, &handlers, "127.0.0.1", 0, &options), ==, 0);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), &client), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "STARTTLS\n", 9), ==, 0);
    CHECK_INT(rp_start_tls(co, stream, toy_context(), &(rp_tls_options){.server_name = "within"}), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "hello\n", 6), ==, 0);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 6);
    CHECK_INT(rp_server_connections(server), ==, 1);
    CHECK_INT(toy_engines()->made, ==, 4);
    CHECK_INT(rp_stream_write_eof(stream), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, line, sizeof line), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
}

CO_TEST(unix_sockets_can_have_it_too)
{
    rp_server_options options = {.tls = toy_context()};
    rp_connect_options client = {.tls = toy_context()};
    char path[100], line[100];
    rp_server *server;
    rp_stream *stream;
    int handlers = 0;

    test_need_unix_sockets();
    snprintf(path, sizeof path, TEST_TMP "/ringport-test-tls-%d", (int)getpid());
    CHECK_INT(rp_start_unix_server(co, &server, answer, &handlers, path, &options), ==, 0);
    CHECK_INT(rp_open_unix_connection_with(co, &stream, path, &client), ==, -EINVAL);
    client.server_name = "unix.test";
    CHECK_INT(rp_open_unix_connection_with(co, &stream, path, &client), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "hello\n", 6), ==, 0);
    CHECK_INT(rp_stream_read_line(co, stream, line, sizeof line), ==, 6);
    rp_stream_free(stream);
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
}

static int connect_in_task(rp_co *co, void *arg)
{
    rp_connect_options options = {.tls = toy_context()};
    rp_stream *stream;

    return rp_open_connection(co, &stream, "127.0.0.1", *(int *)arg, &options);
}

CO_TEST(a_task_may_be_cancelled_in_the_handshake_of_its_connection)
{
    int port, listener = wire_listen(&port), there;
    rp_task *task;

    CHECK_INT(rp_create_task(&task, connect_in_task, &port), ==, 0);
    there = (int)rp_sock_accept(co, listener, NULL, NULL);
    CHECK_INT(there, >=, 0);
    CHECK_INT(hear_record(co, there, NULL), ==, TOY_HELLO);
    cancel_and_join(co, task);
    CHECK(hears_end(co, there));
    close(there);
    close(listener);
}
