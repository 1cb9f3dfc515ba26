/*
 * test_hostile_records.c - TLS with a peer whose records are none, or such as no implementation makes: plain text,
 * records that are too long or empty, alerts of each kind, floods of records that bring nothing.
 */
#include "harness/tls_peer.h"
#include "tls/engine.h"

enum {
    FATAL = 2,
    WARNING = 1,
    MOST_PLAIN = 16384,
    FLOOD = 1000,
    MOST_USELESS = 64, /* records in a row without data: rp_tls_context_new() */
};

static bool is_named(int error)
{
    return error <= RP_ETLS_VERIFY && error >= RP_ETLS_WEAK;
}

/* A connection that has heard so much from the peer, all at once or in pieces; and how it has ended by then, or 0. */
static int hear(tls_peer *p, const tls_stage *stage, const void *data, size_t length)
{
    int result;

    tls_peer_open(p, stage, start_memory, true);
    tls_peer_say(p, data, length);
    tls_peer_run(p);
    result = tls_peer_over(p) ? tls_peer_result(p) : 0;
    if (!result)
        CHECK(!p->done && p->queued == 0);
    return result;
}

/* A connection whose handshake is done, and whose records are forged from now on. */
static void open_for_forgeries(tls_peer *p, const tls_stage *stage)
{
    tls_peer_open(p, stage, start_memory, false);
    tls_peer_run(p);
    CHECK(p->shaken && p->done && p->error == 0);
}

static void expect_end(tls_peer *p, int error)
{
    tls_peer_run(p);
    CHECK(tls_peer_over(p));
    CHECK_INT(tls_peer_result(p), ==, error);
    tls_peer_close(p);
}

/* It still works: a record of the peer's gets through. */
static void expect_open(tls_peer *p)
{
    size_t before = p->r.length;

    tls_peer_forge(p, SSL3_RT_APPLICATION_DATA, "alive", 5, 0);
    tls_peer_run(p);
    CHECK(!tls_peer_over(p) && p->r.length == before + 5);
    CHECK(memcmp(p->r.data + before, "alive", 5) == 0);
    tls_peer_close(p);
}

/* ---- what is no TLS ---- */

TEST(plain_text_is_called_so)
{
    static const char *const texts[][8] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail.test ESMTP\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
         "+OK ready\r\n"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.0\r\n\r\n", "CONNECT x:443 HTTP/1.1\r\n\r\n",
         "EHLO mail.test\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "PRI * HTTP/2.0\r\n\r\n", "\r\n\r\n\r\n", "{\"id\": 1}"},
    };
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int i = 0; i < 8 && texts[server][i]; i++)
            for (size_t piece = 0; piece < 3; piece++) {
                tls_peer p = {.server = server, .piece = piece};

                CHECK_INT(hear(&p, &stage, texts[server][i], strlen(texts[server][i])), ==, RP_ETLS_PLAIN);
                CHECK_INT(p.alert, ==, -1);
                tls_peer_close(&p);
            }
    tls_stage_tear_down(&stage);
}

/* What may still become a record is waited for; then the peer leaves. */
TEST(nonsense_of_any_first_byte_ends_the_connection)
{
    tls_stage stage;
    unsigned char bytes[400];

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int first = 0; first < 256; first++) {
            tls_peer p = {.server = server};
            int result;

            wire_fill(bytes, sizeof bytes, (uint64_t)first);
            bytes[0] = (unsigned char)first;
            result = hear(&p, &stage, bytes, sizeof bytes);
            if (!result) {
                rp_transport_close(p.distant);
                tls_peer_run(&p);
                CHECK_INT(tls_peer_result(&p), ==, -ECONNRESET);
            } else {
                CHECK(is_named(result));
            }
            tls_peer_close(&p);
        }
    tls_stage_tear_down(&stage);
}

/* ---- lengths ---- */

