/*
 * bench.h - what the programs of the benchmarks share: clocks, random numbers, a histogram of latencies, giving up.
 *
 * Nothing in here is ringport's: what measures must not be what is measured. A program prints its figures as lines of
 * JSON objects, which bench.py reads.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define BENCH_SECOND INT64_C(1000000000)

static inline int64_t bench_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return time.tv_sec * BENCH_SECOND + time.tv_nsec;
}

static inline int64_t bench_now(void)
{
    return bench_clock(CLOCK_MONOTONIC);
}

/* The processor time that a process has used with all its threads, to the nanosecond; 0 for no process. */
static inline int64_t bench_cpu_of(pid_t process)
{
    clockid_t clock;

    return process > 0 && clock_getcpuclockid(process, &clock) == 0 ? bench_clock(clock) : 0;
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void bench_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* For calls that answer with a negative error of their own, or -1 and errno. */
static inline int64_t bench_check(int64_t result, const char *what)
{
    if (result < 0)
        bench_die("%s failed: %lld (errno: %s)", what, (long long)result, strerror(errno));
    return result;
}

static inline void *bench_alloc(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        bench_die("no memory");
    return memory;
}

/*
 * Writes to each page, so that its fault is not paid while the clock runs. (Setting to zero what calloc() gave does
 * not: the compiler drops it.)
 */
static inline void bench_touch(void *memory, size_t size)
{
    volatile char *bytes = memory;

    for (size_t i = 0; i < size; i += 4096)
        bytes[i] = 0;
    if (size > 0)
        bytes[size - 1] = 0;
}

/* xorshift: each call gives the next number of a sequence that is the same in every run. */
static inline uint64_t bench_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#define BENCH_SEED UINT64_C(88172645463325252)

/* The numbers below `count` in random order; the caller's to free. */
static inline uint32_t *bench_shuffled(uint32_t count)
{
    uint32_t *numbers = bench_alloc(count * sizeof *numbers);
    uint64_t seed = BENCH_SEED;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = (uint32_t)(bench_random(&seed) % (i + 1));

        numbers[i] = numbers[j];
        numbers[j] = i;
    }
    return numbers;
}

/* How much memory of this process is resident, in bytes. */
static inline int64_t bench_resident(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    long long kilobytes = -1;
    char line[256];

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %lld kB", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

/* Binds the calling thread to the first of the processors that it may use, or to the last. */
static inline void bench_pin(int last)
{
    cpu_set_t usable, one;
    int chosen = -1;

    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof usable, &usable) < 0)
        return;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &usable) && (last || chosen < 0))
            chosen = i;
    CPU_SET(chosen, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* ---- latencies, counted in buckets: 32 for each power of two, so a bucket is 3 % wide ---- */

enum { BENCH_SUB_BITS = 5 };

typedef struct bench_histogram {
    uint64_t total;
    uint64_t buckets[64 << BENCH_SUB_BITS];
} bench_histogram;

static inline void bench_count(bench_histogram *histogram, int64_t nanoseconds)
{
    uint64_t value = (uint64_t)nanoseconds;
    unsigned shift = value >> BENCH_SUB_BITS ? 63 - (unsigned)__builtin_clzll(value) - BENCH_SUB_BITS : 0;

    histogram->total++;
    histogram->buckets[(shift << BENCH_SUB_BITS) + (unsigned)(value >> shift)]++;
}

/* The upper end of the bucket below which this part of all latencies lies, in microseconds. */
static inline double bench_percentile(const bench_histogram *histogram, double part)
{
    uint64_t below = 0, wanted = (uint64_t)((double)histogram->total * part);

    for (uint64_t i = 0; i < sizeof histogram->buckets / sizeof *histogram->buckets; i++) {
        below += histogram->buckets[i];
        if (below > wanted) {
            uint64_t shift = i >> BENCH_SUB_BITS > 0 ? (i >> BENCH_SUB_BITS) - 1 : 0;

            return (double)((i + 1 - (shift << BENCH_SUB_BITS)) << shift) / 1000;
        }
    }
    return 0;
}

#endif
