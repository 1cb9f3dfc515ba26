/*
 * test_wall_readers.c - slow readers, on either side: the peer is held back, memory does not grow, the others are
 * served, and when reading goes on every byte is there.
 */
#include "harness/wire.h"

enum {
    SLOW = 40, /* connections that are held back */
    QUICK = 10,
    EXCHANGES = 50,
    CHUNK = 16 * 1024,
};

/* ---- the others: an echo service that goes on ---- */

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char bytes[3000];
    ssize_t n;

    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0)
        RP_TRY(rp_stream_write(co, stream, bytes, (size_t)n));
    return (int)n;
}

typedef struct guest {
    uint64_t number;
    int port;
} guest;

static int exchange(rp_co *co, void *arg)
{
    const guest *g = arg;
    uint64_t seed = g->number << 32;
    char sent[1000], got[sizeof sent];
    rp_stream *stream;

    RP_TRY(rp_open_connection(co, &stream, "127.0.0.1", g->port, NULL));
    for (uint64_t i = 0; i < EXCHANGES; i++) {
        wire_fill(sent, sizeof sent, seed + i * sizeof sent);
        CHECK_INT(rp_stream_write(co, stream, sent, sizeof sent), ==, 0);
        CHECK_INT(rp_stream_read_exactly(co, stream, got, sizeof got), ==, sizeof got);
        CHECK(memcmp(sent, got, sizeof sent) == 0);
    }
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
    rp_stream_free(stream);
    return 0;
}

static void others_are_served(rp_co *co)
{
    rp_server *server;
    rp_group group;

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    rp_group_begin(co, &group);
    for (uint64_t i = 0; i < QUICK; i++) {
        guest g = {i, rp_server_port(server)};

        CHECK_INT(rp_group_create_task_copy(&group, NULL, exchange, &g, sizeof g), ==, 0);
    }
    CHECK_INT(rp_group_end(co, &group, 0), ==, 0);
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
}

/* Those that are held back cost no turns, as soon as the kernel has done what it could. */
static void the_loop_sleeps(rp_co *co)
{
    rp_loop_stats before, after;

    do {
        rp_loop_get_stats(rp_co_loop(co), &before);
        CHECK_INT(rp_sleep(co, RP_MSEC(50)), ==, 0);
        rp_loop_get_stats(rp_co_loop(co), &after);
    } while (after.turns - before.turns >= 10);
}

/* ---- the slow ones: plain sockets, which send and read as they are told ---- */

typedef struct peer {
    int fd;
    uint64_t sent, got;
} peer;

static peer peers[SLOW];

/* Small buffers in the kernel, so that they are full soon. */
static void shrink(int fd, int option)
{
    int size = 16 * 1024;

    CHECK_INT(setsockopt(fd, SOL_SOCKET, option, &size, sizeof size), ==, 0);
}

static void connect_peers(int port)
{
    for (int i = 0; i < SLOW; i++) {
        peers[i] = (peer){.fd = wire_connect(port)};
        shrink(peers[i].fd, SO_SNDBUF);
    }
}

static void close_peers(void)
{
    for (int i = 0; i < SLOW; i++)
        close(peers[i].fd);
}

/* Sends as much as the socket takes. */
static void send_more(peer *p)
{
    char bytes[CHUNK];
    ssize_t n;

    do {
        wire_fill(bytes, sizeof bytes, p->sent);
        n = send(p->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        CHECK(n > 0 || errno == EAGAIN);
        p->sent += n > 0 ? (uint64_t)n : 0;
    } while (n > 0);
}

/* Reads what has arrived, and checks it. */
static void read_more(peer *p)
{
    char bytes[CHUNK];
    ssize_t n;

    while ((n = wire_read(p->fd, bytes, sizeof bytes)) > 0) {
        CHECK(wire_same(bytes, (size_t)n, p->got));
        p->got += (uint64_t)n;
    }
    CHECK(n == -EAGAIN || n == 0);
}

/* Lets each send what goes, for so many turns. */
static void send_for(rp_co *co, int turns)
{
    for (int turn = 0; turn < turns; turn++) {
        for (int i = 0; i < SLOW; i++)
            send_more(&peers[i]);
        CHECK_INT(rp_sleep(co, RP_MSEC(2)), ==, 0);
    }
}

/* ---- handlers that do not read ---- */

typedef struct hall {
    rp_event open;
    rp_server *server;
    uint64_t waiting, total;
} hall;

static int wait_then_read(rp_co *co, rp_stream *stream, void *arg)
{
    hall *h = arg;
    char bytes[CHUNK];
    uint64_t got = 0;
    ssize_t n;

    h->waiting++;
    RP_TRY(rp_event_wait(co, &h->open));
    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0) {
        CHECK(wire_same(bytes, (size_t)n, got));
        got += (uint64_t)n;
    }
    h->total += got;
    return (int)n;
}

CO_TEST(handlers_that_do_not_read_hold_their_clients_back)
{
    hall h = {.waiting = 0};
    uint64_t sent = 0;

    rp_event_init(&h.open);
    CHECK_INT(rp_start_server(co, &h.server, wait_then_read, &h, "127.0.0.1", 0, NULL), ==, 0);
    connect_peers(rp_server_port(h.server));
    while (h.waiting < SLOW)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    uint64_t allocations = test_allocations();
    send_for(co, 20);
    CHECK_INT(test_allocations(), ==, allocations); /* it stays in the kernel */
    others_are_served(co);
    the_loop_sleeps(co);

    rp_event_set(&h.open);
    for (int i = 0; i < SLOW; i++) {
        sent += peers[i].sent;
        CHECK_INT(shutdown(peers[i].fd, SHUT_WR), ==, 0);
    }
    rp_server_close(h.server);
    CHECK_INT(rp_server_wait_closed(co, h.server), ==, 0);
    CHECK_INT(h.total, ==, sent);
    rp_server_free(h.server);
    close_peers();
}

