/*
 * exception.h - errors that no caller can be told, on their way to whoever handles them.
 *
 * A report says what it is about, and has no words: these are the face's. The C face's are in report_text.c.
 */
#ifndef RP_LOOP_EXCEPTION_H
#define RP_LOOP_EXCEPTION_H

#include "loop/loop.h"

struct rp_report {
    rp_where where;
    int error;               /* 0: none is behind it */
    const char *name;        /* of the task, callback or stream; NULL: it has none */
    rp_future *future;       /* NULL: it is about none */
    rp_transport *transport; /* the same */
    void *origin;            /* debug mode: where that was created, an rp_origin */
    int64_t duration;        /* RP_WHERE_SLOW_CALLBACK: nanoseconds */
    const char *function;    /* RP_WHERE_FREED_STREAM: what was called */
};

/* Hands a report to the loop's face. The report is lent for the call. */
void rp_loop_report(rp_loop *loop, const rp_report *report);

#endif
