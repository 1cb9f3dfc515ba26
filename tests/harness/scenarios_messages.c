/*
 * scenarios_messages.c - a program that faults strike: datagrams many at once, and a connection by calls on sockets.
 */
#include "harness/scenarios.h"
#include "harness/wire.h"

enum { DATAGRAMS = 5, BYTES = 1000 };

static int exchange(rp_co *co, rp_fd server, rp_fd client)
{
    static char bytes[2][DATAGRAMS][BYTES];
    rp_mmsg out[DATAGRAMS], in[DATAGRAMS];
    int n;

    for (int i = 0; i < DATAGRAMS; i++) {
        wire_fill(bytes[0][i], BYTES, (size_t)i);
        out[i] = (rp_mmsg){.buffer = bytes[0][i], .length = BYTES};
        in[i] = (rp_mmsg){.buffer = bytes[1][i], .size = BYTES};
    }
    RP_TRY(scenario_note(rp_sendmmsg(co, client, out, DATAGRAMS)));
    for (int got = 0; got < DATAGRAMS; got += n) {
        n = scenario_note(rp_recvmmsg(co, server, in + got, DATAGRAMS - got));
        if (n < 0)
            return n;
    }
    for (int i = 0; i < DATAGRAMS; i++)
        CHECK(in[i].length == BYTES && wire_same(in[i].buffer, BYTES, (size_t)i));
    return 0;
}

static int have_datagrams(rp_co *co)
{
    rp_datagram_options options = {.local_host = "127.0.0.1"};
    rp_fd server, client;
    int rc = scenario_note(rp_udp_open(co, &server, &options));

    if (rc < 0)
        return rc;
    options = (rp_datagram_options){.remote_host = "127.0.0.1", .remote_port = rp_udp_port(server)};
    rc = scenario_note(rp_udp_open(co, &client, &options));
    if (rc == 0) {
        rc = exchange(co, server, client);
        close((int)client);
    }
    close((int)server);
    return rc;
}

static int talk(rp_co *co, int from, int to)
{
    char bytes[2][BYTES];
    ssize_t n;

    wire_fill(bytes[0], BYTES, 0);
    RP_TRY(scenario_note(rp_sock_sendall(co, from, bytes[0], BYTES, NULL)));
    for (size_t got = 0; got < BYTES; got += (size_t)n) {
        n = scenario_note((int)rp_sock_recv(co, to, bytes[1] + got, BYTES - got));
        if (n < 0)
            return (int)n;
        CHECK_INT(n, >, 0);
    }
    CHECK(wire_same(bytes[1], BYTES, 0));
    return 0;
}

/* Connects the second socket to the first, which listens. */
static int connect_and_talk(rp_co *co, const int fds[2])
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    rp_fd accepted;
    int rc;

    if (bind(fds[0], (struct sockaddr *)&address, sizeof address) != 0)
        return scenario_note(-errno);
    CHECK_INT(listen(fds[0], 1), ==, 0);
    CHECK_INT(getsockname(fds[0], (struct sockaddr *)&address, &length), ==, 0);
    RP_TRY(scenario_note(rp_sock_connect(co, fds[1], (struct sockaddr *)&address, sizeof address)));
    accepted = rp_sock_accept(co, fds[0], NULL, NULL);
    RP_TRY(scenario_note(accepted < 0 ? (int)accepted : 0));
    rc = talk(co, fds[1], (int)accepted);
    close((int)accepted);
    return rc;
}

/* The sockets are the program's own, and faults strike these calls, too. */
static int have_connection(rp_co *co)
{
    int fds[2], rc;

    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[0] < 0)
        return scenario_note(-errno);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rc = fds[1] < 0 ? scenario_note(-errno) : connect_and_talk(co, fds);
    if (fds[1] >= 0)
        close(fds[1]);
    close(fds[0]);
    return rc;
}

static int have_both(rp_co *co, void *arg)
{
    (void)arg;
    RP_TRY(have_datagrams(co));
    return have_connection(co);
}

int scenario_datagrams_in_tasks(void)
{
    return scenario_run(have_both);
}