/* ---- clients that do not read ---- */

enum { PLENTY = 1 << 20 };

typedef struct spring {
    rp_server *server;
    uint64_t written, done;
} spring;

static int pour(rp_co *co, rp_stream *stream, void *arg)
{
    spring *s = arg;
    rp_transport *transport = rp_stream_transport(stream);
    char bytes[CHUNK];
    size_t high, low;

    shrink((int)rp_transport_fd(transport), SO_SNDBUF);
    rp_transport_get_write_buffer_limits(transport, &high, &low);
    for (uint64_t at = 0; at < PLENTY; at += sizeof bytes) {
        wire_fill(bytes, sizeof bytes, at);
        RP_TRY(rp_stream_write(co, stream, bytes, sizeof bytes));
        CHECK_INT(rp_transport_get_write_buffer_size(transport), <=, high + sizeof bytes);
        s->written += sizeof bytes;
    }
    s->done++;
    return 0;
}

CO_TEST(clients_that_do_not_read_hold_their_handlers_back)
{
    spring s = {.written = 0};
    uint64_t written, got = 0;

    CHECK_INT(rp_start_server(co, &s.server, pour, &s, "127.0.0.1", 0, NULL), ==, 0);
    connect_peers(rp_server_port(s.server));
    for (int still = 0; still < 5; still++) {
        written = s.written;
        CHECK_INT(rp_sleep(co, RP_MSEC(2)), ==, 0);
        if (s.written > written || s.written == 0)
            still = 0;
    }
    CHECK_INT(s.done, ==, 0); /* all are held back */
    others_are_served(co);
    the_loop_sleeps(co);

    while (got < (uint64_t)SLOW * PLENTY) {
        got = 0;
        for (int i = 0; i < SLOW; i++) {
            read_more(&peers[i]);
            got += peers[i].got;
        }
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    }
    CHECK_INT(s.done, ==, SLOW);
    rp_server_close(s.server);
    CHECK_INT(rp_server_wait_closed(co, s.server), ==, 0);
    rp_server_free(s.server);
    close_peers();
}

/* ---- protocols that pass it on: who cannot write does not read ---- */

typedef struct relay {
    rp_transport *transport;
} relay;

static relay relays[SLOW];
static int relay_count, lost;

static void relay_made(void *self, rp_transport *transport)
{
    relay *r = self;

    r->transport = transport;
    shrink((int)rp_transport_fd(transport), SO_SNDBUF);
}

static void relay_received(void *self, const void *data, size_t length)
{
    relay *r = self;

    CHECK_INT(rp_transport_write(r->transport, data, length), ==, 0);
}

static void relay_paused(void *self)
{
    relay *r = self;

    rp_transport_pause_reading(r->transport);
}

static void relay_resumed(void *self)
{
    relay *r = self;

    rp_transport_resume_reading(r->transport);
}

static void relay_lost(void *self, int error)
{
    CHECK_INT(error, ==, 0);
    lost++;
}

static int make_relay(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol functions = {.connection_made = relay_made,
                                          .data_received = relay_received,
                                          .pause_writing = relay_paused,
                                          .resume_writing = relay_resumed,
                                          .connection_lost = relay_lost};

    CHECK_INT(relay_count, <, SLOW);
    *protocol = &functions;
    *self = &relays[relay_count++];
    return 0;
}

static bool all_rest(void)
{
    for (int i = 0; i < SLOW; i++)
        if (i >= relay_count || rp_transport_is_reading(relays[i].transport))
            return false;
    return true;
}

/* No more is buffered than the mark allows and one receive brings. */
static void check_held_back(void)
{
    size_t high, low;

    for (int i = 0; i < SLOW; i++) {
        const rp_transport *transport = relays[i].transport;

        rp_transport_get_write_buffer_limits(transport, &high, &low);
        CHECK_INT(rp_transport_get_write_buffer_size(transport), >, low);
        CHECK_INT(rp_transport_get_write_buffer_size(transport), <=, high + 128 * 1024);
    }
}

/* Whether each peer has got back all that it sent. */
static bool read_all(void)
{
    bool all = true;

    for (int i = 0; i < SLOW; i++) {
        read_more(&peers[i]);
        all = all && peers[i].got == peers[i].sent;
    }
    return all;
}

CO_TEST(protocols_that_pause_pass_it_on)
{
    rp_future *future;
    rp_server *server;

    CHECK_INT(rp_create_server(rp_co_loop(co), make_relay, NULL, "127.0.0.1", 0, NULL, &future), ==, 0);
    CHECK_INT(rp_await(co, future), ==, 0);
    server = rp_future_value(future);
    rp_future_unref(future);
    connect_peers(rp_server_port(server));
    for (int round = 0; round < 3; round++) { /* held back, read out, held back again */
        while (!all_rest())
            send_for(co, 1);
        check_held_back();
        others_are_served(co);
        the_loop_sleeps(co);
        while (!read_all())
            CHECK_INT(rp_sleep(co, 0), ==, 0);
    }
    close_peers();
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    CHECK_INT(lost, ==, SLOW);
    rp_server_free(server);
}
