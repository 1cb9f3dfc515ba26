/*
 * test_transport_write.c - what a protocol is told of a write that fails, and whether it reads on.
 */
#include "harness/wire.h"

#ifndef _WIN32
typedef struct record {
    rp_transport *transport;
    char text[16];
    size_t length;
    int failures, ends, lost, resumed, error, failed_with;
    bool close_then;
} record;

static void made(void *self, rp_transport *transport)
{
    ((record *)self)->transport = transport;
}

static void received(void *self, const void *data, size_t length)
{
    record *r = self;

    CHECK(length < sizeof r->text - r->length);
    memcpy(r->text + r->length, data, length);
    r->length += length;
}

static bool keep_open(void *self)
{
    ((record *)self)->ends++;
    return true;
}

static void failed(void *self, int error)
{
    record *r = self;

    r->failures++;
    r->failed_with = error;
    CHECK_INT(rp_transport_write(r->transport, "y", 1), ==, error);
    if (r->close_then)
        rp_transport_close(r->transport);
}

static void resumed(void *self)
{
    ((record *)self)->resumed++;
}

static void lost(void *self, int error)
{
    record *r = self;

    r->lost++;
    r->error = error;
}

static const rp_protocol reads_on = {.connection_made = made,
                                     .data_received = received,
                                     .eof_received = keep_open,
                                     .connection_lost = lost,
                                     .resume_writing = resumed,
                                     .write_failed = failed};

static const rp_protocol as_asyncio = {
    .connection_made = made, .data_received = received, .connection_lost = lost};

static rp_loop *start(const rp_protocol *protocol, record *r, bool tcp, int *there)
{
    rp_loop *loop = wire_loop();
    rp_transport *transport;
    int fds[2];

    *r = (record){.close_then = r->close_then};
    if (tcp)
        wire_pair(&fds[0], &fds[1]);
    else
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    CHECK_INT(rp_connect_accepted_socket(loop, fds[0], protocol, r, &transport), ==, 0);
    *there = fds[1];
    return loop;
}

/*
 * The peer answers before. A Unix peer stays, and the write fails at once; one of TCP goes while what was written waits
 * for room.
 */
static void let_a_write_fail(rp_loop *loop, record *r, bool tcp, int there)
{
    static char bytes[8 << 20];

    if (tcp)
        CHECK_INT(rp_transport_write(r->transport, bytes, sizeof bytes), ==, 0);
    CHECK_INT(send(there, "answer", 6, MSG_NOSIGNAL), ==, 6);
    if (tcp) {
        close(there);
    } else {
        CHECK_INT(shutdown(there, SHUT_RD), ==, 0);
        CHECK_INT(rp_transport_write(r->transport, "x", 1), ==, -EPIPE);
    }
    RUN_UNTIL(loop, r->failures == 1 || r->lost == 1);
}

/* TCP's reset is a broken pipe where the peer's end came before it, as it does while bytes were still under way. */
static bool is_reset(int error, bool tcp)
{
    return error == -EPIPE || (tcp && error == -ECONNRESET);
}

TEST(a_protocol_that_asks_for_it_reads_on_when_a_write_fails)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        int there;
        record r = {0};
        rp_loop *loop = start(&reads_on, &r, tcp, &there);

        rp_transport_pause_reading(r.transport);
        let_a_write_fail(loop, &r, tcp, there);
        CHECK(is_reset(r.failed_with, tcp));
        CHECK_INT(rp_transport_write(r.transport, "x", 1), ==, r.failed_with);
        CHECK_INT(rp_transport_write_eof(r.transport), ==, r.failed_with);
        CHECK_INT(rp_transport_get_write_buffer_size(r.transport), ==, 0);
        CHECK(!rp_transport_is_closing(r.transport));
        rp_transport_resume_reading(r.transport);
        RUN_UNTIL(loop, r.length == 6);
        CHECK(memcmp(r.text, "answer", 6) == 0);
        if (!tcp) {
            CHECK_INT(r.lost, ==, 0);
            close(there);
        }
        RUN_UNTIL(loop, r.lost == 1);
        CHECK_INT(r.ends, ==, tcp ? 0 : 1);
        CHECK_INT(r.error, ==, r.failed_with);
        CHECK_INT(r.failures, ==, 1);
        CHECK_INT(r.resumed, ==, 0);
        rp_loop_free(loop);
    }
}

TEST(a_protocol_that_is_told_of_a_failed_write_may_close)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        int there;
        record r = {.close_then = true};
        rp_loop *loop = start(&reads_on, &r, tcp, &there);

        rp_transport_pause_reading(r.transport);
        let_a_write_fail(loop, &r, tcp, there);
        RUN_UNTIL(loop, r.lost == 1);
        CHECK_INT(r.failures, ==, 1);
        CHECK_INT(r.error, ==, r.failed_with);
        if (!tcp)
            close(there);
        rp_loop_free(loop);
    }
}

TEST(any_other_protocol_loses_the_connection)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        int there;
        record r = {0};
        rp_loop *loop = start(&as_asyncio, &r, tcp, &there);

        rp_transport_pause_reading(r.transport);
        let_a_write_fail(loop, &r, tcp, there);
        RUN_UNTIL(loop, r.lost == 1);
        CHECK(is_reset(r.error, tcp));
        CHECK_INT(r.length, ==, 0);
        if (!tcp)
            close(there);
        rp_loop_free(loop);
    }
}

/* When the peer's end has been read, or the transport is being closed, there is nothing to wait for. */
TEST(with_nothing_more_to_read_a_failed_write_loses_the_connection)
{
    for (int closing = 0; closing < 2; closing++) {
        static char bytes[8 << 20];
        int there;
        record r = {0};
        rp_loop *loop = start(&reads_on, &r, false, &there);

        if (!closing) {
            CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
            RUN_UNTIL(loop, r.ends == 1);
        }
        CHECK_INT(rp_transport_write(r.transport, bytes, sizeof bytes), ==, 0);
        if (closing)
            rp_transport_close(r.transport);
        close(there);
        RUN_UNTIL(loop, r.lost == 1);
        CHECK(r.error == -EPIPE || r.error == -ECONNRESET);
        CHECK_INT(r.failures, ==, 0);
        rp_loop_free(loop);
    }
}
#else
TEST_ABSENT(a_protocol_that_asks_for_it_reads_on_when_a_write_fails, "no peer can refuse to read and stay");
TEST_ABSENT(a_protocol_that_is_told_of_a_failed_write_may_close, "no peer can refuse to read and stay");
TEST_ABSENT(any_other_protocol_loses_the_connection, "no peer can refuse to read and stay");
TEST_ABSENT(with_nothing_more_to_read_a_failed_write_loses_the_connection, "pairs are TCP's on Windows");
#endif
