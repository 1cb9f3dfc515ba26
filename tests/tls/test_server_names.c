/*
 * test_server_names.c - which certificate a server shows, by the name that the client asks for.
 */
#include "harness/tls_scene.h"

/* The name of the certificate that a client sees. It trusts all. */
static const char *shown(tls_scene *scene, const char *asked)
{
    static char subject[100];
    const rp_tls_certificate *certificate;

    test_pair_open(&scene->pair, scene->client, scene->server, asked);
    test_pair_shake(&scene->pair);
    CHECK_INT(scene->pair.client_error, ==, 0);
    CHECK_INT(scene->pair.server_error, ==, 0);
    CHECK_INT(rp_tls_peer_certificate(test_transport(&scene->pair.client), &certificate), ==, 0);
    snprintf(subject, sizeof subject, "%s", certificate->subject + strlen("CN="));
    *strchr(subject, ',') = '\0';
    test_pair_close(&scene->pair);
    return subject;
}

static rp_tls_context *server_called(tls_scene *scene, const char *name)
{
    test_identity *identity = test_identity_new(&(test_issue){.name = name, .issuer = scene->root});
    rp_tls_context *context = test_tls_server(identity);

    test_identity_free(identity);
    return context;
}

static void add(tls_scene *scene, const char *asked, const char *shown)
{
    rp_tls_context *other = server_called(scene, shown);

    CHECK_INT(rp_tls_context_add_server_name(scene->server, asked, other), ==, 0);
    rp_tls_context_unref(other);
}

static void trust_all(tls_scene *scene)
{
    CHECK_INT(rp_tls_context_set_verify_mode(scene->client, RP_TLS_CERT_NONE), ==, 0);
}

TEST(the_name_that_is_asked_for_decides)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        trust_all(&scene);
        add(&scene, "b.example", "B");
        add(&scene, "*.example", "wild");
        add(&scene, "A.Example", "A");
        add(&scene, "c.example.", "C");
        add(&scene, "*.deep.example", "deep");
        CHECK_STR(shown(&scene, "a.example"), "A");
        CHECK_STR(shown(&scene, "B.EXAMPLE"), "B");
        CHECK_STR(shown(&scene, "c.example"), "C");
        CHECK_STR(shown(&scene, "d.example"), "wild");
        CHECK_STR(shown(&scene, "x.deep.example"), "deep");
        CHECK_STR(shown(&scene, "x.y.deep.example"), "localhost");
        CHECK_STR(shown(&scene, "example"), "localhost");
        CHECK_STR(shown(&scene, "other.test"), "localhost");
        CHECK_STR(shown(&scene, NULL), "localhost");
        CHECK_STR(shown(&scene, "127.0.0.1"), "localhost");
        add(&scene, "a.example", "A again");
        CHECK_STR(shown(&scene, "a.example"), "A again");
    }
}

TEST(names_that_are_none_are_refused)
{
    static const char *const names[] = {"", ".", "*", "*.", ".a", "*.*.a", "a.*.b", "a*.b", "**.b"};
    tls_scene scene;
    rp_tls_context *other;

    scene_set_up(&scene);
    other = server_called(&scene, "other");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_INT(rp_tls_context_add_server_name(scene.server, names[i], other), ==, -EINVAL);
    CHECK_INT(rp_tls_context_add_server_name(scene.server, NULL, other), ==, -EINVAL);
    CHECK_INT(rp_tls_context_add_server_name(scene.server, "a", NULL), ==, -EINVAL);
    CHECK_INT(rp_tls_context_add_server_name(scene.server, "a", scene.server), ==, -EINVAL);
    CHECK_INT(rp_tls_context_add_server_name(scene.server, "a", scene.client), ==, -EINVAL);
    CHECK_INT(rp_tls_context_add_server_name(scene.client, "a", other), ==, -EINVAL);
    CHECK_INT(rp_tls_context_set_sni_callback(scene.client, NULL, NULL), ==, -EINVAL);
    rp_tls_context_unref(other);
    scene.pair = (test_pair){0};
    scene_tear_down(&scene);
}

/* ---- a function that is asked ---- */

typedef struct asked_function {
    rp_tls_context *context;
    int error;
    char asked[64];
    bool by_table; /* the list had an answer already */
    int times;     /* that it was asked */
} asked_function;

