/*
 * test_fallback.c - which backend is taken: by name, by environment, by what the kernel permits. Runs with no backend
 * forced from outside.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "ringport/loop.h"
#include "seccomp.h"
#include "support.h"

/* As a container's profile does. */
static void refuse_io_uring(int error)
{
    refuse_call(SYS_io_uring_setup, -1, 0, error);
    unsetenv("RINGPORT_PROACTOR");
    unsetenv("RINGPORT_DEBUG");
}

static bool built_with_io_uring(void)
{
    rp_proactor *port;
    int rc = rp_proactor_open("io_uring", NULL, &port);

    if (rc == 0)
        rp_proactor_close(port);
    return rc != -ENOTSUP;
}

static void stop(void *arg)
{
    rp_loop_stop(arg);
}

static rp_loop *debug_loop;

static void make_debug_loop(void)
{
    rp_loop_options options = {.debug = true};

    CHECK_INT(rp_loop_new(&options, &debug_loop), ==, 0);
}

static const char *written_by(void (*function)(void))
{
    static char text[1024];
    int fds[2], saved = dup(STDERR_FILENO);

    CHECK_INT(pipe(fds), ==, 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    function();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = read(fds[0], text, sizeof text - 1);
    CHECK_INT(n, >=, 0);
    text[n] = '\0';
    close(fds[0]);
    return text;
}

static void try_refused(int error)
{
    char expected[64];
    rp_loop_options forced = {.backend = "io_uring"};
    rp_loop_stats stats;
    rp_loop *loop;

    if (!built_with_io_uring())
        SKIP("built without io_uring");
    refuse_io_uring(error);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    CHECK_STR(rp_loop_backend_name(loop), "epoll");
    rp_loop_get_stats(loop, &stats);
    CHECK_STR(stats.backend, "epoll");
    snprintf(expected, sizeof expected, "io_uring: %s", rp_strerror(-error));
    CHECK_STR(stats.fallback_reason, expected);
    CHECK_STR(rp_proactor_fallback_reason(rp_loop_proactor(loop)), expected);
    CHECK_INT(rp_call_soon(loop, NULL, stop, loop), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    rp_loop_free(loop);

    const char *text = written_by(make_debug_loop);
    CHECK(strstr(text, "epoll") != NULL && strstr(text, expected) != NULL);
    rp_loop_free(debug_loop);

    CHECK_INT(rp_loop_new(&forced, &loop), ==, -error);
    CHECK(loop == NULL);
    setenv("RINGPORT_PROACTOR", "io_uring", 1);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, -error);
    setenv("RINGPORT_PROACTOR", "epoll", 1);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_loop_get_stats(loop, &stats);
    CHECK(stats.fallback_reason == NULL); /* it was asked for */
    rp_loop_free(loop);
}

TEST(not_permitted)
{
    try_refused(EPERM);
}

TEST(no_such_call)
{
    try_refused(ENOSYS);
}

/* A kernel that has io_uring, but not the flags that make it worth while. */
TEST(too_old)
{
    try_refused(EINVAL);
}

/* To run out is no reason to fall back: the other one would run out too. */
TEST(out_of_descriptors)
{
    int free_number = dup(STDERR_FILENO);
    struct rlimit limit;
    rp_loop *loop;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    limit.rlim_cur = (rlim_t)free_number;
    unsetenv("RINGPORT_PROACTOR");
    close(free_number);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, -EMFILE);
    setenv("RINGPORT_PROACTOR", "epoll", 1);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, -EMFILE);
    limit.rlim_cur = limit.rlim_max; /* for the leak checker */
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

TEST(by_name)
{
    rp_proactor *port;

    setenv("RINGPORT_PROACTOR", "epoll", 1);
    CHECK_INT(rp_proactor_open("no such thing", NULL, &port), ==, -EINVAL);
    CHECK(port == NULL);
    CHECK_INT(rp_proactor_open("", NULL, &port), ==, 0); /* no name: not even the environment's */
    rp_proactor_close(port);
    CHECK_INT(rp_proactor_open("iocp", NULL, &port), ==, -ENOTSUP);
    CHECK_INT(rp_proactor_open("epoll", NULL, &port), ==, 0);
    CHECK_STR(rp_proactor_name(port), "epoll");
    rp_proactor_close(port);
}

TEST(by_environment)
{
    struct {
        const char *name;
        int rc;
    } cases[] = {{"epoll", 0}, {"", 0}, {"EPOLL", -EINVAL}, {"kqueue", -EINVAL}, {"iocp", -ENOTSUP}};
    rp_loop *loop;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("RINGPORT_PROACTOR", cases[i].name, 1);
        CHECK_INT(rp_loop_new(NULL, &loop), ==, cases[i].rc);
        rp_loop_free(loop);
    }
    rp_loop_options options = {.backend = "epoll"}; /* the option goes before the environment */
    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    CHECK_STR(rp_loop_backend_name(loop), "epoll");
    rp_loop_free(loop);
}

TEST(best_first)
{
    rp_loop *loop;
    rp_proactor *port;

    unsetenv("RINGPORT_PROACTOR");
    int rc = rp_proactor_open("io_uring", NULL, &port);
    if (rc == 0)
        rp_proactor_close(port);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    CHECK_STR(rp_loop_backend_name(loop), rc == 0 ? "io_uring" : "epoll");
    rp_loop_free(loop);
}