/* Refused by its header: nobody waits for the rest, and nothing of that is kept. */
TEST(a_record_that_is_too_long_is_refused_at_once)
{
    static const size_t lengths[] = {RP_TLS_RECORD - 4, 20000, 0x8000, 0xffff};
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int type = SSL3_RT_CHANGE_CIPHER_SPEC; type <= SSL3_RT_APPLICATION_DATA; type++)
            for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
                tls_peer p = {.server = server, .piece = i % 2};
                unsigned char header[] = {(unsigned char)type,       3, 3, (unsigned char)(lengths[i] >> 8),
                                          (unsigned char)lengths[i], 1, 2, 3};

                CHECK_INT(hear(&p, &stage, header, sizeof header), ==, RP_ETLS_PROTOCOL);
                tls_peer_close(&p);
            }
    tls_stage_tear_down(&stage);
}

/* The longest plaintext and one byte more; and the same made of padding. */
TEST(a_record_holds_16_KiB_and_not_more)
{
    static char plain[MOST_PLAIN + 300];
    static const size_t too_much[] = {1, 2, 200, 255, 256, 300};
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    wire_fill(plain, sizeof plain, 0);
    for (int server = 0; server < 2; server++) {
        for (int padded = 0; padded < 2; padded++) {
            tls_peer p = {.server = server};
            size_t length = padded ? 10 : MOST_PLAIN;

            open_for_forgeries(&p, &stage);
            tls_peer_forge(&p, SSL3_RT_APPLICATION_DATA, plain, length, MOST_PLAIN - length);
            tls_peer_run(&p);
            CHECK(p.r.length == length && wire_same(p.r.data, length, 0));
            expect_open(&p);
        }
        for (size_t i = 0; i < sizeof too_much / sizeof too_much[0]; i++) {
            tls_peer p = {.server = server};

            open_for_forgeries(&p, &stage);
            tls_peer_forge(&p, SSL3_RT_APPLICATION_DATA, plain, MOST_PLAIN + too_much[i], 0);
            expect_end(&p, RP_ETLS_PROTOCOL);
        }
    }
    tls_stage_tear_down(&stage);
}

/* A hello that says it is long is not waited for, as far as a whole one can be told from it. */
TEST(a_handshake_message_of_16_MiB_is_refused_at_once)
{
    unsigned char hello[] = {SSL3_RT_HANDSHAKE, 3, 1, 0, 4, SSL3_MT_CLIENT_HELLO, 0xff, 0xff, 0xff};
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++) {
        tls_peer p = {.server = server};

        hello[5] = server ? SSL3_MT_CLIENT_HELLO : SSL3_MT_SERVER_HELLO;
        CHECK_INT(hear(&p, &stage, hello, sizeof hello), ==, RP_ETLS_PROTOCOL);
        tls_peer_close(&p);
    }
    tls_stage_tear_down(&stage);
}

/* Cuts what is queued, a single record, into records of one byte. */
static void cut_into_records(tls_peer *p)
{
    unsigned char *whole = p->queue;
    size_t length = p->queued;

    CHECK_INT(length, ==, 5 + (size_t)whole[3] * 256 + whole[4]);
    p->queue = NULL;
    p->queued = p->capacity = 0;
    for (size_t i = 5; i < length; i++) {
        unsigned char bytes[] = {whole[0], whole[1], whole[2], 0, 1, whole[i]};

        tls_peer_say(p, bytes, sizeof bytes);
    }
    free(whole);
}

TEST(a_hello_may_come_in_records_of_one_byte)
{
    tls_stage stage;

    for (int version = RP_TLS_1_2; version <= RP_TLS_1_3; version++)
        for (size_t piece = 0; piece < 2; piece++) {
            tls_peer p = {.server = true, .piece = piece};

            tls_stage_set_up(&stage, version);
            tls_peer_open(&p, &stage, start_memory, false);
            cut_into_records(&p);
            tls_peer_run(&p);
            CHECK(p.shaken && p.done && p.error == 0);
            tls_peer_write(&p, "data", 4);
            tls_peer_run(&p);
            CHECK_INT(p.r.length, ==, 4);
            tls_peer_close(&p);
            tls_stage_tear_down(&stage);
        }
}

/* ---- empty records ---- */

