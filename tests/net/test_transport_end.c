/*
 * test_transport_end.c - every way to end: close and abort, resets by the peer, and the close of the loop.
 */
#include <stdlib.h>

#include "loop/loop.h"
#include "harness/record.h"
#include "harness/reports.h"
#include "net/transport_read.h"
#include "net/transport_write.h"

TEST(connection_lost_is_never_called_inside_close_or_abort)
{
    rp_loop *loop = wire_loop();

    for (int i = 0; i < 3; i++) {
        record r = {0};
        int there = record_start(loop, &record_plain, &r);

        if (i == 0)
            rp_transport_close(r.transport);
        else if (i == 1)
            rp_transport_abort(r.transport);
        else
            CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
        CHECK_INT(r.lost, ==, 0);
        RUN_UNTIL(loop, r.lost);
        wire_settle(loop);
        CHECK_INT(r.lost, ==, 1);
        close(there);
    }
    rp_loop_free(loop);
}

TEST(close_of_an_idle_transport_sends_the_end_of_the_stream)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);

    wire_settle(loop);
    rp_transport_close(r.transport);
    CHECK_INT(wire_drain(loop, there, &error), ==, 0);
    CHECK_INT(error, ==, 0);
    CHECK_INT(r.lost, ==, 1);
    close(there);
    rp_loop_free(loop);
}

TEST(abort_resets_the_peer_and_drops_what_is_buffered)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int error, there = record_start(loop, &record_plain, &r);

    record_write(&r, 20000000, 0);
    rp_transport_abort(r.transport);
    CHECK_INT(rp_transport_get_write_buffer_size(r.transport), ==, 0);
    CHECK_INT(r.lost, ==, 0);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, 0);
    CHECK_INT(wire_drain(loop, there, &error), <, 20000000);
    CHECK_INT(error, ==, wire_reset());
    close(there);
    rp_loop_free(loop);
}

TEST(abort_after_close_gives_up_the_flush)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);

    record_write(&r, 20000000, 0);
    rp_transport_close(r.transport);
    wire_settle(loop);
    CHECK_INT(r.lost, ==, 0);
    rp_transport_abort(r.transport);
    RUN_UNTIL(loop, r.lost);
    close(there);
    rp_loop_free(loop);
}

TEST(a_reset_by_the_peer_is_connection_lost_and_no_report)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int reports = 0, there = record_start(loop, &record_plain, &r);

    rp_set_exception_handler(loop, count_report, &reports);
    wire_settle(loop);
    close_with_reset(there);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, -ECONNRESET);
    CHECK_INT(r.eofs + reports, ==, 0);
    rp_loop_free(loop);
}

TEST(a_reset_during_a_background_send_is_connection_lost)
{
    rp_loop *loop = wire_loop();
    record r = {0};
    int there = record_start(loop, &record_plain, &r);

    rp_transport_pause_reading(r.transport);
    record_write(&r, 20000000, 0);
    wire_settle(loop);
    close_with_reset(there);
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
        int there = record_start(loop, &record_plain, &r);

        record_write(&r, 8000000, 0);
        wire_settle(loop);
        close_with_reset(there);
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
    int rc, there = record_start(loop, &record_plain, &r);

    rp_transport_pause_reading(r.transport);
    close_with_reset(there);
    rc = rp_transport_write(r.transport, "x", 1);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    CHECK_INT(r.lost, ==, 0);
    CHECK(rp_transport_is_closing(r.transport));
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.error, ==, rc);
    rp_loop_free(loop);
}

static void write_failed_before(void *self, int error)
{
    CHECK_INT(((record *)self)->made, ==, 1);
}

/* There is no reading yet that could go on. */
TEST(a_write_that_fails_before_connection_made_loses_the_connection)
{
    static const rp_protocol soon = {.begins_soon = true,
                                     .connection_made = record_made,
                                     .write_failed = write_failed_before,
                                     .connection_lost = record_lost};
    rp_loop *loop = wire_loop();
    record r = {0};
    int rc, here, there;

    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(loop, here, &soon, &r, &r.transport), ==, 0);
    close_with_reset(there);
    rc = rp_transport_write(r.transport, "x", 1);
    CHECK(rc == -ECONNRESET || rc == -EPIPE);
    CHECK(rp_transport_is_closing(r.transport));
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.made, ==, 1);
    CHECK_INT(r.error, ==, rc);
    rp_loop_free(loop);
}

/* The loop has not heard of it yet. */
TEST(a_half_close_after_a_reset_by_the_peer_says_so)
{
    record r = {0};
    rp_loop *loop = wire_loop();
    int there = record_start(loop, &record_plain, &r);
    int rc;

    close_with_reset(there);
    rc = rp_transport_write_eof(r.transport);
    CHECK(rc == -ECONNRESET || (test_under_wine() && rc == 0));
    rp_transport_close(r.transport);
    RUN_UNTIL(loop, r.lost == 1);
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
    int there = record_start(loop, &record_plain, &r);

    close(there);
    RUN_UNTIL(loop, r.lost);
    rp_loop_free(loop);
}

