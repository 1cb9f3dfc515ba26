/*
 * test_openssl_records.c - records that OpenSSL does not make, but has to understand: made by the keys of a connection.
 */
#include <openssl/hmac.h>
#include <stdio.h>

#include "harness/tls_scene.h"

static unsigned char client_secret[32];

static void keep_secret(const SSL *ssl, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    const char *digits = strrchr(line, ' ') + 1;

    if (strncmp(line, label, sizeof label - 1) != 0)
        return;
    for (size_t i = 0; i < sizeof client_secret; i++)
        CHECK_INT(sscanf(digits + 2 * i, "%2hhx", &client_secret[i]), ==, 1);
}

/* HKDF-Expand-Label of RFC 8446, for what is not longer than the hash. */
static void expand(const char *label, unsigned char *key, size_t length)
{
    unsigned char info[32] = {0, (unsigned char)length, (unsigned char)(strlen(label) + 6)}, whole[32];
    size_t at = 3 + strlen(label) + 6;

    snprintf((char *)info + 3, sizeof info - 3, "tls13 %s", label);
    info[at + 1] = 1; /* behind an empty context */
    CHECK(HMAC(EVP_sha256(), client_secret, sizeof client_secret, info, at + 2, whole, NULL) != NULL);
    memcpy(key, whole, length);
}

/* A record of the client's by TLS_AES_128_GCM_SHA256: plaintext and its type, and the number of the record. */
static void feed_record(test_end_of_tls *server, const char *plain, size_t length, unsigned char type,
                        uint64_t number)
{
    unsigned char key[16], iv[12], record[5 + 256] = {23, 3, 3, 0, (unsigned char)(length + 1 + 16)}, inner[128];
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int done;

    expand("key", key, sizeof key);
    expand("iv", iv, sizeof iv);
    for (int i = 0; i < 8; i++)
        iv[11 - i] ^= (unsigned char)(number >> 8 * i);
    memcpy(inner, plain, length);
    inner[length] = type;
    CHECK(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, iv));
    CHECK(EVP_EncryptUpdate(cipher, NULL, &done, record, 5));
    CHECK(EVP_EncryptUpdate(cipher, record + 5, &done, inner, (int)length + 1));
    CHECK(EVP_EncryptFinal_ex(cipher, record + 5 + done, &done));
    CHECK(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, record + 5 + length + 1));
    EVP_CIPHER_CTX_free(cipher);
    test_end_feed(server, record, 5 + length + 1 + 16);
}

static void connect_with_secret(tls_scene *scene)
{
    scene_set_up(scene);
    CHECK_INT(rp_tls_context_set_ciphersuites(scene->client, "TLS_AES_128_GCM_SHA256"), ==, 0);
    SSL_CTX_set_keylog_callback(scene->client->ssl, keep_secret);
    scene_connect(scene);
}

TEST(records_without_plaintext_are_no_end)
{
    tls_scene scene;
    char buffer[8];

    connect_with_secret(&scene);
    for (uint64_t i = 0; i < 20; i++) {
        feed_record(&scene.pair.server, "", 0, 23, 2 * i);
        CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, -EAGAIN);
        feed_record(&scene.pair.server, "ping", 4, 23, 2 * i + 1);
        CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, 4);
    }
    scene_tear_down(&scene);
}

TEST(a_flood_of_records_without_plaintext_is_refused)
{
    tls_scene scene;
    char buffer[8];

    connect_with_secret(&scene);
    for (uint64_t i = 0; i < 1000; i++)
        feed_record(&scene.pair.server, "", 0, 23, i);
    CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, RP_ETLS_PROTOCOL);
    scene_tear_down(&scene);
}

TEST(a_flood_of_records_of_a_byte_is_read)
{
    tls_scene scene;
    char buffer[600];

    connect_with_secret(&scene);
    for (uint64_t i = 0; i < 500; i++)
        feed_record(&scene.pair.server, "x", 1, 23, i);
    CHECK_INT(test_end_read(&scene.pair.server, buffer, sizeof buffer, sizeof buffer), ==, 500);
    CHECK_INT(scene.pair.server.input.length, ==, 0);
    scene_tear_down(&scene);
}
