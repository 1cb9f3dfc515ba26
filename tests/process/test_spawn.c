/*
 * test_spawn.c - starting a process: options that cannot be, and what is left of a start that fails on its way.
 */
#include "process/spawn.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "harness/children.h"
#include "harness/wrap.h"

static int closed_in_vain;

WRAP(int, close, int fd)
{
    int rc = __real_close(fd);

    if (rc < 0 && errno == EBADF)
        closed_in_vain++;
    return rc;
}

static int spawn_error(const rp_process_options *options)
{
    rp_loop *loop = wire_loop();
    rp_process *process = (rp_process *)&loop;
    int rc = rp_process_spawn(loop, options, NULL, NULL, &process);

    CHECK((process == NULL) == (rc < 0));
    rp_process_unref(process);
    rp_loop_free(loop);
    return rc;
}

TEST(options_that_cannot_be)
{
    const char *const *argv = SHELL("exit 0");
    const char *none[] = {NULL};

    CHECK_INT(spawn_error(&(rp_process_options){0}), ==, -EINVAL);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = none}), ==, -EINVAL);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = none, .program = "/bin/sh"}), ==, -EINVAL);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = argv, .in.kind = RP_STDIO_TO_STDOUT}), ==, -EINVAL);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = argv, .out.kind = RP_STDIO_TO_STDOUT}), ==, -EINVAL);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = argv, .out.kind = (rp_stdio_kind)99}), ==, -EINVAL);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = argv, .in = {RP_STDIO_FD, -1}}), ==, -EBADF);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = argv, .err = {RP_STDIO_FD, 999}}), ==, -EBADF);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = argv, .command_line = "x"}), ==, -ENOTSUP);
}

/* A descriptor that is closed must not become one of the pipes that are made for the child. */
TEST(a_closed_descriptor_is_not_taken_by_a_pipe)
{
    int next = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    rp_loop *loop = wire_loop();
    rp_process *process;

    close(next);
    for (rp_fd fd = next; fd < next + 12; fd++) {
        rp_process_options options = {.argv = SHELL("exit 0"),
                                      .in = {RP_STDIO_FD, fd},
                                      .out.kind = RP_STDIO_PIPE,
                                      .err.kind = RP_STDIO_PIPE};
        if (fcntl(fd, F_GETFD) >= 0)
            continue; /* it is the loop's */
        CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EBADF);
        options.in.kind = RP_STDIO_PIPE;
        options.pass_fds = &fd;
        options.pass_fd_count = 1;
        CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EBADF);
    }
    rp_loop_free(loop);
}

/* ---- starts that fail on their way ---- */

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void check_no_child_is_left(void)
{
    CHECK_INT(waitpid(-1, NULL, WNOHANG), ==, -1);
    CHECK_INT(errno, ==, ECHILD);
}

/* The nth descriptor that is made cannot be had, for each n: those before it are closed, and there is no child. */
TEST(no_more_descriptors)
{
    rp_loop *loop = wire_loop();
    rp_process_options options = {
        .argv = SHELL("exit 3"), .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE, .err.kind = RP_STDIO_PIPE};
    struct rlimit limit;
    int failures = 0, before = count_descriptors(), rc;
    child_end end = {.loop = loop};
    rp_process *process;

    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 0")}, NULL, 0), ==, 0);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    int used = fcntl(0, F_DUPFD_CLOEXEC, 200); /* the limit is the highest number: all below it are taken */
    close(used);
    int taken[200], count = 0;
    while (count < 200 && (taken[count] = fcntl(0, F_DUPFD_CLOEXEC, 0)) < 200)
        count++;
    close(taken[count]);
    for (int room = 0;; room++) {
        limit.rlim_cur = 200 + (rlim_t)room;
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
        rc = rp_process_spawn(loop, &options, child_ended, &end, &process);
        if (rc == 0)
            break;
        CHECK_INT(rc, ==, -EMFILE);
        CHECK(!process);
        check_no_child_is_left();
        failures++;
    }
    CHECK_INT(failures, >=, 7); /* six ends of pipes, and the pidfd */
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, 3);
    rp_process_unref(process);
    limit.rlim_cur = 1000;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    while (count > 0)
        close(taken[--count]);
    CHECK_INT(count_descriptors(), ==, before);
    rp_loop_free(loop);
}