static int on_name(void *arg, const char *name, rp_tls_context **context)
{
    asked_function *answer = arg;

    snprintf(answer->asked, sizeof answer->asked, "%s", name ? name : "none");
    answer->by_table = *context;
    answer->times++;
    if (answer->context)
        *context = answer->context;
    return answer->error;
}

TEST(a_function_answers_for_names)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        asked_function answer = {.context = NULL};

        trust_all(&scene);
        add(&scene, "a.example", "A");
        CHECK_INT(rp_tls_context_set_sni_callback(scene.server, on_name, &answer), ==, 0);
        CHECK_STR(shown(&scene, "A.example"), "A");
        CHECK_STR(answer.asked, "a.example");
        CHECK(answer.by_table);
        CHECK_STR(shown(&scene, NULL), "localhost");
        CHECK_STR(answer.asked, "none");
        CHECK(!answer.by_table);
        answer.context = server_called(&scene, "chosen");
        CHECK_STR(shown(&scene, "a.example"), "chosen");
        CHECK_STR(shown(&scene, NULL), "chosen");
        rp_tls_context_unref(answer.context);
    }
}

/* The context that the function has chosen lives as long as the connection. */
TEST(a_context_that_was_chosen_may_be_given_up)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        asked_function answer = {.context = server_called(&scene, "chosen")};
        static const char *const protocols[] = {"h2"};

        trust_all(&scene);
        CHECK_INT(rp_tls_context_set_alpn_protocols(answer.context, protocols, 1), ==, 0);
        CHECK_INT(rp_tls_context_set_alpn_protocols(scene.client, protocols, 1), ==, 0);
        CHECK_INT(rp_tls_context_set_sni_callback(scene.server, on_name, &answer), ==, 0);
        scene_open(&scene);
        CHECK_INT(scene.pair.client.engine->type->handshake(scene.pair.client.engine), ==, -EAGAIN);
        test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX);
        CHECK_INT(scene.pair.server.engine->type->handshake(scene.pair.server.engine), ==, -EAGAIN);
        rp_tls_context_unref(answer.context);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.client_error, ==, 0);
        CHECK_STR(rp_tls_alpn(test_transport(&scene.pair.client)), "h2");
        CHECK_STR(rp_tls_alpn(test_transport(&scene.pair.server)), "h2");
        CHECK_STR(rp_tls_server_name(test_transport(&scene.pair.server)), "localhost");
    }
}

/* A server that wants another group asks for a second hello. */
TEST(a_function_is_asked_once_a_connection)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        asked_function answer = {.context = test_tls_server(scene.identity)};

        CHECK_INT(rp_tls_context_set_groups(scene.client, "X25519:P-256"), ==, 0);
        CHECK_INT(rp_tls_context_set_groups(scene.server, "P-256"), ==, 0);
        CHECK_INT(rp_tls_context_set_groups(answer.context, "P-256"), ==, 0);
        CHECK_INT(rp_tls_context_set_sni_callback(scene.server, on_name, &answer), ==, 0);
        CHECK_INT(rp_tls_context_set_sni_callback(answer.context, on_name, &answer), ==, 0);
        scene_connect(&scene);
        CHECK_INT(answer.times, ==, 1);
        rp_tls_context_unref(answer.context);
    }
}

/* As RFC 6066 wants it. In TLS 1.2 a session remembers that the server knew the name. */
TEST(a_server_acknowledges_a_name_that_it_knows)
{
    tls_scene scene;
    const SSL_SESSION *session;

    scene_set_up(&scene);
    scene_set_version(&scene, RP_TLS_1_2);
    scene_connect(&scene);
    session = SSL_get0_session(test_openssl(&scene.pair.client)->ssl);
    CHECK(!SSL_SESSION_get0_hostname(session));
    test_pair_close(&scene.pair);
    rp_tls_context *other = test_tls_server(scene.identity);
    CHECK_INT(rp_tls_context_add_server_name(scene.server, "localhost", other), ==, 0);
    rp_tls_context_unref(other);
    scene_connect(&scene);
    session = SSL_get0_session(test_openssl(&scene.pair.client)->ssl);
    CHECK_STR(SSL_SESSION_get0_hostname(session), "localhost");
    scene_tear_down(&scene);
}

