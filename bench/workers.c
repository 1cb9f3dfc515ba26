/*
 * workers.c - what more workers serve: requests per second of a worker group of one and of two, in turns.
 *
 * A request costs its handler a fixed amount of computing (100 us unless told), so that the server is what limits, and
 * the load generator, which shares the machine's cores, takes a small part of them. The server is a process of its own.
 * The generator keeps one request under way on each of its connections. Both print what they cost in processor time:
 * on C cores, W workers can be no more than min(W, C / (1 + generator / server)) times as fast as one.
 *
 *     workers [microseconds a request] [seconds a run] [rounds]
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <ringport.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 32, REQUEST = 64, ROUNDS_MAX = 100 };

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

_Noreturn static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- the server ---- */

typedef struct server {
    unsigned workers;
    bool balance;
    uint64_t steps; /* of computing for each request */
    int port_pipe;
} server;

static uint64_t compute(uint64_t value, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++)
        value = value * 6364136223846793005u + 1442695040888963407u;
    return value;
}

static int answer(rp_co *co, rp_stream *stream, void *arg)
{
    const server *s = arg;
    char request[REQUEST];
    ssize_t n;

    while ((n = rp_stream_read(co, stream, request, sizeof request)) > 0) {
        uint64_t value;

        memcpy(&value, request, sizeof value);
        value = compute(value, s->steps);
        memcpy(request, &value, sizeof value);
        RP_TRY(rp_stream_write(co, stream, request, (size_t)n));
    }
    return (int)n;
}

static int serve(rp_co *co, void *arg)
{
    server *s = arg;
    const rp_server_options options = {.balance = s->balance};
    rp_server *listening;

    RP_TRY(rp_start_server(co, &listening, answer, s, "127.0.0.1", 0, &options));
    int port = rp_server_port(listening);
    if (write(s->port_pipe, &port, sizeof port) != sizeof port)
        return -errno;
    return rp_server_serve_forever(co, listening);
}

/* The steps that take so long on this machine: the best of some tries, since others may be running. */
static uint64_t calibrate(double microseconds)
{
    const uint64_t steps = 1000000;
    double best = 1;

    for (int i = 0; i < 20; i++) {
        double begun = seconds_now();
        volatile uint64_t result = compute((uint64_t)i, steps);

        (void)result;
        if (seconds_now() - begun < best)
            best = seconds_now() - begun;
    }
    return (uint64_t)((double)steps * microseconds / 1e6 / best);
}

/* ---- the load ---- */

static void send_request(int fd)
{
    static const char request[REQUEST] = "how much is this?";

    if (send(fd, request, sizeof request, MSG_NOSIGNAL) != sizeof request)
        fail("send");
}

static void connect_all(int epoll, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
            fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        send_request(fd);
    }
}

/* Answers that come until then; a new request follows each. */
static uint64_t count_answers(int epoll, double until)
{
    struct epoll_event events[CONNECTIONS];
    char reply[REQUEST];
    uint64_t count = 0;

    while (seconds_now() < until) {
        int ready = epoll_wait(epoll, events, CONNECTIONS, 10);

        for (int i = 0; i < ready; i++) {
            if (recv(events[i].data.fd, reply, sizeof reply, MSG_WAITALL) != sizeof reply)
                fail("recv");
            send_request(events[i].data.fd);
            count++;
        }
    }
    return count;
}

/* ---- a run ---- */

typedef struct result {
    double rate;
    double server_us;    /* processor time for a request */
    double generator_us; /* the same */
} result;

/* Waits until each worker listens. */
static int read_port(int fd, unsigned workers)
{
    int port;

    for (unsigned i = 0; i < workers; i++)
        if (read(fd, &port, sizeof port) != sizeof port)
            fail("the server did not come up");
    close(fd);
    return port;
}

static pid_t start_server(server s, int *port)
{
    int fds[2];
    pid_t pid;

    if (pipe(fds) < 0 || (pid = fork()) < 0)
        fail("start");
    if (pid == 0) {
        s.port_pipe = fds[1];
        close(fds[0]);
        _exit(rp_run_workers(s.workers, serve, &s) < 0);
    }
    close(fds[1]);
    *port = read_port(fds[0], s.workers);
    return pid;
}

static result run(server s, double seconds)
{
    struct rusage before, after, served;
    int port, epoll;
    pid_t pid = start_server(s, &port);

    epoll = epoll_create1(EPOLL_CLOEXEC);
    connect_all(epoll, port);
    uint64_t warm_up = count_answers(epoll, seconds_now() + seconds / 10);
    getrusage(RUSAGE_SELF, &before);
    double begun = seconds_now();
    uint64_t count = count_answers(epoll, begun + seconds);
    double took = seconds_now() - begun;
    getrusage(RUSAGE_SELF, &after);
    kill(pid, SIGKILL);
    wait4(pid, NULL, 0, &served);
    return (result){.rate = (double)count / took,
                    .server_us = cpu_seconds(&served) * 1e6 / (double)(warm_up + count),
                    .generator_us = (cpu_seconds(&after) - cpu_seconds(&before)) * 1e6 / (double)count};
}

/* In a process of its own, with which the load's sockets go. */
static result run_apart(server s, double seconds)
{
    result measured = {0};
    int fds[2];
    pid_t pid;

    if (pipe(fds) < 0 || (pid = fork()) < 0)
        fail("run");
    if (pid == 0) {
        measured = run(s, seconds);
        _exit(write(fds[1], &measured, sizeof measured) != sizeof measured);
    }
    close(fds[1]);
    if (read(fds[0], &measured, sizeof measured) != sizeof measured)
        fail("a run has failed");
    close(fds[0]);
    waitpid(pid, NULL, 0);
    return measured;
}

/* ---- the table ---- */

static int by_rate(const void *left, const void *right)
{
    double difference = ((const result *)left)->rate - ((const result *)right)->rate;

    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned workers;
        bool balance;
    } kinds[] = {{"1 worker", 1, false}, {"2 workers", 2, false}, {"2, balanced", 2, true}};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    static result results[KINDS][ROUNDS_MAX];
    double microseconds = argc > 1 ? atof(argv[1]) : 100, seconds = argc > 2 ? atof(argv[2]) : 2;
    int rounds = argc > 3 ? atoi(argv[3]) : 5;

    if (microseconds <= 0 || seconds <= 0 || rounds < 1 || rounds > ROUNDS_MAX)
        return 2;
    uint64_t steps = calibrate(microseconds);
    for (int round = 0; round < rounds; round++)
        for (int k = 0; k < KINDS; k++)
            results[k][round] = run_apart(
                (server){.workers = kinds[k].workers, .balance = kinds[k].balance, .steps = steps}, seconds);
    printf("%ld cores, %d connections, %.0f us of computing a request, medians of %d rounds of %.1f s\n",
           sysconf(_SC_NPROCESSORS_ONLN), CONNECTIONS, microseconds, rounds, seconds);
    printf("%-12s %12s %7s %18s %21s\n", "", "requests/s", "ratio", "server us/request", "generator us/request");
    double base = 0;
    for (int k = 0; k < KINDS; k++) {
        qsort(results[k], (size_t)rounds, sizeof results[k][0], by_rate);
        const result *median = &results[k][rounds / 2];
        base = k == 0 ? median->rate : base;
        printf("%-12s %12.0f %7.2f %18.1f %21.1f\n", kinds[k].name, median->rate, median->rate / base,
               median->server_us, median->generator_us);
    }
    return 0;
}
