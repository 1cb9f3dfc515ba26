/*
 * test_tls_context.c - setting contexts up: certificates, roots, versions, ciphers, keys for those who debug.
 */
#include <openssl/pem.h>
#include <stdio.h>

#include "harness/platform.h"
#include "harness/tls_scene.h"

/* A file of this test's own, one of the last four that were asked for. */
static const char *file_called(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], TEST_TMP "/ringport-tls-%llx-%s", (unsigned long long)(uintptr_t)getpid(),
             name);
    return path;
}

static const char *file_with(const char *name, const char *text)
{
    const char *path = file_called(name);

    test_write_file(path, text, strlen(text));
    return path;
}

static char *both(const char *first, const char *second)
{
    size_t size = strlen(first) + strlen(second) + 1;
    char *text = malloc(size);

    CHECK(text != NULL);
    snprintf(text, size, "%s%s", first, second);
    return text;
}

/* A server that has nothing yet, in place of the scene's. */
static void renew_server(tls_scene *scene)
{
    rp_tls_context_unref(scene->server);
    CHECK_INT(rp_tls_context_new(RP_TLS_SERVER, &scene->server), ==, 0);
}

static void renew_client(tls_scene *scene)
{
    rp_tls_context_unref(scene->client);
    CHECK_INT(rp_tls_context_new(RP_TLS_CLIENT, &scene->client), ==, 0);
}

static int load(tls_scene *scene, const char *certificate, const char *key, rp_tls_password *password, void *arg)
{
    return rp_tls_context_load_cert_chain_memory(scene->server, certificate, strlen(certificate), key,
                                                 key ? strlen(key) : 0, password, arg);
}

static void check_connects(tls_scene *scene)
{
    scene_connect(scene);
    test_pair_close(&scene->pair);
}

/* ---- contexts ---- */

TEST(a_context_is_for_clients_or_for_servers)
{
    rp_tls_context *context;

    CHECK_INT(rp_tls_context_new(0, &context), ==, -EINVAL);
    CHECK_INT(rp_tls_context_new(3, &context), ==, -EINVAL);
    for (int role = RP_TLS_CLIENT; role <= RP_TLS_SERVER; role++) {
        CHECK_INT(rp_tls_context_new(role, &context), ==, 0);
        CHECK_STR(rp_tls_context_error_text(context), "");
        CHECK(rp_tls_context_ref(context) == context);
        rp_tls_context_unref(context);
        rp_tls_context_unref(context);
    }
    rp_tls_context_unref(NULL);
}

/* ---- the own certificate ---- */

TEST(certificates_come_from_files)
{
    tls_scene scene;

    scene_set_up(&scene);
    const char *certificate = file_with("certificate", scene.identity->certificate);
    const char *key = file_with("key", scene.identity->key);
    renew_server(&scene);
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, certificate, key, NULL, NULL), ==, 0);
    check_connects(&scene);

    renew_server(&scene);
    char *text = both(scene.identity->key, scene.identity->certificate);
    const char *in_one = file_with("both", text);
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, in_one, NULL, NULL, NULL), ==, 0);
    check_connects(&scene);
    free(text);
    remove(certificate);
    remove(key);
    remove(in_one);
    scene_tear_down(&scene);
}

TEST(certificates_come_from_memory)
{
    tls_scene scene;

    scene_set_up(&scene);
    for (int order = 0; order < 2; order++) {
        char *text = order == 0 ? both(scene.identity->certificate, scene.identity->key)
                                : both(scene.identity->key, scene.identity->certificate);

        renew_server(&scene);
        CHECK_INT(load(&scene, text, NULL, NULL, NULL), ==, 0);
        check_connects(&scene);
        free(text);
    }
    scene_tear_down(&scene);
}

