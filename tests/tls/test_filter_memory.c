/* test_filter_memory.c - what a filter of TLS keeps of memory, however many there are and whatever a peer does. */
#include <stdio.h>
#include <stdlib.h>

#include "harness/record.h"
#include "harness/toy_engine.h"
#include "net/transport.h"

/* ---- counting ---- */

static rp_allocator under; /* the harness's, which finds leaks */
static size_t live;
static bool out_of_memory;
static int left; /* allocations that still succeed then */

static bool refused(void)
{
    return out_of_memory && left-- <= 0;
}

static void *count_malloc(size_t size, void *data)
{
    size_t *block = refused() ? NULL : under.malloc(size + 16, under.data);

    if (!block)
        return NULL;
    *block = size;
    live += size;
    return (char *)block + 16;
}

static void count_free(void *memory, void *data)
{
    size_t *block = (size_t *)(void *)((char *)memory - 16);

    live -= *block;
    under.free(block, under.data);
}

static void *count_realloc(void *memory, size_t size, void *data)
{
    size_t *block = memory ? (size_t *)(void *)((char *)memory - 16) : NULL, before = block ? *block : 0;

    block = refused() ? NULL : under.realloc(block, size + 16, under.data);
    if (!block)
        return NULL;
    *block = size;
    live += size - before;
    return (char *)block + 16;
}

static rp_loop *counted_loop(void)
{
    rp_get_allocator(&under);
    CHECK_INT(rp_set_allocator(&(rp_allocator){count_malloc, count_realloc, count_free, NULL}), ==, 0);
    return wire_loop();
}

static void end(rp_loop *loop)
{
    rp_loop_free(loop);
    CHECK_INT(live, ==, 0);
    CHECK_INT(rp_set_allocator(&under), ==, 0);
}

/* ---- servers in memory, whose peers write by hand ---- */

typedef struct server {
    rp_transport *below;
    rp_transport *peer;
    rp_transport *filter;
    int done, error;
    record r;
} server;

static toy_factory factory;
static const rp_protocol *protocol = &record_plain;

static void keep(void *self, rp_transport *transport)
{
    *(rp_transport **)self = transport;
}

static void on_done(void *arg, rp_transport *filter, int error)
{
    server *s = arg;

    s->done++;
    s->error = error;
    if (error == 0)
        rp_transport_start(filter, protocol, &s->r);
}

static void begin(rp_loop *loop, server *s)
{
    static const rp_protocol silent = {.connection_made = keep};
    rp_tls_filter_options options = {.server = true};

    if (!factory.base.make)
        toy_factory_init(&factory);
    start_memory(loop, &silent, (void *[]){&s->below, &s->peer});
    CHECK_INT(rp_tls_filter_new(s->below, &factory.base, &options, on_done, s, &s->filter), ==, 0);
}

static void say(server *s, int type, const void *data, size_t length, size_t missing)
{
    static char bytes[TOY_RECORD];

    CHECK_INT(rp_transport_write(s->peer, bytes, toy_record(bytes, type, data, length) - missing), ==, 0);
}

static void shake(rp_loop *loop, server *s)
{
    say(s, TOY_HELLO, "", 0, 0);
    say(s, TOY_FINISHED, "", 0, 0);
    RUN_UNTIL(loop, s->done);
    CHECK_INT(s->error, ==, 0);
}

static size_t size_of_engine(void)
{
    rp_tls_engine *engine;
    size_t before = live, size;

    CHECK_INT(factory.base.make(&factory.base, true, NULL, &engine), ==, 0);
    size = live - before;
    engine->type->free(engine);
    return size;
}

/* What the peer has written has all been taken. */
static void pass_on(rp_loop *loop, server *s)
{
    do
        wire_settle(loop);
    while (rp_transport_get_write_buffer_size(s->peer) > 0);
}

/* What the peer's own transport keeps, which is none of the filter's business. */
static size_t of_peer(const server *s)
{
    return s->peer->buffer.flight.capacity + s->peer->buffer.pending.capacity;
}

/* ---- the tests ---- */

