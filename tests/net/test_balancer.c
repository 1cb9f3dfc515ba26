/*
 * test_balancer.c - servers of several workers behind one listening socket: who gets what, and that nothing is lost
 * when one of them leaves. On Windows every server of a worker group is one of these, elsewhere those with the option.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

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

static int echo(rp_co *co, rp_stream *stream, void *arg)
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

static void wait_until(const atomic_uint *value, unsigned least)
{
    while (atomic_load(value) < least)
        usleep(1000);
}

static int sleep_until(rp_co *co, const atomic_uint *value, unsigned least)
{
    while (atomic_load(value) < least)
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 0;
}

static int sleep_until_stopped(rp_co *co, const site *s)
{
    while (!atomic_load(&s->stop))
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 0;
}

/* Starts a server of this test; its port is the same in all workers. */
static int listen_on(rp_co *co, site *s, unsigned nth, rp_server **server)
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

/* What comes of a connection that nobody serves: its end, in order or by a reset. */
static void expect_end(int fd)
{
    char byte;

    CHECK_INT(recv(fd, &byte, 1, 0), <=, 0);
    close(fd);
}

static bool is_refused(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (struct sockaddr *)&address, sizeof address);

    close(fd);
    return rc < 0;
}

static unsigned total(const site *s)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        sum += atomic_load(&s->served[i]);
    return sum;
}

static void *run_clients(void *arg)
{
    site *s = arg;

    s->clients(s);
    atomic_store(&s->stop, true);
    return NULL;
}

static void run(site *s, rp_coro *coro, int result)
{
    pthread_t clients;

    CHECK_INT(pthread_create(&clients, NULL, run_clients, s), ==, 0);
    CHECK_INT(rp_run_workers(s->workers, coro, s), ==, result);
    pthread_join(clients, NULL);
}

/* ---- who gets what ---- */

static int serve(rp_co *co, void *arg)
{
    rp_server *server;

    RP_TRY(listen_on(co, arg, 0, &server));
    CHECK(rp_server_is_serving(server));
    return sleep_until_stopped(co, arg);
}

static void come_at_once(site *s)
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

TEST(connections_that_stay_are_spread_evenly)
{
    for (unsigned workers = 1; workers <= WORKERS_MAX; workers *= 2) {
        site s = {.workers = workers, .clients = come_at_once};

        run(&s, serve, 0);
        for (unsigned i = 0; i < workers; i++)
            CHECK_INT(atomic_load(&s.served[i]), ==, CLIENTS / workers);
    }
}

static void come_one_by_one(site *s)
{
    wait_until(&s->listening, s->workers);
    for (unsigned i = 0; i < CLIENTS; i++) {
        int fd = wire_connect(atomic_load(&s->ports[0]));
        char byte;

        wire_exchange(fd, i);
        CHECK_INT(shutdown(fd, SHUT_WR), ==, 0);
        /* Its worker is done with it then; or it would be passed over next. */
        CHECK_INT(recv(fd, &byte, 1, 0), ==, 0);
        close(fd);
    }
}

TEST(connections_that_come_one_by_one_are_spread)
{
    site s = {.workers = WORKERS_MAX, .clients = come_one_by_one};

    run(&s, serve, 0);
    CHECK_INT(total(&s), ==, CLIENTS);
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        CHECK_INT(atomic_load(&s.served[i]), >=, CLIENTS / WORKERS_MAX / 2);
}

/* The first worker has eight connections that stay: what comes then goes to the others until they have as many. */
static void come_to_the_least_loaded(site *s)
{
    int fds[16];

    wait_until(&s->listening, 1);
    for (unsigned i = 0; i < 8; i++) {
        fds[i] = wire_connect(atomic_load(&s->ports[0]));
        wire_exchange(fds[i], i);
    }
    atomic_store(&s->step, 1);
    wait_until(&s->listening, 2);
    for (unsigned i = 8; i < 16; i++) {
        fds[i] = wire_connect(atomic_load(&s->ports[0]));
        wire_exchange(fds[i], i);
    }
    for (unsigned i = 0; i < 16; i++)
        close(fds[i]);
}