TEST(empty_records_in_a_handshake_are_refused)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int type = SSL3_RT_CHANGE_CIPHER_SPEC; type <= SSL3_RT_APPLICATION_DATA; type++) {
            unsigned char bytes[FLOOD][5] = {{0}};
            tls_peer p = {.server = server};

            for (int i = 0; i < FLOOD; i++)
                memcpy(bytes[i], (unsigned char[]){(unsigned char)type, 3, 3, 0, 0}, 5);
            CHECK(is_named(hear(&p, &stage, bytes, sizeof bytes)));
            tls_peer_close(&p);
        }
    tls_stage_tear_down(&stage);
}

TEST(some_empty_records_are_put_up_with_and_a_flood_of_them_is_not)
{
    tls_stage stage;

    for (int version = RP_TLS_1_2; version <= RP_TLS_1_3; version++) {
        tls_stage_set_up(&stage, version);
        for (int server = 0; server < 2; server++)
            for (size_t padding = 0; padding < 300; padding += 250) {
                tls_peer p = {.server = server}, flood = {.server = server};

                open_for_forgeries(&p, &stage);
                for (int i = 0; i < 5; i++)
                    tls_peer_forge(&p, SSL3_RT_APPLICATION_DATA, "", 0, padding);
                expect_open(&p);
                open_for_forgeries(&flood, &stage);
                for (int i = 0; i < FLOOD; i++)
                    tls_peer_forge(&flood, SSL3_RT_APPLICATION_DATA, "", 0, padding);
                expect_end(&flood, RP_ETLS_PROTOCOL);
            }
        tls_stage_tear_down(&stage);
    }
}

/* ---- alerts ---- */

/* Which error an alert that ends the connection is told by. */
static int error_of_alert(int alert)
{
    if (alert == SSL_AD_PROTOCOL_VERSION)
        return RP_ETLS_VERSION;
    return alert == SSL_AD_INSUFFICIENT_SECURITY ? RP_ETLS_CIPHER : RP_ETLS_ALERT;
}

/* A server has heard the hello first: it hears nothing else before it. */
TEST(an_alert_of_any_number_ends_a_handshake_and_is_told)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int alert = 0; alert < 256; alert++) {
            unsigned char bytes[] = {SSL3_RT_ALERT, 3, 3, 0, 2, FATAL, (unsigned char)alert};
            tls_peer p = {.server = server, .piece = (size_t)alert % 3};

            tls_peer_open(&p, &stage, start_memory, !server);
            p.broken = true;
            tls_peer_say(&p, bytes, sizeof bytes);
            tls_peer_run(&p);
            if (server && alert == SSL_AD_USER_CANCELLED) {
                CHECK(!tls_peer_over(&p));
                tls_peer_close(&p);
                continue;
            }
            CHECK_INT(p.alert, ==, alert);
            expect_end(&p, error_of_alert(alert));
        }
    tls_stage_tear_down(&stage);
}

TEST(an_alert_in_place_of_a_hello_ends_the_handshake)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int alert = 0; alert < 256; alert++)
        for (unsigned char level = 0; level < 4; level++) {
            unsigned char bytes[] = {SSL3_RT_ALERT, 3, 3, 0, 2, level, (unsigned char)alert};
            tls_peer p = {.server = true};

            CHECK_INT(hear(&p, &stage, bytes, sizeof bytes), ==, RP_ETLS_PROTOCOL);
            tls_peer_close(&p);
        }
    tls_stage_tear_down(&stage);
}

/* They are no end by themselves; but they are few in a connection that means it. */
TEST(a_flood_of_warnings_ends_a_handshake)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_2);
    for (int server = 0; server < 2; server++) {
        unsigned char bytes[FLOOD][7];
        tls_peer p = {.server = server};

        for (int i = 0; i < FLOOD; i++)
            memcpy(bytes[i], (unsigned char[]){SSL3_RT_ALERT, 3, 3, 0, 2, WARNING, SSL_AD_NO_RENEGOTIATION}, 7);
        CHECK(is_named(hear(&p, &stage, bytes, sizeof bytes)));
        tls_peer_close(&p);
    }
    tls_stage_tear_down(&stage);
}

