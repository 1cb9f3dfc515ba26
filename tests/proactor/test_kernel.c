/*
 * test_kernel.c - whatever stands on a proactor asks its kernel, and no other: the loop for time, transports, servers
 * and streams for sockets.
 *
 * The kernel here is the test's own. Its clock stands still until it is moved, its calls fail when they are to, and it
 * counts the sockets that are opened and closed. For the rest it asks the system's.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "harness/wire.h"
#include "loop/loop.h"
#include "proactor/proactor.h"

enum { START = 1000 };

typedef struct own_kernel {
    rp_kernel base;
    int64_t now;    /* 0: the system's time */
    int open_error; /* what each fails with; 0: it does not */
    int bind_error;
    int listen_error;
    int send_error;
    int shutdown_error;
    size_t send_limit; /* of one send; 0: none */
    /* Several threads may ask. */
    atomic_int opened;
    atomic_int closed;
    atomic_int sends;
    atomic_int names;
    atomic_int options;
    atomic_int shared; /* sockets whose address others may have, too */
} own_kernel;

static own_kernel own;

static own_kernel *own_of(const rp_kernel *kernel)
{
    CHECK(kernel == &own.base);
    return &own;
}

static int64_t own_now(const rp_kernel *kernel)
{
    return own_of(kernel)->now != 0 ? own.now : rp_kernel_now(&rp_system_kernel);
}

static int own_socket(int family, int type, int protocol, rp_fd *fd, const rp_kernel *kernel)
{
    if (own_of(kernel)->open_error < 0)
        return own.open_error;
    own.opened++;
    return rp_kernel_open(&rp_system_kernel, family, type, protocol, fd);
}

static int own_bind(rp_fd fd, const struct sockaddr *address, uint32_t length, const rp_kernel *kernel)
{
    return own_of(kernel)->bind_error < 0 ? own.bind_error
                                          : rp_kernel_bind(&rp_system_kernel, fd, address, length);
}

static int own_listen(rp_fd fd, int backlog, const rp_kernel *kernel)
{
    return own_of(kernel)->listen_error < 0 ? own.listen_error : rp_kernel_listen(&rp_system_kernel, fd, backlog);
}

static int own_shutdown(rp_fd fd, int how, const rp_kernel *kernel)
{
    return own_of(kernel)->shutdown_error < 0 ? own.shutdown_error
                                              : rp_kernel_shutdown(&rp_system_kernel, fd, how);
}

static void own_close(rp_fd fd, const rp_kernel *kernel)
{
    own_of(kernel)->closed += fd != -1;
    rp_kernel_close(&rp_system_kernel, fd);
}

static int64_t own_send(rp_fd fd, const void *buffer, size_t length, const rp_kernel *kernel)
{
    if (own_of(kernel)->send_error < 0)
        return own.send_error;
    own.sends++;
    return rp_kernel_send(&rp_system_kernel, fd, buffer,
                          own.send_limit > 0 && own.send_limit < length ? own.send_limit : length);
}

static int64_t own_sendv(rp_fd fd, const struct iovec *vector, int count, const rp_kernel *kernel)
{
    (void)count;
    return own_send(fd, vector->iov_base, vector->iov_len, kernel);
}

static int own_name(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel)
{
    own_of(kernel)->names++;
    return rp_kernel_name(&rp_system_kernel, fd, address, length);
}

static int own_peer(rp_fd fd, struct sockaddr *address, uint32_t *length, const rp_kernel *kernel)
{
    own_of(kernel)->names++;
    return rp_kernel_peer(&rp_system_kernel, fd, address, length);
}

static int own_get(rp_fd fd, int level, int option, void *value, uint32_t *length, const rp_kernel *kernel)
{
    own_of(kernel)->options++;
    return rp_kernel_get(&rp_system_kernel, fd, level, option, value, length);
}

static int own_set(rp_fd fd, int level, int option, const void *value, uint32_t length, const rp_kernel *kernel)
{
    own_of(kernel)->options++;
#ifdef SO_REUSEPORT
    own.shared += level == SOL_SOCKET && option == SO_REUSEPORT;
#endif
    return rp_kernel_set(&rp_system_kernel, fd, level, option, value, length);
}