static void lower_the_marks(record *r)
{
    CHECK_INT(rp_transport_set_write_buffer_limits(r->transport, 0, 0), ==, 0);
}

/* The background send has ended by then, and left its bytes in the buffer. */
TEST(marks_that_are_set_once_the_connection_is_lost_neither_send_nor_pause)
{
    rp_loop *loop = wire_loop();
    record r = {.on_lost = lower_the_marks};
    int error, there = record_start(loop, &record_plain, &r);

    CHECK_INT(rp_transport_set_write_buffer_limits(r.transport, 30000000, 0), ==, 0);
    record_write(&r, 20000000, 0);
    wire_settle(loop);
    rp_transport_abort(r.transport);
    lower_the_marks(&r);
    RUN_UNTIL(loop, r.lost);
    CHECK_INT(r.pauses + r.resumes, ==, 0);
    CHECK_INT(wire_drain(loop, there, &error), <, 20000000);
    close(there);
    rp_loop_free(loop);
}

TEST(a_loop_that_is_closed_frees_open_transports)
{
    rp_loop *loop = wire_loop();
    record a = {0}, b = {0}, c = {0};
    int there_a = record_start(loop, &record_plain, &a), there_b = record_start(loop, &record_plain, &b),
        there_c = record_start(loop, &record_plain, &c);
    int reports = 0;

    rp_set_exception_handler(loop, count_report, &reports);
    rp_set_debug(loop, true);
    record_write(&a, 20000000, 0);
    CHECK_INT(send(there_b, "x", 1, 0), ==, 1);
    wire_settle(loop);
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
        CHECK(rp_transport_get_protocol(transport, NULL) == &record_plain);
        CHECK_INT(rp_transport_write(transport, "x", 1), <, 0);
        if (l->close) {
            rp_transport_resume_reading(transport);
            rp_transport_abort(transport);
        }
    }
    CHECK(context->transport == NULL || l->close || !rp_transport_is_closing(context->transport));
}

TEST(whoever_is_told_of_what_was_left_open_may_look_at_all_of_it)
{
    for (int closes = 0; closes < 2; closes++) {
        rp_loop *loop = wire_loop();
        record a = {0}, b = {0}, c = {0};
        int theres[] = {record_start(loop, &record_plain, &a), record_start(loop, &record_plain, &b),
                        record_start(loop, &record_plain, &c)};
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

/* ---- a kind whose end takes its time ---- */

typedef struct slow {
    rp_transport base;
    int finishes;
} slow;

static slow *slow_of(rp_transport *transport)
{
    return rp_container_of(transport, slow, base);
}

static int slow_start(rp_transport *transport)
{
    return 0;
}

static void slow_stop(rp_transport *transport)
{
    rp_transport_stopped(transport, 0);
}

static int64_t slow_writev(rp_transport *transport, const struct iovec *vector, int count)
{
    return -EAGAIN;
}

/* The test says when it is sent. */
static int slow_send(rp_transport *transport, const void *data, size_t length)
{
    return 0;
}

static void slow_finish(rp_transport *transport)
{
    slow_of(transport)->finishes++;
}

static void slow_release(rp_transport *transport)
{
}

static const rp_transport_kind slow_kind = {
    .size = sizeof(slow),
    .start = slow_start,
    .stop = slow_stop,
    .writev = slow_writev,
    .send = slow_send,
    .finish = slow_finish,
    .release = slow_release,
};

static void close_it(record *r)
{
    rp_transport_close(r->transport);
}

TEST(a_kind_is_asked_to_finish_once_even_if_the_protocol_closes_when_all_is_sent)
{
    for (int before = 0; before < 2; before++) {
        rp_loop *loop = wire_loop();
        rp_transport *transport = rp_transport_new(loop, &slow_kind);
        record r = {.on_resume = close_it};

        CHECK(transport);
        rp_transport_start(transport, &record_plain, &r);
        CHECK_INT(rp_transport_set_write_buffer_limits(transport, 2, 0), ==, 0);
        CHECK_INT(rp_transport_write(transport, "abc", 3), ==, 0);
        CHECK_INT(r.pauses, ==, 1);
        if (before)
            rp_transport_close(transport);
        CHECK_INT(slow_of(transport)->finishes, ==, 0);
        rp_transport_sent(transport, 3);
        CHECK_INT(r.resumes, ==, 1);
        CHECK_INT(slow_of(transport)->finishes, ==, 1);
        rp_transport_close(transport);
        CHECK_INT(slow_of(transport)->finishes, ==, 1);
        rp_transport_lose(transport, 0);
        RUN_UNTIL(loop, r.lost == 1);
        rp_loop_free(loop);
    }
}
