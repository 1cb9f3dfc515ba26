/*
 * co_test.c - runs a test's body as the main task of a loop of its own, and fails it if it leaves other tasks behind.
 */
#include "harness/co_test.h"

typedef struct co_test {
    void (*body)(rp_co *co);
    const char *file;
    int line;
} co_test;

static int run_body(rp_co *co, void *arg)
{
    const co_test *test = arg;
    rp_task *tasks[2];

    test->body(co);
    if (rp_all_tasks(rp_co_loop(co), tasks, 2) > 1)
        test_fail(test->file, test->line, "a task is left: '%s'",
                  rp_task_get_name(tasks[tasks[0] == rp_co_task(co)]));
    return 0;
}

void co_test_run(void (*body)(rp_co *co), const char *file, int line)
{
    int rc = rp_run(run_body, &(co_test){body, file, line});

    if (rc != 0)
        test_fail_int(file, line, "rp_run(), ==, 0", rc, 0);
}