static void make_kernel(void)
{
    own = (own_kernel){.base = rp_system_kernel};
    own.base.now = own_now;
    own.base.socket = own_socket;
    own.base.bind = own_bind;
    own.base.listen = own_listen;
    own.base.shutdown = own_shutdown;
    own.base.close = own_close;
    own.base.send = own_send;
    own.base.sendv = own_sendv;
    own.base.name = own_name;
    own.base.peer = own_peer;
    own.base.get = own_get;
    own.base.set = own_set;
}

static int loop_on_own_kernel(rp_loop **loop)
{
    rp_loop_options options = {0};

    RP_TRY(rp_proactor_open(NULL, NULL, &options.proactor));
    options.proactor->kernel = &own.base;
    return rp_loop_new(&options, loop);
}

static rp_loop *make_loop(int64_t now)
{
    rp_loop *loop;

    make_kernel();
    own.now = now;
    CHECK_INT(loop_on_own_kernel(&loop), ==, 0);
    return loop;
}

/* ---- time ---- */

static void run_turns(rp_loop *loop, int turns)
{
    for (int i = 0; i < turns; i++) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static void note(void *arg)
{
    *(int64_t *)arg = rp_monotonic();
}

TEST(a_loop_lives_in_its_kernels_time)
{
    rp_loop *loop = make_loop(START);
    rp_timer timer = {0};
    int64_t seen = 0, soon = 0;

    CHECK_INT(rp_loop_time(loop), ==, START);
    CHECK_INT(rp_monotonic(), >, RP_MSEC(1)); /* no loop runs here: the system's */
    CHECK_INT(rp_call_later(loop, &timer, RP_SEC(3600), note, &seen), ==, 0);
    CHECK_INT(rp_timer_when(&timer), ==, START + RP_SEC(3600));
    CHECK_INT(rp_call_soon(loop, NULL, note, &soon), ==, 0);
    run_turns(loop, 100); /* the clock stands still */
    CHECK_INT(soon, ==, START);
    CHECK_INT(seen, ==, 0);
    own.now += RP_SEC(3600) - 1;
    run_turns(loop, 10);
    CHECK_INT(seen, ==, 0);
    own.now++;
    run_turns(loop, 10);
    CHECK_INT(seen, ==, START + RP_SEC(3600));
    rp_loop_free(loop);
}

static void stop(void *loop)
{
    rp_loop_stop(loop);
}

/* A deadline that has passed by this clock is no reason to sleep, whatever the system's says. */
TEST(a_wait_ends_by_the_kernels_time)
{
    rp_loop *loop = make_loop(INT64_C(1) << 62); /* far from the system's */
    rp_timer timer = {0};

    CHECK_INT(rp_call_later(loop, &timer, RP_NSEC(1), stop, loop), ==, 0);
    own.now++;
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK(!rp_timer_scheduled(&timer));
    rp_loop_free(loop);
}

/* ---- sockets ---- */

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char bytes[3000];
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0)
        RP_TRY(rp_stream_write(co, stream, bytes, (size_t)n));
    return (int)n;
}

/* Sends a message to an echo server and reads it back. */
static int converse(rp_co *co, void *arg)
{
    enum { LENGTH = 2000 };
    char sent[LENGTH], got[LENGTH];
    struct sockaddr_storage name;
    uint32_t length = sizeof name;
    rp_server *server;
    rp_stream *stream;

    (void)arg;
    RP_TRY(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL));
    RP_TRY(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), NULL));
    RP_TRY(rp_transport_peername(rp_stream_transport(stream), (struct sockaddr *)&name, &length));
    wire_fill(sent, sizeof sent, 0);
    RP_TRY(rp_stream_write(co, stream, sent, sizeof sent));
    RP_TRY(rp_stream_write_eof(stream));
    CHECK_INT(rp_stream_read_exactly(co, stream, got, sizeof got), ==, (ssize_t)sizeof got);
    CHECK(memcmp(sent, got, sizeof got) == 0);
    CHECK_INT(rp_stream_read(co, stream, got, 1), ==, 0);
    rp_stream_close(stream);
    rp_stream_wait_closed(co, stream);
    rp_stream_free(stream);
    rp_server_close(server);
    RP_TRY(rp_server_wait_closed(co, server));
    rp_server_free(server);
    return 0;
}