TEST(a_chain_leads_to_the_root)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        test_identity *middle =
            test_identity_new(&(test_issue){.name = "middle", .authority = true, .issuer = scene.root});

        test_identity_free(scene.identity);
        scene.identity =
            test_identity_new(&(test_issue){.name = "localhost", .names = "DNS:localhost", .issuer = middle});
        renew_server(&scene);
        CHECK_INT(load(&scene, scene.identity->certificate, scene.identity->key, NULL, NULL), ==, 0);
        check_connects(&scene);
        test_identity_free(middle);
    }
}

TEST(a_server_has_certificates_of_several_kinds)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        test_identity *rsa = test_identity_new(
            &(test_issue){.name = "localhost", .names = "DNS:localhost", .issuer = scene.root, .rsa = 2048});

        CHECK_INT(load(&scene, rsa->certificate, rsa->key, NULL, NULL), ==, 0);
        check_connects(&scene);
        CHECK(SSL_CTX_set1_sigalgs_list(scene.client->ssl, "RSA+SHA256:RSA-PSS+SHA256"));
        check_connects(&scene);
        CHECK(SSL_CTX_set1_sigalgs_list(scene.client->ssl, "ECDSA+SHA256"));
        check_connects(&scene);
        test_identity_free(rsa);
    }
}

static int give_password(void *arg, char *password, size_t size)
{
    size_t length = strlen(arg);

    CHECK_INT(size, >=, length);
    memcpy(password, arg, length);
    return (int)length;
}

static int refuse_password(void *arg, char *password, size_t size)
{
    return arg ? INT32_MAX : -EACCES;
}

TEST(an_encrypted_key_needs_its_password)
{
    tls_scene scene;
    test_identity *identity;

    scene_set_up(&scene);
    identity = test_identity_new(
        &(test_issue){.name = "localhost", .names = "DNS:localhost", .issuer = scene.root, .password = "secret"});
    renew_server(&scene);
    CHECK(strstr(identity->key, "ENCRYPTED") != NULL);
    CHECK_INT(load(&scene, identity->certificate, identity->key, NULL, NULL), ==, RP_ETLS_PASSWORD);
    CHECK(rp_tls_context_error_text(scene.server)[0] != '\0');
    CHECK_INT(load(&scene, identity->certificate, identity->key, give_password, "wrong"), ==, RP_ETLS_PASSWORD);
    CHECK_INT(load(&scene, identity->certificate, identity->key, refuse_password, NULL), ==, -EACCES);
    CHECK_INT(load(&scene, identity->certificate, identity->key, refuse_password, "too long"), ==, -EINVAL);
    CHECK_INT(load(&scene, identity->certificate, identity->key, give_password, "secret"), ==, 0);
    CHECK_STR(rp_tls_context_error_text(scene.server), "");
    check_connects(&scene);
    test_identity_free(identity);
    scene_tear_down(&scene);
}

TEST(a_key_has_to_be_the_certificates)
{
    tls_scene scene;
    test_identity *other, *rsa;

    scene_set_up(&scene);
    other = test_server_identity_new(scene.root);
    rsa = test_identity_new(&(test_issue){.name = "localhost", .rsa = 2048});
    CHECK_INT(load(&scene, scene.identity->certificate, other->key, NULL, NULL), ==, RP_ETLS_KEY);
    CHECK_INT(load(&scene, scene.identity->certificate, rsa->key, NULL, NULL), ==, RP_ETLS_KEY);
    CHECK(rp_tls_context_error_text(scene.server)[0] != '\0');
    check_connects(&scene); /* with what was there */
    test_identity_free(other);
    test_identity_free(rsa);
    scene_tear_down(&scene);
}

TEST(a_key_that_is_too_weak_is_refused)
{
    tls_scene scene;
    test_identity *weak;

    scene_set_up(&scene);
    weak = test_identity_new(&(test_issue){.name = "localhost", .rsa = 1024});
    CHECK_INT(load(&scene, weak->certificate, weak->key, NULL, NULL), ==, RP_ETLS_WEAK);
    check_connects(&scene);
    test_identity_free(weak);
    scene_tear_down(&scene);
}

