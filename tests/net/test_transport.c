/*
 * test_transport.c - transports against plain sockets: receiving, writing, flow control, every way to end.
 */
#include <stdlib.h>

#include "loop/loop.h"
#include "harness/wire.h"

/* A protocol that keeps a record, and can be told to do something at an event. */
typedef struct record {
    rp_transport *transport;
    char *data;
    size_t length;
    size_t capacity;
    int made, eofs, lost, pauses, resumes;
    int error;
    bool keep_open;
    void (*on_data)(struct record *record);
    void (*on_resume)(struct record *record);
    void (*on_lost)(struct record *record);
    size_t buffer_size; /* for get_buffer */
    char buffer[4096];
} record;

static void made(void *self, rp_transport *transport)
{
    record *r = self;

    r->made++;
    r->transport = transport;
}

static void keep(record *r, const void *data, size_t length)
{
    CHECK_INT(r->made, ==, 1);
    CHECK_INT(r->eofs + r->lost, ==, 0);
    if (r->length + length > r->capacity) {
        r->capacity = 2 * (r->length + length);
        r->data = realloc(r->data, r->capacity);
    }
    memcpy(r->data + r->length, data, length);
    r->length += length;
    if (r->on_data)
        r->on_data(r);
}

static void received(void *self, const void *data, size_t length)
{
    CHECK_INT(length, >, 0);
    keep(self, data, length);
}

static bool eof(void *self)
{
    record *r = self;

    r->eofs++;
    return r->keep_open;
}

static void lost(void *self, int error)
{
    record *r = self;

    r->lost++;
    r->error = error;
    if (r->on_lost)
        r->on_lost(r);
}

static void paused(void *self)
{
    record *r = self;

    CHECK_INT(r->pauses, ==, r->resumes);
    r->pauses++;
}

static void resumed(void *self)
{
    record *r = self;

    r->resumes++;
    CHECK_INT(r->pauses, ==, r->resumes);
    if (r->on_resume)
        r->on_resume(r);
}

static void buffer(void *self, size_t hint, void **data, size_t *length)
{
    record *r = self;

    CHECK_INT(hint, >, 0);
    *data = r->buffer;
    *length = r->buffer_size;
}

static void updated(void *self, size_t length)
{
    record *r = self;

    CHECK(length > 0 && length <= r->buffer_size);
    keep(r, r->buffer, length);
}

static const rp_protocol plain = {.connection_made = made,
                                  .data_received = received,
                                  .eof_received = eof,
                                  .connection_lost = lost,
                                  .pause_writing = paused,
                                  .resume_writing = resumed};
static const rp_protocol buffered = {.connection_made = made,
                                     .get_buffer = buffer,
                                     .buffer_updated = updated,
                                     .eof_received = eof,
                                     .connection_lost = lost};

static const rp_protocol unheeded = {.connection_made = made, .get_buffer = buffer, .connection_lost = lost};

/* A transport of one end of a TCP connection; the other end is returned. */
static int start(rp_loop *loop, const rp_protocol *protocol, record *r)
{
    rp_transport *transport;
    int here, there;

    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(loop, here, protocol, r, &transport), ==, 0);
    CHECK_INT(r->made, ==, 1);
    CHECK(r->transport == transport);
    return there;
}

/* Reads all that comes, while the loop runs, until the end of the stream. */
static size_t drain(rp_loop *loop, int fd, int *error)
{
    static char chunk[65536];
    size_t total = 0;
    ssize_t n;

    for (;;) {
        n = wire_await(loop, fd, chunk, sizeof chunk);
        if (n <= 0)
            break;
        CHECK(wire_same(chunk, (size_t)n, total));
        total += (size_t)n;
    }
    *error = (int)n;
    return total;
}

static void write_bytes(rp_transport *transport, size_t length, uint64_t at)
{
    char *bytes = malloc(length);

    wire_fill(bytes, length, at);
    CHECK_INT(rp_transport_write(transport, bytes, length), ==, 0);
    free(bytes);
}

