/*
 * wakeup.c - two loops in two threads wake each other in turns: how long there and back takes when both sleep, each on
 * a processor of its own. The peer is wakeup_uv.c.
 */
#include <pthread.h>
#include <ringport.h>

#include "bench.h"

enum { WARM_UP = 200, ROUNDS = 3000 };

typedef struct side {
    rp_loop *loop;
    rp_handle handle;
} side;

static side here, there;
static int rounds;
static int64_t begun;
static bool over;

static void post(side *to, rp_callback *callback)
{
    bench_check(rp_call_soon_threadsafe(to->loop, &to->handle, callback, NULL), "rp_call_soon_threadsafe");
}

static void hit_here(void *arg);

static void hit_there(void *arg)
{
    (void)arg;
    if (over)
        rp_loop_stop(there.loop);
    post(&here, hit_here);
}

static void hit_here(void *arg)
{
    (void)arg;
    if (over) {
        rp_loop_stop(here.loop);
        return;
    }
    if (++rounds == WARM_UP)
        begun = bench_now();
    if (rounds == WARM_UP + ROUNDS) {
        printf("{\"us_per_round_trip\": %.2f}\n", (double)(bench_now() - begun) / 1000 / ROUNDS);
        over = true;
    }
    post(&there, hit_there);
}

static void *run_there(void *arg)
{
    bench_pin(1);
    bench_check(rp_run_forever(there.loop), "rp_run_forever");
    return arg;
}

int main(void)
{
    pthread_t thread;

    bench_check(rp_loop_new(NULL, &here.loop), "rp_loop_new");
    bench_check(rp_loop_new(NULL, &there.loop), "rp_loop_new");
    bench_check(-pthread_create(&thread, NULL, run_there, NULL), "pthread_create");
    bench_pin(0);
    post(&there, hit_there);
    bench_check(rp_run_forever(here.loop), "rp_run_forever");
    pthread_join(thread, NULL);
    rp_loop_free(there.loop);
    rp_loop_free(here.loop);
    return 0;
}
