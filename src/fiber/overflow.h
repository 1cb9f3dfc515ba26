/*
 * overflow.h - stack overflows: a fiber that runs over its stack's end ends the process, with its name.
 */
#ifndef RP_FIBER_OVERFLOW_H
#define RP_FIBER_OVERFLOW_H

#include <string.h>

#include "ringport/base.h"

enum {
    RP_OVERFLOW_WHAT = 64,  /* bytes: room for the name of what has overflown, with its '\0' */
    RP_OVERFLOW_TEXT = 128, /* and for the message */
};

/*
 * Whether a fault at an address, by a thread with this stack pointer, is an overflow of the fiber that runs in it (on
 * Windows the address is the lowest of the thread's stack): writes what that is, "task 'a'", and returns true.
 * Async-signal-safe.
 */
typedef bool rp_overflow_query(const void *address, const void *sp, char what[RP_OVERFLOW_WHAT]);

/* A number that no other thread ever has, while this one has a claim; 0 before and after that. */
extern _Thread_local uint64_t rp_fiber_thread __attribute__((tls_model("initial-exec")));

/*
 * The calling thread is about to run fibers: gives it a signal stack, unless it has one, and installs the process's
 * handler. If that fails, an overflow ends the process without a name. Counted.
 */
void rp_overflow_claim(rp_overflow_query *query);

/* Takes back one claim, on the thread that made it: the last one restores what was there. */
void rp_overflow_release(void);

/* Writes the message. Async-signal-safe. */
void rp_overflow_message(const char *what);

/* Composes it; returns its length. */
static inline size_t rp_overflow_text(char text[RP_OVERFLOW_TEXT], const char *what)
{
    static const char start[] = "ringport: stack overflow in ";
    size_t length = strlen(what);

    memcpy(text, start, sizeof start - 1);
    memcpy(text + sizeof start - 1, what, length);
    text[sizeof start - 1 + length] = '\n';
    return sizeof start + length;
}

#endif
