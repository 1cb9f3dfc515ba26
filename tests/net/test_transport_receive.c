/*
 * test_transport_receive.c - what a protocol is told of what comes: in a buffer of its own or not, while it pauses or
 * closes, or by try_read.
 */
#include <stdlib.h>

#include "loop/loop.h"
#include "harness/record.h"
#include "harness/reports.h"

static const rp_protocol without_updates = {
    .connection_made = record_made, .get_buffer = record_buffer, .connection_lost = record_lost};

TEST(what_the_peer_sends_is_received_and_its_end_closes)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);

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

TEST(what_a_protocol_has_no_callback_for_is_ignored)
{
    static const rp_protocol deaf = {.connection_made = record_made, .connection_lost = record_lost};
    const rp_protocol *protocols[] = {&without_updates, &deaf};

    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        rp_loop *loop = wire_loop();
        record r = {.buffer_size = sizeof r.buffer};
        int there = record_start(loop, protocols[i], &r);

        CHECK_INT(send(there, "abc", 3, 0), ==, 3);
        wire_settle(loop);
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
        int there = record_start(loop, &record_buffered, &r);
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

TEST(an_empty_buffer_is_an_error)
{
    rp_loop *loop = wire_loop();
    record r = {.buffer_size = 0};
    int reports = 0, there = record_start(loop, &record_buffered, &r);

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(send(there, "x", 1, 0), ==, 1);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, -EINVAL);
    CHECK_INT(reports, ==, 1);
    close(there);
    rp_loop_free(loop);
}

TEST(while_reading_is_paused_nothing_comes_and_the_peer_is_held_back)
{
    rp_loop *loop = wire_loop();
    record r = {.keep_open = true};
    int there = record_start(loop, &record_plain, &r);
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
        wire_settle(loop);
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
    int there = record_start(loop, &record_buffered, &r);
    char bytes[100];

    wire_fill(bytes, sizeof bytes, 0);
    CHECK_INT(send(there, bytes, sizeof bytes, 0), ==, sizeof bytes);
    for (size_t i = 1; i <= 10; i++) {
        RUN_UNTIL(loop, r.length == 10 * i);
        wire_settle(loop);
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
    int there = record_start(loop, &record_plain, &r);
    char bytes[16];
    int64_t n;

    rp_transport_pause_reading(r.transport);
    wire_settle(loop);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, sizeof bytes), ==, -EAGAIN);
    CHECK_INT(send(there, "abcdef", 6, 0), ==, 6);
    wire_settle(loop);
    RUN_UNTIL(loop, (n = rp_transport_try_read(r.transport, bytes, 4)) != -EAGAIN);
    CHECK_INT(n, ==, 4);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 4), ==, 2);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 4), ==, -EAGAIN);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 0), ==, -EINVAL);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    wire_settle(loop);
    RUN_UNTIL(loop, (n = rp_transport_try_read(r.transport, bytes, 4)) != -EAGAIN);
    CHECK_INT(n, ==, 0);
    CHECK_INT(rp_transport_try_read(r.transport, bytes, 4), ==, 0);
    rp_transport_resume_reading(r.transport);
    wire_settle(loop);
    CHECK_INT(r.length + (size_t)r.eofs, ==, 0);
    rp_transport_close(r.transport);
    n = rp_transport_try_read(r.transport, bytes, 4);
    CHECK_INT(n, ==, -EPIPE);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(after_close_nothing_is_received)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);

    record_write(&r, 20000000, 0);
    rp_transport_close(r.transport);
    CHECK_INT(send(there, "ignored", 7, 0), ==, 7);
    wire_settle(loop);
    CHECK_INT(r.length, ==, 0);
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(try_read_reports_a_reset_and_connection_lost_follows)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);
    int64_t n;
    char byte;

    rp_transport_pause_reading(r.transport);
    wire_settle(loop);
    close_with_reset(there);
    wire_settle(loop);
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
    int there = record_start(loop, &record_buffered, &r);

    CHECK_INT(send(there, "abcdef", 6, 0), ==, 6);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.length, ==, 2);
    CHECK_INT(r.lost, ==, 1);
    close(there);
    free(r.data);
    rp_loop_free(loop);
}