TEST(a_function_refuses_a_name)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        asked_function answer = {.error = -EACCES};

        CHECK_INT(rp_tls_context_set_sni_callback(scene.server, on_name, &answer), ==, 0);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, -EACCES);
        CHECK_INT(scene.pair.client_error, ==, RP_ETLS_ALERT);
        CHECK_INT(scene.pair.client.engine->type->alert(scene.pair.client.engine), ==, SSL_AD_UNRECOGNIZED_NAME);
        test_pair_close(&scene.pair);
        answer.error = SSL_AD_UNRECOGNIZED_NAME; /* as it would be said in Python */
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, -EINVAL);
    }
}

TEST(a_context_for_clients_cannot_be_chosen)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        asked_function answer = {.context = scene.client};

        CHECK_INT(rp_tls_context_set_sni_callback(scene.server, on_name, &answer), ==, 0);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, -EINVAL);
    }
}

/* ---- what comes with the certificate ---- */

static void require_client(tls_scene *scene, rp_tls_context *server)
{
    CHECK_INT(rp_tls_context_set_verify_mode(server, RP_TLS_CERT_REQUIRED), ==, 0);
    CHECK_INT(
        rp_tls_context_load_verify_memory(server, scene->root->certificate, strlen(scene->root->certificate)), ==,
        0);
}

TEST(a_name_may_ask_for_the_clients_certificate)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_context *other = test_tls_server(scene.identity);

        require_client(&scene, other);
        CHECK_INT(rp_tls_context_add_server_name(scene.server, "localhost", other), ==, 0);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, RP_ETLS_NO_CERTIFICATE);
        test_pair_close(&scene.pair);
        CHECK_INT(rp_tls_context_load_cert_chain_memory(scene.client, scene.identity->certificate,
                                                        strlen(scene.identity->certificate), scene.identity->key,
                                                        strlen(scene.identity->key), NULL, NULL),
                  ==, 0);
        scene_connect(&scene);
        rp_tls_context_unref(other);
    }
}

TEST(a_name_may_ask_for_no_certificate)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_context *other = test_tls_server(scene.identity);

        require_client(&scene, scene.server);
        CHECK_INT(rp_tls_context_add_server_name(scene.server, "localhost", other), ==, 0);
        scene_connect(&scene);
        rp_tls_context_unref(other);
    }
}

/* A session of a name without such demands does not get around them. */
TEST(a_session_of_one_name_is_not_resumed_at_another)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_context *other = test_tls_server(scene.identity);
        SSL_SESSION *session;
        char byte;

        trust_all(&scene);
        require_client(&scene, other);
        CHECK_INT(rp_tls_context_add_server_name(scene.server, "private.example", other), ==, 0);
        scene_connect(&scene);
        CHECK_INT(end_read(&scene.pair.client, &byte, 1), ==, -EAGAIN);
        session = SSL_get1_session(test_openssl(&scene.pair.client)->ssl);
        test_pair_close(&scene.pair);

        test_pair_open(&scene.pair, scene.client, scene.server, "private.example");
        CHECK(SSL_set_session(test_openssl(&scene.pair.client)->ssl, session));
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, RP_ETLS_NO_CERTIFICATE);
        SSL_SESSION_free(session);
        rp_tls_context_unref(other);
    }
}

/* Nor is one of the same name, if another context answers for it. */
TEST(a_session_is_for_the_context_that_answered)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        asked_function answer = {.context = NULL};
        rp_tls_session *session;
        char byte;

        CHECK_INT(rp_tls_context_set_sni_callback(scene.server, on_name, &answer), ==, 0);
        scene_connect(&scene);
        CHECK_INT(end_read(&scene.pair.client, &byte, 1), ==, -EAGAIN);
        CHECK_INT(rp_tls_get_session(test_transport(&scene.pair.client), &session), ==, 0);
        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, 0);
        rp_tls_session_unref(session);
        test_pair_close(&scene.pair);
        scene_connect(&scene);
        CHECK(rp_tls_session_reused(test_transport(&scene.pair.client)));
        test_pair_close(&scene.pair);

        answer.context = test_tls_server(scene.identity);
        require_client(&scene, answer.context);
        scene_open(&scene);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.server_error, ==, RP_ETLS_NO_CERTIFICATE);
        rp_tls_context_unref(answer.context);
    }
}
