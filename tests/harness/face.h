/*
 * face.h - a small protocol that plays a second face of the library, which asks more of transports than C programs see.
 * It writes down what it is told, a letter for each call:
 *   M connection_made   D data_received    E eof_received    L connection_lost   . another callback of the loop
 *   G get_buffer        U buffer_updated   N buffer_unused (nothing came)
 */
#ifndef RP_TESTS_FACE_H
#define RP_TESTS_FACE_H

#include "harness/wire.h"

typedef struct face {
    rp_transport *transport;
    char log[256];
    size_t length;
    uint64_t turns[256]; /* in which each was written */
    int error;           /* connection_lost's */
    void (*at_made)(struct face *f);
    void (*at_data)(struct face *f); /* or buffer_updated */
    void (*at_get)(struct face *f);
    void (*at_unused)(struct face *f);
    void *buffer;
    size_t room;
    char bytes[64];
} face;

static rp_loop *the_loop;

static inline uint64_t turn(void)
{
    rp_loop_stats stats;

    rp_loop_get_stats(the_loop, &stats);
    return stats.turns;
}

static inline void note(face *f, char what)
{
    CHECK(f->length + 1 < sizeof f->log);
    f->turns[f->length] = turn();
    f->log[f->length++] = what;
}

static inline bool has(const face *f, char what)
{
    return strchr(f->log, what);
}

static inline void made(void *self, rp_transport *transport)
{
    face *f = self;

    note(f, 'M');
    f->transport = transport;
    if (f->at_made)
        f->at_made(f);
}

static inline void received(void *self, const void *data, size_t length)
{
    face *f = self;

    note(f, 'D');
    if (f->at_data)
        f->at_data(f);
}

static inline bool ended(void *self)
{
    note(self, 'E');
    return false;
}

static inline void lost(void *self, int error)
{
    face *f = self;

    note(f, 'L');
    f->error = error;
}

static inline void get(void *self, size_t hint, void **buffer, size_t *length)
{
    face *f = self;

    note(f, 'G');
    *buffer = f->buffer;
    *length = f->room;
    if (f->at_get)
        f->at_get(f);
}

static inline void updated(void *self, size_t length)
{
    face *f = self;

    CHECK(length > 0 && length <= f->room);
    note(f, 'U');
    if (f->at_data)
        f->at_data(f);
}

static inline void unused(void *self)
{
    face *f = self;

    note(f, 'N');
    if (f->at_unused)
        f->at_unused(f);
}

#define EACH_HAS .connection_made = made, .eof_received = ended, .connection_lost = lost

static const rp_protocol plain = {EACH_HAS, .data_received = received};
static const rp_protocol soon = {EACH_HAS, .data_received = received, .begins_soon = true};
static const rp_protocol buffered = {EACH_HAS, .get_buffer = get, .buffer_updated = updated,
                                     .buffer_unused = unused};
static const rp_protocol one_by_one = {EACH_HAS, .get_buffer = get, .buffer_updated = updated,
                                       .buffer_unused = unused, .receives = 1};

/* A transport of one end of a TCP connection; the other end is returned. */
static inline int attach(face *f, const rp_protocol *protocol)
{
    int here, there;

    the_loop = wire_loop();
    f->buffer = f->bytes;
    f->room = sizeof f->bytes;
    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(the_loop, here, protocol, f, &f->transport), ==, 0);
    return there;
}

static inline void finish(int there)
{
    close(there);
    rp_loop_free(the_loop);
}

/* One turn: what was ready is run, and what has completed by now is delivered. */
static inline void run_turn(void)
{
    rp_loop_stop(the_loop);
    CHECK_INT(rp_run_forever(the_loop), ==, 0);
}

static inline void say(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), 0), ==, strlen(text));
}

static inline void note_call(void *arg)
{
    note(arg, '.');
}

static inline void close_between_two(face *f)
{
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
    rp_transport_close(f->transport);
    CHECK_INT(rp_call_soon(the_loop, NULL, note_call, f), ==, 0);
}

#endif
