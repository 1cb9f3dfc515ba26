/*
 * test_openssl_error.c - handshakes that fail: each reason has its error, its text, and the alert that tells the peer.
 */
#include <openssl/sslerr.h>

#include "harness/tls_scene.h"

/* A client and a server that show certificates of one root; a test replaces what is not to fit. */
static void replace_server(tls_scene *scene, const test_issue *issue)
{
    test_identity_free(scene->identity);
    scene->identity = test_identity_new(issue);
    rp_tls_context_unref(scene->server);
    scene->server = test_tls_server(scene->identity);
}

/* The client finds fault with the server, and says so by an alert. */
static void check_refused(tls_scene *scene, const char *name, int error, const char *text, int alert)
{
    test_end_of_tls *client = &scene->pair.client, *server = &scene->pair.server;

    test_pair_open(&scene->pair, scene->client, scene->server, name);
    test_pair_shake(&scene->pair);
    CHECK_INT(scene->pair.client_error, ==, error);
    CHECK_STR(client->engine->type->text(client->engine), text);
    CHECK_INT(client->engine->type->alert(client->engine), ==, -1);
    /* In TLS 1.3 the server's handshake is over by then. */
    if (scene->pair.server_error == 0) {
        char byte;

        CHECK_INT(end_read(server, &byte, 1), ==, RP_ETLS_ALERT);
    } else {
        CHECK_INT(scene->pair.server_error, ==, RP_ETLS_ALERT);
    }
    CHECK_INT(server->engine->type->alert(server->engine), ==, alert);
    CHECK(server->engine->type->text(server->engine) != NULL);
}

/* ---- the server's certificate ---- */

TEST(a_certificate_that_has_expired)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        replace_server(
            &scene,
            &(test_issue){
                .name = "localhost", .names = "DNS:localhost", .issuer = scene.root, .from = -9, .until = -2});
        check_refused(&scene, "localhost", RP_ETLS_EXPIRED, "certificate has expired", SSL_AD_CERTIFICATE_EXPIRED);
    }
}

TEST(a_certificate_that_is_not_valid_yet)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        replace_server(
            &scene,
            &(test_issue){
                .name = "localhost", .names = "DNS:localhost", .issuer = scene.root, .from = 2, .until = 9});
        check_refused(&scene, "localhost", RP_ETLS_NOT_YET_VALID, "certificate is not yet valid",
                      SSL_AD_BAD_CERTIFICATE);
    }
}

TEST(a_certificate_that_is_self_signed)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        replace_server(&scene, &(test_issue){.name = "localhost", .names = "DNS:localhost"});
        check_refused(&scene, "localhost", RP_ETLS_SELF_SIGNED, "self-signed certificate", SSL_AD_UNKNOWN_CA);
    }
}

TEST(a_certificate_of_an_unknown_issuer)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        test_identity *other = test_root_new();

        replace_server(&scene, &(test_issue){.name = "localhost", .names = "DNS:localhost", .issuer = other});
        check_refused(&scene, "localhost", RP_ETLS_UNTRUSTED, "unable to get local issuer certificate",
                      SSL_AD_UNKNOWN_CA);
        test_identity_free(other);
    }
}

TEST(a_certificate_for_another_name)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        check_refused(&scene, "example.org", RP_ETLS_HOSTNAME, "hostname mismatch", SSL_AD_BAD_CERTIFICATE);
    }
}

TEST(a_certificate_for_another_address)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        check_refused(&scene, "127.0.0.2", RP_ETLS_HOSTNAME, "IP address mismatch", SSL_AD_BAD_CERTIFICATE);
    }
}

TEST(a_certificate_that_has_been_revoked)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        char *crl = test_crl(scene.root, scene.identity);

        CHECK_INT(rp_tls_context_load_verify_memory(scene.client, crl, strlen(crl)), ==, 0);
        CHECK_INT(rp_tls_context_set_verify_flags(scene.client, RP_TLS_VERIFY_CRL_LEAF), ==, 0);
        check_refused(&scene, "localhost", RP_ETLS_REVOKED, "certificate revoked", SSL_AD_CERTIFICATE_REVOKED);
        free(crl);
    }
}