/* Whatever OpenSSL's configuration file says, which counts otherwise. */
TEST(a_configuration_does_not_lower_the_security_level)
{
    static const char text[] = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = lax\n"
                               "[lax]\nCipherString = DEFAULT@SECLEVEL=0\nMinProtocol = TLSv1\n";
    const char *path = file_with("configuration", text);
    tls_scene scene = {0};
    test_identity *weak;

#ifdef _WIN32
    _putenv_s("OPENSSL_CONF", path);
#else
    setenv("OPENSSL_CONF", path, 1);
#endif
    SSL_CTX *other = SSL_CTX_new(TLS_method());
    CHECK_INT(SSL_CTX_get_security_level(other), ==, 0);
    CHECK_INT(SSL_CTX_get_min_proto_version(other), ==, TLS1_VERSION);
    SSL_CTX_free(other);
    scene_set_up(&scene);
    CHECK_INT(SSL_CTX_get_min_proto_version(scene.server->ssl), ==, TLS1_2_VERSION);
    weak = test_identity_new(&(test_issue){.name = "localhost", .rsa = 1024});
    CHECK_INT(load(&scene, weak->certificate, weak->key, NULL, NULL), ==, RP_ETLS_WEAK);
    test_identity_free(weak);
    scene_tear_down(&scene);
    remove(path);
}

static char *encrypted_text(X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *text;

    CHECK(PEM_ASN1_write_bio((i2d_of_void *)i2d_X509, PEM_STRING_X509, bio, x509, EVP_aes_128_cbc(),
                             (const unsigned char *)"secret", 6, NULL, NULL));
    text = calloc(1, (size_t)BIO_get_mem_data(bio, &data) + 1);
    CHECK(text != NULL);
    memcpy(text, data, (size_t)BIO_get_mem_data(bio, &data));
    BIO_free(bio);
    return text;
}

/* OpenSSL by itself would ask the terminal for its password. */
TEST(an_encrypted_certificate_is_refused_and_nobody_is_asked)
{
    tls_scene scene = {0};
    char *encrypted;

    scene_set_up(&scene);
    encrypted = encrypted_text(scene.root->x509);
    CHECK_INT(load(&scene, encrypted, scene.identity->key, give_password, "secret"), <, 0);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, encrypted, strlen(encrypted)), <, 0);
    CHECK(rp_tls_context_error_text(scene.client)[0] != '\0');
    free(encrypted);
    scene_tear_down(&scene);
}

