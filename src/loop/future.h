/*
 * future.h - the inside of rp_future, for what derives from it: tasks, executor jobs, connection attempts.
 *
 * A derived object embeds rp_future first and gives it a type. The object lives while references are held: whoever will
 * finish it holds one itself.
 */
#ifndef RP_LOOP_FUTURE_H
#define RP_LOOP_FUTURE_H

#include "loop/loop.h"
#include "ringport/future.h"

enum { RP_FUTURE_PENDING, RP_FUTURE_FINISHED, RP_FUTURE_CANCELLED };

typedef struct rp_future_type {
    const char *name; /* "Future", "Task", ... as reports have it */
    /* Asks a pending object for its end: true if it will end. NULL: it is cancelled at once. */
    bool (*cancel)(rp_future *future);
    /* Frees the whole object, when the last reference is gone. */
    void (*dispose)(rp_future *future);
    /* The name of this one, for reports; may be NULL. */
    const char *(*get_name)(const rp_future *future);
    /* What it waits for, likewise: NULL: nothing. May be NULL. */
    const char *(*waits_for)(const rp_future *future);
} rp_future_type;

struct rp_future {
    const rp_future_type *type;
    rp_loop *loop; /* holds a reference */
    uint32_t refs;
    uint8_t state;
    bool error_read;       /* somebody has seen its error, or there is none */
    bool cancelled_at_end; /* a task: by the runner's close; or that is not to cancel it */
    int result;
    void *value;
    void *data;        /* the program's own */
    rp_node callbacks; /* rp_done_callback, by their handles' links */
    rp_node link;      /* in loop->tasks while it is a task that is not done; in loop->unread, or in none */
    void *origin;      /* debug mode: where it was created */
};

/* For RP_ON_LEAVE: drops the reference that a variable holds. */
static inline void rp_future_drop(rp_future **future)
{
    rp_future_unref(*future);
}

/* Makes a pending future with one reference. Never fails. */
void rp_future_init(rp_future *future, rp_loop *loop, const rp_future_type *type);

/* The loop is closed: reports the errors that nobody has read yet, even if references are still held. */
void rp_futures_report_unread(rp_loop *loop);

/* What every dispose does before it frees the object: reports an unread error, drops the loop. */
void rp_future_fini(rp_future *future);

/* Ends a pending future: with a result or an error and a value, or as cancelled. Its callbacks become ready. */
void rp_future_finish(rp_future *future, int result, void *value);
void rp_future_finish_cancelled(rp_future *future);

#endif