static int serve_one_after_the_other(rp_co *co, void *arg)
{
    site *s = arg;

    if (rp_worker_index() == 1)
        RP_TRY(sleep_until(co, &s->step, 1));
    return serve(co, s);
}

TEST(the_least_loaded_is_next)
{
    site s = {.workers = 2, .clients = come_to_the_least_loaded};

    run(&s, serve_one_after_the_other, 0);
    CHECK_INT(atomic_load(&s.served[0]), ==, 8);
    CHECK_INT(atomic_load(&s.served[1]), ==, 8);
}

static int serve_two_ports(rp_co *co, void *arg)
{
    rp_server *first, *second;

    RP_TRY(listen_on(co, arg, 0, &first));
    RP_TRY(listen_on(co, arg, 1, &second));
    CHECK_INT(rp_server_port(first), !=, rp_server_port(second));
    return sleep_until_stopped(co, arg);
}

static void come_to_two_ports(site *s)
{
    wait_until(&s->listening, 2 * s->workers);
    for (unsigned i = 0; i < CLIENTS; i++) {
        int fd = wire_connect(atomic_load(&s->ports[i % 2]));

        wire_exchange(fd, i);
        close(fd);
    }
}

TEST(a_worker_has_several_servers)
{
    site s = {.workers = 3, .clients = come_to_two_ports};

    run(&s, serve_two_ports, 0);
    CHECK_INT(total(&s), ==, CLIENTS);
}

/* The second server joins the first: a connection that stays makes the next one go to the other. */
static int serve_one_address_twice(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *first, *second;

    RP_TRY(rp_start_server(co, &first, echo, s, "127.0.0.1", 0, &balanced));
    RP_TRY(rp_start_server(co, &second, echo, s, "127.0.0.1", rp_server_port(first), &balanced));
    CHECK_INT(rp_server_port(second), ==, rp_server_port(first));
    atomic_store(&s->ports[0], rp_server_port(first));
    atomic_store(&s->listening, 1);
    RP_TRY(sleep_until(co, &s->served[0], 2));
    CHECK_INT(rp_server_connections(first), ==, 1);
    CHECK_INT(rp_server_connections(second), ==, 1);
    atomic_store(&s->step, 1);
    return sleep_until_stopped(co, s);
}

static void come_twice(site *s)
{
    int fds[2];

    wait_until(&s->listening, 1);
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = wire_connect(atomic_load(&s->ports[0]));
        wire_exchange(fds[i], i);
    }
    wait_until(&s->step, 1);
    close(fds[0]);
    close(fds[1]);
}

TEST(an_address_can_be_started_twice)
{
    site s = {.workers = 1, .clients = come_twice};

    run(&s, serve_one_address_twice, 0);
}

/* Every address of a name that has several is shared by itself. */
static int serve_all_interfaces(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    RP_TRY(rp_start_server(co, &server, echo, s, NULL, 0, &balanced));
    atomic_store(&s->ports[0], rp_server_port(server));
    for (size_t i = 0; i < rp_server_sockets(server); i++) {
        struct sockaddr_storage name;
        uint32_t length = sizeof name;

        CHECK_INT(rp_server_sockname(server, i, (struct sockaddr *)&name, &length), ==, 0);
        CHECK_INT(ntohs(((struct sockaddr_in *)&name)->sin_port), ==, rp_server_port(server));
    }
    atomic_fetch_add(&s->listening, 1);
    return sleep_until_stopped(co, s);
}

TEST(all_interfaces)
{
    site s = {.workers = 2, .clients = come_at_once};

    run(&s, serve_all_interfaces, 0);
    CHECK_INT(atomic_load(&s.served[0]), ==, CLIENTS / 2);
}

/* ---- beginning and ending ---- */

