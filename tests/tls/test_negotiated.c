/*
 * test_negotiated.c - what a connection has agreed on, and what the peer's certificate says.
 */
#include <ctype.h>

#include "harness/tls_scene.h"
#include "tls/openssl_certificate.h"

TEST(version_and_cipher)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        CHECK_INT(rp_tls_context_set_ciphers(scene.client, "ECDHE+AES128+AESGCM"), ==, 0);
        CHECK_INT(rp_tls_context_set_ciphersuites(scene.client, "TLS_AES_128_GCM_SHA256"), ==, 0);
        scene_connect(&scene);
        for (int i = 0; i < 2; i++) {
            const rp_transport *transport = test_transport(i == 0 ? &scene.pair.client : &scene.pair.server);

            CHECK_INT(rp_tls_version(transport), ==, test_versions[i_]);
            CHECK_STR(rp_tls_version_name(transport), i_ == 0 ? "TLSv1.2" : "TLSv1.3");
            CHECK_STR(rp_tls_cipher(transport),
                      i_ == 0 ? "ECDHE-ECDSA-AES128-GCM-SHA256" : "TLS_AES_128_GCM_SHA256");
            CHECK_INT(rp_tls_cipher_bits(transport), ==, 128);
            CHECK_STR(rp_tls_server_name(transport), "localhost");
            CHECK(!rp_tls_session_reused(transport));
        }
    }
}

TEST(an_address_is_no_name)
{
    static const char *const addresses[] = {"127.0.0.1", "::1", "::1%lo"};
    tls_scene scene;

    scene_set_up(&scene);
    for (int i = 0; i < 3; i++) {
        test_pair_open(&scene.pair, scene.client, scene.server, addresses[i]);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.client_error, ==, 0);
        CHECK_STR(rp_tls_server_name(test_transport(&scene.pair.client)), addresses[i]);
        CHECK(!rp_tls_server_name(test_transport(&scene.pair.server)));
        test_pair_close(&scene.pair);
    }
    scene_tear_down(&scene);
}

TEST(names_without_sense_are_refused)
{
    static const char *const names[] = {".localhost", "", NULL};
    tls_scene scene;
    test_end_of_tls end;
    char long_name[300];

    scene_set_up(&scene);
    for (int i = 0; i < 3; i++)
        CHECK_INT(test_end_open(&end, scene.client, false, names[i]), ==, -EINVAL);
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    CHECK_INT(test_end_open(&end, scene.client, false, long_name), ==, -EINVAL);
    CHECK_INT(test_end_open(&end, scene.client, true, NULL), ==, -EINVAL);
    CHECK_INT(test_end_open(&end, scene.server, false, "localhost"), ==, -EINVAL);
    scene.pair = (test_pair){0};
    scene_tear_down(&scene);
}

TEST(a_root_s_dot_is_no_part_of_a_name)
{
    tls_scene scene;

    scene_set_up(&scene);
    test_pair_open(&scene.pair, scene.client, scene.server, "localhost.");
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.client_error, ==, 0);
    CHECK_STR(rp_tls_server_name(test_transport(&scene.pair.server)), "localhost");
    scene_tear_down(&scene);
}

TEST(a_name_is_not_needed_where_none_is_checked)
{
    tls_scene scene;

    scene_set_up(&scene);
    CHECK_INT(rp_tls_context_set_check_hostname(scene.client, false), ==, 0);
    CHECK_INT(rp_tls_context_set_check_hostname(scene.server, false), ==, -EINVAL);
    for (int i = 0; i < 3; i++) {
        const char *names[] = {NULL, "", "example.org"};

        test_pair_open(&scene.pair, scene.client, scene.server, names[i]);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.client_error, ==, 0);
        test_pair_close(&scene.pair);
    }
    scene_tear_down(&scene);
}

TEST(a_common_name_does_where_there_are_no_other_names)
{
    tls_scene scene;

    scene_set_up(&scene);
    test_identity_free(scene.identity);
    scene.identity = test_identity_new(&(test_issue){.name = "localhost", .issuer = scene.root});
    rp_tls_context_unref(scene.server);
    scene.server = test_tls_server(scene.identity);
    scene_connect(&scene);
    scene_tear_down(&scene);
}