TEST(what_is_no_certificate_is_refused)
{
    tls_scene scene;
    char *cut;

    scene_set_up(&scene);
    cut = strdup(scene.identity->certificate);
    cut[strlen(cut) / 2] = '\0';
    CHECK_INT(load(&scene, "", scene.identity->key, NULL, NULL), ==, RP_ETLS_FORMAT);
    CHECK_INT(load(&scene, "no certificate", scene.identity->key, NULL, NULL), ==, RP_ETLS_FORMAT);
    CHECK_INT(load(&scene, cut, scene.identity->key, NULL, NULL), ==, RP_ETLS_FORMAT);
    CHECK_INT(load(&scene, scene.identity->key, scene.identity->key, NULL, NULL), ==, RP_ETLS_FORMAT);
    CHECK_INT(load(&scene, scene.identity->certificate, "", NULL, NULL), ==, RP_ETLS_FORMAT);
    CHECK_INT(load(&scene, scene.identity->certificate, scene.identity->certificate, NULL, NULL), ==,
              RP_ETLS_FORMAT);
    CHECK_INT(load(&scene, scene.identity->certificate, NULL, NULL, NULL), ==, RP_ETLS_FORMAT);
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, file_with("empty", ""), NULL, NULL, NULL), ==,
              RP_ETLS_FORMAT);
    CHECK_INT(rp_tls_context_load_verify_locations(scene.client, NULL, ""), ==, -EINVAL);
    cut[0] = '\0';
    char *damaged =
        both(scene.identity->certificate, "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    CHECK_INT(load(&scene, damaged, scene.identity->key, NULL, NULL), ==, RP_ETLS_FORMAT);
    CHECK_INT(rp_tls_context_load_cert_chain_memory(scene.server, NULL, 0, NULL, 0, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_tls_context_load_cert_chain_memory(scene.server, "", (size_t)INT32_MAX + 1, "", 0, NULL, NULL),
              ==, -EINVAL);
    check_connects(&scene);
    free(cut);
    free(damaged);
    scene_tear_down(&scene);
}

TEST(files_that_are_not_there)
{
    tls_scene scene;

    scene_set_up(&scene);
    const char *certificate = file_with("certificate", scene.identity->certificate), *none = file_called("none");
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, none, NULL, NULL, NULL), ==, -ENOENT);
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, certificate, none, NULL, NULL), ==, -ENOENT);
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, NULL, none, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_tls_context_load_verify_locations(scene.server, none, NULL), ==, -ENOENT);
    CHECK_INT(rp_tls_context_load_verify_locations(scene.server, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_keylog_filename(scene.server, "/none/such/folder/keys"), ==, -ENOENT);
#ifndef _WIN32
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, TEST_TMP, NULL, NULL, NULL), ==, -EISDIR);
    CHECK_INT(rp_tls_context_load_verify_locations(scene.server, TEST_TMP, NULL), ==, -EISDIR);
#endif
    check_connects(&scene);
    remove(certificate);
    scene_tear_down(&scene);
}

#ifndef _WIN32
#include <sys/stat.h>

/* What is read from a pipe is there once only: the certificate and its key. */
TEST(a_certificate_and_its_key_come_from_a_pipe)
{
    tls_scene scene;
    char path[40];
    int ends[2];

    scene_set_up(&scene);
    char *text = both(scene.identity->certificate, scene.identity->key);
    CHECK_INT(pipe(ends), ==, 0);
    CHECK_INT(write(ends[1], text, strlen(text)), ==, strlen(text));
    CHECK_INT(close(ends[1]), ==, 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    renew_server(&scene);
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, path, NULL, NULL, NULL), ==, 0);
    CHECK_INT(close(ends[0]), ==, 0);
    check_connects(&scene);
    free(text);
    scene_tear_down(&scene);
}

TEST(a_file_without_end_is_refused)
{
    tls_scene scene;

    scene_set_up(&scene);
    CHECK_INT(rp_tls_context_load_cert_chain(scene.server, "/dev/zero", NULL, NULL, NULL), ==, -EFBIG);
    CHECK_INT(rp_tls_context_load_verify_locations(scene.client, "/dev/zero", NULL), ==, -EFBIG);
    check_connects(&scene);
    scene_tear_down(&scene);
}
#else
TEST_ABSENT(a_certificate_and_its_key_come_from_a_pipe, "no /dev/fd");
TEST_ABSENT(a_file_without_end_is_refused, "no /dev/zero");
#endif

/* ---- roots ---- */

TEST(roots_come_from_files_directories_and_memory)
{
    tls_scene scene;

    scene_set_up(&scene);
    for (int way = 0; way < 4; way++) {
        unsigned char *der = NULL;
        int length = i2d_X509(scene.root->x509, &der);
        const char *path = file_with("roots", scene.root->certificate);

        renew_client(&scene);
        if (way == 0)
            CHECK_INT(rp_tls_context_load_verify_locations(scene.client, path, NULL), ==, 0);
        if (way == 1)
            CHECK_INT(rp_tls_context_load_verify_memory(scene.client, der, (size_t)length), ==, 0);
        if (way == 2) {
            char *text = both(scene.identity->certificate, scene.root->certificate);

            CHECK_INT(rp_tls_context_load_verify_memory(scene.client, text, strlen(text)), ==, 0);
            free(text);
        }
        if (way == 3) {
            unsigned char *two = malloc(2 * (size_t)length), *at = two;

            i2d_X509(scene.root->x509, &at);
            i2d_X509(scene.root->x509, &at);
            CHECK_INT(rp_tls_context_load_verify_memory(scene.client, two, 2 * (size_t)length), ==, 0);
            free(two);
        }
        check_connects(&scene);
        OPENSSL_free(der);
        remove(path);
    }
    scene_tear_down(&scene);
}

