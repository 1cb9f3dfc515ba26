/*
 * reports.h - exception handlers for tests: one that counts, one that says nothing, and one that keeps the last report.
 */
#ifndef RP_TESTS_REPORTS_H
#define RP_TESTS_REPORTS_H

#include "ringport/loop.h"

/* Counts, in the int that is its argument. */
static inline void count_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    ++*(int *)arg;
}

/* For tests that know what will be reported. */
static inline void be_quiet(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

#endif