TEST(wildcards_stand_for_whole_labels)
{
    static const struct {
        const char *name;
        int error;
    } cases[] = {{"a.example.org", 0},
                 {"example.org", RP_ETLS_HOSTNAME},
                 {"a.b.example.org", RP_ETLS_HOSTNAME},
                 {"wide.example.test", RP_ETLS_HOSTNAME}};
    tls_scene scene;

    scene_set_up(&scene);
    test_identity_free(scene.identity);
    scene.identity = test_identity_new(
        &(test_issue){.name = "x", .names = "DNS:*.example.org,DNS:w*.example.test", .issuer = scene.root});
    rp_tls_context_unref(scene.server);
    scene.server = test_tls_server(scene.identity);
    for (int i = 0; i < 4; i++) {
        test_pair_open(&scene.pair, scene.client, scene.server, cases[i].name);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.client_error, ==, cases[i].error);
        test_pair_close(&scene.pair);
    }
    scene_tear_down(&scene);
}

/* ---- ALPN ---- */

static const char *agree(tls_scene *scene)
{
    static char copy[256];
    const char *chosen;

    scene_connect(scene);
    chosen = rp_tls_alpn(test_transport(&scene->pair.client));
    if (chosen)
        CHECK_STR(rp_tls_alpn(test_transport(&scene->pair.server)), chosen);
    else
        CHECK(!rp_tls_alpn(test_transport(&scene->pair.server)));
    if (chosen)
        snprintf(copy, sizeof copy, "%s", chosen);
    test_pair_close(&scene->pair);
    return chosen ? copy : NULL;
}

TEST(the_server_chooses_the_protocol)
{
    static const char *const clients[] = {"spdy/1", "http/1.1", "h2"};
    static const char *const servers[] = {"h3", "h2", "http/1.1"};
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        CHECK(!agree(&scene));
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, clients, 3), ==, 0);
        CHECK(!agree(&scene));
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.server, servers, 3), ==, 0);
        CHECK_STR(agree(&scene), "h2");
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, clients, 2), ==, 0);
        CHECK_STR(agree(&scene), "http/1.1");
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, clients, 1), ==, 0);
        CHECK(!agree(&scene)); /* and the connection goes on */
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, NULL, 0), ==, 0);
        CHECK(!agree(&scene));
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, clients, 3), ==, 0);
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.server, NULL, 0), ==, 0);
        CHECK(!agree(&scene));
    }
}

TEST(protocols_have_a_length_that_can_be_sent)
{
    static char long_one[257];
    const char *protocols[300] = {"h2", ""};
    rp_tls_context *context;

    memset(long_one, 'x', 256);
    CHECK_INT(rp_tls_context_new(RP_TLS_CLIENT, &context), ==, 0);
    CHECK_INT(rp_tls_context_set_alpn_protocols(context, protocols, 2), ==, -EINVAL);
    protocols[1] = NULL;
    CHECK_INT(rp_tls_context_set_alpn_protocols(context, protocols, 2), ==, -EINVAL);
    protocols[1] = long_one;
    CHECK_INT(rp_tls_context_set_alpn_protocols(context, protocols, 2), ==, -EINVAL);
    long_one[255] = '\0';
    CHECK_INT(rp_tls_context_set_alpn_protocols(context, protocols, 2), ==, 0);
    for (int i = 0; i < 300; i++)
        protocols[i] = long_one;
    CHECK_INT(rp_tls_context_set_alpn_protocols(context, protocols, 300), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_alpn_protocols(context, NULL, 1), ==, -EINVAL);
    rp_tls_context_unref(context);
}

/* ---- the certificate ---- */

TEST(a_protocol_that_was_chosen_outlives_the_context_s_list)
{
    static const char *const former[] = {"h2", "http/1.1"}, *const later[] = {"spdy/3"};
    tls_scene scene;
    const char *chosen;

    scene_set_up(&scene);
    CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, former, 2), ==, 0);
    CHECK_INT(rp_tls_context_set_alpn_protocols(scene.server, former, 2), ==, 0);
    scene_connect(&scene);
    chosen = rp_tls_alpn(test_transport(&scene.pair.client));
    CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, later, 1), ==, 0);
    CHECK_INT(rp_tls_context_set_alpn_protocols(scene.server, NULL, 0), ==, 0);
    CHECK_STR(chosen, "h2");
    CHECK_STR(rp_tls_alpn(test_transport(&scene.pair.client)), "h2");
    CHECK_STR(rp_tls_alpn(test_transport(&scene.pair.server)), "h2");
    scene_tear_down(&scene);
}