/* The first worker's server is closed: the second one serves all that come then. */
static int serve_until_closed(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    RP_TRY(listen_on(co, s, 0, &server));
    if (rp_worker_index() == 0) {
        RP_TRY(sleep_until(co, &s->step, 1));
        rp_server_close(server);
        CHECK_INT(rp_server_sockets(server), ==, 0);
        CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
        atomic_store(&s->step, 2);
    }
    return sleep_until_stopped(co, s);
}

static void come_before_and_after(site *s)
{
    come_at_once(s);
    atomic_store(&s->step, 1);
    wait_until(&s->step, 2);
    come_at_once(s);
}

TEST(the_others_go_on_without_a_server_that_is_closed)
{
    site s = {.workers = 2, .clients = come_before_and_after};

    run(&s, serve_until_closed, 0);
    CHECK_INT(atomic_load(&s.served[0]), ==, CLIENTS / 2);
    CHECK_INT(atomic_load(&s.served[1]), ==, CLIENTS / 2 + CLIENTS);
}

/*
 * The first worker is stuck while half of the connections are on their way to it, of which it takes none: when it
 * closes its server, the second one serves them.
 */
static int be_stuck(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    RP_TRY(listen_on(co, s, 0, &server));
    if (rp_worker_index() == 1)
        return sleep_until_stopped(co, s);
    wait_until(&s->served[1], CLIENTS / 2);
    rp_server_close(server);
    return sleep_until_stopped(co, s);
}

TEST(what_is_on_its_way_to_a_closed_server_goes_to_another)
{
    site s = {.workers = 2, .clients = come_at_once};

    run(&s, be_stuck, 0);
    CHECK_INT(atomic_load(&s.served[0]), ==, 0);
    CHECK_INT(atomic_load(&s.served[1]), ==, CLIENTS);
}

/* Both servers are closed before their workers take anything. */
static int close_all(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    RP_TRY(listen_on(co, s, 0, &server));
    wait_until(&s->step, 1);
    rp_server_close(server);
    if (atomic_fetch_add(&s->step, 1) == 2)
        CHECK(is_refused(atomic_load(&s->ports[0]))); /* it was the last one */
    return sleep_until_stopped(co, s);
}

static void come_and_find_nobody(site *s)
{
    int fds[CLIENTS];

    wait_until(&s->listening, s->workers);
    for (unsigned i = 0; i < CLIENTS; i++)
        fds[i] = wire_connect(atomic_load(&s->ports[0]));
    atomic_store(&s->step, 1);
    for (unsigned i = 0; i < CLIENTS; i++)
        expect_end(fds[i]);
}

TEST(connections_that_nobody_takes_are_closed)
{
    site s = {.workers = 2, .clients = come_and_find_nobody};

    run(&s, close_all, 0);
    CHECK_INT(total(&s), ==, 0);
}

/* An error of one, while connections are on their way to all. */
static int fail_with_arrivals(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    RP_TRY(listen_on(co, s, 0, &server));
    wait_until(&s->step, 1);
    return rp_worker_index() == 0 ? -EXDEV : rp_sleep(co, RP_SEC(1000));
}

TEST(the_group_ends_with_connections_on_their_way)
{
    site s = {.workers = WORKERS_MAX, .clients = come_and_find_nobody};

    run(&s, fail_with_arrivals, -EXDEV);
}

/* Again and again at the same address, each time as soon as the last one is gone. */
static int start_again(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    for (int i = 0; i < 20; i++) {
        RP_TRY(rp_start_server(co, &server, echo, s, "127.0.0.1", atomic_load(&s->ports[0]), &balanced));
        rp_server_close(server);
        rp_server_free(server);
        RP_TRY(rp_sleep(co, 0));
    }
    return 0;
}

TEST(an_address_is_free_again_at_once)
{
    site s = {.workers = WORKERS_MAX};
    int port;

    close(wire_listen(&port));
    atomic_store(&s.ports[0], port);
    CHECK_INT(rp_run_workers(s.workers, start_again, &s), ==, 0);
}

