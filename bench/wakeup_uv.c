/*
 * wakeup_uv.c - two loops of libuv in two threads wake each other in turns by uv_async_send, each on a processor of its
 * own: the peer of wakeup.c.
 */
#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

#include "bench.h"

enum { WARM_UP = 200, ROUNDS = 3000 };

typedef struct side {
    uv_loop_t loop;
    uv_async_t async;
} side;

static side here, there;
static int rounds;
static int64_t begun;
static bool over;

static void hit_there(uv_async_t *async)
{
    if (over)
        uv_stop(async->loop);
    uv_async_send(&here.async);
}

static void hit_here(uv_async_t *async)
{
    if (over) {
        uv_stop(async->loop);
        return;
    }
    if (++rounds == WARM_UP)
        begun = bench_now();
    if (rounds == WARM_UP + ROUNDS) {
        printf("{\"us_per_round_trip\": %.2f}\n", (double)(bench_now() - begun) / 1000 / ROUNDS);
        over = true;
    }
    uv_async_send(&there.async);
}

static void *run_there(void *arg)
{
    bench_pin(1);
    uv_run(&there.loop, UV_RUN_DEFAULT);
    return arg;
}

int main(void)
{
    pthread_t thread;

    bench_check(uv_loop_init(&here.loop), "uv_loop_init");
    bench_check(uv_loop_init(&there.loop), "uv_loop_init");
    bench_check(uv_async_init(&here.loop, &here.async, hit_here), "uv_async_init");
    bench_check(uv_async_init(&there.loop, &there.async, hit_there), "uv_async_init");
    bench_check(-pthread_create(&thread, NULL, run_there, NULL), "pthread_create");
    bench_pin(0);
    uv_async_send(&there.async);
    uv_run(&here.loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    return 0;
}
