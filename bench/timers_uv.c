/*
 * timers_uv.c - 1,000,000 timers of libuv at random times within an hour, inserted, then cancelled in random order:
 * timers.c's peer.
 */
#include <uv.h>

#include "bench.h"

enum { TIMERS = 1000 * 1000 };

static void never(uv_timer_t *timer)
{
    (void)timer;
    bench_die("a timer ran that was cancelled");
}

int main(void)
{
    uv_timer_t *timers = bench_alloc(TIMERS * sizeof *timers);
    uint32_t *order = bench_shuffled(TIMERS);
    uint64_t seed = BENCH_SEED;
    int64_t begun, middle;

    for (int i = 0; i < TIMERS; i++)
        uv_timer_init(uv_default_loop(), &timers[i]);
    begun = bench_now();
    for (int i = 0; i < TIMERS; i++)
        uv_timer_start(&timers[i], never, 60000 + bench_random(&seed) % 3600000, 0);
    middle = bench_now();
    for (int i = 0; i < TIMERS; i++)
        uv_timer_stop(&timers[order[i]]);
    printf("{\"ns_per_timer\": %.2f, \"ns_per_insert\": %.2f, \"ns_per_cancel\": %.2f}\n",
           (double)(bench_now() - begun) / TIMERS, (double)(middle - begun) / TIMERS,
           (double)(bench_now() - middle) / TIMERS);
    free(order);
    return 0; /* without closing a million handles */
}
