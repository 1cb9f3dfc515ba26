/*
 * test_tls_memory.c - each allocation fails in its turn, ours and OpenSSL's: an error is told, and nothing is left.
 */
#include "harness/openssl_memory.h"
#include "harness/tls_scene.h"

static const char *const protocols[] = {"h2", "http/1.1"};

/* What a program does, and what it works with. */
typedef struct tls_stage {
    test_identity *root, *identity;
    rp_tls_context *client, *server, *other; /* set up */
} tls_stage;

typedef int attempt(tls_stage *stage);

static int load(rp_tls_context *context, const test_identity *identity)
{
    return rp_tls_context_load_cert_chain_memory(context, identity->certificate, strlen(identity->certificate),
                                                 identity->key, strlen(identity->key), NULL, NULL);
}

/* ---- contexts ---- */

static int set_up_server(tls_stage *stage, rp_tls_context *context, rp_tls_context *other)
{
    RP_TRY(load(context, stage->identity));
    RP_TRY(load(other, stage->identity));
    RP_TRY(rp_tls_context_load_verify_memory(context, stage->root->certificate, strlen(stage->root->certificate)));
    RP_TRY(rp_tls_context_set_verify_mode(context, RP_TLS_CERT_OPTIONAL));
    RP_TRY(rp_tls_context_set_alpn_protocols(context, protocols, 2));
    RP_TRY(rp_tls_context_set_ciphers(context, "ECDHE+AESGCM"));
    RP_TRY(rp_tls_context_add_server_name(context, "a.example", other));
    return rp_tls_context_add_server_name(context, "*.example", other);
}

static int make_server(tls_stage *stage)
{
    rp_tls_context *context, *other;
    int rc;

    RP_TRY(rp_tls_context_new(RP_TLS_SERVER, &context));
    rc = rp_tls_context_new(RP_TLS_SERVER, &other);
    if (rc == 0) {
        rc = set_up_server(stage, context, other);
        rp_tls_context_unref(other);
    }
    rp_tls_context_unref(context);
    return rc;
}

static int make_client(tls_stage *stage)
{
    rp_tls_context *context;
    int rc;

    RP_TRY(rp_tls_context_new(RP_TLS_CLIENT, &context));
    rc = rp_tls_context_load_verify_memory(context, stage->root->certificate, strlen(stage->root->certificate));
    if (rc == 0)
        rc = rp_tls_context_set_alpn_protocols(context, protocols, 2);
    if (rc == 0)
        rc = rp_tls_context_set_groups(context, "X25519:P-256");
    rp_tls_context_unref(context);
    return rc;
}

/* ---- connections ---- */

static int use(test_pair *pair)
{
    const rp_tls_certificate *certificate;
    rp_tls_session *session;
    char buffer[8];
    int64_t taken;

    if (pair->client_error < 0 || pair->server_error < 0)
        return pair->server_error < 0 ? pair->server_error : pair->client_error;
    RP_TRY(end_write(&pair->server, "text"));
    test_carry(&pair->server, &pair->client, SIZE_MAX);
    taken = end_read(&pair->client, buffer, sizeof buffer);
    if (taken < 0)
        return (int)taken;
    RP_TRY(rp_tls_peer_certificate(test_transport(&pair->client), &certificate));
    RP_TRY(rp_tls_get_session(test_transport(&pair->client), &session));
    rp_tls_session_unref(session);
    RP_TRY(pair->client.engine->type->shutdown(pair->client.engine));
    return 0;
}

static int connect_both(tls_stage *stage)
{
    test_pair pair = {.client_error = -EAGAIN, .server_error = -EAGAIN, .split = SIZE_MAX};
    int rc = test_end_open(&pair.client, stage->client, false, "localhost");

    if (rc == 0)
        rc = test_end_open(&pair.server, stage->server, true, NULL);
    if (rc == 0) {
        test_pair_shake(&pair);
        rc = use(&pair);
    }
    test_pair_close(&pair);
    return rc;
}

/* ---- each allocation fails ---- */

static void begin(tls_stage *stage)
{
    stage->root = test_root_new();
    stage->identity = test_server_identity_new(stage->root);
    stage->client = test_tls_client(stage->root);
    stage->server = test_tls_server(stage->identity);
    stage->other = test_tls_server(stage->identity);
    CHECK_INT(rp_tls_context_add_server_name(stage->server, "localhost", stage->other), ==, 0);
}

static void end(tls_stage *stage)
{
    rp_tls_context_unref(stage->client);
    rp_tls_context_unref(stage->server);
    rp_tls_context_unref(stage->other);
    test_identity_free(stage->identity);
    test_identity_free(stage->root);
}

