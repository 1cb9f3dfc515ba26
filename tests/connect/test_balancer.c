/*
 * test_balancer.c - servers of several workers behind one listening socket: who gets what. On Windows every server of a
 * worker group is one of these, elsewhere those with the option.
 */
#include "harness/site.h"

static int serve(rp_co *co, void *arg)
{
    rp_server *server;

    RP_TRY(listen_on(co, arg, 0, &server));
    CHECK(rp_server_is_serving(server));
    return sleep_until_stopped(co, arg);
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
