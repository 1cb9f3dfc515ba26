/* test_filter.c - the filter of TLS: bytes in both directions, and their ends. Its engine is a toy. */
#include <stdlib.h>

#include "tls/rig.h"

/* ---- reading ---- */

TEST(what_arrives_is_decrypted_and_what_is_written_comes_as_records)
{
    rig g = {0};
    char plain[TOY_PLAIN];
    size_t length;

    rig_open(&g);
    rig_say(&g, TOY_DATA, "question", 8);
    RUN_UNTIL(g.loop, g.r.length == 8);
    CHECK(memcmp(g.r.data, "question", 8) == 0);
    CHECK_INT(rp_transport_write(g.filter, "answer", 6), ==, 0);
    CHECK_INT(rig_hear(&g, plain, &length), ==, TOY_DATA);
    CHECK(length == 6 && memcmp(plain, "answer", 6) == 0);
    rig_end(&g);
}

TEST(records_may_come_byte_by_byte_and_from_one_byte_on)
{
    rig g = {0};
    char bytes[TOY_RECORD], plain[100];
    size_t length, total = 0;

    rig_open(&g);
    for (size_t i = 1; i < sizeof plain; i += 7) {
        wire_fill(plain, i, total);
        total += i;
        length = toy_record(bytes, TOY_DATA, plain, i);
        for (size_t at = 0; at < length; at++) {
            rig_send(&g, bytes + at, 1);
            wire_settle(g.loop);
        }
        RUN_UNTIL(g.loop, g.r.length == total);
    }
    CHECK(wire_same(g.r.data, g.r.length, 0));
    rig_end(&g);
}

TEST(a_record_that_is_too_long_is_answered_by_an_alert_and_ends_the_connection)
{
    rig g = {0};
    char plain[TOY_PLAIN];
    size_t length;

    rig_open(&g);
    rig_say(&g, TOY_DATA, "fine", 4);
    rig_send(&g, "\x04\x40\x01 and much more", 17);
    CHECK_INT(rig_hear(&g, plain, &length), ==, TOY_ALERT);
    CHECK_INT(plain[0], ==, TOY_ALERT_MALFORMED);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK_INT(g.r.length, ==, 4);
    CHECK_INT(g.r.error, ==, RP_ETLS_PROTOCOL);
    rig_expect_end(&g, 0);
    rig_end(&g);
}

TEST(an_engine_that_takes_nothing_is_not_fed_for_ever)
{
    rig g = {0};

    rig_open(&g);
    g.factory.deaf = true;
    for (int i = 0; i < 3; i++) {
        static const char plain[TOY_PLAIN];

        rig_say(&g, TOY_DATA, plain, sizeof plain);
    }
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK(g.r.error == RP_ETLS_PROTOCOL && g.r.length == 0);
    rig_end(&g);
}

TEST(an_end_without_close_notify_is_no_end_of_the_stream)
{
    for (int tolerant = 0; tolerant < 2; tolerant++)
        for (int half = 0; half < 2; half++) {
            rig g = {.options.truncation_ends = tolerant};

            rig_open(&g);
            rig_say(&g, TOY_DATA, "begun", 5);
            if (half)
                rig_send(&g, "\x04\x00", 2);
            shutdown(g.peer, SHUT_WR);
            RUN_UNTIL(g.loop, g.r.lost);
            CHECK_INT(g.r.length, ==, 5);
            CHECK_INT(g.r.eofs, ==, tolerant);
            CHECK_INT(g.r.error, ==, tolerant ? 0 : RP_ETLS_TRUNCATED);
            rig_end(&g);
        }
}

TEST(close_notify_is_the_end_of_the_stream_and_writing_goes_on)
{
    rig g = {.r.keep_open = true};

    rig_open(&g);
    rig_say(&g, TOY_CLOSE, "", 0);
    RUN_UNTIL(g.loop, g.r.eofs);
    wire_settle(g.loop);
    CHECK_INT(g.r.lost, ==, 0);
    CHECK(!rp_tls_filter_truncated(g.filter));
    CHECK_INT(rp_transport_write(g.filter, "late", 4), ==, 0);
    rig_expect(&g, TOY_DATA);
    rp_transport_close(g.filter);
    rig_expect(&g, TOY_CLOSE);
    rig_expect_end(&g, 0);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK_INT(g.r.error, ==, 0);
    rig_end(&g);
}

