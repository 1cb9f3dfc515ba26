/*
 * test_filter_random.c - two filters of TLS do at random what transports can: no byte is lost, doubled
 * or misplaced. A failing sequence is replayed with RP_TEST_SEED.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/record.h"
#include "harness/toy_engine.h"

enum { MANY = 100, FEW = 10, STEPS = 60, LONGEST = 60000, MOST = 400000 /* bytes of one end */ };

typedef struct end {
    record r;
    uint64_t written, received;
    size_t piece; /* what the reader has room for */
    bool corked, half_closed;
    char buffer[5000];
} end;

/* xorshift64*: all that tests need. */
static uint64_t state;

static size_t below(size_t limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 2685821657736338717u) >> 33) % limit;
}

static void made(void *self, rp_transport *transport)
{
    ((end *)self)->r.transport = transport;
}

static void lend(void *self, size_t hint, void **buffer, size_t *length)
{
    end *e = self;

    *buffer = e->buffer;
    *length = e->piece = 1 + below(sizeof e->buffer);
}

static void take(end *e, const void *data, size_t length)
{
    CHECK_INT(e->r.eofs + e->r.lost, ==, 0);
    CHECK(wire_same(data, length, e->received));
    e->received += length;
    if (below(10) == 0)
        rp_transport_pause_reading(e->r.transport);
}

static void took(void *self, size_t length)
{
    end *e = self;

    take(e, e->buffer, length);
}

static void given(void *self, const void *data, size_t length)
{
    take(self, data, length);
}

static bool ended(void *self)
{
    ((end *)self)->r.eofs++;
    return true;
}

static void lost(void *self, int error)
{
    end *e = self;

    e->r.lost++;
    e->r.error = error;
}

#define EACH_HAS .connection_made = made, .eof_received = ended, .connection_lost = lost
static const rp_protocol shapes[] = {{EACH_HAS, .get_buffer = lend, .buffer_updated = took},
                                     {EACH_HAS, .data_received = given}};

static void start_sockets(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *transport;
    int fds[2];

    wire_pair(&fds[0], &fds[1]);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_connect_accepted_socket(loop, fds[i], protocol, selves[i], &transport), ==, 0);
}

static void write_some(end *e)
{
    static char bytes[LONGEST];
    size_t length = 1 + below(below(4) ? 300 : LONGEST), first;
    struct iovec pieces[3];

    if (e->half_closed || e->written + length > MOST)
        return;
    wire_fill(bytes, length, e->written);
    first = below(length + 1);
    pieces[0] = (struct iovec){bytes, first};
    pieces[1] = (struct iovec){bytes + first, 0};
    pieces[2] = (struct iovec){bytes + first, length - first};
    CHECK_INT(rp_transport_writev(e->r.transport, pieces, 3), ==, 0);
    e->written += length;
}

static void step(rp_loop *loop, end *e)
{
    switch (below(8)) {
    case 0:
        rp_transport_pause_reading(e->r.transport);
        break;
    case 1:
    case 2:
        rp_transport_resume_reading(e->r.transport);
        break;
    case 3:
        if (e->corked)
            CHECK_INT(rp_transport_uncork(e->r.transport), ==, 0);
        else
            rp_transport_cork(e->r.transport);
        e->corked = !e->corked;
        break;
    case 4:
        wire_settle(loop);
        break;
    case 5:
        rp_transport_set_write_buffer_limits(e->r.transport, below(20000), 0);
        break;
    default:
        write_some(e);
    }
}

static void go_on(end *e)
{
    rp_transport_resume_reading(e->r.transport);
    if (e->corked && !e->half_closed)
        CHECK_INT(rp_transport_uncork(e->r.transport), ==, 0);
    e->corked = false;
}

static void play(starter *start, uint64_t seed)
{
    rp_loop *loop = wire_loop();
    end ends[2] = {{.written = 0}, {.written = 0}};

    fprintf(stderr, "RP_TEST_SEED=%llu\n", (unsigned long long)seed);
    state = seed;
    toy_engines()->asks = false;
    start_toys(loop, start, &shapes[below(2)], (void *[]){&ends[0], &ends[1]});
    toy_engines()->asks = below(3) == 0;
    for (int i = 0; i < STEPS; i++)
        step(loop, &ends[below(2)]);
    for (int i = 0; i < 2; i++) {
        end *from = &ends[i], *to = &ends[1 - i];

        while (to->received < from->written) {
            go_on(from);
            go_on(to);
            wire_run(loop, RP_MSEC(1));
        }
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_transport_write_eof(ends[i].r.transport), ==, 0);
        ends[i].half_closed = true;
    }
    while (ends[0].r.eofs + ends[1].r.eofs < 2) {
        go_on(&ends[0]);
        go_on(&ends[1]);
        wire_run(loop, RP_MSEC(1));
    }
    rp_transport_close(ends[0].r.transport);
    rp_transport_close(ends[1].r.transport);
    RUN_UNTIL(loop, ends[0].r.lost && ends[1].r.lost);
    for (int i = 0; i < 2; i++)
        CHECK(ends[i].r.error == 0 && ends[i].received == ends[1 - i].written);
    rp_loop_free(loop);
}

static void play_many(starter *start)
{
    const char *fixed = getenv("RP_TEST_SEED");

    if (fixed) {
        play(start, strtoull(fixed, NULL, 10));
        return;
    }
    for (int i = 0; i < (test_slow() || test_under_wine() ? FEW : MANY); i++)
        play(start, ((uint64_t)rp_monotonic() << 8 | (uint64_t)i) | 1);
}

TEST(over_memory)
{
    play_many(start_memory);
}

TEST(over_sockets)
{
    play_many(start_sockets);
}
