/* tls_peer.c - the peer's side of a TLS connection under test, and records that OpenSSL would not make. */
#include "harness/tls_peer.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <stdlib.h>

#include "net/transport.h"

enum {
    QUIET = 10, /* turns without anything: nothing moves any more */
    KEY = 16,
    NONCE = 12,
    TAG = 16,
    HEADER = 5,
};

/* ---- the stage ---- */

/* The peer's secret, as it stands in a line of a key log: a label, the hello's random bytes, the secret. */
static void on_key(const SSL *ssl, const char *line)
{
    tls_peer *p = SSL_get_app_data(ssl);
    const char *label = SSL_is_server(ssl) ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_TRAFFIC_SECRET_0 ";
    const char *digits = strrchr(line, ' ') + 1;

    if (strncmp(line, label, strlen(label)) != 0)
        return;
    CHECK_INT(strlen(digits), ==, 2 * sizeof p->secret);
    for (size_t i = 0; i < sizeof p->secret; i++) {
        unsigned byte;

        CHECK_INT(sscanf(digits + 2 * i, "%2x", &byte), ==, 1);
        p->secret[i] = (unsigned char)byte;
    }
}

static SSL_CTX *new_peers(const tls_stage *stage, bool server, int version)
{
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    CHECK(context);
    CHECK(SSL_CTX_set_min_proto_version(context, version) && SSL_CTX_set_max_proto_version(context, version));
    CHECK(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"));
    CHECK(SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256"));
    if (server)
        CHECK(SSL_CTX_use_certificate(context, stage->identity->x509) &&
              SSL_CTX_use_PrivateKey(context, stage->identity->pkey));
    SSL_CTX_set_keylog_callback(context, on_key);
    return context;
}

void tls_stage_set_up(tls_stage *stage, int version)
{
    stage->loop = wire_loop();
    stage->root = test_root_new();
    stage->identity = test_server_identity_new(stage->root);
    stage->ours[0] = test_tls_client(stage->root);
    stage->ours[1] = test_tls_server(stage->identity);
    stage->theirs[0] = new_peers(stage, false, version);
    stage->theirs[1] = new_peers(stage, true, version);
}

void tls_stage_tear_down(tls_stage *stage)
{
    rp_loop_free(stage->loop);
    for (int i = 0; i < 2; i++) {
        rp_tls_context_unref(stage->ours[i]);
        SSL_CTX_free(stage->theirs[i]);
    }
    test_identity_free(stage->identity);
    test_identity_free(stage->root);
}

/* ---- the peer ---- */

void tls_peer_say(tls_peer *p, const void *data, size_t length)
{
    if (p->queued + length >= p->capacity) {
        p->capacity = 2 * (p->queued + length) + 1;
        p->queue = realloc(p->queue, p->capacity);
        CHECK(p->queue);
    }
    if (length > 0)
        memcpy(p->queue + p->queued, data, length);
    p->queued += length;
}

static void take_output(tls_peer *p)
{
    char bytes[4096];
    int n;

    while ((n = BIO_read(SSL_get_wbio(p->ssl), bytes, sizeof bytes)) > 0)
        tls_peer_say(p, bytes, (size_t)n);
}

static void shake(tls_peer *p)
{
    int rc = SSL_do_handshake(p->ssl);

    if (rc == 1) {
        p->shaken = true;
        if (p->on_shaken)
            p->on_shaken(p);
    } else if (SSL_get_error(p->ssl, rc) != SSL_ERROR_WANT_READ) {
        p->broken = true;
    }
}

static void read_plain(tls_peer *p)
{
    char bytes[4096];
    int n;

    while ((n = SSL_read(p->ssl, bytes, sizeof bytes)) > 0) {
        p->plain += (size_t)n;
        if (p->on_plain)
            p->on_plain(p);
    }
    n = SSL_get_error(p->ssl, n);
    p->closed = n == SSL_ERROR_ZERO_RETURN;
    p->broken = !p->closed && n != SSL_ERROR_WANT_READ;
}

/* What it leaves in OpenSSL's queue of errors is none of the connection under test's. */
void tls_peer_think(tls_peer *p)
{
    if (!p->ssl || p->broken || p->closed)
        return;
    ERR_clear_error();
    if (!p->shaken)
        shake(p);
    if (p->shaken && !p->broken)
        read_plain(p);
    take_output(p);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
}

void tls_peer_write(tls_peer *p, const void *data, size_t length)
{
    ERR_clear_error();
    CHECK_INT(SSL_write(p->ssl, data, (int)length), ==, (int)length);
    take_output(p);
}

static void far_data(void *self, const void *data, size_t length)
{
    tls_peer *p = self;

    p->heard += length;
    if (!p->ssl)
        return;
    CHECK_INT(BIO_write(SSL_get_rbio(p->ssl), data, (int)length), ==, (int)length);
    tls_peer_think(p);
}

static void far_lost(void *self, int error)
{
    ((tls_peer *)self)->far_lost = true;
}

static const rp_protocol far_protocol = {.data_received = far_data, .connection_lost = far_lost};

/* ---- records by hand ---- */

/* HKDF-Expand-Label of RFC 8446, for what one round of HMAC gives. */
static void expand(const unsigned char secret[32], const char *label, unsigned char *key, size_t length)
{
    unsigned char info[64] = {0, (unsigned char)length, (unsigned char)(6 + strlen(label))}, digest[32];
    size_t at = 3 + (size_t)snprintf((char *)info + 3, sizeof info - 3, "tls13 %s", label);

    info[at++] = 0; /* no context */
    info[at++] = 1; /* the first round */
    CHECK(HMAC(EVP_sha256(), secret, 32, info, at, digest, NULL));
    memcpy(key, digest, length);
}

typedef struct record_keys {
    unsigned char key[KEY], nonce[NONCE], extra[13]; /* what is authenticated besides */
    size_t extra_length;
} record_keys;

/* A record by AES-128-GCM, behind what its nonce begins with, if the peer has to be told that. */
static void seal(tls_peer *p, const record_keys *keys, int type, size_t explicit, const void *data, size_t length)
{
    size_t whole = explicit + length + TAG;
    unsigned char header[HEADER] = {(unsigned char)type, 3, 3, (unsigned char)(whole >> 8), (unsigned char)whole};
    unsigned char *bytes = malloc(whole);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int n;

    CHECK(bytes && cipher);
    memcpy(bytes, keys->nonce + NONCE - explicit, explicit);
    CHECK(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, keys->key, keys->nonce));
    CHECK(keys->extra_length == 0 || EVP_EncryptUpdate(cipher, NULL, &n, keys->extra, (int)keys->extra_length));
    CHECK(keys->extra_length > 0 || EVP_EncryptUpdate(cipher, NULL, &n, header, sizeof header));
    CHECK(EVP_EncryptUpdate(cipher, bytes + explicit, &n, data, (int)length));
    CHECK(EVP_EncryptFinal_ex(cipher, bytes + explicit + n, &n));
    CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, bytes + explicit + length));
    tls_peer_say(p, header, sizeof header);
    tls_peer_say(p, bytes, whole);
    EVP_CIPHER_CTX_free(cipher);
    free(bytes);
}

