/*
 * tasks.c - what a turn of a task costs (sleep(0), 1,000 tasks taking turns), and a task's whole life (create, run,
 * join; one after the other). The peer is tasks.go, with goroutines.
 */
#include <ringport.h>

#include "bench.h"

enum { TASKS = 1000, TURNS = 2000, LIVES = 1000 * 1000 };

static int yield(rp_co *co, void *arg)
{
    (void)arg;
    for (int i = 0; i < TURNS; i++)
        RP_TRY(rp_sleep(co, 0));
    return 0;
}

static int end_at_once(rp_co *co, void *arg)
{
    (void)co, (void)arg;
    return 0;
}

static int measure(rp_co *co, void *arg)
{
    int64_t begun = bench_now(), middle;
    rp_group group;
    int rc = 0;

    (void)arg;
    rp_group_begin(co, &group);
    for (int i = 0; i < TASKS && rc == 0; i++)
        rc = rp_group_create_task(&group, NULL, yield, NULL);
    RP_TRY(rp_group_end(co, &group, rc));
    middle = bench_now();
    for (int i = 0; i < LIVES; i++) {
        rp_task *task;

        RP_TRY(rp_create_task(&task, end_at_once, NULL));
        RP_TRY(rp_join(co, task));
    }
    printf("{\"ns_per_turn\": %.2f, \"ns_per_life\": %.2f}\n", (double)(middle - begun) / TASKS / TURNS,
           (double)(bench_now() - middle) / LIVES);
    return 0;
}

int main(void)
{
    bench_check(rp_run(measure, NULL), "rp_run");
    return 0;
}
