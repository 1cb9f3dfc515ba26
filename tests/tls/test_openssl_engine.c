/*
 * test_openssl_engine.c - two engines by OpenSSL talk to each other in memory, as little at a time as there is.
 */
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "harness/tls_scene.h"

enum { BIG = 300000 };

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 7 + at / 251);
}

static char *make_pattern(size_t length)
{
    char *data = malloc(length);

    CHECK(data != NULL);
    for (size_t i = 0; i < length; i++)
        data[i] = (char)pattern(i);
    return data;
}

/* Writes all of it from memory that lies elsewhere each time. */
static void write_moving(test_end_of_tls *end, const char *data, size_t length)
{
    size_t total = 0;

    while (total < length) {
        char *moved = malloc(length - total);
        int64_t taken;

        CHECK(moved != NULL);
        memcpy(moved, data + total, length - total);
        taken = end->engine->type->write(end->engine, moved, length - total);
        free(moved);
        CHECK_INT(taken, >, 0);
        CHECK_INT(taken, <=, 16384); /* a record at a time */
        total += (size_t)taken;
    }
}

/* What the other end has sent is carried over, and read: a text. */
static void check_arrives(test_end_of_tls *from, test_end_of_tls *to, const char *text)
{
    char buffer[64] = {0};

    test_carry(from, to, SIZE_MAX);
    CHECK_INT(test_end_read(to, buffer, sizeof buffer - 1, sizeof buffer), ==, strlen(text));
    CHECK_STR(buffer, text);
}

static void check_both_ways(tls_scene *scene)
{
    CHECK_INT(end_write(&scene->pair.client, "ping"), ==, 4);
    check_arrives(&scene->pair.client, &scene->pair.server, "ping");
    CHECK_INT(end_write(&scene->pair.server, "pong"), ==, 4);
    check_arrives(&scene->pair.server, &scene->pair.client, "pong");
}

/* ---- bytes ---- */

TEST(bytes_come_through)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        scene_connect(&scene);
        check_both_ways(&scene);
    }
}

TEST(certificates_of_rsa_do_as_well)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        test_identity *rsa = test_identity_new(
            &(test_issue){.name = "localhost", .names = "DNS:localhost", .issuer = scene.root, .rsa = 2048});

        rp_tls_context_unref(scene.server);
        scene.server = test_tls_server(rsa);
        scene_connect(&scene);
        check_both_ways(&scene);
        test_identity_free(rsa);
    }
}

/* A handshake, and data both ways, of which so many bytes arrive at a time. */
static void check_split(tls_scene *scene, size_t split)
{
    static const char text[] = "a text that is not long, and is read in small pieces";
    char buffer[sizeof text];
    size_t total = 0;

    scene_open(scene);
    scene->pair.split = split;
    test_pair_shake(&scene->pair);
    CHECK_INT(scene->pair.client_error, ==, 0);
    CHECK_INT(scene->pair.server_error, ==, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(end_write(&scene->pair.server, text), ==, sizeof text - 1);
        for (total = 0; total < sizeof text - 1;) {
            int64_t taken =
                test_end_read(&scene->pair.client, buffer + total, sizeof text - 1 - total, 1 + split % 20);

            if (taken == -EAGAIN)
                CHECK_INT(test_carry(&scene->pair.server, &scene->pair.client, split), >, 0);
            else
                CHECK_INT(taken, >, 0);
            total += taken > 0 ? (size_t)taken : 0;
        }
        CHECK(memcmp(buffer, text, total) == 0);
        CHECK_INT(end_read(&scene->pair.client, buffer, 1), ==, -EAGAIN);
        CHECK_INT(scene->pair.client.input.length, ==, 0);
    }
    test_pair_close(&scene->pair);
}

TEST(records_arrive_in_every_split)
{
    tls_scene scene;

    EACH_VERSION(&scene)
    {
        for (size_t split = 1; split <= 130; split++)
            check_split(&scene, split);
        for (size_t split = 131; split < 3000; split += 97)
            check_split(&scene, split);
    }
}

TEST(much_is_written_record_by_record_from_memory_that_moves)
{
    tls_scene scene;
    char *data = make_pattern(BIG), *buffer = malloc(BIG);

    EACH_VERSION(&scene)
    {
        scene_connect(&scene);
        write_moving(&scene.pair.client, data, BIG);
        CHECK_INT(scene.pair.client.writes, >=, BIG / 16384);
        test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX);
        CHECK_INT(test_end_read(&scene.pair.server, buffer, BIG, BIG), ==, BIG);
        CHECK(memcmp(buffer, data, BIG) == 0);
    }
    free(data);
    free(buffer);
}