TEST(what_the_peer_sends_is_received_and_its_end_closes)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r);

    CHECK_INT(send(there, "hello", 5, 0), ==, 5);
    RUN_UNTIL(loop, r.length == 5);
    CHECK(memcmp(r.data, "hello", 5) == 0);
    close(there);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.eofs, ==, 1);
    CHECK_INT(r.error, ==, 0);
    free(r.data);
    rp_loop_free(loop);
}

TEST(what_a_protocol_has_no_callback_for_is_let_pass)
{
    static const rp_protocol deaf = {.connection_made = made, .connection_lost = lost};
    const rp_protocol *protocols[] = {&unheeded, &deaf};

    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        rp_loop *loop = wire_loop();
        record r = {.buffer_size = sizeof r.buffer};
        int there = start(loop, protocols[i], &r);

        CHECK_INT(send(there, "abc", 3, 0), ==, 3);
        wire_run(loop, RP_MSEC(10));
        CHECK_INT(r.lost, ==, 0);
        close(there);
        RUN_UNTIL(loop, r.lost == 1);
        CHECK_INT(r.length, ==, 0);
        rp_loop_free(loop);
    }
}

TEST(a_buffered_protocol_receives_into_its_own_buffer)
{
    static const size_t sizes[] = {1, 7, 1000, 4096};

    for (int i = 0; i < 4; i++) {
        rp_loop *loop = wire_loop();
        record r = {.buffer_size = sizes[i]};
        int there = start(loop, &buffered, &r);
        char bytes[5000];

        wire_fill(bytes, sizeof bytes, 0);
        CHECK_INT(send(there, bytes, sizeof bytes, 0), ==, sizeof bytes);
        close(there);
        RUN_UNTIL(loop, r.lost);
        CHECK_INT(r.length, ==, sizeof bytes);
        CHECK(wire_same(r.data, r.length, 0));
        free(r.data);
        rp_loop_free(loop);
    }
}

static void count_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    ++*(int *)arg;
}

TEST(an_empty_buffer_is_an_error)
{
    rp_loop *loop = wire_loop();
    record r = {.buffer_size = 0};
    int reports = 0, there = start(loop, &buffered, &r);

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(send(there, "x", 1, 0), ==, 1);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, -EINVAL);
    CHECK_INT(reports, ==, 1);
    close(there);
    rp_loop_free(loop);
}

TEST(after_a_half_close_writing_goes_on)
{
    rp_loop *loop = wire_loop();
    record r = {.keep_open = true};
    int error, there = start(loop, &plain, &r);

    CHECK_INT(send(there, "bye", 3, 0), ==, 3);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    RUN_UNTIL(loop, r.eofs);
    wire_run(loop, RP_MSEC(20));
    CHECK_INT(r.eofs, ==, 1);
    CHECK(!r.lost && !rp_transport_is_closing(r.transport));
    write_bytes(r.transport, 1000000, 0);
    rp_transport_close(r.transport);
    CHECK(rp_transport_is_closing(r.transport));
    CHECK_INT(drain(loop, there, &error), ==, 1000000);
    CHECK_INT(error, ==, 0);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, 0);
    close(there);
    free(r.data);
    rp_loop_free(loop);
}

TEST(our_half_close_comes_after_what_is_buffered)
{
    rp_loop *loop = wire_loop();
    record r = {.keep_open = true};
    int error, there = start(loop, &plain, &r);

    write_bytes(r.transport, 8000000, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), >, 0);
    CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
    CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
    CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, -EPIPE);
    CHECK_INT(drain(loop, there, &error), ==, 8000000);
    CHECK_INT(error, ==, 0);
    CHECK_INT(send(there, "still", 5, 0), ==, 5);
    RUN_UNTIL(loop, r.length == 5);
    CHECK(!r.lost);
    close(there);
    RUN_UNTIL(loop, r.eofs);
    rp_transport_close(r.transport);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}