TEST(a_revocation_list_that_is_missing)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        CHECK_INT(rp_tls_context_set_verify_flags(scene.client, RP_TLS_VERIFY_CRL_LEAF), ==, 0);
        check_refused(&scene, "localhost", RP_ETLS_VERIFY, "unable to get certificate CRL", SSL_AD_UNKNOWN_CA);
    }
}

TEST(a_certificate_that_may_not_issue_others)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        test_identity *no_issuer = test_identity_new(&(test_issue){.name = "not a CA", .issuer = scene.root});

        replace_server(&scene, &(test_issue){.name = "localhost", .names = "DNS:localhost", .issuer = no_issuer});
        check_refused(&scene, "localhost", RP_ETLS_VERIFY, "invalid CA certificate", SSL_AD_UNKNOWN_CA);
        test_identity_free(no_issuer);
    }
}

TEST(a_key_that_is_too_weak_for_the_client)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        test_identity_free(scene.identity);
        scene.identity = test_identity_new(
            &(test_issue){.name = "localhost", .names = "DNS:localhost", .issuer = scene.root, .rsa = 1024});
        rp_tls_context_unref(scene.server);
        CHECK_INT(rp_tls_context_new(RP_TLS_SERVER, &scene.server), ==, 0);
        CHECK_INT(rp_tls_context_set_ciphers(scene.server, "DEFAULT@SECLEVEL=0"), ==, 0);
        CHECK_INT(rp_tls_context_load_cert_chain_memory(scene.server, scene.identity->certificate,
                                                        strlen(scene.identity->certificate), scene.identity->key,
                                                        strlen(scene.identity->key), NULL, NULL),
                  ==, 0);
        check_refused(&scene, "localhost", RP_ETLS_WEAK, "EE certificate key too weak", SSL_AD_BAD_CERTIFICATE);
    }
}

/* ---- the client's certificate ---- */

TEST(a_client_without_a_certificate_that_is_required)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        char byte;

        CHECK_INT(rp_tls_context_set_verify_mode(scene.server, RP_TLS_CERT_REQUIRED), ==, 0);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, RP_ETLS_NO_CERTIFICATE);
        if (scene.pair.client_error == 0)
            scene.pair.client_error = (int)end_read(&scene.pair.client, &byte, 1);
        CHECK_INT(scene.pair.client_error, ==, RP_ETLS_ALERT);
        CHECK_INT(scene.pair.client.engine->type->alert(scene.pair.client.engine), ==,
                  i_ == 0 ? SSL_AD_HANDSHAKE_FAILURE : SSL_AD_CERTIFICATE_REQUIRED);
    }
}

TEST(a_client_that_is_only_asked)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        CHECK_INT(rp_tls_context_set_verify_mode(scene.server, RP_TLS_CERT_OPTIONAL), ==, 0);
        scene_connect(&scene);
    }
}

TEST(a_client_whose_certificate_is_unknown)
{
    tls_scene scene;

    for (int mode = RP_TLS_CERT_OPTIONAL; mode <= RP_TLS_CERT_REQUIRED; mode++)
        EACH_VERSION(&scene)
        {
            /* What is shown comes of the root, which the server was not told of. */
            CHECK_INT(rp_tls_context_set_verify_mode(scene.server, mode), ==, 0);
            CHECK_INT(rp_tls_context_load_cert_chain_memory(
                          scene.client, scene.identity->certificate, strlen(scene.identity->certificate),
                          scene.identity->key, strlen(scene.identity->key), NULL, NULL),
                      ==, 0);
            scene_open(&scene);
            test_pair_shake(&scene.pair);
            CHECK_INT(scene.pair.server_error, ==, RP_ETLS_UNTRUSTED);
        }
}

