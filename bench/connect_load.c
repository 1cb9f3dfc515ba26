/*
 * connect_load.c - a load of short connections for an echo server on 127.0.0.1: connect, one request, its echo,
 * end-of-file both ways, close; so many at a time, each followed by the next.
 *
 * Each connection comes from another of 127.x.x.x than the one before: the ports of a single address would run out,
 * since who closes first keeps its port for a minute. It listens to standard input as echo_load -i does.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { MAX_CONNECTIONS = 1024, SIZE = 64 };

typedef struct connection {
    int fd; /* -1: none */
    int64_t begun_at;
    size_t received;
} connection;

static connection connections[MAX_CONNECTIONS];
static bench_histogram latencies;
static char request[SIZE];
static uint64_t done, opened;
static int busy, epoll, port;
static bool ending;

static struct sockaddr_in address_of(uint32_t host, int number)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};

    address.sin_addr.s_addr = htonl(host);
    return address;
}

static void start(connection *c)
{
    struct sockaddr_in from = address_of(INADDR_LOOPBACK + (uint32_t)(opened++ % 50000), 0);
    struct sockaddr_in to = address_of(INADDR_LOOPBACK, port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    c->fd = -1;
    if (ending) {
        busy--;
        return;
    }
    c->begun_at = bench_now();
    c->received = 0;
    c->fd = (int)bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    bench_check(bind(c->fd, (struct sockaddr *)&from, sizeof from), "bind");
    bench_check(connect(c->fd, (struct sockaddr *)&to, sizeof to), "connect");
    if (send(c->fd, request, SIZE, MSG_NOSIGNAL) != SIZE)
        bench_die("send failed: %s", strerror(errno));
    bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event), "epoll_ctl");
}

static void receive(connection *c)
{
    char echo[SIZE + 1];
    ssize_t n = bench_check(recv(c->fd, echo, sizeof echo, 0), "recv");

    if (n == 0 && c->received < SIZE)
        bench_die("the server closed before it had answered");
    if (c->received + (size_t)n > SIZE || memcmp(echo, request + c->received, (size_t)n) != 0)
        bench_die("what came back is not what was sent");
    c->received += (size_t)n;
    if (n > 0 && c->received == SIZE)
        shutdown(c->fd, SHUT_WR);
    if (n > 0)
        return;
    close(c->fd);
    bench_count(&latencies, bench_now() - c->begun_at);
    done++;
    start(c);
}

static double load(int count, double seconds)
{
    int64_t begun = bench_now(), end = begun + (int64_t)(seconds * (double)BENCH_SECOND), time = begun;
    struct epoll_event events[64];

    ending = false;
    busy = count;
    for (int i = 0; i < count; i++)
        start(&connections[i]);
    while (busy > 0) {
        int n = epoll_wait(epoll, events, 64, 5000);

        if (n == 0)
            bench_die("the server does not answer");
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr);
        time = bench_now();
        ending = time >= end;
    }
    return (double)(time - begun) / (double)BENCH_SECOND;
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[1]) : 0;
    pid_t server = argc == 4 ? atoi(argv[2]) : 0;
    uint64_t seed = BENCH_SEED;
    char line[64];

    if (count < 1 || count > MAX_CONNECTIONS)
        bench_die("usage: connect_load CONNECTIONS SERVER'S-PID PORT");
    port = atoi(argv[3]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < SIZE; i++)
        request[i] = (char)bench_random(&seed);
    while (fgets(line, sizeof line, stdin)) {
        int64_t cpu = bench_cpu_of(server);
        double seconds;

        done = 0;
        latencies = (bench_histogram){0};
        seconds = load(count, strtod(line, NULL));
        cpu = bench_cpu_of(server) - cpu;
        printf("{\"requests\": %llu, \"requests_per_s\": %.1f, \"cpu_us_per_request\": %.4f, \"p50_us\": %.2f, "
               "\"p99_us\": %.2f}\n",
               (unsigned long long)done, (double)done / seconds, (double)cpu / 1000 / (double)done,
               bench_percentile(&latencies, 0.5), bench_percentile(&latencies, 0.99));
        fflush(stdout);
    }
    return 0;
}
