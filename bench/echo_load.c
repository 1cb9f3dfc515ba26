/*
 * echo_load.c - a load for an echo server, on loopback: so many connections, each with one message on its way at a
 * time.
 *
 * Every byte that comes back is compared with what was sent: a message is a window into a block of random bytes, and
 * which window follows from the connection and the message's number, so that a byte that is lost, doubled or another's
 * shows. It is bounded in time, and in requests if asked; when time is up, what is on its way is still awaited. It is
 * one thread and epoll, and uses nothing of ringport: what it measures must not measure itself.
 *
 * With -i it keeps its connections and loads the server for as many seconds as each line of standard input says, or
 * until it has made the requests that -n permits, so that several servers can be measured in turns. The line at a run's
 * end is for people, or with -i for programs. With -r the connections send together, each time when all echoes are
 * back: a server that is slow, since its instructions are counted, is then asked in the way that a fast one is. With -R
 * they send so many messages a second together, evenly, if the server keeps up: what a message costs a server depends
 * on how many arrive at once, and so on how fast the load is, which TLS makes slower.
 *
 * Compiled with BENCH_TLS it speaks TLS 1.3 with AES-256-GCM, and takes any certificate.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

#ifdef BENCH_TLS
#include <openssl/ssl.h>
#endif

#define SECOND BENCH_SECOND
#define LAST_REPLIES (5 * SECOND) /* how long the replies to the last requests may take */
#define MAX_CONNECTIONS 4096
#define MAX_SIZE (128 * 1024)
#define BLOCK (4 * MAX_SIZE)

typedef struct connection {
    int fd;
    uint64_t number; /* of the message on its way */
    size_t sent;     /* bytes of it */
    size_t received; /* bytes of its echo */
    int64_t sent_at;
    bool idle; /* no message is on its way, and none will be, or not yet */
#ifdef BENCH_TLS
    SSL *tls;
#endif
} connection;

static struct {
    const char *host, *port; /* port NULL: host is the path of a Unix socket */
    const char *label;
    int connections;
    size_t size;
    double seconds;
    int64_t gap; /* from one message to the next, ns; 0: none is held back */
    uint64_t max_requests;
    pid_t server; /* whose processor time is to be told, or 0 */
    bool interactive, rounds;
} option = {.label = "", .connections = 50, .size = 1024, .seconds = 3, .max_requests = UINT64_MAX};

static unsigned char block[BLOCK];
static connection connections[MAX_CONNECTIONS];
static uint64_t requests, started, verified_bytes;
static bench_histogram latencies;
static int busy, answered, epoll; /* answered: in this round */
static int held[MAX_CONNECTIONS]; /* the connections whose message is held back, in a circle */
static unsigned first_held, held_count;
static int64_t due; /* when the first of them may send */
static bool ending;

static _Noreturn void die(const char *what, const connection *c)
{
    if (c)
        fprintf(stderr, "\necho_load: connection %d, message %llu: %s\n", (int)(c - connections),
                (unsigned long long)c->number, what);
    else
        fprintf(stderr, "\necho_load: %s\n", what);
    exit(1);
}

/* ---- plain or TLS: begun, ended, and bytes moved as by send() and recv() that do not wait ---- */

#ifdef BENCH_TLS

