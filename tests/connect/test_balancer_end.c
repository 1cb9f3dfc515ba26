/*
 * test_balancer_end.c - balanced servers begin, end and fail one by one: what was on its way to one of them is lost
 * only when there is no other.
 */
#include "harness/site.h"

/* What comes of a connection that nobody serves: its end, in order or by a reset. */
static void expect_end(int fd)
{
    char byte;

    CHECK_INT(recv(fd, &byte, 1, 0), <=, 0);
    close(fd);
}

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
        CHECK(wire_is_refused(atomic_load(&s->ports[0]))); /* it was the last one */
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