#ifndef _WIN32
TEST(roots_are_found_in_a_directory)
{
    tls_scene scene;
    char path[300];

    scene_set_up(&scene);
    const char *directory = file_called("roots");
    CHECK_INT(mkdir(directory, 0700), ==, 0);
    snprintf(path, sizeof path, "%s/%08lx.0", directory, X509_subject_name_hash(scene.root->x509));
    test_write_file(path, scene.root->certificate, strlen(scene.root->certificate));
    renew_client(&scene);
    CHECK_INT(rp_tls_context_load_verify_locations(scene.client, NULL, directory), ==, 0);
    check_connects(&scene);

    /* The system's store, as the environment has it. */
    setenv("SSL_CERT_DIR", directory, 1);
    renew_client(&scene);
    check_connects(&scene);
    CHECK_INT(rp_tls_context_load_default_certs(scene.client), ==, 0);
    check_connects(&scene);
    remove(path);
    rmdir(directory);
    scene_tear_down(&scene);
}
#else
TEST_ABSENT(roots_are_found_in_a_directory, "no setenv()");
#endif

/* Those that are loaded are trusted in place of the system's; unless that is asked for, too. */
TEST(own_roots_replace_the_systems)
{
    tls_scene scene;
    test_identity *other;

    scene_set_up(&scene);
    other = test_root_new();
    const char *path = file_with("system", scene.root->certificate);
#ifdef _WIN32
    _putenv_s("SSL_CERT_FILE", path);
#else
    setenv("SSL_CERT_FILE", path, 1);
#endif
    renew_client(&scene);
    check_connects(&scene);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, other->certificate, strlen(other->certificate)), ==,
              0);
    scene_open(&scene);
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.client_error, ==, RP_ETLS_UNTRUSTED);
    test_pair_close(&scene.pair);

    renew_client(&scene);
    CHECK_INT(rp_tls_context_load_default_certs(scene.client), ==, 0);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, other->certificate, strlen(other->certificate)), ==,
              0);
    check_connects(&scene);

    renew_client(&scene);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, other->certificate, strlen(other->certificate)), ==,
              0);
    CHECK_INT(rp_tls_context_load_default_certs(scene.client), ==, 0);
    check_connects(&scene);
    remove(path);
    test_identity_free(other);
    scene_tear_down(&scene);
}

TEST(what_are_no_roots_is_refused)
{
    tls_scene scene;
    unsigned char *der = NULL;
    int length;

    scene_set_up(&scene);
    length = i2d_X509(scene.root->x509, &der);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, "", 0), ==, RP_ETLS_FORMAT);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, "text", 4), ==, RP_ETLS_FORMAT);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, der, (size_t)length - 1), ==, RP_ETLS_FORMAT);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, scene.root->key, strlen(scene.root->key)), ==,
              RP_ETLS_FORMAT);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, NULL, 1), ==, -EINVAL);
    check_connects(&scene);
    OPENSSL_free(der);
    scene_tear_down(&scene);
}

TEST(nobody_is_trusted_by_a_client_without_roots)
{
    tls_scene scene;

    scene_set_up(&scene);
    renew_client(&scene);
    scene_open(&scene);
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.client_error, ==, RP_ETLS_UNTRUSTED);
    test_pair_close(&scene.pair);
    CHECK_INT(rp_tls_context_set_verify_mode(scene.client, RP_TLS_CERT_NONE), ==, 0);
    check_connects(&scene);
    scene_tear_down(&scene);
}

