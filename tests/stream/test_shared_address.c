/*
 * test_shared_address.c - servers of a worker group: connections spread over threads, verified bytes, clean ends.
 *
 * How evenly they are spread depends on who does it. A balancer gives each of 4 workers 50 of 200 connections. The
 * kernel's hash (SO_REUSEPORT) makes their number binomial, of 200 by 1/4: fewer than 20 come once in 10 million times.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "harness/wire.h"

enum { WORKERS_MAX = 4, CONNECTIONS = 200 };

/* What the workers of one test share. */
typedef struct site {
    unsigned workers;
    atomic_int port;
    atomic_uint listening;
    atomic_uint served[WORKERS_MAX];
    atomic_bool stop;
    atomic_uint handlers; /* that are inside */
    pthread_t clients;
    bool one_by_one;
} site;

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    site *s = arg;
    pthread_t thread = pthread_self();
    int worker = rp_worker_index();
    char bytes[1000];
    ssize_t n = 0;

    atomic_fetch_add(&s->handlers, 1);
    atomic_fetch_add(&s->served[worker], 1);
    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0) {
        CHECK(pthread_equal(thread, pthread_self()));
        CHECK_INT(rp_worker_index(), ==, worker);
        n = rp_stream_write(co, stream, bytes, (size_t)n);
        if (n < 0)
            break;
    }
    atomic_fetch_sub(&s->handlers, 1);
    return (int)n;
}

/* A worker: serves until the site is to stop; the first one then ends the group. */
static int serve(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    RP_TRY(rp_start_server(co, &server, echo, s, "127.0.0.1", 0, NULL));
    int expected = 0;
    if (!atomic_compare_exchange_strong(&s->port, &expected, rp_server_port(server)))
        CHECK_INT(rp_server_port(server), ==, expected);
    atomic_fetch_add(&s->listening, 1);
    while (!atomic_load(&s->stop) || rp_worker_index() != 0)
        RP_TRY(rp_sleep(co, RP_MSEC(2)));
    return -EOWNERDEAD;
}

static void *clients(void *arg)
{
    site *s = arg;
    int fds[CONNECTIONS];

    while (atomic_load(&s->listening) < s->workers)
        usleep(1000);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        fds[i] = wire_connect(atomic_load(&s->port));
        if (s->one_by_one) {
            wire_exchange(fds[i], i);
            close(fds[i]);
        }
    }
    for (unsigned i = 0; i < CONNECTIONS && !s->one_by_one; i++)
        wire_exchange(fds[i], i);
    for (unsigned i = 0; i < CONNECTIONS && !s->one_by_one; i++)
        close(fds[i]);
    atomic_store(&s->stop, true);
    return NULL;
}

static void serve_with(unsigned workers, bool one_by_one)
{
    site s = {.workers = workers, .one_by_one = one_by_one};
    unsigned total = 0;

    CHECK_INT(pthread_create(&s.clients, NULL, clients, &s), ==, 0);
    CHECK_INT(rp_run_workers(workers, serve, &s), ==, -EOWNERDEAD);
    pthread_join(s.clients, NULL);
    for (unsigned i = 0; i < workers; i++) {
        total += atomic_load(&s.served[i]);
        if (workers == 4)
            CHECK_INT(atomic_load(&s.served[i]), >=, 20);
    }
    CHECK_INT(total, ==, CONNECTIONS);
    CHECK_INT(rp_worker_index(), ==, -1);
}

TEST(one_worker_serves_all)
{
    serve_with(1, false);
}

TEST(two_workers_share_the_address)
{
    serve_with(2, false);
}

TEST(four_workers_share_the_load)
{
    serve_with(4, false);
}

TEST(clients_that_come_one_by_one_are_spread_too)
{
    serve_with(4, true);
}

/* ---- a socket that listens already ---- */

#ifndef _WIN32
static int listener;

static int serve_duplicate(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    CHECK_INT(rp_start_server_fd(co, &server, echo, s, fcntl(listener, F_DUPFD_CLOEXEC, 0), NULL), ==, 0);
    CHECK_INT(rp_server_port(server), ==, atomic_load(&s->port));
    atomic_fetch_add(&s->listening, 1);
    while (!atomic_load(&s->stop) || rp_worker_index() != 0)
        RP_TRY(rp_sleep(co, RP_MSEC(2)));
    return -EOWNERDEAD;
}

