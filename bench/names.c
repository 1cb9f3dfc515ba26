/*
 * names.c - names COUNT SECONDS: so many names at once, each of which takes so long, and a function on the default
 * executor meanwhile, again and again: what one takes in the median.
 */
#include <ringport.h>

#include "slow_names.h"

typedef struct question {
    int number;
} question;

static int look_up(rp_co *co, void *arg)
{
    struct addrinfo *list;
    char host[32];

    snprintf(host, sizeof host, "slow-%d", ((question *)arg)->number);
    RP_TRY(rp_getaddrinfo(co, &list, host, "80", NULL));
    freeaddrinfo(list);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

enum { JOBS = 21 };

static int by_time(const void *a, const void *b)
{
    return (*(const int64_t *)a > *(const int64_t *)b) - (*(const int64_t *)a < *(const int64_t *)b);
}

static double median_job(rp_co *co)
{
    int64_t took[JOBS];

    for (int i = 0; i < JOBS; i++) {
        took[i] = -bench_now();
        bench_check(rp_to_thread(co, nothing, NULL), "rp_to_thread");
        took[i] += bench_now();
    }
    qsort(took, JOBS, sizeof *took, by_time);
    return (double)took[JOBS / 2] / 1e6;
}

static int measure(rp_co *co, void *arg)
{
    int64_t begun = bench_now();
    double job_ms;
    rp_group group;

    rp_group_begin(co, &group);
    for (int i = 0; i < *(int *)arg; i++)
        bench_check(rp_group_create_task_copy(&group, NULL, look_up, &(question){i}, sizeof(question)), "a task");
    bench_check(rp_sleep(co, RP_MSEC(50)), "rp_sleep"); /* until all have begun */
    job_ms = median_job(co);
    bench_check(rp_group_end(co, &group, 0), "a lookup");
    printf("{\"wall_s\": %.3f, \"job_ms\": %.3f}\n", (double)(bench_now() - begun) / 1e9, job_ms);
    return 0;
}

int main(int argc, char **argv)
{
    int count;

    if (argc != 3)
        bench_die("names COUNT SECONDS");
    count = atoi(argv[1]);
    slow_seconds = atof(argv[2]);
    return rp_run(measure, &count) < 0;
}