/* ---- a reader that pauses ---- */

static void pause_once(record *r)
{
    r->on_data = NULL;
    rp_transport_pause_reading(r->transport);
}

/* Most of it is decrypted, or received, and the peer sends nothing more. */
TEST(a_reader_that_pauses_gets_the_rest_when_it_resumes)
{
    static const rp_protocol *const protocols[] = {&record_plain, &record_buffered};

    for (int i = 0; i < 2; i++) {
        rig g = {.protocol = protocols[i], .r = {.on_data = pause_once, .buffer_size = 100}};
        char plain[3000];
        size_t first;

        rig_open(&g);
        wire_fill(plain, sizeof plain, 0);
        for (size_t at = 0; at < sizeof plain; at += 1000)
            rig_say(&g, TOY_DATA, plain + at, 1000);
        RUN_UNTIL(g.loop, g.r.length > 0);
        wire_settle(g.loop);
        first = g.r.length;
        CHECK(i == 0 || first < sizeof plain);
        wire_settle(g.loop);
        CHECK_INT(g.r.length, ==, first);
        rp_transport_resume_reading(g.filter);
        RUN_UNTIL(g.loop, g.r.length == sizeof plain);
        CHECK(wire_same(g.r.data, g.r.length, 0));
        rig_end(&g);
    }
}

/* The peer's last records are there, and its end: each is told in its order. */
TEST(what_is_pending_comes_before_close_notify_and_before_an_error)
{
    for (int bad = 0; bad < 2; bad++) {
        rig g = {.protocol = &record_buffered, .r = {.on_data = pause_once, .buffer_size = 10}};

        rig_open(&g);
        rig_say(&g, TOY_DATA, "0123456789ABCDEF", 16);
        if (bad)
            rig_send(&g, "\x09\x00\x00", 3);
        else
            rig_say(&g, TOY_CLOSE, "", 0);
        RUN_UNTIL(g.loop, g.r.length == 10);
        CHECK_INT(g.r.eofs + g.r.lost, ==, 0);
        rp_transport_resume_reading(g.filter);
        RUN_UNTIL(g.loop, g.r.lost);
        CHECK_INT(g.r.length, ==, 16);
        CHECK_INT(g.r.eofs, ==, !bad);
        CHECK_INT(g.r.error, ==, bad ? RP_ETLS_PROTOCOL : 0);
        rig_end(&g);
    }
}

TEST(try_read_takes_what_there_is_and_says_when_there_is_no_more)
{
    rig g = {0};
    char plain[10];

    rig_open(&g);
    rp_transport_pause_reading(g.filter);
    rig_say(&g, TOY_DATA, "0123456789ABCDEF", 16);
    rig_say(&g, TOY_CLOSE, "", 0);
    CHECK_INT(rp_transport_try_read(g.filter, plain, 0), ==, -EINVAL);
    RUN_UNTIL(g.loop, rp_transport_try_read(g.filter, plain, sizeof plain) == 10);
    CHECK_INT(rp_transport_try_read(g.filter, plain, sizeof plain), ==, 6);
    RUN_UNTIL(g.loop, rp_transport_try_read(g.filter, plain, sizeof plain) == 0);
    CHECK_INT(g.r.length, ==, 0);
    CHECK_INT(g.r.lost, ==, 0);
    rig_end(&g);
}

/* ---- what an engine answers ---- */

TEST(questions_are_answered_while_nobody_writes)
{
    rig g = {0};

    rig_open(&g);
    rig_say(&g, TOY_ASK, "", 0);
    rig_expect(&g, TOY_ANSWER);
    rig_say(&g, TOY_ASK, "", 0);
    rig_say(&g, TOY_DATA, "x", 1);
    rig_expect(&g, TOY_ANSWER);
    RUN_UNTIL(g.loop, g.r.length == 1);
    rig_end(&g);
}

