/*
 * test_stream_cork.c - what is written under a cork goes out together: at its end, with the stream, or above the mark.
 */
#include "harness/streams.h"

/* What the peer has by now; at most `size` bytes. */
static ssize_t heard(int fd, char *text, size_t size)
{
    ssize_t n = wire_read(fd, text, size - 1);

    text[n > 0 ? n : 0] = '\0';
    return n;
}

/* What comes next is this. */
static void expect_heard(rp_co *co, int fd, const char *expected)
{
    char text[64];

    while (heard(fd, text, sizeof text) == -EAGAIN)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_STR(text, expected);
}

CO_TEST(what_is_written_under_a_cork_goes_out_in_one_piece)
{
    int here, there;
    char text[64];
    rp_stream *stream;

    wire_pair(&here, &there);
    stream = stream_of(co, here);
    rp_stream_cork(stream);
    rp_stream_cork(stream);
    CHECK_INT(rp_stream_write(co, stream, "a", 1), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "bc", 2), ==, 0);
    for (int turn = 0; turn < 5; turn++)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(heard(there, text, sizeof text), ==, -EAGAIN);
    CHECK_INT(rp_transport_get_write_buffer_size(rp_stream_transport(stream)), ==, 3);
    CHECK_INT(rp_stream_uncork(stream), ==, 0);
    expect_heard(co, there, "abc");
    CHECK_INT(rp_stream_uncork(stream), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, "d", 1), ==, 0);
    expect_heard(co, there, "d");

    rp_stream_cork(stream);
    CHECK_INT(rp_stream_write(co, stream, "ef", 2), ==, 0);
    CHECK_INT(rp_stream_write_eof(stream), ==, 0);
    expect_heard(co, there, "ef");
    CHECK_INT(wire_await_in(co, there, text, sizeof text), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_uncork(stream), ==, -EPIPE);
    rp_stream_cork(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_cork(stream);
    close(there);
    rp_stream_free(stream);
}

/* By being closed, or freed, too. */
CO_TEST(a_stream_that_is_closed_sends_what_a_cork_held_back)
{
    for (int way = 0; way < 2; way++) {
        int here, there;
        char text[64];
        rp_stream *stream;

        wire_pair(&here, &there);
        stream = stream_of(co, here);
        rp_stream_cork(stream);
        CHECK_INT(rp_stream_write(co, stream, "last", 4), ==, 0);
        if (way == 0) {
            rp_stream_close(stream);
            CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
        }
        rp_stream_free(stream);
        expect_heard(co, there, "last");
        while (heard(there, text, sizeof text) == -EAGAIN)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(heard(there, text, sizeof text), ==, 0);
        close(there);
    }
}

/* A writer that fills it, or whose marks are lowered, is not held up by its own cork. */
CO_TEST(above_the_high_water_mark_a_cork_holds_nothing_back)
{
    enum { PIECE = 10000, PIECES = 2000 };
    static char bytes[PIECE], sink[65536];
    int here, there;
    size_t got = 0;
    rp_stream *stream;

    wire_pair(&here, &there);
    stream = stream_of(co, here);
    rp_stream_cork(stream);
    for (size_t i = 0; i < PIECES; i++) {
        ssize_t n = 1;

        wire_fill(bytes, sizeof bytes, i * PIECE);
        CHECK_INT(rp_transport_write(rp_stream_transport(stream), bytes, sizeof bytes), ==, 0);
        while (rp_transport_get_write_buffer_size(rp_stream_transport(stream)) > 256 * 1024 && n != 0) {
            n = wire_read(there, sink, sizeof sink);
            CHECK(n <= 0 || wire_same(sink, (size_t)n, got));
            got += n > 0 ? (size_t)n : 0;
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        }
    }
    CHECK_INT(rp_transport_set_write_buffer_limits(rp_stream_transport(stream), 0, 0), ==, 0);
    while (got < (size_t)PIECE * PIECES) {
        ssize_t n = wire_read(there, sink, sizeof sink);

        CHECK(n <= 0 || wire_same(sink, (size_t)n, got));
        got += n > 0 ? (size_t)n : 0;
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    }
    CHECK_INT(rp_stream_drain(co, stream), ==, 0);
    close(there);
    rp_stream_free(stream);
}

/* A send that goes on after the peer's end of the stream does not keep the reader waiting. */
CO_TEST(an_end_of_the_stream_is_told_while_a_send_goes_on)
{
    enum { MUCH = 16 << 20 };
    static char bytes[MUCH];
    int here, there;
    rp_stream *stream;
    char byte;

    wire_pair(&here, &there);
    stream = stream_of(co, here);
    CHECK_INT(rp_transport_write(rp_stream_transport(stream), bytes, sizeof bytes), ==, 0);
    CHECK_INT(shutdown(there, SHUT_WR), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(rp_stream_transport(stream)), >, 0);
    rp_stream_abort(stream);
    rp_stream_free(stream);
    close(there);
}
