/*
 * test_proactor.c - what every backend does: each operation completes once, what is bad is refused, nothing leaks.
 */
#include "proactor/proactor.h"
#include "harness/support.h"

TEST(names)
{
    rp_proactor *port = open_port();

    CHECK_STR(rp_proactor_name(port), test_backend());
    CHECK(rp_proactor_fallback_reason(port) == NULL);
    rp_proactor_close(port);
    rp_proactor_close(NULL);
}

TEST(nothing_to_do)
{
    rp_proactor *port = open_port();
    rp_completion completion;

    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 0);
    CHECK_INT(rp_proactor_wait(port, &completion, 0, 0), ==, -EINVAL);
    CHECK_INT(rp_proactor_wait(port, &completion, -1, 0), ==, -EINVAL);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 1), ==, 0); /* long past */
    CHECK_INT(rp_proactor_wait(port, &completion, 1, INT64_MIN), ==, 0);
    int64_t deadline = rp_monotonic() + RP_MSEC(3);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, deadline), ==, 0);
    CHECK_INT(rp_monotonic(), >=, deadline);
    rp_proactor_close(port);
}

TEST(one_completion_each)
{
    enum { COUNT = 300 };
    rp_proactor *port = open_port();
    rp_op ops[COUNT];

    for (int i = 0; i < COUNT; i++) {
        rp_op_nop(&ops[i], NULL, NULL);
        submit(port, &ops[i]);
        CHECK_INT(rp_proactor_submit(port, &ops[i]), ==, -EBUSY);
    }
    CHECK_INT(port->in_flight, ==, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(finish(port, &ops[i]), ==, 0);
    CHECK_INT(pending_count, ==, 0);
    CHECK_INT(port->in_flight, ==, 0);
    stays_quiet(port);
    CHECK_INT(perform(port, &ops[7]), ==, 0); /* as it is, again */
    rp_proactor_close(port);
}

TEST(one_completion_at_a_time)
{
    rp_proactor *port = open_port();
    rp_op ops[10];
    int seen[10] = {0};
    rp_completion completion;

    for (int i = 0; i < 10; i++) {
        rp_op_nop(&ops[i], NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < 10; i++) {
        while (rp_proactor_wait(port, &completion, 1, RP_NEVER) == 0)
            ;
        seen[completion.op - ops]++;
    }
    for (int i = 0; i < 10; i++)
        CHECK_INT(seen[i], ==, 1);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 0);
    rp_proactor_close(port);
}

/* Operations that are done at once, over and over, must not keep others from being seen. */
TEST(no_starvation)
{
    rp_proactor *port = open_port();
    rp_completion completions[4];
    rp_op busy[8], waiting;
    char path[] = TEST_TMP "/ringport-test-XXXXXX", bytes[8][4], byte;
    int file = mkstemp(path), fds[2];
    bool seen = false;

    CHECK_INT(file, >=, 0);
    unlink(path);
    CHECK_INT(write(file, "text", 4), ==, 4);
    unix_pair(fds);
    rp_op_recv(&waiting, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &waiting);
    CHECK_INT(rp_proactor_wait(port, completions, 4, 0), ==, 0);
    for (int i = 0; i < 8; i++) {
        rp_op_read(&busy[i], file, bytes[i], 4, 0, NULL, NULL);
        submit(port, &busy[i]);
    }
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    for (int turn = 0; turn < 1000 && !seen; turn++) {
        int n = rp_proactor_wait(port, completions, 4, RP_NEVER);
        for (int i = 0; i < n; i++)
            if (completions[i].op == &waiting)
                seen = true;
            else
                submit(port, completions[i].op);
    }
    CHECK(seen);
    rp_proactor_close(port);
    close_pair(fds);
    close(file);
}

TEST(bad_operations)
{
    rp_proactor *port = open_port();
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    op.kind = RP_OP_KINDS_;
    CHECK_INT(rp_proactor_submit(port, &op), ==, -EINVAL);
    op.kind = 255;
    CHECK_INT(rp_proactor_submit(port, &op), ==, -EINVAL);
    CHECK_INT(port->in_flight, ==, 0);
    rp_op_nop(&op, NULL, NULL);
    rp_proactor_cancel(port, &op); /* not in flight: ignored */
    CHECK_INT(perform(port, &op), ==, 0);
    rp_proactor_cancel(port, &op);
    stays_quiet(port);
    rp_proactor_close(port);
}

TEST(bad_descriptors)
{
    static const int fds[] = {-1, 987, 1999999999};
    rp_proactor *port = open_port();
    char bytes[4] = "";
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    struct sockaddr_in address = {.sin_family = AF_INET};
    rp_op op;

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        int fd = fds[i];

        rp_op_accept(&op, fd, NULL, NULL, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_accept_multi(&op, fd, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_recv(&op, fd, bytes, 4, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_recv_stream(&op, fd, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_send(&op, fd, bytes, 4, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_sendmsg(&op, fd, &message, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_recvmsg(&op, fd, &message, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_shutdown(&op, fd, SHUT_WR, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_close(&op, fd, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_poll(&op, fd, RP_POLL_IN, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_poll_multi(&op, fd, RP_POLL_IN, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_read(&op, fd, bytes, 4, -1, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_write(&op, fd, bytes, 4, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_readv(&op, fd, &vector, 1, 0, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_writev(&op, fd, &vector, 1, -1, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
        rp_op_fsync(&op, fd, true, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -EBADF);
    }
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}

/* ---- closing ---- */

/* Connections that were accepted and not taken, and files that were opened, must not stay open: the harness looks. */
TEST(close_drops_descriptors)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    rp_op accept_multi, openat, accept_once;
    int listeners[2], clients[40];

    listeners[0] = listen_tcp(&address);
    rp_op_accept_multi(&accept_multi, listeners[0], NULL, NULL);
    submit(port, &accept_multi);
    CHECK_INT(collect_once(port, 0), ==, 0);
    for (int i = 0; i < 39; i++)
        clients[i] = connect_tcp(&address);
    listeners[1] = listen_tcp(&address);
    rp_op_accept(&accept_once, listeners[1], NULL, NULL, NULL, NULL);
    submit(port, &accept_once);
    clients[39] = connect_tcp(&address);
    rp_op_openat(&openat, AT_FDCWD, TEST_NULL, O_RDONLY, 0, NULL, NULL);
    submit(port, &openat);
    rp_completion some[2];
    int n = rp_proactor_wait(port, some, 2, RP_NEVER); /* the rest stays where it is */
    for (int i = 0; i < n; i++)
        if (some[i].result >= 0)
            close((int)some[i].result);
    rp_proactor_close(port);
    close_pair(listeners);
    for (int i = 0; i < 40; i++)
        close(clients[i]);
}

/* ---- fork ---- */

#ifndef _WIN32
TEST(fork_refused)
{
    rp_proactor *port = open_port();
    rp_completion completion;
    rp_op op, other;
    char byte;
    int fds[2], status;

    unix_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        rp_op_nop(&other, NULL, NULL);
        CHECK_INT(rp_proactor_submit(port, &other), ==, RP_EFORK);
        CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, RP_EFORK);
        rp_proactor_cancel(port, &op);
        rp_proactor_wake(port);
        rp_proactor_close(port);
        rp_proactor *own = open_port();
        CHECK_INT(perform(own, &other), ==, 0);
        rp_proactor_close(own);
        _exit(42);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    stays_quiet(port); /* the child has harmed nothing */
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    rp_proactor_close(port);
    close_pair(fds);
}
#else
TEST_ABSENT(fork_refused, "Windows has no fork()");
#endif

/* ---- memory ---- */

static void scenario(rp_proactor *port, int fd)
{
    rp_op poll, nop;

    rp_op_poll(&poll, fd, RP_POLL_IN, NULL, NULL);
    submit(port, &poll);
    rp_op_nop(&nop, NULL, NULL);
    CHECK_INT(perform(port, &nop), ==, 0);
    rp_proactor_cancel(port, &poll);
    int64_t result = finish(port, &poll);
    CHECK(result == -ECANCELED || result == -ENOMEM);
}

TEST(allocations_fail)
{
    int fds[2];
    bool failed = true;

    unix_pair(fds);
    for (uint64_t nth = 1; failed; nth++) {
        rp_proactor *port;

        test_fail_allocation(nth);
        int rc = rp_proactor_open(NULL, NULL, &port);
        if (rc == 0) {
            scenario(port, fds[0]);
            rp_proactor_close(port);
        } else {
            CHECK_INT(rc, ==, -ENOMEM);
            CHECK(port == NULL);
        }
        failed = test_allocation_failed();
        test_fail_allocation(0);
    }
    close_pair(fds);
}

TEST(nothing_allocated_per_operation)
{
    rp_proactor *port = open_port();
    int fds[2];

    unix_pair(fds);
    scenario(port, fds[0]);
    uint64_t before = test_allocations();
    for (int i = 0; i < 100; i++)
        scenario(port, fds[0]);
    CHECK_INT(test_allocations(), ==, before);
    rp_proactor_close(port);
    close_pair(fds);
}