TEST(half_close_of_an_idle_transport_is_seen_at_once)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r);
    char byte;

    CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
    CHECK_INT(recv(there, &byte, 1, 0), ==, 0);
    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

TEST(while_reading_is_paused_nothing_comes_and_the_peer_is_held_back)
{
    rp_loop *loop = wire_loop();
    record r = {.keep_open = true};
    int there = start(loop, &plain, &r);
    static char bytes[1 << 20];
    uint64_t sent = 0, blocked;
    ssize_t n;

    CHECK(rp_transport_is_reading(r.transport));
    rp_transport_pause_reading(r.transport);
    CHECK(!rp_transport_is_reading(r.transport));
    do {
        wire_fill(bytes, sizeof bytes, sent);
        n = send(there, bytes, sizeof bytes, MSG_DONTWAIT);
        sent += n > 0 ? (uint64_t)n : 0;
        wire_run(loop, RP_MSEC(5));
    } while (n > 0);
    CHECK_INT(r.length, ==, 0);
    blocked = sent;
    rp_transport_resume_reading(r.transport);
    RUN_UNTIL(loop, r.length == blocked);
    CHECK(wire_same(r.data, r.length, 0));
    wire_fill(bytes, 1000, sent);
    CHECK_INT(send(there, bytes, 1000, 0), ==, 1000);
    RUN_UNTIL(loop, r.length == blocked + 1000);
    CHECK(wire_same(r.data, r.length, 0));
    close(there);
    RUN_UNTIL(loop, r.eofs);
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}

static void pause_now(record *r)
{
    rp_transport_pause_reading(r->transport);
}

TEST(a_pause_inside_data_received_holds_at_once)
{
    rp_loop *loop = wire_loop();
    record r = {.on_data = pause_now, .buffer_size = 10};
    int there = start(loop, &buffered, &r);
    char bytes[100];

    wire_fill(bytes, sizeof bytes, 0);
    CHECK_INT(send(there, bytes, sizeof bytes, 0), ==, sizeof bytes);
    for (size_t i = 1; i <= 10; i++) {
        RUN_UNTIL(loop, r.length == 10 * i);
        wire_run(loop, RP_MSEC(5));
        CHECK_INT(r.length, ==, 10 * i);
        rp_transport_resume_reading(r.transport);
    }
    CHECK(wire_same(r.data, r.length, 0));
    close(there);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}

TEST(try_read_takes_what_is_there_while_paused)
{
    rp_loop *loop = wire_loop();
    record r = {.keep_open = true};
    int there = start(loop, &plain, &r);
    char bytes[16];
    int64_t n;

    rp_transport_pause_reading(r.transport);
    wire_run(loop, RP_MSEC(5));
    CHECK_INT(rp_transport_try_read(r.transport, bytes, sizeof bytes), ==, -EAGAIN);
    CHECK_INT(send(there, "abcdef", 6, 0), ==, 6);
    wire_run(loop, RP_MSEC(20));
    RUN_UNTIL(loop, (n = rp_transport_try_read(r.transport, bytes, 4)) != -EAGAIN);
    CHECK_INT(n, ==, 4);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 4), ==, 2);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 4), ==, -EAGAIN);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 0), ==, -EINVAL);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    wire_run(loop, RP_MSEC(20));
    RUN_UNTIL(loop, (n = rp_transport_try_read(r.transport, bytes, 4)) != -EAGAIN);
    CHECK_INT(n, ==, 0);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 4), ==, 0);
    rp_transport_resume_reading(r.transport);
    wire_run(loop, RP_MSEC(5));
    CHECK_INT(r.length + (size_t)r.eofs, ==, 0);
    rp_transport_close(r.transport);
    n = rp_transport_try_read(r.transport, bytes, 4);
    CHECK_INT(n, ==, -EPIPE);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(the_marks_are_those_of_asyncio)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r);
    size_t high, low;

    rp_transport_get_write_buffer_limits(r.transport, &high, &low);
    CHECK(high == 65536 && low == 16384);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, SIZE_MAX, 100), ==, 0);
    rp_transport_get_write_buffer_limits(r.transport, &high, &low);
    CHECK(high == 400 && low == 100);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 100, SIZE_MAX), ==, 0);
    rp_transport_get_write_buffer_limits(r.transport, &high, &low);
    CHECK(high == 100 && low == 25);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 10, 11), ==, -EINVAL);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 0, SIZE_MAX), ==, 0);
    rp_transport_get_write_buffer_limits(r.transport, &high, &low);
    CHECK(high == 0 && low == 0);
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