TEST(workers_share_a_socket_that_listens_already_by_duplicates)
{
    site s = {.workers = 3};
    unsigned total = 0;
    int port;

    listener = wire_listen(&port);
    s.port = port;
    CHECK_INT(pthread_create(&s.clients, NULL, clients, &s), ==, 0);
    CHECK_INT(rp_run_workers(3, serve_duplicate, &s), ==, -EOWNERDEAD);
    pthread_join(s.clients, NULL);
    for (unsigned i = 0; i < 3; i++)
        total += atomic_load(&s.served[i]);
    CHECK_INT(total, ==, CONNECTIONS);
    close(listener);
}
#else
TEST_ABSENT(workers_share_a_socket_that_listens_already_by_duplicates, "a socket belongs to one port for good");
#endif

/* ---- ports ---- */

enum { SERVERS = 3, ATTEMPTS = 70 };

typedef struct ports {
    bool balance;
    atomic_int of[SERVERS];
    atomic_uint ready;
} ports;

static int start_by_name(rp_co *co, void *arg)
{
    ports *p = arg;
    rp_server_options options = {.balance = p->balance};
    rp_server *server;

    return rp_start_server(co, &server, echo, NULL, "localhost", 0, &options);
}

static int hold(void *gate)
{
    while (!atomic_load((atomic_bool *)gate))
        usleep(1000);
    return 0;
}

/* While its name is being looked up, behind a job that goes on until the test lets it. */
static void cancel_a_start(rp_co *co, ports *p)
{
    atomic_bool gate = false;
    rp_executor *executor;
    rp_future *job;
    rp_task *task;

    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_set_default_executor(rp_co_loop(co), executor), ==, 0);
    CHECK_INT(rp_run_in_executor(rp_co_loop(co), NULL, hold, &gate, &job), ==, 0);
    CHECK_INT(rp_create_task(&task, start_by_name, p), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK(rp_task_cancel(task));
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    atomic_store(&gate, true);
    CHECK_INT(rp_await(co, job), ==, 0);
    rp_future_unref(job);
}

/* In every way and place, and more often than there are numbers. */
static void fail_to_start(rp_co *co, ports *p)
{
    rp_server_options options = {.balance = p->balance};
    rp_server *server;

    for (int i = 0; i < ATTEMPTS; i++) {
        CHECK_INT(rp_start_server(co, &server, echo, NULL, "192.0.2.1", 0, &options), ==, -EADDRNOTAVAIL);
        CHECK_INT(rp_start_server(co, &server, NULL, NULL, "127.0.0.1", 0, &options), ==, -EINVAL);
    }
    cancel_a_start(co, p);
}

/* The workers fail at different times, and each has the same servers in the end. */
static int start_some(rp_co *co, void *arg)
{
    ports *p = arg;
    rp_server_options options = {.balance = p->balance};
    rp_server *servers[SERVERS];

    for (int i = 0; i < SERVERS; i++) {
        int expected = 0;

        if (i == rp_worker_index())
            fail_to_start(co, p);
        CHECK_INT(rp_start_server(co, &servers[i], echo, NULL, "127.0.0.1", 0, &options), ==, 0);
        if (!atomic_compare_exchange_strong(&p->of[i], &expected, rp_server_port(servers[i])))
            CHECK_INT(rp_server_port(servers[i]), ==, expected);
    }
    atomic_fetch_add(&p->ready, 1);
    while (atomic_load(&p->ready) < SERVERS)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    for (int i = 0; i < SERVERS; i++)
        rp_server_free(servers[i]);
    return 0;
}

TEST(a_start_that_fails_leaves_its_port_to_the_next_one)
{
    for (int balance = 0; balance < 2; balance++) {
        ports p = {.balance = balance};

        CHECK_INT(rp_run_workers(SERVERS, start_some, &p), ==, 0);
        for (int i = 0; i < SERVERS; i++)
            for (int j = 0; j < i; j++)
                CHECK_INT(p.of[i], !=, p.of[j]);
    }
}

/* ---- ends ---- */

static void *flood(void *arg)
{
    site *s = arg;
    char bytes[WIRE_MESSAGE];
    int fds[20];

    while (atomic_load(&s->listening) < s->workers)
        usleep(1000);
    for (int i = 0; i < 20; i++)
        fds[i] = wire_connect(atomic_load(&s->port));
    while (atomic_load(&s->handlers) < 20)
        usleep(1000);
    atomic_store(&s->stop, true);
    /* Until the servers' ends hang up, by a reset or in order. */
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 20; i++) {
        while (send(fds[i], bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
            if (recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT) == 0)
                break;
        close(fds[i]);
    }
    return NULL;
}

TEST(a_stop_under_load_ends_every_handler)
{
    site s = {.workers = 4};

    CHECK_INT(pthread_create(&s.clients, NULL, flood, &s), ==, 0);
    CHECK_INT(rp_run_workers(4, serve, &s), ==, -EOWNERDEAD);
    CHECK_INT(atomic_load(&s.handlers), ==, 0);
    pthread_join(s.clients, NULL);
}