static int make_for_runner(rp_loop **loop, void *arg)
{
    (void)arg;
    return loop_on_own_kernel(loop);
}

static int run_on_own_kernel(rp_coro *coro)
{
    rp_runner_options options = {.loop_factory = make_for_runner};
    rp_runner *runner;
    int rc;

    CHECK_INT(rp_runner_new(&options, &runner), ==, 0);
    rc = rp_runner_run(runner, coro, NULL);
    rp_runner_free(runner);
    return rc;
}

/* What is accepted is opened by the proactor itself: on Windows it asks its kernel for that, too. */
#ifdef _WIN32
enum { ACCEPTED = 0 };
#else
enum { ACCEPTED = 1 };
#endif

TEST(streams_are_served_by_the_kernel)
{
    make_kernel();
    CHECK_INT(run_on_own_kernel(converse), ==, 0);
    CHECK_INT(own.opened, >=, 2); /* the listener and the client */
    CHECK_INT(own.closed, ==, own.opened + ACCEPTED);
    CHECK_INT(own.sends, >=, 2);
    CHECK_INT(own.names, >=, 2);
    CHECK_INT(own.options, >, 0);
}

TEST(what_a_send_leaves_is_sent_by_the_proactor)
{
    make_kernel();
    own.send_limit = 1;
    CHECK_INT(run_on_own_kernel(converse), ==, 0);
    CHECK_INT(own.closed, ==, own.opened + ACCEPTED);
}

/* The kernel's errors come out where the call was asked for, and nothing is left open. */
TEST(errors_of_the_kernel_are_told)
{
    static int *const errors[] = {&own.open_error, &own.bind_error, &own.listen_error, &own.send_error,
                                  &own.shutdown_error};

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        make_kernel();
        *errors[i] = -EPIPE; /* none of them would fail by it here */
        CHECK_INT(run_on_own_kernel(converse), ==, -EPIPE);
        CHECK_INT(own.closed, >=, own.opened);
        CHECK_INT(own.closed, <=, own.opened + ACCEPTED);
    }
}

/* ---- workers ---- */

static atomic_int ports[2], listening;

/* Has a server on the group's first port until the other worker has it, too. */
static int serve(rp_co *co, void *arg)
{
    rp_server *server;

    (void)arg;
    RP_TRY(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL));
    ports[rp_worker_index()] = rp_server_port(server);
    listening++;
    while (listening < 2)
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    rp_server_close(server);
    RP_TRY(rp_server_wait_closed(co, server));
    rp_server_free(server);
    return 0;
}

static int new_loop(rp_event_loop_policy *policy, rp_loop **loop)
{
    (void)policy;
    return loop_on_own_kernel(loop);
}

static int set_loop(rp_event_loop_policy *policy, rp_loop *loop)
{
    (void)policy;
    (void)loop;
    return 0;
}

static void run_workers(bool spreads)
{
    rp_event_loop_policy policy = {.new_event_loop = new_loop, .set_event_loop = set_loop};

    make_kernel();
    own.base.spreads = spreads;
    listening = 0;
    rp_set_event_loop_policy(&policy);
    CHECK_INT(rp_run_workers(2, serve, NULL), ==, 0);
    rp_set_event_loop_policy(NULL);
    CHECK_INT(ports[0], >, 0);
    CHECK_INT(ports[0], ==, ports[1]);
    CHECK_INT(own.closed, ==, own.opened);
}

TEST(a_groups_port_is_kept_by_the_workers_kernel)
{
    if (!rp_system_kernel.spreads)
        SKIP("this system's kernel does not spread connections");
    run_workers(true);
    CHECK_INT(own.opened, ==, 3); /* a socket for each worker, and one that keeps the port */
    CHECK_INT(own.shared, ==, 3);
}

TEST(a_kernel_that_does_not_spread_gets_a_balancer)
{
    run_workers(false);
    CHECK_INT(own.shared, ==, 0);
}
