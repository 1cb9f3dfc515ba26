/*
 * timers.c - 1,000,000 timers at random times within an hour, inserted, then cancelled in random order. The peer is
 * timers_uv.c.
 */
#include <ringport.h>

#include "bench.h"

enum { TIMERS = 1000 * 1000 };

static void never(void *arg)
{
    (void)arg;
    bench_die("a timer ran that was cancelled");
}

int main(void)
{
    rp_timer *timers = bench_alloc(TIMERS * sizeof *timers);
    uint32_t *order = bench_shuffled(TIMERS);
    uint64_t seed = BENCH_SEED;
    int64_t base, begun, middle;
    rp_loop *loop;

    bench_touch(timers, TIMERS * sizeof *timers);
    bench_check(rp_loop_new(NULL, &loop), "rp_loop_new");
    base = rp_loop_time(loop) + RP_SEC(60);
    begun = bench_now();
    for (int i = 0; i < TIMERS; i++)
        rp_call_at(loop, &timers[i], base + RP_MSEC(bench_random(&seed) % 3600000), never, NULL);
    middle = bench_now();
    for (int i = 0; i < TIMERS; i++)
        rp_timer_cancel(&timers[order[i]]);
    printf("{\"ns_per_timer\": %.2f, \"ns_per_insert\": %.2f, \"ns_per_cancel\": %.2f}\n",
           (double)(bench_now() - begun) / TIMERS, (double)(middle - begun) / TIMERS,
           (double)(bench_now() - middle) / TIMERS);
    rp_loop_free(loop);
    free(timers);
    free(order);
    return 0;
}
