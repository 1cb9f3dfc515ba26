/*
 * rig.h - a filter with a toy engine on a socket, whose other end the test has in its hand and speaks the toy's
 * records by.
 */
#ifndef RP_TESTS_TLS_RIG_H
#define RP_TESTS_TLS_RIG_H

#include "harness/record.h"
#include "harness/toy_engine.h"
#include "net/socket_transport.h"

typedef struct rig rig;
struct rig {
    rp_loop *loop;
    toy_factory factory;
    rp_tls_filter_options options; /* a server's, unless the test says otherwise */
    rp_transport *below;           /* referred to */
    rp_transport *filter;          /* likewise */
    int peer;
    int done, error;
    int detached;
    bool inside;             /* rp_tls_filter_new() */
    void (*on_done)(rig *g); /* in place of starting it */
    const rp_protocol *protocol;
    void *self;
    record r;
};

static inline void rig_detached(rp_transport *transport)
{
    ((rig *)transport->maker)->detached++;
}

static inline void rig_done(void *arg, rp_transport *filter, int error)
{
    rig *g = arg;

    CHECK(!g->inside);
    CHECK(filter == g->filter);
    g->done++;
    g->error = error;
    if (g->on_done)
        g->on_done(g);
    else if (error == 0)
        rp_transport_start(filter, g->protocol, g->self);
}

/* A new filter on a new connection, which has not done anything yet. */
static inline int rig_begin_in(rig *g, rp_loop *loop)
{
    int fd, rc, on = 1;

    g->loop = loop;
    if (!g->factory.base.make)
        toy_factory_init(&g->factory);
    if (!g->protocol)
        g->protocol = &record_plain;
    if (!g->self)
        g->self = &g->r;
    wire_pair(&fd, &g->peer);
    set_nonblocking(fd);
    CHECK_INT(setsockopt(g->peer, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on), ==, 0);
    g->below = rp_transport_ref(rp_socket_transport_new(loop, fd));
    g->inside = true;
    rc = rp_tls_filter_new(g->below, &g->factory.base, &g->options, rig_done, g, &g->filter);
    g->inside = false;
    if (rc < 0)
        return rc;
    rp_transport_ref(g->filter);
    g->filter->maker = g;
    g->filter->detached = rig_detached;
    return 0;
}

static inline void rig_begin(rig *g)
{
    g->options.server = true;
    CHECK_INT(rig_begin_in(g, wire_loop()), ==, 0);
}

/* The peer says a record, and bytes. */
static inline void rig_send(rig *g, const void *data, size_t length)
{
    CHECK_INT(send(g->peer, data, length, MSG_NOSIGNAL), ==, (ssize_t)length);
}

static inline void rig_say(rig *g, int type, const void *data, size_t length)
{
    char bytes[TOY_RECORD];

    rig_send(g, bytes, toy_record(bytes, type, data, length));
}

static inline void rig_hear_bytes(rig *g, void *buffer, size_t length)
{
    size_t total = 0;

    while (total < length) {
        ssize_t n = wire_await(g->loop, g->peer, (char *)buffer + total, length - total);

        CHECK_INT(n, >, 0);
        total += (size_t)n;
    }
}

/* The next record that comes to the peer: its type. */
static inline int rig_hear(rig *g, char *plain, size_t *length)
{
    unsigned char header[TOY_HEADER];

    rig_hear_bytes(g, header, sizeof header);
    *length = (size_t)header[1] << 8 | header[2];
    CHECK_INT(*length, <=, TOY_PLAIN);
    rig_hear_bytes(g, plain, *length);
    for (size_t i = 0; i < *length; i++)
        plain[i] = (char)~plain[i];
    return header[0];
}

static inline void rig_expect(rig *g, int type)
{
    static char plain[TOY_PLAIN];
    size_t length;

    CHECK_INT(rig_hear(g, plain, &length), ==, type);
}

/* What comes to the peer last: the stream's end, or a reset. */
static inline void rig_expect_end(rig *g, ssize_t end)
{
    char byte;

    CHECK_INT(wire_await(g->loop, g->peer, &byte, 1), ==, end);
}

/* The whole handshake. */
static inline void rig_shake(rig *g)
{
    rig_say(g, TOY_HELLO, "hello", 5);
    rig_expect(g, TOY_HELLO);
    rig_say(g, TOY_FINISHED, "", 0);
    rig_expect(g, TOY_TICKET);
    RUN_UNTIL(g->loop, g->done);
    CHECK_INT(g->error, ==, 0);
}

static inline void rig_open(rig *g)
{
    rig_begin(g);
    rig_shake(g);
    if (g->self == &g->r)
        CHECK_INT(g->r.made, ==, 1);
}

/* Frees the loop, and all else. No engine is left. */
static inline void rig_end(rig *g)
{
    rp_loop_free(g->loop);
    rp_transport_unref(g->filter);
    rp_transport_unref(g->below);
    close(g->peer);
    free(g->r.data);
    CHECK_INT(g->factory.made, ==, g->factory.freed);
}

#endif
