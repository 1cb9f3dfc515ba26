/*
 * test_wall_connections.c - ten thousand connections at once, each of them served.
 *
 * The clients are a process of their own, which has descriptors of its own. A client that was answered knows that it
 * has a handler: when all have been, there are as many connections as clients.
 */
#include <stdio.h>

#include "harness/wire.h"

enum {
    CONNECTIONS = 10000,
    FEW = 1000, /* where code runs slowly */
    SPARE = 200 /* descriptors for all else */
};

static int connections(void)
{
    return test_slow() ? FEW : CONNECTIONS;
}

/* As many descriptors as there are connections, for this process and those that it forks. */
static void raise_limit(void)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(connections() + SPARE);

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    if (limit.rlim_max < wanted && limit.rlim_max != RLIM_INFINITY)
        SKIP("the limit of descriptors is %llu: too few", (unsigned long long)limit.rlim_max);
    limit.rlim_cur = wanted;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

/* ---- the clients ---- */

typedef struct message {
    char bytes[16];
} message;

static message message_of(int client, int round)
{
    message m = {""};

    snprintf(m.bytes, sizeof m.bytes, "%d %d", client, round);
    return m;
}

static void send_each(const int *fds, int round)
{
    for (int i = 0; i < connections(); i++) {
        message sent = message_of(i, round);

        CHECK_INT(send(fds[i], &sent, sizeof sent, MSG_NOSIGNAL), ==, sizeof sent);
    }
}

static void receive_each(const int *fds, int round)
{
    for (int i = 0; i < connections(); i++) {
        message expected = message_of(i, round), got;

        CHECK_INT(recv(fds[i], &got, sizeof got, MSG_WAITALL), ==, sizeof got);
        CHECK(memcmp(&expected, &got, sizeof got) == 0);
    }
}

/* All connect; all speak, and then all listen, thrice; then they leave, half of them with a reset. */
static void be_the_clients(int port)
{
    static int fds[CONNECTIONS];
    struct linger reset = {.l_onoff = 1};

    for (int i = 0; i < connections(); i++)
        fds[i] = wire_connect(port);
    for (int round = 0; round < 3; round++) {
        send_each(fds, round);
        receive_each(fds, round);
    }
    for (int i = 0; i < connections(); i++) {
        if (i % 2 == 0)
            CHECK_INT(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), ==, 0);
        close(fds[i]);
    }
}

static pid_t start_clients(int port)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        be_the_clients(port);
        _exit(0);
    }
    return pid;
}

/* ---- the server ---- */

static int here, most, ended_in_order, ended_by_reset;

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    message m;
    ssize_t n;

    if (++here > most)
        most = here;
    while ((n = rp_stream_read_exactly(co, stream, &m, sizeof m)) == sizeof m)
        RP_TRY(rp_stream_write(co, stream, &m, sizeof m));
    here--;
    ended_in_order += n == RP_EOF;
    ended_by_reset += n == -ECONNRESET;
    return n == RP_EOF ? 0 : (int)n;
}

static int serve_all(rp_co *co, void *arg)
{
    rp_server_options options = {.backlog = 1024};
    rp_loop_stats stats;
    rp_server *server;
    rp_op op;

    CHECK_INT(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, &options), ==, 0);
    pid_t clients = start_clients(rp_server_port(server));
    rp_op_wait_child(&op, clients, NULL, NULL);
    CHECK_INT(rp_op_await(co, &op), ==, 0);
    rp_server_close(server);
    CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
    CHECK_INT(most, ==, connections());
    CHECK_INT(here, ==, 0);
    CHECK_INT(ended_in_order + ended_by_reset, ==, connections());
    CHECK_INT(ended_by_reset, ==, connections() / 2);
    rp_loop_get_stats(rp_co_loop(co), &stats);
    CHECK_INT(stats.tasks, ==, 1);
    rp_server_free(server);
    return 0;
}

TEST(ten_thousand_connections)
{
    raise_limit();
    CHECK_INT(rp_run(serve_all, NULL), ==, 0);
}
