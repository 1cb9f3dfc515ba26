/*
 * test_hostile_limits.c - TLS with a peer that lets the connection wait: in time that passes by being waited for.
 */
#include "harness/tls_peer.h"

static int64_t seconds_since(const tls_peer *p, int64_t start)
{
    return (rp_loop_time(p->loop) - start) / RP_SEC(1);
}

/* Whether the handshake ends when it has taken so many seconds, and not before. */
static void expect_timeout(tls_peer *p, int64_t start, int64_t seconds)
{
    CHECK(!p->done);
    PEER_UNTIL(p, p->done);
    CHECK_INT(p->error, ==, -ETIMEDOUT);
    CHECK(rp_tls_filter_timed_out(p->filter));
    CHECK_INT(seconds_since(p, start), ==, seconds);
    tls_peer_close(p);
}

/* Nothing, a byte, a header, a part of a record, and all but the last byte of the peer's last flight. */
TEST(a_handshake_that_stops_anywhere_ends_by_its_limit)
{
    static const size_t cuts[] = {0, 1, 5, 100, 200};
    tls_stage stage;

    for (int version = RP_TLS_1_2; version <= RP_TLS_1_3; version++) {
        tls_stage_set_up(&stage, version);
        for (int server = 0; server < 2; server++)
            for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
                tls_peer p = {.server = server};
                int64_t start;

                if (i % 2)
                    p.options.handshake_timeout = RP_SEC(7);
                start = rp_loop_time(stage.loop);
                tls_peer_open(&p, &stage, start_memory, false);
                p.cut = cuts[i];
                tls_peer_run(&p);
                CHECK_INT(p.passed, ==, cuts[i]);
                expect_timeout(&p, start, i % 2 ? 7 : 60);
            }
        tls_stage_tear_down(&stage);
    }
}

/* The limit is that of the whole handshake, and not of a wait within it. */
TEST(a_handshake_that_goes_on_slowly_ends_by_its_limit)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++) {
        tls_peer p = {.server = server, .piece = 1};
        int64_t start = rp_loop_time(stage.loop);

        tls_peer_open(&p, &stage, start_memory, false);
        wire_settle(p.loop);
        while (seconds_since(&p, start) < 59) {
            CHECK(!p.done);
            tls_peer_pass(&p);
            wire_run(p.loop, RP_MSEC(999));
        }
        CHECK(p.passed > 50 && p.queued > 0);
        expect_timeout(&p, start, 60);
    }
    tls_stage_tear_down(&stage);
}

/* The server has said its part, and nobody takes it. */
TEST(a_handshake_with_a_peer_that_does_not_read_ends_by_its_limit)
{
    tls_stage stage;
    tls_peer p = {.server = true};
    int64_t start;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    start = rp_loop_time(stage.loop);
    tls_peer_open(&p, &stage, start_memory, false);
    rp_transport_pause_reading(p.distant);
    tls_peer_run(&p);
    CHECK(p.heard == 0 && p.queued == 0);
    expect_timeout(&p, start, 60);
    tls_stage_tear_down(&stage);
}

/* What comes after the close is thrown away, and does not make it last longer. */
TEST(a_close_whose_peer_goes_on_talking_ends_by_its_limit)
{
    tls_stage stage;
    tls_peer p = {.server = true};
    int64_t start;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    tls_peer_open(&p, &stage, start_memory, false);
    tls_peer_run(&p);
    start = rp_loop_time(p.loop);
    rp_transport_close(p.filter);
    while (seconds_since(&p, start) < 29) {
        char plain[3000] = {0};

        p.closed = false;
        tls_peer_forge(&p, SSL3_RT_APPLICATION_DATA, plain, sizeof plain, 0);
        tls_peer_run(&p);
        CHECK_INT(p.queued, ==, 0);
        CHECK_INT(p.r.lost, ==, 0);
        wire_run(p.loop, RP_MSEC(100));
    }
    PEER_UNTIL(&p, p.r.lost);
    CHECK_INT(p.r.error, ==, -ETIMEDOUT);
    CHECK_INT(p.r.length, ==, 0);
    CHECK_INT(seconds_since(&p, start), ==, 30);
    tls_peer_close(&p);
    tls_stage_tear_down(&stage);
}