TEST(a_client_whose_certificate_is_accepted)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        const rp_tls_certificate *certificate;

        CHECK_INT(rp_tls_context_set_verify_mode(scene.server, RP_TLS_CERT_REQUIRED), ==, 0);
        CHECK_INT(rp_tls_context_load_verify_memory(scene.server, scene.root->certificate,
                                                    strlen(scene.root->certificate)),
                  ==, 0);
        CHECK_INT(rp_tls_context_load_cert_chain_memory(scene.client, scene.identity->certificate,
                                                        strlen(scene.identity->certificate), scene.identity->key,
                                                        strlen(scene.identity->key), NULL, NULL),
                  ==, 0);
        scene_connect(&scene);
        CHECK_INT(rp_tls_peer_certificate(test_transport(&scene.pair.server), &certificate), ==, 0);
        CHECK_STR(certificate->subject, "CN=localhost,O=ringport");
    }
}

/* ---- nothing in common ---- */

TEST(no_version_in_common)
{
    tls_scene scene;

    scene_set_up(&scene);
    CHECK_INT(rp_tls_context_set_maximum_version(scene.client, RP_TLS_1_2), ==, 0);
    CHECK_INT(rp_tls_context_set_minimum_version(scene.server, RP_TLS_1_3), ==, 0);
    scene_open(&scene);
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.server_error, ==, RP_ETLS_VERSION);
    CHECK_INT(scene.pair.server.engine->type->alert(scene.pair.server.engine), ==, -1);
    CHECK_INT(scene.pair.client_error, ==, RP_ETLS_VERSION);
    CHECK_INT(scene.pair.client.engine->type->alert(scene.pair.client.engine), ==, SSL_AD_PROTOCOL_VERSION);
    scene_tear_down(&scene);
}

TEST(no_version_at_all)
{
    tls_scene scene;

    scene_set_up(&scene);
    CHECK_INT(rp_tls_context_set_minimum_version(scene.client, RP_TLS_1_3), ==, 0);
    CHECK_INT(rp_tls_context_set_maximum_version(scene.client, RP_TLS_1_2), ==, 0);
    scene_open(&scene);
    CHECK_INT(scene.pair.client.engine->type->handshake(scene.pair.client.engine), ==, RP_ETLS_VERSION);
    scene_tear_down(&scene);
}

TEST(no_cipher_in_common)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        CHECK_INT(rp_tls_context_set_ciphers(scene.client, "ECDHE+AES128"), ==, 0);
        CHECK_INT(rp_tls_context_set_ciphers(scene.server, "ECDHE+AES256"), ==, 0);
        CHECK_INT(rp_tls_context_set_ciphersuites(scene.client, "TLS_AES_128_GCM_SHA256"), ==, 0);
        CHECK_INT(rp_tls_context_set_ciphersuites(scene.server, "TLS_AES_256_GCM_SHA384"), ==, 0);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, RP_ETLS_CIPHER);
        CHECK_INT(scene.pair.client_error, ==, RP_ETLS_ALERT);
        CHECK_INT(scene.pair.client.engine->type->alert(scene.pair.client.engine), ==, SSL_AD_HANDSHAKE_FAILURE);
    }
}

TEST(no_group_in_common)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        CHECK_INT(rp_tls_context_set_groups(scene.client, "X25519"), ==, 0);
        CHECK_INT(rp_tls_context_set_groups(scene.server, "P-384"), ==, 0);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, RP_ETLS_CIPHER);
    }
}

TEST(a_server_without_a_certificate)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_context_unref(scene.server);
        CHECK_INT(rp_tls_context_new(RP_TLS_SERVER, &scene.server), ==, 0);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, RP_ETLS_NO_CERTIFICATE);
        CHECK_INT(scene.pair.client_error, ==, RP_ETLS_ALERT);
    }
}

/* ---- no TLS at all ---- */

/* The peer says this, as little at a time as can be. */
static void check_plain(bool server, const char *text)
{
    tls_scene scene;
    test_end_of_tls *end = server ? &scene.pair.server : &scene.pair.client;
    int error = -EAGAIN;

    scene_set_up(&scene);
    scene_open(&scene);
    CHECK_INT(end->engine->type->handshake(end->engine), ==, -EAGAIN);
    for (size_t i = 0; text[i] && error == -EAGAIN; i++) {
        test_end_feed(end, text + i, 1);
        error = end->engine->type->handshake(end->engine);
    }
    CHECK_INT(error, ==, RP_ETLS_PLAIN);
    CHECK(end->engine->type->text(end->engine) != NULL);
    scene_tear_down(&scene);
}

