/*
 * test_fallback.c - which backend is taken: by name, by environment, by what the kernel permits. Runs with no backend
 * forced from outside.
 */
#include <grp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "ringport/loop.h"
#include "harness/hide.h"
#include "harness/support.h"

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

static void stop_when_received(rp_op *op)
{
    rp_loop_stop(op->data);
}

/* A loop of whatever backend works: a connection's bytes pass, a thread wakes it. */
static void exchange(rp_loop *loop)
{
    char bytes[4] = "";
    int fds[2];
    rp_op recv_op, send_op;

    unix_pair(fds);
    rp_op_recv(&recv_op, fds[0], bytes, sizeof bytes, 0, stop_when_received, loop);
    rp_op_send(&send_op, fds[1], "abcd", 4, 0, NULL, NULL);
    CHECK_INT(rp_submit(loop, &recv_op), ==, 0);
    CHECK_INT(rp_submit(loop, &send_op), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK(memcmp(bytes, "abcd", 4) == 0);
    close_pair(fds);
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

TEST(not_for_this_user)
{
    try_refused(EACCES);
}

/* Rings count as locked memory on some kernels, and there is a limit to that. */
TEST(no_locked_memory)
{
    try_refused(ENOMEM);
}

/* Where there is not enough for a large ring, a small one does. */
TEST(little_locked_memory)
{
    rp_loop_stats stats;
    rp_proactor *port;
    rp_loop *loop;
    int rc = rp_proactor_open("io_uring", NULL, &port);

    if (rc < 0)
        SKIP("io_uring is not to be had: %s", rp_strerror(rc));
    rp_proactor_close(port);
    refuse_call(SYS_io_uring_setup, 0, 4096, ENOMEM);
    unsetenv("RINGPORT_PROACTOR");
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_loop_get_stats(loop, &stats);
    CHECK_STR(stats.backend, "io_uring");
    CHECK(stats.fallback_reason == NULL);
    exchange(loop);
    rp_loop_free(loop);
}

#ifndef RP_HAVE_IO_URING
TEST(a_build_without_io_uring_says_so)
{
    rp_loop_stats stats;
    rp_loop *loop;

    unsetenv("RINGPORT_PROACTOR");
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_loop_get_stats(loop, &stats);
    CHECK_STR(stats.backend, "epoll");
    CHECK_STR(stats.fallback_reason, "io_uring: not in this build");
    rp_loop_free(loop);
    CHECK_INT(rp_loop_new(&(rp_loop_options){.backend = "epoll"}, &loop), ==, 0);
    rp_loop_get_stats(loop, &stats);
    CHECK(stats.fallback_reason == NULL); /* it was asked for */
    rp_loop_free(loop);
}
#endif

/* ---- without privileges ---- */

enum { NOBODY = 65534 };

/* Runs a function in a process that has no privileges, where its checks count: that one's status. */
static int without_privileges(void (*function)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (geteuid() == 0) {
            CHECK_INT(setgroups(0, NULL), ==, 0);
            CHECK_INT(setgid(NOBODY), ==, 0);
            CHECK_INT(setuid(NOBODY), ==, 0);
        }
        function();
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void lock_nothing(void)
{
    static char page[1];
    rp_loop_stats stats;
    rp_loop *loop;

    CHECK_INT(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}), ==, 0);
    /* mlock() itself does nothing under the sanitizers. */
    CHECK_INT(syscall(SYS_mlock, page, sizeof page), ==, -1);
    unsetenv("RINGPORT_PROACTOR");
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_loop_get_stats(loop, &stats);
    CHECK((strcmp(stats.backend, "epoll") == 0) == (stats.fallback_reason != NULL));
    exchange(loop);
    rp_loop_free(loop);
    CHECK_INT(rp_loop_new(&(rp_loop_options){.backend = "epoll"}, &loop), ==, 0);
    exchange(loop);
    rp_loop_free(loop);
}

/* Kernels that count rings as locked memory (before 5.12, and again from 6.14 on) refuse one; others do not mind. */
TEST(nothing_may_be_locked)
{
    CHECK_INT(without_privileges(lock_nothing), ==, 0);
}

static void expect_epoll(void)
{
    rp_loop_options forced = {.backend = "io_uring"};
    rp_loop_stats stats;
    rp_loop *loop;

    unsetenv("RINGPORT_PROACTOR");
    CHECK_INT(rp_loop_new(&forced, &loop), ==, -EPERM);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    rp_loop_get_stats(loop, &stats);
    CHECK_STR(stats.backend, "epoll");
    CHECK_STR(stats.fallback_reason, "io_uring: operation not permitted");
    exchange(loop);
    rp_loop_free(loop);
}

/*
 * The switch is the whole system's: it is moved for a moment, by one test at a time, and no further than to bar those
 * who have no privileges, so that the tests beside this one, which have them, see nothing of it.
 */
TEST(switched_off_for_the_system)
{
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDWR | O_CLOEXEC);
    char before;

    if (!built_with_io_uring())
        SKIP("built without io_uring");
    if (fd < 0)
        SKIP("io_uring_disabled cannot be written: %s", rp_strerror(-errno));
    CHECK_INT(flock(fd, LOCK_EX), ==, 0);
    CHECK_INT(pread(fd, &before, 1, 0), ==, 1);
    if (before == '0' && pwrite(fd, "1", 1, 0) != 1)
        SKIP("io_uring_disabled cannot be written: %s", rp_strerror(-errno));
    int status = without_privileges(expect_epoll);
    CHECK_INT(pwrite(fd, &before, 1, 0), ==, 1);
    CHECK_INT(status, ==, 0);
    close(fd);
}

/* ---- running out ---- */

/* Of the heap, which is not the kernel's ENOMEM. */
TEST(out_of_memory)
{
    rp_proactor *port;

    unsetenv("RINGPORT_PROACTOR");
    test_fail_allocation(1);
    CHECK_INT(rp_proactor_open(NULL, NULL, &port), ==, -ENOMEM);
    CHECK(port == NULL);
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

/* ---- what the other tests rely on ---- */

/* A feature that is hidden is not there: else tests that run without it would show nothing. */
TEST(what_is_hidden_is_not_to_be_had)
{
    struct iovec vector = {.iov_base = &vector, .iov_len = 1};
    struct epoll_event event;
    struct timespec now = {0};
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(page != MAP_FAILED);
    for (int i = 0; hidden_feature(i) != NULL; i++)
        hide_features(hidden_feature(i));
    CHECK(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EPERM);
    CHECK(syscall(SYS_io_uring_register, -1, 31, NULL, 1) < 0 && errno == EINVAL);
    CHECK(epoll_pwait2(-1, &event, 1, &now, NULL) < 0 && errno == ENOSYS);
    CHECK(madvise(page, 4096, 102) < 0 && errno == EINVAL);
    CHECK(madvise(page, 4096, MADV_DONTNEED) == 0);
    CHECK(mprotect(page, 4096, PROT_NONE) < 0 && errno == ENOMEM);
    CHECK(mprotect(page, 4096, PROT_READ) == 0);
    CHECK(preadv2(-1, &vector, 1, 0, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP);
    CHECK(preadv2(-1, &vector, 1, 0, 0) < 0 && errno == EBADF);
    munmap(page, 4096);
}

/* ---- by name and by rank ---- */

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
