/* site.h - for tests of balanced servers: a group of workers that echo, and a thread with their clients. */
#ifndef RP_TESTS_SITE_H
#define RP_TESTS_SITE_H

#include <pthread.h>
#include <stdatomic.h>

#include "harness/wire.h"

enum { WORKERS_MAX = 4, SERVERS_MAX = 2, CLIENTS = 40 };

static const rp_server_options balanced = {.balance = true};

/* What the workers of one test and its clients share. */
typedef struct site {
    unsigned workers;
    void (*clients)(struct site *s); /* in a thread of its own */
    atomic_int ports[SERVERS_MAX];
    atomic_uint listening;
    atomic_uint served[WORKERS_MAX];
    atomic_uint step; /* how far the test has come */
    atomic_bool stop;
} site;

static inline int echo(rp_co *co, rp_stream *stream, void *arg)
{
    site *s = arg;
    char bytes[1000];
    ssize_t n;

    atomic_fetch_add(&s->served[rp_worker_index()], 1);
    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0) {
        n = rp_stream_write(co, stream, bytes, (size_t)n);
        if (n < 0)
            break;
    }
    return (int)n;
}

static inline void wait_until(const atomic_uint *value, unsigned least)
{
    while (atomic_load(value) < least)
        usleep(1000);
}

static inline int sleep_until(rp_co *co, const atomic_uint *value, unsigned least)
{
    while (atomic_load(value) < least)
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 0;
}

static inline int sleep_until_stopped(rp_co *co, const site *s)
{
    while (!atomic_load(&s->stop))
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 0;
}

/* Starts a server of this test; its port is the same in all workers. */
static inline int listen_on(rp_co *co, site *s, unsigned nth, rp_server **server)
{
    RP_TRY(rp_start_server(co, server, echo, s, "127.0.0.1", 0, &balanced));
    int expected = 0, port = rp_server_port(*server);
    CHECK_INT(port, >, 0);
    CHECK_INT(rp_server_sockets(*server), ==, 1);
    if (!atomic_compare_exchange_strong(&s->ports[nth], &expected, port))
        CHECK_INT(port, ==, expected);
    atomic_fetch_add(&s->listening, 1);
    return 0;
}

static inline unsigned total(const site *s)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        sum += atomic_load(&s->served[i]);
    return sum;
}

static inline void *run_clients(void *arg)
{
    site *s = arg;

    s->clients(s);
    atomic_store(&s->stop, true);
    return NULL;
}

static inline void run(site *s, rp_coro *coro, int result)
{
    pthread_t clients;

    CHECK_INT(pthread_create(&clients, NULL, run_clients, s), ==, 0);
    CHECK_INT(rp_run_workers(s->workers, coro, s), ==, result);
    pthread_join(clients, NULL);
}

static inline void come_at_once(site *s)
{
    int fds[CLIENTS];

    wait_until(&s->listening, s->workers);
    for (unsigned i = 0; i < CLIENTS; i++)
        fds[i] = wire_connect(atomic_load(&s->ports[0]));
    for (unsigned i = 0; i < CLIENTS; i++)
        wire_exchange(fds[i], i);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

#endif