static void shrink(rig *g)
{
    int size = 16384;

    CHECK_INT(setsockopt(g->peer, SOL_SOCKET, SO_RCVBUF, (const char *)&size, sizeof size), ==, 0);
    CHECK_INT(setsockopt(g->peer, SOL_SOCKET, SO_SNDBUF, (const char *)&size, sizeof size), ==, 0);
    CHECK_INT(rp_transport_setsockopt(g->filter, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
    set_nonblocking(g->peer);
}

/* It asks without an end, and reads none of the answers: as much is kept for it as a write may leave, and no more. */
TEST(a_peer_that_asks_and_does_not_listen_is_not_read_from)
{
    size_t told = 0, answers = 0;
    rp_loop_stats before, after;
    rig g = {0};
    char asks[3000];

    rig_open(&g);
    shrink(&g);
    for (size_t i = 0; i < sizeof asks; i += TOY_HEADER)
        toy_record(asks + i, TOY_ASK, "", 0);
    for (int idle = 0; idle < 50 || rp_transport_get_write_buffer_size(g.below) == 0; idle++) {
        ssize_t n = send(g.peer, asks + told % TOY_HEADER, sizeof asks - told % TOY_HEADER, MSG_NOSIGNAL);

        if (n > 0) {
            told += (size_t)n;
            idle = 0;
        }
        wire_run(g.loop, RP_MSEC(1));
        CHECK_INT(rp_transport_get_write_buffer_size(g.below), <=, 512 * 1024);
    }
    rp_loop_get_stats(g.loop, &before);
    for (int i = 0; i < 50; i++)
        wire_run(g.loop, RP_MSEC(1));
    rp_loop_get_stats(g.loop, &after);
    CHECK_INT(after.turns - before.turns, <, 500); /* it does not look again and again, either */
    while (answers < told / TOY_HEADER * TOY_HEADER) {
        char chunk[4096];
        ssize_t n = wire_await(g.loop, g.peer, chunk, sizeof chunk);

        CHECK_INT(n, >, 0);
        answers += (size_t)n;
    }
    rig_end(&g);
}

/* ---- writing ---- */

TEST(small_pieces_share_a_record_and_large_ones_fill_theirs)
{
    static char big[40000], plain[TOY_PLAIN], all[sizeof big + 30];
    struct iovec pieces[] = {{"0123456789", 10}, {NULL, 0}, {"0123456789", 10},
                             {big, sizeof big},  {"", 0},   {"0123456789", 10}};
    size_t length, total = 0;
    int records = 0;
    rig g = {0};

    rig_open(&g);
    wire_fill(big, sizeof big, 0);
    CHECK_INT(rp_transport_writev(g.filter, pieces, 6), ==, 0);
    while (total < sizeof all) {
        CHECK_INT(rig_hear(&g, plain, &length), ==, TOY_DATA);
        memcpy(all + total, plain, length);
        total += length;
        records++;
    }
    CHECK_INT(records, ==, 4);
    CHECK(memcmp(all, "01234567890123456789", 20) == 0 && memcmp(all + total - 10, "0123456789", 10) == 0);
    CHECK(wire_same(all + 20, sizeof big, 0));
    rig_end(&g);
}

/* The second one's end goes into a record with the third one. */
TEST(a_piece_that_does_not_fit_into_a_record_shares_the_next_one)
{
    static char big[TOY_PLAIN], plain[TOY_PLAIN];
    struct iovec pieces[] = {{"0123456789", 10}, {big, sizeof big}, {"abc", 3}, {"def", 3}};
    size_t length;
    rig g = {0};

    rig_open(&g);
    wire_fill(big, sizeof big, 0);
    CHECK_INT(rp_transport_writev(g.filter, pieces, 4), ==, 0);
    CHECK_INT(rig_hear(&g, plain, &length), ==, TOY_DATA);
    CHECK(length == sizeof plain && memcmp(plain, "0123456789", 10) == 0);
    CHECK(wire_same(plain + 10, sizeof plain - 10, 0));
    CHECK_INT(rig_hear(&g, plain, &length), ==, TOY_DATA);
    CHECK(length == 16 && wire_same(plain, 10, sizeof big - 10) && memcmp(plain + 10, "abcdef", 6) == 0);
    rig_end(&g);
}

/* The answer that an engine waits for is taken though nobody reads. */
TEST(an_engine_that_wants_input_before_it_writes_gets_it_while_reading_is_paused)
{
    rig g = {0};

    rig_open(&g);
    g.factory.asks = true;
    rp_transport_pause_reading(g.filter);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_transport_write(g.filter, "abc", 3), ==, 0);
        CHECK_INT(rp_transport_write(g.filter, "def", 3), ==, 0);
        rig_expect(&g, TOY_ASK);
        wire_settle(g.loop);
        CHECK_INT(rp_transport_get_write_buffer_size(g.filter), >=, 3);
        rig_say(&g, TOY_ANSWER, "", 0);
        rig_expect(&g, TOY_DATA);
        if (i == 0) {
            rig_expect(&g, TOY_ASK);
            rig_say(&g, TOY_ANSWER, "", 0);
            rig_expect(&g, TOY_DATA);
        }
    }
    rig_end(&g);
}