TEST(a_first_record_holds_a_single_byte_or_as_much_as_fits)
{
    tls_scene scene;
    char *data = make_pattern(BIG), *buffer = malloc(BIG);

    EACH_VERSION(&scene)
    {
        scene_connect(&scene);
        write_moving(&scene.pair.client, data, 1);
        write_moving(&scene.pair.client, data + 1, 16384 * 2 + 1);
        test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX);
        CHECK_INT(end_read(&scene.pair.server, buffer, BIG), ==, 1);
        CHECK_INT(test_end_read(&scene.pair.server, buffer + 1, 16384 * 2 + 1, BIG), ==, 16384 * 2 + 1);
        CHECK(memcmp(buffer, data, 16384 * 2 + 2) == 0);
    }
    free(data);
    free(buffer);
}

TEST(what_a_reader_leaves_is_pending)
{
    tls_scene scene;
    char buffer[8];

    EACH_VERSION(&scene)
    {
        test_end_of_tls *server = &scene.pair.server;

        scene_connect(&scene);
        CHECK_INT(end_write(&scene.pair.client, "0123456789"), ==, 10);
        test_carry(&scene.pair.client, server, SIZE_MAX);
        CHECK_INT(server->engine->type->pending(server->engine), ==, 0);
        CHECK_INT(end_read(server, buffer, 4), ==, 4);
        CHECK_INT(server->input.length, ==, 0);
        CHECK_INT(server->engine->type->pending(server->engine), ==, 6);
        CHECK_INT(end_read(server, buffer, 8), ==, 6);
        CHECK(memcmp(buffer, "456789", 6) == 0);
        CHECK_INT(server->engine->type->pending(server->engine), ==, 0);
        CHECK_INT(end_read(server, buffer, 8), ==, -EAGAIN);
    }
}

/* OpenSSL goes from a record without plaintext to the next one: it must not take a part of that. */
TEST(what_follows_a_ticket_may_come_in_parts)
{
    tls_scene scene;
    char buffer[8];

    for (size_t part = 1; part < 30; part++) {
        size_t tickets;

        scene_set_up(&scene);
        scene_connect(&scene);
        CHECK(SSL_new_session_ticket(test_openssl(&scene.pair.server)->ssl));
        CHECK_INT(SSL_do_handshake(test_openssl(&scene.pair.server)->ssl), ==, 1);
        tickets = scene.pair.server.sent_length;
        CHECK_INT(tickets, >, 0);
        CHECK_INT(end_write(&scene.pair.server, "pong"), ==, 4);
        test_carry(&scene.pair.server, &scene.pair.client, tickets + part);
        CHECK_INT(end_read(&scene.pair.client, buffer, 8), ==, scene.pair.server.sent_length ? -EAGAIN : 4);
        if (scene.pair.server.sent_length)
            check_arrives(&scene.pair.server, &scene.pair.client, "pong");
        scene_tear_down(&scene);
    }
}

/* ---- after the handshake ---- */

TEST(tickets_come_after_the_handshake)
{
    tls_scene scene;
    char buffer[8];

    scene_set_up(&scene);
    scene_connect(&scene);
    CHECK_INT(end_read(&scene.pair.client, buffer, 8), ==, -EAGAIN);
    CHECK(SSL_SESSION_is_resumable(SSL_get0_session(test_openssl(&scene.pair.client)->ssl)));
    check_both_ways(&scene);
    scene_tear_down(&scene);
}

TEST(keys_are_updated_with_nothing_to_write)
{
    tls_scene scene;
    char buffer[8];

    scene_set_up(&scene);
    scene_connect(&scene);
    for (int i = 0; i < 3; i++) {
        CHECK(SSL_key_update(test_openssl(&scene.pair.client)->ssl, SSL_KEY_UPDATE_REQUESTED));
        CHECK_INT(SSL_do_handshake(test_openssl(&scene.pair.client)->ssl), ==, 1);
        test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX);
        CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, -EAGAIN);
        /* The answer goes with what is written next. */
        check_both_ways(&scene);
    }
    scene_tear_down(&scene);
}

