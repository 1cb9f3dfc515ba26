/*
 * test_wall_descriptors.c - a process that has used up its descriptors: a listener rests and does not spin, connections
 * that are there are served, what needs a descriptor says so, and all goes on when some are free again.
 */
#include <stdio.h>

#include "harness/wire.h"

enum {
    LIMIT = 128,
    GUESTS = 10,  /* connections that are there before */
    WAITING = 20, /* that come when there are no descriptors */
};

/* Few descriptors, and all of them in use. */
static int taken[LIMIT], taken_count;

static void limit_descriptors(void)
{
    struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};

    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

static void take_all(void)
{
    int fd;

    while ((fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        taken[taken_count++] = fd;
    CHECK_INT(errno, ==, EMFILE);
}

static void give_back(int count)
{
    while (count-- > 0)
        close(taken[--taken_count]);
}

static int reports, last_error;

static void count_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    reports++;
    last_error = context->error;
}

/* ---- accepting ---- */

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char bytes[100];
    ssize_t n;

    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0)
        RP_TRY(rp_stream_write(co, stream, bytes, (size_t)n));
    return (int)n;
}

static void say(int fd)
{
    CHECK_INT(send(fd, "hello", 5, MSG_NOSIGNAL), ==, 5);
}

/* Whether the echo of it has come. */
static bool hears(int fd)
{
    char bytes[5];
    ssize_t n = wire_read(fd, bytes, sizeof bytes);

    CHECK(n == -EAGAIN || (n == 5 && memcmp(bytes, "hello", 5) == 0));
    return n == 5;
}

static void converse(rp_co *co, int fd)
{
    say(fd);
    while (!hears(fd))
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
}

static int all_hear(const int *fds, bool *heard)
{
    int count = 0;

    for (int i = 0; i < WAITING; i++) {
        heard[i] = heard[i] || hears(fds[i]);
        count += heard[i];
    }
    return count;
}

static int exhausted_service(rp_co *co, void *arg)
{
    int guests[GUESTS], waiting[WAITING];
    bool heard[WAITING] = {false};
    rp_loop *loop = rp_co_loop(co);
    struct sockaddr_in address;
    rp_loop_stats before, after;
    rp_server *server;

    rp_set_exception_handler(loop, count_report, NULL);
    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    address = loopback(rp_server_port(server));
    for (int i = 0; i < GUESTS; i++)
        converse(co, guests[i] = wire_connect(rp_server_port(server)));
    for (int i = 0; i < WAITING; i++)
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    take_all();
    for (int i = 0; i < WAITING; i++) {
        CHECK_INT(connect(waiting[i], (struct sockaddr *)&address, sizeof address), ==, 0);
        say(waiting[i]);
    }
    while (reports == 0)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    CHECK_INT(last_error, ==, -EMFILE);

    /* It rests: the loop sleeps, and those who are there are served. */
    rp_loop_get_stats(loop, &before);
    CHECK_INT(rp_sleep(co, RP_MSEC(300)), ==, 0);
    rp_loop_get_stats(loop, &after);
    CHECK_INT(after.turns - before.turns, <, 10);
    for (int i = 0; i < GUESTS; i++)
        converse(co, guests[i]);
    CHECK_INT(rp_server_connections(server), ==, GUESTS);

    /* A few are free: as many come in, and it rests again. */
    reports = 0;
    give_back(5);
    while (all_hear(waiting, heard) < 5 || reports == 0)
        CHECK_INT(rp_sleep(co, RP_MSEC(10)), ==, 0);
    CHECK_INT(rp_server_connections(server), ==, GUESTS + 5);
    give_back(taken_count);
    while (all_hear(waiting, heard) < WAITING)
        CHECK_INT(rp_sleep(co, RP_MSEC(10)), ==, 0);

    for (int i = 0; i < GUESTS; i++)
        close(guests[i]);
    for (int i = 0; i < WAITING; i++)
        close(waiting[i]);
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    rp_server_free(server);
    return 0;
}