TEST(any_certificate_that_is_trusted_may_end_a_chain)
{
    tls_scene scene;

    scene_set_up(&scene);
    renew_client(&scene);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, scene.identity->certificate,
                                                strlen(scene.identity->certificate)),
              ==, 0);
    scene_open(&scene);
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.client_error, ==, RP_ETLS_UNTRUSTED);
    test_pair_close(&scene.pair);
    CHECK_INT(rp_tls_context_set_verify_flags(scene.client, RP_TLS_VERIFY_PARTIAL_CHAIN), ==, 0);
    check_connects(&scene);
    CHECK_INT(rp_tls_context_set_verify_flags(scene.client, 0), ==, 0);
    scene_open(&scene);
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.client_error, ==, RP_ETLS_UNTRUSTED);
    scene_tear_down(&scene);
}

TEST(a_chain_is_looked_up_in_revocation_lists)
{
    tls_scene scene;
    char *list, *empty;

    scene_set_up(&scene);
    empty = test_crl(scene.root, NULL);
    list = test_crl(scene.root, scene.identity);
    CHECK_INT(rp_tls_context_load_verify_memory(scene.client, empty, strlen(empty)), ==, 0);
    CHECK_INT(rp_tls_context_set_verify_flags(scene.client, RP_TLS_VERIFY_CRL_LEAF | RP_TLS_VERIFY_STRICT), ==, 0);
    check_connects(&scene);
    CHECK_INT(rp_tls_context_set_verify_flags(scene.client, RP_TLS_VERIFY_CRL_CHAIN), ==, 0);
    check_connects(&scene);
    CHECK_INT(rp_tls_context_set_verify_flags(scene.client, 1 << 10), ==, -EINVAL);
    free(list);
    free(empty);
    scene_tear_down(&scene);
}

/* ---- versions, ciphers, modes ---- */

TEST(settings_without_sense_are_refused)
{
    rp_tls_context *context;

    CHECK_INT(rp_tls_context_new(RP_TLS_CLIENT, &context), ==, 0);
    CHECK_INT(rp_tls_context_set_verify_mode(context, -1), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_verify_mode(context, 3), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_minimum_version(context, 0x0300), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_maximum_version(context, 0x0305), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_ciphers(context, "NONE-OF-THESE"), ==, -EINVAL);
    CHECK_STR(rp_tls_context_error_text(context), "no cipher match");
    CHECK_INT(rp_tls_context_set_ciphersuites(context, "NONE-OF-THESE"), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_groups(context, "NONE-OF-THESE"), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_ciphers(context, NULL), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_ciphers(context, "ECDHE+AESGCM"), ==, 0);
    CHECK_STR(rp_tls_context_error_text(context), "");
    CHECK_INT(rp_tls_context_set_minimum_version(context, 0), ==, 0);
    CHECK_INT(rp_tls_context_set_maximum_version(context, 0), ==, 0);
    rp_tls_context_unref(context);
}

TEST(old_versions_are_spoken_only_if_asked_for)
{
    tls_scene scene;

    scene_set_up(&scene);
    CHECK_INT(rp_tls_context_set_ciphers(scene.client, "DEFAULT@SECLEVEL=0"), ==, 0);
    CHECK_INT(rp_tls_context_set_minimum_version(scene.client, RP_TLS_1_0), ==, 0);
    CHECK_INT(rp_tls_context_set_maximum_version(scene.client, RP_TLS_1_1), ==, 0);
    scene_open(&scene);
    test_pair_shake(&scene.pair);
    CHECK_INT(scene.pair.server_error, ==, RP_ETLS_VERSION);
    test_pair_close(&scene.pair);
    CHECK_INT(rp_tls_context_set_ciphers(scene.server, "DEFAULT@SECLEVEL=0"), ==, 0);
    CHECK_INT(rp_tls_context_set_minimum_version(scene.server, 0), ==, 0);
    scene_connect(&scene);
    CHECK_INT(rp_tls_version(test_transport(&scene.pair.server)), ==, RP_TLS_1_1);
    scene_tear_down(&scene);
}

