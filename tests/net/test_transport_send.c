/*
 * test_transport_send.c - writing: what is buffered goes out in order, above the marks the protocol is told to pause,
 * and a half-close comes last.
 */
#include <stdlib.h>

#include "loop/loop.h"
#include "harness/record.h"
#include "harness/reports.h"
#include "harness/wrap.h"

static int questions; /* about options of sockets */

#ifndef _WIN32
WRAP(int, getsockopt, int fd, int level, int option, void *value, socklen_t *length)
{
    questions++;
    return __real_getsockopt(fd, level, option, value, length);
}
#endif

TEST(after_a_half_close_writing_goes_on)
{
    rp_loop *loop = wire_loop();
    record r = {.keep_open = true};
    int error, there = record_start(loop, &record_plain, &r);

    CHECK_INT(send(there, "bye", 3, 0), ==, 3);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    RUN_UNTIL(loop, r.eofs);
    wire_settle(loop);
    CHECK_INT(r.eofs, ==, 1);
    CHECK(!r.lost && !rp_transport_is_closing(r.transport));
    record_write(&r, 1000000, 0);
    rp_transport_close(r.transport);
    CHECK(rp_transport_is_closing(r.transport));
    CHECK_INT(wire_drain(loop, there, &error), ==, 1000000);
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
    int error, there = record_start(loop, &record_plain, &r);

    record_write(&r, 8000000, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), >, 0);
    CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
    CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
    CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, -EPIPE);
    CHECK_INT(wire_drain(loop, there, &error), ==, 8000000);
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

TEST(a_cork_holds_back_as_much_as_the_high_mark_and_no_more)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);
    char bytes[101];

    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 100, 0), ==, 0);
    rp_transport_cork(r.transport);
    record_write(&r, 100, 0);
    wire_settle(loop);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), ==, 100);
    CHECK_INT(r.pauses, ==, 0);
    record_write(&r, 1, 100);
    CHECK_INT(r.pauses, ==, 1);
    RUN_UNTIL(loop, r.resumes == 1);
    CHECK_INT(recv(there, bytes, sizeof bytes, MSG_WAITALL), ==, 101);
    CHECK(wire_same(bytes, 101, 0));
    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

TEST(a_cork_that_is_drawn_sends_what_the_socket_has_no_room_for_too)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);

    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 80000000, 0), ==, 0);
    rp_transport_cork(r.transport);
    record_write(&r, 10000000, 0);
    record_write(&r, 10000000, 10000000);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), ==, 20000000);
    CHECK_INT(rp_transport_uncork(r.transport), ==, 0);
    rp_transport_close(r.transport);
    CHECK_INT(wire_drain(loop, there, &error), ==, 20000000);
    CHECK_INT(error, ==, 0);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(marks_that_are_lowered_count_at_once)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);

    rp_transport_cork(r.transport);
    record_write(&r, 50, 0);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 10, 0), ==, 0); /* a cork holds less now */
    CHECK_INT(r.pauses, ==, 1);
    RUN_UNTIL(loop, r.resumes == 1);
    CHECK_INT(rp_transport_uncork(r.transport), ==, 0);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 80000000, 0), ==, 0);
    record_write(&r, 20000000, 50);
    CHECK_INT(r.pauses, ==, 1);
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 1000, 0), ==, 0);
    CHECK_INT(r.pauses, ==, 2);
    rp_transport_close(r.transport);
    CHECK_INT(wire_drain(loop, there, &error), ==, 20000050);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(more_pieces_than_the_system_takes_at_once_are_sent)
{
    enum { PIECES = 3000 };
    static struct iovec pieces[PIECES];
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);
    static char bytes[3 * PIECES];

    wire_fill(bytes, sizeof bytes, 0);
    for (int i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){bytes + 3 * i, 3};
    CHECK_INT(rp_transport_writev(r.transport, pieces, PIECES), ==, 0);
    rp_transport_close(r.transport);
    CHECK_INT(wire_drain(loop, there, &error), ==, sizeof bytes);
    CHECK_INT(error, ==, 0);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(our_half_close_sends_the_little_that_a_cork_has_held_back)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);

    rp_transport_cork(r.transport);
    record_write(&r, 10, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), ==, 10);
    CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
    CHECK_INT(wire_drain(loop, there, &error), ==, 10);
    CHECK_INT(error, ==, 0);
    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