TEST(a_client_refuses_renegotiation)
{
    tls_scene scene;
    char buffer[8];

    scene_set_up(&scene);
    scene_set_version(&scene, RP_TLS_1_2);
    scene_connect(&scene);
    SSL_clear_options(test_openssl(&scene.pair.server)->ssl, SSL_OP_NO_RENEGOTIATION);
    CHECK(SSL_renegotiate(test_openssl(&scene.pair.server)->ssl));
    CHECK_INT(SSL_do_handshake(test_openssl(&scene.pair.server)->ssl), ==, 1); /* it asks */
    CHECK_INT(test_carry(&scene.pair.server, &scene.pair.client, SIZE_MAX), >, 0);
    CHECK_INT(end_read(&scene.pair.client, buffer, 8), ==, -EAGAIN);
    CHECK_INT(SSL_num_renegotiations(test_openssl(&scene.pair.client)->ssl), ==, 0);
    CHECK_INT(end_write(&scene.pair.client, "ping"), ==, 4);
    scene_tear_down(&scene);
}

TEST(renegotiation_is_refused)
{
    tls_scene scene;
    char buffer[8];

    scene_set_up(&scene);
    scene_set_version(&scene, RP_TLS_1_2);
    scene_connect(&scene);
    SSL_clear_options(test_openssl(&scene.pair.client)->ssl, SSL_OP_NO_RENEGOTIATION);
    CHECK(SSL_renegotiate(test_openssl(&scene.pair.client)->ssl));
    SSL_do_handshake(test_openssl(&scene.pair.client)->ssl);
    ERR_clear_error();
    CHECK_INT(test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX), >, 0);
    CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, -EAGAIN);
    /* The server says no, and goes on; the client was in earnest. */
    CHECK_INT(SSL_num_renegotiations(test_openssl(&scene.pair.server)->ssl), ==, 0);
    CHECK_INT(scene.pair.server.sent_length, >, 0);
    CHECK_INT(end_write(&scene.pair.server, "pong"), ==, 4);
    test_carry(&scene.pair.server, &scene.pair.client, SIZE_MAX);
    CHECK_INT(end_read(&scene.pair.client, buffer, 8), <, 0);
    CHECK_INT(scene.pair.client.engine->type->alert(scene.pair.client.engine), ==, -1);
    scene_tear_down(&scene);
}

/* ---- the end ---- */

TEST(the_end_is_told_once_and_reading_goes_on)
{
    tls_scene scene;
    char buffer[8];

    EACH_VERSION(&scene)
    {
        test_end_of_tls *client = &scene.pair.client, *server = &scene.pair.server;

        scene_connect(&scene);
        CHECK_INT(end_write(client, "last"), ==, 4);
        CHECK_INT(client->engine->type->shutdown(client->engine), ==, 0);
        size_t sent = client->sent_length;
        CHECK_INT(client->engine->type->shutdown(client->engine), ==, 0);
        CHECK_INT(client->sent_length, ==, sent);
        CHECK_INT(end_write(client, "more"), ==, -EPIPE);
        test_carry(client, server, SIZE_MAX);
        CHECK_INT(end_read(server, buffer, 8), ==, 4);
        CHECK_INT(end_read(server, buffer, 8), ==, 0);
        CHECK_INT(end_read(server, buffer, 8), ==, 0);
        CHECK_INT(end_write(server, "answer"), ==, 6);
        check_arrives(server, client, "answer");
    }
}

TEST(one_direction_ends_before_the_other)
{
    tls_scene scene;
    char buffer[8];

    EACH_VERSION(&scene)
    {
        test_end_of_tls *client = &scene.pair.client, *server = &scene.pair.server;

        scene_connect(&scene);
        CHECK_INT(client->engine->type->shutdown(client->engine), ==, 0);
        test_carry(client, server, SIZE_MAX);
        CHECK_INT(end_read(server, buffer, 8), ==, 0);
        for (int i = 0; i < 3; i++) {
            CHECK_INT(end_write(server, "still"), ==, 5);
            check_arrives(server, client, "still");
        }
        CHECK_INT(server->engine->type->shutdown(server->engine), ==, 0);
        test_carry(server, client, SIZE_MAX);
        CHECK_INT(end_read(client, buffer, 8), ==, 0);
    }
}

TEST(a_handshake_that_is_not_done_has_no_end)
{
    tls_scene scene;

    scene_set_up(&scene);
    scene_open(&scene);
    CHECK_INT(scene.pair.client.engine->type->handshake(scene.pair.client.engine), ==, -EAGAIN);
    size_t sent = scene.pair.client.sent_length;
    CHECK_INT(scene.pair.client.engine->type->shutdown(scene.pair.client.engine), ==, 0);
    CHECK_INT(scene.pair.client.sent_length, ==, sent);
    scene_tear_down(&scene);
}

