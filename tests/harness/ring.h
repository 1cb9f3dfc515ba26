/*
 * ring.h - what the tests of io_uring share: rings of any size, and errands that another thread does with one.
 */
#ifndef RP_TESTS_RING_H
#define RP_TESTS_RING_H

#include <pthread.h>

#include "harness/support.h"

/* Skips the test where there is no io_uring. */
static inline UNUSED rp_proactor *open_ring(unsigned submissions, unsigned completions)
{
    rp_proactor_options options = {.submission_entries = submissions, .completion_entries = completions};
    rp_proactor *port;
    int rc = rp_proactor_open("io_uring", &options, &port);

    if (rc == -ENOTSUP || rc == -EPERM || rc == -ENOSYS)
        SKIP("io_uring: %s", rp_strerror(rc));
    CHECK_INT(rc, ==, 0);
    return port;
}

typedef struct errand {
    rp_proactor *port;
    void (*run)(rp_proactor *port);
} errand;

static inline UNUSED void *run_errand(void *arg)
{
    errand *e = arg;

    e->run(e->port);
    return NULL;
}

static inline UNUSED void in_thread(void (*run)(rp_proactor *port), rp_proactor *port)
{
    errand e = {port, run};
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, run_errand, &e), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
}

static inline UNUSED void do_nop(rp_proactor *port)
{
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
}

#endif