static void flow(size_t high, size_t low)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = start(loop, &plain, &r);
    uint64_t written = 0;

    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, high, low), ==, 0);
    /* The kernel may yet find room for more: until it is really full. */
    do {
        while (r.pauses == r.resumes) {
            write_bytes(r.transport, 10000, written);
            written += 10000;
        }
        CHECK_INT(rp_transport_get_write_buffer_size(r.transport), >, high);
        wire_run(loop, RP_MSEC(10));
    } while (r.pauses == r.resumes);
    int resumes = r.resumes;
    rp_transport_close(r.transport);
    CHECK_INT(drain(loop, there, &error), ==, written);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.resumes, ==, resumes + 1);
    close(there);
    rp_loop_free(loop);
}

TEST(writing_is_paused_above_the_high_mark_and_resumed_at_the_low_one)
{
    flow(SIZE_MAX, SIZE_MAX);
    flow(1000000, 0);
    flow(1000000, 1000000);
}

TEST(with_marks_of_zero_every_byte_that_waits_pauses)
{
    flow(0, 0);
}

static uint64_t written_more;

static void write_more(record *r)
{
    while (r->pauses == r->resumes) {
        if (r->pauses > 6) {
            rp_transport_close(r->transport);
            return;
        }
        write_bytes(r->transport, 1000000, written_more);
        written_more += 1000000;
    }
}

TEST(resume_writing_may_write_until_it_is_paused_again_and_close)
{
    rp_loop *loop = wire_loop();
    record r = {.on_resume = write_more};
    int error, there = start(loop, &plain, &r);
    size_t got;

    write_more(&r);
    got = drain(loop, there, &error);
    CHECK_INT(got, ==, written_more);
    CHECK_INT(r.pauses, >, 6);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(after_close_nothing_is_received)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r);

    write_bytes(r.transport, 20000000, 0);
    rp_transport_close(r.transport);
    CHECK_INT(send(there, "ignored", 7, 0), ==, 7);
    wire_run(loop, RP_MSEC(20));
    CHECK_INT(r.length, ==, 0);
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

static void abort_now(record *r)
{
    rp_transport_abort(r->transport);
}

TEST(resume_writing_may_abort)
{
    rp_loop *loop = wire_loop();
    record r = {.on_resume = abort_now};
    int error, there = start(loop, &plain, &r);

    write_bytes(r.transport, 9000000, 0);
    drain(loop, there, &error);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(writev_keeps_the_order_of_many_parts)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = start(loop, &plain, &r);
    static char bytes[3000][700];
    struct iovec vector[3000];

    wire_fill(bytes, sizeof bytes, 0);
    for (int i = 0; i < 3000; i++)
        vector[i] = (struct iovec){bytes[i], sizeof bytes[i]};
    CHECK_INT(rp_transport_writev(r.transport, vector, 0), ==, 0);
    CHECK_INT(rp_transport_writev(r.transport, vector, -1), ==, -EINVAL);
    CHECK_INT(rp_transport_writev(r.transport, vector, 3000), ==, 0);
    vector[0].iov_len = SIZE_MAX - 5;
    CHECK_INT(rp_transport_writev(r.transport, vector, 2), ==, -EINVAL);
    CHECK_INT(rp_transport_write(r.transport, NULL, 0), ==, 0);
    rp_transport_close(r.transport);
    CHECK_INT(drain(loop, there, &error), ==, sizeof bytes);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(close_flushes_megabytes_and_refuses_more)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = start(loop, &plain, &r);

    write_bytes(r.transport, 20000000, 0);
    rp_transport_close(r.transport);
    rp_transport_close(r.transport);
    CHECK_INT(r.lost, ==, 0);
    CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, -EPIPE);
    CHECK_INT(drain(loop, there, &error), ==, 20000000);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, 0);
    close(there);
    rp_loop_free(loop);
}