/* ---- errors ---- */

TEST(errors_that_others_have_left_are_none_of_a_connection)
{
    tls_scene scene;
    char buffer[8];

    EACH_VERSION(&scene)
    {
        scene_open(&scene);
        do {
            ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
            scene.pair.client_error = scene.pair.client.engine->type->handshake(scene.pair.client.engine);
            test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX);
            ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
            scene.pair.server_error = scene.pair.server.engine->type->handshake(scene.pair.server.engine);
            test_carry(&scene.pair.server, &scene.pair.client, SIZE_MAX);
        } while (scene.pair.client_error == -EAGAIN && scene.pair.server_error == -EAGAIN);
        test_pair_shake(&scene.pair);
        CHECK_INT(scene.pair.client_error, ==, 0);
        CHECK_INT(scene.pair.server_error, ==, 0);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
        CHECK_INT(end_read(&scene.pair.client, buffer, 8), ==, -EAGAIN);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
        CHECK_INT(end_write(&scene.pair.client, "ping"), ==, 4);
        test_carry(&scene.pair.client, &scene.pair.server, SIZE_MAX);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
        CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, 4);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
        CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, -EAGAIN);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
        CHECK_INT(scene.pair.server.engine->type->shutdown(scene.pair.server.engine), ==, 0);
        test_carry(&scene.pair.server, &scene.pair.client, SIZE_MAX);
        ERR_raise(ERR_LIB_SSL, SSL_R_BAD_SIGNATURE);
        CHECK_INT(end_read(&scene.pair.client, buffer, 8), ==, 0);
    }
    ERR_clear_error();
}

/* Turns over a bit of the last byte that an end has sent. */
static void damage(test_end_of_tls *end)
{
    CHECK_INT(end->sent_length, >, 0);
    end->sent[end->sent_length - 1] ^= 1;
}

TEST(a_damaged_record_fails_and_stays_so)
{
    tls_scene scene;
    char buffer[8];

    EACH_VERSION(&scene)
    {
        test_end_of_tls *client = &scene.pair.client, *server = &scene.pair.server;

        scene_connect(&scene);
        CHECK_INT(end_write(client, "ping"), ==, 4);
        damage(client);
        test_carry(client, server, SIZE_MAX);
        CHECK_INT(end_read(server, buffer, 8), ==, RP_ETLS_PROTOCOL);
        CHECK(server->engine->type->text(server->engine) != NULL);
        CHECK_INT(server->engine->type->alert(server->engine), ==, -1);
        CHECK_INT(ERR_peek_error(), ==, 0);
        size_t alert = server->sent_length;
        CHECK_INT(alert, >, 0);
        CHECK_INT(end_read(server, buffer, 8), ==, RP_ETLS_PROTOCOL);
        CHECK_INT(end_write(server, "pong"), ==, RP_ETLS_PROTOCOL);
        CHECK_INT(server->engine->type->shutdown(server->engine), ==, RP_ETLS_PROTOCOL);
        CHECK_INT(server->engine->type->handshake(server->engine), ==, RP_ETLS_PROTOCOL);
        CHECK_INT(server->sent_length, ==, alert);
        test_carry(server, client, SIZE_MAX);
        CHECK_INT(end_read(client, buffer, 8), ==, RP_ETLS_ALERT);
        CHECK_INT(client->engine->type->alert(client->engine), ==, SSL_AD_BAD_RECORD_MAC);
    }
}

TEST(a_record_that_is_too_long_is_refused_by_its_length)
{
    static const unsigned char header[] = {23, 3, 3, 0xff, 0xff};
    tls_scene scene;
    char buffer[8];

    EACH_VERSION(&scene)
    {
        scene_connect(&scene);
        test_end_feed(&scene.pair.server, header, sizeof header);
        CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, RP_ETLS_PROTOCOL);
    }
}

TEST(what_is_no_record_is_refused_at_once)
{
    tls_scene scene;
    char buffer[8];

    EACH_VERSION(&scene)
    {
        scene_connect(&scene);
        test_end_feed(&scene.pair.server, "hello", 5);
        CHECK_INT(end_read(&scene.pair.server, buffer, 8), ==, RP_ETLS_PROTOCOL);
    }
}