/* What OpenSSL keeps once and for all it has by the second time. */
static void check_nothing_is_left(tls_stage *stage, attempt *tried)
{
    int64_t before = 0;

    for (int i = 0; i < 3; i++) {
        before = test_openssl_live();
        CHECK_INT(tried(stage), ==, 0);
    }
    CHECK_INT(test_openssl_live(), ==, before);
}

static void fail_each(attempt *tried)
{
    tls_stage stage;
    int rc = -1;

    begin(&stage);
    check_nothing_is_left(&stage, tried);
    for (uint64_t nth = 1; rc < 0; nth++) {
        test_fail_allocation(nth);
        rc = tried(&stage);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK(rc < 0 || !test_allocation_failed());
    }
    test_fail_allocation(0);
    check_nothing_is_left(&stage, tried);
    end(&stage);
}

/* OpenSSL does without some, and does not always say that it was memory. */
static void fail_each_of_openssl(attempt *tried, uint64_t step)
{
    tls_stage stage;
    bool failed = true;

    begin(&stage);
    check_nothing_is_left(&stage, tried);
    for (uint64_t nth = 1; failed; nth += step) {
        test_openssl_fail(nth);
        CHECK_INT(tried(&stage), <=, 0);
        failed = test_openssl_failed();
    }
    test_openssl_fail(0);
    check_nothing_is_left(&stage, tried);
    end(&stage);
}

TEST(a_servers_context_without_memory)
{
    fail_each(make_server);
}

TEST(a_clients_context_without_memory)
{
    fail_each(make_client);
}

TEST(a_connection_without_memory)
{
    fail_each(connect_both);
}

TEST(a_servers_context_when_openssl_has_no_memory)
{
    fail_each_of_openssl(make_server, test_slow() ? 97 : 19);
}

TEST(a_clients_context_when_openssl_has_no_memory)
{
    fail_each_of_openssl(make_client, test_slow() ? 97 : 19);
}

TEST(a_connection_when_openssl_has_no_memory)
{
    fail_each_of_openssl(connect_both, test_slow() ? 97 : 19);
}

/* ---- memory that nobody has written ---- */

enum {
    RECORD = 16384,
    HELLO = RECORD + 16, /* just more than OpenSSL clears of the buffer that it collects a message in */
    TEXT = 9,            /* of a server's name */
};

static unsigned char *put(unsigned char *to, unsigned value)
{
    to[0] = (unsigned char)(value >> 8);
    to[1] = (unsigned char)value;
    return to + 2;
}

static void feed_record(test_end_of_tls *end, const unsigned char *data, size_t length)
{
    unsigned char header[5] = {0x16};

    put(put(header + 1, 0x0301), (unsigned)length);
    test_end_feed(end, header, sizeof header);
    test_end_feed(end, data, length);
}

/* Its last extension is a server's name, which is said to have such a length. */
static void feed_hello(test_end_of_tls *end, unsigned name_length)
{
    enum { BEFORE = 4 + 2 + 32 + 1 + 4 + 2 + 2, NAME = 5 + TEXT, PADDING = HELLO - BEFORE - 4 - NAME - 4 };
    static unsigned char hello[HELLO];
    unsigned char *at = put(hello, 0x0100); /* a hello, and three bytes for its length */

    at = put(at, HELLO - 4);
    at = put(at, TLS1_2_VERSION) + 32 + 1; /* random bytes, and no session */
    at = put(put(at, 2), 0xc02f);          /* ECDHE-RSA-AES128-GCM-SHA256 */
    at = put(at, 0x0100);                  /* no compression */
    at = put(at, HELLO - BEFORE);
    at = put(put(at, TLSEXT_TYPE_padding), PADDING) + PADDING;
    at = put(put(at, TLSEXT_TYPE_server_name), NAME);
    at = put(at, NAME - 2);
    *at++ = TLSEXT_NAMETYPE_host_name;
    memcpy(put(at, name_length), "localhost", TEXT);
    CHECK_INT(at + 2 + TEXT - hello, ==, HELLO);
    feed_record(end, hello, RECORD);
    feed_record(end, hello + RECORD, HELLO - RECORD);
}

static int note_name(void *arg, const char *name, rp_tls_context **context)
{
    *(size_t *)arg = name ? strlen(name) : 0;
    return 0;
}

TEST(a_name_that_ends_behind_its_hello_is_none)
{
    for (unsigned beyond = 0; beyond < 200; beyond += 1 + beyond * 10) {
        test_end_of_tls server;
        tls_stage stage;
        size_t told = SIZE_MAX;

        begin(&stage);
        CHECK_INT(rp_tls_context_set_sni_callback(stage.server, note_name, &told), ==, 0);
        CHECK_INT(test_end_open(&server, stage.server, true, NULL), ==, 0);
        feed_hello(&server, TEXT + beyond);
        server.engine->type->handshake(server.engine);
        CHECK_INT(told, ==, beyond ? 0 : TEXT);
        test_end_close(&server);
        end(&stage);
    }
}