TEST(connection_lost_is_never_called_inside_close_or_abort)
{
    rp_loop *loop = wire_loop();

    for (int i = 0; i < 3; i++) {
        record r = {0};
        int there = start(loop, &plain, &r);

        if (i == 0)
            rp_transport_close(r.transport);
        else if (i == 1)
            rp_transport_abort(r.transport);
        else
            CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
        CHECK_INT(r.lost, ==, 0);
        RUN_UNTIL(loop, r.lost);
        wire_run(loop, RP_MSEC(5));
        CHECK_INT(r.lost, ==, 1);
        close(there);
    }
    rp_loop_free(loop);
}

TEST(close_of_an_idle_transport_sends_the_end_of_the_stream)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = start(loop, &plain, &r);

    wire_run(loop, RP_MSEC(5));
    rp_transport_close(r.transport);
    CHECK_INT(drain(loop, there, &error), ==, 0);
    CHECK_INT(error, ==, 0);
    CHECK_INT(r.lost, ==, 1);
    close(there);
    rp_loop_free(loop);
}

TEST(abort_resets_the_peer_and_drops_what_is_buffered)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = start(loop, &plain, &r);

    write_bytes(r.transport, 20000000, 0);
    rp_transport_abort(r.transport);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), ==, 0);
    CHECK_INT(r.lost, ==, 0);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, 0);
    CHECK_INT(drain(loop, there, &error), <, 20000000);
    CHECK_INT(error, ==, wire_reset());
    close(there);
    rp_loop_free(loop);
}

TEST(abort_after_close_gives_up_the_flush)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r);

    write_bytes(r.transport, 20000000, 0);
    rp_transport_close(r.transport);
    wire_run(loop, RP_MSEC(20));
    CHECK_INT(r.lost, ==, 0);
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

static void reset(int fd)
{
    struct linger linger = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

TEST(a_reset_by_the_peer_is_connection_lost_and_no_report)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int reports = 0, there = start(loop, &plain, &r);

    rp_set_exception_handler(loop, count_report, &reports);
    wire_run(loop, RP_MSEC(5));
    reset(there);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, -ECONNRESET);
    CHECK_INT(r.eofs + reports, ==, 0);
    rp_loop_free(loop);
}

TEST(a_reset_during_a_background_send_is_connection_lost)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r);

    rp_transport_pause_reading(r.transport);
    write_bytes(r.transport, 20000000, 0);
    wire_run(loop, RP_MSEC(10));
    reset(there);
    RUN_UNTIL(loop, r.lost);
    CHECK(r.error == -ECONNRESET || r.error == -EPIPE);
    rp_loop_free(loop);
}

/* The send may hear of it first, and the reader then sees what looks like an end. */
TEST(a_reset_during_a_background_send_is_no_end_of_the_stream)
{
    for (int i = 0; i < 20; i++) {
        rp_loop *loop = wire_loop();
        record r = {.keep_open = true};
        int there = start(loop, &plain, &r);

        write_bytes(r.transport, 8000000, 0);
        wire_run(loop, RP_MSEC(2));
        reset(there);
        RUN_UNTIL(loop, r.lost);
        CHECK(test_under_wine() || r.eofs == 0);
        CHECK(r.error == -ECONNRESET || r.error == -EPIPE);
        rp_loop_free(loop);
    }
}