TEST(a_listener_rests_and_lets_in_as_many_as_there_is_room_for)
{
    limit_descriptors();
    CHECK_INT(rp_run(exhausted_service, NULL), ==, 0);
}

/* ---- giving up ---- */

static rp_server *unwanted;

static void free_server(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    reports++;
    rp_server_free(unwanted);
    unwanted = NULL;
}

static int give_up(rp_co *co, void *arg)
{
    rp_loop *loop = rp_co_loop(co);

    rp_set_exception_handler(loop, free_server, NULL);
    CHECK_INT(rp_start_server(co, &unwanted, echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    int fd = wire_connect(rp_server_port(unwanted));
    take_all();
    while (reports == 0)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    give_back(taken_count);
    CHECK_INT(rp_sleep(co, RP_MSEC(20)), ==, 0);
    CHECK_INT(reports, ==, 1);
    close(fd);
    return 0;
}

/* The report of it may be what ends the server. */
TEST(a_server_is_freed_when_it_is_told_of)
{
    limit_descriptors();
    CHECK_INT(rp_run(give_up, NULL), ==, 0);
}

/* ---- others that need one ---- */

static void refused(rp_co *co, int port)
{
    rp_loop *other;
    rp_stream *stream;
    rp_server *server;
    rp_op op;

    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", port, NULL), ==, -EMFILE);
    CHECK_INT(rp_open_connection(co, &stream, "localhost", port, NULL), <, 0);
    CHECK_INT(rp_open_unix_connection(co, &stream, "/nowhere"), ==, -EMFILE);
    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL), ==, -EMFILE);
    CHECK_INT(rp_start_unix_server(co, &server, echo, NULL, "/nowhere/to/be", NULL), ==, -EMFILE);
    CHECK_INT(rp_loop_new(NULL, &other), ==, -EMFILE);
    rp_op_openat(&op, AT_FDCWD, "/dev/null", O_RDONLY, 0, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, -EMFILE);
}

static int job(void *arg)
{
    return 42;
}

static int run_out(rp_co *co, void *arg)
{
    int here, there;
    char bytes[4];
    rp_stream *stream, *another;

    wire_pair(&here, &there);
    CHECK_INT(rp_stream_from_fd(co, &stream, here), ==, 0);
    int port, listener = wire_listen(&port);
    int64_t pid = test_start_child(7);
    rp_op op;
    for (int round = 0; round < 3; round++) {
        take_all();
        refused(co, port);
        rp_op_wait_child(&op, (pid_t)pid, NULL, NULL);
        CHECK_INT(rp_op_await(co, &op), ==, -EMFILE);
        /* What has its descriptor already goes on. */
        CHECK_INT(rp_to_thread(co, job, NULL), ==, 42);
        CHECK_INT(rp_stream_write(co, stream, "ping", 4), ==, 0);
        CHECK_INT(recv(there, bytes, 4, 0), ==, 4);
        CHECK_INT(send(there, "pong", 4, 0), ==, 4);
        CHECK_INT(rp_stream_read_exactly(co, stream, bytes, 4), ==, 4);
        give_back(taken_count);
        CHECK_INT(rp_open_connection(co, &another, "127.0.0.1", port, NULL), ==, 0);
        rp_stream_close(another);
        CHECK_INT(rp_stream_wait_closed(co, another), ==, 0);
        rp_stream_free(another);
    }
    rp_op_wait_child(&op, (pid_t)pid, NULL, NULL);
    CHECK_INT(WEXITSTATUS(rp_op_await(co, &op)), ==, 7);
    close(listener);
    close(there);
    rp_stream_free(stream);
    return 0;
}

TEST(whatever_needs_a_descriptor_says_so)
{
    limit_descriptors();
    CHECK_INT(rp_run(run_out, NULL), ==, 0);
}