/* The keys of TLS 1.2: client's, server's, and the beginnings of their nonces. */
static void expand_1_2(const tls_peer *p, unsigned char block[2 * KEY + 8])
{
    unsigned char master[48], randoms[64];
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_octet_string("secret", master, sizeof master),
        OSSL_PARAM_construct_octet_string("seed", (char[]){"key expansion"}, 13),
        OSSL_PARAM_construct_octet_string("seed", randoms, sizeof randoms),
        OSSL_PARAM_construct_end(),
    };

    CHECK_INT(SSL_SESSION_get_master_key(SSL_get_session(p->ssl), master, sizeof master), ==, sizeof master);
    SSL_get_server_random(p->ssl, randoms, 32);
    SSL_get_client_random(p->ssl, randoms + 32, 32);
    CHECK(EVP_KDF_derive(context, block, 2 * KEY + 8, params) > 0);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

static void put_sequence(unsigned char to[8], uint64_t sequence)
{
    for (int i = 0; i < 8; i++)
        to[7 - i] ^= (unsigned char)(sequence >> 8 * i);
}

static void forge_1_2(tls_peer *p, int type, const void *data, size_t length)
{
    unsigned char block[2 * KEY + 8];
    int side = p->server ? 0 : 1;
    record_keys keys = {
        .extra = {[8] = (unsigned char)type, 3, 3, (unsigned char)(length >> 8), (unsigned char)length},
        .extra_length = 13};

    expand_1_2(p, block);
    memcpy(keys.key, block + side * KEY, KEY);
    memcpy(keys.nonce, block + 2 * KEY + 4 * side, 4);
    put_sequence(keys.nonce + 4, p->sequence);
    put_sequence(keys.extra, p->sequence++);
    seal(p, &keys, type, 8, data, length);
}

static void forge_1_3(tls_peer *p, int type, const void *data, size_t length, size_t padding)
{
    unsigned char *inner = calloc(1, length + 1 + padding);
    record_keys keys = {.extra_length = 0};

    CHECK(inner);
    if (length > 0)
        memcpy(inner, data, length);
    inner[length] = (unsigned char)type;
    expand(p->secret, "key", keys.key, KEY);
    expand(p->secret, "iv", keys.nonce, NONCE);
    put_sequence(keys.nonce + 4, p->sequence++);
    seal(p, &keys, SSL3_RT_APPLICATION_DATA, 0, inner, length + 1 + padding);
    free(inner);
}

void tls_peer_forge(tls_peer *p, int type, const void *data, size_t length, size_t padding)
{
    if (SSL_version(p->ssl) == TLS1_2_VERSION)
        forge_1_2(p, type, data, length);
    else
        forge_1_3(p, type, data, length, padding);
}

