/*
 * test_hostile_memory.c - how much memory a peer can have a TLS connection hold: by handshakes that it does not go on
 * with, by not reading, by sending what is not read. What is measured is all of the process's heap, with OpenSSL's.
 */
#include "harness/tls_peer.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { KIB = 1024 };

/* Bytes of the heap that are in use. 0: sanitizers and other C libraries do not tell, and the rest is tested. */
static size_t heap(void)
{
#ifdef __GLIBC__
    struct mallinfo2 info = mallinfo2();

    return info.uordblks > 0 ? info.uordblks + info.hblkhd : 0;
#else
    return 0;
#endif
}

static int many(void)
{
    return test_slow() ? 100 : 1000;
}

/* So much more than before, and for each of so many connections. */
static size_t grown(size_t before, size_t count)
{
    size_t now = heap();

    return now > before ? (now - before) / count : 0;
}

/* ---- handshakes that are held ---- */

/* In small pieces, so that the transports in memory have no buffers of their own. */
static void run_all(tls_peer *peers)
{
    size_t queued = 1;

    while (queued > 0) {
        queued = 0;
        for (int i = 0; i < many(); i++) {
            tls_peer_pass(&peers[i]);
            queued += peers[i].queued;
        }
        wire_settle(peers[0].loop);
    }
}

static void close_all(tls_peer *peers)
{
    for (int i = 0; i < many(); i++) {
        CHECK_INT(peers[i].done, ==, 0);
        rp_transport_abort(peers[i].filter);
    }
    for (int i = 0; i < many(); i++)
        tls_peer_close(&peers[i]);
}

/* What it costs that a thousand clients begin, and do not go on. A part of a record is all that is kept of them. */
static void hold(const char *what, const void *data, size_t length, bool whole, size_t most)
{
    tls_peer *peers = calloc((size_t)many(), sizeof *peers);
    tls_stage stage;
    size_t before, each;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int i = 0; i < 2; i++) { /* the second time shows what is left of the first */
        before = heap();
        for (int k = 0; k < many(); k++) {
            peers[k] = (tls_peer){.server = true, .piece = 1000};
            tls_peer_open(&peers[k], &stage, start_memory, true);
            tls_peer_say(&peers[k], data, length);
        }
        run_all(peers);
        for (int k = 0; k < many(); k++) {
            CHECK(peers[k].queued == 0 && rp_transport_get_write_buffer_size(peers[k].distant) == 0);
            CHECK((peers[k].heard > 0) == whole);
            free(peers[k].queue);
            peers[k].queue = NULL;
            peers[k].capacity = 0;
        }
        each = grown(before, (size_t)many());
        printf("# %s: %zu bytes each\n", what, each);
        CHECK(each > 4 * KIB || heap() == 0);
        CHECK_INT(each, <=, most);
        close_all(peers);
    }
    CHECK_INT(grown(before, (size_t)many()), <=, 100);
    tls_stage_tear_down(&stage);
    free(peers);
}

/* The first record of OpenSSL's client. */
static size_t make_hello(unsigned char *hello, size_t size)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    int n;

    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    n = BIO_read(SSL_get_wbio(ssl), hello, (int)size);
    CHECK_INT(n, >, 100);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return (size_t)n;
}

TEST(a_thousand_handshakes_are_held_in_some_KiB_each)
{
    unsigned char hello[2000], most[5 + 16384 - 1] = {22, 3, 1, 0x40, 0x00, 1, 0x00, 0x3f, 0xfc};
    size_t length = make_hello(hello, sizeof hello);

    hold("silent", "", 0, false, 20 * KIB);
    hold("a byte", hello, 1, false, 20 * KIB);
    hold("half a hello", hello, length / 2, false, 20 * KIB);
    hold("all but a byte of 16 KiB", most, sizeof most, false, 36 * KIB);
    hold("a whole hello", hello, length, true, 64 * KIB);
}

/* ---- a peer that does not read ---- */

/* What is in use more than that, which is all in a writer's buffers, and may be what a few of its writes are. */
static void expect_bounded(size_t before, size_t most)
{
    size_t more = grown(before, 1);

    printf("# %zu bytes more\n", more);
    CHECK_INT(more, <=, most);
}