TEST(plain_text_in_place_of_a_hello)
{
    check_plain(true, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    check_plain(true, "CONNECT localhost:80 HTTP/1.1\r\n\r\n");
    check_plain(true, "EHLO localhost\r\n");
    check_plain(true, "SSH-2.0-OpenSSH_9.2\r\n");
    check_plain(true, "{\"hello\": 1}\n");
    check_plain(false, "HTTP/1.1 400 Bad Request\r\n\r\n");
    check_plain(false, "220 localhost ESMTP\r\n");
    check_plain(false, "\r\n\r\n\r\n\r\n");
}

TEST(http_is_named)
{
    tls_scene scene;
    test_end_of_tls *server = &scene.pair.server;

    scene_set_up(&scene);
    scene_open(&scene);
    test_end_feed(server, "GET / HTTP/1.1\r\n\r\n", 18);
    CHECK_INT(server->engine->type->handshake(server->engine), ==, RP_ETLS_PLAIN);
    CHECK_STR(server->engine->type->text(server->engine), "http request");
    scene_tear_down(&scene);
}

TEST(a_hello_that_is_malformed)
{
    static const unsigned char hello[] = {22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3};
    tls_scene scene;
    test_end_of_tls *server = &scene.pair.server;

    scene_set_up(&scene);
    scene_open(&scene);
    test_end_feed(server, hello, sizeof hello);
    CHECK_INT(server->engine->type->handshake(server->engine), ==, RP_ETLS_PROTOCOL);
    scene_tear_down(&scene);
}

TEST(a_hello_of_ssl_2_is_no_plain_text)
{
    static const unsigned char hello[] = {0x80, 12, 1, 3, 3, 0, 3, 0, 0, 0, 0, 0, 0xc0, 0x2f};
    tls_scene scene;
    test_end_of_tls *server = &scene.pair.server;

    scene_set_up(&scene);
    scene_open(&scene);
    for (size_t i = 0; i + 1 < sizeof hello; i++) {
        test_end_feed(server, hello + i, 1);
        CHECK_INT(server->engine->type->handshake(server->engine), ==, -EAGAIN);
    }
    test_end_feed(server, hello + sizeof hello - 1, 1);
    int error = server->engine->type->handshake(server->engine);
    CHECK(error < 0 && error != -EAGAIN && error != RP_ETLS_PLAIN);
    scene_tear_down(&scene);
}

/* ---- alerts ---- */

TEST(an_alert_in_the_handshake)
{
    tls_scene scene;
    test_end_of_tls *client = &scene.pair.client;

    scene_set_up(&scene);
    for (int alert = 0; alert < 130; alert++) {
        const unsigned char record[] = {21, 3, 3, 0, 2, 2, (unsigned char)alert};
        int expected = alert == SSL_AD_PROTOCOL_VERSION        ? RP_ETLS_VERSION
                       : alert == SSL_AD_INSUFFICIENT_SECURITY ? RP_ETLS_CIPHER
                                                               : RP_ETLS_ALERT;

        scene_open(&scene);
        CHECK_INT(client->engine->type->handshake(client->engine), ==, -EAGAIN);
        test_end_feed(client, record, sizeof record);
        CHECK_INT(client->engine->type->handshake(client->engine), ==, expected);
        CHECK_INT(client->engine->type->alert(client->engine), ==, alert);
        test_pair_close(&scene.pair);
    }
    scene_tear_down(&scene);
}

TEST(alerts_have_names)
{
    CHECK_STR(rp_tls_alert_name(SSL_AD_UNKNOWN_CA), "unknown_ca");
    CHECK_STR(rp_tls_alert_name(SSL_AD_CERTIFICATE_REQUIRED), "certificate_required");
    CHECK_STR(rp_tls_alert_name(0), "close_notify");
    CHECK_STR(rp_tls_alert_name(1), "unknown");
    CHECK_STR(rp_tls_alert_name(-1), "unknown");
    CHECK_STR(rp_tls_alert_name(300), "unknown");
}