/* What the reader has not taken yet stands before the answer. */
TEST(a_write_that_wants_input_goes_on_when_the_reader_has_made_way)
{
    rig g = {0};
    char plain[100];

    rig_open(&g);
    g.factory.asks = true;
    rp_transport_pause_reading(g.filter);
    rig_say(&g, TOY_DATA, "before", 6);
    CHECK_INT(rp_transport_write(g.filter, "abc", 3), ==, 0);
    rig_expect(&g, TOY_ASK);
    rig_say(&g, TOY_ANSWER, "", 0);
    wire_settle(g.loop);
    CHECK_INT(rp_transport_get_write_buffer_size(g.filter), ==, 3);
    RUN_UNTIL(g.loop, rp_transport_try_read(g.filter, plain, sizeof plain) == 6);
    rig_expect(&g, TOY_DATA);
    CHECK_INT(rp_transport_get_write_buffer_size(g.filter), ==, 0);
    rig_end(&g);
}

/* Much more than a connection may keep comes in its way. */
TEST(a_write_that_wants_input_keeps_no_more_of_it_than_a_read_brings)
{
    rig g = {0};
    char plain[TOY_PLAIN] = {0}, bytes[TOY_RECORD];
    size_t length = toy_record(bytes, TOY_DATA, plain, sizeof plain), sent = 0;

    rig_open(&g);
    shrink(&g);
    g.factory.asks = true;
    rp_transport_pause_reading(g.filter);
    CHECK_INT(rp_transport_write(g.filter, "abc", 3), ==, 0);
    for (int idle = 0; idle < 50; idle++) {
        ssize_t n = send(g.peer, bytes + sent % length, length - sent % length, MSG_NOSIGNAL);

        if (n > 0) {
            sent += (size_t)n;
            idle = 0;
        }
        CHECK_INT(sent, <, 5000000);
        wire_run(g.loop, RP_MSEC(1));
    }
    CHECK_INT(g.r.lost, ==, 0);
    rp_transport_resume_reading(g.filter);
    RUN_UNTIL(g.loop, g.r.length >= sent / length * sizeof plain);
    rig_end(&g);
}

/* The answer will never come, and nobody reads who would be told of the end. */
TEST(a_write_that_wants_input_fails_when_none_can_come)
{
    rig g = {0};

    rig_open(&g);
    g.factory.asks = true;
    rp_transport_pause_reading(g.filter);
    CHECK_INT(rp_transport_write(g.filter, "abc", 3), ==, 0);
    rig_expect(&g, TOY_ASK);
    shutdown(g.peer, SHUT_WR);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK_INT(g.r.error, ==, -EPIPE);
    rig_end(&g);
}

