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
