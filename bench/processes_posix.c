/*
 * processes_posix.c - processes_posix COUNT MIB: the same by posix_spawn() and waitpid(), without a loop: the floor of
 * processes.c.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "processes.h"

extern char **environ;

static void run(int count)
{
    for (int i = 0; i < count; i++) {
        pid_t pid;
        int status;

        bench_check(-posix_spawn(&pid, bench_true[0], NULL, NULL, (char *const *)bench_true, environ),
                    "posix_spawn");
        bench_check(waitpid(pid, &status, 0), "waitpid");
        if (status != 0)
            bench_die("the child ended with %d", status);
    }
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
