/*
 * engines.h - two engines of TLS that talk to each other in memory, as little at a time as the test wants.
 *
 * On Windows read() and write() may be macros: members of these names stand in parentheses.
 */
#ifndef RP_TESTS_ENGINES_H
#define RP_TESTS_ENGINES_H

#include <stdlib.h>
#include <string.h>

#include "harness/harness.h"
#include "tls/openssl_engine.h"

/* One end. What it has written waits until it is carried to the other one. */
typedef struct test_end_of_tls {
    rp_tls_output output;
    rp_tls_input input;
    rp_tls_engine *engine;
    unsigned char *received; /* the input's bytes, in memory of their own each time */
    unsigned char *sent;
    size_t sent_length;
    size_t writes; /* how often it wrote */
} test_end_of_tls;

static inline void test_end_write(rp_tls_output *output, const void *data, size_t length)
{
    test_end_of_tls *end = (test_end_of_tls *)output;

    end->sent = realloc(end->sent, end->sent_length + length);
    CHECK(end->sent != NULL);
    memcpy(end->sent + end->sent_length, data, length);
    end->sent_length += length;
    end->writes++;
}

/* What a peer sends that is no engine; or what an engine receives besides. */
static inline void test_end_feed(test_end_of_tls *end, const void *data, size_t length)
{
    unsigned char *moved = malloc(end->input.length + length);

    CHECK(moved != NULL);
    if (end->input.length > 0)
        memcpy(moved, end->input.data, end->input.length);
    memcpy(moved + end->input.length, data, length);
    free(end->received);
    end->received = moved;
    end->input.data = moved;
    end->input.length += length;
}

/* Carries at most so many bytes from one end to the other: how many. */
static inline size_t test_carry(test_end_of_tls *from, test_end_of_tls *to, size_t most)
{
    size_t length = from->sent_length < most ? from->sent_length : most;

    if (length > 0)
        test_end_feed(to, from->sent, length);
    from->sent_length -= length;
    if (from->sent_length > 0)
        memmove(from->sent, from->sent + length, from->sent_length);
    return length;
}

static inline int test_end_open(test_end_of_tls *end, rp_tls_context *context, bool server, const char *name)
{
    rp_tls_factory *factory = (rp_tls_factory *)context;
    int rc;

    *end = (test_end_of_tls){.output = {test_end_write}};
    rc = factory->make(factory, server, name, &end->engine);
    if (rc < 0)
        return rc;
    end->engine->input = &end->input;
    end->engine->output = &end->output;
    return 0;
}

static inline void test_end_close(test_end_of_tls *end)
{
    if (end->engine)
        end->engine->type->free(end->engine);
    free(end->received);
    free(end->sent);
    *end = (test_end_of_tls){0};
}

/* A client and a server. */
typedef struct test_pair {
    test_end_of_tls client, server;
    int client_error, server_error; /* of the handshake: 0 when it is done, -EAGAIN while it is not */
    size_t split;                   /* how much is carried at a time */
} test_pair;

static inline void test_pair_open(test_pair *pair, rp_tls_context *client, rp_tls_context *server,
                                  const char *name)
{
    *pair = (test_pair){.client_error = -EAGAIN, .server_error = -EAGAIN, .split = SIZE_MAX};
    CHECK_INT(test_end_open(&pair->client, client, false, name), ==, 0);
    CHECK_INT(test_end_open(&pair->server, server, true, NULL), ==, 0);
}

static inline void test_pair_close(test_pair *pair)
{
    test_end_close(&pair->client);
    test_end_close(&pair->server);
}

/* Lets both ends go on until nothing moves any more. An end whose handshake has failed hears no more. */
static inline void test_pair_shake(test_pair *pair)
{
    size_t moved;

    do {
        if (pair->client_error == -EAGAIN)
            pair->client_error = pair->client.engine->type->handshake(pair->client.engine);
        moved = test_carry(&pair->client, &pair->server, pair->split);
        if (pair->server_error == -EAGAIN)
            pair->server_error = pair->server.engine->type->handshake(pair->server.engine);
        moved += test_carry(&pair->server, &pair->client, pair->split);
    } while (moved > 0);
}

/* All of what was sent to an end, or an error; `most` bytes of it at most, each read into memory of `room`. */
static inline int64_t test_end_read(test_end_of_tls *end, char *buffer, size_t most, size_t room)
{
    size_t total = 0;
    int64_t taken = 0;

    while (total < most) {
        size_t length = most - total < room ? most - total : room;

        taken = (end->engine->type->read)(end->engine, buffer + total, length);
        if (taken <= 0)
            break;
        total += (size_t)taken;
    }
    return total > 0 || taken == 0 ? (int64_t)total : taken;
}

static inline rp_openssl_engine *test_openssl(const test_end_of_tls *end)
{
    return rp_openssl_engine_of(end->engine);
}

/* One call of the engine's. */
static inline int64_t end_write(test_end_of_tls *end, const char *text)
{
    return (end->engine->type->write)(end->engine, text, strlen(text));
}

static inline int64_t end_read(test_end_of_tls *end, char *buffer, size_t length)
{
    return (end->engine->type->read)(end->engine, buffer, length);
}

/* The engine in place of a transport, for tls.h's functions: the linker leads rp_tls_filter_engine() to engines.c. */
static inline const rp_transport *test_transport(const test_end_of_tls *end)
{
    return (const rp_transport *)(const void *)end->engine;
}

#endif