TEST(a_certificate_tells_what_it_says)
{
    tls_scene scene;
    const rp_tls_certificate *certificate, *again;
    unsigned char digest[EVP_MAX_MD_SIZE];
    int64_t month = INT64_C(31) * 24 * 60 * 60;

    scene_set_up(&scene);
    test_identity_free(scene.identity);
    scene.identity = test_identity_new(
        &(test_issue){.name = "localhost",
                      .names = "DNS:localhost,IP:127.0.0.1,IP:::1,email:a@b.example,URI:https://b.example/",
                      .issuer = scene.root});
    rp_tls_context_unref(scene.server);
    scene.server = test_tls_server(scene.identity);
    scene_connect(&scene);
    CHECK_INT(rp_tls_peer_certificate(test_transport(&scene.pair.server), &certificate), ==, 0);
    CHECK(!certificate);
    CHECK_INT(rp_tls_peer_certificate(test_transport(&scene.pair.client), &certificate), ==, 0);
    CHECK_STR(certificate->subject, "CN=localhost,O=ringport");
    CHECK_STR(certificate->issuer, "CN=ringport's root,O=ringport");
    CHECK_INT(strlen(certificate->serial), ==, 4);
    CHECK_INT(certificate->names_count, ==, 5);
    CHECK_STR(certificate->names[0], "DNS:localhost");
    CHECK_STR(certificate->names[1], "IP Address:127.0.0.1");
    CHECK_STR(certificate->names[2], "IP Address:0:0:0:0:0:0:0:1");
    CHECK_STR(certificate->names[3], "email:a@b.example");
    CHECK_STR(certificate->names[4], "URI:https://b.example/");
    CHECK_INT(certificate->not_after - certificate->not_before, ==, month);
    CHECK_INT(certificate->not_before, >, 1700000000);
    CHECK(EVP_Digest(certificate->der, certificate->der_length, digest, NULL, EVP_sha256(), NULL));
    CHECK(memcmp(certificate->fingerprint, digest, sizeof certificate->fingerprint) == 0);
    CHECK_INT(rp_tls_peer_certificate(test_transport(&scene.pair.client), &again), ==, 0);
    CHECK(again == certificate);
    scene_tear_down(&scene);
}

/* A peer may show one that is longer than OpenSSL's lines. */
TEST(a_long_serial_number_is_of_digits_alone)
{
    unsigned char bytes[40];
    test_identity *identity = test_root_new();
    BIGNUM *number = BN_bin2bn(memset(bytes, 0xab, sizeof bytes), sizeof bytes, NULL);
    rp_openssl_certificate *certificate;

    CHECK(number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(identity->x509)));
    CHECK_INT(rp_openssl_certificate_new(identity->x509, &certificate), ==, 0);
    CHECK_INT(strlen(certificate->told.serial), ==, 80);
    for (const char *at = certificate->told.serial; *at; at++)
        CHECK(isxdigit((unsigned char)*at));
    rp_openssl_certificate_free(certificate);
    BN_free(number);
    test_identity_free(identity);
}

/* In TLS 1.3 a client hears after the handshake that its certificate will not do. */
TEST(a_connection_tells_which_alert_has_ended_it)
{
    tls_scene scene;
    char byte;

    scene_set_up(&scene);
    CHECK_INT(rp_tls_context_set_verify_mode(scene.server, RP_TLS_CERT_REQUIRED), ==, 0);
    scene_open(&scene);
    CHECK_INT(rp_tls_alert(test_transport(&scene.pair.client)), ==, -1);
    CHECK(!rp_tls_error_text(test_transport(&scene.pair.client)));
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.client_error, ==, 0);
    CHECK_INT(end_read(&scene.pair.client, &byte, 1), ==, RP_ETLS_ALERT);
    CHECK_INT(rp_tls_alert(test_transport(&scene.pair.client)), ==, SSL_AD_CERTIFICATE_REQUIRED);
    CHECK(rp_tls_error_text(test_transport(&scene.pair.client)) != NULL);
    CHECK_INT(rp_tls_alert(test_transport(&scene.pair.server)), ==, -1);
    CHECK_STR(rp_tls_error_text(test_transport(&scene.pair.server)), "peer did not return a certificate");
    scene_tear_down(&scene);
}

TEST(a_transport_without_tls_has_nothing_to_tell)
{
    const rp_tls_certificate *certificate;

    CHECK_INT(rp_tls_version(NULL), ==, 0);
    CHECK(!rp_tls_version_name(NULL));
    CHECK(!rp_tls_cipher(NULL));
    CHECK_INT(rp_tls_cipher_bits(NULL), ==, 0);
    CHECK(!rp_tls_alpn(NULL));
    CHECK(!rp_tls_server_name(NULL));
    CHECK(!rp_tls_session_reused(NULL));
    CHECK_INT(rp_tls_alert(NULL), ==, -1);
    CHECK(!rp_tls_error_text(NULL));
    CHECK_INT(rp_tls_peer_certificate(NULL, &certificate), ==, -ENOTCONN);
}