TEST(half_close_of_an_idle_transport_is_seen_at_once)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);
    char byte;

    CHECK_INT(rp_transport_write_eof(r.transport), ==, 0);
    CHECK_INT(recv(there, &byte, 1, 0), ==, 0);
    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

TEST(the_marks_are_those_of_asyncio)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);
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
    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, SIZE_MAX, SIZE_MAX / 4 + 2), ==, 0);
    rp_transport_get_write_buffer_limits(r.transport, &high, &low);
    CHECK(high == SIZE_MAX && low == SIZE_MAX / 4 + 2); /* 4 times as much is no number */
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

static void flow(size_t high, size_t low)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);
    uint64_t written = 0;

    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, high, low), ==, 0);
    /* The kernel may yet find room for more: until it is really full. */
    do {
        while (r.pauses == r.resumes) {
            record_write(&r, 10000, written);
            written += 10000;
        }
        CHECK_INT(rp_transport_get_write_buffer_size(r.transport), >, high);
        wire_settle(loop);
    } while (r.pauses == r.resumes);
    int resumes = r.resumes;
    rp_transport_close(r.transport);
    CHECK_INT(wire_drain(loop, there, &error), ==, written);
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
        record_write(r, 1000000, written_more);
        written_more += 1000000;
    }
}

TEST(resume_writing_may_write_until_it_is_paused_again_and_close)
{
    rp_loop *loop = wire_loop();
    record r = {.on_resume = write_more};
    int error, there = record_start(loop, &record_plain, &r);
    size_t got;

    write_more(&r);
    got = wire_drain(loop, there, &error);
    CHECK_INT(got, ==, written_more);
    CHECK_INT(r.pauses, >, 6);
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
    int error, there = record_start(loop, &record_plain, &r);

    record_write(&r, 9000000, 0);
    wire_drain(loop, there, &error);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

static int drains;

static void count_drain(void *self)
{
    record *r = self;

    CHECK_INT(rp_transport_get_write_buffer_size(r->transport), ==, 0);
    CHECK_INT(r->resumes, ==, r->pauses);
    drains++;
}

TEST(what_had_to_wait_and_has_all_been_sent_is_told)
{
    rp_loop *loop = wire_loop();
    rp_protocol protocol = record_plain;
    record r = {0};
    int error, there;

    drains = 0;
    protocol.drained = count_drain;
    there = record_start(loop, &protocol, &r);
    record_write(&r, 1, 0); /* the socket takes it at once */
    CHECK_INT(drains, ==, 0);
    record_write(&r, 8000000, 1);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), >, 0);
    rp_transport_close(r.transport);
    CHECK_INT(wire_drain(loop, there, &error), ==, 8000001);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(drains, ==, 1);
    close(there);
    rp_loop_free(loop);
}

/* A backend to which a send may be of a datagram asks for the socket's type when there is no room. */
TEST(what_has_to_wait_asks_nothing_of_the_socket)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);

    questions = 0;
    record_write(&r, 8000000, 0);
    wire_settle(loop);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), >, 0);
    CHECK_INT(questions, ==, 0);
    rp_transport_close(r.transport);
    CHECK_INT(wire_drain(loop, there, &error), ==, 8000000);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(questions, ==, 0);
    close(there);
    free(r.data);
    rp_loop_free(loop);
}

TEST(writev_keeps_the_order_of_many_parts)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);
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
    CHECK_INT(wire_drain(loop, there, &error), ==, sizeof bytes);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(close_flushes_megabytes_and_refuses_more)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);

    record_write(&r, 20000000, 0);
    rp_transport_close(r.transport);
    rp_transport_close(r.transport);
    CHECK_INT(r.lost, ==, 0);
    CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, -EPIPE);
    CHECK_INT(wire_drain(loop, there, &error), ==, 20000000);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, 0);
    close(there);
    rp_loop_free(loop);
}

TEST(a_write_that_finds_no_memory_takes_nothing_or_breaks_the_stream)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int reports = 0, there = record_start(loop, &record_plain, &r);
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
