/*
 * test_hostile.c - TLS with a peer that breaks off, sends what it should not, or has its bytes changed on the way: the
 * connection ends by an error that says so, and never waits for what cannot come.
 */
#include "harness/tls_peer.h"

/* ---- a whole exchange ---- */

static const char question[] = "a question", answer[] = "an answer";

static void ask(tls_peer *p)
{
    tls_peer_write(p, question, sizeof question);
}

static void say_goodbye(tls_peer *p)
{
    if (p->plain == sizeof answer)
        SSL_shutdown(p->ssl);
}

static void reply(record *r)
{
    if (r->length == sizeof question)
        CHECK_INT(rp_transport_write(r->transport, answer, sizeof answer), ==, 0);
}

/* The peer asks, is answered, and closes: as far as that goes. */
static void exchange(tls_peer *p, const tls_stage *stage, starter *below)
{
    p->on_shaken = ask;
    p->on_plain = say_goodbye;
    p->r.on_data = reply;
    tls_peer_open(p, stage, below, false);
}

static bool is_intact(const tls_peer *p)
{
    return p->r.length <= sizeof question && (p->r.length == 0 || memcmp(p->r.data, question, p->r.length) == 0);
}

/* Whether it is told from all other ends: by TLS, or that the peer has left in the handshake. */
static bool is_named(int error)
{
    return (error <= RP_ETLS_VERIFY && error >= RP_ETLS_WEAK) || error == -ECONNRESET;
}

#define EACH_STAGE(stage, server)                                                                                 \
    for (int v_ = RP_TLS_1_2; v_ <= RP_TLS_1_3; tls_stage_tear_down(stage), v_++)                                 \
        if (tls_stage_set_up(stage, v_), true)                                                                    \
            for (int server = 0; server < 2; (server)++)

static int stride(void)
{
    return test_slow() ? 23 : 1;
}

TEST(an_exchange_in_pieces_of_any_length_comes_through)
{
    static const size_t pieces[] = {1, 2, 3, 4, 5, 6, 7, 16, 100, 999, 1000};
    tls_stage stage;

    EACH_STAGE(&stage, server)
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        tls_peer p = {.server = server, .piece = pieces[i]};

        exchange(&p, &stage, start_memory);
        tls_peer_run(&p);
        CHECK(tls_peer_over(&p) && p.closed && p.r.length == sizeof question && is_intact(&p));
        CHECK_INT(tls_peer_result(&p), ==, 0);
        tls_peer_close(&p);
    }
}

/* Whether the exchange is over, all of it, and without an error. */
static bool is_complete(const tls_peer *p)
{
    return tls_peer_over(p) && p->closed && tls_peer_result(p) == 0 && p->r.length == sizeof question &&
           is_intact(p) && p->r.eofs == 1;
}

/* What has come of the exchange decides by which error a truncation is told. */
TEST(a_stream_that_is_cut_anywhere_ends_by_an_error_that_says_so)
{
    tls_stage stage;

    EACH_STAGE(&stage, server)
    for (size_t at = 0, whole = 0; !whole; at += (size_t)stride()) {
        tls_peer p = {.server = server};

        exchange(&p, &stage, start_memory);
        p.cut = at;
        tls_peer_run(&p);
        whole = is_complete(&p);
        if (!whole) {
            CHECK(!tls_peer_over(&p));
            rp_transport_close(p.distant);
            tls_peer_run(&p);
            CHECK(tls_peer_over(&p) && is_intact(&p));
            CHECK_INT(tls_peer_result(&p), ==, p.error < 0 ? -ECONNRESET : RP_ETLS_TRUNCATED);
        }
        tls_peer_close(&p);
    }
}

/*
 * A changed length may have the connection wait for more than there is: then it learns of it when the peer leaves.
 * A few bytes mean nothing, such as the version in the header of a hello.
 */
TEST(a_byte_that_is_changed_anywhere_ends_the_connection_by_an_error_that_says_so)
{
    tls_stage stage;

    EACH_STAGE(&stage, server)
    {
        int without_effect = 0;

        for (size_t at = 0, whole = 0; !whole; at += (size_t)stride()) {
            tls_peer p = {.server = server, .changed = at, .bits = (unsigned char)(1 << at % 8)};

            exchange(&p, &stage, start_memory);
            tls_peer_run(&p);
            whole = p.passed <= at;
            if (!tls_peer_over(&p)) {
                rp_transport_close(p.distant);
                tls_peer_run(&p);
            }
            CHECK(tls_peer_over(&p) && is_intact(&p));
            if (is_complete(&p))
                without_effect++;
            else
                CHECK(is_named(tls_peer_result(&p)));
            tls_peer_close(&p);
        }
        CHECK_INT(without_effect, >, 0);
        CHECK_INT(without_effect, <, 16);
    }
}
