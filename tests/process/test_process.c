/*
 * test_process.c - child processes as objects of a loop: their start, their end, who waits for it, signals to them.
 */
#include "harness/children.h"

TEST(exit_codes)
{
    rp_loop *loop = wire_loop();

    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 0")}, NULL, 0), ==, 0);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 7")}, NULL, 0), ==, 7);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 255")}, NULL, 0), ==, 255);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("kill -9 $$")}, NULL, 0), ==, -SIGKILL);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("kill -15 $$")}, NULL, 0), ==, -SIGTERM);
    rp_loop_free(loop);
}

TEST(what_is_known_of_it)
{
    rp_loop *loop = wire_loop();
    rp_process_options options = {.argv = SHELL("read line; exit 3"), .in.kind = RP_STDIO_PIPE};
    child_end end;
    int code = 99;
    rp_process *process = child_start(loop, &options, &end);
    int64_t pid = rp_process_pid(process);

    CHECK_INT(kill((pid_t)pid, 0), ==, 0);
    CHECK_INT(rp_process_returncode(process, &code), ==, RP_EINVALIDSTATE);
    CHECK_INT(code, ==, 99);
    CHECK_INT(rp_process_take_pipe(process, 1), ==, -1);
    CHECK_INT(rp_process_take_pipe(process, 3), ==, -1);
    CHECK_INT(rp_process_take_pipe(process, -1), ==, -1);
    rp_fd in = rp_process_take_pipe(process, 0);
    CHECK_INT(in, >=, 3);
    CHECK_INT(fcntl(in, F_GETFD) & FD_CLOEXEC, !=, 0);
    CHECK_INT(fcntl(in, F_GETFL) & O_NONBLOCK, !=, 0);
    CHECK_INT(rp_process_take_pipe(process, 0), ==, -1); /* it was taken */
    wire_settle(loop);
    CHECK_INT(end.count, ==, 0);
    close(in);
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, 3);
    CHECK_INT(rp_process_returncode(process, NULL), ==, 0);
    CHECK_INT(rp_process_pid(process), ==, pid);
    CHECK_INT(waitpid((pid_t)pid, NULL, WNOHANG), ==, -1);
    rp_process_unref(process);
    rp_process_unref(NULL);
    rp_loop_free(loop);
}

TEST(no_such_program)
{
    rp_loop *loop = wire_loop();
    rp_process *process = (rp_process *)&loop;

    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = (const char *[]){"/no/such/program", NULL}},
                               NULL, NULL, &process),
              ==, -ENOENT);
    CHECK(!process);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), ==, -1); /* the child that has failed was reaped */
    CHECK_INT(errno, ==, ECHILD);
    rp_loop_free(loop);
}
