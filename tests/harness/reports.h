/*
 * reports.h - exception handlers for tests: one that counts, one that says nothing, and one that keeps the last report.
 */
#ifndef RP_TESTS_REPORTS_H
#define RP_TESTS_REPORTS_H

#include <stdio.h>

#include "ringport/loop.h"

typedef struct last_report {
    int count; /* of all that there were */
    int error;
    char message[256];
    char name[64]; /* "" if it has none */
} last_report;

/* Keeps the last report, in the struct that is its argument. */
static inline void keep_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    last_report *r = arg;

    (void)loop;
    r->count++;
    r->error = context->error;
    snprintf(r->message, sizeof r->message, "%s", context->message);
    snprintf(r->name, sizeof r->name, "%s", context->name ? context->name : "");
}

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