static int start_late(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;
    rp_server_options options = balanced;

    options.delay_start = rp_worker_index() == 0;
    RP_TRY(rp_start_server(co, &server, echo, s, "127.0.0.1", 0, &options));
    CHECK_INT(rp_server_is_serving(server), ==, rp_worker_index() != 0);
    atomic_store(&s->ports[0], rp_server_port(server));
    atomic_fetch_add(&s->listening, 1);
    RP_TRY(sleep_until(co, &s->step, 1));
    CHECK_INT(rp_server_start_serving(server), ==, 0);
    CHECK_INT(rp_server_start_serving(server), ==, 0);
    atomic_fetch_add(&s->step, 1);
    return sleep_until_stopped(co, s);
}

static void come_early_and_late(site *s)
{
    come_at_once(s);
    CHECK_INT(atomic_load(&s->served[0]), ==, 0);
    atomic_store(&s->step, 1);
    wait_until(&s->step, 3);
    come_at_once(s);
}

TEST(a_server_may_start_to_serve_later)
{
    site s = {.workers = 2, .clients = come_early_and_late};

    run(&s, start_late, 0);
    CHECK_INT(atomic_load(&s.served[0]), >=, CLIENTS / 2);
    CHECK_INT(total(&s), ==, 2 * CLIENTS);
}

/* ---- failures ---- */

static int start_at_a_taken_address(rp_co *co, void *arg)
{
    site *s = arg;
    rp_server *server;

    CHECK_INT(rp_start_server(co, &server, echo, s, "127.0.0.1", atomic_load(&s->ports[0]), &balanced), ==,
              -EADDRINUSE);
    CHECK_INT(rp_start_server(co, &server, echo, s, "192.0.2.1", 0, &balanced), ==, -EADDRNOTAVAIL);
    atomic_fetch_add(&s->step, 1);
    return 0;
}

TEST(every_worker_is_told_what_its_address_has_failed_with)
{
    site s = {.workers = WORKERS_MAX};
    int port, fd = wire_listen(&port);

    atomic_store(&s.ports[0], port);
    CHECK_INT(rp_run_workers(s.workers, start_at_a_taken_address, &s), ==, 0);
    CHECK_INT(s.step, ==, WORKERS_MAX);
    close(fd);
}

static int start_and_end(rp_co *co, void *arg)
{
    rp_server *server;

    return rp_start_server(co, &server, echo, arg, "127.0.0.1", 0, &balanced);
}

TEST(allocations_fail_on_the_way_to_a_server)
{
    site s = {.workers = 2};
    uint64_t n = 0;

    do {
        test_fail_allocation(++n);
        int rc = rp_run_workers(s.workers, start_and_end, &s);
        CHECK(rc == 0 || (rc == -ENOMEM && test_allocation_failed()));
    } while (test_allocation_failed());
    CHECK_INT(n, >, 10);
    test_fail_allocation(0);
}

static void ignore(rp_loop *loop, const rp_exception_context *context, void *arg)
{
}

/* A client's byte comes back, or the connection ends. */
static int try_to_be_served(rp_co *co, rp_server *server)
{
    char byte = 'x';
    int n, fd = wire_connect(rp_server_port(server));

    CHECK_INT(send(fd, &byte, 1, MSG_NOSIGNAL), ==, 1);
    while ((n = (int)recv(fd, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    close(fd);
    return n;
}

static int serve_without_memory(rp_co *co, void *arg)
{
    rp_server *server;
    unsigned served = 0;

    rp_set_exception_handler(rp_co_loop(co), ignore, NULL);
    RP_TRY(rp_start_server(co, &server, echo, arg, "127.0.0.1", 0, &balanced));
    for (unsigned n = 1; n <= 8; n++) {
        test_fail_allocation(n);
        served += try_to_be_served(co, server) == 1;
        test_fail_allocation(0);
    }
    CHECK_INT(served, <, 8);
    return try_to_be_served(co, server); /* none of it has done harm */
}

TEST(allocations_fail_on_the_way_of_a_connection)
{
    site s = {.workers = 1};

    CHECK_INT(rp_run_workers(1, serve_without_memory, &s), ==, 0);
    CHECK_INT(total(&s), >, 0);
}