void tls_peer_update_keys(tls_peer *p, bool requested)
{
    unsigned char message[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, requested}, secret[sizeof p->secret];

    tls_peer_forge(p, SSL3_RT_HANDSHAKE, message, sizeof message, 0);
    expand(p->secret, "traffic upd", secret, sizeof secret);
    memcpy(p->secret, secret, sizeof secret);
    p->sequence = 0;
}

/* ---- the connection ---- */

/* It waits for nothing. */
static void turn(rp_loop *loop)
{
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
}

static void keep(void *self, rp_transport *transport)
{
    *(rp_transport **)self = transport;
}

void start_tcp(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *transport;
    int fds[2];

    wire_pair(&fds[0], &fds[1]);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_connect_accepted_socket(loop, fds[i], protocol, selves[i], &transport), ==, 0);
}

static void on_detached(rp_transport *filter)
{
    ((tls_peer *)filter->maker)->detached = true;
}

static void look_for_alert(tls_peer *p)
{
    const rp_tls_engine *engine = rp_tls_filter_engine(p->filter);

    p->alert = engine ? engine->type->alert(engine) : -1;
}

static void on_lost(record *r)
{
    look_for_alert(rp_container_of(r, tls_peer, r));
}

static void on_done(void *arg, rp_transport *filter, int error)
{
    tls_peer *p = arg;

    p->done++;
    p->error = error;
    look_for_alert(p);
    if (error == 0)
        rp_transport_start(filter, &record_plain, &p->r);
}

int tls_peer_begin(tls_peer *p, const tls_stage *stage)
{
    rp_tls_factory *factory = (rp_tls_factory *)(void *)stage->ours[p->server];

    p->options.server = p->server;
    p->options.server_name = p->server ? NULL : "localhost";
    RP_TRY(rp_tls_filter_new(p->below, factory, &p->options, on_done, p, &p->filter));
    rp_transport_ref(p->filter);
    p->filter->maker = p;
    p->filter->detached = on_detached;
    return 0;
}

/* Which record is the first behind the handshake: in TLS 1.3 a server's tickets are. */
static uint64_t first_sequence(const tls_peer *p, const tls_stage *stage)
{
    if (SSL_CTX_get_max_proto_version(stage->theirs[0]) == TLS1_2_VERSION)
        return 1;
    return p->server ? 0 : 2;
}

void tls_peer_open(tls_peer *p, const tls_stage *stage, starter *below, bool silent)
{
    static const rp_protocol beginner = {.connection_made = keep};

    p->loop = stage->loop;
    p->cut = SIZE_MAX;
    p->alert = -1;
    p->r.on_lost = on_lost;
    below(p->loop, &beginner, (void *[]){&p->below, &p->distant});
    while (!p->below || !p->distant)
        turn(p->loop);
    rp_transport_ref(p->below);
    rp_transport_ref(p->distant);
    rp_transport_set_protocol(p->distant, &far_protocol, p);
    p->sequence = first_sequence(p, stage);
    if (!silent) {
        p->ssl = SSL_new(stage->theirs[!p->server]);
        CHECK(p->ssl && SSL_set_app_data(p->ssl, p));
        SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        if (p->server)
            SSL_set_connect_state(p->ssl);
        else
            SSL_set_accept_state(p->ssl);
    }
    CHECK_INT(tls_peer_begin(p, stage), ==, 0);
    tls_peer_think(p);
}

void tls_peer_pass(tls_peer *p)
{
    size_t length = p->piece && p->piece < p->queued ? p->piece : p->queued;

    if (length > p->cut - p->passed)
        length = p->cut - p->passed;
    if (p->far_lost || length == 0 || rp_transport_get_write_buffer_size(p->distant) > 0)
        return;
    if (p->bits && p->changed >= p->passed && p->changed < p->passed + length)
        p->queue[p->changed - p->passed] ^= p->bits;
    rp_transport_write(p->distant, p->queue, length);
    p->passed += length;
    p->queued -= length;
    memmove(p->queue, p->queue + length, p->queued);
}

static size_t moved(const tls_peer *p)
{
    return p->heard + p->passed + p->r.length + (size_t)p->r.lost + (size_t)p->done + p->detached + p->far_lost +
           rp_transport_get_write_buffer_size(p->distant);
}

void tls_peer_run(tls_peer *p)
{
    for (int quiet = 0; quiet < QUIET;) {
        size_t before = moved(p);

        tls_peer_pass(p);
        turn(p->loop);
        quiet = moved(p) == before ? quiet + 1 : 0;
    }
}

void tls_peer_close(tls_peer *p)
{
    rp_transport_abort(p->filter);
    rp_transport_abort(p->distant);
    tls_peer_run(p);
    RUN_UNTIL(p->loop, tls_peer_over(p) && p->far_lost);
    ERR_clear_error();
    SSL_free(p->ssl);
    rp_transport_unref(p->filter);
    rp_transport_unref(p->below);
    rp_transport_unref(p->distant);
    free(p->queue);
    free(p->r.data);
}