/* In TLS 1.3 an alert is the end whatever its level says, but for user_canceled, behind which another one comes. */
TEST(an_alert_of_any_number_ends_an_open_connection_and_is_told)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int alert = 0; alert < 256; alert++) {
            unsigned char bytes[] = {FATAL, (unsigned char)alert};
            tls_peer p = {.server = server};

            open_for_forgeries(&p, &stage);
            tls_peer_forge(&p, SSL3_RT_APPLICATION_DATA, "before", 6, 0);
            tls_peer_forge(&p, SSL3_RT_ALERT, bytes, sizeof bytes, 0);
            tls_peer_run(&p);
            CHECK_INT(p.r.length, ==, 6);
            if (alert == SSL_AD_USER_CANCELLED) {
                expect_open(&p);
                continue;
            }
            CHECK_INT(p.alert, ==, alert == SSL_AD_CLOSE_NOTIFY ? -1 : alert);
            expect_end(&p, alert == SSL_AD_CLOSE_NOTIFY ? 0 : error_of_alert(alert));
        }
    tls_stage_tear_down(&stage);
}

/* ---- what may be in a record besides data ---- */

TEST(records_of_any_other_type_end_an_open_connection)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int type = 0; type < 256; type++) {
            tls_peer p = {.server = server};

            if (type == SSL3_RT_APPLICATION_DATA || type == SSL3_RT_HANDSHAKE)
                continue;
            open_for_forgeries(&p, &stage);
            tls_peer_forge(&p, type, type ? "\1" : "\0", 1, 0);
            tls_peer_run(&p);
            CHECK(tls_peer_over(&p) && is_named(tls_peer_result(&p)));
            tls_peer_close(&p);
        }
    tls_stage_tear_down(&stage);
}

TEST(handshake_messages_of_any_type_end_an_open_connection)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int type = 0; type < 256; type++) {
            unsigned char message[] = {(unsigned char)type, 0, 0, 1, 7};
            tls_peer p = {.server = server};

            open_for_forgeries(&p, &stage);
            tls_peer_forge(&p, SSL3_RT_HANDSHAKE, message, sizeof message, 0);
            tls_peer_run(&p);
            CHECK(tls_peer_over(&p) && is_named(tls_peer_result(&p)));
            tls_peer_close(&p);
        }
    tls_stage_tear_down(&stage);
}

/* ---- floods ---- */

TEST(key_updates_are_followed_and_a_flood_of_them_ends_the_connection)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    for (int server = 0; server < 2; server++)
        for (int requested = 0; requested < 2; requested++) {
            tls_peer p = {.server = server}, flood = {.server = server};

            open_for_forgeries(&p, &stage);
            tls_peer_forge(&p, SSL3_RT_APPLICATION_DATA, "x", 1, 0);
            for (int i = 0; i < MOST_USELESS; i++)
                tls_peer_update_keys(&p, requested);
            tls_peer_run(&p);
            expect_open(&p);
            open_for_forgeries(&flood, &stage);
            for (int i = 0; i <= MOST_USELESS; i++)
                tls_peer_update_keys(&flood, requested);
            expect_end(&flood, RP_ETLS_PROTOCOL);
        }
    tls_stage_tear_down(&stage);
}

/* A client's hello, or what a server asks for one by: each is answered by a warning, and the connection goes on. */
TEST(some_renegotiations_are_refused_and_a_flood_of_them_ends_the_connection)
{
    unsigned char hello[60] = {SSL3_MT_CLIENT_HELLO, 0, 0, 56, 3, 3}, please[] = {SSL3_MT_HELLO_REQUEST, 0, 0, 0};
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_2);
    for (int server = 0; server < 2; server++) {
        tls_peer p = {.server = server}, flood = {.server = server};
        const void *message = server ? hello : please;
        size_t length = server ? sizeof hello : sizeof please, heard;

        open_for_forgeries(&p, &stage);
        p.broken = true; /* OpenSSL would take the answer for the end */
        heard = p.heard;
        tls_peer_forge(&p, SSL3_RT_HANDSHAKE, message, length, 0);
        tls_peer_run(&p);
        CHECK_INT(p.heard, >, heard);
        expect_open(&p);
        open_for_forgeries(&flood, &stage);
        for (int i = 0; i < FLOOD; i++)
            tls_peer_forge(&flood, SSL3_RT_HANDSHAKE, message, length, 0);
        expect_end(&flood, RP_ETLS_PROTOCOL);
    }
    tls_stage_tear_down(&stage);
}

