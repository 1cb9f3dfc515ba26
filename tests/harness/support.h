/*
 * support.h - what the tests of the proactor and the loop share: a bare proactor, and its completions one by one.
 */
#ifndef RP_TESTS_SUPPORT_H
#define RP_TESTS_SUPPORT_H

#include "harness/harness.h"
#include "harness/platform.h"
#include "harness/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ringport/loop.h"
#include "ringport/proactor.h"

/* Completions that have come and were not asked for yet. */
enum { MAX_PENDING = 512 };
static UNUSED rp_completion pending[MAX_PENDING];
static UNUSED int pending_count;

/* The proactor that the environment forces. */
static inline UNUSED rp_proactor *open_port(void)
{
    rp_proactor *port;

    CHECK_INT(rp_proactor_open(NULL, NULL, &port), ==, 0);
    return port;
}

/* One of a backend by its name, whatever the environment says. */
static inline UNUSED rp_proactor *open_backend(const char *name)
{
    rp_proactor *port;

    CHECK_INT(rp_proactor_open(name, NULL, &port), ==, 0);
    return port;
}

static inline UNUSED rp_loop *loop_of(const char *name)
{
    rp_loop_options options = {.backend = name};
    rp_loop *loop;

    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    return loop;
}

static inline UNUSED bool on_uring(void)
{
    return test_backend() != NULL && strcmp(test_backend(), "io_uring") == 0;
}

static inline UNUSED void submit(rp_proactor *port, rp_op *op)
{
    CHECK_INT(rp_proactor_submit(port, op), ==, 0);
}

static inline UNUSED int collect_once(rp_proactor *port, int64_t deadline)
{
    CHECK(pending_count < MAX_PENDING);
    int n = rp_proactor_wait(port, pending + pending_count, MAX_PENDING - pending_count, deadline);

    CHECK_INT(n, >=, 0);
    pending_count += n;
    return n;
}

static inline UNUSED bool take_pending(const rp_op *op, rp_completion *completion)
{
    for (int i = 0; i < pending_count; i++)
        if (pending[i].op == op) {
            *completion = pending[i];
            memmove(pending + i, pending + i + 1, (size_t)(--pending_count - i) * sizeof *pending);
            return true;
        }
    return false;
}

/* The next completion of an operation, waited for. */
static inline UNUSED rp_completion next_completion(rp_proactor *port, const rp_op *op)
{
    rp_completion completion;

    while (!take_pending(op, &completion))
        collect_once(port, RP_NEVER);
    return completion;
}

/* The result of a single-shot operation, or of the last completion of a multishot one. */
static inline UNUSED int64_t finish(rp_proactor *port, const rp_op *op)
{
    rp_completion completion = next_completion(port, op);

    CHECK_INT(completion.flags & RP_OP_MORE, ==, 0);
    return completion.result;
}

static inline UNUSED int64_t perform(rp_proactor *port, rp_op *op)
{
    submit(port, op);
    return finish(port, op);
}

static inline UNUSED int64_t read_at(rp_proactor *port, rp_fd fd, void *buffer, size_t size, int64_t offset)
{
    rp_op op;

    rp_op_read(&op, fd, buffer, size, offset, NULL, NULL);
    return perform(port, &op);
}

static inline UNUSED int64_t write_at(rp_proactor *port, rp_fd fd, const void *buffer, size_t size, int64_t offset)
{
    rp_op op;

    rp_op_write(&op, fd, buffer, size, offset, NULL, NULL);
    return perform(port, &op);
}

/* Turns that find nothing: whatever has been started does not complete by itself. */
static inline UNUSED void stays_quiet(rp_proactor *port)
{
    for (int i = 0; i < 5; i++) {
        CHECK_INT(collect_once(port, 0), ==, 0);
        CHECK_INT(collect_once(port, rp_monotonic() + RP_MSEC(1)), ==, 0);
    }
}

/* Cancels an operation that waits, and sees it end. */
static inline UNUSED void cancel_and_finish(rp_proactor *port, rp_op *op)
{
    rp_proactor_cancel(port, op);
    CHECK_INT(finish(port, op), ==, -ECANCELED);
}

#endif
