/*
 * processes.h - what the programs that start processes share: the parent's memory, and the program that is started.
 */
#ifndef BENCH_PROCESSES_H
#define BENCH_PROCESSES_H

#include <sys/mman.h>

#include "bench.h"

enum { WARM_UP = 20 };

static const char *const bench_true[] = {"/bin/true", NULL};

/* processes COUNT MIB: how many to start, one after the other, and how much memory the parent is to have touched. */
static inline int bench_processes_begin(int argc, char **argv)
{
    size_t size = argc > 2 ? strtoull(argv[2], NULL, 10) << 20 : 0;

    if (size > 0) {
        void *memory =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (memory == MAP_FAILED)
            bench_die("no memory");
        bench_touch(memory, size);
    }
    return argc > 1 ? atoi(argv[1]) : 1000;
}

static inline void bench_processes_end(int64_t begun, int count)
{
    printf("{\"us_per_process\": %.1f}\n", (double)(bench_now() - begun) / 1000 / count);
}

#endif
