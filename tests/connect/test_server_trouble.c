/*
 * test_server_trouble.c - what a server lacks: descriptors, memory, a protocol; and a factory that forks.
 */
#include "harness/reports.h"
#include "harness/service.h"

/* ---- descriptors ---- */

#ifndef _WIN32
/* Few descriptors, and a way to use up all of them. */
typedef struct descriptors {
    int taken[100];
    int count;
} descriptors;

static void limit_descriptors(void)
{
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};

    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

static void take_all(descriptors *all)
{
    all->count = 0;
    while ((all->taken[all->count] = fcntl(2, F_DUPFD_CLOEXEC, 0)) >= 0)
        all->count++;
}

static void give_back(descriptors *all)
{
    while (all->count > 0)
        close(all->taken[--all->count]);
}

TEST(without_descriptors_accepting_rests_and_goes_on_later)
{
    limit_descriptors();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
    int reports = 0, fd = wire_connect(rp_server_port(server));
    rp_loop_stats before, after;
    descriptors all;
    int64_t start;

    rp_set_exception_handler(loop, count_report, &reports);
    take_all(&all);
    start = rp_monotonic();
    RUN_UNTIL(loop, reports > 0);
    rp_loop_get_stats(loop, &before);
    wire_run(loop, RP_MSEC(300));
    rp_loop_get_stats(loop, &after);
    CHECK_INT(reports, ==, 1);
    CHECK_INT(after.turns - before.turns, <, 10);
    CHECK_INT(s.made, ==, 0);
    give_back(&all);
    RUN_UNTIL(loop, s.made == 1);
    CHECK_INT(rp_monotonic() - start, >=, RP_SEC(1));
    CHECK_INT(reports, ==, 1);
    close(fd);
    RUN_UNTIL(loop, s.lost == 1);
    fd = wire_connect(rp_server_port(server));
    RUN_UNTIL(loop, s.made == 2);
    close(fd);
    RUN_UNTIL(loop, s.lost == 2);
    rp_server_free(server);
    wire_settle(loop);
    rp_loop_free(loop);
}

TEST(a_server_can_be_closed_while_accepting_rests)
{
    limit_descriptors();
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
    int reports = 0, fd = wire_connect(rp_server_port(server));
    descriptors all;

    rp_set_exception_handler(loop, count_report, &reports);
    take_all(&all);
    RUN_UNTIL(loop, reports == 1);
    give_back(&all);
    rp_server_free(server);
    wire_settle(loop);
    close(fd);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(without_descriptors_accepting_rests_and_goes_on_later,
            "Windows has no limit on descriptors to run into");

TEST_ABSENT(a_server_can_be_closed_while_accepting_rests, "Windows has no limit on descriptors to run into");
#endif

/* ---- a factory that fails ---- */

TEST(a_factory_that_fails_closes_the_connection_and_is_reported)
{
    rp_loop *loop = wire_loop();
    service s = {.refuse = -EPERM};
    rp_server *server = service_start(loop, &s, "127.0.0.1", 0, NULL);
    int reports = 0, fd = wire_connect(rp_server_port(server));
    char byte;

    rp_set_exception_handler(loop, count_report, &reports);
    RUN_UNTIL(loop, s.refused == 1);
    CHECK_INT(recv(fd, &byte, 1, 0), ==, 0);
    CHECK_INT(reports, ==, 1);
    CHECK_INT(rp_server_connections(server), ==, 0);
    close(fd);
    s.refuse = 0;
    test_fail_allocation(1);
    fd = wire_connect(rp_server_port(server));
    RUN_UNTIL(loop, reports == 2);
    CHECK_INT(recv(fd, &byte, 1, 0), ==, 0);
    close(fd);
    rp_server_free(server);
    wire_settle(loop);
    rp_loop_free(loop);
}

/* ---- memory ---- */

TEST(no_memory_for_a_server)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    rp_server *server = NULL;
    int rc = -ENOMEM;

    for (uint64_t n = 1; rc < 0; n++) {
        test_fail_allocation(n);
        rc = service_try(loop, &s, "127.0.0.1", 0, NULL, &server);
        CHECK(rc == 0 || rc == -ENOMEM);
    }
    test_fail_allocation(0);
    rp_server_free(server);
    rp_loop_free(loop);
}

/* ---- a factory forks: the connection that it was called for is the parent's ---- */

#ifndef _WIN32
static pid_t child;

static int fork_in_factory(void *arg, const rp_protocol **made_protocol, void **self)
{
    int status, rc = service_factory(arg, made_protocol, self);

    child = fork();
    if (child == 0)
        return rc;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
    return rc;
}

TEST(a_server_makes_no_connection_in_a_child_of_its_factory)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    int reports = 0, rc = 0, there;
    rp_future *future;
    rp_server *server;

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(rp_create_server(loop, fork_in_factory, &s, "127.0.0.1", 0, NULL, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    server = rp_future_value(future);
    rp_future_unref(future);
    there = wire_connect(rp_server_port(server));
    while (s.made == 0 && rc == 0) {
        CHECK_INT(rp_call_later(loop, NULL, RP_MSEC(1), wire_stop, loop), ==, 0);
        rc = rp_run_forever(loop);
    }
    if (child == 0)
        _exit(rc == RP_EFORK && s.made == 0 && reports == 0 ? 0 : 1);
    CHECK_INT(s.made, ==, 1);
    close(there);
    RUN_UNTIL(loop, s.lost == 1);
    CHECK_INT(reports, ==, 0);
    rp_server_free(server);
    rp_loop_free(loop);
}

TEST(a_client_makes_no_connection_in_a_child_of_its_factory)
{
    rp_loop *loop = wire_loop();
    service s = {0};
    int reports = 0, port, listener = wire_listen(&port), rc;
    rp_future *future;

    rp_set_exception_handler(loop, count_report, &reports);
    CHECK_INT(rp_create_connection(loop, fork_in_factory, &s, "127.0.0.1", port, NULL, &future), ==, 0);
    rc = rp_run_until_complete(loop, future);
    if (child == 0)
        _exit(rc == RP_EFORK && s.made == 0 && reports == 0 ? 0 : 1);
    CHECK_INT(rc, ==, 0);
    CHECK_INT(s.made, ==, 1);
    CHECK_INT(reports, ==, 0);
    rp_transport_abort(rp_future_value(future));
    RUN_UNTIL(loop, s.lost == 1);
    rp_future_unref(future);
    close(listener);
    rp_loop_free(loop);
}
#else
TEST_ABSENT(a_server_makes_no_connection_in_a_child_of_its_factory, "Windows has no fork()");
TEST_ABSENT(a_client_makes_no_connection_in_a_child_of_its_factory, "Windows has no fork()");
#endif