static void write_elsewhere(void *arg)
{
    rig *other = arg;
    struct iovec pieces[2] = {{"12", 2}, {"345", 3}};

    CHECK_INT(rp_transport_writev(other->filter, pieces, 2), ==, 0);
}

/* Its records, which are still being collected, and those of another connection do not mix. */
TEST(a_callback_of_the_engine_may_write_on_another_connection)
{
    rp_loop *loop = wire_loop();
    rig g = {.options.server = true}, other = {.options.server = true};
    struct iovec pieces[2] = {{"abc", 3}, {"defg", 4}};
    char plain[TOY_PLAIN];
    size_t length;

    CHECK_INT(rig_begin_in(&g, loop), ==, 0);
    CHECK_INT(rig_begin_in(&other, loop), ==, 0);
    rig_shake(&g);
    rig_shake(&other);
    g.factory.called = write_elsewhere;
    g.factory.arg = &other;
    CHECK_INT(rp_transport_writev(g.filter, pieces, 2), ==, 0);
    rig_say(&g, TOY_ASK, "", 0);
    rig_say(&g, TOY_DATA, "x", 1);
    RUN_UNTIL(loop, g.r.length);
    g.factory.called = NULL;
    CHECK_INT(rig_hear(&g, plain, &length), ==, TOY_DATA);
    CHECK(length == 7 && memcmp(plain, "abcdefg", 7) == 0);
    rig_expect(&g, TOY_ANSWER);
    for (size_t total = 0; total < 20; total += length) { /* before and behind a record, twice at least */
        CHECK_INT(rig_hear(&other, plain, &length), ==, TOY_DATA);
        CHECK(length > 0 && memcmp(plain, &"123451234512345"[total % 5], length) == 0);
    }
    rp_loop_free(loop);
    g.loop = other.loop = NULL;
    rig_end(&g);
    rig_end(&other);
}

/* ---- writing that fails ---- */

static void count_failure(void *self, int error)
{
    record *r = self;

    CHECK(error == -ECONNRESET || error == -EPIPE);
    r->pauses = r->resumes = 100;
}

/* A peer that answers and goes: what it has said is read, though a write has failed. */
TEST(reading_goes_on_when_a_write_has_failed_for_whoever_asks_for_it)
{
    static const rp_protocol persistent = {.connection_made = record_made,
                                           .data_received = record_data,
                                           .eof_received = record_eof,
                                           .connection_lost = record_lost,
                                           .write_failed = count_failure};
    rig g = {.protocol = &persistent};

    rig_open(&g);
    rp_transport_pause_reading(g.filter);
    rig_say(&g, TOY_DATA, "answer", 6);
    rig_say(&g, TOY_CLOSE, "", 0);
    close(g.peer);
    g.peer = -1;
    RUN_UNTIL(g.loop, rp_transport_write(g.filter, "more", 4) < 0);
    CHECK_INT(g.r.pauses, ==, 100);
    CHECK_INT(g.r.lost, ==, 0);
    rp_transport_resume_reading(g.filter);
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK_INT(g.r.length, ==, 6);
    CHECK_INT(g.r.eofs, ==, 1);
    CHECK(g.r.error == -EPIPE || g.r.error == -ECONNRESET);
    rig_end(&g);
}

/* All was taken, and what is below still sends it: its failure is told though nobody reads or writes. */
TEST(what_fails_below_in_the_background_is_told)
{
    static const char much[60000];
    rig g = {0};

    rig_open(&g);
    shrink(&g);
    CHECK_INT(rp_transport_write(g.filter, much, sizeof much), ==, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(g.filter), ==, 0);
    CHECK_INT(rp_transport_get_write_buffer_size(g.below), >, 0);
    rp_transport_pause_reading(g.filter);
    close_with_reset(g.peer);
    g.peer = -1;
    RUN_UNTIL(g.loop, g.r.lost);
    CHECK(g.r.error == -ECONNRESET || g.r.error == -EPIPE);
    rig_end(&g);
}
