/*
 * test_session.c - sessions that clients resume, and those that they do not.
 */
#include "harness/tls_scene.h"

/* The session of a connection that is over. */
static rp_tls_session *take_session(tls_scene *scene)
{
    rp_tls_session *session;
    char byte;

    scene_connect(scene);
    CHECK(!rp_tls_session_reused(test_transport(&scene->pair.client)));
    CHECK_INT(end_read(&scene->pair.client, &byte, 1), ==, -EAGAIN);
    CHECK_INT(rp_tls_get_session(test_transport(&scene->pair.client), &session), ==, 0);
    test_pair_close(&scene->pair);
    return session;
}

static bool resumes(tls_scene *scene)
{
    bool reused;

    scene_connect(scene);
    reused = rp_tls_session_reused(test_transport(&scene->pair.client));
    CHECK(rp_tls_session_reused(test_transport(&scene->pair.server)) == reused);
    test_pair_close(&scene->pair);
    return reused;
}

TEST(a_session_is_resumed)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_session *session = take_session(&scene);

        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, 0);
        rp_tls_session_unref(session);
        /* Each of these ends badly, without close_notify. */
        for (int i = 0; i < 3; i++)
            CHECK(resumes(&scene));
        CHECK_INT(rp_tls_context_set_session(scene.client, NULL), ==, 0);
        CHECK(!resumes(&scene));
    }
}

TEST(the_certificate_is_known_after_resuming)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_session *session = take_session(&scene);
        const rp_tls_certificate *certificate;

        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, 0);
        rp_tls_session_unref(session);
        scene_connect(&scene);
        CHECK(rp_tls_session_reused(test_transport(&scene.pair.client)));
        CHECK_INT(rp_tls_peer_certificate(test_transport(&scene.pair.client), &certificate), ==, 0);
        CHECK(certificate != NULL);
        CHECK_STR(certificate->names[0], "DNS:localhost");
    }
}

TEST(a_session_is_for_its_servers_name)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_session *session = take_session(&scene);

        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, 0);
        rp_tls_session_unref(session);
        test_pair_open(&scene.pair, scene.client, scene.server, "127.0.0.1");
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.client_error, ==, 0);
        CHECK(!rp_tls_session_reused(test_transport(&scene.pair.client)));
    }
}

/* Its certificate was verified by the demands of that context, not of this one. */
TEST(a_session_is_for_its_context)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_session *session = take_session(&scene);
        rp_tls_context *other = test_tls_client(scene.root);

        CHECK_INT(rp_tls_context_set_session(other, session), ==, -EINVAL);
        CHECK_INT(rp_tls_context_set_session(scene.server, session), ==, -EINVAL);
        CHECK_INT(rp_tls_context_set_session(scene.server, NULL), ==, -EINVAL);
        rp_tls_context_unref(other);
        rp_tls_session_unref(rp_tls_session_ref(session));
        rp_tls_session_unref(session);
        rp_tls_session_unref(NULL);
    }
}

/* The server was not verified as it is demanded now. */
TEST(a_session_is_for_what_its_context_demanded)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_session *session = take_session(&scene), *later;
        char byte;

        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, 0);
        CHECK(resumes(&scene));
        scene_connect(&scene);
        CHECK_INT(rp_tls_context_set_verify_flags(scene.client, RP_TLS_VERIFY_STRICT), ==, 0);
        CHECK_INT(end_read(&scene.pair.client, &byte, 1), ==, -EAGAIN);
        CHECK_INT(rp_tls_get_session(test_transport(&scene.pair.client), &later), ==, 0);
        test_pair_close(&scene.pair);
        CHECK(!resumes(&scene));
        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, -EINVAL);
        CHECK_INT(rp_tls_context_set_session(scene.client, later), ==, -EINVAL);
        rp_tls_session_unref(session);
        rp_tls_session_unref(later);
    }
}

/* The same of a server: the client has shown it no certificate. */
TEST(a_ticket_is_for_what_its_server_demanded)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_session *session = take_session(&scene);

        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, 0);
        rp_tls_session_unref(session);
        CHECK(resumes(&scene));
        CHECK_INT(rp_tls_context_set_verify_mode(scene.server, RP_TLS_CERT_OPTIONAL), ==, 0);
        CHECK(!resumes(&scene));
    }
}

TEST(a_server_gives_as_many_tickets_as_it_is_told)
{
    tls_scene scene;

    for (unsigned count = 0; count <= 4; count += 2)
        EACH_VERSION(&scene)
        {
            rp_tls_session *session;
            char byte;

            CHECK_INT(rp_tls_context_set_num_tickets(scene.server, count), ==, 0);
            scene_connect(&scene);
            CHECK_INT(end_read(&scene.pair.client, &byte, 1), ==, -EAGAIN);
            CHECK_INT(rp_tls_get_session(test_transport(&scene.pair.client), &session), ==, count ? 0 : -EAGAIN);
            if (count > 0)
                rp_tls_session_unref(session);
        }
}

TEST(tickets_may_be_taken_away_and_given_again)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        rp_tls_session *session;

        CHECK_INT(rp_tls_context_set_num_tickets(scene.server, 0), ==, 0);
        CHECK_INT(rp_tls_context_set_num_tickets(scene.server, 1), ==, 0);
        CHECK_INT(rp_tls_context_set_num_tickets(scene.server, 17), ==, -EINVAL);
        CHECK_INT(rp_tls_context_set_num_tickets(scene.client, 1), ==, -EINVAL);
        session = take_session(&scene);
        CHECK_INT(rp_tls_context_set_session(scene.client, session), ==, 0);
        rp_tls_session_unref(session);
        CHECK(resumes(&scene));
    }
}

TEST(a_session_is_a_clients)
{
    tls_scene scene;
    rp_tls_session *session;

    scene_set_up(&scene);
    scene_connect(&scene);
    CHECK_INT(rp_tls_get_session(test_transport(&scene.pair.client), &session), ==, -EAGAIN); /* not yet */
    CHECK_INT(rp_tls_get_session(test_transport(&scene.pair.server), &session), ==, -EINVAL);
    CHECK_INT(rp_tls_get_session(NULL, &session), ==, -ENOTCONN);
    scene_tear_down(&scene);
}
