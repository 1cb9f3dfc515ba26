/*
 * sleepers.c - sleepers [COUNT]: so many tasks (1,000,000) asleep at once, how much memory is resident for each, and
 * how long each takes to come to sleep. All of them are cancelled and joined in the end: it must work, too.
 */
#include <ringport.h>

#include "bench.h"

static uint32_t count = 1000 * 1000, asleep, woken;

static int sleeper(rp_co *co, void *arg)
{
    int rc;

    (void)arg;
    asleep++;
    rc = rp_sleep(co, RP_SEC(3600));
    woken++;
    return rc;
}

static int measure(rp_co *co, void *arg)
{
    rp_task **tasks = bench_alloc(count * sizeof *tasks);
    int64_t before, begun;

    (void)arg;
    bench_touch(tasks, count * sizeof *tasks); /* this program's own memory is not the tasks' */
    before = bench_resident();
    begun = bench_now();
    for (uint32_t i = 0; i < count; i++)
        bench_check(rp_create_task(&tasks[i], sleeper, NULL), "rp_create_task");
    while (asleep < count)
        RP_TRY(rp_sleep(co, 0));
    printf("{\"ns_per_task\": %.1f, \"bytes_per_task\": %.1f}\n", (double)(bench_now() - begun) / count,
           (double)(bench_resident() - before) / count);
    for (uint32_t i = 0; i < count; i++)
        rp_task_cancel(tasks[i]);
    for (uint32_t i = 0; i < count; i++)
        if (rp_join(co, tasks[i]) != RP_EFUTCANCELED)
            bench_die("a task that was cancelled did not end by that");
    free(tasks);
    return woken == count ? 0 : -EBADMSG;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        count = (uint32_t)strtoul(argv[1], NULL, 10);
    bench_check(rp_run(measure, NULL), "rp_run");
    return 0;
}
