/*
 * sendfile.h - what the programs that measure sending files share: a file, a TCP connection of the loopback, and a
 * thread that takes all that comes, on a processor of its own.
 *
 *     sendfile MEBIBYTES SECONDS [cold]     the whole file again and again
 *
 * Cold, it is not in the page cache; then the longest turn of a loop is measured, too, which does not sleep for that.
 * So nothing is pinned then: the loop would keep the threads that read from running. Interrupts that strike a turn
 * count as its own: of several runs, the shortest longest turn is the loop's.
 */
#ifndef BENCH_SENDFILE_H
#define BENCH_SENDFILE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

typedef struct sendfile_bench {
    int file, socket, other;
    int64_t size, sent, begun, until, cpu, taking;
    bool cold;
    pthread_t thread;
} sendfile_bench;

static inline void *sendfile_take(void *arg)
{
    sendfile_bench *b = arg;
    char *bytes = bench_alloc(1 << 20);

    if (!b->cold)
        bench_pin(1);
    while (recv(b->other, bytes, 1 << 20, 0) > 0)
        ;
    free(bytes);
    b->taking = bench_clock(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static inline void sendfile_connect(sendfile_bench *b)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = (int)bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    bench_check(bind(listener, (struct sockaddr *)&address, length), "bind");
    bench_check(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    bench_check(listen(listener, 1), "listen");
    b->socket = (int)bench_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    bench_check(connect(b->socket, (struct sockaddr *)&address, length), "connect");
    b->other = (int)bench_check(accept(listener, NULL, NULL), "accept");
    close(listener);
}

/* Before each round: whether there is to be one. */
static inline bool sendfile_goes_on(sendfile_bench *b)
{
    if (bench_now() >= b->until)
        return false;
    if (b->cold)
        bench_check(-posix_fadvise(b->file, 0, 0, POSIX_FADV_DONTNEED), "posix_fadvise");
    return true;
}

static inline void sendfile_begin(sendfile_bench *b, int argc, char **argv)
{
    char path[] = "sendfile-XXXXXX", *bytes = bench_alloc(1 << 20);

    if (argc < 3)
        bench_die("usage: %s MEBIBYTES SECONDS [cold]", argv[0]);
    b->cold = argc > 3;
    b->size = (int64_t)atoi(argv[1]) << 20;
    b->file = (int)bench_check(mkstemp(path), "mkstemp");
    bench_check(unlink(path), "unlink");
    memset(bytes, 'x', 1 << 20);
    for (int64_t at = 0; at < b->size; at += 1 << 20)
        bench_check(pwrite(b->file, bytes, 1 << 20, at), "pwrite");
    bench_check(fsync(b->file), "fsync");
    free(bytes);
    sendfile_connect(b);
    if (!b->cold)
        bench_pin(0);
    bench_check(-pthread_create(&b->thread, NULL, sendfile_take, b), "pthread_create");
    b->begun = bench_now();
    b->until = b->begun + (int64_t)(atof(argv[2]) * BENCH_SECOND);
    b->cpu = bench_cpu_of(getpid());
}

/* `longest` is the loop's longest turn in nanoseconds; -1: nobody has looked. The socket is closed by now. */
static inline void sendfile_end(sendfile_bench *b, int64_t longest)
{
    double seconds = (double)(bench_now() - b->begun) / 1e9, mb = (double)b->sent / 1e6;

    pthread_join(b->thread, NULL);
    printf("{\"mb_per_s\": %.0f, \"cpu_us_per_mb\": %.1f", mb / seconds,
           (double)(bench_cpu_of(getpid()) - b->cpu - b->taking) / 1000 / mb);
    if (longest >= 0)
        printf(", \"longest_turn_us\": %.0f", (double)longest / 1000);
    printf("}\n");
}

#endif