TEST(no_memory)
{
    rp_loop *loop = wire_loop();
    rp_process_options options = {.argv = SHELL("exit 3"), .out.kind = RP_STDIO_PIPE};
    int before = count_descriptors(), failures = 0, rc;
    child_end end = {.loop = loop};
    rp_process *process;

    for (uint64_t nth = 1;; nth++) {
        test_fail_allocation(nth);
        rc = rp_process_spawn(loop, &options, child_ended, &end, &process);
        test_fail_allocation(0);
        if (rc == 0)
            break;
        CHECK_INT(rc, ==, -ENOMEM);
        CHECK(!process);
        CHECK_INT(count_descriptors(), ==, before);
        check_no_child_is_left();
        failures++;
    }
    CHECK_INT(failures, >, 0);
    rp_future *future;
    test_fail_allocation(1);
    CHECK_INT(rp_process_wait(process, &future), ==, -ENOMEM);
    CHECK(!future);
    test_fail_allocation(0);
    child_wait(loop, &end);
    rp_process_unref(process);
    rp_loop_free(loop);
}

/* Whatever the child fails at, its pipes are closed, it is reaped, and the error says what it was. */
TEST(failures_in_the_child)
{
    const struct failure {
        rp_process_options options;
        rp_spawn_step step;
        int error;
    } failures[] = {
        {{.argv = SHELL("exit 0"), .cwd = "/no/such"}, RP_SPAWN_CHDIR, -ENOENT},
        {{.argv = (const char *const[]){"/no/such", NULL}}, RP_SPAWN_EXECUTE, -ENOENT},
        {{.argv = (const char *const[]){"no-such-program", NULL}}, RP_SPAWN_EXECUTE, -ENOENT},
        {{.argv = (const char *const[]){"/etc/passwd", NULL}}, RP_SPAWN_EXECUTE, -EACCES},
        {{.argv = SHELL("exit 0"), .flags = RP_PROCESS_GROUP, .process_group = 1}, RP_SPAWN_PREPARE, -EPERM},
    };
    int before = count_descriptors();

    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        rp_process_options options = failures[i].options;
        rp_spawn_step step;
        rp_spawned spawned;

        options.in.kind = options.out.kind = options.err.kind = RP_STDIO_PIPE;
        CHECK_INT(rp_spawn(&options, &spawned, &step), ==, failures[i].error);
        CHECK_INT(step, ==, failures[i].step);
        CHECK_INT(count_descriptors(), ==, before);
        check_no_child_is_left();
    }
}

/* What is closed twice may be another thread's by then. */
TEST(a_start_that_fails_closes_each_descriptor_once)
{
    const char *none[] = {"/no/such", NULL};

    closed_in_vain = 0;
    CHECK_INT(spawn_error(&(rp_process_options){
                  .argv = none, .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE, .err.kind = RP_STDIO_PIPE}),
              ==, -ENOENT);
    CHECK_INT(closed_in_vain, ==, 0);
}

TEST(arguments_that_are_too_long)
{
    size_t size = 8 * 1024 * 1024;
    char *text = malloc(size);

    memset(text, 'x', size - 1);
    text[size - 1] = '\0';
    CHECK_INT(spawn_error(&(rp_process_options){.argv = (const char *[]){"/bin/true", text, NULL}}), ==, -E2BIG);
    free(text);
    check_no_child_is_left();
}

TEST(no_more_processes)
{
    struct rlimit usual, limit;

    if (geteuid() == 0)
        CHECK_INT(setresuid(54321, 54321, 54321), ==, 0); /* root has no such limit */
    CHECK_INT(getrlimit(RLIMIT_NPROC, &usual), ==, 0);
    limit = usual;
    limit.rlim_cur = 0;
    CHECK_INT(setrlimit(RLIMIT_NPROC, &limit), ==, 0);
    CHECK_INT(spawn_error(&(rp_process_options){.argv = SHELL("exit 0"), .in.kind = RP_STDIO_PIPE}), ==, -EAGAIN);
    check_no_child_is_left();
    CHECK_INT(setrlimit(RLIMIT_NPROC, &usual), ==, 0);
}
