/*
 * test_op_child.c - waiting for the end of child processes.
 */
#include <signal.h>

#include "proactor/proactor.h"
#include "harness/support.h"

#ifndef _WIN32
static pid_t start_child(int gate)
{
    pid_t pid = fork();

    if (pid == 0) {
        char byte;

        if (gate >= 0 && read(gate, &byte, 1) == 1)
            _exit(byte);
        _exit(7);
    }
    return pid;
}

TEST(wait_for_child)
{
    rp_proactor *port = open_port();
    int gate[2];
    rp_op op, other;

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    pid_t pid = start_child(gate[0]);
    rp_op_wait_child(&op, pid, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write(gate[1], "\003", 1), ==, 1);
    int status = (int)finish(port, &op);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 3);
    CHECK_INT(waitpid(pid, NULL, WNOHANG), ==, -1); /* it was reaped */

    pid = start_child(gate[0]);
    rp_op_wait_child(&op, pid, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    kill(pid, SIGKILL);
    status = (int)finish(port, &op);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), ==, SIGKILL);

    siginfo_t ended;
    pid = start_child(-1); /* has ended before anybody asks */
    CHECK_INT(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), ==, 0);
    rp_op_wait_child(&op, pid, NULL, NULL);
    status = (int)perform(port, &op);
    CHECK_INT(WEXITSTATUS(status), ==, 7);
    CHECK_INT(perform(port, &op), ==, -ECHILD); /* and is no more */

    pid = start_child(gate[0]); /* reaped by somebody else, meanwhile */
    rp_op_wait_child(&op, pid, NULL, NULL);
    rp_op_wait_child(&other, pid, NULL, NULL);
    submit(port, &op);
    submit(port, &other);
    CHECK_INT(write(gate[1], "\004", 1), ==, 1);
    int64_t results[2] = {finish(port, &op), finish(port, &other)};
    CHECK((results[0] == -ECHILD) != (results[1] == -ECHILD));
    CHECK_INT(port->in_flight, ==, 0);
    close_pair(gate);
    rp_proactor_close(port);
}
#else
/* A process exits; one is killed; one is gone. */
TEST(wait_for_child)
{
    rp_proactor *port = open_port();
    int64_t pid = test_start_child(3);
    rp_op op;

    rp_op_wait_child(&op, pid, NULL, NULL);
    int status = (int)perform(port, &op);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), ==, 3);

    pid = test_start_child(-1);
    rp_op_wait_child(&op, pid, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    test_end_child(pid);
    CHECK(finish(port, &op) != 0);
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}
#endif

TEST(wait_for_no_child)
{
    rp_proactor *port = open_port();
    rp_op op;

#ifndef _WIN32
    rp_op_wait_child(&op, getppid(), NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ECHILD);
#endif
    rp_op_wait_child(&op, INT32_MAX - 4, NULL, NULL); /* a number that no process has, on Windows either */
    CHECK_INT(perform(port, &op), ==, -ECHILD);
    rp_op_wait_child(&op, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_op_wait_child(&op, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_op_wait_child(&op, INT64_C(1) << 40, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_proactor_close(port);
}
