/*
 * echo_load.c - a load for an echo server, on loopback: so many connections, each with one message on its way at a
 * time.
 *
 * Every byte that comes back is compared with what was sent: a message is a window into a block of random bytes, and
 * which window follows from the connection and the message's number, so that a byte that is lost, doubled or another's
 * shows. It is bounded in time, and in requests if asked; when time is up, what is on its way is still awaited. It is
 * one thread and epoll, and uses nothing of ringport: what it measures must not measure itself.
 *
 * The last line is for people, or with -m for programs: requests, requests/s, p50 and p99 in microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define LAST_REPLIES (5 * SECOND) /* how long the replies to the last requests may take */
#define MAX_CONNECTIONS 4096
#define MAX_SIZE 65536
#define BLOCK (4 * MAX_SIZE)

typedef struct connection {
    int fd;
    uint64_t number; /* of the message on its way */
    size_t sent;     /* bytes of it */
    size_t received; /* bytes of its echo */
    int64_t sent_at;
    bool idle; /* no message is on its way, and none will be */
} connection;

/* Latencies, counted in buckets: 32 for each power of two, so a bucket is 3 % wide. */
#define SUB_BITS 5
static uint64_t buckets[64 << SUB_BITS];

static struct {
    const char *host, *label;
    int port, connections;
    size_t size;
    double seconds;
    uint64_t max_requests;
    bool machine;
} option = {.label = "", .connections = 50, .size = 1024, .seconds = 3, .max_requests = UINT64_MAX};

static unsigned char block[BLOCK];
static connection connections[MAX_CONNECTIONS];
static uint64_t requests, started, verified_bytes;
static int busy;
static bool ending;

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static _Noreturn void die(const char *what, const connection *c)
{
    if (c)
        fprintf(stderr, "\necho_load: connection %d, message %llu: %s\n", (int)(c - connections),
                (unsigned long long)c->number, what);
    else
        fprintf(stderr, "\necho_load: %s\n", what);
    exit(1);
}

/* ---- latency ---- */

static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < 1u << SUB_BITS)
        return (unsigned)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return (shift << SUB_BITS) + (unsigned)(value >> shift);
}

/* The upper end of the bucket below which this part of all latencies lies, in microseconds. */
static double percentile(double part)
{
    uint64_t below = 0, wanted = (uint64_t)((double)requests * part);

    for (unsigned i = 0; i < sizeof buckets / sizeof *buckets; i++) {
        below += buckets[i];
        if (below > wanted) {
            unsigned shift = i >> SUB_BITS > 0 ? (i >> SUB_BITS) - 1 : 0;
            return (double)(((uint64_t)i + 1 - ((uint64_t)shift << SUB_BITS)) << shift) / 1000;
        }
    }
    return 0;
}

/* ---- one connection ---- */

static const unsigned char *message_of(const connection *c)
{
    uint64_t offset = (uint64_t)(c - connections) * 7919 + c->number * 31;

    return block + offset % (BLOCK - MAX_SIZE);
}

static void send_more(connection *c)
{
    ssize_t n;

    while (c->sent < option.size) {
        n = send(c->fd, message_of(c) + c->sent, option.size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die(strerror(errno), c);
        c->sent += (size_t)n;
    }
}

static void start_message(connection *c)
{
    if (ending || started >= option.max_requests) {
        c->idle = true;
        busy--;
        return;
    }
    started++;
    c->sent = c->received = 0;
    c->sent_at = now();
    send_more(c);
}

static void finish_message(connection *c)
{
    buckets[bucket_of((uint64_t)(now() - c->sent_at))]++;
    requests++;
    c->number++;
    start_message(c);
}

static void receive(connection *c)
{
    unsigned char buffer[MAX_SIZE];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        die(strerror(errno), c);
    if (n == 0)
        die("the server closed the connection", c);
    if (c->idle || (size_t)n > c->sent - c->received)
        die("more came back than was sent", c);
    if (memcmp(buffer, message_of(c) + c->received, (size_t)n) != 0)
        die("what came back is not what was sent", c);
    c->received += (size_t)n;
    verified_bytes += (uint64_t)n;
    if (c->received == option.size)
        finish_message(c);
}

static void open_connection(connection *c, int epoll)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)option.port)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int on = 1;

    if (inet_pton(AF_INET, option.host, &address.sin_addr) != 1 || (ntohl(address.sin_addr.s_addr) >> 24) != 127)
        die("the host must be an address of loopback, 127.x.x.x", NULL);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0)
        die(strerror(errno), c);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die(strerror(errno), c);
}