/* A writer that pauses when it is told to is not led to hold more than the high-water mark, and a last write. */
TEST(a_peer_that_stops_reading_pauses_the_writer)
{
    enum { WRITE = 32 * KIB };
    tls_stage stage;
    tls_peer p = {.server = true};
    size_t before, written = 0;
    char *plain = malloc(WRITE);

    tls_stage_set_up(&stage, RP_TLS_1_3);
    tls_peer_open(&p, &stage, start_tcp, false);
    PEER_UNTIL(&p, p.shaken && p.done);
    rp_transport_pause_reading(p.distant);
    before = heap();
    while (p.r.pauses == 0) {
        wire_fill(plain, WRITE, written);
        CHECK_INT(rp_transport_write(p.r.transport, plain, WRITE), ==, 0);
        written += WRITE;
        wire_settle(p.loop);
    }
    expect_bounded(before, 5 * 64 * KIB);
    wire_settle(p.loop);
    CHECK_INT(p.r.resumes, ==, 0);
    rp_transport_resume_reading(p.distant);
    PEER_UNTIL(&p, p.plain == written && p.r.resumes == 1);
    tls_peer_close(&p);
    tls_stage_tear_down(&stage);
    free(plain);
}

/* Each is answered by a warning, and between them comes data, so that they are no flood. */
TEST(a_peer_that_asks_for_answers_and_takes_none_is_not_read_any_more)
{
    tls_stage stage;
    tls_peer p = {.server = false};
    size_t before, passed;

    tls_stage_set_up(&stage, RP_TLS_1_2);
    tls_peer_open(&p, &stage, start_memory, false);
    tls_peer_run(&p);
    CHECK(p.shaken && p.done);
    p.broken = true;
    rp_transport_pause_reading(p.distant);
    before = heap();
    for (int i = 0; i < 50000; i++) {
        tls_peer_forge(&p, SSL3_RT_HANDSHAKE, (unsigned char[]){SSL3_MT_HELLO_REQUEST, 0, 0, 0}, 4, 0);
        tls_peer_forge(&p, SSL3_RT_APPLICATION_DATA, "x", 1, 0);
    }
    before += p.capacity;
    p.piece = 10 * KIB;
    tls_peer_run(&p);
    CHECK(!tls_peer_over(&p) && p.queued > 0);
    passed = p.passed;
    expect_bounded(before, 400 * KIB);
    rp_transport_resume_reading(p.distant);
    tls_peer_run(&p);
    CHECK(p.queued == 0 && p.passed > passed);
    CHECK(!tls_peer_over(&p) && p.r.length == 50000);
    tls_peer_close(&p);
    tls_stage_tear_down(&stage);
}

/* ---- a reader that does not read ---- */

TEST(what_a_paused_reader_is_sent_stays_with_the_peer)
{
    enum { MUCH = 4096 * KIB };
    char *plain = malloc(MUCH);
    tls_stage stage;
    size_t before;

    wire_fill(plain, MUCH, 0);
    for (int version = RP_TLS_1_2; version <= RP_TLS_1_3; version++) {
        tls_peer p = {.server = true};

        tls_stage_set_up(&stage, version);
        tls_peer_open(&p, &stage, start_memory, false);
        tls_peer_run(&p);
        CHECK(p.shaken && p.done);
        rp_transport_pause_reading(p.r.transport);
        before = heap();
        for (size_t at = 0; at < MUCH; at += 16 * KIB)
            tls_peer_write(&p, plain + at, 16 * KIB);
        before += p.capacity;
        p.piece = 100 * KIB;
        tls_peer_run(&p);
        CHECK(p.queued > 0 && p.r.length == 0);
        expect_bounded(before, 512 * KIB);
        rp_transport_resume_reading(p.r.transport);
        tls_peer_run(&p);
        CHECK(p.r.length == MUCH && wire_same(p.r.data, MUCH, 0));
        tls_peer_close(&p);
        tls_stage_tear_down(&stage);
    }
    free(plain);
}