TEST(writing_to_a_lost_peer_fails_and_is_connection_lost)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int rc, there = start(loop, &plain, &r);

    rp_transport_pause_reading(r.transport);
    reset(there);
    rc = rp_transport_write(r.transport, "x", 1);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    CHECK_INT(r.lost, ==, 0);
    CHECK(rp_transport_is_closing(r.transport));
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, rc);
    rp_loop_free(loop);
}

/* The loop has not heard of it yet. */
TEST(a_half_close_after_a_reset_by_the_peer_says_so)
{
    record r = {0};
    rp_loop *loop = wire_loop();
    int there = start(loop, &plain, &r);
    int rc;

    reset(there);
    rc = rp_transport_write_eof(r.transport);
    CHECK(rc == -ECONNRESET || (test_under_wine() && rc == 0));
    rp_transport_close(r.transport);
    RUN_UNTIL(loop, r.lost == 1);
    rp_loop_free(loop);
}

TEST(try_read_reports_a_reset_and_connection_lost_follows)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r);
    int64_t n;
    char byte;

    rp_transport_pause_reading(r.transport);
    wire_run(loop, RP_MSEC(5));
    reset(there);
    wire_run(loop, RP_MSEC(20));
    RUN_UNTIL(loop, (n = rp_transport_try_read(r.transport, &byte, 1)) != -EAGAIN);
    CHECK_INT(r.lost, ==, 0);
    CHECK_INT(n, ==, -ECONNRESET);
    CHECK_INT(rp_transport_try_read(r.transport, &byte, 1), ==, -ECONNRESET);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, -ECONNRESET);
    rp_loop_free(loop);
}

static void close_now(record *r)
{
    rp_transport_close(r->transport);
    rp_transport_resume_reading(r->transport);
    rp_transport_pause_reading(r->transport);
    rp_transport_abort(r->transport);
    CHECK_INT(rp_transport_write(r->transport, "x", 1), ==, -EPIPE);
}

TEST(every_call_is_safe_inside_data_received)
{
    rp_loop *loop = wire_loop();
    record r = {.on_data = close_now, .buffer_size = 2};
    int there = start(loop, &buffered, &r);

    CHECK_INT(send(there, "abcdef", 6, 0), ==, 6);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.length, ==, 2);
    CHECK_INT(r.lost, ==, 1);
    close(there);
    free(r.data);
    rp_loop_free(loop);
}

static void inspect(record *r)
{
    struct sockaddr_in address;
    uint32_t length = sizeof address;

    CHECK(rp_transport_is_closing(r->transport));
    CHECK_INT(rp_transport_peername(r->transport, (struct sockaddr *)&address, &length), ==, -EBADF);
    rp_transport_close(r->transport);
    rp_transport_abort(r->transport);
}