static void begin_tls(connection *c)
{
    static SSL_CTX *context;

    if (!context && (context = SSL_CTX_new(TLS_client_method()))) {
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384");
    }
    c->tls = context ? SSL_new(context) : NULL;
    if (!c->tls || SSL_set_fd(c->tls, c->fd) != 1 || SSL_connect(c->tls) != 1)
        die("no TLS connection", c);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void end_tls(connection *c)
{
    fcntl(c->fd, F_SETFL, 0);
    if (SSL_shutdown(c->tls) == 0)
        SSL_shutdown(c->tls); /* the other side's */
}

static ssize_t result_of(const connection *c, int n)
{
    int error = SSL_get_error(c->tls, n);

    if (n > 0 || error == SSL_ERROR_ZERO_RETURN)
        return n;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

static ssize_t send_some(connection *c, const void *bytes, size_t count)
{
    return result_of(c, SSL_write(c->tls, bytes, (int)count));
}

static ssize_t receive_some(connection *c, void *bytes, size_t count)
{
    return result_of(c, SSL_read(c->tls, bytes, (int)count));
}

#else

static void begin_tls(connection *c)
{
    (void)c;
}

static void end_tls(connection *c)
{
    (void)c;
}

static ssize_t send_some(connection *c, const void *bytes, size_t count)
{
    return send(c->fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t receive_some(connection *c, void *bytes, size_t count)
{
    return recv(c->fd, bytes, count, MSG_DONTWAIT);
}

#endif

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
        n = send_some(c, message_of(c) + c->sent, option.size - c->sent);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die(strerror(errno), c);
        c->sent += (size_t)n;
    }
}

static void send_message(connection *c)
{
    c->idle = ending || started >= option.max_requests;
    if (c->idle) {
        busy--;
        return;
    }
    started++;
    c->sent = c->received = 0;
    c->sent_at = bench_now();
    send_more(c);
}

static void start_message(connection *c)
{
    if (option.gap == 0) {
        send_message(c);
        return;
    }
    c->idle = true;
    held[(first_held + held_count++) % MAX_CONNECTIONS] = (int)(c - connections);
}

static void send_due(int64_t time)
{
    if (due < time - SECOND / 1000) /* what was missed is not made up for */
        due = time;
    for (; held_count > 0 && (ending || time >= due); held_count--, due += option.gap)
        send_message(&connections[held[first_held++ % MAX_CONNECTIONS]]);
}

static void start_all(void)
{
    answered = 0;
    for (int i = 0; i < option.connections; i++)
        start_message(&connections[i]);
}

static void finish_message(connection *c)
{
    bench_count(&latencies, bench_now() - c->sent_at);
    requests++;
    c->number++;
    if (!option.rounds)
        start_message(c);
    else if (++answered == option.connections)
        start_all();
}

/* Whether there may be more that no event will tell of: TLS hands out a record at a time. */
static bool receive(connection *c)
{
    static unsigned char buffer[MAX_SIZE];
    ssize_t n = receive_some(c, buffer, sizeof buffer);

    if (n < 0 && errno == EAGAIN)
        return false;
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
    if (c->received == option.size) {
        finish_message(c);
        return false;
    }
#ifdef BENCH_TLS
    return true;
#else
    return false; /* a message fits into the buffer */
#endif
}

static int connect_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(option.port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (inet_pton(AF_INET, option.host, &address.sin_addr) != 1 || (ntohl(address.sin_addr.s_addr) >> 24) != 127)
        die("the host must be an address of loopback, 127.x.x.x", NULL);
    bench_check(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int connect_unix(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(address.sun_path, option.host, sizeof address.sun_path - 1);
    bench_check(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    return fd;
}

static void open_connection(connection *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};

    c->fd = option.port ? connect_tcp() : connect_unix();
    begin_tls(c);
    bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event), "epoll_ctl");
}

/* Says that no more comes, and waits for the server to say so too: it must have nothing left to send. */
static void close_connection(connection *c)
{
    struct timeval limit = {.tv_sec = 5};
    char byte;

    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    end_tls(c);
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
static int64_t load(double seconds)
{
    int64_t begun = bench_now(), end = begun + (int64_t)(seconds * (double)SECOND), shown = begun, time = begun;
    bool tty = isatty(STDOUT_FILENO);
    struct epoll_event events[64];

    ending = false;
    busy = option.connections;
    start_all();
    while (busy > 0) {
        int n = epoll_wait(epoll, events, 64, held_count > 0 ? 0 : 100);

        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;

            if (!c->idle)
                send_more(c);
            while (events[i].events & ~(uint32_t)EPOLLOUT && receive(c))
                ;
        }
        time = bench_now();
        ending = time >= end;
        send_due(time);
        if (time >= end + LAST_REPLIES)
            die("the last replies did not come", NULL);
        if (!option.interactive && time - shown >= (tty ? SECOND / 10 : SECOND)) {
            show_progress(begun, time, tty);
            shown = time;
        }
    }
    if (tty && !option.interactive)
        printf("\r\033[K");
    return time - begun;
}

static void load_once(void)
{
    double seconds = (double)load(option.seconds) / SECOND;

    printf("%-8s %d connections, %zu bytes: %llu requests, %.1f MB verified, %.0f requests/s, p50 %.0f us, p99 "
           "%.0f us\n",
           option.label, option.connections, option.size, (unsigned long long)requests,
           (double)verified_bytes / 1e6, (double)requests / seconds, bench_percentile(&latencies, 0.5),
           bench_percentile(&latencies, 0.99));
}

static void load_when_told(void)
{
    char line[64];

    while (fgets(line, sizeof line, stdin)) {
        int64_t cpu = bench_cpu_of(option.server);
        double seconds;

        requests = started = 0;
        latencies = (bench_histogram){0};
        seconds = (double)load(strtod(line, NULL)) / SECOND;
        cpu = bench_cpu_of(option.server) - cpu;
        printf("{\"requests\": %llu, \"requests_per_s\": %.1f, \"cpu_us_per_request\": %.4f, \"p50_us\": %.2f, "
               "\"p99_us\": %.2f}\n",
               (unsigned long long)requests, (double)requests / seconds, (double)cpu / 1000 / (double)requests,
               bench_percentile(&latencies, 0.5), bench_percentile(&latencies, 0.99));
        fflush(stdout);
    }
}

static void read_options(int argc, char **argv)
{
    int letter;

    while ((letter = getopt(argc, argv, "c:s:d:n:l:p:R:ir")) != -1) {
        if (letter == 'c')
            option.connections = atoi(optarg);
        else if (letter == 's')
            option.size = (size_t)atoi(optarg);
        else if (letter == 'd')
            option.seconds = strtod(optarg, NULL);
        else if (letter == 'n')
            option.max_requests = strtoull(optarg, NULL, 10);
        else if (letter == 'l')
            option.label = optarg;
        else if (letter == 'p')
            option.server = atoi(optarg);
        else if (letter == 'R')
            option.gap = (int64_t)((double)SECOND / strtod(optarg, NULL));
        else if (letter == 'i')
            option.interactive = true;
        else if (letter == 'r')
            option.rounds = true;
        else
            optind = argc;
    }
    if (optind + 1 > argc || optind + 2 < argc || option.connections < 1 || option.connections > MAX_CONNECTIONS ||
        option.size < 1 || option.size > MAX_SIZE)
        bench_die(
            "usage: echo_load [-c connections] [-s bytes] [-d seconds] [-n requests] [-l label] [-p server's pid] "
            "[-R requests a second] [-i] [-r] 127.0.0.1 PORT | PATH");
    option.host = argv[optind];
    option.port = argv[optind + 1];
}

int main(int argc, char **argv)
{
    uint64_t seed = BENCH_SEED;

    read_options(argc, argv);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (unsigned char)(bench_random(&seed) >> 32);
    for (int i = 0; i < option.connections; i++) {
        connections[i].idle = true;
        open_connection(&connections[i]);
    }
    if (option.interactive)
        load_when_told();
    else
        load_once();
    for (int i = 0; i < option.connections; i++)
        close_connection(&connections[i]);
    return requests == 0;
}
