/*
 * names_uv.c - the same by libuv, whose names and functions share a pool of four threads: the peer of names.c.
 */
#include <uv.h>

#include "slow_names.h"

enum { MOST = 100 };

static int64_t begun, asked;
static double job_ms;
static int left;

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    (void)request;
    bench_check(status, "uv_getaddrinfo");
    uv_freeaddrinfo(list);
    left--;
}

static void nothing(uv_work_t *work)
{
    (void)work;
}

static void on_job(uv_work_t *work, int status)
{
    (void)work;
    bench_check(status, "uv_queue_work");
    job_ms = (double)(bench_now() - asked) / 1e6;
}

static void on_time(uv_timer_t *timer)
{
    static uv_work_t work;

    asked = bench_now();
    bench_check(uv_queue_work(timer->loop, &work, nothing, on_job), "uv_queue_work");
    uv_close((uv_handle_t *)timer, NULL);
}

int main(int argc, char **argv)
{
    static uv_getaddrinfo_t requests[MOST];
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t timer;
    char host[32];

    if (argc != 3 || (left = atoi(argv[1])) > MOST)
        bench_die("names_uv COUNT SECONDS");
    slow_seconds = atof(argv[2]);
    begun = bench_now();
    for (int i = 0; i < left; i++) {
        snprintf(host, sizeof host, "slow-%d", i);
        bench_check(uv_getaddrinfo(loop, &requests[i], on_answer, host, "80", NULL), "uv_getaddrinfo");
    }
    bench_check(uv_timer_init(loop, &timer), "uv_timer_init");
    bench_check(uv_timer_start(&timer, on_time, 50, 0), "uv_timer_start");
    bench_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
    printf("{\"wall_s\": %.3f, \"job_ms\": %.3f}\n", (double)(bench_now() - begun) / 1e9, job_ms);
    return 0;
}