TEST(inside_connection_lost_the_transport_is_still_there)
{
    rp_loop *loop = wire_loop();
    record r = {.on_lost = inspect};
    int there = start(loop, &plain, &r);

    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

static void abort_at_once(void *self, rp_transport *transport)
{
    made(self, transport);
    rp_transport_abort(transport);
}

TEST(connection_made_may_abort)
{
    static const rp_protocol shy = {.connection_made = abort_at_once, .connection_lost = lost};
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &shy, &r);

    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

static void switch_protocol(record *r)
{
    static record second;

    CHECK(rp_transport_get_protocol(r->transport, NULL) == &plain);
    second.transport = r->transport;
    second.made = 1;
    rp_transport_set_protocol(r->transport, &plain, &second);
    r->on_lost = NULL;
    r->on_data = NULL;
    r->capacity = 0;
}

TEST(the_protocol_can_be_replaced)
{
    rp_loop *loop = wire_loop();
    record r = {.on_data = switch_protocol};
    int there = start(loop, &plain, &r);
    rp_transport *transport = r.transport;
    void *self;

    CHECK_INT(send(there, "a", 1, 0), ==, 1);
    RUN_UNTIL(loop, r.length == 1);
    CHECK_INT(send(there, "b", 1, 0), ==, 1);
    rp_transport_get_protocol(transport, &self);
    CHECK(self != &r);
    RUN_UNTIL(loop, ((record *)self)->length == 1);
    CHECK_INT(r.length, ==, 1);
    close(there);
    RUN_UNTIL(loop, ((record *)self)->lost);
    CHECK_INT(r.lost, ==, 0);
    free(r.data);
    free(((record *)self)->data);
    rp_loop_free(loop);
}

TEST(a_protocol_of_nothing_is_a_protocol)
{
    static const rp_protocol nothing = {0};
    rp_loop *loop = wire_loop();
    rp_transport *transport;
    int here, there;

    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &nothing, NULL, &transport), ==, 0);
    CHECK_INT(send(there, "abc", 3, 0), ==, 3);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    while (wire_read(there, &(char){0}, 1) == -EAGAIN)
        wire_run(loop, RP_MSEC(1));
    close(there);
    rp_loop_free(loop);
}

TEST(what_is_no_stream_socket_is_refused_and_stays_the_callers)
{
    rp_loop *loop = wire_loop();
    rp_transport *transport;
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int file = open(TEST_NULL, O_RDONLY | O_CLOEXEC), here, there, port, listener = wire_listen(&port);

    CHECK_INT(rp_connect_accepted_socket(loop, file, &plain, NULL, &transport), ==, -ENOTSOCK);
    CHECK_INT(rp_connect_accepted_socket(loop, datagram, &plain, NULL, &transport), ==, -EINVAL);
    CHECK_INT(rp_connect_accepted_socket(loop, -1, &plain, NULL, &transport), ==, -EBADF);
    CHECK_INT(rp_connect_accepted_socket(loop, listener, &plain, NULL, &transport), ==, -EINVAL);
    close(listener);
    wire_pair(&here, &there);
    test_fail_allocation(1);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &plain, NULL, &transport), ==, -ENOMEM);
    rp_loop_close(loop);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &plain, NULL, &transport), ==, RP_ECLOSED);
    close(here);
    close(there);
    close(datagram);
    close(file);
    rp_loop_free(loop);
}

TEST(options_and_names)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = start(loop, &plain, &r), on = 0;
    struct sockaddr_in address, other;
    uint32_t length = sizeof on;

    CHECK_INT(rp_transport_getsockopt(r.transport, IPPROTO_TCP, TCP_NODELAY, &on, &length), ==, 0);
    CHECK_INT(on, !=, 0);
    on = 0;
    CHECK_INT(rp_transport_setsockopt(r.transport, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), ==, 0);
    CHECK_INT(rp_transport_setsockopt(r.transport, IPPROTO_TCP, -1, &on, sizeof on), ==, -ENOPROTOOPT);
    length = sizeof address;
    CHECK_INT(rp_transport_peername(r.transport, (struct sockaddr *)&address, &length), ==, 0);
    length = sizeof other;
    CHECK_INT(getsockname(there, (struct sockaddr *)&other, &length), ==, 0);
    CHECK_INT(address.sin_port, ==, other.sin_port);
    CHECK_INT(rp_transport_sockname(r.transport, (struct sockaddr *)&address, &length), ==, 0);
    CHECK(rp_transport_get_loop(r.transport) == loop);
    CHECK_INT(rp_transport_fd(r.transport), >=, 0);
    CHECK(fcntl(rp_transport_fd(r.transport), F_GETFL) & O_NONBLOCK);
    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