/* ---- keys ---- */

static size_t count_lines(const char *path, const char *beginning)
{
    char line[400];
    size_t count = 0;
    FILE *file = fopen(path, "r");

    CHECK(file != NULL);
    while (fgets(line, sizeof line, file)) {
        CHECK(strchr(line, '\n') != NULL);
        count += strncmp(line, beginning, strlen(beginning)) == 0;
    }
    fclose(file);
    return count;
}

TEST(keys_are_written_for_those_who_debug)
{
    tls_scene scene;

    scene_set_up(&scene);
    const char *path = file_with("keys", "");
    CHECK_INT(rp_tls_context_set_keylog_filename(scene.client, path), ==, 0);
    check_connects(&scene);
    CHECK_INT(count_lines(path, "SERVER_TRAFFIC_SECRET_0 "), ==, 1);
    CHECK_INT(rp_tls_context_set_keylog_filename(scene.server, path), ==, 0);
    check_connects(&scene);
    CHECK_INT(count_lines(path, "SERVER_TRAFFIC_SECRET_0 "), ==, 3);
    CHECK_INT(rp_tls_context_set_keylog_filename(scene.server, NULL), ==, 0);
    CHECK_INT(rp_tls_context_set_keylog_filename(scene.client, NULL), ==, 0);
    check_connects(&scene);
    CHECK_INT(count_lines(path, "SERVER_TRAFFIC_SECRET_0 "), ==, 3);
    scene_set_version(&scene, RP_TLS_1_2);
    CHECK_INT(rp_tls_context_set_keylog_filename(scene.client, path), ==, 0);
    check_connects(&scene);
    CHECK_INT(count_lines(path, "CLIENT_RANDOM "), ==, 1);
    scene_tear_down(&scene);
    remove(path); /* which on Windows nobody may have open */
}

#ifndef _WIN32

/* What cannot be written is lost, and the connection is not. */
TEST(a_full_disk_ends_no_handshake)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        CHECK_INT(rp_tls_context_set_keylog_filename(scene.client, "/dev/full"), ==, 0);
        CHECK_INT(rp_tls_context_set_keylog_filename(scene.server, "/dev/full"), ==, 0);
        check_connects(&scene);
    }
}

#endif

TEST(the_environment_names_a_file_for_keys)
{
    tls_scene scene;
    rp_tls_context *context;

    scene_set_up(&scene);
    const char *path = file_with("keys", "");
#ifdef _WIN32
    _putenv_s("SSLKEYLOGFILE", path);
#else
    setenv("SSLKEYLOGFILE", path, 1);
#endif
    renew_client(&scene);
    CHECK_INT(
        rp_tls_context_load_verify_memory(scene.client, scene.root->certificate, strlen(scene.root->certificate)),
        ==, 0);
    check_connects(&scene);
    CHECK_INT(count_lines(path, "CLIENT_TRAFFIC_SECRET_0 "), ==, 1);
#ifndef _WIN32
    setenv("SSLKEYLOGFILE", "/none/such/folder/keys", 1);
    CHECK_INT(rp_tls_context_new(RP_TLS_CLIENT, &context), ==, -ENOENT);
    setenv("SSLKEYLOGFILE", "", 1);
    CHECK_INT(rp_tls_context_new(RP_TLS_CLIENT, &context), ==, 0);
    rp_tls_context_unref(context);
#else
    (void)context;
#endif
    scene_tear_down(&scene);
    remove(path);
}
