/*
 * handshake_load.c - a load of TLS handshakes for an echo server on 127.0.0.1, one after the other: connect, handshake,
 * a byte and its echo, close_notify both ways, close. Nothing is resumed, and the certificate is not looked at.
 *
 * Each connection comes from another of 127.x.x.x than the one before, and standard input says how long, as it is with
 * connect_load.c.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls.h"

static bench_histogram latencies;
static uint64_t opened;

static struct sockaddr_in address_of(uint32_t host, int number)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};

    address.sin_addr.s_addr = htonl(host);
    return address;
}

static int open_connection(int port)
{
    struct sockaddr_in from = address_of(INADDR_LOOPBACK + (uint32_t)(opened++ % 50000), 0);
    struct sockaddr_in to = address_of(INADDR_LOOPBACK, port);
    int fd = (int)bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), on = 1;
    struct timeval limit = {.tv_sec = 30};

    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    bench_check(bind(fd, (struct sockaddr *)&from, sizeof from), "bind");
    bench_check(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
    return fd;
}

static void shake_hands(SSL_CTX *context, int port)
{
    int64_t begun = bench_now();
    int fd = open_connection(port);
    SSL *ssl = SSL_new(context);
    char byte = 'x';

    if (!ssl || SSL_set_fd(ssl, fd) != 1)
        bench_die("no memory");
    bench_tls_check(SSL_connect(ssl), "SSL_connect");
    bench_tls_check(SSL_write(ssl, &byte, 1), "SSL_write");
    bench_tls_check(SSL_read(ssl, &byte, 1), "SSL_read");
    SSL_shutdown(ssl);
    if (SSL_read(ssl, &byte, 1) > 0)
        bench_die("more came back than was sent");
    SSL_free(ssl);
    close(fd);
    bench_count(&latencies, bench_now() - begun);
}

int main(int argc, char **argv)
{
    pid_t server = argc == 3 ? atoi(argv[1]) : 0;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char line[64];

    if (argc != 3 || !context)
        bench_die("usage: handshake_load SERVER'S-PID PORT");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    while (fgets(line, sizeof line, stdin)) {
        int64_t cpu = bench_cpu_of(server), begun = bench_now();
        int64_t end = begun + (int64_t)(strtod(line, NULL) * (double)BENCH_SECOND);
        double seconds;

        latencies = (bench_histogram){0};
        do
            shake_hands(context, atoi(argv[2]));
        while (bench_now() < end);
        seconds = (double)(bench_now() - begun) / (double)BENCH_SECOND;
        cpu = bench_cpu_of(server) - cpu;
        printf("{\"requests\": %llu, \"requests_per_s\": %.1f, \"cpu_us_per_request\": %.4f, \"p50_us\": %.2f, "
               "\"p99_us\": %.2f}\n",
               (unsigned long long)latencies.total, (double)latencies.total / seconds,
               (double)cpu / 1000 / (double)latencies.total, bench_percentile(&latencies, 0.5),
               bench_percentile(&latencies, 0.99));
        fflush(stdout);
    }
    SSL_CTX_free(context);
    return 0;
}
