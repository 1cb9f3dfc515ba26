/*
 * processes.c - processes COUNT MIB: child processes one after the other, each started and waited for, by a parent that
 * has so much memory. The peers are processes_posix.c and processes_uv.c.
 */
#include <ringport.h>

#include "processes.h"

static rp_loop *loop;
static const rp_process_options options = {.argv = bench_true};
static int left;

static void start_next(void);

static void on_exit_(rp_process *process, void *arg)
{
    int code;

    (void)arg;
    bench_check(rp_process_returncode(process, &code), "rp_process_returncode");
    rp_process_unref(process);
    if (code != 0)
        bench_die("the child ended with %d", code);
    if (--left > 0)
        start_next();
    else
        rp_loop_stop(loop);
}

static void start_next(void)
{
    rp_process *process;

    bench_check(rp_process_spawn(loop, &options, on_exit_, NULL, &process), "rp_process_spawn");
}

static void run(int count)
{
    left = count;
    start_next();
    bench_check(rp_run_forever(loop), "rp_run_forever");
}

int main(int argc, char **argv)
{
    int count = bench_processes_begin(argc, argv);

    bench_check(rp_loop_new(NULL, &loop), "rp_loop_new");
    run(WARM_UP);
    int64_t begun = bench_now();
    run(count);
    bench_processes_end(begun, count);
    rp_loop_free(loop);
    return 0;
}
