/*
 * pipes.h - what the two programs that measure pipes share: the other end of two pipes, a thread with calls that block,
 * on a processor of its own.
 *
 *     pipes echo SECONDS     messages of 1 KiB there and back, one at a time
 *     pipes read SECONDS     the loop reads as much as comes
 *     pipes write SECONDS    the loop writes as much as goes, a MiB at a time
 */
#ifndef BENCH_PIPES_H
#define BENCH_PIPES_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "bench.h"

enum { PIPES_MESSAGE = 1024, PIPES_CHUNK = 64 * 1024, PIPES_PIECE = 1 << 20 };

typedef struct pipes {
    bool echo, reads, writes; /* what the loop is to do */
    int64_t until;
    int to_loop[2], from_loop[2];
    uint64_t bytes; /* that the loop has read, or the thread has; each with PIPES_MESSAGE of them is a request */
    pthread_t thread;
    int64_t cpu, begun; /* the loop's */
} pipes;

static inline void pipes_exchange(pipes *p, char *bytes)
{
    while (bench_now() < p->until) {
        bench_check(write(p->to_loop[1], bytes, PIPES_MESSAGE), "write");
        for (ssize_t done = 0, n; done < PIPES_MESSAGE; done += n)
            n = (ssize_t)bench_check(read(p->from_loop[0], bytes, (size_t)(PIPES_MESSAGE - done)), "read");
        p->bytes += PIPES_MESSAGE;
    }
}

/* When it has closed its ends, the loop ends, too. */
static void *pipes_run(void *arg)
{
    pipes *p = arg;
    char *bytes = bench_alloc(PIPES_CHUNK);
    ssize_t n;

    bench_pin(1);
    if (p->echo)
        pipes_exchange(p, bytes);
    while (p->reads && bench_now() < p->until)
        p->bytes += (uint64_t)bench_check(write(p->to_loop[1], bytes, PIPES_CHUNK), "write");
    while (p->writes && (n = read(p->from_loop[0], bytes, PIPES_CHUNK)) > 0)
        p->bytes += (uint64_t)n;
    close(p->to_loop[1]);
    free(bytes);
    return NULL;
}

static inline void pipes_begin(pipes *p, int argc, char **argv)
{
    const char *what = argc == 3 ? argv[1] : "";

    p->echo = strcmp(what, "echo") == 0;
    p->reads = strcmp(what, "read") == 0;
    p->writes = strcmp(what, "write") == 0;
    if (!p->echo && !p->reads && !p->writes)
        bench_die("usage: %s echo|read|write SECONDS", argv[0]);
    bench_check(pipe2(p->to_loop, O_CLOEXEC), "pipe2");
    bench_check(pipe2(p->from_loop, O_CLOEXEC), "pipe2");
    bench_pin(0);
    p->begun = bench_now();
    p->until = p->begun + (int64_t)(atof(argv[2]) * BENCH_SECOND);
    p->cpu = bench_clock(CLOCK_THREAD_CPUTIME_ID);
    bench_check(-pthread_create(&p->thread, NULL, pipes_run, p), "pthread_create");
}

/* The loop has ended, and the thread's reads come to their end. */
static inline void pipes_end(pipes *p)
{
    int64_t cpu = bench_clock(CLOCK_THREAD_CPUTIME_ID) - p->cpu, time = bench_now() - p->begun;

    pthread_join(p->thread, NULL);
    if (p->echo)
        printf("{\"cpu_us_per_request\": %.3f, \"requests_per_s\": %.0f}\n",
               (double)cpu / 1000 / ((double)p->bytes / PIPES_MESSAGE),
               (double)p->bytes / PIPES_MESSAGE / ((double)time / 1e9));
    else
        printf("{\"cpu_us_per_mb\": %.2f, \"mb_per_s\": %.0f}\n", (double)cpu / 1000 / ((double)p->bytes / 1e6),
               (double)p->bytes / 1e6 / ((double)time / 1e9));
}

#endif
