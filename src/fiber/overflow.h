/*
 * overflow.h - a coroutine that runs over its stack's end ends the process with its name, not in silence.
 */
#ifndef RP_FIBER_OVERFLOW_H
#define RP_FIBER_OVERFLOW_H

#include <string.h>

#include "ringport/base.h"

enum { RP_OVERFLOW_TEXT = 128 };

/*
 * Whether a fault at an address, by a thread with this stack pointer, is an overflow of the task that runs in it (on
 * Windows the address is the lowest of the thread's stack): writes that task's name into `name` then, and returns true.
 * Async-signal-safe. It is how this file knows of tasks.
 */
typedef bool rp_overflow_query(const void *address, const void *sp, char *name, size_t size);

/* A number that no other thread ever has, once this one has claimed; 0 before, and when its claims were given up. */
extern _Thread_local uint64_t rp_overflow_thread __attribute__((tls_model("initial-exec")));

/*
 * The calling thread is about to run coroutines: gives it a signal stack, unless it has one, and installs the process's
 * handler. Failures are let pass: the overflow then ends the process without a name. Counted.
 */
void rp_overflow_claim(rp_overflow_query *query);

/* Takes back one claim, on the thread that made it: the last one restores what was there. */
void rp_overflow_release(void);

/* Writes the message about a task. Async-signal-safe. */
void rp_overflow_message(const char *name);

/* Composes it; returns its length. */
static inline size_t rp_overflow_text(char text[RP_OVERFLOW_TEXT], const char *name)
{
    static const char start[] = "ringport: stack overflow in task '", end[] = "'\n";
    size_t length = strlen(name), room = RP_OVERFLOW_TEXT - sizeof start - sizeof end;

    if (length > room)
        length = room;
    memcpy(text, start, sizeof start - 1);
    memcpy(text + sizeof start - 1, name, length);
    memcpy(text + sizeof start - 1 + length, end, sizeof end - 1);
    return sizeof start - 1 + length + sizeof end - 1;
}

#endif
