/* executor.c - blocking work on threads, while a task on the loop goes on ticking. */
#include <ringport.h>
#include <stdio.h>

enum { JOBS = 4 };

typedef struct sum {
    unsigned from, to;
    unsigned long long result;
} sum;

/* Runs on a thread: slow, and not allowed to touch the loop. */
static int add_up(void *arg)
{
    sum *s = arg;

    for (int64_t end = rp_monotonic() + RP_MSEC(50); rp_monotonic() < end;)
        ; /* it thinks */
    for (unsigned i = s->from; i < s->to; i++)
        s->result += i;
    return 0;
}

static int tick(rp_co *co, void *arg)
{
    int *ticks = arg;

    for (;; ++*ticks)
        RP_TRY(rp_sleep(co, RP_MSEC(5)));
}

static int run_job(rp_co *co, void *arg)
{
    return rp_to_thread(co, add_up, arg);
}

static int run(rp_co *co, void *arg)
{
    sum sums[JOBS] = {{0}};
    rp_task *ticker;
    rp_group group;
    unsigned long long total = 0;
    int ticks = 0, rc = 0;

    (void)arg;
    RP_TRY(rp_create_task(&ticker, tick, &ticks));
    rp_group_begin(co, &group);
    for (unsigned i = 0; i < JOBS && rc == 0; i++) {
        sums[i] = (sum){.from = i * 1000, .to = (i + 1) * 1000};
        rc = rp_group_create_task(&group, NULL, run_job, &sums[i]);
    }
    rc = rp_group_end(co, &group, rc);
    rp_cancel_and_join(co, ticker);
    for (int i = 0; i < JOBS; i++)
        total += sums[i].result;
    printf("%d jobs: sum %llu, and the loop ticked %s\n", JOBS, total, ticks > 0 ? "on" : "not at all");
    return rc;
}

int main(void)
{
    return rp_run(run, NULL) < 0;
}