TEST(a_loop_that_is_closed_frees_open_transports)
{
    rp_loop *loop = wire_loop();
    record a = {0}, b = {0}, c = {0};
    int there_a = start(loop, &plain, &a), there_b = start(loop, &plain, &b), there_c = start(loop, &plain, &c);
    int reports = 0;

    rp_set_exception_handler(loop, count_report, &reports);
    rp_set_debug(loop, true);
    write_bytes(a.transport, 20000000, 0);
    CHECK_INT(send(there_b, "x", 1, 0), ==, 1);
    wire_run(loop, RP_MSEC(5));
    rp_transport_close(c.transport);
    rp_loop_free(loop);
    CHECK_INT(a.lost + b.lost + c.lost, ==, 0);
    CHECK_INT(reports, ==, 2);
    close(there_a);
    close(there_b);
    close(there_c);
    free(b.data);
}

typedef struct left {
    record *records[3];
    bool close; /* the handler closes what it is told of, and what it is not */
    int reports;
} left;

static void look_at_all(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    left *l = arg;

    CHECK(rp_loop_is_closed(loop));
    l->reports++;
    for (int i = 0; i < 3; i++) {
        rp_transport *transport = l->records[i]->transport;
        struct sockaddr_in address;
        uint32_t length = sizeof address;

        CHECK(rp_transport_get_loop(transport) == loop);
        CHECK_INT(rp_transport_sockname(transport, (struct sockaddr *)&address, &length), ==, 0);
        CHECK_INT(address.sin_family, ==, AF_INET);
        CHECK(rp_transport_get_protocol(transport, NULL) == &plain);
        CHECK_INT(rp_transport_write(transport, "x", 1), <, 0);
        if (l->close) {
            rp_transport_resume_reading(transport);
            rp_transport_abort(transport);
        }
    }
    CHECK(context->transport == NULL || l->close || !rp_transport_is_closing(context->transport));
}

TEST(who_is_told_of_what_was_left_open_may_look_at_all_of_it)
{
    for (int closes = 0; closes < 2; closes++) {
        rp_loop *loop = wire_loop();
        record a = {0}, b = {0}, c = {0};
        int theres[] = {start(loop, &plain, &a), start(loop, &plain, &b), start(loop, &plain, &c)};
        left l = {.records = {&a, &b, &c}, .close = closes};

        rp_set_exception_handler(loop, look_at_all, &l);
        rp_set_debug(loop, true);
        CHECK_INT(send(theres[1], "x", 1, 0), ==, 1);
        rp_loop_free(loop);
        CHECK_INT(l.reports, ==, closes ? 1 : 3);
        for (int i = 0; i < 3; i++)
            close(theres[i]);
    }
}

TEST(a_write_that_finds_no_memory_takes_nothing_or_breaks_the_stream)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int reports = 0, there = start(loop, &plain, &r);
    static char bytes[20000000];

    rp_set_exception_handler(loop, count_report, &reports);
    test_fail_allocation(1);
    CHECK_INT(rp_transport_write(r.transport, bytes, sizeof bytes), ==, -ENOMEM);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, -ENOMEM);
    CHECK_INT(reports, ==, 1);
    close(there);
    rp_loop_free(loop);
}

TEST(reading_and_writing_allocate_nothing)
{
    rp_loop *loop = wire_loop();
    record r = {.buffer_size = sizeof r.buffer};
    int there = start(loop, &buffered, &r);
    uint64_t before = 0;
    char byte;

    r.data = malloc(1000);
    r.capacity = 1000;
    for (size_t i = 1; i <= 500; i++) {
        if (i == 3)
            before = test_allocations();
        CHECK_INT(send(there, "x", 1, 0), ==, 1);
        RUN_UNTIL(loop, r.length == i);
        CHECK_INT(rp_transport_write(r.transport, "y", 1), ==, 0);
        CHECK_INT(recv(there, &byte, 1, 0), ==, 1);
    }
    CHECK_INT(test_allocations(), ==, before);
    close(there);
    RUN_UNTIL(loop, r.lost);
    free(r.data);
    rp_loop_free(loop);
}
