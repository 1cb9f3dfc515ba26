/*
 * test_backend.c - the life of an operation is guarded: a backend that finishes or completes one out of turn is stopped
 * at once, and not where it shows.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "proactor/proactor.h"
#include "harness/support.h"

/* What a faulty backend does to an operation. */
typedef void fault(rp_proactor *port, rp_op *op);

static void finish_it(rp_proactor *port, rp_op *op)
{
    rp_op_finish(port, op, 0);
}

static void finish_it_twice(rp_proactor *port, rp_op *op)
{
    rp_list_init(&port->finished);
    rp_op_finish(port, op, 0);
    rp_op_finish(port, op, 0);
}

static void complete_it(rp_proactor *port, rp_op *op)
{
    rp_completion completion;

    rp_op_complete(port, op, &completion, 0, 0);
}

static void promise_more(rp_proactor *port, rp_op *op)
{
    rp_completion completion;

    rp_op_complete(port, op, &completion, 0, RP_OP_MORE);
}

static void submit_while_listed(rp_proactor *port, rp_op *op)
{
    op->state = RP_OP_IDLE;
    rp_proactor_submit(port, op);
}

/* Whether an assertion ends the process by it: a child, that is. */
static bool is_stopped(fault *strike, rp_proactor *port, rp_op *op)
{
    const struct rlimit none = {0, 0};
    int status;
    pid_t child = fork();

    CHECK_INT(child, >=, 0);
    if (child == 0) {
        port->fork_generation = rp_fork_generation(); /* it is this process's now */
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        strike(port, op);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(an_operation_is_finished_and_completed_once)
{
#ifdef NDEBUG
    SKIP("this build has no assertions");
#endif
    rp_proactor *port = open_port();
    rp_op waiting, idle;
    char byte;
    int fds[2];

    unix_pair(fds);
    rp_op_recv(&waiting, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &waiting);
    rp_op_nop(&idle, NULL, NULL);
    CHECK(is_stopped(finish_it, port, &idle));
    CHECK(is_stopped(complete_it, port, &idle));
    CHECK(is_stopped(finish_it_twice, port, &waiting));
    CHECK(is_stopped(promise_more, port, &waiting)); /* which only a multishot one may */
    CHECK(is_stopped(submit_while_listed, port, &waiting));
    CHECK_INT(perform(port, &idle), ==, 0);
    CHECK(is_stopped(complete_it, port, &idle));
    cancel_and_finish(port, &waiting);
    rp_proactor_close(port);
    close_pair(fds);
}
