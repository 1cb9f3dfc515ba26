/*
 * processes_uv.c - processes_uv COUNT MIB: the same by uv_spawn(): the peer of processes.c.
 */
#include <uv.h>

#include "processes.h"

static uv_process_t process;
static int left;

static void start_next(void);

static void on_close(uv_handle_t *handle)
{
    (void)handle;
    if (--left > 0)
        start_next();
}

static void on_exit_(uv_process_t *ended, int64_t status, int signal)
{
    if (status != 0 || signal != 0)
        bench_die("the child ended with %d", (int)status);
    uv_close((uv_handle_t *)ended, on_close);
}

static void start_next(void)
{
    uv_stdio_container_t stdio[3];
    uv_process_options_t options = {
        .file = bench_true[0], .args = (char **)bench_true, .exit_cb = on_exit_, .stdio = stdio, .stdio_count = 3};

    for (int i = 0; i < 3; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = i;
    }
    bench_check(uv_spawn(uv_default_loop(), &process, &options), "uv_spawn");
}

static void run(int count)
{
    left = count;
    start_next();
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    int count = bench_processes_begin(argc, argv);

    run(WARM_UP);
    int64_t begun = bench_now();
    run(count);
    bench_processes_end(begun, count);
    return 0;
}
