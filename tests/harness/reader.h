/*
 * reader.h - a reader is a protocol in one of the three shapes that receive. At the first of one of its events it does
 * one thing. All bytes and the end of the stream come by one line, whose state the readers of a connection share.
 */
#ifndef RP_TESTS_READER_H
#define RP_TESTS_READER_H

#include "harness/wire.h"

typedef enum { PLAIN, BUFFERED, RECEIVABLE, SHAPES } shape;
typedef enum { ON_MADE, ON_BUFFER, ON_DATA, ON_EOF, ON_PAUSE, ON_RESUME, EVENTS } event;

typedef struct reader reader;
struct reader {
    rp_transport *transport;
    reader *next; /* takes over at the event */
    event event;
    void (*action)(reader *r);
    size_t got;
    int ends, lost;
    char buffer[1000];
};

static uint64_t arrived; /* on the connection of this test, by all its readers */

static inline void happens(reader *r, event what)
{
    void (*action)(reader * r) = r->action;

    if (action == NULL || r->event != what)
        return;
    r->action = NULL;
    action(r);
}

static inline void take(reader *r, const void *data, size_t length)
{
    CHECK_INT(r->lost, ==, 0);
    CHECK(wire_same(data, length, arrived));
    arrived += length;
    r->got += length;
}

static inline void made(void *self, rp_transport *transport)
{
    reader *r = self;

    r->transport = transport;
    happens(r, ON_MADE);
}

static inline void received(void *self, const void *data, size_t length)
{
    take(self, data, length);
    happens(self, ON_DATA);
}

static inline void give_buffer(void *self, size_t hint, void **buffer, size_t *length)
{
    reader *r = self;

    CHECK_INT(hint, >, 0);
    *buffer = r->buffer;
    *length = sizeof r->buffer;
    happens(r, ON_BUFFER);
}

static inline void updated(void *self, size_t length)
{
    reader *r = self;

    take(r, r->buffer, length);
    happens(r, ON_DATA);
}

static inline void receivable(void *self)
{
    reader *r = self;
    int64_t n;

    CHECK(!rp_transport_is_reading(r->transport));
    n = rp_transport_try_read(r->transport, r->buffer, sizeof r->buffer);
    if (n > 0)
        take(r, r->buffer, (size_t)n);
    CHECK(n >= 0 || n == -EAGAIN);
    r->ends += n == 0;
    if (n == 0) {
        happens(r, ON_EOF);
    } else {
        rp_transport_resume_reading(r->transport);
        happens(r, ON_DATA);
    }
}

static inline bool ended(void *self)
{
    reader *r = self;

    r->ends++;
    happens(r, ON_EOF);
    return true;
}

static inline void lost(void *self, int error)
{
    reader *r = self;

    CHECK_INT(error, ==, 0);
    r->lost++;
}

static inline void paused(void *self)
{
    happens(self, ON_PAUSE);
}

static inline void resumed(void *self)
{
    happens(self, ON_RESUME);
}

#define EACH_SHAPE_HAS                                                                                            \
    .connection_made = made, .connection_lost = lost, .pause_writing = paused, .resume_writing = resumed

static const rp_protocol protocols[SHAPES] = {
    [PLAIN] = {EACH_SHAPE_HAS, .data_received = received, .eof_received = ended},
    [BUFFERED] = {EACH_SHAPE_HAS, .get_buffer = give_buffer, .buffer_updated = updated, .eof_received = ended},
    [RECEIVABLE] = {EACH_SHAPE_HAS, .receivable = receivable},
};

/* ---- a connection on which more is waiting than one read takes ---- */

#ifdef _WIN32
enum { TOTAL = 300000 }; /* Wine is slow */
#else
enum { TOTAL = 614400 };
#endif

static char line_bytes[TOTAL];

typedef struct line {
    rp_loop *loop;
    int there;
    size_t sent;
    bool half_closed;
} line;

static inline void feed(line *l)
{
    while (l->sent < TOTAL) {
        ssize_t n = send(l->there, line_bytes + l->sent, TOTAL - l->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n <= 0)
            return;
        l->sent += (size_t)n;
    }
    if (!l->half_closed)
        CHECK_INT(shutdown(l->there, SHUT_WR), ==, 0);
    l->half_closed = true;
}

static inline void begin(line *l, shape first, reader *r)
{
    rp_transport *transport;
    int here, room = 1 << 20;

    *l = (line){.loop = wire_loop()};
    arrived = 0;
    wire_fill(line_bytes, TOTAL, 0);
    wire_pair(&here, &l->there);
    setsockopt(here, SOL_SOCKET, SO_RCVBUF, (const void *)&room, sizeof room);
    feed(l);
    CHECK_INT(rp_connect_accepted_socket(l->loop, here, &protocols[first], r, &transport), ==, 0);
}

/* Until the reader has done what it does, or would have by now. */
static inline void run_until_done(line *l, const reader *r)
{
    while (r->action != NULL) {
        feed(l);
        wire_run(l->loop, RP_MSEC(1));
    }
}

static inline void run_until_end(line *l, const reader *last)
{
    while (last->ends == 0) {
        feed(l);
        wire_run(l->loop, RP_MSEC(1));
    }
    CHECK_INT(arrived, ==, TOTAL);
}

/* What was written to the peer is of no interest. */
static inline void swallow(const line *l)
{
    static char sink[65536];

    while (wire_read(l->there, sink, sizeof sink) > 0)
        ;
}

static inline void finish(line *l, const reader *last)
{
    rp_transport_abort(last->transport);
    while (last->lost == 0) {
        swallow(l);
        wire_run(l->loop, RP_MSEC(1));
    }
    wire_run(l->loop, RP_MSEC(1));
    CHECK_INT(last->lost, ==, 1);
    close(l->there);
    rp_loop_free(l->loop);
}

/* Which events a shape sees, of those that come by reading. */
static inline bool sees(shape one, event what)
{
    return what == ON_MADE || what == ON_DATA || (what == ON_BUFFER && one == BUFFERED);
}

#endif