enum {
    MANY = 1000,
    INBOX = 1000,     /* bytes that a transport in memory has room for */
    FILTER = 1024,    /* bytes of a filter itself, at most */
    BELOW = 2 * 2048, /* of what it stands on here, and of the other end of that */
};

static server servers[MANY];
static char plain[TOY_PLAIN];

/* Each has sent its first record but for a byte. */
TEST(a_thousand_unfinished_handshakes_keep_what_was_received_and_no_more)
{
    rp_loop *loop = counted_loop();
    int many = test_slow() ? MANY / 10 : MANY;
    size_t before = 0, peers = 0, engine;

    for (int i = 0; i < many; i++) {
        begin(loop, &servers[i]);
        say(&servers[i], TOY_HELLO, plain, sizeof plain, 1);
        pass_on(loop, &servers[i]);
        peers += of_peer(&servers[i]);
        if (i == 0)
            before = live - peers; /* with what all share */
    }
    engine = size_of_engine();
    printf("# %zu bytes each\n", (live - peers - before) / (size_t)(many - 1) - engine);
    CHECK_INT(live - peers - before, <=, (size_t)many * (engine + TOY_RECORD + FILTER + BELOW));
    for (int i = 0; i < many; i++) {
        CHECK_INT(servers[i].done, ==, 0);
        CHECK_INT(rp_transport_write(servers[i].peer, "\xff", 1), ==, 0);
        say(&servers[i], TOY_FINISHED, "", 0, 0);
    }
    for (int i = 0; i < many; i++)
        RUN_UNTIL(loop, servers[i].done && servers[i].error == 0);
    end(loop);
}

TEST(a_filter_that_has_nothing_to_do_keeps_itself_and_its_engine)
{
    rp_loop *loop = counted_loop();
    size_t before = 0, idle;

    for (int i = 0; i < 2; i++) {
        server *s = &servers[i];

        before = live;
        begin(loop, s);
        shake(loop, s);
        for (int round = 0; round < 10; round++)
            say(s, TOY_DATA, plain, sizeof plain, 0);
        CHECK_INT(rp_transport_write(s->filter, plain, sizeof plain), ==, 0);
        RUN_UNTIL(loop, s->r.length == 10 * sizeof plain);
        pass_on(loop, s);
        RUN_UNTIL(loop, rp_transport_get_write_buffer_size(s->below) == 0);
    }
    idle = live - before - of_peer(&servers[1]) - size_of_engine() - servers[1].below->buffer.flight.capacity -
           servers[1].below->buffer.pending.capacity;
    printf("# %zu bytes, with two transports below\n", idle);
    CHECK_INT(idle, <=, BELOW + FILTER);
    for (int i = 0; i < 2; i++)
        free(servers[i].r.data);
    end(loop);
}

static void pause_it(record *r)
{
    rp_transport_pause_reading(r->transport);
}

/* The peer has a megabyte more to say. */
TEST(a_reader_that_has_paused_keeps_no_more_than_a_record)
{
    rp_loop *loop = counted_loop();
    server *s = &servers[0];
    size_t before;

    protocol = &record_buffered;
    s->r = (record){.on_data = pause_it, .buffer_size = 100};
    begin(loop, s);
    shake(loop, s);
    rp_transport_set_write_buffer_limits(s->peer, 10000000, 0);
    for (int i = 0; i < 64; i++)
        say(s, TOY_DATA, plain, sizeof plain, 0);
    before = live;
    RUN_UNTIL(loop, s->r.length > 0);
    for (int i = 0; i < 10; i++)
        wire_settle(loop);
    CHECK_INT(s->r.length, ==, 100);
    CHECK_INT(live, <=, before + 2 * RP_TLS_RECORD);
    free(s->r.data);
    end(loop);
}

/* Makes a filter with one more allocation each time, until there are enough: how often it failed. */
static int make_with_little(rp_loop *loop, server *s)
{
    rp_tls_filter_options options = {.server = true, .received = "\1", .received_length = 1};
    record before = {0};
    int failures = 0, rc;

    start_memory(loop, &record_plain, (void *[]){&before, &s->r});
    for (;;) {
        size_t length = before.length;

        out_of_memory = true;
        left = failures;
        rc = rp_tls_filter_new(before.transport, &factory.base, &options, on_done, s, &s->filter);
        out_of_memory = false;
        if (rc == 0)
            break;
        CHECK_INT(rc, ==, -ENOMEM);
        failures++;
        CHECK_INT(rp_transport_write(s->r.transport, "plain", 5), ==, 0);
        RUN_UNTIL(loop, before.length == length + 5);
    }
    free(before.data);
    return failures;
}