/* Says that no more comes, and waits for the server to say so too: it must have nothing left to send. */
static void close_connection(connection *c)
{
    struct timeval limit = {.tv_sec = 5};
    char byte;

    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    shutdown(c->fd, SHUT_WR);
    if (recv(c->fd, &byte, 1, 0) != 0)
        die("the server did not close after our end-of-file", c);
    close(c->fd);
}

/* ---- the run ---- */

static void show_progress(int64_t begun, int64_t time, bool tty)
{
    double elapsed = (double)(time - begun) / SECOND;

    printf("%s%-8s %4.1f s  %9llu requests  %8.0f requests/s%s", tty ? "\r" : "", option.label, elapsed,
           (unsigned long long)requests, (double)requests / elapsed, tty ? "" : "\n");
    fflush(stdout);
}

/* Runs until all connections are idle; returns the time it took. */
static int64_t run(int epoll)
{
    int64_t begun = now(), end = begun + (int64_t)(option.seconds * SECOND), shown = begun, time = begun;
    bool tty = isatty(STDOUT_FILENO);
    struct epoll_event events[64];

    for (int i = 0; i < option.connections; i++)
        start_message(&connections[i]);
    while (busy > 0) {
        int n = epoll_wait(epoll, events, 64, 100);

        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;

            if (!c->idle)
                send_more(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(c);
        }
        time = now();
        ending = time >= end;
        if (time >= end + LAST_REPLIES)
            die("the last replies did not come", NULL);
        if (!option.machine && time - shown >= (tty ? SECOND / 10 : SECOND)) {
            show_progress(begun, time, tty);
            shown = time;
        }
    }
    if (tty && !option.machine)
        printf("\r\033[K");
    return time - begun;
}

static void read_options(int argc, char **argv)
{
    int letter;

    while ((letter = getopt(argc, argv, "c:s:d:n:l:m")) != -1) {
        if (letter == 'c')
            option.connections = atoi(optarg);
        else if (letter == 's')
            option.size = (size_t)atoi(optarg);
        else if (letter == 'd')
            option.seconds = atof(optarg);
        else if (letter == 'n')
            option.max_requests = strtoull(optarg, NULL, 10);
        else if (letter == 'l')
            option.label = optarg;
        else if (letter == 'm')
            option.machine = true;
        else
            optind = argc;
    }
    if (optind + 2 != argc || option.connections < 1 || option.connections > MAX_CONNECTIONS || option.size < 1 ||
        option.size > MAX_SIZE) {
        fprintf(stderr, "usage: echo_load [-c connections] [-s bytes] [-d seconds] [-n requests] [-l label] [-m] "
                        "127.0.0.1 port\n");
        exit(2);
    }
    option.host = argv[optind];
    option.port = atoi(argv[optind + 1]);
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t seed = 88172645463325252u;
    double seconds;

    read_options(argc, argv);
    for (size_t i = 0; i < BLOCK; i++) { /* xorshift */
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        block[i] = (unsigned char)(seed >> 32);
    }
    for (int i = 0; i < option.connections; i++)
        open_connection(&connections[i], epoll);
    busy = option.connections;
    seconds = (double)run(epoll) / SECOND;
    for (int i = 0; i < option.connections; i++)
        close_connection(&connections[i]);

    if (option.machine)
        printf("%llu %.0f %.0f %.0f\n", (unsigned long long)requests, (double)requests / seconds, percentile(0.5),
               percentile(0.99));
    else
        printf("%-8s %d connections, %zu bytes: %llu requests, %.1f MB verified, %.0f requests/s, p50 %.0f us, "
               "p99 %.0f us\n",
               option.label, option.connections, option.size, (unsigned long long)requests,
               (double)verified_bytes / 1e6, (double)requests / seconds, percentile(0.5), percentile(0.99));
    return requests == 0;
}