/* All of it in one read: that ends before the flood does. */
TEST(a_flood_of_key_updates_in_one_read_ends_the_connection)
{
    tls_stage stage;
    tls_peer p = {.server = true};

    tls_stage_set_up(&stage, RP_TLS_1_3);
    tls_peer_open(&p, &stage, start_tcp, false);
    PEER_UNTIL(&p, p.shaken && p.done);
    for (int i = 0; i < FLOOD; i++)
        tls_peer_update_keys(&p, false);
    PEER_UNTIL(&p, tls_peer_over(&p));
    CHECK_INT(tls_peer_result(&p), ==, RP_ETLS_PROTOCOL);
    tls_peer_close(&p);
    tls_stage_tear_down(&stage);
}

/* ---- names of servers ---- */

static int note_name(void *arg, const char *name, rp_tls_context **context)
{
    int *named = arg;

    *named = name ? 1 : 0;
    return 0;
}

/* Changes a byte of a hello's extension, from the beginning of the name on: whether the server was told a name. */
static int named_after(const tls_stage *stage, long at, unsigned char value)
{
    tls_peer p = {.server = true};
    unsigned char *name = NULL;
    int named = -1;

    CHECK_INT(rp_tls_context_set_sni_callback(stage->ours[1], note_name, &named), ==, 0);
    tls_peer_open(&p, stage, start_memory, true);
    p.ssl = SSL_new(stage->theirs[0]);
    CHECK(p.ssl && SSL_set_app_data(p.ssl, &p) && SSL_set_tlsext_host_name(p.ssl, "localhost"));
    SSL_set_bio(p.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(p.ssl);
    tls_peer_think(&p);
    for (size_t i = 0; !name && i + 9 <= p.queued; i++)
        name = memcmp(p.queue + i, "localhost", 9) == 0 ? p.queue + i : NULL;
    CHECK(name);
    name[at] = value;
    tls_peer_run(&p);
    tls_peer_close(&p);
    return named;
}

/* The certificate that a client has to show went by the first name. */
TEST(a_second_hello_has_the_name_of_the_first)
{
    static const char *const names[] = {"localhost", "other.test", NULL};

    for (size_t i = 0; i < 3; i++) {
        tls_peer p = {.server = true};
        tls_stage stage;

        tls_stage_set_up(&stage, RP_TLS_1_3);
        CHECK_INT(rp_tls_context_set_groups(stage.ours[1], "P-256"), ==, 0);
        tls_peer_open(&p, &stage, start_memory, true);
        p.ssl = SSL_new(stage.theirs[0]);
        CHECK(p.ssl && SSL_set_app_data(p.ssl, &p) && SSL_set_tlsext_host_name(p.ssl, "localhost"));
        CHECK(SSL_set1_groups_list(p.ssl, "X25519:P-256"));
        SSL_set_bio(p.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_connect_state(p.ssl);
        tls_peer_think(&p);
        CHECK(SSL_set_tlsext_host_name(p.ssl, names[i]));
        tls_peer_run(&p);
        if (i == 0)
            CHECK_STR(rp_tls_server_name(p.filter), "localhost");
        else
            CHECK_INT(p.error, ==, RP_ETLS_PROTOCOL);
        tls_peer_close(&p);
        tls_stage_tear_down(&stage);
    }
}

TEST(a_name_that_is_longer_than_its_extension_or_has_an_end_in_it_is_none)
{
    tls_stage stage;

    tls_stage_set_up(&stage, RP_TLS_1_3);
    CHECK_INT(named_after(&stage, 8, 't'), ==, 1);
    CHECK_INT(named_after(&stage, -1, 10), ==, 0);
    CHECK_INT(named_after(&stage, -1, 200), ==, 0);
    CHECK_INT(named_after(&stage, -1, 0), ==, 0);
    CHECK_INT(named_after(&stage, 3, '\0'), ==, 0);
    CHECK_INT(named_after(&stage, -3, 1), ==, 0);
    tls_stage_tear_down(&stage);
}