/* Whatever finds none: what is below goes on as it was. */
TEST(a_filter_that_finds_no_memory_leaves_below_as_it_was)
{
    rp_loop *loop = counted_loop();

    toy_factory_init(&factory);
    CHECK_INT(make_with_little(loop, &servers[0]), ==, 3); /* itself, the loop's buffers, what was received */
    CHECK_INT(make_with_little(loop, &servers[1]), ==, 3); /* itself, what was received, its engine */
    end(loop);
}

/* A part of a record makes way for that of another connection, and finds no memory. */
TEST(a_connection_whose_input_cannot_be_kept_is_lost_by_that_and_no_other)
{
    rp_loop *loop = counted_loop();

    for (int i = 0; i < 2; i++) {
        begin(loop, &servers[i]);
        shake(loop, &servers[i]);
        say(&servers[i], TOY_DATA, plain, 100, 0);
        RUN_UNTIL(loop, servers[i].r.length == 100);
    }
    say(&servers[0], TOY_DATA, plain, 500, 100);
    pass_on(loop, &servers[0]);
    say(&servers[1], TOY_DATA, plain, 200, 0);
    out_of_memory = true;
    left = 0;
    for (int i = 0; i < 20; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
    out_of_memory = false;
    RUN_UNTIL(loop, servers[1].r.length == 300);
    CHECK_INT(rp_transport_write(servers[0].peer, plain, 100), ==, 0);
    RUN_UNTIL(loop, servers[0].r.lost);
    CHECK_INT(servers[0].r.error, ==, -ENOMEM);
    say(&servers[1], TOY_DATA, plain, 200, 0);
    RUN_UNTIL(loop, servers[1].r.length == 500);
    free(servers[0].r.data);
    free(servers[1].r.data);
    end(loop);
}

/* Below has room for nothing: records of a write, or of an answer, cannot be kept, and none may be missing. */
TEST(records_that_find_no_memory_below_end_the_connection)
{
    rp_loop *loop = counted_loop();

    for (int answer = 0; answer < 2; answer++) {
        server *s = &servers[answer];

        begin(loop, s);
        shake(loop, s);
        pass_on(loop, s);
        rp_transport_pause_reading(s->peer);
        CHECK_INT(rp_transport_write(s->filter, plain, INBOX - TOY_HEADER), ==, 0);
        CHECK_INT(rp_transport_get_write_buffer_size(s->below), ==, 0);
        if (answer)
            say(s, TOY_ASK, "", 0, 0);
        out_of_memory = true;
        left = 0;
        if (answer)
            wire_settle(loop);
        else
            CHECK_INT(rp_transport_write(s->filter, plain, 10), ==, -ENOMEM);
        out_of_memory = false;
        RUN_UNTIL(loop, s->r.lost);
        CHECK_INT(s->r.error, ==, -ENOMEM);
    }
    end(loop);
}

/* Records that the peer does not take are as few as its reading lets be; the rest stays plaintext, and is counted. */
TEST(what_a_peer_does_not_take_stays_above)
{
    static char much[4000000];
    rp_loop *loop = counted_loop();
    server *s = &servers[0];

    begin(loop, s);
    shake(loop, s);
    CHECK_INT(rp_transport_write(s->filter, much, sizeof much), ==, 0);
    wire_settle(loop);
    CHECK_INT(s->r.pauses, ==, 1);
    CHECK_INT(rp_transport_get_write_buffer_size(s->filter), >, sizeof much - 300 * 1024);
    CHECK_INT(rp_transport_get_write_buffer_size(s->below), <, 300 * 1024);
    CHECK_INT(rp_transport_get_write_buffer_size(s->below), >, 0);
    end(loop);
}
